package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const lead = `{"data":[{"Last_Name":"Lind"}]}`

// send is what an app does: it knows the proxy's address and nothing of tokens. Zoho,
// being simulated, counts what it executes by id.
func (s *stage) send(ctx context.Context, method, path, body, id string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.proxyURL+path, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Test-Id", id)
	res, err := s.app.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res, answer, err
}

// outcome is what the app saw of a call that creates something, and what came of it.
type outcome struct {
	at         time.Duration // when it came, since the token was asked for
	status     int           // 0: no answer
	retryAfter string
	executed   int // times, at Zoho
}

func (o outcome) failed() bool    { return o.status == 0 || o.status >= 300 }
func (o outcome) succeeded() bool { return !o.failed() }

type outcomes []outcome

func (all outcomes) failed() (n int) {
	for _, o := range all {
		if o.failed() {
			n++
		}
	}
	return n
}

// once checks that Zoho executed just what the app believes, each just once.
func (all outcomes) once() error {
	for i, o := range all {
		if (o.executed == 1) == o.failed() || o.executed > 1 {
			return fmt.Errorf("call %d was answered with status %d and executed %d times", i, o.status, o.executed)
		}
	}
	return nil
}

// gap tells when calls failed: from the first that did to the next one that did not.
func (all outcomes) gap() (from, to time.Duration) {
	for _, o := range all {
		switch {
		case o.failed() && from == 0:
			from = o.at
		case !o.failed() && from != 0 && to == 0:
			to = o.at
		}
	}
	return from, to
}

// post creates a record, as an app that does not repeat its calls.
func (s *stage) post(ctx context.Context, since time.Time) (o outcome) {
	s.posts++
	id := fmt.Sprint("post-", s.posts)
	if res, _, err := s.send(ctx, http.MethodPost, "/crm/v8/Leads", lead, id); err == nil {
		o.status, o.retryAfter = res.StatusCode, res.Header.Get("Retry-After")
	}
	o.at, o.executed = s.clock.now().Sub(since), s.sim.Stats().Executed[id]
	return o
}

// burst posts n times.
func (s *stage) burst(ctx context.Context, n int) (all outcomes) {
	start := s.clock.now()
	for range n {
		all = append(all, s.post(ctx, start))
	}
	return all
}

// event is something that happens between two calls.
type event struct {
	at time.Duration
	do func() error
}

// pace posts twice in a minute of the played time until the time is over, and on until
// calls succeed again. The time begins with the token.
func (s *stage) pace(ctx context.Context, until time.Duration, events ...event) (outcomes, error) {
	return s.paceTo(ctx, outcome.succeeded, until, events...)
}

// paceTo is pace that goes on until an outcome is of that kind, for 75 seconds at most.
func (s *stage) paceTo(ctx context.Context, last func(outcome) bool, until time.Duration, events ...event) (all outcomes, err error) {
	for start := s.asked; ; {
		if err := s.clock.pass(ctx, minute/2); err != nil {
			return nil, err
		}
		now := s.clock.now().Sub(start)
		if now > until && len(all) > 0 && last(all[len(all)-1]) {
			return all, all.once()
		}
		if now > until+75*time.Second && len(all) > 0 {
			return nil, fmt.Errorf("calls still end with status %d", all[len(all)-1].status)
		}
		for len(events) > 0 && events[0].at <= now {
			if err := events[0].do(); err != nil {
				return nil, err
			}
			events = events[1:]
		}
		all = append(all, s.post(ctx, start))
	}
}
