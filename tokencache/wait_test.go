package tokencache_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// patientRig is a rig whose calls wait for the next try for two seconds. Each wait is half of
// its step: the next try is due half a second after the first failure, and a second after
// the second.
func patientRig(t *testing.T, change ...func(*tokencache.Options)) *rig {
	r := newRig(t, change...)
	r.client.TokenWait = 2 * time.Second
	return r
}

// failingOnce answers the first calls with errors.
func failingOnce(kinds ...tokencache.Kind) func(int) (tokencache.Fetched, error) {
	return func(call int) (tokencache.Fetched, error) {
		if call > len(kinds) {
			return token(call)
		}
		return failing(kinds[call-1], true)(call)
	}
}

// callers are many at once, who tell what came of it and after how long.
func (r *rig) callers(count int, ctx context.Context) (served, refused map[time.Duration]int, last error) {
	r.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	served, refused = make(map[time.Duration]int), make(map[time.Duration]int)
	start := time.Now()
	for range count {
		all.Go(func() {
			_, err := r.resource("crm").Get(ctx, r.client)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				served[time.Since(start)]++
			} else {
				refused[time.Since(start)]++
				last = err
			}
		})
	}
	all.Wait()
	return served, refused, last
}

func one(after time.Duration, count int) map[time.Duration]int {
	return map[time.Duration]int{after: count}
}

// wantCallers fails unless that many are served and refused, by how long they have waited.
func (r *rig) wantCallers(count int, wantServed, wantRefused map[time.Duration]int) error {
	r.Helper()
	served, refused, err := r.callers(count, r.Context())
	if !equalMaps(served, wantServed) || !equalMaps(refused, wantRefused) {
		r.Errorf("served %v, refused %v, want %v and %v; %v", served, refused, wantServed, wantRefused, err)
	}
	return err
}

func equalMaps(a, b map[time.Duration]int) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// One failure, with no token at hand, fails no call: all wait for the next try, which is one.
func TestCallsWaitForTheNextTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := patientRig(t)
		r.server.set(failingOnce(tokencache.KindTemporary))
		_ = r.wantCallers(1000, one(500*time.Millisecond, 1000), nil)
		r.wantCalls(2)
		waited := r.journal.of(tokencache.EventWaited)
		if len(waited) != 1000 {
			t.Errorf("%d are known to have waited", len(waited))
		}
		for _, e := range waited {
			if e.Duration != 500*time.Millisecond {
				t.Fatalf("one has waited %s", e.Duration)
			}
		}
	})
}

// The time of the failures themselves does not count: each of them bounds itself.
func TestWaitAfterASlowFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := patientRig(t)
		r.server.slow(14 * time.Second)
		r.server.set(failingOnce(tokencache.KindTemporary))
		_ = r.wantCallers(10, one(28500*time.Millisecond, 10), nil)
		r.wantCalls(2)
	})
}

// What goes on failing is told in time, and so is what takes longer. The error is the latest.
func TestWaitEnds(t *testing.T) {
	temporary, throttled, dead := tokencache.KindTemporary, tokencache.KindThrottled, tokencache.KindDead
	for name, tt := range map[string]struct {
		kinds []tokencache.Kind
		after time.Duration
		calls int
	}{
		"the third try is too far away": {
			[]tokencache.Kind{temporary, temporary, temporary, temporary}, 1500 * time.Millisecond, 3},
		"a throttle":                   {[]tokencache.Kind{throttled}, 0, 1},
		"a throttle after a failure":   {[]tokencache.Kind{temporary, throttled}, 500 * time.Millisecond, 2},
		"a dead grant":                 {[]tokencache.Kind{dead}, 0, 1},
		"a dead grant after a failure": {[]tokencache.Kind{temporary, dead}, 500 * time.Millisecond, 2},
		"a rejected client":            {[]tokencache.Kind{tokencache.KindRejected}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := patientRig(t)
				r.server.set(failingOnce(tt.kinds...))
				err := r.wantCallers(20, nil, one(tt.after, 20))
				var e *tokencache.Error
				if want := tt.kinds[tt.calls-1]; !errors.As(err, &e) || e.Kind != want {
					t.Errorf("got %v, want %s", err, want)
				}
				r.wantCalls(tt.calls)
			})
		})
	}
}

// Whatever ends by itself is waited for: a wait that is almost over, a budget that frees, a
// store that is looked at again.
func TestWhatIsWaitedFor(t *testing.T) {
	t.Run("the end of a throttle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := patientRig(t)
			r.server.set(failingOnce(tokencache.KindThrottled))
			r.refusal("crm", tokencache.KindThrottled)
			settle(28 * time.Second)
			_ = r.wantCallers(10, one(2*time.Second, 10), nil)
			r.wantCalls(2)
		})
	})
	t.Run("a budget", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := patientRig(t)
			r.client.Budget, r.client.BudgetWindow = 1, 10*time.Second
			r.get("crm")
			settle(7 * time.Second)
			tok, err := r.resource("crm").Refused(t.Context(), r.client, 1, tokencache.RefusalDead)
			r.wantError(tok, err, tokencache.KindBudget)
			settle(time.Second)
			_ = r.wantCallers(10, one(2*time.Second, 10), nil)
			r.wantCalls(2)
		})
	})
	t.Run("a configured grant", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := patientRig(t)
			r.conn()
			r.grants.fail(errors.New("file is empty"))
			time.AfterFunc(500*time.Millisecond, func() { r.grants.fail(nil) })
			_ = r.wantCallers(10, one(time.Second, 10), nil)
			r.wantCalls(1)
		})
	})
	t.Run("after a refusal", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := patientRig(t)
			r.get("crm")
			r.server.set(failing(tokencache.KindTemporary, true))
			time.AfterFunc(100*time.Millisecond, func() { r.server.set(nil) })
			r.wantRefused("crm", 1, dead, 2)
			r.wantCalls(3)
		})
	})
}

