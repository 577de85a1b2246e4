package tokencache_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

const (
	dead      = tokencache.RefusalDead
	ambiguous = tokencache.RefusalAmbiguous
	unknown   = tokencache.RefusalUnknown
)

// refused tells of a refusal and returns the generation to replay with, 0 = pass it on.
func (r *rig) refused(name string, generation uint64, how tokencache.Refusal) uint64 {
	r.Helper()
	tok, err := r.resource(name).Refused(r.Context(), r.client, generation, how)
	if err != nil {
		r.Fatalf("Refused: %v", err)
	}
	if tok == nil {
		return 0
	}
	return tok.Generation
}

func (r *rig) wantRefused(name string, generation uint64, how tokencache.Refusal, want uint64) {
	r.Helper()
	if got := r.refused(name, generation, how); got != want {
		r.Fatalf("generation %d refused by %s: replay with %d, want %d", generation, name, got, want)
	}
}

// replayRefused tells that the replay of a request was refused which was sent before all
// token calls. It has to put the resource on hold.
func (r *rig) replayRefused(name string, generation uint64) {
	r.Helper()
	tok := r.conn().Peek()
	if tok == nil || tok.Generation != generation {
		r.Fatalf("the current token is %v, not generation %d", tok, generation)
	}
	if !r.resource(name).ReplayRefused(tok, 0) {
		r.Fatalf("%s is not on hold though it refused generation %d", name, generation)
	}
}

// S-27: one renewal for a storm of refusals, none for those that come late.
func TestStormOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		settle(10 * time.Minute)
		r.server.slow(time.Second)
		var callers sync.WaitGroup
		for range 1000 {
			callers.Go(func() { r.wantRefused("crm", 1, dead, 2) })
		}
		callers.Wait()
		r.wantCalls(2)
		r.resource("crm").Accepted(2)
		settle(time.Minute)
		r.wantRefused("crm", 1, dead, 2)
		r.wantRefused("desk", 1, ambiguous, 2)
		r.wantCalls(2)
		if e := r.journal.of(tokencache.EventTokenRequest)[1]; e.Cause != tokencache.CauseRefused {
			t.Errorf("cause %s", e.Cause)
		}
	})
}

func TestAmbiguousRefusals(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(r *rig)
		want uint64
	}{
		{"minted a moment ago", func(r *rig) { settle(59 * time.Second) }, 0},
		{"minted a minute ago", func(r *rig) { settle(time.Minute) }, 2},
		{"succeeded a moment ago", func(r *rig) {
			settle(time.Hour / 2)
			r.resource("books").Accepted(1)
			settle(5 * time.Second)
		}, 0},
		{"succeeded a while ago", func(r *rig) {
			settle(time.Hour / 2)
			r.resource("books").Accepted(1)
			settle(5*time.Second + time.Millisecond)
		}, 2},
		{"succeeded elsewhere", func(r *rig) {
			settle(time.Hour / 2)
			r.resource("crm").Accepted(1)
		}, 2},
		{"goes on succeeding elsewhere", func(r *rig) {
			settle(time.Hour / 2)
			r.resource("crm").Accepted(1)
			time.AfterFunc(time.Second/2, func() { r.resource("crm").Accepted(1) })
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.get("books")
				tt.run(r)
				r.wantRefused("books", 1, ambiguous, tt.want)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("books")
		r.wantRefused("books", 1, dead, 2)
		settle(time.Minute - time.Second)
		r.replayRefused("books", 2)
		settle(time.Minute - time.Second)
		r.wantRefused("books", 2, ambiguous, 0) // on hold
		settle(time.Second)
		r.wantRefused("books", 2, ambiguous, 3)
	})
}

