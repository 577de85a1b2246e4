package tokencache_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// warmRig has a client with keep_warm that timers find.
func warmRig(t *testing.T, change ...func(*tokencache.Options)) *rig {
	r := newRig(t, change...)
	r.client.KeepWarm = 24 * time.Hour
	t.Cleanup(r.cache.Use(func(string) *tokencache.Client { return r.client }))
	return r
}

// A connection used within keep_warm has a live token at all times, and no
// more token calls than that takes; then it is left alone.
func TestKeepWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := warmRig(t)
		r.get("crm")
		start := time.Now()
		for time.Since(start) < 24*time.Hour {
			settle(time.Minute)
			if tok := r.conn().Peek(); !tok.Expiry.After(time.Now()) {
				t.Fatalf("without a live token after %s", time.Since(start))
			}
		}
		calls := r.server.count()
		if calls < 25 || calls > 27 {
			t.Errorf("%d calls in a day", calls)
		}
		for _, e := range r.journal.of(tokencache.EventTokenRequest)[1:] {
			if e.Cause != tokencache.CauseKeepWarm {
				t.Fatalf("cause %s", e.Cause)
			}
		}
		settle(2 * time.Hour)
		calls = r.server.count()
		settle(48 * time.Hour)
		r.wantCalls(calls)
		r.get("crm") // warm again
		settle(2 * time.Hour)
		r.wantCalls(calls + 3)
	})
}

func TestKeepWarmOff(t *testing.T) {
	for name, turn := range map[string]func(*rig){
		"by configuration": func(r *rig) { r.client.KeepWarm = 0 },
		"by a reload":      func(r *rig) { r.cache.Use(func(string) *tokencache.Client { return nil }) },
		"by Close":         func(r *rig) { _ = r.cache.Close() },
		"without use": func(r *rig) {
			r.grants.set("other", "x")
			n, _ := r.cache.Conn(r.client, "other")
			_, _ = n.Refresh(r.Context(), r.client)
			_ = r.cache.Close()
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := warmRig(t)
			if name == "by configuration" { // before its first use: a Client is immutable
				turn(r)
			}
			r.get("crm")
			if name != "by configuration" {
				turn(r)
			}
			calls := r.server.count()
			settle(10 * time.Hour)
			if got := r.server.count(); got != calls {
				t.Errorf("%s: %d calls more", name, got-calls)
			}
		})
	}
}

// A dead grant is known before it is needed, and tried as the table has it.
func TestKeepWarmWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := warmRig(t, func(o *tokencache.Options) { o.Rand = func() float64 { return 0 } })
		r.get("crm")
		r.server.set(failing(tokencache.KindDead, true))
		settle(58 * time.Minute)
		r.wantState(tokencache.StateDead)
		settle(time.Hour - 58*time.Minute + time.Hour)
		calls := r.server.count()
		if calls < 8 || calls > 15 {
			t.Errorf("%d calls in the first hour", calls)
		}
		r.server.set(nil)
		settle(10 * time.Minute)
		r.wantState(tokencache.StateOK)
		r.wantCalls(calls + 1)
	})
}

// A spent budget is waited for.
func TestKeepWarmAndBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := warmRig(t)
		r.client.Budget, r.client.BudgetWindow = 1, 59*time.Minute
		r.get("crm")
		settle(59*time.Minute - time.Second)
		r.wantCalls(1)
		settle(time.Minute)
		r.wantCalls(2)
	})
}

func TestTimersDoNotFireTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		r := warmRig(t, func(o *tokencache.Options) {
			o.Rand = func() float64 {
				mu.Lock()
				defer mu.Unlock()
				return rng.Float64()
			}
		})
		const conns = 1000
		for i := range conns {
			account := string(rune('a'+i%26)) + string(rune('a'+i/26))
			r.grants.set(account, account)
			n, err := r.cache.Conn(r.client, account)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := n.Resource("crm", "").Get(t.Context(), r.client); err != nil {
				t.Fatal(err)
			}
		}
		settle(time.Hour)
		r.wantCalls(2 * conns)
		inSecond := make(map[int64]int)
		for _, at := range r.server.calls[conns:] {
			inSecond[at.Unix()]++
		}
		for at, n := range inSecond {
			if n > conns/50 {
				t.Errorf("%d renewals in second %d", n, at)
			}
		}
	})
}

// A client that was not configured for a while: its connections have no timer any more
// until Warm sets them.
func TestWarmAfterReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.client.KeepWarm = 24 * time.Hour
		there := func() (release func()) { return r.cache.Use(func(string) *tokencache.Client { return r.client }) }
		gone := there()
		r.get("crm")
		r.cache.Warm(r.client) // changes nothing
		r.cache.Use(func(string) *tokencache.Client { return nil })
		gone()
		settle(3 * time.Hour)
		r.wantCalls(1)
		defer there()()
		r.cache.Warm(r.client)
		r.cache.Warm(r.client)
		settle(10 * time.Minute)
		r.wantCalls(2)
		settle(5 * time.Hour)
		if calls := r.server.count(); calls < 7 || calls > 8 {
			t.Errorf("%d calls in five hours", calls)
		}
	})
}

// A configuration that does not hold, as after a load that has failed, changes nothing.
func TestWarmOfAFailedLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.cache.Use(func(string) *tokencache.Client { return r.client })()
		r.get("crm")
		running := r.client
		r.grants.set("default", "another one")
		failed := r.newClient()
		failed.KeepWarm = time.Hour
		r.cache.Use(func(string) *tokencache.Client { return failed })()
		r.cache.Warm(failed)
		r.grants.set("default", "refresh token")
		r.client = running
		if tok := r.get("crm"); tok.Value != "token-1" {
			t.Errorf("got %v", tok)
		}
	})
}

// A cron job's connection stays warm over a restart: Warm sets the timers of
// those that were in use.
func TestWarmAfterRestart(t *testing.T) {
	for _, down := range []time.Duration{time.Minute, 3 * time.Hour, 30 * time.Hour} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			r := warmRig(t, withBolt(openBolt(t, dir)))
			r.grants.set("idle", "another")
			r.get("crm")
			settle(time.Second)
			if err := r.cache.Close(); err != nil {
				t.Fatal(err)
			}
			settle(down)
			r.restart()
			r.client.KeepWarm = 24 * time.Hour
			defer r.cache.Use(func(string) *tokencache.Client { return r.client })()
			r.cache.Warm(r.client)
			settle(2 * time.Hour)
			switch calls := r.server.count(); {
			case down > 24*time.Hour && calls != 1:
				t.Errorf("down for %s: %d calls", down, calls)
			case down < 24*time.Hour && (calls < 3 || calls > 4 || !r.conn().Peek().Expiry.After(time.Now())):
				t.Errorf("down for %s: %d calls, %v", down, calls, r.conn().Peek())
			}
		})
	}
}
