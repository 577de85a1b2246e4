package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// compare plays what goes wrong with this proxy, and with what is usual instead: a
// cron job that fetches a token, writes it into a web server's configuration, and
// reloads that. It prints a table in Markdown; the README has it.
func compare(ctx context.Context, config string) error {
	fmt.Println("| what happens | with this proxy | with a cron job that writes a token into a web server's configuration |")
	fmt.Println("| --- | --- | --- |")
	for _, scenario := range []struct {
		title string
		ours  func(context.Context, *stage) (string, error)
		cron  func(context.Context, *cron) (string, error)
	}{
		{"Zoho revokes every access token", revoked, revokedCron},
		{"the token ends while the app POSTs", ended, endedCron},
		{"Books refuses an app without the scope", badScope, badScopeCron},
		{"twelve deployments in ten minutes, then the token is revoked", deployed, deployedCron},
		{"Accounts is out of reach when the token is to be renewed", unreachable, unreachableCron},
	} {
		ours, err := withStage(ctx, config, scenario.ours)
		if err != nil {
			return fmt.Errorf("%s, with this proxy: %w", scenario.title, err)
		}
		theirs, err := withCron(ctx, scenario.cron)
		if err != nil {
			return fmt.Errorf("%s, with a cron job: %w", scenario.title, err)
		}
		fmt.Printf("| %s | %s | %s |\n", scenario.title, ours, theirs)
	}
	return nil
}

func withStage(ctx context.Context, config string, play func(context.Context, *stage) (string, error)) (string, error) {
	s, err := newStage(ctx, config)
	if err != nil {
		return "", err
	}
	defer s.close()
	if _, failed := s.post(ctx, 1); failed != 0 {
		return "", fmt.Errorf("the first call failed:\n%s", s.logs())
	}
	return play(ctx, s)
}

const calls = 40

// post makes n calls that create something, as an app that does not repeat them.
func (s *stage) post(ctx context.Context, n int) (last *http.Response, failed int) {
	for range n {
		res, err := s.try(ctx, http.MethodPost, "/crm/v8/Leads")
		if err != nil || res.StatusCode >= 300 {
			failed++
		}
		last = res
	}
	return last, failed
}

func (s *stage) try(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.proxyURL+path, strings.NewReader(`{"data":[{"Last_Name":"Lind"}]}`))
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res, err
}

// wellAgain calls until a call succeeds. Around a reload some may fail by themselves.
func (s *stage) wellAgain(ctx context.Context, limit time.Duration) error {
	for start := time.Now(); time.Since(start) < limit; time.Sleep(50 * time.Millisecond) {
		if _, failed := s.post(ctx, 1); failed == 0 {
			return nil
		}
	}
	return fmt.Errorf("calls still fail after %s", limit)
}

// written is how many records the app has made at Zoho.
func (s *stage) written() int { return s.sim.Stats().Writes["crm/Leads"] }

// cured plays what a renewal cures.
func cured(ctx context.Context, s *stage, harm func()) (string, error) {
	written, tokens := s.written(), s.sim.Stats().TokenRequests
	harm()
	_, failed := s.post(ctx, calls)
	written, tokens = s.written()-written, s.sim.Stats().TokenRequests-tokens
	if failed != 0 || written != calls || tokens != 1 {
		return "", fmt.Errorf("%d of %d calls failed, %d records, %d token calls", failed, calls, written, tokens)
	}
	return fmt.Sprintf("%d of %d calls fail, %d records are made; %d token call", failed, calls, written, tokens), nil
}

// uncured plays the same with a job that knows nothing of it until it runs again.
func uncured(ctx context.Context, c *cron, harm func()) (string, error) {
	written := c.written()
	harm()
	_, failed := c.post(ctx, calls)
	if err := c.run(ctx); err != nil {
		return "", err
	}
	written = c.written() - written
	if err := c.wellAgain(ctx, 5*time.Second); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d of %d calls fail, %d records are made; well again when the job runs next", failed, calls, written), nil
}

func revoked(ctx context.Context, s *stage) (string, error) {
	return cured(ctx, s, func() { s.sim.RevokeAccess("") })
}

func revokedCron(ctx context.Context, c *cron) (string, error) {
	return uncured(ctx, c, func() { c.sim.RevokeAccess("") })
}

func ended(ctx context.Context, s *stage) (string, error) {
	return cured(ctx, s, func() { s.sim.Expire("") })
}

func endedCron(ctx context.Context, c *cron) (string, error) {
	return uncured(ctx, c, func() { c.sim.Expire("") })
}

