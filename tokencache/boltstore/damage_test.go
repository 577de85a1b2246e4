//go:build unix

package boltstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

const accounts = 40 // enough for branch pages in both files

func name(i int) string { return fmt.Sprintf("account-%03d", i) }

// made holds the files of a store with grants and records.
var made = sync.OnceValues(func() (map[string][]byte, error) {
	tmp, err := os.MkdirTemp("", "store")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	b := boltstore.New(tmp)
	for i := range accounts {
		err = errors.Join(err, b.SaveGrant(key(name(i)), secrets, grant(name(i))), b.Save(key(name(i)), secrets, someRecord))
	}
	files := make(map[string][]byte)
	for _, f := range []string{"grants.db", "grants.db.before", "tokens.db"} {
		data, e := os.ReadFile(filepath.Join(tmp, f))
		files[f], err = data, errors.Join(err, e)
	}
	return files, errors.Join(err, b.Close())
})

// makeStore returns a directory with those files.
func makeStore(tb testing.TB) string {
	tb.Helper()
	files, err := made()
	dir := filepath.Join(tb.TempDir(), "store")
	err = errors.Join(err, os.Mkdir(dir, 0o700))
	for name, data := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

// wantSoundOrError fails if a grant is another than the one saved, or if one is
// missing without an error.
func wantSoundOrError(tb testing.TB, b *boltstore.Store) (errs int) {
	tb.Helper()
	for i := range accounts {
		g, ok, err := b.LoadGrant(key(name(i)), secrets)
		switch {
		case err != nil:
			wantStoreError(tb, err, "grants.db")
			errs++
		case !ok:
			tb.Errorf("the grant of %s is silently gone", name(i))
		case g.RefreshToken != grant(name(i)).RefreshToken:
			tb.Errorf("the grant of %s is %v", name(i), g)
		}
	}
	return errs
}

// wantTokensToGoOn fails unless records are written and read, whatever happened.
func wantTokensToGoOn(tb testing.TB, b *boltstore.Store) {
	tb.Helper()
	for i := range accounts {
		if _, _, err := b.Load(key(name(i)), secrets); err != nil {
			tb.Fatalf("loading the record of %s: %v", name(i), err)
		}
	}
	if err := b.Save(key("after"), secrets, someRecord); err != nil {
		tb.Fatalf("saving: %v", err)
	}
	if r, ok, err := b.Load(key("after"), secrets); !ok || err != nil || r.Token != someRecord.Token {
		tb.Fatalf("got %v, %v, %v", r, ok, err)
	}
}

// What can stand where a file of the store should be.
var damages = map[string]func(path string) error{
	"both metas zeroed": func(path string) error { return overwrite(path, 0, make([]byte, 8192)) },
	"first meta zeroed": func(path string) error { return overwrite(path, 0, make([]byte, 4096)) },
	"garbage pages":     func(path string) error { return overwrite(path, 3*4096, garbage(20*4096)) },
	"all garbage":       func(path string) error { return os.WriteFile(path, garbage(50000), 0o600) },
	"a hundred bytes":   func(path string) error { return os.WriteFile(path, garbage(100), 0o600) },
	"zeroed behind":     func(path string) error { return overwrite(path, 4*4096, make([]byte, 64*4096)) },
	"a directory":       func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	"a full directory": func(path string) error {
		return errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o700))
	},
	"a FIFO":            func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) },
	"a loop of links":   func(path string) error { return errors.Join(os.Remove(path), os.Symlink(path, path)) },
	"a link to nowhere": func(path string) error { return errors.Join(os.Remove(path), os.Symlink(path+".nowhere", path)) },
	"a link to a sound file": func(path string) error {
		elsewhere := filepath.Dir(path) + ".elsewhere"
		return errors.Join(os.MkdirAll(elsewhere, 0o700), os.Rename(path, filepath.Join(elsewhere, "file")), os.Symlink(filepath.Join(elsewhere, "file"), path))
	},
	"a link to a device": func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/dev/null", path)) },
	"text":               func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("{}\n"), 10000), 0o600) },
	"a foreign file": func(path string) error {
		return errors.Join(os.Remove(path), inBolt(path, func(tx *bolt.Tx) error {
			b, err := tx.CreateBucket([]byte("members"))
			return errors.Join(err, b.Put([]byte("x"), garbage(9000)))
		}))
	},
	"an empty bbolt file": func(path string) error {
		return errors.Join(os.Remove(path), inBolt(path, func(*bolt.Tx) error { return nil }))
	},
	"without free list": func(path string) error {
		db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
		if err != nil {
			return err
		}
		err = db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucketIfNotExists([]byte("x")); return err })
		return errors.Join(err, db.Close(), overwrite(path, 4*4096, garbage(8*4096)))
	},
	"a newer schema": func(path string) error {
		return inBolt(path, func(tx *bolt.Tx) error { return tx.Bucket([]byte("about")).Put([]byte("schema"), []byte("7")) })
	},
	"an unknown schema": func(path string) error {
		return inBolt(path, func(tx *bolt.Tx) error { return tx.Bucket([]byte("about")).Put([]byte("schema"), []byte("x")) })
	},
	"the other file": func(path string) error {
		other := map[string]string{"grants.db": "tokens.db", "tokens.db": "grants.db"}[filepath.Base(path)]
		data, err := os.ReadFile(filepath.Join(filepath.Dir(path), other))
		return errors.Join(err, os.WriteFile(path, data, 0o600))
	},
}

