# What the README and CONTRIBUTING.md name; the work is done by .ci/run.

.PHONY: test check fuzz bench demo

test: ## the tests
	go test ./...

check: ## everything that CI checks, short of installing what is missing
	.ci/run --no-install

fuzz: ## each fuzz target for a minute
	FUZZTIME=$${FUZZTIME:-1m} .ci/run --no-install fuzz

bench: ## the benchmarks, with allocations
	go test -run='^$$' -bench=. -benchmem ./...

demo: ## the main job against the simulator
	go run ./cmd/demo
