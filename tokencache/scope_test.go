package tokencache_test

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// TestWidenedToken: a token that may do more by now stays the same token, everywhere, and costs no call.
func TestWidenedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		tokens := f.all(1, (*replica).ask)
		one, other := f.replicas[0], f.replicas[1]
		scope := func(r *replica) string { return r.cache.Status(r.client)[0].TokenScope }
		if len(tokens) != 1 || scope(one) != "all" || scope(other) != "all" {
			t.Fatalf("%v have the scopes %q and %q", tokens, scope(one), scope(other))
		}
		conn, err := one.cache.Conn(one.client, "default")
		if err != nil {
			t.Fatal(err)
		}
		generation := conn.Peek().Generation
		conn.Widened(one.client, generation-1, "of a token before")
		conn.Widened(one.client, generation, "all and more")
		synctest.Wait()
		if scope(one) != "all and more" || scope(other) != "all and more" {
			t.Errorf("the scopes are %q and %q", scope(one), scope(other))
		}
		if again := f.all(1, (*replica).ask); !maps.Equal(again, tokens) {
			t.Errorf("got %v, before %v", again, tokens)
		}
		f.wantCalls(1)
		later := f.start(one.store.Replica())
		if _, err := later.ask(); err != nil || scope(later) != "all and more" {
			t.Errorf("to a process that comes later: %q, %v", scope(later), err)
		}
		f.wantCalls(1)
		if _, err := conn.Refresh(context.Background(), one.client); err != nil || scope(one) != "all" {
			t.Errorf("a new token: %q, %v", scope(one), err)
		}
		f.wantCalls(2)
		other.grants.remove("default")
		if err := other.store.DeleteGrant(tokencache.Key{Client: "main", Account: "default"}); err != nil {
			t.Fatal(err)
		}
		if all := one.cache.Status(one.client); len(all) > 0 && all[0].TokenScope != "" {
			t.Errorf("without a grant: %+v", all)
		}
	})
}
