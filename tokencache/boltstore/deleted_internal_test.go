package boltstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// deletedWorld is a store whose process is killed between grants.db and tokens.db, and whose
// grants.db is replaced by an old one.
type deletedWorld struct {
	*testing.T
	dir  string
	b    *Store
	olds [][]byte // what grants.db was, oldest first
}

func newDeletedWorld(t *testing.T) *deletedWorld {
	w := &deletedWorld{T: t, dir: t.TempDir()}
	w.b = New(w.dir)
	t.Cleanup(func() { _ = w.b.Close() })
	return w
}

func (w *deletedWorld) restart() {
	w.Helper()
	if err := w.b.Close(); err != nil {
		w.Fatal(err)
	}
	w.b = New(w.dir)
}

func (w *deletedWorld) path() string { return filepath.Join(w.dir, grantsFile) }

func (w *deletedWorld) keepOld() {
	data, err := os.ReadFile(w.path())
	if err != nil {
		w.Fatal(err)
	}
	w.olds = append(w.olds, data)
}

// putBack puts grants.db back as it was then, with the process stopped.
func (w *deletedWorld) putBack(old []byte) {
	w.Helper()
	if err := errors.Join(w.b.Close(), os.WriteFile(w.path(), old, 0o600)); err != nil {
		w.Fatal(err)
	}
	w.b = New(w.dir)
}

// save stores a grant; killed, the process ends before tokens.db knows.
func (w *deletedWorld) save(key tokencache.Key, killed bool) {
	w.Helper()
	if !killed {
		if err := w.b.SaveGrant(key, hungSecrets, hungGrant); err != nil {
			w.Fatal(err)
		}
		return
	}
	err := askOnly(&w.b.grants, openPatience, func() error {
		if err := w.b.readyGrants(); err != nil {
			return err
		}
		seen := w.b.seenChanges()
		return w.b.changeGrants(func(f *dbFile, tx *bolt.Tx) error {
			change, err := nextChange(tx, seen)
			return errors.Join(err, putGrant(f, tx, key, hungSecrets, hungGrant, false, change))
		})
	})
	if err != nil {
		w.Fatal(err)
	}
	w.restart()
}

// forget deletes a grant; killed, the process ends before tokens.db knows.
func (w *deletedWorld) forget(key tokencache.Key, killed bool) {
	w.Helper()
	if !killed {
		if err := w.b.DeleteGrant(key); err != nil {
			w.Fatal(err)
		}
		return
	}
	if _, err := ask(&w.b.grants, openPatience, func() (deletion, error) { return w.b.deleteGrant(key) }); err != nil {
		w.Fatal(err)
	}
	w.restart()
}

func (w *deletedWorld) wantReturned(when string, want ...tokencache.Key) {
	w.Helper()
	if got := w.b.Returned(); !slices.Equal(got, want) {
		w.Errorf("%s: returned %v, want %v", when, got, want)
	}
}

// TestReturned, S-46: an old grants.db is noticed, and nothing else is taken for one, wherever the
// process was killed.
func TestReturned(t *testing.T) {
	t.Parallel()
	a, z := tokencache.Key{Client: "main", Account: "a"}, tokencache.Key{Client: "main", Account: "z"}
	for _, forgetting := range []bool{false, true} {
		for _, saving := range []bool{false, true} {
			t.Run(fmt.Sprintf("killed while forgetting %v, while saving %v", forgetting, saving), func(t *testing.T) {
				t.Parallel()
				w := newDeletedWorld(t)
				w.save(z, false)
				w.save(a, false)
				w.keepOld()
				w.forget(a, forgetting)
				w.wantReturned("deleted")
				w.save(a, saving)
				w.wantReturned("connected again")
				w.forget(a, forgetting)
				w.wantReturned("deleted again")
				w.putBack(w.olds[0])
				w.wantReturned("an old grants.db", a)
				w.restart()
				w.wantReturned("an old grants.db, once more", a)
				w.save(a, saving)
				w.wantReturned("connected a third time")
				w.putBack(w.olds[0])
				w.forget(a, forgetting)
				w.wantReturned("forgotten after an old file came back")
				w.putBack(w.olds[0])
				w.wantReturned("the same file for the third time", a)
			})
		}
	}
}

