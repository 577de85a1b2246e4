package tokencache_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func TestOneTokenForThousandsOfCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.server.slow(time.Second)
		var callers sync.WaitGroup
		for range 5000 {
			callers.Go(func() {
				if tok := r.get("crm"); tok.Value != "token-1" {
					t.Errorf("got %v", tok)
				}
			})
		}
		callers.Wait()
		r.wantCalls(1)
		if n := len(r.journal.of(tokencache.EventWaited)); n == 0 {
			t.Error("nobody is known to have waited")
		}
		for _, e := range r.journal.of(tokencache.EventTokenRequest) {
			if e.Cause != tokencache.CauseFirst || e.Result != "ok" || e.Generation != 1 || e.Duration != time.Second || e.Expiry.IsZero() {
				t.Errorf("event %+v", e)
			}
		}
	})
}

func TestHangingUpHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.server.slow(5 * time.Second)
		ctx, hangUp := context.WithCancel(context.Background())
		leader := make(chan error, 1)
		go func() {
			_, err := r.resource("crm").Get(ctx, r.client)
			leader <- err
		}()
		synctest.Wait()
		hangUp()
		if err := <-leader; !errors.Is(err, context.Canceled) {
			t.Errorf("who hung up got %v", err)
		}
		if tok := r.get("crm"); tok.Value != "token-1" {
			t.Errorf("who stayed got %v", tok)
		}
		r.wantCalls(1)
	})
}

func TestEarlyRenewalInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		settle(55*time.Minute - time.Second)
		if r.get("crm"); r.server.count() != 1 {
			t.Fatal("renewed too early")
		}
		r.server.slow(10 * time.Second)
		settle(time.Second)
		before := time.Now()
		for range 100 {
			if tok := r.get("crm"); tok.Generation != 1 {
				t.Fatal("the old token was not served on")
			}
		}
		if time.Since(before) != 0 {
			t.Error("a caller waited for a renewal in the background")
		}
		settle(10 * time.Second)
		if tok := r.get("crm"); tok.Generation != 2 {
			t.Errorf("got %v after the renewal", tok)
		}
		r.wantCalls(2)
		if e := r.journal.of(tokencache.EventTokenRequest)[1]; e.Cause != tokencache.CauseExpiry {
			t.Errorf("cause %s", e.Cause)
		}
	})
}

// A failure in the background is tried again as the table has it.
func TestEarlyRenewalThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		settle(56 * time.Minute)
		r.server.set(failing(tokencache.KindTemporary, true))
		for want := 2; want <= 3; want++ { // after one second at most, then two
			r.get("crm")
			synctest.Wait()
			r.wantCalls(want)
			settle(time.Duration(want-1) * time.Second)
		}
		r.server.set(nil)
		r.get("crm")
		synctest.Wait()
		if tok := r.get("crm"); tok.Generation != 2 {
			t.Errorf("got %v", tok)
		}
	})
}

// The margin is spread by a tenth, and never more than a quarter of the life.
func TestEarlyRenewalMargin(t *testing.T) {
	for _, tt := range []struct {
		life, margin, before time.Duration
		rand                 float64
	}{
		{time.Hour, 5 * time.Minute, 0, 0.5},
		{time.Hour, 4*time.Minute + 30*time.Second, 0, 0},
		{time.Hour, 5*time.Minute + 15*time.Second, 0, 0.75},
		{time.Hour, 10 * time.Minute, 10 * time.Minute, 0.5},
		{8 * time.Second, 2 * time.Second, 0, 0.99},
		{8 * time.Second, 1800 * time.Millisecond, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(o *tokencache.Options) { o.Rand = func() float64 { return tt.rand } })
			r.client.RefreshBefore = tt.before
			r.server.set(func(call int) (tokencache.Fetched, error) {
				got, _ := token(call)
				got.Life = tt.life
				return got, nil
			})
			r.get("crm")
			settle(tt.life - tt.margin - time.Millisecond)
			r.get("crm")
			synctest.Wait()
			r.wantCalls(1)
			settle(2 * time.Millisecond)
			r.get("crm")
			synctest.Wait()
			r.wantCalls(2)
		})
	}
}

