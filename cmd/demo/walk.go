package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// step is a part of the walk: what happens first, over how much time the calls are
// spread that follow, and how long tokens live meanwhile.
type step struct {
	title  string
	before func()
	spread time.Duration // 0: all at once
	life   time.Duration
}

// wantTokenCalls: one at first, one more for each life that is over, and none before three
// quarters of a life, some jitter aside. On a slow machine the calls take longer.
func (s step) wantTokenCalls(n int, took time.Duration) error {
	least, most := 1+int(s.spread/s.life), 1+int(took/(s.life*29/40))
	if n < least || n > most {
		return fmt.Errorf("%s in %s, want %d to %d", countTokenCalls(n), took, least, most)
	}
	return nil
}

const stepCalls = 300

// walk calls the proxy as an app would and checks what the app saw.
func (s *stage) walk(ctx context.Context) error {
	fmt.Printf("Zoho (simulated) at %s, Caddy with Caddyfile.example at %s\n\n", s.simURL, s.proxyURL)
	const life = 4 * time.Second
	lives := func(life time.Duration) {
		s.sim.Change(func(o *zohosim.Options) { o.TokenLife = life }) // of tokens from now on
	}
	revoke := func() { s.sim.RevokeAccess(s.grant) }
	steps := []step{
		{"64 callers at once, no token yet", nil, 0, time.Hour},
		{"every access token is revoked at Zoho", revoke, 0, time.Hour},
		{"tokens live for 4 seconds, calls for 7", func() { lives(life); revoke() }, 7 * time.Second, life},
	}
	defer lives(time.Hour) // who goes on by hand must not run out of tokens
	for _, step := range steps {
		if err := s.run(ctx, step); err != nil {
			return err
		}
	}
	fmt.Println("\nThe app sent no token, met no token, and saw no failure.")
	return nil
}

func (s *stage) run(ctx context.Context, step step) error {
	tokensBefore := s.sim.Stats().TokenRequests
	if step.before != nil {
		step.before()
	}
	start := time.Now()
	failures := s.callAll(ctx, stepCalls, step.spread)
	tokenCalls := s.sim.Stats().TokenRequests - tokensBefore
	fmt.Printf("%-40s %d calls, %d failures seen, %s\n", step.title+":", stepCalls, len(failures), countTokenCalls(tokenCalls))
	if len(failures) > 0 {
		return fmt.Errorf("the app saw %d failures: %w", len(failures), errors.Join(failures[:min(3, len(failures))]...))
	}
	if err := step.wantTokenCalls(tokenCalls, time.Since(start)); err != nil {
		return err
	}
	return ctx.Err()
}

// callAll makes n calls from 64 callers and returns the failures that they saw.
func (s *stage) callAll(ctx context.Context, n int, spread time.Duration) []error {
	var (
		next     atomic.Int64
		mu       sync.Mutex
		failures []error
		callers  sync.WaitGroup
		start    = time.Now()
	)
	for range 64 {
		callers.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(n) {
					return
				}
				<-time.After(time.Until(start.Add(time.Duration(i) * spread / time.Duration(n))))
				if err := s.call(ctx, i); err != nil {
					mu.Lock()
					failures = append(failures, err)
					mu.Unlock()
				}
			}
		})
	}
	callers.Wait()
	return failures
}

// call lists or creates, at CRM or Desk.
func (s *stage) call(ctx context.Context, i int64) error {
	method, path, body := http.MethodGet, "/crm/v8/Leads", ""
	switch i % 4 {
	case 1:
		method, body = http.MethodPost, fmt.Sprintf(`{"data":[{"Last_Name":"Lead %d"}]}`, i)
	case 2:
		path = "/desk/api/v1/tickets"
	case 3:
		method, path, body = http.MethodPost, "/desk/api/v1/tickets", fmt.Sprintf(`{"subject":"Ticket %d"}`, i)
	}
	res, answer, err := s.send(ctx, method, path, body, "")
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s %.200s", method, path, res.Status, answer)
	}
	return nil
}
