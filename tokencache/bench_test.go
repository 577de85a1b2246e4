package tokencache_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// The hot path takes no lock and allocates nothing.
func TestHotPathAllocatesNothing(t *testing.T) {
	r := newRig(t)
	r.get("crm")
	ctx := context.Background()
	res := r.resource("crm")
	for name, f := range map[string]func(){
		"Get":                 func() { _, _ = res.Get(ctx, r.client) },
		"Accepted":            func() { res.Accepted(1) },
		"accepted, of a kind": func() { tokencache.Call{Resource: res, Likeness: 7}.Accepted(1) },
		"Conn":                func() { _, _ = r.cache.Conn(r.client, "default") },
		"Resource":            func() { r.conn().Resource("crm", "") },
		"Peek":                func() { r.conn().Peek() },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// While a renewal is on its way, or waits, the token that lives on is had as before.
func TestHotPathDuringARenewal(t *testing.T) {
	for name, prepare := range map[string]func(r *rig){
		"on its way": func(r *rig) { r.server.slow(10 * time.Second) },
		"throttled":  func(r *rig) { r.server.set(failing(tokencache.KindThrottled, false)) },
		"dead":       func(r *rig) { r.server.set(failing(tokencache.KindDead, true)) },
		"no budget":  func(r *rig) { r.client.Budget, r.client.BudgetWindow = 1, time.Hour },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.get("crm")
			prepare(r)
			settle(56 * time.Minute)
			r.get("crm")
			synctest.Wait()
			settle(time.Millisecond)
			res, ctx := r.resource("crm"), context.Background()
			if n := testing.AllocsPerRun(100, func() { _, _ = res.Get(ctx, r.client) }); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		})
	}
}

// manyConns fills a cache with connections that all have a token.
func manyConns(t testing.TB, count int) (*rig, []string) {
	r := newRig(t, func(o *tokencache.Options) { o.Observe = nil })
	r.client.KeepWarm = 24 * time.Hour
	r.client.Grant = func(account string) (tokencache.Grant, bool, error) {
		return tokencache.Grant{RefreshToken: account, AccountsServer: "https://accounts.example"}, true, nil
	}
	r.client.Fetch = func(_ context.Context, key tokencache.Key, _ tokencache.Grant) (tokencache.Fetched, error) {
		return tokencache.Fetched{
			AccessToken: fmt.Sprintf("1000.%032x.%032s", 7, key.Account),
			Life:        time.Hour,
			APIDomain:   "https://api.example",
			Scope:       "ZohoCRM.modules.ALL ZohoCRM.settings.ALL ZohoBooks.fullaccess.all",
		}, nil
	}
	accounts := make([]string, count)
	for i := range accounts {
		accounts[i] = fmt.Sprintf("customer-%06d", i)
	}
	for _, account := range accounts {
		n, err := r.cache.Conn(r.client, account)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Resource("crm", "").Get(t.Context(), r.client); err != nil {
			t.Fatal(err)
		}
		n.Resource("crm", "").Accepted(1)
	}
	return r, accounts
}

// 100,000 connections with their tokens: at most 1 kB each.
func TestMemoryOfManyConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const count = 100_000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	r, accounts := manyConns(t, count)
	each := int64(heap()-before) / count
	t.Logf("%d bytes for each connection", each)
	if each > 1000 {
		t.Errorf("%d bytes for each connection", each)
	}
	runtime.KeepAlive(r)
	runtime.KeepAlive(accounts)
}

func BenchmarkGet(b *testing.B) {
	r := newRig(b)
	r.get("crm")
	res, ctx := r.resource("crm"), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := res.Get(ctx, r.client); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetParallel(b *testing.B) {
	r := newRig(b)
	r.get("crm")
	res, ctx := r.resource("crm"), context.Background()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = res.Get(ctx, r.client)
		}
	})
}

func BenchmarkAccepted(b *testing.B) {
	r := newRig(b)
	r.get("crm")
	res := r.resource("crm")
	for b.Loop() {
		res.Accepted(1)
	}
}

// The kind of the call is the last of those that are known.
func BenchmarkAcceptedOfAKind(b *testing.B) {
	r := newRig(b)
	r.get("crm")
	for kind := range uint64(8) {
		tokencache.Call{Resource: r.resource("crm"), Likeness: kind + 1}.Accepted(1)
	}
	c := tokencache.Call{Resource: r.resource("crm"), Likeness: 7}
	b.ReportAllocs()
	for b.Loop() {
		c.Accepted(1)
	}
}

// From the names in a request to a token.
func BenchmarkConnResourceGet(b *testing.B) {
	for _, count := range []int{1, 10_000, 100_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			r, accounts := manyConns(b, count)
			ctx, i := context.Background(), 0
			b.ReportAllocs()
			for b.Loop() {
				n, err := r.cache.Conn(r.client, accounts[i])
				if err != nil {
					b.Fatal(err)
				}
				_, _ = n.Resource("crm", "").Get(ctx, r.client)
				if i += 7919; i >= count {
					i %= count
				}
			}
		})
	}
}

func BenchmarkConn(b *testing.B) {
	for _, count := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			r, accounts := manyConns(b, count)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				_, _ = r.cache.Conn(r.client, accounts[i])
				if i += 7919; i >= count {
					i %= count
				}
			}
		})
	}
}