// TestReturnedAtRandom, S-46: whatever is done in whatever order, a grant is told of if it is older
// than the deletion of its account, and not otherwise. A deletion after which the account was
// connected again is forgotten, or is not where the process was killed.
func TestReturnedAtRandom(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := newDeletedWorld(t)
	now := make(map[tokencache.Key]int)      // :: account → when its stored grant was saved
	deleted := make(map[tokencache.Key]int)  // :: account → when it was deleted last
	settled := make(map[tokencache.Key]bool) // :: account → it was connected again since
	var then []map[tokencache.Key]int        // as now, for each of olds
	for step := 1; step <= 150; step++ {
		key := tokencache.Key{Client: "main", Account: string(rune('a' + random.IntN(3)))}
		killed := random.IntN(2) == 0
		switch _, stored := now[key]; random.IntN(6) {
		case 0, 1:
			w.save(key, killed)
			now[key], settled[key] = step, true
		case 2, 3:
			if !stored {
				continue
			}
			w.forget(key, killed)
			delete(now, key)
			deleted[key], settled[key] = step, false
		case 4:
			if _, err := os.Stat(w.path()); err == nil {
				w.keepOld()
				copied := make(map[tokencache.Key]int)
				for k, v := range now {
					copied[k] = v
				}
				then = append(then, copied)
			}
		case 5:
			if len(then) == 0 || random.IntN(3) > 0 {
				continue
			}
			w.b.openOnce() // what was killed has begun again, before somebody came with an old file
			i := random.IntN(len(then))
			w.putBack(w.olds[i])
			now = make(map[tokencache.Key]int)
			for k, v := range then[i] {
				now[k] = v
			}
		}
		got := w.b.Returned()
		for _, account := range []string{"a", "b", "c"} {
			k := tokencache.Key{Client: "main", Account: account}
			saved, stored := now[k]
			returned, older := slices.Contains(got, k), stored && saved < deleted[k]
			if returned && !older || !returned && older && !settled[k] {
				t.Fatalf("step %d: %s is returned: %v; saved %d, deleted %d", step, k, returned, saved, deleted[k])
			}
		}
	}
}

// TestReturnedOfBefore, S-46 and S-47: marks and grants of the version before have no numbers. What
// it noticed is noticed, and settled in the same way.
func TestReturnedOfBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "stores", "v0.1", "encryption_key"))); err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{[]byte("golden-encryption-key-8c1f0b52")}
	forgotten, other := tokencache.Key{Client: "main", Account: "forgotten"}, tokencache.Key{Client: "main", Account: "default"}
	b := New(dir)
	t.Cleanup(func() { _ = b.Close() })
	if got := b.Returned(); len(got) != 0 {
		t.Errorf("as the version before has left it: %v", got)
	}
	mark := func(key tokencache.Key) { // as the version before does
		t.Helper()
		err := b.withTokens(true, func(tx *bolt.Tx) error { return putAccount(tx, bucketDeleted, key, sealed.UTC(time.Now())) })
		if err != nil {
			t.Fatal(err)
		}
	}
	mark(other)
	if got := b.Returned(); !slices.Equal(got, []tokencache.Key{other}) {
		t.Errorf("a grant of the version before, deleted by it: %v", got)
	}
	if err := errors.Join(b.SaveGrant(other, secrets, hungGrant), b.SaveGrant(forgotten, secrets, hungGrant)); err != nil {
		t.Fatal(err)
	}
	mark(forgotten) // as if the process had been killed before it forgot that
	if got := b.Returned(); len(got) != 0 {
		t.Errorf("connected again: %v", got)
	}
}

// TestDeletedAccountsGo: what is left of an account that was deleted is dropped in time, by the
// deletions of others: its record after a day, the mark after a year. One that is in use by another
// grant stays.
func TestDeletedAccountsGo(t *testing.T) {
	t.Parallel()
	b := New(t.TempDir())
	t.Cleanup(func() { _ = b.Close() })
	ago := map[string]time.Duration{"hours": time.Hour, "days": 3 * recordLife, "in use": 3 * recordLife, "years": 2 * deletionLife}
	for account, age := range ago {
		key := tokencache.Key{Client: "main", Account: account}
		used := time.Now().Add(-age).Add(-time.Minute)
		if account == "in use" {
			used = time.Now()
		}
		if err := b.Save(key, hungSecrets, tokencache.Record{Generation: 7, Used: used}); err != nil {
			t.Fatal(err)
		}
		for _, f := range []*dbFile{&b.grants, &b.tokens} {
			if f == &b.grants {
				if err := b.SaveGrant(key, hungSecrets, hungGrant); err != nil {
					t.Fatal(err)
				}
				if err := b.DeleteGrant(key); err != nil {
					t.Fatal(err)
				}
			}
			f.mu.Lock()
			err := f.run(true, func(tx *bolt.Tx) error {
				d := readDeletion(tx, key)
				d.At = time.Now().Add(-age)
				return putAccount(tx, bucketDeleted, key, d)
			})
			f.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.SaveGrant(hungKey, hungSecrets, hungGrant); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteGrant(hungKey); err != nil {
		t.Fatal(err)
	}
	for account := range ago {
		key := tokencache.Key{Client: "main", Account: account}
		_, recorded, err := b.Load(key, hungSecrets)
		if err != nil || recorded != (account == "hours" || account == "in use") {
			t.Errorf("record of %q: %v, %v", account, recorded, err)
		}
		known, err := b.tokensDeletions()
		if err != nil {
			t.Fatal(err)
		}
		if _, marked := known[key]; marked != (account != "years") {
			t.Errorf("the deletion of %q is remembered: %v", account, marked)
		}
	}
}
