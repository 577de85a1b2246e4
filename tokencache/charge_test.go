package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

const silent = tokencache.RefusalSilent

func (r *rig) call(caller, name string, likeness uint64) tokencache.Call {
	r.Helper()
	return tokencache.Call{Resource: r.resource(name), Caller: caller, Likeness: likeness}
}

// succeed is a call that is accepted, or was to be healed: its replay is accepted.
func (r *rig) succeed(c tokencache.Call) {
	r.Helper()
	tok, err := c.Resource.Get(r.Context(), r.client)
	if err != nil {
		r.Fatal(err)
	}
	c.Accepted(tok.Generation)
}

// heal is a call whose token was revoked, and which has to be healed.
func (r *rig) heal(c tokencache.Call, how tokencache.Refusal) {
	r.Helper()
	g := r.conn().Peek().Generation
	tok, err := c.Refused(r.Context(), r.client, g, how)
	if err != nil || tok == nil || tok.Generation != g+1 {
		r.Fatalf("%s at generation %d: not healed: %v, %v", c.Caller, g, tok, err)
	}
	c.Accepted(tok.Generation)
	c.ReplayAccepted(tok)
}

// provoke is a call that is refused whatever its token, as long as it gets another one.
func (r *rig) provoke(c tokencache.Call, how tokencache.Refusal) (passedOn bool) {
	r.Helper()
	tok, err := c.Resource.Get(r.Context(), r.client)
	for first := tokencache.Mark(0); err == nil && tok != nil; {
		sent := c.Resource.Mark()
		if first != 0 && c.ReplayRefused(tok, first) {
			return false
		}
		first = max(sent, 1)
		if tok, err = c.Refused(r.Context(), r.client, tok.Generation, how); tok == nil && err == nil {
			return true
		}
	}
	return false
}

var services = []string{"analytics", "bigin", "calendar", "cliq", "creator", "desk", "mail", "people", "projects", "recruit", "sign", "writer"}

// S-67: whatever one caller has refused, and however it is spread over ten minutes, costs two tokens
// at most. What others have meets a revocation afterwards as ever.
func TestOneCallerInVain(t *testing.T) {
	for name, tt := range map[string]struct {
		how  tokencache.Refusal
		kind func(i int) uint64 // of the hostile calls
		good bool               // each of them after one of the same kind that is accepted
		most int
	}{
		"called dead":                        {dead, func(int) uint64 { return 7 }, false, 2},
		"called dead where others succeeded": {dead, func(int) uint64 { return 7 }, true, 2},
		"of ever other kinds":                {dead, func(i int) uint64 { return uint64(i + 1) }, true, 2},
		"of no kind":                         {dead, func(int) uint64 { return 0 }, true, 2},
		"ambiguous":                          {ambiguous, func(int) uint64 { return 7 }, false, 2},
		"ambiguous where others succeeded":   {ambiguous, func(int) uint64 { return 7 }, true, 2},
		"not understood":                     {unknown, func(int) uint64 { return 7 }, false, 0},
		"not understood where others were":   {unknown, func(int) uint64 { return 7 }, true, 2},
		"HEAD":                               {silent, func(int) uint64 { return 7 }, false, 0},
		"HEAD where others succeeded":        {silent, func(int) uint64 { return 7 }, true, 2},
	} {
		for every, pause := range map[string]time.Duration{"minute": time.Minute, "second": time.Second, "minute and more": 61 * time.Second} {
			t.Run(name+", each "+every, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t)
					r.get("crm")
					start, honest := time.Now(), r.call("honest", "crm", 1)
					r.succeed(honest)
					settle(time.Minute)
					for i := 0; time.Since(start) < 10*time.Minute; i++ {
						hostile := r.call("hostile", services[i%len(services)], tt.kind(i))
						if tt.good {
							r.succeed(hostile)
							settle(time.Millisecond)
						}
						r.provoke(hostile, tt.how)
						settle(pause / 2)
						r.succeed(honest)
						settle(pause / 2)
					}
					if n := r.server.count() - 1; n > tt.most {
						t.Errorf("%d tokens on the account of one caller", n)
					}
					for range 3 {
						r.heal(honest, dead)
						settle(time.Second)
					}
					settle(6 * time.Second)
					r.heal(r.call("another one", "books", 1), dead) // used for the first time
				})
			})
		}
	}
}

