package tokencache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

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
