package boltstore_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// testdata/stores holds stores as released versions have left them. Every later
// version has to open them. A release adds its own:
//
//	go test ./tokencache/boltstore -run '^TestGoldenStores$' -golden v1.2.3
//
// A store that is there is never written again.
var golden = flag.String("golden", "", "a version whose stores are written to testdata/stores")

const storesDir = "testdata/stores"

// goldenKinds are the ways in which a store is sealed: by two client secrets, of
// which one is being replaced, by a client secret and a key of our own, and by an encryption
// key. tests/store_test.go has them too.
var goldenKinds = map[string][][]byte{
	"master_key":     {[]byte("golden-client-secret-beside-a-key-7f3a"), []byte("golden-master-key-0b6e5d1c9a72")},
	"client_secret":  {[]byte("golden-client-secret-the-new-one-41d7"), []byte("golden-client-secret-the-old-one-9c02")},
	"encryption_key": {[]byte("golden-encryption-key-8c1f0b52")},
}

var goldenTime = time.Date(2024, 11, 29, 10, 0, 0, 0, time.UTC)

// goldenUntil is long after anybody who reads this.
var goldenUntil = time.Date(2126, 1, 1, 0, 0, 0, 0, time.UTC)

var goldenGrants = map[tokencache.Key]tokencache.Grant{
	{Client: "main", Account: "default"}: {RefreshToken: "1000.goldendefault", AccountsServer: "https://accounts.zoho.com",
		APIDomain: "https://www.zohoapis.com", Scopes: []string{"ZohoCRM.modules.ALL", "ZohoBooks.fullaccess.all"},
		GrantedAt: goldenTime, User: "owner@example.com", Org: "60001", RefreshTokens: 7},
	{Client: "main", Account: "customer-7@example.eu"}: {
		RefreshToken:   "1000.goldencustomer",
		AccountsServer: "https://accounts.zoho.eu",
		GrantedAt:      goldenTime,
	},
	{Client: "second", Account: "default"}: {
		RefreshToken:   "1000.goldensecond",
		AccountsServer: "https://accounts.zohocloud.ca",
		GrantedAt:      goldenTime,
	},
}

var (
	goldenConnection = tokencache.Key{Client: "main", Account: "default"}
	goldenForgotten  = tokencache.Key{Client: "main", Account: "forgotten"}
	goldenRecord     = tokencache.Record{
		Fingerprint: tokencache.MakeFingerprint("1000.GOLDEN", goldenGrants[goldenConnection]),
		Generation:  41, Token: "1000.goldenaccess", Issued: goldenTime, Expiry: goldenTime.Add(time.Hour),
		APIDomain: "https://www.zohoapis.com", Scope: "ZohoCRM.modules.ALL ZohoBooks.fullaccess.all",
		Ledger: []time.Time{goldenTime.Add(-time.Minute), goldenTime},
		State:  "throttled", Failures: 2, NextTry: goldenTime.Add(2 * time.Minute),
		LastError: "Zoho refuses token requests for a while", LastErrorAt: goldenTime, Used: goldenTime,
	}
)

func writeGoldenStore(t *testing.T, dir string, secrets [][]byte) {
	t.Helper()
	if _, err := os.Stat(dir); err == nil {
		t.Logf("%s is there already: what a version has left is never written again", dir)
		return
	}
	b := mustOpen(t, dir)
	for key, grant := range goldenGrants {
		if err := b.SaveGrant(key, secrets, grant); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.SaveGrant(goldenForgotten, secrets, grant("forgotten")); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteGrant(goldenForgotten); err != nil {
		t.Fatal(err)
	}
	if err := b.Save(goldenConnection, secrets, goldenRecord); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ConsumeNonce("golden invitation", goldenUntil); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestGoldenStores, S-47: what any version has written is read, and can be changed; the version before is
// read in its place.
func TestGoldenStores(t *testing.T) {
	if *golden != "" {
		for kind, secrets := range goldenKinds {
			writeGoldenStore(t, filepath.Join(storesDir, *golden, kind), secrets)
		}
	}
	versions, err := os.ReadDir(storesDir)
	if err != nil || len(versions) == 0 {
		t.Fatalf("no stores of earlier versions: %v", err)
	}
	for _, version := range versions {
		for kind, secrets := range goldenKinds {
			for i, secret := range secrets {
				t.Run(version.Name()+"/"+kind+"/"+string(rune('0'+i)), func(t *testing.T) {
					dir := t.TempDir()
					if err := os.CopyFS(dir, os.DirFS(filepath.Join(storesDir, version.Name(), kind))); err != nil {
						t.Fatal(err)
					}
					wantGoldenStore(t, dir, [][]byte{secret})
					wantGoldenBefore(t, filepath.Join(storesDir, version.Name(), kind), [][]byte{secret})
				})
			}
		}
	}
}

func wantGoldenStore(t *testing.T, dir string, secrets [][]byte) {
	t.Helper()
	b := mustOpen(t, dir)
	for key, want := range goldenGrants {
		wantGrantBy(t, b, key, secrets, want)
	}
	r, found, err := b.Load(goldenConnection, secrets)
	calls, err2 := b.LoadLedger(goldenRecord.Fingerprint)
	r.Ledger = calls.Times
	if err := errors.Join(err, err2); err != nil || !found || !reflect.DeepEqual(r, goldenRecord) {
		t.Errorf("record %+v, %v, %v; want %+v", r, found, err, goldenRecord)
	}
	if used, err := b.NonceConsumed("golden invitation"); err != nil || !used {
		t.Errorf("the used invitation: %v, %v", used, err)
	}
	if err := b.Check(); err != nil {
		t.Error(err)
	}
	if b.HasGrant(goldenForgotten) {
		t.Error("a forgotten grant is back")
	}
	if err := b.SaveGrant(goldenForgotten, secrets, grant("again")); err != nil {
		t.Error(err)
	}
	wantGrantBy(t, b, goldenForgotten, secrets, grant("again"))
}

// wantGoldenBefore puts the version before the last change in place, which took a grant away.
func wantGoldenBefore(t *testing.T, store string, secrets [][]byte) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(store)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "grants.db.before"), filepath.Join(dir, "grants.db")); err != nil {
		t.Fatal(err)
	}
	b := mustOpen(t, dir)
	for key, want := range goldenGrants {
		wantGrantBy(t, b, key, secrets, want)
	}
	wantGrantBy(t, b, goldenForgotten, secrets, grant("forgotten"))
	if returned := b.Returned(); !slices.Equal(returned, []tokencache.Key{goldenForgotten}) {
		t.Errorf("returned are %v, want %s", returned, goldenForgotten)
	}
}

func wantGrantBy(t *testing.T, b *boltstore.Store, key tokencache.Key, secrets [][]byte, want tokencache.Grant) {
	t.Helper()
	if got, found, err := b.LoadGrant(key, secrets); err != nil || !found || !reflect.DeepEqual(got, want) {
		t.Errorf("grant of %s: %+v, %v, %v; want %+v", key, got, found, err, want)
	}
}