func TestLifeOfAToken(t *testing.T) {
	for _, tt := range []struct {
		told, most, want time.Duration
	}{
		{time.Hour, time.Hour, time.Hour},
		{0, time.Hour, time.Hour},
		{-5, 0, time.Hour},
		{2 * time.Hour, time.Hour, time.Hour},
		{2 * time.Hour, 0, 2 * time.Hour},
		{1 << 62, 0, 10 * 365 * 24 * time.Hour},
		{10 * time.Second, time.Hour, 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.client.MaxLife = tt.most
			r.server.set(func(int) (tokencache.Fetched, error) {
				return tokencache.Fetched{AccessToken: "t", Life: tt.told}, nil
			})
			tok := r.get("crm")
			if got := tok.Expiry.Sub(tok.Issued); got != tt.want {
				t.Errorf("told %s, at most %s: %s", tt.told, tt.most, got)
			}
		})
	}
}

// A token that is over by the time it arrives is an error, not a reason to ask
// again and again.
func TestTokenThatEndsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.server.slow(3 * time.Second)
		r.server.set(func(int) (tokencache.Fetched, error) {
			return tokencache.Fetched{AccessToken: "t", Life: 2 * time.Second}, nil
		})
		r.refusal("crm", tokencache.KindTemporary)
		r.wantCalls(1)
	})
}

// S-33: accounts out of reach for an hour, with 40 minutes left.
func TestHourOfOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		settle(20 * time.Minute)
		r.server.set(failing(tokencache.KindTemporary, true))
		start := time.Now()
		for time.Since(start) < 40*time.Minute {
			r.get("crm")
			settle(time.Second)
		}
		for time.Since(start) < time.Hour {
			e := r.refusal("crm", tokencache.KindTemporary)
			if e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
				t.Fatalf("Retry-After %s", e.RetryAfter)
			}
			settle(time.Second)
		}
		r.wantState(tokencache.StateDegraded)
		r.server.set(nil)
		back := time.Now()
		for {
			if _, err := r.resource("crm").Get(t.Context(), r.client); err == nil {
				break
			}
			settle(time.Second)
		}
		if d := time.Since(back); d > time.Minute {
			t.Errorf("recovered after %s", d)
		}
		r.wantState(tokencache.StateOK)
		states := r.journal.of(tokencache.EventState)
		if len(states) != 2 || states[0].State != tokencache.StateDegraded || states[1].State != tokencache.StateOK {
			t.Errorf("told of %+v", states)
		}
	})
}

// The whole waiting table, as callers that never tire see it.
func TestWaitingTableInUse(t *testing.T) {
	minute := time.Minute
	for kind, want := range map[tokencache.Kind][]time.Duration{
		tokencache.KindTemporary: {time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, minute, minute},
		tokencache.KindThrottled: {minute, 2 * minute, 5 * minute, 10 * minute, 10 * minute},
		tokencache.KindDead:      {10 * time.Second, 30 * time.Second, minute, 2 * minute, 5 * minute, 10 * minute, 10 * minute},
		tokencache.KindRejected:  {10 * time.Second, 30 * time.Second, minute, 2 * minute, 5 * minute, 10 * minute, 10 * minute},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(o *tokencache.Options) { o.Rand = func() float64 { return 0 } })
				r.server.set(failing(kind, true))
				for len(r.server.calls) < len(want)+1 {
					e := r.refusal("crm", kind)
					if needsHand := kind == tokencache.KindDead || kind == tokencache.KindRejected; needsHand != (e.RetryAfter == 0) {
						t.Fatalf("Retry-After %s", e.RetryAfter)
					}
					settle(100 * time.Millisecond)
				}
				for i, d := range want {
					if got := r.server.calls[i+1].Sub(r.server.calls[i]).Round(time.Second); got != d {
						t.Errorf("try %d after %s, want %s", i+2, got, d)
					}
				}
			})
		})
	}
}

func TestRetryAfterOfTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.server.set(func(int) (tokencache.Fetched, error) {
			return tokencache.Fetched{}, &tokencache.FetchError{Kind: tokencache.KindTemporary, RetryAfter: 90 * time.Second}
		})
		if e := r.refusal("crm", tokencache.KindTemporary); e.RetryAfter != 90*time.Second {
			t.Errorf("Retry-After %s", e.RetryAfter)
		}
		settle(89 * time.Second)
		if e := r.refusal("crm", tokencache.KindTemporary); e.RetryAfter != time.Second {
			t.Errorf("Retry-After %s a second before the end", e.RetryAfter)
		}
		r.wantCalls(1)
	})
}

func TestDeadTokenIsServedToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		r.server.set(failing(tokencache.KindDead, true))
		settle(56 * time.Minute)
		r.get("crm")
		synctest.Wait()
		r.wantState(tokencache.StateDead)
		settle(4*time.Minute - 2*time.Second)
		if tok := r.get("crm"); tok.Generation != 1 {
			t.Errorf("got %v", tok)
		}
		settle(3 * time.Second)
		r.refusal("crm", tokencache.KindDead)
	})
}

// Who is dead or rejected is tried at once when a human has helped: the grant,
// or the secret, is another one.
func TestHelpIsNoticed(t *testing.T) {
	for name, help := range map[string]func(*rig){
		"grant":       func(r *rig) { r.grants.set("default", "another one") },
		"secret":      func(r *rig) { r.secret.set("another secret") },
		"credentials": func(r *rig) { r.client.Credentials = func() [][]byte { return [][]byte{[]byte("x")} } },
		"operator": func(r *rig) {
			if _, err := r.conn().Refresh(context.Background(), r.client); err != nil {
				r.Errorf("Refresh: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(o *tokencache.Options) { o.Rand = func() float64 { return 0 } })
				r.server.set(failing(tokencache.KindRejected, true))
				for range 6 { // ten minutes of silence at the end
					r.refusal("crm", tokencache.KindRejected)
					settle(5 * time.Minute)
				}
				calls := r.server.count()
				settle(2 * time.Second)
				r.refusal("crm", tokencache.KindRejected)
				r.wantCalls(calls)
				r.server.set(nil)
				settle(2 * time.Second)
				help(r)
				r.get("crm")
				r.wantCalls(calls + 1)
				r.wantState(tokencache.StateOK)
			})
		})
	}
}

// While dead, requests look at grant and secret once a second, however many they are.
func TestLookingForHelpIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *tokencache.Options) { o.Rand = func() float64 { return 0 } })
		r.server.set(failing(tokencache.KindDead, true))
		looks := 0
		r.client.Grant = func(account string) (tokencache.Grant, bool, error) {
			looks++
			return r.grants.get(account)
		}
		r.refusal("crm", tokencache.KindDead)
		looks = 0
		for range 50 {
			r.refusal("crm", tokencache.KindDead)
			settle(100 * time.Millisecond)
		}
		if looks < 4 || looks > 5 {
			t.Errorf("%d looks in five seconds", looks)
		}
		r.wantCalls(1)
	})
}

func TestThrottledIsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.client.KeepWarm = 24 * time.Hour
		defer r.cache.Use(func(string) *tokencache.Client { return r.client })()
		r.get("crm")
		r.server.set(failing(tokencache.KindThrottled, false))
		settle(2 * time.Minute)
		tok, err := r.resource("crm").Refused(t.Context(), r.client, 1, false)
		r.wantError(tok, err, tokencache.KindThrottled)
		r.wantCalls(2)
		settle(29 * time.Second)
		tok, err = r.resource("desk").Refused(t.Context(), r.client, 1, false)
		if e := r.wantError(tok, err, tokencache.KindThrottled); e.RetryAfter != time.Second {
			t.Errorf("Retry-After %s", e.RetryAfter)
		}
		tok, err = r.conn().Refresh(t.Context(), r.client)
		r.wantError(tok, err, tokencache.KindThrottled)
		r.wantCalls(2)
	})
}

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		start := time.Now()
		for range 10 {
			if _, err := r.conn().Refresh(t.Context(), r.client); err != nil {
				t.Fatal(err)
			}
			settle(time.Second)
		}
		tok, err := r.conn().Refresh(t.Context(), r.client)
		e := r.wantError(tok, err, tokencache.KindBudget)
		if want := 10*time.Minute - time.Since(start); e.RetryAfter != want {
			t.Errorf("Retry-After %s, want %s", e.RetryAfter, want)
		}
		r.get("crm") // the token lives
		settle(e.RetryAfter)
		if tok, err := r.conn().Refresh(t.Context(), r.client); err != nil || tok.Generation != 11 {
			t.Errorf("after the wait: %v, %v", tok, err)
		}
		r.wantCalls(11)
	})
}

