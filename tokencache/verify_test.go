package tokencache_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// A grant that comes in proves itself by one call, which counts in its own ledger; then
// its token is the connection's, and the one of the grant before is gone.
func TestProvedGrantReplaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := openBolt(t, dir)
	r := newRig(t, func(o *tokencache.Options) { o.Store = store })
	r.grants.remove("default")
	key := tokencache.Key{Client: r.client.Name, Account: "default"}
	generation := uint64(0)
	for i := range 3 {
		g := grant(fmt.Sprint("number ", i))
		p, err := r.cache.Verify(r.client, key, g)
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%v %+v %#v", p, p, p); strings.Contains(text, p.AccessToken) {
			t.Errorf("a proof prints its token: %s", text)
		}
		if err := r.cache.Replace(r.client, key, g, p); err != nil {
			t.Fatal(err)
		}
		conn, err := r.cache.Conn(r.client, "default")
		if err != nil {
			t.Fatal(err)
		}
		token, err := conn.Resource("crm", "").Get(t.Context(), r.client)
		if err != nil || token.Value != p.AccessToken || token.Generation <= generation {
			t.Fatalf("grant %d: got %v, %v", i, token, err)
		}
		generation = token.Generation
		if s := r.cache.Status(r.client)[0]; s.BudgetLeft != 9 || s.State != tokencache.StateOK || conn.AccountsServer() != g.AccountsServer {
			t.Errorf("grant %d: %+v", i, s)
		}
	}
	if n := r.server.count(); n != 3 {
		t.Errorf("%d calls, want one for each grant", n)
	}
	if e := r.journal.of(tokencache.EventTokenRequest); len(e) != 3 || e[0].Cause != tokencache.CauseConsent || e[0].Generation != 0 {
		t.Errorf("events %v", e)
	}
	if e := r.journal.of(tokencache.EventInstalled); len(e) != 3 || e[2].Cause != tokencache.CauseConsent ||
		e[2].Generation != generation || e[2].Result != "ok" || e[2].Expiry.IsZero() {
		t.Errorf("events %v", e)
	}
}

// A grant that proves nothing changes nothing, and cannot be tried without end.
func TestUnprovedGrantChangesNothing(t *testing.T) {
	t.Parallel()
	store := openBolt(t, t.TempDir())
	r := newRig(t, func(o *tokencache.Options) { o.Store = store })
	r.grants.remove("default")
	key := tokencache.Key{Client: r.client.Name, Account: "default"}
	good := grant("good")
	p, err := r.cache.Verify(r.client, key, good)
	if err != nil || r.cache.Replace(r.client, key, good, p) != nil {
		t.Fatal(err)
	}
	r.server.set(failing(tokencache.KindDead, true))
	var e *tokencache.Error
	if _, err := r.cache.Verify(r.client, key, grant("bad")); !errors.As(err, &e) || e.Kind != tokencache.KindDead {
		t.Fatalf("got %v", err)
	}
	r.server.set(nil)
	conn, err := r.cache.Conn(r.client, "default")
	if err != nil {
		t.Fatal(err)
	}
	if token, err := conn.Resource("crm", "").Get(t.Context(), r.client); err != nil || token.Value != p.AccessToken {
		t.Errorf("got %v, %v", token, err)
	}

	other := grant("asked again and again")
	for i := range 10 {
		if _, err := r.cache.Verify(r.client, key, other); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	calls := r.server.count()
	if _, err := r.cache.Verify(r.client, key, other); !errors.As(err, &e) || e.Kind != tokencache.KindBudget || e.RetryAfter <= 0 {
		t.Errorf("the eleventh: %v", err)
	}
	// A restart does not begin the count anew.
	again := newRig(t, func(o *tokencache.Options) { o.Store = store })
	if _, err := again.cache.Verify(r.client, key, other); !errors.As(err, &e) || e.Kind != tokencache.KindBudget {
		t.Errorf("after a restart: %v", err)
	}
	if n := r.server.count(); n != calls {
		t.Errorf("%d calls more", n-calls)
	}
}

// A call that was made elsewhere counts as well.
func TestCountedElsewhere(t *testing.T) {
	t.Parallel()
	store := openBolt(t, t.TempDir())
	r := newRig(t, func(o *tokencache.Options) { o.Store = store })
	r.grants.remove("default")
	key, g := tokencache.Key{Client: r.client.Name, Account: "default"}, grant("exchanged")
	exchanged := func() tokencache.Proof {
		return r.cache.Exchanged(r.client, key, g, tokencache.Fetched{AccessToken: "of the exchange", Life: time.Hour})
	}
	exchanged()
	p, err := r.cache.Verify(r.client, key, g)
	if err != nil || r.cache.Replace(r.client, key, g, p) != nil {
		t.Fatal(err)
	}
	if left := r.cache.Status(r.client)[0].BudgetLeft; left != 8 {
		t.Errorf("%d are left, want 8", left)
	}

	// What it has brought serves like any other.
	if err := r.cache.Replace(r.client, key, g, exchanged()); err != nil {
		t.Fatal(err)
	}
	if tok := r.get("crm"); tok.Value != "of the exchange" || tok.Generation != 2 {
		t.Errorf("got %v", tok)
	}
	r.wantCalls(1)

	// It counts though the store cannot be read.
	g = grant("another")
	_ = store.Close()
	for range 10 {
		exchanged()
	}
	if err := store.Open(); err != nil {
		t.Fatal(err)
	}
	var spent *tokencache.Error
	if _, err := r.cache.Verify(r.client, key, g); !errors.As(err, &spent) || spent.Kind != tokencache.KindBudget {
		t.Errorf("after ten: %v", err)
	}
}
