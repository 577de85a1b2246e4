package tokencache_test

import (
	"errors"
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
				callers.Go(func() { r.refused(name, old, false) })
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
		r.wantRefused("crm", 1, false, 2)
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
			generation = r.refused("crm", generation, false)
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
			r.wantRefused("crm", 1, false, 2)
			r.resource("crm").Accepted(2)
		},
		"ambiguous": func(r *rig) {
			settle(30 * time.Minute)
			r.wantRefused("crm", 1, true, 2)
			r.resource("crm").Accepted(2)
		},
		"accepted elsewhere": func(r *rig) {
			r.wantRefused("crm", 1, false, 2)
			r.resource("desk").Accepted(2)
		},
		"replay refused": func(r *rig) {
			r.wantRefused("crm", 1, false, 2)
			r.resource("crm").ReplayRefused(2)
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

func TestErrorsSayWho(t *testing.T) {
	err := &tokencache.Error{Kind: tokencache.KindThrottled, Key: tokencache.Key{Client: "main", Account: "a"},
		Err: &tokencache.FetchError{Kind: tokencache.KindThrottled, Err: errors.New("too many")}}
	if got, want := err.Error(), "no access token for main/a: throttled: throttled: too many"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	err.Err = nil
	if got, want := err.Error(), "no access token for main/a: throttled"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (&tokencache.FetchError{Kind: tokencache.KindDead}).Error(); got != "grant_dead" {
		t.Errorf("%q", got)
	}
}