func overwrite(path string, at int64, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, at)
	return errors.Join(err, f.Close())
}

func inBolt(path string, fn func(*bolt.Tx) error) error {
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	return errors.Join(db.Update(fn), db.Close())
}

// A damaged grants.db that is removed while it is open does not displace the sound
// version before.
func TestRemovedDamagedFileIsNotKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := boltstore.New(dir)
	for _, account := range []string{"one", "two"} {
		mustSaveGrant(t, b, tokencache.Key{Client: "main", Account: account}, grant(account))
	}
	_ = b.Close()
	path := filepath.Join(dir, "grants.db")
	if err := inBolt(path, func(tx *bolt.Tx) error {
		accounts := tx.Bucket([]byte("grants")).Bucket([]byte("main"))
		damaged := bytes.Clone(accounts.Get([]byte("one")))
		damaged[20] ^= 1
		return accounts.Put([]byte("one"), damaged)
	}); err != nil {
		t.Fatal(err)
	}
	b = mustOpen(t, dir)
	if err := b.CheckGrants(); !errors.Is(err, tokencache.ErrDamaged) {
		t.Fatalf("the damage is told as %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := b.CheckGrants(); err == nil {
		t.Fatal("that it is gone is not told")
	}
	if err := os.Rename(path+".before", path); err != nil {
		t.Fatal(err)
	}
	g, found, err := b.LoadGrant(tokencache.Key{Client: "main", Account: "one"}, secrets)
	if err != nil || !found || g.RefreshToken != grant("one").RefreshToken {
		t.Errorf("of the version before came %v, %v", found, err)
	}
}

// TestDamagedFiles, S-39: whatever stands in the place of a file, at the start or afterwards.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for damage, do := range damages {
		for _, file := range []string{"grants.db", "tokens.db"} {
			t.Run(file+" is "+damage, func(t *testing.T) {
				t.Parallel()
				dir := makeStore(t)
				if err := do(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
				wantDamageSurvived(t, dir, file, damage)
			})
			t.Run(file+" becomes "+damage, func(t *testing.T) {
				t.Parallel()
				if strings.Contains(damage, "schema") || damage == "without free list" {
					t.Skip("the file is locked")
				}
				dir := makeStore(t)
				b := mustOpen(t, dir)
				wantTokensToGoOn(t, b)
				wantGrant(t, b, key(name(1)), grant(name(1)))
				if err := do(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
				wantTokensToGoOn(t, b)
				wantSoundOrError(t, b)
				_ = b.Close()
			})
		}
	}
}

// content is what a regular file holds.
func content(path string) []byte {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	data, _ := os.ReadFile(path)
	return data
}