// refusedByBooks plays a refusal that no token cures.
func refusedByBooks(ctx context.Context, s *stage) (string, error) {
	tokens := s.sim.Stats().TokenRequests
	s.sim.AddFault(zohosim.Fault{Where: "books", Kind: zohosim.FaultRefuse, Body: zohosim.CaseScope})
	verdict := ""
	for range calls {
		res, err := s.try(ctx, http.MethodGet, "/books/v3/contacts?organization_id=60001234567")
		if err != nil {
			return "", err
		}
		if res.StatusCode != http.StatusUnauthorized {
			return "", fmt.Errorf("a refusal of Books became %s", res.Status)
		}
		verdict = res.Header.Get("Zoho-Proxy-Verdict")
	}
	if verdict != "" {
		verdict = fmt.Sprintf(", marked `%s`", verdict)
	}
	return fmt.Sprintf("Zoho's 401%s; %d token calls for %d refusals", verdict, s.sim.Stats().TokenRequests-tokens, calls), nil
}

func badScope(ctx context.Context, s *stage) (string, error) { return refusedByBooks(ctx, s) }

func badScopeCron(ctx context.Context, c *cron) (string, error) { return refusedByBooks(ctx, c.stage) }

const deployments = 12

func deployed(ctx context.Context, s *stage) (string, error) {
	for range deployments {
		if err := s.restart(ctx); err != nil {
			return "", err
		}
		http.DefaultClient.CloseIdleConnections()
		if _, failed := s.post(ctx, 1); failed != 0 {
			return "", fmt.Errorf("a call failed after a restart:\n%s", s.logs())
		}
	}
	tokens := s.sim.Stats().TokenRequests
	s.sim.RevokeAccess("")
	if _, failed := s.post(ctx, calls); failed != 0 || tokens != 1 {
		return "", fmt.Errorf("%d of %d calls failed, %d token calls before", failed, calls, tokens)
	}
	return fmt.Sprintf("%d token call for all of them; then 0 of %d calls fail", tokens, calls), nil
}

func deployedCron(ctx context.Context, c *cron) (string, error) {
	for range deployments {
		if err := c.run(ctx); err != nil {
			return "", err
		}
	}
	tokens := c.sim.Stats().TokenRequests
	c.sim.RevokeAccess("")
	if err := c.run(ctx); err != nil {
		return "", err
	}
	_, failed := c.post(ctx, calls)
	return fmt.Sprintf("%d token calls, %d of them blocked; then %d of %d calls fail, also when the job runs, for up to ten minutes", tokens, c.refused-1, failed, calls), nil
}

// outage keeps Accounts out of reach from now on, and calls as long as the token lives.
func outage(ctx context.Context, s *stage, end time.Time) (failed int) {
	for tick := range time.Tick(20 * time.Millisecond) {
		if tick.After(end) {
			break
		}
		_, n := s.post(ctx, 1)
		failed += n
	}
	return failed
}

// shortLife is what a token lives where its end is waited for.
const shortLife = 4 * time.Second

// shorten makes the next token a short-lived one, and returns when it surely lives still.
func (s *stage) shorten() (end time.Time) {
	s.sim.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultExpiresIn, Body: fmt.Sprint(int(shortLife.Seconds())), Count: 1})
	return time.Now().Add(shortLife - time.Second)
}

func unreachable(ctx context.Context, s *stage) (string, error) {
	s.sim.RevokeAccess("")
	end := s.shorten()
	if _, failed := s.post(ctx, 1); failed != 0 {
		return "", fmt.Errorf("no short-lived token:\n%s", s.logs())
	}
	s.sim.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultStatus, Status: 503})
	if failed := outage(ctx, s, end); failed != 0 {
		return "", fmt.Errorf("%d calls failed while the token lived", failed)
	}
	var refusal *http.Response
	for refusal == nil || refusal.StatusCode < 300 {
		refusal, _ = s.post(ctx, 1)
	}
	s.sim.ClearFaults("")
	if err := s.wellAgain(ctx, time.Minute); err != nil {
		return "", err
	}
	return fmt.Sprintf("no call fails while the token lives; then %d with `Retry-After`; well again by itself, a minute after Accounts at the latest", refusal.StatusCode), nil
}

func unreachableCron(ctx context.Context, c *cron) (string, error) {
	end := time.Now().Add(shortLife / 2)
	c.sim.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultStatus, Status: 503})
	if err := c.run(ctx); err != nil { // when it is due
		return "", err
	}
	if failed := outage(ctx, c.stage, end); failed != 0 {
		return "", fmt.Errorf("%d calls failed while the token lived", failed)
	}
	c.sim.Expire("")
	c.sim.ClearFaults("")
	refusal, failed := c.post(ctx, calls)
	return fmt.Sprintf("no call fails while the token lives; then %d of %d fail with Zoho's %d, until the job runs next", failed, calls, refusal.StatusCode), nil
}