// Without the option, for an operator, for who only looks, and where the current token has to do:
// nobody waits.
func TestWhoDoesNotWait(t *testing.T) {
	for name, call := range map[string]func(r *rig) (*tokencache.Token, error){
		"turned off": func(r *rig) (*tokencache.Token, error) {
			r.client.TokenWait = 0
			return r.resource("crm").Get(r.Context(), r.client)
		},
		"an operator": func(r *rig) (*tokencache.Token, error) { return r.conn().Refresh(r.Context(), r.client) },
		"a look":      func(r *rig) (*tokencache.Token, error) { return r.conn().Token(r.Context(), r.client) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := patientRig(t)
				r.server.set(failing(tokencache.KindTemporary, true))
				start := time.Now()
				tok, err := call(r)
				r.wantError(tok, err, tokencache.KindTemporary)
				if d := time.Since(start); d != 0 {
					t.Errorf("after %s", d)
				}
				r.wantCalls(1)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := patientRig(t)
		r.get("crm")
		settle(57 * time.Minute)
		r.server.set(failing(tokencache.KindTemporary, true))
		start := time.Now()
		tok, err := r.resource("crm").GetFresh(t.Context(), r.client)
		if err != nil || tok.Generation != 1 || time.Since(start) != 0 {
			t.Errorf("%v, %v after %s", tok, err, time.Since(start))
		}
	})
}

// A thousand wait, whoever comes beside them is answered at once, and there is room again later.
func TestRoomForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := patientRig(t)
		r.server.set(failingOnce(tokencache.KindTemporary))
		_ = r.wantCallers(1500, one(500*time.Millisecond, 1000), one(0, 500))
		settle(2 * time.Hour)
		r.server.set(func(call int) (tokencache.Fetched, error) {
			if call == 3 {
				return failing(tokencache.KindTemporary, true)(call)
			}
			return token(call)
		})
		_ = r.wantCallers(1000, one(500*time.Millisecond, 1000), nil)
		r.wantCalls(4)
	})
}

// Who hangs up is let go at once, and harms nobody.
func TestHangingUpWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := patientRig(t)
		r.server.set(failingOnce(tokencache.KindTemporary))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() { _ = r.wantCallers(400, one(500*time.Millisecond, 400), nil) })
		served, refused, err := r.callers(600, ctx)
		if len(served) > 0 || !equalMaps(refused, one(100*time.Millisecond, 600)) {
			t.Errorf("served %v, refused %v, %v", served, refused, err)
		}
		_ = r.wantCallers(600, one(400*time.Millisecond, 600), nil) // in their place
		all.Wait()
	})
}

// Close is not held up by who waits, and they get an answer.
func TestCloseWhileCallersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := patientRig(t)
		r.server.set(failing(tokencache.KindTemporary, true))
		time.AfterFunc(100*time.Millisecond, func() {
			start := time.Now()
			if err := r.cache.Close(); err != nil || time.Since(start) != 0 {
				t.Errorf("Close: %v after %s", err, time.Since(start))
			}
		})
		_ = r.wantCallers(100, nil, one(100*time.Millisecond, 100))
		_ = r.wantCallers(1, nil, one(0, 1))
		r.wantCalls(1)
	})
}

// Whatever fails over and over, nobody spins: not where two configurations have different
// grants, not where the configuration panics, not where tokens end on their way.
func TestNobodySpinsWhileWaiting(t *testing.T) {
	for name, prepare := range map[string]func(r *rig){
		"panic": func(r *rig) {
			r.conn()
			r.client.Grant = func(string) (tokencache.Grant, bool, error) { panic("in a placeholder") }
		},
		"another configuration has the grant": func(r *rig) {
			r.get("crm")
			next := r.newClient()
			next.Grant = func(string) (tokencache.Grant, bool, error) {
				return tokencache.Grant{RefreshToken: "another one"}, true, nil
			}
			if _, err := r.resource("crm").Get(r.Context(), next); err != nil {
				r.Fatal(err)
			}
		},
		"tokens that end on their way": func(r *rig) {
			r.server.slow(5 * time.Second)
			r.server.set(func(call int) (tokencache.Fetched, error) {
				return tokencache.Fetched{AccessToken: "x", Life: time.Second}, nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := patientRig(t)
				prepare(r)
				var looks atomic.Int32
				grant := r.client.Grant
				r.client.Grant = func(account string) (tokencache.Grant, bool, error) { looks.Add(1); return grant(account) }
				calls := r.server.count()
				r.refusal("crm", tokencache.KindTemporary)
				if n := r.server.count() - calls; looks.Load() > 20 || n > 1 {
					t.Errorf("%d looks at the grant, %d calls", looks.Load(), n)
				}
			})
		})
	}
}