// A call counts from its answer on: the server counted it no later.
func TestBudgetCountsFromTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.client.Budget = 1
		r.server.slow(10 * time.Second)
		r.get("crm")
		tok, err := r.conn().Refresh(t.Context(), r.client)
		if e := r.wantError(tok, err, tokencache.KindBudget); e.RetryAfter != 10*time.Minute {
			t.Errorf("Retry-After %s", e.RetryAfter)
		}
	})
}

// Background renewals stay quiet while the budget is spent.
func TestBudgetInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.client.Budget, r.client.BudgetWindow = 1, 58*time.Minute
		r.get("crm")
		settle(55 * time.Minute)
		for time.Since(r.server.calls[0]) < 58*time.Minute {
			r.get("crm")
			settle(time.Second)
		}
		r.wantCalls(1)
		settle(time.Second)
		r.get("crm")
		synctest.Wait()
		r.wantCalls(2)
	})
}

// What plainly made no token is struck out; anything else counts.
func TestWhatCounts(t *testing.T) {
	plain := errors.New("no word about a token")
	for _, tt := range []struct {
		name string
		err  error
		left int
	}{
		{"no connection", &tokencache.FetchError{Kind: tokencache.KindTemporary, NoToken: true, Err: plain}, 10},
		{"dead", &tokencache.FetchError{Kind: tokencache.KindDead, NoToken: true, Err: plain}, 10},
		{"time-out", &tokencache.FetchError{Kind: tokencache.KindTemporary, Err: plain}, 9},
		{"throttle", &tokencache.FetchError{Kind: tokencache.KindThrottled, NoToken: true, Err: plain}, 9},
		{"unknown error", plain, 9},
		{"odd kind", &tokencache.FetchError{Kind: tokencache.KindBudget}, 9},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.server.set(func(int) (tokencache.Fetched, error) { return tokencache.Fetched{}, tt.err })
			_, err := r.resource("crm").Get(t.Context(), r.client)
			if !errors.Is(err, tt.err) {
				t.Errorf("%s: got %v", tt.name, err)
			}
			if got := r.cache.Status(r.client)[0].BudgetLeft; got != tt.left {
				t.Errorf("%s: budget left %d, want %d", tt.name, got, tt.left)
			}
		})
	}
}

func TestFlightsEndWhateverHappens(t *testing.T) {
	var nobody *rig
	for name, answer := range map[string]func(int) (tokencache.Fetched, error){
		"panic":         func(int) (tokencache.Fetched, error) { panic("a secret in the panic") },
		"runtime error": func(int) (tokencache.Fetched, error) { return tokencache.Fetched{AccessToken: nobody.client.Name}, nil },
		"goexit":        func(int) (tokencache.Fetched, error) { runtime.Goexit(); return tokencache.Fetched{}, nil },
		"no token":      func(int) (tokencache.Fetched, error) { return tokencache.Fetched{Life: time.Hour}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.server.set(answer)
				e := r.refusal("crm", tokencache.KindTemporary)
				if strings.Contains(e.Error(), "secret") || !strings.Contains(e.Error(), "main/default") {
					t.Errorf("error %q", e)
				}
				r.server.set(nil)
				settle(time.Minute)
				r.get("crm")
			})
		})
	}
}

func TestPanicInTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.conn()
		grant := r.client.Grant
		r.client.Grant = func(string) (tokencache.Grant, bool, error) { panic("in a placeholder") }
		tok, err := n.Resource("crm").Get(t.Context(), r.client)
		r.wantError(tok, err, tokencache.KindTemporary)
		r.client.Grant = grant
		r.get("crm")
	})
}

// A server that never answers costs the flight's deadline, no more.
func TestFlightDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.server.slow(time.Hour)
		start := time.Now()
		e := r.refusal("crm", tokencache.KindTemporary)
		if d := time.Since(start); d != 15*time.Second || !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("%v after %s", e, d)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.client.KeepWarm = time.Hour
		r.get("crm")
		r.server.slow(10 * time.Second)
		settle(56 * time.Minute)
		r.get("crm") // starts a renewal
		start := time.Now()
		if err := r.cache.Close(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("Close took %s, the flight 10s", d)
		}
		if tok := r.get("crm"); tok.Generation != 2 {
			t.Errorf("after Close: %v", tok)
		}
		settle(2 * time.Hour)
		r.refusal("crm", tokencache.KindTemporary)
		if err := r.cache.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
		r.wantCalls(2)
	})
}
