package tokencache_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func TestLostEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.client.Budget = 100
		r.server.slow(time.Millisecond)
		crm := r.resource("crm")
		generation := r.get("crm").Generation
		lose := func() { // at two resource servers, one request of before still being answered
			old := generation
			var callers sync.WaitGroup
			for _, name := range []string{"crm", "desk"} {
				callers.Go(func() { r.refused(name, old, dead) })
			}
			callers.Wait()
			generation++
			crm.Accepted(old)
			crm.Accepted(generation)
			r.resource("desk").Accepted(generation)
			crm.Accepted(generation)
		}
		for range 2 {
			lose()
			settle(29 * time.Minute)
		}
		r.wantState(tokencache.StateOK)
		lose()
		r.wantState(tokencache.StateContended)
		if n := r.cache.Status(r.client)[0].LostEarly; n != 3 {
			t.Errorf("%d lost early", n)
		}
		lost := r.journal.of(tokencache.EventLostEarly)
		if len(lost) != 3 || lost[0].Generation != 1 || lost[2].Generation != 3 {
			t.Errorf("told of %+v", lost)
		}
		settle(time.Hour)
		r.wantState(tokencache.StateContended)
		settle(time.Second)
		r.wantState(tokencache.StateOK)
		r.get("crm")
		settle(time.Minute)
		if states := r.journal.of(tokencache.EventState); len(states) != 2 || states[1].State != tokencache.StateOK {
			t.Errorf("told of %+v", states)
		}
	})
}

// A request that was on its way when the token was lost proves nothing.
func TestLostWhileOthersSucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		r.wantRefused("crm", 1, dead, 2)
		r.resource("crm").Accepted(1)
		if n := len(r.journal.of(tokencache.EventLostEarly)); n != 0 {
			t.Errorf("told %d times", n)
		}
		r.resource("crm").Accepted(2)
		if n := len(r.journal.of(tokencache.EventLostEarly)); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// Three tokens lost, but never three in an hour.
func TestLostNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		crm := r.resource("crm")
		generation := r.get("crm").Generation
		for range 5 {
			generation = r.refused("crm", generation, dead)
			crm.Accepted(generation)
			settle(31 * time.Minute)
		}
		if n := r.cache.Status(r.client)[0].LostEarly; n != 5 {
			t.Errorf("%d lost early", n)
		}
		r.wantState(tokencache.StateOK)
	})
}

// Refused shortly before its end, ambiguously, or without a successor that
// fares better: none of these is lost early.
func TestNotLostEarly(t *testing.T) {
	for name, run := range map[string]func(r *rig){
		"near its end": func(r *rig) {
			settle(56 * time.Minute)
			r.wantRefused("crm", 1, dead, 2)
			r.resource("crm").Accepted(2)
		},
		"ambiguous": func(r *rig) {
			settle(30 * time.Minute)
			r.wantRefused("crm", 1, ambiguous, 2)
			r.resource("crm").Accepted(2)
		},
		"accepted elsewhere": func(r *rig) {
			r.wantRefused("crm", 1, dead, 2)
			r.resource("desk").Accepted(2)
		},
		"replay refused": func(r *rig) {
			r.wantRefused("crm", 1, dead, 2)
			r.replayRefused("crm", 2)
			r.resource("crm").Accepted(2)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.get("crm")
			run(r)
			if lost := r.journal.of(tokencache.EventLostEarly); len(lost) != 0 {
				t.Errorf("%s: told of %+v", name, lost)
			}
		})
	}
}

// An error of the waiting table or the budget says that nobody was asked, one of
// a call does not.
func TestErrorsSayWhoWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for _, kind := range []tokencache.Kind{tokencache.KindThrottled, tokencache.KindDead} {
			r.server.set(failing(kind, true))
			called := r.refusal("crm", kind)
			waited := r.refusal("crm", kind)
			if called.NextTry != 0 || waited.NextTry <= 0 {
				t.Errorf("%s: next try in %v, then in %v", kind, called.NextTry, waited.NextTry)
			}
			if want := called.Error() + "; next try in "; !strings.HasPrefix(waited.Error(), want) || strings.Count(waited.Error(), kind.String()) != 1 {
				t.Errorf("%q after %q", waited, called)
			}
			settle(time.Hour)
		}
		r.grants.set("default", "another one")
		r.client = r.newClient()
		r.client.Budget = 1
		r.server.set(failing(tokencache.KindTemporary, false))
		r.refusal("crm", tokencache.KindTemporary)
		settle(time.Minute)
		if got, want := r.refusal("crm", tokencache.KindBudget).Error(),
			"no access token for main/default: budget_spent: 1 token calls in 10m0s are spent; next try in 9m0s, the server was not asked"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestErrorsSayWho(t *testing.T) {
	err := &tokencache.Error{Kind: tokencache.KindThrottled, Key: tokencache.Key{Client: "main", Account: "a"},
		Err: &tokencache.FetchError{Kind: tokencache.KindThrottled, Err: errors.New("too many")}}
	if got, want := err.Error(), "no access token for main/a: throttled: too many"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	err.Err = nil
	if got, want := err.Error(), "no access token for main/a: throttled"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	err.NextTry = 61*time.Second + time.Millisecond
	if got, want := err.Error(), "no access token for main/a: throttled; next try in 1m2s, the server was not asked"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for want, err := range map[string]*tokencache.FetchError{
		"grant_dead":                   {Kind: tokencache.KindDead},
		"temporary: no route":          {Kind: tokencache.KindTemporary, Err: errors.New("temporary: no route")},
		"temporary: temporary failure": {Kind: tokencache.KindTemporary, Err: errors.New("temporary failure")},
	} {
		if got := err.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
