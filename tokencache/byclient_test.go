package tokencache_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// minted is a grant without a refresh token: the client itself asks.
func mintedFor(soid string, scopes ...string) tokencache.Grant {
	return tokencache.Grant{GrantType: "client_credentials", SOID: soid, Scopes: scopes, AccountsServer: "https://accounts.example"}
}

func (g *grants) put(account string, grant tokencache.Grant) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all == nil {
		g.all = make(map[string]tokencache.Grant)
	}
	g.all[account] = grant
}

// TestFingerprintWithoutRefreshToken: whatever a token is asked for tells one grant from another, but
// neither the order of scopes nor one that is named twice.
func TestFingerprintWithoutRefreshToken(t *testing.T) {
	usual := tokencache.MakeFingerprint("id", mintedFor("ZohoCRM.600", "a", "b"))
	for _, scopes := range [][]string{{"b", "a"}, {"a", "b", "a"}} {
		if tokencache.MakeFingerprint("id", mintedFor("ZohoCRM.600", scopes...)) != usual {
			t.Errorf("scopes %v make another grant", scopes)
		}
	}
	elsewhere := mintedFor("ZohoCRM.600", "a", "b")
	elsewhere.AccountsServer = "https://accounts.elsewhere"
	another := mintedFor("ZohoCRM.600", "a", "b")
	another.GrantType = "another"
	seen := map[tokencache.Fingerprint]string{usual: "the usual one", tokencache.MakeFingerprint("other id", mintedFor("ZohoCRM.600", "a", "b")): "another id"}
	for name, g := range map[string]tokencache.Grant{
		"another server": elsewhere, "another type": another, "another organization": mintedFor("ZohoCRM.700", "a", "b"),
		"none": mintedFor("", "a", "b"), "fewer scopes": mintedFor("ZohoCRM.600", "a"), "more": mintedFor("ZohoCRM.600", "a", "b", "c"),
		"joined scopes": mintedFor("ZohoCRM.600", "ab"), "a refresh token": {RefreshToken: "client_credentials", AccountsServer: "https://accounts.example"},
	} {
		fp := tokencache.MakeFingerprint("id", g)
		if other, ok := seen[fp]; ok {
			t.Errorf("%s is as %s", name, other)
		}
		seen[fp] = name
	}
	scopes := []string{"b", "a"}
	tokencache.MakeFingerprint("id", mintedFor("", scopes...))
	if !slices.Equal(scopes, []string{"b", "a"}) {
		t.Error("the caller's scopes are sorted")
	}
}

// TestLedgerOfAClient: accounts without a refresh token share the client's budget, also over a restart
// and with a client of another name; those with one have theirs.
func TestLedgerOfAClient(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withBolt(openBolt(t, dir)))
		r.grants.put("east", mintedFor("ZohoCRM.600", "a"))
		r.grants.put("west", mintedFor("ZohoCRM.700", "b"))
		refresh := func(account string) error {
			n, err := r.cache.Conn(r.client, account)
			if err != nil {
				t.Fatal(err)
			}
			_, err = n.Refresh(context.Background(), r.client)
			return err
		}
		for i := range 10 {
			if err := refresh([]string{"east", "west"}[i%2]); err != nil {
				t.Fatal(err)
			}
		}
		spent := func(when string) {
			t.Helper()
			for _, account := range []string{"east", "west"} {
				if err := refresh(account); err == nil || !strings.Contains(err.Error(), "spent") {
					t.Errorf("%s, %s: %v", when, account, err)
				}
			}
			for _, s := range r.cache.Status(r.client) {
				if want := map[string]int{"east": 0, "west": 0, "default": 10}[s.Account]; s.BudgetLeft != want {
					t.Errorf("%s: %s has %d calls left, want %d", when, s.Account, s.BudgetLeft, want)
				}
				if s.ByClient != (s.Account != "default") || s.NeedsConsent() || s.ByClient && s.RefreshTokens != 0 {
					t.Errorf("%s: %+v", when, s)
				}
			}
		}
		spent("at first")
		r.restart()
		spent("after a restart")
		r.client.Name = "other"
		spent("as another client with the same id")
		time.Sleep(10 * time.Minute)
		if err := refresh("west"); err != nil {
			t.Error(err)
		}
	})
}

// TestDiscard: a token that was given back is not served any more, also after a restart; the next call
// gets another one, which is no loss, and no timer does.
func TestDiscard(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withBolt(openBolt(t, dir)))
		r.client.KeepWarm = 24 * time.Hour
		r.grants.put("default", mintedFor("", "a"))
		t.Cleanup(r.cache.Use(func(string) *tokencache.Client { return r.client }))
		first := r.get("crm")
		r.resource("crm").Accepted(first.Generation)
		r.restart()
		kept, err := r.conn().Kept(r.client)
		if err != nil || kept == nil || kept.Value != first.Value {
			t.Fatalf("kept %v, %v", kept, err)
		}
		if err := r.conn().Discard(r.client, kept.Generation-1); err != nil || r.conn().Peek() == nil {
			t.Errorf("another generation was discarded: %v", err)
		}
		if err := r.conn().Discard(r.client, kept.Generation); err != nil {
			t.Fatal(err)
		}
		settle(2 * time.Hour)
		r.wantCalls(1)
		r.restart()
		if kept, err := r.conn().Kept(r.client); kept != nil || err != nil {
			t.Errorf("kept %v, %v", kept, err)
		}
		second := r.get("crm")
		r.resource("crm").Accepted(second.Generation)
		r.wantCalls(2)
		if second.Generation <= first.Generation {
			t.Errorf("generation %d after %d", second.Generation, first.Generation)
		}
		if s := r.cache.Status(r.client)[0]; s.LostEarly != 0 || s.State != tokencache.StateOK {
			t.Errorf("%+v", s)
		}
	})
}

// TestRejectedWithoutRefreshToken: what only the configuration can mend waits as for a rejected client, and
// other scopes are tried at once.
func TestRejectedWithoutRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.grants.put("default", mintedFor("", "wrong"))
		r.server.set(failing(tokencache.KindRejected, true))
		r.refusal("crm", tokencache.KindRejected)
		r.refusal("crm", tokencache.KindRejected)
		r.wantCalls(1)
		if s := r.cache.Status(r.client)[0]; s.NeedsConsent() || s.State != tokencache.StateDead {
			t.Errorf("%+v", s)
		}
		r.server.set(nil)
		r.grants.put("default", mintedFor("", "right"))
		r.client = r.newClient()
		r.get("crm")
		r.wantCalls(2)
		r.wantState(tokencache.StateOK)
	})
}
