package tokencache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

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
	for asked, want := range map[time.Duration]time.Duration{
		90 * time.Second: 90 * time.Second, time.Hour: 2 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.server.set(patient(asked))
			if e := r.refusal("crm", tokencache.KindTemporary); e.RetryAfter != want {
				t.Errorf("Retry-After %s", e.RetryAfter)
			}
			settle(want - time.Second)
			if e := r.refusal("crm", tokencache.KindTemporary); e.RetryAfter != time.Second {
				t.Errorf("Retry-After %s a second before the end", e.RetryAfter)
			}
			r.wantCalls(1)
			r.server.set(nil)
			settle(time.Second)
			r.get("crm")
		})
	}
}

// patient is a server in trouble that asks for patience.
func patient(asked time.Duration) func(int) (tokencache.Fetched, error) {
	return func(int) (tokencache.Fetched, error) {
		return tokencache.Fetched{}, &tokencache.FetchError{Kind: tokencache.KindTemporary, RetryAfter: asked}
	}
}

// One answer that asks for an hour does not stop the renewal in the background.
func TestRetryAfterInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		r.server.set(patient(time.Hour))
		settle(56 * time.Minute)
		r.get("crm")
		synctest.Wait()
		r.wantCalls(2)
		r.server.set(nil)
		settle(2 * time.Minute)
		r.get("crm")
		synctest.Wait()
		if g := r.get("crm").Generation; g != 2 {
			t.Errorf("generation %d", g)
		}
	})
}

// The same over a restart, also of a wait that a version has written which was more patient;
// a throttle waits on as the server said.
func TestRetryAfterOverRestarts(t *testing.T) {
	for kind, want := range map[tokencache.Kind]time.Duration{
		tokencache.KindTemporary: 2 * time.Minute, tokencache.KindThrottled: time.Hour,
	} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			b := openBolt(t, dir)
			r := newRig(t, withBolt(b))
			r.server.set(func(int) (tokencache.Fetched, error) {
				return tokencache.Fetched{}, &tokencache.FetchError{Kind: kind, RetryAfter: time.Hour}
			})
			r.refusal("crm", kind)
			synctest.Wait()
			key := tokencache.Key{Client: "main", Account: "default"}
			rec, _, err := b.Load(key, r.client.Secrets())
			if err != nil {
				t.Fatal(err)
			}
			rec.NextTry = time.Now().Add(time.Hour)
			if err := b.Save(key, r.client.Secrets(), rec); err != nil {
				t.Fatal(err)
			}
			r.restart()
			r.server.set(nil)
			if e := r.refusal("crm", kind); e.RetryAfter != want {
				t.Errorf("%s: Retry-After %s", kind, e.RetryAfter)
			}
			settle(want)
			r.get("crm")
		})
	}
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
		tok, err := r.resource("crm").Refused(t.Context(), r.client, 1, tokencache.RefusalDead)
		r.wantError(tok, err, tokencache.KindThrottled)
		r.wantCalls(2)
		settle(29 * time.Second)
		tok, err = r.resource("desk").Refused(t.Context(), r.client, 1, tokencache.RefusalDead)
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
