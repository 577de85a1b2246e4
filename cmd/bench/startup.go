package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// startup measures how long a process takes from its start to the first call that it answers.
type startup struct {
	starts int
}

func (s *startup) measure(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "caddy-zoho-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	zoho, err := startSelf(ctx, "origin")
	if err != nil {
		return err
	}
	defer zoho.stop()
	stored := filepath.Join(dir, "stored")
	ways := []struct {
		name          string
		options, site func() string
		took          series
	}{
		{name: "plain Caddy, a fixed token", options: func() string { return "" }, site: func() string { return "reverse_proxy " + zoho.url + " {\n\t\t" + plainPool + "\n\t}" }},
		{name: "caddy-zoho, a token is stored", options: func() string { return oneAccount(stored, zoho.url) }, site: proxySite},
		{name: "caddy-zoho, it has to ask for one", options: func() string {
			_ = os.RemoveAll(dir + "/new")
			return oneAccount(dir+"/new", zoho.url)
		}, site: proxySite},
	}
	for round := range s.starts + 1 {
		for i := range ways {
			took, err := s.start(ctx, dir, ways[i].options(), ways[i].site())
			if err != nil {
				return fmt.Errorf("%s: %w", ways[i].name, err)
			}
			if round > 0 { // the first one has stored the token
				ways[i].took = append(ways[i].took, float64(took)/float64(time.Millisecond))
			}
		}
	}
	fmt.Printf("From the start of the process to the first answered call, %d starts, medians and 99th percentiles in ms\n\n", s.starts)
	for _, w := range ways {
		fmt.Printf("| %s | %s |\n", w.name, w.took.text())
	}
	return nil
}

func proxySite() string { return "zoho_proxy" }

// start starts a Caddy, calls it until it answers, and stops it.
func (s *startup) start(ctx context.Context, dir, options, site string) (took time.Duration, err error) {
	port, err := testbed.FreePort()
	if err != nil {
		return 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	config, err := writeConfig(dir, port, options, site)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, "run", "--config", config, "--adapter", "caddyfile")
	cmd.Env = append(testbed.Environment(dir, port, "off", zohosim.Client{ID: clientID, Secret: clientSecret}), role+"=caddy", "ZOHO_REFRESH_TOKEN=1000.refresh")
	var output testbed.Output
	begun := time.Now()
	p, err := testbed.Start(cmd, &output)
	if err != nil {
		return 0, err
	}
	for {
		err := get(ctx, http.DefaultClient, "http://127.0.0.1:"+port+leads)
		if err == nil {
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
