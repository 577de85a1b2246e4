package tokencache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// A call that brought no token does not count, though its grant was replaced meanwhile.
func TestSupersededCallIsSettled(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withBolt(openBolt(t, dir)))
		r.grants.set("twin", "refresh token")
		r.get("crm")
		r.server.slow(5 * time.Second)
		r.server.set(failing(tokencache.KindTemporary, true))
		n, before := r.conn(), r.client
		go func() { _, _ = n.Refresh(t.Context(), before) }()
		synctest.Wait()
		r.grants.set("default", "another one")
		r.client = r.newClient()
		r.refusal("crm", tokencache.KindTemporary)
		settle(time.Minute)
		for range 2 {
			if left := r.cache.Status(r.client, "twin")[0].BudgetLeft; left != 9 {
				t.Errorf("%d calls are left", left)
			}
			r.restart()
		}
	})
}

// Connections with one grant may count by windows of their own.
func TestTheLongestWindowIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.get("crm")
		settle(2 * time.Minute)
		short := r.newClient()
		short.Name, short.BudgetWindow = "short", time.Minute
		for client, left := range map[*tokencache.Client]int{short: 10, r.client: 9} {
			if got := r.cache.Status(client)[0].BudgetLeft; got != left {
				t.Errorf("%s: %d calls are left, want %d", client.Name, got, left)
			}
		}
	})
}

// Two connections with one grant share its budget, also over a restart after which
// only one of them is used, and over a change to another grant and back.
func TestConnectionsWithOneGrantShareItsBudget(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withBolt(openBolt(t, dir)))
		r.grants.set("twin", "refresh token")
		refresh := func(account string) (*tokencache.Token, error) {
			n, err := r.cache.Conn(r.client, account)
			if err != nil {
				t.Fatal(err)
			}
			return n.Refresh(t.Context(), r.client)
		}
		for i := range 10 {
			if _, err := refresh([]string{"default", "twin"}[i%2]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		spent := func(account string) {
			t.Helper()
			tok, err := refresh(account)
			r.wantError(tok, err, tokencache.KindBudget)
		}
		spent("default")
		spent("twin")
		for _, status := range r.cache.Status(r.client) {
			if status.BudgetLeft != 0 {
				t.Errorf("%s: %d calls are left", status.Account, status.BudgetLeft)
			}
		}
		r.restart()
		spent("twin")
		r.grants.set("default", "another one")
		r.client = r.newClient()
		if _, err := refresh("default"); err != nil {
			t.Fatal(err)
		}
		r.grants.set("default", "refresh token")
		r.client = r.newClient()
		spent("default")
		r.restart()
		spent("default")
		r.wantCalls(11)
		settle(10 * time.Minute)
		if _, err := refresh("default"); err != nil {
			t.Fatal(err)
		}
	})
}
