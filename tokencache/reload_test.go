package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// A reload that says the same changes nothing and costs nothing.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for range 100 {
			r.get("crm")
			r.client = r.newClient()
		}
		r.wantCalls(1)
	})
}

// Around a reload the old configuration and the new one are in use at the same
// time. As long as they say the same, that costs nothing either.
func TestTwoConfigurationsAtOnce(t *testing.T) {
	r := newRig(t)
	clients := []*tokencache.Client{r.client, r.newClient(), r.newClient()}
	n := r.conn()
	var callers sync.WaitGroup
	for i := range 12 {
		callers.Go(func() {
			for range 2000 {
				if tok, err := n.Resource("crm", "").Get(context.Background(), clients[i%3]); err != nil || tok.Generation != 1 {
					t.Errorf("got %v, %v", tok, err)
					return
				}
			}
		})
	}
	callers.Wait()
	r.wantCalls(1)
}

// With another grant (sandbox to production, say) the old token is not handed
// out once more.
func TestReloadWithAnotherGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		old := r.client
		lookups := func(cl *tokencache.Client) func(string) *tokencache.Client {
			return func(string) *tokencache.Client { return cl }
		}
		defer r.cache.Use(lookups(old))()
		r.client = r.newClient()
		r.client.ClientID = func() string { return "another id" }
		if tok := r.get("crm"); tok.Value != "token-2" { // not in force yet, but on its way
			t.Fatalf("got %v", tok)
		}
		for range 100 { // what is in force until then does not take the grant back
			tok, err := r.resource("crm").Get(t.Context(), old)
			r.wantError(tok, err, tokencache.KindTemporary)
			r.get("crm")
		}
		release := r.cache.Use(lookups(r.client))
		if tok := r.get("crm"); tok.Value != "token-2" || tok.Generation != 2 {
			t.Fatalf("got %v", tok)
		}
		// A request that the old configuration still serves must not bring the
		// old token back, nor get the new one.
		tok, err := r.resource("crm").Get(t.Context(), old)
		r.wantError(tok, err, tokencache.KindTemporary)
		if tok := r.get("crm"); tok.Value != "token-2" {
			t.Fatalf("got %v", tok)
		}
		release() // the reload failed: the old one is back
		if tok, err := r.resource("crm").Get(t.Context(), old); err != nil || tok.Generation != 3 {
			t.Errorf("got %v, %v", tok, err)
		}
	})
}

// A reload that fails before it holds: the grant that was claimed goes back.
func TestClaimedGrantGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		old := r.client
		defer r.cache.Use(func(string) *tokencache.Client { return old })()
		r.client = r.newClient()
		r.client.ClientID = func() string { return "another id" }
		r.get("crm")
		r.client = old
		r.refusal("crm", tokencache.KindTemporary)
		settle(10 * time.Second)
		if tok := r.get("crm"); tok.Generation != 3 {
			t.Errorf("got %v", tok)
		}
	})
}

// A changed grant is noticed by a configuration that was never asked before.
func TestGrantChangedForANewClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		n := r.conn()
		r.grants.set("default", "another one")
		r.cache.GrantChanged(tokencache.Key{Client: "main", Account: "default"})
		if tok, err := n.Resource("crm", "").Get(t.Context(), r.newClient()); err != nil || tok.Generation != 2 {
			t.Errorf("got %v, %v", tok, err)
		}
	})
}

// An account that the new configuration has no more: its token goes, but not
// because of a configuration that never had it.
func TestAccountRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		defer r.cache.Use(func(string) *tokencache.Client { return r.client })()
		without := r.newClient()
		without.Grant = func(string) (tokencache.Grant, bool, error) { return tokencache.Grant{}, false, nil }
		tok, err := r.resource("crm").Get(t.Context(), without)
		r.wantError(tok, err, tokencache.KindNoGrant)
		r.get("crm")
		r.wantCalls(1)
		r.client = without
		r.refusal("crm", tokencache.KindNoGrant)
		if r.conn().Peek() != nil {
			t.Error("the token outlived its account")
		}
	})
}

// A client may know of nothing but how to fetch.
func TestSmallestClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tokencache.New(tokencache.Options{})
		defer c.Close()
		cl := &tokencache.Client{Name: "main", Fetch: (&server{}).fetch}
		if _, err := c.Conn(cl, "nobody"); err == nil {
			t.Error("nobody has a connection")
		}
		c.Warm(cl)
		if all := c.Status(cl); len(all) != 0 {
			t.Errorf("status %+v", all)
		}
		cl.Grant = func(string) (tokencache.Grant, bool, error) { return tokencache.Grant{RefreshToken: "x"}, true, nil }
		n, err := c.Conn(cl, "default")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Resource("crm", "").Get(t.Context(), cl); err != nil {
			t.Error(err)
		}
	})
}

// A grant that changes while a token of the old one is being fetched: nobody
// gets that token.
func TestGrantChangesDuringAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		r.server.slow(10 * time.Second)
		old := r.client
		var callers sync.WaitGroup
		callers.Go(func() {
			tok, err := r.resource("crm").Refused(t.Context(), old, 1, tokencache.RefusalDead)
			if err != nil || tok.Value != "token-3" {
				t.Errorf("who came early got %v, %v", tok, err)
			}
		})
		settle(time.Second)
		r.grants.set("default", "another one")
		r.client = r.newClient()
		if tok := r.get("crm"); tok.Value != "token-3" || tok.Generation != 2 {
			t.Errorf("who came late got %v", tok)
		}
		callers.Wait()
		if r.server.most != 1 {
			t.Errorf("%d flights at once", r.server.most)
		}
		if left := r.cache.Status(r.client)[0].BudgetLeft; left != 9 {
			t.Errorf("budget left %d", left)
		}
	})
}

