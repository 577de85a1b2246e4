// Command demo shows the main job with no credentials and no network: it starts a
// simulator of Zoho and a real Caddy with Caddyfile.example, calls the proxy as an
// app would, lets the token expire and be revoked, and tells what the app saw. With
// -compare it plays more of what goes wrong, beside a cron job that does the same work; with
// -connect somebody with a browser connects accounts.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-zoho/caddy-zoho"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

func main() {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	once := flag.Bool("once", false, "exit after the demo, with status 0 or 1")
	versus := flag.Bool("compare", false, "simulate what goes wrong, with this proxy and with a cron job instead, and print a table")
	pages := flag.Bool("connect", false, "show how accounts are connected in a browser, with "+connectConfig)
	config := flag.String("config", "Caddyfile.example", "the Caddyfile to run")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: %q is an argument, but the demo takes only flags\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	play := func() error { return run(ctx, *config, *once) }
	switch {
	case *versus:
		play = func() error { return compare(ctx, *config) }
	case *pages:
		play = func() error { return connect(ctx) }
	}
	if err := play(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run starts both sides, walks, and waits to be stopped unless once is set.
func run(ctx context.Context, config string, once bool) error {
	stage, err := newStage(ctx, config, zohosim.Options{})
	if err != nil {
		return err
	}
	defer stage.close()
	if err := stage.walk(ctx); err != nil {
		return fmt.Errorf("%w\n\nwhat Caddy said:\n%s", err, stage.logs())
	}
	if once {
		return nil
	}
	stage.printHints()
	<-ctx.Done()
	return nil
}
