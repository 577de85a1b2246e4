//go:build unix

package boltstore_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

var otherSecrets = [][]byte{[]byte("second secret")}

// twoVersions returns a closed store with grants of two clients and a version before.
func twoVersions(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	b := mustOpen(t, dir)
	mustSaveGrant(t, b, key("a"), grant("a"))
	mustSaveGrant(t, b, tokencache.Key{Client: "second", Account: "s"}, grant("s"))
	mustSaveGrant(t, b, key("b"), grant("b"))
	mustSaveGrant(t, b, key("b"), grant("b"))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDamagedKeyRecord, S-71: what grants cannot be read without is looked at like them; no
// second key is made, the version before stays what it is, and the remedy works.
func TestDamagedKeyRecord(t *testing.T) {
	t.Parallel()
	for name, damage := range keyDamages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := twoVersions(t)
			path := filepath.Join(dir, "grants.db")
			edit(t, path, damage.do)
			was, before := readFile(t, path), readFile(t, path+".before")
			b := mustOpen(t, dir)
			if err := b.CheckGrants(); !errors.Is(err, tokencache.ErrDamaged) ||
				!strings.Contains(err.Error(), damage.says) || !strings.Contains(err.Error(), ".before") {
				t.Errorf("the check says %v", err)
			}
			_, _, err := b.LoadGrant(key("a"), secrets)
			if e := wantStoreError(t, err, "grants.db"); !errors.Is(err, tokencache.ErrDamaged) || !strings.Contains(e.Remedy, ".before") {
				t.Errorf("loading gave %v", err)
			}
			for _, account := range []string{"a", "c"} {
				if err := b.SaveGrant(key(account), secrets, grant("x")); account == "c" && !strings.Contains(name, "another") || err != nil {
					wantStoreError(t, err, "grants.db")
				}
			}
			if !strings.Contains(name, "another") && !bytes.Equal(was, readFile(t, path)) {
				t.Error("a refused change wrote grants.db")
			}
			mustSaveGrant(t, b, tokencache.Key{Client: "third", Account: "t"}, grant("t")) // accepted
			if !bytes.Equal(before, readFile(t, path+".before")) {
				t.Error("the version before was displaced")
			}
			if err := b.CheckGrants(); err == nil {
				t.Error("after a change the check is content")
			}
			if err := os.Rename(path+".before", path); err != nil {
				t.Fatal(err)
			}
			if err := b.CheckGrants(); err != nil {
				t.Error(err)
			}
			wantGrant(t, b, key("a"), grant("a"))
			wantGrant(t, b, key("b"), grant("b"))
		})
	}
}

// TestDamageWhileOpen: what was damaged since it was opened is not kept either.
func TestDamageWhileOpen(t *testing.T) {
	t.Parallel()
	dir := twoVersions(t)
	path := filepath.Join(dir, "grants.db")
	b := mustOpen(t, dir)
	wantGrant(t, b, key("a"), grant("a"))
	before, data := readFile(t, path+".before"), readFile(t, path)
	for at := bytes.Index(data, []byte(`{"id":"`)); at >= 0; { // of each copy that bbolt has left
		if err := overwrite(path, int64(at)+8, []byte("x")); err != nil {
			t.Fatal(err)
		}
		data[at] = 0
		at = bytes.Index(data, []byte(`{"id":"`))
	}
	_ = b.SaveGrant(key("c"), secrets, grant("c"))
	if !bytes.Equal(before, readFile(t, path+".before")) {
		t.Error("the version before was displaced")
	}
	if err := b.CheckGrants(); !errors.Is(err, tokencache.ErrDamaged) {
		t.Errorf("the check says %v", err)
	}
}

