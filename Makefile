# What the README and CONTRIBUTING.md name; the work is done by .ci/run.

.PHONY: test check fuzz bench bench-proxy mutants demo

test: ## the tests
	go test ./...

check: ## everything that CI checks; what is not installed is skipped with a word
	CI=false .ci/run --no-install

fuzz: ## each fuzz target for about a minute
	FUZZTIME=$${FUZZTIME:-500000x} .ci/run --no-install fuzz

bench: ## the benchmarks, with allocations
	go test -run='^$$' -bench=. -benchmem ./...

bench-proxy: ## calls over a distance, and processor time beside other proxies
	go run ./cmd/bench distance
	go run ./cmd/bench processor

mutants: ## changed code that no test notices; MUTANTS=internal/callers for one folder
	.ci/run --no-install mutants

demo: ## the main job against the simulator
	go run ./cmd/demo
