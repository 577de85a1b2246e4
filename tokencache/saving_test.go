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

// slowStore takes its time for each record that it writes.
type slowStore struct {
	tokencache.Store
	delay time.Duration
}

func (s *slowStore) Save(key tokencache.Key, secrets [][]byte, r tokencache.Record) error {
	time.Sleep(s.delay)
	return s.Store.Save(key, secrets, r)
}

// TestSlowDisk, S-41: a disk that is slow, and does not hang, holds up nobody for long: writes wait
// for those before them for a while, then count in memory, and are made up for.
func TestSlowDisk(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const accounts, longest = 20, 8 * time.Second
		b := openBolt(t, dir)
		slow := &slowStore{Store: b, delay: 1900 * time.Millisecond}
		r := newRig(t, func(o *tokencache.Options) { o.Store = slow })
		defer r.cache.Use(func(string) *tokencache.Client { return r.client })()
		var all sync.WaitGroup
		for i := range accounts {
			account := fmt.Sprint("account-", i)
			r.grants.set(account, "refresh token of "+account)
			all.Go(func() {
				started := time.Now()
				n, err := r.cache.Conn(r.client, account)
				if err == nil {
					_, err = n.Resource("crm", "").Get(context.Background(), r.client)
				}
				if waited := time.Since(started); err != nil || waited > longest {
					t.Errorf("%s: %v after %s", account, err, waited)
				}
			})
		}
		all.Wait()
		r.wantCalls(accounts)
		settle(10 * time.Minute)
		for i := range accounts {
			key := tokencache.Key{Client: "main", Account: fmt.Sprint("account-", i)}
			rec, found, err := b.Load(key, r.client.Secrets())
			calls, err2 := b.LoadLedger(rec.Fingerprint)
			if err := errors.Join(err, err2); err != nil || !found || rec.Token == "" || len(calls.Times) != 1 {
				t.Errorf("in the file: %v, %v, %v, %v", rec, found, calls, err)
			}
		}
	})
}

// TestSlowStoreIsBlamed: who gives up while the store is waited for is told of the store, and not
// that the server does not answer.
func TestSlowStoreIsBlamed(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		slow := &slowStore{Store: openBolt(t, dir), delay: 2 * time.Second}
		r := newRig(t, func(o *tokencache.Options) { o.Store = slow })
		r.server.slow(2 * time.Second)
		for _, test := range []struct {
			patience time.Duration
			kind     tokencache.Kind
		}{{time.Second, tokencache.KindStore}, {2 * time.Second, tokencache.KindTemporary}} {
			ctx, cancel := context.WithTimeout(context.Background(), test.patience)
			_, err := r.conn().Token(ctx, r.client)
			cancel()
			var e *tokencache.Error
			if !errors.As(err, &e) || e.Kind != test.kind || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %s: %v, want the kind %s", test.patience, err, test.kind)
			}
		}
		settle(time.Minute)
	})
}