// Before anybody has accepted a token nobody knows better.
func TestOneCallerAlone(t *testing.T) {
	for name, how := range map[string]tokencache.Refusal{"dead": dead, "unknown": unknown, "silent": silent, "ambiguous": ambiguous} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.get("crm")
			start := time.Now()
			for i := 0; time.Since(start) < 9*time.Minute; i++ {
				settle(time.Minute)
				r.provoke(r.call("hostile", services[i%len(services)], 7), how)
			}
			if n := r.server.count() - 1; n > 1 {
				t.Errorf("%s: %d tokens", name, n)
			}
			r.heal(r.call("honest", "crm", 1), dead)
		})
	}
}

// What has helped is on nobody's account: a single app whose tokens die one after the other.
func TestRenewalsThatHelp(t *testing.T) {
	for _, how := range []tokencache.Refusal{dead, ambiguous} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			app := r.call("app", "books", 1)
			r.succeed(app)
			for range 8 {
				settle(time.Minute)
				r.heal(app, how)
			}
			r.wantCalls(9)
			r.wantState(map[bool]string{true: tokencache.StateContended, false: tokencache.StateOK}[how == dead])
		})
	}
}

// After ten minutes a caller may have renewals again; another grant begins anew, another caller has
// its own, and two accounts with one grant have the same.
func TestAccountsOfCallers(t *testing.T) {
	spend := func(t *testing.T) *rig {
		r := newRig(t)
		r.grants.set("twin", "refresh token")
		r.succeed(r.call("hostile", "crm", 1))
		settle(time.Minute)
		r.provoke(r.call("hostile", "desk", 0), dead)
		r.succeed(r.call("honest", "crm", 1))
		settle(time.Minute)
		if r.wantCalls(2); !r.provoke(r.call("hostile", "mail", 0), dead) {
			t.Fatal("one more")
		}
		return r
	}
	for name, tt := range map[string]struct {
		run  func(r *rig)
		want bool // it may have one
	}{
		"later":           {func(*rig) { settle(9 * time.Minute) }, true},
		"not late enough": {func(*rig) { settle(8*time.Minute - time.Second) }, false},
		"another grant": {func(r *rig) {
			r.grants.set("default", "another one")
			r.client = r.newClient()
			r.get("crm")
		}, true},
		"a reload":  {func(r *rig) { r.client = r.newClient() }, false},
		"a restart": {func(r *rig) { r.restart(); r.get("crm") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := spend(t)
				tt.run(r)
				before := r.server.count()
				r.provoke(r.call("hostile", "people", 0), dead)
				if got := r.server.count() > before; got != tt.want {
					t.Errorf("a renewal: %v", got)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := spend(t)
		twin, err := r.cache.Conn(r.client, "twin")
		if err != nil {
			t.Fatal(err)
		}
		c := tokencache.Call{Resource: twin.Resource("desk", ""), Caller: "hostile"}
		r.provoke(c, dead) // its first token
		r.wantCalls(3)
		c.Caller = "another one"
		r.provoke(c, dead)
		r.wantCalls(4)
	})
}

// A part of the budget is kept for what has accepted tokens, however many callers there are.
func TestKeptForWhatHasAccepted(t *testing.T) {
	for budget, want := range map[int]int{10: 7, 30: 27, 3: 2, 2: 2, 1: 1, 5: 4} {
		t.Run(fmt.Sprint(budget), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.client.Budget = budget
				honest := r.call("honest", "crm", 1)
				r.succeed(honest)
				for i := range 60 {
					settle(6 * time.Second)
					r.provoke(r.call(fmt.Sprint("hostile ", i), fmt.Sprint("service ", i), 0), dead)
					r.succeed(honest)
				}
				r.wantCalls(want)
				g := r.conn().Peek().Generation
				settle(6 * time.Second)
				tok, err := r.call("hostile", "service", 0).Refused(t.Context(), r.client, g, dead)
				e := r.wantError(tok, err, tokencache.KindBudget)
				if e.RetryAfter <= 0 || e.RetryAfter > 10*time.Minute || want < budget && !strings.Contains(e.Error(), "kept") {
					t.Errorf("%v, Retry-After %s", e, e.RetryAfter)
				}
				for range budget - want {
					r.heal(honest, dead)
				}
				tok, err = honest.Refused(t.Context(), r.client, r.conn().Peek().Generation, dead)
				if e := r.wantError(tok, err, tokencache.KindBudget); strings.Contains(e.Error(), "kept") {
					t.Error(e)
				}
			})
		})
	}
}

// An end of a token takes what is kept, too.
func TestExpiryTakesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.server.set(func(int) (tokencache.Fetched, error) {
			return tokencache.Fetched{AccessToken: "short", Life: 30 * time.Second}, nil
		})
		for range 10 {
			r.get("crm")
			settle(31 * time.Second)
		}
		r.wantCalls(10)
		r.refusal("crm", tokencache.KindBudget)
	})
}

