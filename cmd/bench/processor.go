package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// processor compares the processor time that proxies take for a call.
type processor struct {
	rounds, calls int
}

const callers = 64

// contender is a proxy that takes its turn.
type contender struct {
	name string
	*server
	pids []int
	took series // processor time of a call to that of the reference, by round
	rate series // calls a second, likewise
}

// plainSite is a proxy that sets a fixed token, with our pool.
func plainSite(origin string) string {
	return "reverse_proxy " + origin + ` {
		header_up Authorization "Zoho-oauthtoken ` + token + `"
		transport http {
			keepalive_idle_conns_per_host 512
			compression off
		}
	}`
}

func (p *processor) measure(ctx context.Context) error {
	return withOrigin(ctx, func(dir, origin string) error { return p.compare(ctx, dir, origin) })
}

func (p *processor) compare(ctx context.Context, dir, origin string) error {
	contenders, err := startAll(ctx, dir, origin)
	for _, c := range contenders {
		defer c.stop()
	}
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers, MaxIdleConns: 0, DisableCompression: true}}
	for _, c := range contenders {
		if _, _, err := p.turn(ctx, client, c); err != nil { // what is slow at first is not measured
			return err
		}
	}
	for range p.rounds {
		cpu, rate := make([]float64, len(contenders)), make([]float64, len(contenders))
		for _, i := range rand.Perm(len(contenders)) {
			if cpu[i], rate[i], err = p.turn(ctx, client, contenders[i]); err != nil {
				return err
			}
		}
		for i, c := range contenders {
			c.took, c.rate = append(c.took, cpu[i]/cpu[0]), append(c.rate, rate[i]/rate[0])
		}
	}
	fmt.Printf("%d rounds of %d calls by %d callers, answers of 1 KiB, loopback. Medians of the ratio to the first line in the same round,\nand where they are with a probability of 95 %%.\n\n", p.rounds, p.calls, callers)
	fmt.Println("| proxy | processor time per call | 95 % | calls per second | memory |")
	fmt.Println("| --- | --- | --- | --- | --- |")
	for _, c := range contenders {
		from, to := c.took.interval()
		memory, err := resident(c.pids)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.2f | %.2f to %.2f | %.2f | %d MiB |\n", c.name, c.took.median(), from, to, c.rate.median(), memory>>20)
	}
	return nil
}

// startAll starts those that can run here.
func startAll(ctx context.Context, dir, origin string) (all []*contender, err error) {
	add := func(name string, s *server, startErr error) {
		c := &contender{name: name, server: s}
		if startErr == nil {
			all = append(all, c)
			c.pids, startErr = s.processes()
		}
		if startErr != nil && err == nil {
			err = fmt.Errorf("%s: %w", name, startErr)
		}
	}
	for _, c := range []struct{ name, options, site, env string }{
		{"plain Caddy, a fixed token, the same pool", "", plainSite(origin), ""},
		{"caddy-zoho", oneAccount(dir+"/store", origin), "zoho_proxy", ""},
		{"plain Caddy, a fixed token, as installed", "", "reverse_proxy " + origin + " {\n\t\theader_up Authorization \"Zoho-oauthtoken " + token + "\"\n\t}", ""},
		{"caddy-zoho as the files in deploy/ start it", oneAccount(dir+"/deployed", origin), "zoho_proxy", "GOGC=400"},
	} {
		s, startErr := caddy{dir, c.options, c.site, []string{anyGrant, c.env}}.start(ctx)
		add(c.name, s, startErr)
	}
	s, startErr := startSelf(ctx, "oauth2", "BENCH_ORIGIN="+origin)
	add("Go's ReverseProxy with x/oauth2, no answer to a refused token", s, startErr)
	if _, missing := exec.LookPath("nginx"); missing != nil {
		fmt.Println("nginx is not installed here, and left out.")
		return all, err
	}
	s, startErr = startNginx(ctx, dir, strings.TrimPrefix(origin, "http://"))
	add("nginx, a token in a file, no answer to a refused token", s, startErr)
	return all, err
}

// turn has so many calls made, and says what a call took and how many came to a second.
func (p *processor) turn(ctx context.Context, client *http.Client, c *contender) (cpu, rate float64, err error) {
	before, err := processorTime(c.pids)
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for next.Add(1) <= int64(p.calls) && failed.Load() == nil {
				if err := get(ctx, client, c.url+leads); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	all.Wait()
	took := time.Since(begun)
	if failed := failed.Load(); failed != nil {
		return 0, 0, fmt.Errorf("%s: %w", c.name, *failed)
	}
	after, err := processorTime(c.pids)
	return float64(after-before) / float64(p.calls), float64(p.calls) / took.Seconds(), err
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", res.Status)
	}
	return nil
}
