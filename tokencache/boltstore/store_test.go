package boltstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/storetest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

var (
	secrets    = [][]byte{[]byte("first secret of the client")}
	main1      = tokencache.Key{Client: "main", Account: "default"}
	mustHide   = []string{"1000.refresh", "1000.access", "first secret", "second secret"}
	someTime   = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	someRecord = storetest.Record()
)

func grant(name string) tokencache.Grant {
	return tokencache.Grant{
		RefreshToken:   "1000.refresh." + name,
		AccountsServer: "https://accounts.zoho.eu",
		APIDomain:      "https://www.zohoapis.eu",
		Scopes:         []string{"ZohoCRM.modules.ALL", "offline"},
		GrantedAt:      someTime,
	}
}

// mustOpen opens a store that ends with the test.
func mustOpen(tb testing.TB, dir string) *boltstore.Store {
	tb.Helper()
	b := boltstore.New(dir)
	if err := b.Open(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	return b
}

func mustSaveGrant(tb testing.TB, b *boltstore.Store, key tokencache.Key, g tokencache.Grant) {
	tb.Helper()
	if err := b.SaveGrant(key, secrets, g); err != nil {
		tb.Fatal(err)
	}
}

// wantGrant fails unless the grant comes back as it was saved.
func wantGrant(tb testing.TB, b *boltstore.Store, key tokencache.Key, want tokencache.Grant) {
	tb.Helper()
	got, ok, err := b.LoadGrant(key, secrets)
	if err != nil || !ok {
		tb.Fatalf("grant of %s: got %v, %v, %v", key, got, ok, err)
	}
	if !reflect.DeepEqual(got, want) {
		tb.Fatalf("grant of %s: got another one back: %v, want %v", key, got, want)
	}
}

// wantStoreError fails unless err names the file and what to do, and no secret.
func wantStoreError(tb testing.TB, err error, file string) *tokencache.StoreError {
	tb.Helper()
	var e *tokencache.StoreError
	if !errors.As(err, &e) {
		tb.Fatalf("got %v, want a StoreError", err)
	}
	if filepath.Base(e.File) != file || e.Reason == "" || e.Remedy == "" {
		tb.Errorf("got %q, %q, %q, want file %s, a reason and a remedy", e.File, e.Reason, e.Remedy, file)
	}
	noSecret(tb, err.Error())
	return e
}

func noSecret(tb testing.TB, text string) {
	tb.Helper()
	for _, s := range mustHide {
		if strings.Contains(text, s) {
			tb.Errorf("a secret is in %q", text)
		}
	}
}

func TestNothingIsOpenedBeforeItIsNeeded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "store")
	b := boltstore.New(dir)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("New touched the disk: %v", err)
	}
	if b.HasGrant(main1) {
		t.Error("an empty store has a grant")
	}
	t.Cleanup(func() { _ = b.Close() })
	if _, err := os.Stat(filepath.Join(dir, "grants.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("grants.db without any grant: %v", err)
	}
	if err := b.Check(); err != nil {
		t.Errorf("a fresh store: %v", err)
	}
}

func TestClosedStoreStaysClosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir)
	mustSaveGrant(t, b, main1, grant("a"))
	_ = b.Close()
	_, _, err := b.Load(main1, secrets)
	wantStoreError(t, err, "tokens.db")
	_, _, err = b.LoadGrant(main1, secrets)
	wantStoreError(t, err, "grants.db")
	other := mustOpen(t, dir) // the files are free
	wantGrant(t, other, main1, grant("a"))
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := boltstore.New(dir)
	t.Cleanup(func() { _ = b.Close() })
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			key := tokencache.Key{Client: fmt.Sprint("client", i%2), Account: fmt.Sprint("account", i)}
			for n := range 10 {
				r := someRecord
				r.Generation = uint64(n)
				if err := b.Save(key, secrets, r); err != nil {
					t.Error(err)
				}
				if got, ok, err := b.Load(key, secrets); err != nil || !ok || got.Generation != uint64(n) || got.Token != r.Token {
					t.Errorf("got %v, %v, %v", got, ok, err)
				}
				if n%5 == 0 {
					mustSaveGrant(t, b, key, grant(fmt.Sprint(n)))
				}
				b.HasGrant(key)
				b.Accounts(key.Client)
				b.Warnings()
			}
			wantGrant(t, b, key, grant("5"))
		})
	}
	all.Wait()
}

func TestModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	dir := filepath.Join(t.TempDir(), "store")
	b := mustOpen(t, dir)
	mustSaveGrant(t, b, main1, grant("a"))
	mustSaveGrant(t, b, main1, grant("b"))
	wantModes(t, dir)
	if got := b.Warnings(); len(got) != 0 {
		t.Fatalf("warnings: %v", got)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o750, filepath.Join(dir, "grants.db"): 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	got := b.Warnings()
	if len(got) != 2 || !strings.Contains(got[0], "mode 0750") || !strings.Contains(got[1], "chmod 0600") {
		t.Errorf("warnings of wide modes: got %q", got)
	}
	wantGrant(t, b, main1, grant("b"))
}

// wantModes fails if others than the owner can get at anything.
func wantModes(tb testing.TB, dir string) {
	tb.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			tb.Errorf("%s has mode %04o, want %04o", path, info.Mode().Perm(), want)
		}
		return err
	})
	if err != nil {
		tb.Error(err)
	}
}

func BenchmarkLoad(b *testing.B) {
	s := mustOpen(b, b.TempDir())
	if err := s.Save(main1, secrets, someRecord); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := s.Load(main1, secrets); !ok || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSave(b *testing.B) {
	s := mustOpen(b, b.TempDir())
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Save(main1, secrets, someRecord); err != nil {
			b.Fatal(err)
		}
	}
}