// Who may have what is kept is not told of a flight that may not.
func TestFlightThatSpares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		honest := r.call("honest", "crm", 1)
		r.succeed(honest)
		for range 6 {
			settle(time.Second)
			r.heal(honest, dead)
		}
		settle(6 * time.Second)
		grant := r.client.Grant
		r.client = r.newClient()
		r.client.Grant = func(account string) (tokencache.Grant, bool, error) {
			time.Sleep(time.Second)
			return grant(account)
		}
		g := r.conn().Peek().Generation
		var calls sync.WaitGroup
		calls.Go(func() {
			tok, err := r.call("another one", "desk", 0).Refused(t.Context(), r.client, g, dead)
			var e *tokencache.Error
			if tok == nil && (!errors.As(err, &e) || e.Kind != tokencache.KindBudget) {
				t.Errorf("desk: %v, %v", tok, err)
			}
		})
		time.Sleep(500 * time.Millisecond)
		calls.Go(func() { r.heal(honest, dead) })
		calls.Wait()
		r.wantCalls(8)
	})
}

// A request that could not be sent again, and one whose caller hung up, say nothing of the token,
// and there are few of them.
func TestRenewalsNobodyJudges(t *testing.T) {
	for _, tt := range []struct {
		budget, want int
		hangUp       bool
	}{{10, 2, false}, {20, 4, false}, {10, 2, true}, {20, 4, true}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.client.Budget = tt.budget
			r.get("crm")
			for range 2 * tt.want {
				settle(10 * time.Second)
				c, g := r.call("app", "crm", 0), r.conn().Peek().Generation
				ctx, cancel := context.WithCancel(t.Context())
				if tt.hangUp {
					r.server.slow(time.Second)
					time.AfterFunc(time.Second/2, cancel)
				}
				tok, err := c.Refused(ctx, r.client, g, dead)
				if tt.hangUp && tok != nil || !tt.hangUp && err != nil {
					t.Fatal(tok, err)
				}
				if tok != nil {
					c.NotReplayed(g)
				}
				cancel()
				settle(time.Second)
			}
			r.wantCalls(1 + tt.want)
		})
	}
	synctest.Test(t, func(t *testing.T) { // what came to nothing is on no account
		r := newRig(t)
		app := r.call("app", "crm", 0)
		r.succeed(app)
		for range 4 {
			settle(10 * time.Second)
			r.server.set(failing(tokencache.KindTemporary, true))
			tok, err := app.Refused(t.Context(), r.client, r.conn().Peek().Generation, dead)
			r.wantError(tok, err, tokencache.KindTemporary)
			r.server.set(nil)
			settle(10 * time.Second)
			r.succeed(app)
		}
	})
}

// A service that is used for the first time meets a revocation right after another one has accepted
// the token: it is healed, a second later at worst. As long as others accept it, it is passed on.
func TestNewResource(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(r *rig)
		passedOn  bool
		took      time.Duration
		calls     int
	}{
		"nobody says anything":       {func(*rig) {}, false, time.Second, 2},
		"another one accepts it":     {func(r *rig) { r.resource("crm").Accepted(1) }, true, time.Second / 2, 1},
		"another one refuses it":     {func(r *rig) { r.refused("crm", 1, dead) }, false, time.Second / 2, 2},
		"this one accepts it":        {func(r *rig) { r.resource("desk").Accepted(1) }, false, time.Second, 2},
		"an operator has it renewed": {func(r *rig) { _, _ = r.conn().Refresh(r.Context(), r.client) }, false, time.Second / 2, 2},
		"an older one is accepted":   {func(r *rig) { r.resource("crm").Accepted(0) }, false, time.Second, 2},
		"its caller hangs up":        {nil, true, time.Second / 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.succeed(r.call("app", "crm", 1))
				settle(4 * time.Second)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(time.Second/2, func() {
					if tt.meanwhile == nil {
						cancel()
						return
					}
					tt.meanwhile(r)
				})
				var calls sync.WaitGroup
				for i := range 100 {
					calls.Go(func() {
						start := time.Now()
						tok, err := r.call(fmt.Sprint("caller ", i), "desk", 1).Refused(ctx, r.client, 1, dead)
						if err != nil || (tok == nil) != tt.passedOn || time.Since(start) != tt.took {
							t.Errorf("%v, %v after %s", tok, err, time.Since(start))
						}
					})
				}
				calls.Wait()
				r.wantCalls(tt.calls)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // long after
		r := newRig(t)
		r.succeed(r.call("app", "crm", 1))
		settle(6 * time.Second)
		start := time.Now()
		r.heal(r.call("app", "desk", 1), dead)
		if time.Since(start) != 0 {
			t.Errorf("after %s", time.Since(start))
		}
	})
}

