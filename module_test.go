package caddyzoho

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// TestStoreBehindASymbolicLink: the key of the shared state is the same before the
// directory exists and after, or the first reload would open the store twice.
func TestStoreBehindASymbolicLink(t *testing.T) {
	dir := resolved(t.TempDir())
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(dir, "link", "deep", "store")
	want := filepath.Join(dir, "real", "deep", "store")
	if got := resolved(store); got != want {
		t.Errorf("before it exists: %s, want %s", got, want)
	}
	if err := os.MkdirAll(store, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := resolved(store); got != want {
		t.Errorf("once it exists: %s, want %s", got, want)
	}
}

// appWithStored is an app after a start, with that many stored accounts that nobody has used.
func appWithStored(tb testing.TB, count int) *App {
	tb.Helper()
	dir := tb.TempDir()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	tb.Cleanup(cancel)
	app := &App{
		Store:         &Store{Bolt: dir},
		EncryptionKey: []secret.Ref{secret.Literal("correct horse battery staple")},
		Clients: map[string]*client.Config{"main": {
			DataCenter:   []string{"eu"},
			ClientID:     secret.Literal("1000.ID"),
			ClientSecret: []secret.Ref{secret.Literal("secret")},
		}},
	}
	if err := app.Provision(ctx); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = app.Cleanup() })
	store, cl := boltstore.New(dir), app.clients["main"].Cache
	for i := range count {
		key := tokencache.Key{Client: "main", Account: fmt.Sprintf("customer-%06d", i)}
		g := tokencache.Grant{RefreshToken: "1000." + key.Account, AccountsServer: "https://accounts.zoho.eu"}
		err := store.SaveGrant(key, cl.Secrets(), g)
		if err == nil {
			err = store.Save(key, cl.Secrets(), tokencache.Record{
				Fingerprint: tokencache.MakeFingerprint("1000.ID", g), Generation: 7, Token: "1000.a.b",
				Issued: time.Now().Add(-2 * time.Hour), Expiry: time.Now().Add(-time.Hour), State: "grant_dead 0011223344556677",
				NextTry: time.Now(), LastError: "grant_dead: invalid_code", LastErrorAt: time.Now()})
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		tb.Fatal(err)
	}
	return app
}

// TestHealthAndMetricsAreFromMemory: of accounts that nobody has used since the start as well,
// whatever their number. To read an account allocates a hundred times.
func TestHealthAndMetricsAreFromMemory(t *testing.T) {
	const accounts = 100
	app := appWithStored(t, accounts)
	app.warm()
	h, req := &Health{app: app}, healthRequest()
	if n := testing.AllocsPerRun(20, func() {
		w := httptest.NewRecorder()
		err := h.ServeHTTP(w, req, nil)
		const want = `{"status":"unavailable","connections":{"dead":100}}`
		if err != nil || w.Code != http.StatusServiceUnavailable || w.Body.String() != want {
			t.Error(err, w.Body)
		}
	}); n > accounts {
		t.Errorf("health: %v allocations", n)
	}
	if n := testing.AllocsPerRun(20, func() {
		for _, statuses := range app.statuses {
			for s := range statuses {
				if s.State != tokencache.StateDead || s.Generation != 7 {
					t.Errorf("%+v", s)
				}
			}
		}
	}); n > accounts {
		t.Errorf("metrics: %v allocations", n)
	}
}