// A refusal in which nothing is understood costs a token only where tokens have been
// accepted before, or this one by nobody yet.
func TestUnknownRefusals(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(r *rig)
		want uint64
	}{
		{"accepted by nobody", func(*rig) {}, 2},
		{"accepted elsewhere", func(r *rig) { r.resource("crm").Accepted(1) }, 0},
		{"accepted here", func(r *rig) { r.resource("bookings").Accepted(1) }, 2},
		{"accepted here and elsewhere", func(r *rig) {
			r.resource("bookings").Accepted(1)
			r.resource("crm").Accepted(1)
		}, 2},
		{"accepted at another host of the service", func(r *rig) { r.conn().Resource("bookings", "elsewhere").Accepted(1) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.get("bookings")
				tt.run(r)
				r.wantRefused("bookings", 1, unknown, 0) // minted a moment ago
				settle(time.Minute)
				r.wantRefused("bookings", 1, unknown, tt.want)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("bookings")
		r.resource("bookings").Accepted(1)
		settle(time.Minute)
		r.wantRefused("crm", 1, dead, 2)
		r.resource("crm").Accepted(2)
		settle(time.Minute)
		r.wantRefused("bookings", 2, unknown, 3) // an earlier one was accepted
		r.replayRefused("bookings", 3)
		settle(time.Minute - time.Second)
		r.wantRefused("bookings", 3, unknown, 0) // on hold
	})
}

// Services that refuse for ever in a way that is not understood leave most of the budget to a
// revocation, and one that is not cured by the token of such a guess ends them.
func TestUnknownRefusalsLeaveTheBudget(t *testing.T) {
	services := []string{"bookings", "cliq", "mail", "people", "recruit", "sheet", "sign", "writer"}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		r.resource("crm").Accepted(1)
		for _, name := range services {
			r.resource(name).Accepted(1)
		}
		for range 10 { // minutes
			settle(time.Minute)
			for _, name := range services {
				g := r.conn().Peek().Generation
				if next := r.refused(name, g, unknown); next > g {
					r.replayRefused(name, next)
				}
				g = r.conn().Peek().Generation
				r.resource("crm").Accepted(g) // which is good elsewhere
			}
		}
		r.wantCalls(1 + 3)
		g := r.conn().Peek().Generation
		r.wantRefused("crm", g, dead, g+1)
		r.wantCalls(1 + 4)
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("bookings")
		for _, name := range services {
			r.resource(name).Accepted(1)
		}
		settle(time.Minute)
		r.wantRefused("bookings", 1, unknown, 2)
		r.replayRefused("bookings", 2)
		settle(time.Minute)
		r.wantRefused("cliq", 2, unknown, 0) // it came of a guess, and nobody has accepted it
		r.resource("crm").Accepted(2)
		r.wantRefused("cliq", 2, unknown, 3)
		r.resource("cliq").Accepted(3)
		settle(time.Minute)
		r.wantRefused("mail", 3, unknown, 4) // the guess was right
	})
	synctest.Test(t, func(t *testing.T) { // many at once are one guess, and another grant begins anew
		r := newRig(t)
		for i := range uint64(4) {
			r.get("bookings")
			r.resource("bookings").Accepted(i + 1)
			settle(time.Minute)
			if i == 3 {
				r.wantRefused("bookings", i+1, unknown, 0)
				break
			}
			var callers sync.WaitGroup
			for range 100 {
				callers.Go(func() { r.wantRefused("bookings", i+1, unknown, i+2) })
			}
			callers.Wait()
		}
		r.wantCalls(4)
		r.grants.set("default", "another one")
		r.client = r.newClient()
		r.get("bookings")
		r.resource("bookings").Accepted(5)
		settle(time.Minute)
		r.wantRefused("bookings", 5, unknown, 6)
	})
}

// A revocation right after a renewal in the background: the request that was sent before
// is refused, its replay with the new token too. That says nothing against fresh tokens.
func TestRevokedRightAfterARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		crm := r.resource("crm")
		r.get("crm")
		crm.Accepted(1)
		settle(56 * time.Minute)
		sent := crm.Mark()
		r.get("crm") // begins the renewal
		settle(time.Second)
		r.wantRefused("crm", 1, dead, 2)
		if crm.ReplayRefused(r.conn().Peek(), sent) {
			t.Fatal("on hold because of a token that was renewed in time")
		}
		sent = crm.Mark()
		r.wantRefused("crm", 2, dead, 3)
		if !crm.ReplayRefused(r.conn().Peek(), sent) {
			t.Error("not on hold though a token was renewed for nothing")
		}
		r.wantRefused("crm", 3, dead, 0)
		r.wantCalls(3)
	})
}

