// Command bench measures what the proxy gains and what it costs, on this machine, with real processes
// and no network:
//
//	go run ./cmd/bench distance    calls to a Zoho that is 20, 40 and 120 ms away, direct and through the proxy
//	go run ./cmd/bench processor   processor time of a call, beside plain Caddy and others that do a part of the work
//	go run ./cmd/bench start       from the start of a process to the first call that it answers
//
// Only what is compared within one run means something on another machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-zoho/caddy-zoho"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch os.Getenv(role) {
	case "caddy":
		stop()
		caddycmd.Main()
		return
	case "origin":
		serve(ctx, origin())
		return
	case "oauth2":
		serve(ctx, oauth2Proxy(os.Getenv("BENCH_ORIGIN")))
		return
	}
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("name what to measure: distance, processor or start")
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	switch args[0] {
	case "distance":
		d := new(distance)
		flags.IntVar(&d.calls, "calls", 100, "`number` of calls of each kind")
		flags.Func("silence", "also measure the first call after this idle `time`, such as 10m; may be repeated", d.addSilence)
		_ = flags.Parse(args[1:])
		if d.calls < 1 {
			return errors.New("-calls: at least 1")
		}
		return d.measure(ctx)
	case "processor":
		p := new(processor)
		flags.IntVar(&p.rounds, "rounds", 21, "`number` of rounds in which all take turns")
		flags.IntVar(&p.calls, "calls", 5000, "`number` of calls in a turn")
		_ = flags.Parse(args[1:])
		if p.calls < 1 || p.rounds < 1 {
			return errors.New("-calls and -rounds: at least 1")
		}
		return p.measure(ctx)
	case "start":
		s := new(startup)
		flags.IntVar(&s.starts, "starts", 20, "`number` of starts of each kind")
		_ = flags.Parse(args[1:])
		if s.starts < 1 {
			return errors.New("-starts: at least 1")
		}
		return s.measure(ctx)
	}
	return fmt.Errorf("%q cannot be measured: name distance, processor or start", args[0])
}
