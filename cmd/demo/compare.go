package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// calls are made at once where no time passes.
const calls = 40

// scenario is something that goes wrong, played once with this proxy and once with the
// job. What they return is a cell of the table. A side that does not do what its cell
// says is an error.
type scenario struct {
	title string
	life  time.Duration // of access tokens; 0 means Zoho's hour
	ours  func(context.Context, *stage) (string, error)
	cron  func(context.Context, *cron) (string, error)
}

var scenarios = []scenario{
	{"Zoho revokes every access token", 0, revoked, revokedCron},
	{"tokens expire while the app sends POSTs", hour, ended, endedCron},
	{"Books refuses an app without the scope", 0, badScope, badScopeCron},
	{"twelve deployments in ten minutes, then the token is revoked", 0, deployed, deployedCron},
	{"Zoho Accounts is unreachable for an hour, starting before the token expires", hour, unreachable, unreachableCron},
}

// compare plays the scenarios and prints a table in Markdown; docs/how-it-works.md has it.
func compare(ctx context.Context, config string) error {
	fmt.Println("| what happens | with this proxy | with a cron job that writes a token into a web server's " +
		"configuration |")
	fmt.Println("| --- | --- | --- |")
	for _, s := range scenarios {
		ours, theirs, err := s.play(ctx, config)
		if err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
		fmt.Printf("| %s | %s | %s |\n", s.title, ours, theirs)
	}
	return nil
}

// play plays both sides at the same time, each with a Zoho of its own.
func (s scenario) play(ctx context.Context, config string) (ours, theirs string, err error) {
	var (
		sides            sync.WaitGroup
		oursErr, cronErr error
	)
	sides.Go(func() { ours, oursErr = withStage(ctx, config, s.life, s.ours) })
	sides.Go(func() { theirs, cronErr = withCron(ctx, s.life, s.cron) })
	sides.Wait()
	if oursErr != nil {
		oursErr = fmt.Errorf("with this proxy: %w", oursErr)
	}
	if cronErr != nil {
		cronErr = fmt.Errorf("with a cron job: %w", cronErr)
	}
	return ours, theirs, errors.Join(oursErr, cronErr)
}

func withStage(
	ctx context.Context,
	config string,
	life time.Duration,
	play func(context.Context, *stage) (string, error),
) (string, error) {
	s, err := newStage(ctx, config, zohosim.Options{TokenLife: life})
	if err != nil {
		return "", err
	}
	defer s.close()
	// The first call fetches the first token, as the job has done on the other side.
	s.asked = s.clock.now()
	if first := s.burst(ctx, 1); first.failed() != 0 {
		return "", fmt.Errorf("the first call failed:\n%s", s.logs())
	}
	return play(ctx, s)
}

func revoked(ctx context.Context, s *stage) (string, error) {
	before := s.tokenCalls()
	s.sim.RevokeAccess("")
	all := s.burst(ctx, calls)
	if all.failed() != 0 || s.tokenCalls()-before != 1 {
		return "", fmt.Errorf("%d of %d calls failed, %d token calls", all.failed(), calls, s.tokenCalls()-before)
	}
	return fmt.Sprintf("0 of %d calls fail, and each runs once; 1 token call", calls), all.once()
}

func revokedCron(ctx context.Context, c *cron) (string, error) {
	c.sim.RevokeAccess("")
	all := c.burst(ctx, calls)
	if all.failed() != calls {
		return "", fmt.Errorf("%d calls failed of %d", all.failed(), calls)
	}
	if err := c.run(ctx); err != nil {
		return "", err
	}
	if again := c.burst(ctx, calls); again.failed() != 0 {
		return "", fmt.Errorf("%d calls failed after the job had run", again.failed())
	}
	return fmt.Sprintf("%d of %d calls fail with Zoho's %d, and so do all others until the job's "+
		"next run, up to 50 minutes later", calls, calls, all[0].status), all.once()
}

func ended(ctx context.Context, s *stage) (string, error) {
	before := s.tokenCalls()
	all, err := s.pace(ctx, 2*period)
	if err != nil {
		return "", err
	}
	if all.failed() != 0 {
		return "", fmt.Errorf("%d of %d calls failed", all.failed(), len(all))
	}
	// However slow the machine is: at least one, and none sooner than that.
	passed := all[len(all)-1].at
	if n := s.tokenCalls() - before; n < 1 || n > int(passed/(hour-unused)) {
		return "", fmt.Errorf("%s in %s, in which a token lives for %s", countTokenCalls(n), passed, hour)
	}
	return "no call fails in 100 minutes; a token call about every 45 minutes", nil
}

func endedCron(ctx context.Context, c *cron) (string, error) {
	job := func() error { return c.run(ctx) }
	before := c.tokenCalls()
	all, err := c.pace(ctx, 2*period, event{period, job})
	if err != nil {
		return "", err
	}
	if all.failed() != 0 {
		return "", fmt.Errorf("%d of %d calls failed though the job ran", all.failed(), len(all))
	}
	kept := c.tokenCalls() - before

	if err := job(); err != nil {
		return "", err
	}
	missed, err := c.pace(ctx, 2*period, event{2 * period, job})
	if err != nil {
		return "", err
	}
	from, to := missed.gap()
	if from == 0 {
		return "", errors.New("no call failed though a run was missed")
	}
	return fmt.Sprintf("no call fails in 100 minutes either, with %s; when the job misses a run, every call fails for %d minutes",
		countTokenCalls(kept), tens(to-from)), nil
}