// A token that was asked for before a request was sent is no cure of its refusal.
func TestCureOfAnEarlierRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		r.server.slow(time.Second)
		desk := r.resource("desk")
		go func() { _, _ = desk.Refused(t.Context(), r.client, 1, dead) }()
		synctest.Wait()
		crm := r.resource("crm")
		sent := crm.Mark() // with the first token, while the second one is asked for
		settle(2 * time.Second)
		r.wantRefused("crm", 1, dead, 2)
		if crm.ReplayRefused(r.conn().Peek(), sent) {
			t.Error("on hold")
		}
	})
}

// S-28: a permission that is missing looks like a dead token at Books. It
// costs one renewal, and then one whenever the token is old enough to doubt.
func TestAmbiguousForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("books")
		settle(2 * time.Minute)
		for range 500 {
			g := r.get("books").Generation
			if replay := r.refused("books", g, ambiguous); replay != 0 {
				r.replayRefused("books", replay)
			}
		}
		r.wantCalls(2)
	})
}

// A wrong data center answers INVALID_TOKEN for ever: five calls in ten minutes,
// with one resource server or with several.
func TestIncurableRefusals(t *testing.T) {
	for name, resources := range map[string][]string{
		"one":     {"crm"},
		"several": {"crm", "desk", "books", "mail", "people"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				start := time.Now()
				for time.Since(start) < 10*time.Minute {
					for _, name := range resources {
						g := r.get(name).Generation
						if replay := r.refused(name, g, dead); replay != 0 {
							r.replayRefused(name, replay)
						}
					}
					settle(250 * time.Millisecond)
				}
				if n := r.server.count(); n > 5 {
					t.Errorf("%d token calls in ten minutes", n)
				}
				if n := len(r.journal.of(tokencache.EventLostEarly)); n != 0 {
					t.Errorf("%d tokens called lost early", n)
				}
			})
		})
	}
}

// A hold lasts 1, 2, 5, 10 minutes, and starts over when a renewal has helped.
func TestHoldSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		generation := r.get("crm").Generation
		fail := func(hold time.Duration) {
			t.Helper()
			replay := r.refused("crm", generation, dead)
			if replay != generation+1 {
				t.Fatalf("replay with %d after %d", replay, generation)
			}
			generation = replay
			r.replayRefused("crm", replay)
			r.replayRefused("crm", replay) // another request's
			settle(hold - time.Millisecond)
			r.wantRefused("crm", generation, dead, 0)
			if got := r.get("crm").Generation; got != generation {
				t.Fatalf("on hold, %d is offered", got)
			}
			settle(time.Millisecond)
		}
		for _, d := range []time.Duration{1, 2, 5, 10, 10} {
			fail(d * time.Minute)
		}
		generation = r.refused("crm", generation, dead)
		r.resource("crm").Accepted(generation)
		settle(10 * time.Minute)
		fail(time.Minute)
		fail(2 * time.Minute)
	})
}

// A hold does not bind where the token has worked since, but once only: a path
// that refuses every token, beside others that do not, costs no more than that.
func TestHoldAndSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		crm := r.resource("crm")
		r.get("crm")
		r.wantRefused("crm", 1, dead, 2)
		r.replayRefused("crm", 2)
		settle(time.Second)
		crm.Accepted(2)
		settle(time.Second)
		r.wantRefused("crm", 2, ambiguous, 0) // ambiguous: on hold
		r.wantRefused("crm", 2, dead, 3)      // cured: it worked since
		r.wantRefused("crm", 2, dead, 3)
		crm.Accepted(3)
		settle(time.Second)
		r.wantRefused("crm", 3, dead, 4) // the hold is over
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		crm := r.resource("crm")
		r.get("crm")
		r.wantRefused("crm", 1, dead, 2)
		crm.Accepted(2)
		settle(time.Second)
		r.replayRefused("crm", 2)
		r.wantRefused("crm", 2, dead, 0) // it worked before, not since
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		crm := r.resource("crm")
		start := time.Now()
		for time.Since(start) < 10*time.Minute {
			g := r.get("crm").Generation // a good path
			crm.Accepted(g)
			settle(100 * time.Millisecond)
			if replay := r.refused("crm", g, dead); replay != 0 { // a bad one
				crm.Accepted(replay)
				settle(100 * time.Millisecond)
				r.replayRefused("crm", replay)
			}
			settle(100 * time.Millisecond)
		}
		if n := r.server.count(); n > 6 {
			t.Errorf("%d token calls in ten minutes", n)
		}
	})
}

