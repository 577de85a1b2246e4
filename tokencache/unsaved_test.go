package tokencache_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// S-41: a write that fails costs no request; it is tried again, and succeeds
// by itself once it can.
func TestFailedWritesAreMadeUpFor(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		r := newRig(t, withBolt(b))
		defer r.cache.Use(func(string) *tokencache.Client { return r.client })()
		r.secret.set("") // nothing can be sealed
		r.get("crm")
		synctest.Wait()
		failed := len(r.journal.of(tokencache.EventStoreError))
		if failed == 0 {
			t.Fatal("the store wrote without a key")
		}
		settle(5 * time.Minute)
		if n := len(r.journal.of(tokencache.EventStoreError)); n <= failed || n > failed+15 {
			t.Errorf("%d failures told of, %d at first", n, failed)
		}
		r.secret.set("a client's secret")
		settle(time.Minute)
		rec, found, err := b.Load(tokencache.Key{Client: "main", Account: "default"}, r.client.Secrets())
		if err != nil || !found || rec.Token != "token-1" {
			t.Errorf("in the file: %v, %v, %v", rec, found, err)
		}
		r.wantCalls(1)
	})
}

// A panic of the configuration while saving costs nobody a token.
func TestPanicWhileSaving(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, withBolt(openBolt(t, dir)))
		r.server.set(func(call int) (tokencache.Fetched, error) {
			r.secret.set("panic")
			return token(call)
		})
		r.get("crm")
		synctest.Wait()
		if errs := r.journal.of(tokencache.EventStoreError); len(errs) != 1 || errs[0].Operation != "save" {
			t.Errorf("told of %+v", errs)
		}
		r.secret.set("a client's secret")
		settle(time.Hour)
		r.server.set(nil)
		r.get("crm")
	})
}

func TestCloseWritesWhatIsUnsaved(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		r := newRig(t, withBolt(b))
		r.secret.set("")
		r.get("crm")
		synctest.Wait()
		r.secret.set("now")
		if err := r.cache.Close(); err != nil {
			t.Fatal(err)
		}
		rec, _, err := b.Load(tokencache.Key{Client: "main", Account: "default"}, r.secret.get())
		if err != nil || rec.Token != "token-1" {
			t.Errorf("in the file: %v, %v", rec, err)
		}
	})
}

// A store that was closed, or lost its directory, takes nothing from those who
// have a token, and a new token is served though it cannot be written.
func TestStoreGoneAtRunTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		r := newRig(t, withBolt(b))
		r.get("crm")
		synctest.Wait()
		_ = b.Close()
		if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		settle(56 * time.Minute)
		r.get("crm")
		settle(time.Second)
		if tok := r.get("crm"); tok.Generation != 2 {
			t.Errorf("got %v", tok)
		}
		if len(r.journal.of(tokencache.EventStoreError)) == 0 {
			t.Error("nobody was told")
		}
		if err := r.cache.Close(); err != nil {
			t.Error(err)
		}
	})
}