// Whoever may have no renewal does not wait for what others say.
func TestNewResourceOfASpentCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.succeed(r.call("app", "crm", 1))
		settle(6 * time.Second)
		r.provoke(r.call("hostile", "desk", 0), dead)
		for _, name := range services[:5] {
			r.succeed(r.call("app", "crm", 1))
			start := time.Now()
			if !r.provoke(r.call("hostile", name, 0), dead) || time.Since(start) != 0 {
				t.Errorf("%s: after %s", name, time.Since(start))
			}
		}
		r.wantCalls(2)
	})
}

// A kind of call that has succeeded proves that a token is dead, although it is young or was accepted
// just now, and although another call has put the service on hold; unless it has misled before.
func TestKindsOfCalls(t *testing.T) {
	badly := func(r *rig) { // scoped
		settle(2 * time.Minute)
		if r.provoke(r.call("hostile", "books", 2), ambiguous) {
			r.Fatal("no hold")
		}
		r.succeed(r.call("app", "books", 1))
	}
	for name, tt := range map[string]struct {
		run      func(r *rig)
		likeness uint64
		how      tokencache.Refusal
		heals    bool
	}{
		"young":                     {func(*rig) {}, 1, ambiguous, true},
		"on hold":                   {badly, 1, ambiguous, true},
		"on hold, dead":             {badly, 1, dead, true},
		"on hold, another kind":     {badly, 3, ambiguous, false},
		"on hold, not known":        {badly, 0, ambiguous, false},
		"on hold, not understood":   {badly, 1, unknown, false},
		"accepted by an older one":  {func(r *rig) { settle(6 * time.Second); r.heal(r.call("app", "crm", 1), dead) }, 1, ambiguous, true},
		"of another grant":          {func(r *rig) { r.grants.set("default", "another one"); r.client = r.newClient(); r.get("books") }, 1, ambiguous, false},
		"accepted at another place": {func(r *rig) { r.succeed(r.call("app", "crm", 4)) }, 4, ambiguous, false},
		"among eight": {func(r *rig) {
			for kind := range uint64(7) {
				r.succeed(r.call("app", "books", 10+kind))
			}
		}, 1, ambiguous, true},
		"before eight others": {func(r *rig) {
			for kind := range uint64(8) {
				r.succeed(r.call("app", "books", 10+kind))
			}
		}, 1, ambiguous, false},
		"misled": {func(r *rig) {
			r.provoke(r.call("another one", "books", 1), ambiguous)
			r.succeed(r.call("app", "books", 1))
		}, 1, ambiguous, false},
		"misled, long ago": {func(r *rig) {
			r.provoke(r.call("another one", "books", 1), ambiguous)
			r.succeed(r.call("app", "books", 1))
			settle(time.Minute)
		}, 1, ambiguous, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.succeed(r.call("app", "books", 1))
				tt.run(r)
				c := r.call("app", "books", tt.likeness)
				if tt.heals {
					r.heal(c, tt.how)
				} else if !r.provoke(c, tt.how) {
					t.Error("renewed")
				}
			})
		})
	}
}

// Rights that differ within a kind do not drain the budget, even if many callers meet that.
func TestKindsThatMislead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		start := time.Now()
		for i := 0; time.Since(start) < 10*time.Minute; i++ {
			r.succeed(r.call("app", "books", 1))
			settle(time.Second)
			r.provoke(r.call(fmt.Sprint("caller ", i), "books", 1), ambiguous)
			settle(time.Second)
		}
		if n := r.server.count(); n > 5 {
			t.Errorf("%d token calls", n)
		}
	})
}

// TestOthersAreHeard: an acceptance by another resource server within the second says that the token
// lives, whatever was accepted before it.
func TestOthersAreHeard(t *testing.T) {
	for name, own := range map[string]bool{"only another": false, "the same one first": true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			honest := r.call("honest", "crm", 0)
			r.succeed(honest)
			settle(time.Minute + time.Second)
			r.succeed(honest)
			settle(time.Second)
			g := r.conn().Peek().Generation
			go func() {
				time.Sleep(300 * time.Millisecond)
				if own {
					r.resource("desk").Accepted(g)
				}
				time.Sleep(200 * time.Millisecond)
				honest.Accepted(g)
			}()
			if tok, err := r.call("hostile", "desk", 0).Refused(t.Context(), r.client, g, dead); tok != nil || err != nil {
				t.Errorf("%s: %v, %v", name, tok, err)
			}
			r.wantCalls(1)
		})
	}
}