// TestRefusedChange: what is refused leaves the files as they were, byte for byte.
func TestRefusedChange(t *testing.T) {
	t.Parallel()
	dir := twoVersions(t)
	path := filepath.Join(dir, "grants.db")
	was, before := readFile(t, path), readFile(t, path+".before")
	b := mustOpen(t, dir)
	for name, err := range map[string]error{
		"an unknown key":  b.SaveGrant(key("a"), otherSecrets, grant("x")),
		"no key":          b.SaveGrant(key("c"), nil, grant("x")),
		"a long name":     b.SaveGrant(key(strings.Repeat("x", 40000)), secrets, grant("x")),
		"an empty grant":  b.SaveGrant(key("a"), secrets, tokencache.Grant{}),
		"no key, a first": b.SaveGrant(tokencache.Key{Client: "third", Account: "t"}, nil, grant("x")),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if !bytes.Equal(was, readFile(t, path)) || !bytes.Equal(before, readFile(t, path+".before")) {
		t.Error("a refused change wrote")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestInterruptedChange: a process that ends between the copy and its name, whatever it has
// done by then, leaves the version before the last change.
func TestInterruptedChange(t *testing.T) {
	t.Parallel()
	versions := make([][]byte, 3)
	dir := t.TempDir()
	path := filepath.Join(dir, "grants.db")
	for i := range versions {
		b := mustOpen(t, dir)
		mustSaveGrant(t, b, key("a"), grant(fmt.Sprint(i)))
		_ = b.Close()
		versions[i] = readFile(t, path)
	}
	for name, test := range map[string]struct {
		now, waiting []byte
		want         string // what the version before is
	}{
		"while copying":          {versions[1], versions[1][:len(versions[1])/2], "0"},
		"before the commit":      {versions[1], versions[1], "0"},
		"after the commit":       {versions[2], versions[1], "1"},
		"and then damaged":       {nil, versions[1], "1"},
		"an old file put back":   {versions[0], versions[1], "1"},
		"damaged and incomplete": {nil, versions[1][:4096], "0"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "grants.db")
		for file, data := range map[string][]byte{"": test.now, ".before": versions[0], ".before.new": test.waiting} {
			if data == nil {
				data = garbage(20000)
			}
			if err := os.WriteFile(path+file, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		b := mustOpen(t, dir)
		_ = b.CheckGrants()
		if _, err := os.Stat(path + ".before.new"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the copy is left behind: %v", name, err)
		}
		if err := os.Rename(path+".before", path); err != nil {
			t.Fatal(err)
		}
		if g, _, err := b.LoadGrant(key("a"), secrets); err != nil || g.RefreshToken != grant(test.want).RefreshToken {
			t.Errorf("%s: the version before has %v, %v, want %s", name, g, err, test.want)
		}
	}
}

// TestAddWraps: a secret that is added opens both files at once, and the version before
// too, without that anything is used; what opens by none stays as it is.
func TestAddWraps(t *testing.T) {
	t.Parallel()
	dir := twoVersions(t)
	path := filepath.Join(dir, "grants.db")
	b := mustOpen(t, dir)
	if err := b.Save(key("a"), secrets, someRecord); err != nil {
		t.Fatal(err)
	}
	both := map[string][][]byte{"main": append(slices.Clone(secrets), otherSecrets...), "second": otherSecrets, "nobody": secrets}
	if err := b.AddWraps(both); err != nil {
		t.Fatal(err)
	}
	was := readFile(t, path)
	if err := b.AddWraps(both); err != nil || !bytes.Equal(was, readFile(t, path)) {
		t.Errorf("nothing was to be added: %v", err)
	}
	if b.Opens("main", otherSecrets) != nil || !errors.Is(b.Opens("second", otherSecrets), tokencache.ErrWrongKey) || b.Opens("nobody", nil) != nil {
		t.Errorf("it opens: %v, %v, %v", b.Opens("main", otherSecrets), b.Opens("second", otherSecrets), b.Opens("nobody", nil))
	}
	if r, ok, err := b.Load(key("a"), otherSecrets); !ok || err != nil || r.Token != someRecord.Token {
		t.Errorf("token: %v, %v, %v", r, ok, err)
	}
	for range 2 {
		for _, secret := range [][]byte{secrets[0], otherSecrets[0]} {
			wantGrantBy(t, b, key("a"), [][]byte{secret}, grant("a"))
		}
		wantGrant(t, b, tokencache.Key{Client: "second", Account: "s"}, grant("s"))
		if err := os.Rename(path+".before", path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// TestReplaceGrant: a grant that no key opens can be replaced, and grants beside it are
// read again by the key of before, whenever that turns up.
func TestReplaceGrant(t *testing.T) {
	t.Parallel()
	dir := twoVersions(t)
	b := mustOpen(t, dir)
	mustSaveGrant(t, b, key("c"), grant("c"))
	_, _, err := b.LoadGrant(key("a"), otherSecrets)
	if e := wantStoreError(t, err, "grants.db"); !e.Replaceable {
		t.Fatalf("not replaceable: %v", err)
	}
	for range 2 {
		if err := b.ReplaceGrant(key("a"), otherSecrets, grant("anew")); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.SaveGrant(key("d"), otherSecrets, grant("d")); err != nil {
		t.Errorf("a further account: %v", err)
	}
	for range 2 {
		wantGrantBy(t, b, key("a"), otherSecrets, grant("anew"))
		if err := b.CheckGrants(); err != nil {
			t.Error(err)
		}
		if _, _, err := b.LoadGrant(key("b"), otherSecrets); !errors.Is(err, tokencache.ErrWrongKey) || errors.Is(err, tokencache.ErrDamaged) {
			t.Errorf("a grant that stayed behind: %v", err)
		}
		wantGrant(t, b, key("b"), grant("b")) // by the secret of before
		wantGrant(t, b, tokencache.Key{Client: "second", Account: "s"}, grant("s"))
		_ = b.Close()
		b = mustOpen(t, dir)
	}
	both := append(slices.Clone(otherSecrets), secrets...)
	wantGrantBy(t, b, key("c"), both, grant("c")) // which adds the wrap
	for _, account := range []string{"b", "c"} {
		wantGrantBy(t, b, key(account), otherSecrets, grant(account))
	}
	retired := func(want int) {
		t.Helper()
		_ = b.Close()
		edit(t, filepath.Join(dir, "grants.db"), func(tx *bolt.Tx) error {
			n := 0
			if all := tx.Bucket([]byte("retired")); all != nil {
				if of := all.Bucket([]byte("main")); of != nil {
					n = of.Stats().KeyN
				}
			}
			if n != want {
				t.Errorf("%d keys of before are kept, want %d", n, want)
			}
			return nil
		})
		b = mustOpen(t, dir)
	}
	retired(1)
	if err := errors.Join(b.DeleteGrant(key("b")), b.SaveGrant(key("c"), both, grant("c"))); err != nil {
		t.Fatal(err)
	}
	retired(0)
	wantGrantBy(t, b, key("c"), otherSecrets, grant("c"))
}

// TestReplaceDamagedGrant: damage is not displaced where others live by the same key; a
// grant whose own record is damaged, or that is the only one, can be replaced.
func TestReplaceDamagedGrant(t *testing.T) {
	t.Parallel()
	second := tokencache.Key{Client: "second", Account: "s"}
	for name, damage := range map[string]func(tx *bolt.Tx) error{
		"the grant": func(tx *bolt.Tx) error {
			for _, k := range []tokencache.Key{key("a"), second} {
				accounts := tx.Bucket([]byte("grants")).Bucket([]byte(k.Client))
				if err := accounts.Put([]byte(k.Account), flipBit(accounts.Get([]byte(k.Account)), 30)); err != nil {
					return err
				}
			}
			return nil
		},
		"the key": func(tx *bolt.Tx) error {
			keys := tx.Bucket([]byte("keys"))
			return errors.Join(keys.Delete([]byte("main")), keys.Put([]byte("second"), flipBit(keys.Get([]byte("second")), 30)))
		},
	} {
		dir := twoVersions(t)
		edit(t, filepath.Join(dir, "grants.db"), damage)
		b := mustOpen(t, dir)
		for k, may := range map[tokencache.Key]bool{key("a"): name == "the grant", second: true} {
			_, _, err := b.LoadGrant(k, secrets)
			if e := wantStoreError(t, err, "grants.db"); e.Replaceable != may {
				t.Errorf("%s, %s: replaceable is %v: %v", name, k, e.Replaceable, err)
			}
			if err := b.ReplaceGrant(k, secrets, grant("anew")); (err == nil) != may {
				t.Errorf("%s, %s: %v", name, k, err)
			}
			if may {
				wantGrant(t, b, k, grant("anew"))
			}
		}
	}
}

// firstVersionOpens reads a grant by the rules of the first version, written down a second
// time: a store that this version has changed must open there by a client secret.
func firstVersionOpens(t *testing.T, path string, k tokencache.Key, secret []byte) (refreshToken string, err error) {
	t.Helper()
	var ring struct {
		ID    string
		Wraps []struct {
			Key          string
			Salt, Sealed []byte
		}
	}
	var stored struct {
		Grant struct {
			Key    string
			Sealed []byte
		}
	}
	edit(t, path, func(tx *bolt.Tx) error {
		if schema := string(tx.Bucket([]byte("about")).Get([]byte("schema"))); schema != "1" {
			t.Errorf("schema %q", schema)
		}
		return errors.Join(json.Unmarshal(tx.Bucket([]byte("keys")).Get([]byte(k.Client))[9:], &ring),
			json.Unmarshal(tx.Bucket([]byte("grants")).Bucket([]byte(k.Client)).Get([]byte(k.Account))[9:], &stored))
	})
	derive := func(salt []byte, label string, n int) []byte {
		key, err := hkdf.Key(sha256.New, secret, salt, "caddy-zoho tokencache: "+label, n)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	open := func(key, data []byte, at ...string) ([]byte, error) {
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			t.Fatal(err)
		}
		var place []byte
		for _, p := range at {
			place = append(binary.BigEndian.AppendUint32(place, uint32(len(p))), p...)
		}
		return aead.Open(nil, nil, data, place)
	}
	id := fmt.Sprintf("%x", derive(nil, "id of a secret", 8))
	for _, w := range ring.Wraps {
		if w.Key != id {
			continue
		}
		raw, err := open(derive(w.Salt, "wraps a data key", 32), w.Sealed, "grants.db", "keys", k.Client, ring.ID, id)
		if err != nil || stored.Grant.Key != ring.ID {
			return "", fmt.Errorf("sealed by %s, the key is %s: %v", stored.Grant.Key, ring.ID, err)
		}
		text, err := open(raw, stored.Grant.Sealed, "grants.db", "grants", k.Client, k.Account)
		var g struct {
			RefreshToken string `json:"refresh_token"`
		}
		return g.RefreshToken, errors.Join(err, json.Unmarshal(text, &g))
	}
	return "", errors.New("no wrap")
}

// TestDowngrade: the first version opens by a client secret what this one has changed.
func TestDowngrade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(storesDir, "v0.1", "client_secret"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "grants.db")
	all := append(slices.Clone(goldenKinds["client_secret"]), []byte("a key of our own"))
	b := mustOpen(t, dir)
	if err := b.AddWraps(map[string][][]byte{"main": all, "second": all, "third": all}); err != nil {
		t.Fatal(err)
	}
	third := tokencache.Key{Client: "third", Account: "default"}
	if err := b.SaveGrant(third, all, grant("third")); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	for k, g := range goldenGrants {
		for _, secret := range all {
			if token, err := firstVersionOpens(t, path, k, secret); err != nil || token != g.RefreshToken {
				t.Errorf("%s: %q, %v", k, token, err)
			}
		}
	}
	if token, err := firstVersionOpens(t, path, third, all[0]); err != nil || token != grant("third").RefreshToken {
		t.Errorf("%s: %q, %v", third, token, err)
	}

	// A grant that was replaced is read, one that stayed behind is told to be sealed otherwise.
	b = mustOpen(t, dir)
	if err := b.ReplaceGrant(goldenConnection, otherSecrets, grant("anew")); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	if token, err := firstVersionOpens(t, path, goldenConnection, otherSecrets[0]); err != nil || token != grant("anew").RefreshToken {
		t.Errorf("replaced: %q, %v", token, err)
	}
	behind := tokencache.Key{Client: "main", Account: "customer-7@example.eu"}
	if token, err := firstVersionOpens(t, path, behind, otherSecrets[0]); err == nil {
		t.Errorf("left behind, but read as %q", token)
	}
}