// The grant changes after a flight has read it, and before it asks: the old
// one is not asked for any more.
func TestGrantChangesUnderAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		hungUp, hangUp := context.WithCancel(t.Context())
		hangUp()
		next, once := r.newClient(), sync.Once{}
		r.client.Credentials = func() [][]byte { // the last thing a flight asks for
			once.Do(func() {
				r.grants.set("default", "another one")
				tok, err := r.resource("crm").Get(hungUp, next)
				r.wantError(tok, err, tokencache.KindTemporary)
			})
			return nil
		}
		if _, err := r.conn().Refresh(t.Context(), r.client); err != nil {
			t.Fatal(err)
		}
		r.wantCalls(2)
		if left := r.cache.Status(r.client)[0].BudgetLeft; left != 9 {
			t.Errorf("budget left %d", left)
		}
	})
}

// What one configuration lacks is no answer for those who wait with another.
func TestFlightOfAnotherConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.conn()
		old := r.newClient()
		old.Grant = func(string) (tokencache.Grant, bool, error) {
			time.Sleep(time.Second)
			return tokencache.Grant{}, false, errors.New("no value")
		}
		go func() { _, _ = n.Resource("crm", "").Get(t.Context(), old) }()
		synctest.Wait()
		r.get("crm")
	})
}

// An operator who asks for a new token gets one, though the flight that is in
// the air finds one in the store.
func TestRefreshDuringAnAdoption(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withBolt(openBolt(t, dir)))
		r.get("crm")
		r.restart()
		r.client.Grant = func(account string) (tokencache.Grant, bool, error) {
			time.Sleep(time.Second)
			return r.grants.get(account)
		}
		n := r.conn()
		go func() { _, _ = n.Resource("crm", "").Get(t.Context(), r.client) }()
		synctest.Wait()
		if tok, err := n.Refresh(t.Context(), r.client); err != nil || tok.Generation != 2 {
			t.Errorf("got %v, %v", tok, err)
		}
	})
}

// A reload that corrects what was wrong helps at once, whoever has looked between it and the
// first call, and however long ago the last look at the wrong one was.
func TestCorrectedByAReload(t *testing.T) {
	for name, correct := range map[string]func(r *rig, wrong *tokencache.Client){
		"a secret": func(r *rig, _ *tokencache.Client) {
			r.client.Credentials = func() [][]byte { return [][]byte{{1}} }
		},
		"a secret in a file": func(r *rig, _ *tokencache.Client) { r.secret.set("the right one") },
		"a refresh token":    func(r *rig, _ *tokencache.Client) { r.grants.set("default", "the right one") },
		"a refresh token in a file": func(r *rig, wrong *tokencache.Client) {
			r.grants.set("default", "the right one")
			r.cache.Status(wrong)
		},
		"a secret that is tried again": func(r *rig, wrong *tokencache.Client) { r.secret.set("another"); r.cache.Status(wrong) },
	} {
		for _, kind := range []tokencache.Kind{tokencache.KindRejected, tokencache.KindDead} {
			for _, had := range []bool{false, true} {
				for _, looks := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, %s, had a token %v, looked at %v", name, kind, had, looks), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { correctedByAReload(t, kind, had, looks, correct) })
					})
				}
			}
		}
	}
}

func correctedByAReload(t *testing.T, kind tokencache.Kind, had, looks bool, correct func(*rig, *tokencache.Client)) {
	r := newRig(t, func(o *tokencache.Options) { o.Rand = func() float64 { return 0 } })
	if had {
		r.get("crm")
		settle(time.Hour)
	}
	r.server.set(failing(kind, true))
	for range 3 {
		r.refusal("crm", kind)
		settle(time.Minute)
	}
	r.refusal("crm", kind)
	r.refusal("crm", kind)
	calls := r.server.count()
	wrong := r.client
	r.client = r.newClient()
	correct(r, wrong)
	r.server.set(nil)
	if looks {
		r.cache.Overview(r.client)
		r.cache.Status(r.client)
	}
	r.get("crm")
	r.wantCalls(calls + 1)
	r.wantState(tokencache.StateOK)
}

// While the old configuration serves on beside the new one, with another secret that is wrong
// as well, the two do not take turns at asking.
func TestWrongSecretsTakeNoTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *tokencache.Options) { o.Rand = func() float64 { return 0 } })
		r.server.set(failing(tokencache.KindRejected, true))
		old, next := r.client, r.newClient()
		old.Credentials = func() [][]byte { return [][]byte{{1}} }
		next.Credentials = func() [][]byte { return [][]byte{{2}} }
		for range 50 {
			for _, r.client = range []*tokencache.Client{old, next} {
				r.refusal("crm", tokencache.KindRejected)
			}
			settle(10 * time.Millisecond)
		}
		if n := r.server.count(); n > 3 {
			t.Errorf("%d calls in half a second", n)
		}
	})
}
