package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
)

// startup measures how long a process takes from its start to the first call that it answers.
type startup struct {
	starts int
}

func (s *startup) measure(ctx context.Context) error {
	return withOrigin(ctx, func(dir, origin string) error { return s.compare(ctx, dir, origin) })
}

func (s *startup) compare(ctx context.Context, dir, origin string) error {
	stored, anew := filepath.Join(dir, "stored"), filepath.Join(dir, "anew")
	ways := []struct {
		name, options, site string
		took                series
	}{
		{name: "plain Caddy, a fixed token", site: plainSite(origin)},
		{name: "caddy-zoho, a token is stored", options: oneAccount(stored, origin), site: "zoho_proxy"},
		{name: "caddy-zoho, it has to request one", options: oneAccount(anew, origin), site: "zoho_proxy"},
	}
	for round := range s.starts + 1 {
		if err := os.RemoveAll(anew); err != nil {
			return err
		}
		for i := range ways {
			w := &ways[i]
			took, err := firstAnswer(ctx, caddy{dir, w.options, w.site, []string{anyGrant}})
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if round > 0 { // the first one has stored the token
				w.took = append(w.took, float64(took)/float64(time.Millisecond))
			}
		}
	}
	fmt.Printf("From the start of the process to the first answered call, %d starts, medians and 99th percentiles in ms\n\n", s.starts)
	for _, w := range ways {
		fmt.Printf("| %s | %s |\n", w.name, w.took.text())
	}
	return nil
}

// firstAnswer starts a Caddy, calls it until it answers, and stops it.
func firstAnswer(ctx context.Context, c caddy) (took time.Duration, err error) {
	port, err := testbed.FreePort()
	if err != nil {
		return 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := c.command(ctx, self, port)
	var output testbed.Output
	begun := time.Now()
	p, err := testbed.Start(cmd, &output)
	if err != nil {
		return 0, err
	}
	for {
		if get(ctx, http.DefaultClient, "http://127.0.0.1:"+port+leads) == nil {
			took = time.Since(begun)
			return took, p.Stop()
		}
		select {
		case <-p.Exited:
			return 0, fmt.Errorf("it has exited: %w\n%s", p.Err, output.String())
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}