// While its renewal waits, a refused token is not offered to who refused it;
// the others keep it. When the wait is over, the next one tries.
func TestRefusedTokenIsNotOfferedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		r.server.set(failing(tokencache.KindTemporary, true))
		tok, err := r.resource("crm").Refused(t.Context(), r.client, 1, tokencache.RefusalDead)
		r.wantError(tok, err, tokencache.KindTemporary)
		start := time.Now()
		r.refusal("crm", tokencache.KindTemporary)
		if time.Since(start) != 0 {
			t.Error("the refusal was not at once")
		}
		r.wantCalls(2)
		if r.get("desk").Generation != 1 {
			t.Error("the others lost it, too")
		}
		r.server.set(nil)
		settle(time.Second)
		if g := r.get("crm").Generation; g != 2 {
			t.Errorf("got %d after the wait", g)
		}
		if g := r.get("desk").Generation; g != 2 {
			t.Errorf("the others got %d", g)
		}
	})
}

// An ambiguous refusal takes the token from no resource server that it worked at.
func TestAmbiguousRefusalInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("books")
		r.resource("books").Accepted(1)
		settle(10 * time.Minute)
		r.server.set(failing(tokencache.KindTemporary, true))
		tok, err := r.resource("books").Refused(t.Context(), r.client, 1, tokencache.RefusalAmbiguous)
		r.wantError(tok, err, tokencache.KindTemporary)
		if g := r.get("books").Generation; g != 1 {
			t.Errorf("got %d", g)
		}
	})
}

// A late refusal of an old token is replayed with the current one, unless that
// one was refused there, too.
func TestLateRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		settle(5 * time.Minute)
		r.wantRefused("crm", 1, dead, 2)
		r.wantRefused("crm", 1, dead, 2)
		r.replayRefused("crm", 2)
		r.wantRefused("crm", 1, dead, 0)
		r.wantRefused("desk", 1, dead, 2)
		settle(time.Second)
		r.resource("crm").Accepted(2)
		r.wantRefused("crm", 1, dead, 2)
		r.wantRefused("crm", 99, dead, 0) // none of ours
		r.wantCalls(2)
	})
}

// A token that ended meanwhile is renewed as any ended one, hold or not.
func TestRefusalOfAnEndedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		r.server.set(func(call int) (tokencache.Fetched, error) {
			return tokencache.Fetched{AccessToken: "short", Life: 20 * time.Second}, nil
		})
		r.wantRefused("crm", 1, dead, 2)
		r.replayRefused("crm", 2)
		settle(21 * time.Second)
		r.wantRefused("crm", 2, dead, 3)
	})
}

func TestBudgetBindsRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.client.Budget = 1
		r.get("crm")
		settle(time.Minute)
		tok, err := r.resource("crm").Refused(t.Context(), r.client, 1, tokencache.RefusalDead)
		if e := r.wantError(tok, err, tokencache.KindBudget); e.RetryAfter != 9*time.Minute {
			t.Errorf("Retry-After %s", e.RetryAfter)
		}
	})
}

// Another grant may be right where the old one was wrong: its refusals go with it.
func TestAnotherGrantEndsHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		r.wantRefused("crm", 1, dead, 2)
		r.replayRefused("crm", 2)
		r.grants.set("default", "another one")
		r.client = r.newClient()
		if g := r.get("crm").Generation; g != 3 {
			t.Fatalf("got %d", g)
		}
		r.wantRefused("crm", 3, dead, 4)
	})
}

// Whoever cannot repeat a request waits for the renewal that is due, and makes do
// with the current token if there is none to be had.
func TestGetFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		fresh := func(generation uint64) {
			t.Helper()
			tok, err := r.resource("crm").GetFresh(t.Context(), r.client)
			if err != nil || tok.Generation != generation {
				t.Fatalf("got %v, %v, want generation %d", tok, err, generation)
			}
		}
		fresh(1)
		settle(50 * time.Minute)
		fresh(1)
		settle(7 * time.Minute)
		fresh(2)
		settle(57 * time.Minute)
		r.server.set(failing(tokencache.KindTemporary, true))
		fresh(2)
		r.server.set(nil)
		settle(time.Minute)
		fresh(3)
	})
}