// tens gives minutes of the played time, to the nearest ten.
func tens(d time.Duration) int { return 10 * int(math.Round(float64(d)/float64(10*minute))) }

// refusedByBooks plays a refusal that no token cures.
func refusedByBooks(ctx context.Context, s *stage) (verdict string, tokenCalls int, err error) {
	before := s.tokenCalls()
	s.sim.AddFault(zohosim.Fault{Where: "books", Kind: zohosim.FaultRefuse, Body: zohosim.CaseScope})
	for range calls {
		res, _, err := s.send(ctx, http.MethodGet, "/books/v3/contacts?organization_id=60001234567", "", "")
		if err != nil {
			return "", 0, err
		}
		if res.StatusCode != http.StatusUnauthorized {
			return "", 0, fmt.Errorf("a refusal of Books became %s", res.Status)
		}
		verdict = res.Header.Get("Zoho-Proxy-Verdict")
	}
	return verdict, s.tokenCalls() - before, nil
}

func badScope(ctx context.Context, s *stage) (string, error) {
	verdict, tokenCalls, err := refusedByBooks(ctx, s)
	if err == nil && (verdict != "ambiguous" || tokenCalls != 0) {
		err = fmt.Errorf("verdict %q, %d token calls", verdict, tokenCalls)
	}
	return fmt.Sprintf("Zoho's 401, marked `%s`; %d token calls for %d refusals of a token younger than a "+
		"minute; an older token is renewed once",
		verdict, tokenCalls, calls), err
}

func badScopeCron(ctx context.Context, c *cron) (string, error) {
	_, tokenCalls, err := refusedByBooks(ctx, c.stage)
	return fmt.Sprintf("Zoho's 401; %d token calls for %d refusals", tokenCalls, calls), err
}

const deployments = 12

func deployed(ctx context.Context, s *stage) (string, error) {
	for range deployments {
		if err := s.restart(ctx); err != nil {
			return "", err
		}
		s.app.CloseIdleConnections()
		if s.burst(ctx, 1).failed() != 0 {
			return "", fmt.Errorf("a call failed after a restart:\n%s", s.logs())
		}
	}
	tokens := s.tokenCalls()
	s.sim.RevokeAccess("")
	all := s.burst(ctx, calls)
	if all.failed() != 0 || tokens != 1 {
		return "", fmt.Errorf("%d of %d calls failed, %d token calls before", all.failed(), calls, tokens)
	}
	return fmt.Sprintf("1 token call for all of them; then 0 of %d calls fail", calls), all.once()
}

func deployedCron(ctx context.Context, c *cron) (string, error) {
	for range deployments {
		if err := c.run(ctx); err != nil {
			return "", err
		}
	}
	tokens, blocked := c.tokenCalls(), c.refused
	c.sim.RevokeAccess("")
	if err := c.run(ctx); err != nil {
		return "", err
	}
	all := c.burst(ctx, calls)
	return fmt.Sprintf("%d token calls, %d of them blocked; then %d of %d calls fail for up to ten "+
		"minutes, even after the job runs",
		tokens, blocked, all.failed(), calls), all.once()
}

// outage keeps Accounts out of reach.
func (s *stage) outage() {
	s.sim.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultStatus, Status: http.StatusServiceUnavailable})
}

// unreachable has the outage begin with the token, and last until that has ended, however long
// it takes until a call shows it.
func unreachable(ctx context.Context, s *stage) (string, error) {
	start := s.asked
	s.outage()
	within, err := s.paceTo(ctx, outcome.failed, hour)
	if err != nil {
		return "", err
	}
	s.sim.ClearFaults("")
	after, err := s.pace(ctx, s.clock.now().Sub(start))
	if err != nil {
		return "", err
	}
	all := append(within, after...)
	if from, _ := all.gap(); from < hour {
		return "", fmt.Errorf("calls failed from %s on, the token lives for %s", from, hour)
	}
	for _, o := range all {
		if o.failed() && (o.status != http.StatusServiceUnavailable || o.retryAfter == "") {
			return "", fmt.Errorf("status %d with Retry-After %q", o.status, o.retryAfter)
		}
	}
	return "no call fails while the token is valid; then calls get 503 with `Retry-After`; the proxy recovers on its own " +
		"within 75 seconds after Accounts is back, or two minutes if Accounts asked for a longer wait", nil
}

func unreachableCron(ctx context.Context, c *cron) (string, error) {
	const (
		down = 42 * minute
		up   = down + 60*minute
	)
	job := func() error { return c.run(ctx) }
	begin := func() error { c.outage(); return nil }
	end := func() error { c.sim.ClearFaults(""); return nil }
	all, err := c.pace(ctx, up+minute,
		event{down, begin}, event{period, job}, event{2 * period, job}, event{up, end}, event{3 * period, job})
	if err != nil {
		return "", err
	}
	from, to := all.gap()
	if from < 55*minute {
		return "", fmt.Errorf("calls failed from %s to %s, the token lives for %s", from, to, hour)
	}
	var refusal outcome
	for _, o := range all {
		if o.failed() {
			refusal = o
		}
	}
	return fmt.Sprintf("no call fails while the token is valid; then every call fails with Zoho's %d until the job's next run, "+
		"here about %d minutes after Accounts is back", refusal.status, tens(to-up)), nil
}