func wantDamageSurvived(t *testing.T, dir, file, damage string) {
	t.Helper()
	path := filepath.Join(dir, file)
	data := content(path)
	b := mustOpen(t, dir)
	wantTokensToGoOn(t, b)
	errs := wantSoundOrError(t, b)
	aside, _ := filepath.Glob(filepath.Join(dir, "tokens.db.damaged-*"))
	switch {
	case damage == "first meta zeroed", file == "tokens.db" && damage == "an empty bbolt file":
		if errs > 0 || len(aside) > 0 {
			t.Errorf("%d grants failed, set aside: %v", errs, aside)
		}
	case file == "tokens.db":
		if errs > 0 || len(aside) != 1 || !strings.Contains(strings.Join(b.Warnings(), "\n"), aside[0]) {
			t.Errorf("%d grants failed, set aside: %v, warnings: %v", errs, aside, b.Warnings())
		}
	default:
		if errs != accounts || len(aside) != 0 {
			t.Errorf("%d of %d grants are answered by an error, set aside: %v", errs, accounts, aside)
		}
		wantStoreError(t, b.SaveGrant(key("new"), secrets, grant("new")), "grants.db")
		if !bytes.Equal(content(path), data) {
			t.Error("the damaged file was written")
		}
		// The remedy works, without a restart.
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		copyFile(t, path+".before", path)
		wantGrant(t, b, key(name(1)), grant(name(1)))
	}
	if damage == "a newer schema" {
		text := fmt.Sprint(b.Check(), b.Warnings())
		if file == "grants.db" {
			_ = b.Close()
			_ = os.WriteFile(path, data, 0o600)
			b = mustOpen(t, dir)
			text = b.Check().Error()
		}
		if !strings.Contains(text, "schema 7") || !strings.Contains(text, "knows 1") {
			t.Errorf("both versions are to be named: %s", text)
		}
	}
}

// TestTruncatedFiles, S-39: at each step of 4 KiB.
func TestTruncatedFiles(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"grants.db", "tokens.db"} {
		size := int64(len(readFile(t, filepath.Join(makeStore(t), file))))
		for at := int64(0); at < size; at += 4096 {
			for _, running := range []bool{false, true} {
				if testing.Short() && at%(16*4096) != 0 {
					continue
				}
				dir := makeStore(t)
				b := boltstore.New(dir)
				if running {
					if err := b.Open(); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.Truncate(filepath.Join(dir, file), at+at/4096%3*100); err != nil {
					t.Fatal(err)
				}
				wantTokensToGoOn(t, b)
				if errs := wantSoundOrError(t, b); at < 8192 && file == "grants.db" && errs != accounts {
					t.Errorf("%s cut at %d: only %d errors", file, at, errs)
				}
				_ = b.Close()
			}
		}
	}
}

// TestFlippedBits, S-39: anywhere in both files at once.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	dir := makeStore(t)
	rounds := 150
	if testing.Short() {
		rounds = 50
	}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for range rounds {
		for _, file := range []string{"grants.db", "tokens.db"} {
			files, _ := made()
			data := slices.Clone(files[file])
			at, bit := random.IntN(len(data)), random.IntN(8)
			if random.IntN(2) == 0 { // headers are where it hurts
				at = at/4096*4096 + random.IntN(64)
			}
			data[at] ^= 1 << bit
			path := filepath.Join(dir, file)
			if err := errors.Join(os.Remove(path), os.WriteFile(path, data, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		b := mustOpen(t, dir)
		wantTokensToGoOn(t, b)
		wantSoundOrError(t, b)
		_ = b.Close()
		if t.Failed() {
			return
		}
	}
}

// TestDirectoryThatCannotBeUsed, S-42: it is no error of Open, and heals.
func TestDirectoryThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(file, "store")
	b := mustOpen(t, dir) // not an error of Open
	_, _, err := b.Load(main1, secrets)
	wantStoreError(t, err, "tokens.db")
	wantStoreError(t, b.Save(main1, secrets, someRecord), "tokens.db")
	_, _, err = b.LoadGrant(main1, secrets)
	if err == nil {
		t.Error("a grant was looked for in nothing")
	}
	if err := b.SaveGrant(main1, secrets, grant("a")); err == nil {
		t.Error("a grant was stored in nothing")
	}
	// It heals without a restart.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	mustSaveGrant(t, b, main1, grant("a"))
	wantTokensToGoOn(t, b)
	wantModes(t, file)
}
