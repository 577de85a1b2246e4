package tokencache_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// Names that callers think of cost neither secrets nor looks at files.
func TestStrangersCostNothing(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		key := tokencache.Key{Client: "main", Account: "stored"}
		if err := b.SaveGrant(key, [][]byte{[]byte("x")}, tokencache.Grant{RefreshToken: "y"}); err != nil {
			t.Fatal(err)
		}
		r := newRig(t, withBolt(b))
		asked := 0
		r.client.Secrets = func() [][]byte { asked++; return nil }
		strangers := func(kind tokencache.Kind) {
			t.Helper()
			for i := range 100 {
				_, err := r.cache.Conn(r.client, fmt.Sprint("stranger", i))
				r.wantError(nil, err, kind)
			}
		}
		strangers(tokencache.KindNoGrant)
		if _, err := r.cache.Conn(r.client, "stored"); err != nil {
			t.Error(err)
		}
		path := filepath.Join(dir, "grants.db")
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		strangers(tokencache.KindNoGrant) // as of this second
		settle(time.Second)
		strangers(tokencache.KindStore)
		settle(time.Second)
		strangers(tokencache.KindStore)
		told := r.journal.of(tokencache.EventStoreError)
		if len(told) != 2 || told[0].Key != (tokencache.Key{Client: "main"}) || told[0].Operation != "load_grant" || told[0].Err == nil {
			t.Errorf("told of %+v", told)
		}
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		strangers(tokencache.KindNoGrant)
		if asked != 0 {
			t.Errorf("secrets were resolved %d times", asked)
		}
	})
}

// A grant is there as soon as it is stored, whatever was said of it a moment before.
func TestStrangerConnects(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBolt(t, dir)
		r := newRig(t, withBolt(b))
		_, err := r.cache.Conn(r.client, "new")
		r.wantError(nil, err, tokencache.KindNoGrant)
		if err := b.SaveGrant(tokencache.Key{Client: "main", Account: "new"}, r.secret.get(), tokencache.Grant{RefreshToken: "y"}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.cache.Conn(r.client, "new"); err != nil {
			t.Error(err)
		}
	})
}

// tokens.db is damaged while it is in use, and set aside: an event tells, once.
func TestWarningsBecomeEvents(t *testing.T) {
	dir := t.TempDir()
	b := openBolt(t, dir)
	r := newRig(t, withBolt(b))
	r.get("crm")
	if n := len(r.journal.of(tokencache.EventStoreWarning)); n != 0 {
		t.Fatalf("%d warnings", n)
	}
	if err := r.cache.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tokens.db")
	if err := errors.Join(os.Remove(path), os.WriteFile(path, bytes.Repeat([]byte("garbage "), 1024), 0o600)); err != nil {
		t.Fatal(err)
	}
	r.restart()
	for range 3 {
		if _, err := r.conn().Refresh(t.Context(), r.client); err != nil {
			t.Fatal(err)
		}
	}
	_ = r.cache.Close()
	told := r.journal.of(tokencache.EventStoreWarning)
	if len(told) != 1 || told[0].Err == nil || !strings.Contains(told[0].Err.Error(), "started over") {
		t.Errorf("told of %+v", told)
	}
	// What Open meets is in Warnings, where whoever opens looks.
	_ = b.Close()
	if err := errors.Join(os.Remove(path), os.WriteFile(path, bytes.Repeat([]byte("garbage "), 1024), 0o600), b.Open()); err != nil {
		t.Fatal(err)
	}
	r.restart()
	r.get("crm")
	if n := len(r.journal.of(tokencache.EventStoreWarning)); n != 1 || len(b.Warnings()) != 3 { // with the mode of the directory
		t.Errorf("%d events, warnings %q", n, b.Warnings())
	}
}

// TestGrantBesideADamagedOne: whoever is the first to use the store, and whatever of it is open
// by then, a sound grant is found though the record of another account is damaged.
func TestGrantBesideADamagedOne(t *testing.T) {
	made := t.TempDir()
	b := openBolt(t, made)
	sound, damaged := tokencache.Key{Client: "main", Account: "stored"}, tokencache.Key{Client: "main", Account: "second"}
	for _, key := range []tokencache.Key{sound, damaged} {
		if err := b.SaveGrant(key, [][]byte{[]byte("secret")}, tokencache.Grant{RefreshToken: key.Account}); err != nil {
			t.Fatal(err)
		}
	}
	_ = b.Close()
	db, err := bolt.Open(filepath.Join(made, "grants.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		accounts := tx.Bucket([]byte("grants")).Bucket([]byte("main"))
		return errors.Join(accounts.Put([]byte("sekond"), accounts.Get([]byte("second"))), accounts.Delete([]byte("second")))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	stored, err := os.ReadFile(filepath.Join(made, "grants.db"))
	if err != nil {
		t.Fatal(err)
	}
	var starts sync.WaitGroup
	for name, first := range map[string]func(b *boltstore.Store){
		"nothing is open":        func(*boltstore.Store) {},
		"tokens.db alone":        func(b *boltstore.Store) { _, _, _ = b.Load(sound, nil) },
		"a start is under way":   func(b *boltstore.Store) { starts.Go(func() { _ = b.Open() }) },
		"somebody asked for all": func(b *boltstore.Store) { _ = b.Check() },
	} {
		for range 20 {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "grants.db"), stored, 0o600); err != nil {
				t.Fatal(err)
			}
			b := boltstore.New(dir)
			r := newRig(t, withBolt(b))
			first(b)
			_, err := r.cache.Conn(r.client, "stored")
			accounts := b.Accounts("main")
			_, err2 := r.cache.Conn(r.client, "third")
			if err != nil || len(accounts) != 2 {
				t.Errorf("%s: %v, accounts %q", name, err, accounts)
			}
			r.wantError(nil, err2, tokencache.KindStore)
			starts.Wait()
			_ = b.Close()
		}
	}
}
