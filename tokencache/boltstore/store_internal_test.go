package boltstore

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// FuzzFile reads strangers' bytes as a file: no panic, and what is taken for
// sound can be opened.
func FuzzFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 512})
	if err != nil {
		f.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		var errs error
		for i := range 30 {
			errs = errors.Join(errs, putAccount(tx, "b", tokencache.Key{Client: "client", Account: strings.Repeat("x", 1+i)}, strings.Repeat("y", 40)))
		}
		return errs
	})
	if err := errors.Join(err, db.Close()); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := checkFile(bytes.NewReader(data), int64(len(data))); err != nil {
		f.Fatalf("a sound file: %v", err)
	}
	f.Add(data, uint32(0), byte(0))
	f.Add(data[:2048], uint32(0), byte(0))
	for range 50 {
		f.Add(data, rand.Uint32(), byte(1)<<rand.IntN(8))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint32, flip byte) {
		data = bytes.Clone(data)
		if len(data) > 0 {
			data[int(at)%len(data)] ^= flip
		}
		if checkFile(bytes.NewReader(data), int64(len(data))) != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		readAll(t, path)
	})
}

func readAll(t *testing.T, path string) {
	t.Helper()
	_, err := guard(func() error {
		db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
		if err != nil {
			return err
		}
		err = db.Update(func(tx *bolt.Tx) error {
			var walk func(b *bolt.Bucket) error
			walk = func(b *bolt.Bucket) error {
				return b.ForEach(func(k, v []byte) error {
					if sub := b.Bucket(k); v == nil && sub != nil {
						return walk(sub)
					}
					return nil
				})
			}
			return errors.Join(
				tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
					if b == nil { // a value where a bucket was
						return nil
					}
					return walk(b)
				}),
				putAccount(tx, "new", tokencache.Key{Client: "c", Account: "a"}, strings.Repeat("z", 3000)))
		})
		return errors.Join(err, db.Close())
	})
	if err != nil {
		t.Errorf("taken for sound, but: %v", err)
	}
}

func TestPanicInATransactionBlocksNobody(t *testing.T) {
	t.Parallel()
	b := New(t.TempDir())
	t.Cleanup(func() { _ = b.Close() })
	for _, write := range []bool{true, false} {
		runs := 0
		err := b.withTokens(write, func(*bolt.Tx) error {
			if runs++; runs == 1 {
				panic("page 3 is upside down")
			}
			return nil
		})
		if err != nil || runs != 2 {
			t.Errorf("got %v after %d runs, want tokens.db begun anew", err, runs)
		}
	}
	runs := 0
	err := b.withTokens(true, func(*bolt.Tx) error {
		if runs++; runs == 1 {
			return bolterrors.ErrIncompatibleValue // a flipped bit made a value of a bucket
		}
		return nil
	})
	if err != nil || runs != 2 {
		t.Errorf("got %v after %d runs, want tokens.db begun anew", err, runs)
	}
	secrets := [][]byte{[]byte("s")}
	if err := b.SaveGrant(tokencache.Key{Client: "c", Account: "a"}, secrets, tokencache.Grant{RefreshToken: "r"}); err != nil {
		t.Fatal(err)
	}
	b.grants.mu.Lock()
	err = b.grants.run(true, func(*bolt.Tx) error { panic("upside down") })
	b.grants.mu.Unlock()
	if !errors.Is(err, tokencache.ErrDamaged) {
		t.Errorf("got %v", err)
	}
	if _, _, err := b.LoadGrant(tokencache.Key{Client: "c", Account: "a"}, secrets); !errors.Is(err, tokencache.ErrDamaged) {
		t.Errorf("got %v", err)
	}
	b.grants.mu.Lock()
	b.grants.retry = time.Time{} // half a minute later
	b.grants.mu.Unlock()
	if g, ok, err := b.LoadGrant(tokencache.Key{Client: "c", Account: "a"}, secrets); !ok || err != nil || g.RefreshToken != "r" {
		t.Errorf("got %v, %v, %v, want the sound file to be read again", g, ok, err)
	}
}

// TestSecondMark: a change that was written is made, also if the empty transaction after it
// fails; and one whose commit failed is found out by opening the file anew.
func TestSecondMark(t *testing.T) {
	t.Parallel()
	secrets := [][]byte{[]byte("s")}
	a, z := tokencache.Key{Client: "c", Account: "a"}, tokencache.Key{Client: "c", Account: "z"}
	for name, breakAfter := range map[string]func(f *dbFile, tx *bolt.Tx){
		"the second fails": func(f *dbFile, tx *bolt.Tx) { tx.OnCommit(func() { _ = f.db.Close() }) },
		"the first fails":  func(f *dbFile, _ *bolt.Tx) { _ = f.raw.Close() },
	} {
		b := New(t.TempDir())
		if err := b.SaveGrant(a, secrets, tokencache.Grant{RefreshToken: "1000.a"}); err != nil {
			t.Fatal(err)
		}
		g := tokencache.Grant{RefreshToken: "1000.z"}
		b.grants.mu.Lock()
		err := b.changeGrants(func(f *dbFile, tx *bolt.Tx) error {
			err := putGrant(f, tx, z, secrets, g, false, 0)
			breakAfter(f, tx)
			return err
		})
		b.grants.mu.Unlock()
		written := name == "the second fails"
		if (err == nil) != written {
			t.Errorf("%s: %v", name, err)
		}
		if warned := len(b.warnings.Latest()) == 1; warned != written {
			t.Errorf("%s: warnings %q", name, b.warnings.Latest())
		}
		if g, found, err := b.LoadGrant(z, secrets); err != nil || found != written || found && g.RefreshToken != "1000.z" {
			t.Errorf("%s: %v, %v, %v", name, g, found, err)
		}
		if b.HasGrant(z) != written || !b.HasGrant(a) {
			t.Errorf("%s: the index has %v", name, b.Accounts("c"))
		}
		if err := b.SaveGrant(z, secrets, g); err != nil {
			t.Errorf("%s: the next change: %v", name, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestCommitsWaitForTheDisk, S-37: no kill shows whether what was acknowledged is on the disk,
// only a power cut would, so this looks at how bbolt was opened. TestStoreErrors in tests fails
// as well if it does not wait.
func TestCommitsWaitForTheDisk(t *testing.T) {
	b := New(t.TempDir())
	t.Cleanup(func() { _ = b.Close() })
	key, secrets := tokencache.Key{Client: "c", Account: "a"}, [][]byte{[]byte("s")}
	err := errors.Join(b.SaveGrant(key, secrets, tokencache.Grant{RefreshToken: "r"}), b.Save(key, secrets, tokencache.Record{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*dbFile{&b.grants, &b.tokens} {
		if f.db.NoSync || f.db.NoGrowSync || f.db.NoFreelistSync {
			t.Errorf("%s: %v", f.name, f.db)
		}
	}
}
