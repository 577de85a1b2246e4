package boltstore_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func key(account string) tokencache.Key { return tokencache.Key{Client: "main", Account: account} }

// edit runs a transaction on a file of the store, as another program would.
func edit(tb testing.TB, path string, fn func(*bolt.Tx) error) {
	tb.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		tb.Fatal(err)
	}
}

func TestVersionBeforeIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir)
	before := filepath.Join(dir, "grants.db.before")
	mustSaveGrant(t, b, key("a"), grant("a"))
	mustSaveGrant(t, b, key("b"), grant("b"))
	mustSaveGrant(t, b, key("a"), grant("anew"))
	_ = b.Close()

	restored := t.TempDir()
	copyFile(t, before, filepath.Join(restored, "grants.db"))
	b = mustOpen(t, restored)
	wantGrant(t, b, key("a"), grant("a"))
	wantGrant(t, b, key("b"), grant("b"))
}

// TestFirstGrantIsKeptTwice: the first grant has a copy beside it at once, and so has one whose
// copy is gone; what is told to do about one flipped bit in its key mends it.
func TestFirstGrantIsKeptTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "grants.db")
	b := mustOpen(t, dir)
	mustSaveGrant(t, b, key("a"), grant("a"))
	for _, made := range []string{"with the grant", "when it is opened"} {
		_ = b.Close()
		edit(t, path, keyDamages["a flipped bit in the key"].do)
		b = mustOpen(t, dir)
		if _, _, err := b.LoadGrant(key("a"), secrets); !strings.Contains(wantStoreError(t, err, "grants.db").Remedy, "grants.db.before") {
			t.Errorf("%s: the remedy names no copy: %v", made, err)
		}
		if err := os.Rename(path+".before", path); err != nil {
			t.Fatalf("%s: %v", made, err)
		}
		wantGrant(t, b, key("a"), grant("a")) // which makes a copy again
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestRemedyNamesWhatIsThere: where there is no copy, none is to be put back, and none is made
// of the damage.
func TestRemedyNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"a key":       func(path string) error { edit(t, path, keyDamages["a flipped bit in the key"].do); return nil },
		"all":         func(path string) error { return os.WriteFile(path, garbage(20000), 0o600) },
		"it is empty": func(path string) error { return os.Truncate(path, 0) },
		"it is gone":  os.Remove,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "grants.db")
		b := mustOpen(t, dir)
		mustSaveGrant(t, b, key("a"), grant("a"))
		_ = b.Close()
		if err := errors.Join(damage(path), os.RemoveAll(path+".before")); err != nil {
			t.Fatal(err)
		}
		b = mustOpen(t, dir)
		_, _, err := b.LoadGrant(key("a"), secrets)
		if e := wantStoreError(t, err, "grants.db"); strings.Contains(e.Remedy, ", or "+path+".before") || !strings.Contains(e.Remedy, "put a backup in its place") {
			t.Errorf("%s: the remedy is %q", name, e.Remedy)
		}
		if _, err := os.Stat(path + ".before"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a copy was made: %v", name, err)
		}
	}
}

// TestGrantsAreNeverBegunAnewInDoubt, S-40: a grants.db that is gone or empty is known to have been there.
func TestGrantsAreNeverBegunAnewInDoubt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		damage func(dir string) error
		saves  int
	}{
		"gone, known from tokens.db": {saves: 1, damage: func(dir string) error { return os.Remove(filepath.Join(dir, "grants.db")) }},
		"gone, known from the kept version": {saves: 2, damage: func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "grants.db")), os.Remove(filepath.Join(dir, "tokens.db")))
		}},
		"gone, tokens.db damaged": {saves: 2, damage: func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "grants.db")), os.Truncate(filepath.Join(dir, "tokens.db"), 5000))
		}},
		"empty": {saves: 1, damage: func(dir string) error { return os.Truncate(filepath.Join(dir, "grants.db"), 0) }},
		"empty, nothing else known": {saves: 1, damage: func(dir string) error {
			return errors.Join(os.Truncate(filepath.Join(dir, "grants.db"), 0), os.Remove(filepath.Join(dir, "tokens.db")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			b := mustOpen(t, dir)
			for i := range test.saves {
				mustSaveGrant(t, b, key("a"), grant(fmt.Sprint(i)))
			}
			_ = b.Close()
			if err := test.damage(dir); err != nil {
				t.Fatal(err)
			}
			b = mustOpen(t, dir)
			_, ok, err := b.LoadGrant(key("a"), secrets)
			e := wantStoreError(t, err, "grants.db")
			if test.saves > 1 && !strings.Contains(e.Remedy, "grants.db.before") {
				t.Errorf("the remedy %q does not name the kept version", e.Remedy)
			}
			_, other, otherErr := b.LoadGrant(key("never seen"), secrets)
			wantStoreError(t, otherErr, "grants.db")
			wantStoreError(t, b.SaveGrant(key("b"), secrets, grant("b")), "grants.db")
			wantStoreError(t, b.DeleteGrant(key("a")), "grants.db")
			wantStoreError(t, b.Check(), "grants.db")
			if ok || other {
				t.Error("found a grant in nothing")
			}
			if err := b.Save(key("a"), secrets, someRecord); err != nil {
				t.Errorf("tokens.db does not go on: %v", err)
			}
		})
	}
}

// TestGrantsDeletedOrReplacedWhileOpen, S-40: what became of an open file is noticed, and nothing is begun anew.
func TestGrantsDeletedOrReplacedWhileOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "grants.db")
	b := mustOpen(t, dir)
	mustSaveGrant(t, b, key("a"), grant("a"))
	mustSaveGrant(t, b, key("b"), grant("b"))
	backup := filepath.Join(t.TempDir(), "backup")
	copyFile(t, path, backup)
	mustSaveGrant(t, b, key("c"), grant("c"))

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantStoreError(t, b.Check(), "grants.db")
	wantStoreError(t, b.SaveGrant(key("d"), secrets, grant("d")), "grants.db")
	if !b.HasGrant(key("c")) {
		t.Error("the account is forgotten, instead of answered by an error")
	}
	// The last version was rescued: the remedy loses nothing.
	if err := os.Rename(path+".before", path); err != nil {
		t.Fatal(err)
	}
	wantGrant(t, b, key("c"), grant("c"))

	// A backup put in its place is taken as it is.
	if err := os.Rename(backup, path); err != nil {
		t.Fatal(err)
	}
	wantGrant(t, b, key("b"), grant("b"))
	if b.HasGrant(key("c")) {
		t.Error("an account that the backup does not have")
	}
	if err := b.Check(); err != nil {
		t.Error(err)
	}
}

func TestTokensDeletedWhileOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir)
	mustSaveGrant(t, b, key("a"), grant("a"))
	if err := os.Remove(filepath.Join(dir, "tokens.db")); err != nil {
		t.Fatal(err)
	}
	if err := b.Save(key("a"), secrets, someRecord); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	// The new one knows of grants.db as well.
	if err := os.Remove(filepath.Join(dir, "grants.db")); err != nil {
		t.Fatal(err)
	}
	b = mustOpen(t, dir)
	if _, ok, err := b.Load(key("a"), secrets); !ok || err != nil {
		t.Errorf("the record was written to a file that is gone: %v, %v", ok, err)
	}
	wantStoreError(t, b.Check(), "grants.db")
}

// TestDeletedGrants, S-46: a deleted grant that an old file brings back is named, until another one is stored.
func TestDeletedGrants(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "grants.db")
	b := mustOpen(t, dir)
	if err := b.DeleteGrant(key("a")); err != nil {
		t.Errorf("deleting nothing: %v", err)
	}
	mustSaveGrant(t, b, key("a"), grant("a"))
	mustSaveGrant(t, b, key("b"), grant("b"))
	if err := b.Save(key("a"), secrets, someRecord); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	copyFile(t, path, backup)
	if err := b.DeleteGrant(key("a")); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := b.LoadGrant(key("a"), secrets); ok || err != nil || b.HasGrant(key("a")) {
		t.Errorf("a deleted grant is there: %v, %v", ok, err)
	}
	if r, ok, err := b.Load(key("a"), secrets); r.Token != "" || r.Generation != someRecord.Generation || !ok || err != nil {
		t.Errorf("record of a deleted grant: got %v, %v, %v, want it without its token", r, ok, err)
	}
	if got := b.Returned(); len(got) != 0 {
		t.Errorf("returned: got %v", got)
	}
	if err := os.Rename(backup, path); err != nil {
		t.Fatal(err)
	}
	wantGrant(t, b, key("a"), grant("a"))
	if got := b.Returned(); !slices.Equal(got, []tokencache.Key{key("a")}) {
		t.Errorf("after an old file was put back: got %v, want %v", got, key("a"))
	}
	mustSaveGrant(t, b, key("a"), grant("anew"))
	if got := b.Returned(); len(got) != 0 {
		t.Errorf("after a new consent: got %v", got)
	}
}

// TestWrongKey, S-48: a wrong key overwrites nothing, and is told apart from damage.
func TestWrongKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir)
	mustSaveGrant(t, b, main1, grant("a"))
	if err := b.Save(main1, secrets, someRecord); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	was := readFile(t, filepath.Join(dir, "grants.db"))
	b = mustOpen(t, dir)

	wrong := [][]byte{[]byte("second secret")}
	for range 2 { // the right ones in between open nothing for the wrong ones
		for name, offered := range map[string][][]byte{"wrong": wrong, "missing": nil, "empty": {{}}} {
			_, ok, err := b.LoadGrant(main1, offered)
			e := wantStoreError(t, err, "grants.db")
			if ok || !errors.Is(err, tokencache.ErrWrongKey) || errors.Is(err, tokencache.ErrDamaged) ||
				!strings.Contains(e.Reason, "sealed under key id ") {
				t.Errorf("%s: got %v, %v", name, ok, err)
			}
			if err := b.SaveGrant(key("new"), offered, grant("new")); !errors.Is(err, tokencache.ErrWrongKey) {
				t.Errorf("%s: saving gave %v", name, err)
			}
			r, ok, err := b.Load(main1, offered)
			if !ok || err != nil || r.Token != "" || r.State != someRecord.State {
				t.Errorf("%s: got %v, %v, %v, want all but the token", name, r, ok, err)
			}
		}
		wantGrant(t, b, main1, grant("a"))
	}
	_ = b.Close()
	if string(was) != string(readFile(t, filepath.Join(dir, "grants.db"))) {
		t.Error("grants.db was written with a wrong key")
	}

	b = mustOpen(t, dir)
	if err := b.Save(main1, wrong, someRecord); err != nil {
		t.Errorf("tokens.db is a cache, its key is replaced: %v", err)
	}
	if r, _, err := b.Load(main1, wrong); r.Token != someRecord.Token {
		t.Errorf("got %v, %v", r, err)
	}
	if r, ok, err := b.Load(main1, secrets); r.Token != "" || !ok || err != nil {
		t.Errorf("got %v, %v, %v", r, ok, err)
	}
}

// TestMovedRecordDoesNotOpen, S-49: what was copied to another place is told of as damage.
func TestMovedRecordDoesNotOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir)
	mustSaveGrant(t, b, key("a"), grant("a"))
	mustSaveGrant(t, b, key("b"), grant("b"))
	second := tokencache.Key{Client: "second", Account: "a"}
	mustSaveGrant(t, b, second, grant("second"))
	for _, k := range []tokencache.Key{key("a"), key("b")} {
		r := someRecord
		r.Token = "1000.access." + k.Account
		if err := b.Save(k, secrets, r); err != nil {
			t.Fatal(err)
		}
	}
	_ = b.Close()
	edit(t, filepath.Join(dir, "grants.db"), func(tx *bolt.Tx) error {
		clients, keys := tx.Bucket([]byte("grants")), tx.Bucket([]byte("keys"))
		value := clients.Bucket([]byte("main")).Get([]byte("a"))
		return errors.Join(
			clients.Bucket([]byte("main")).Put([]byte("b"), resum(value, "grants", "main", "b")),
			// with the key ring that belongs to it
			keys.Put([]byte("second"), resum(keys.Get([]byte("main")), "keys", "second")),
			clients.Bucket([]byte("second")).Put([]byte("a"), resum(value, "grants", "second", "a")))
	})
	edit(t, filepath.Join(dir, "tokens.db"), func(tx *bolt.Tx) error {
		records := tx.Bucket([]byte("tokens")).Bucket([]byte("main"))
		return records.Put([]byte("b"), resum(records.Get([]byte("a")), "tokens", "main", "b"))
	})
	b = mustOpen(t, dir)
	wantGrant(t, b, key("a"), grant("a"))
	for _, k := range []tokencache.Key{key("b"), second} {
		_, ok, err := b.LoadGrant(k, secrets)
		wantStoreError(t, err, "grants.db")
		if ok || !errors.Is(err, tokencache.ErrDamaged) || errors.Is(err, tokencache.ErrWrongKey) {
			t.Errorf("%s: got %v, %v, want it damaged", k, ok, err)
		}
	}
	if r, ok, err := b.Load(key("b"), secrets); r.Token != "" || !ok || err != nil {
		t.Errorf("got %v, %v, %v, want it without token", r, ok, err)
	}
	// Connecting anew cures it.
	mustSaveGrant(t, b, key("b"), grant("anew"))
	wantGrant(t, b, key("b"), grant("anew"))
}

// resum gives a value the checksum of another place.
func resum(value []byte, at ...string) []byte {
	text := value[9:]
	var place []byte
	for _, p := range at {
		place = append(binary.BigEndian.AppendUint32(place, uint32(len(p))), p...)
	}
	return append(fmt.Appendf(nil, "%08x ", crc32.Checksum(append(place, text...), crc32.MakeTable(crc32.Castagnoli))), text...)
}

func TestFilesHoldNoSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir)
	mustSaveGrant(t, b, main1, grant("a"))
	mustSaveGrant(t, b, main1, grant("b"))
	if err := b.Save(main1, secrets, someRecord); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	for _, name := range []string{"grants.db", "grants.db.before", "tokens.db"} {
		data := string(readFile(t, filepath.Join(dir, name)))
		noSecret(t, data)
		if name == "tokens.db" && !strings.Contains(data, `"state":"throttled"`) {
			t.Error("the state cannot be read in the file")
		}
	}
}

func copyFile(tb testing.TB, from, to string) {
	tb.Helper()
	if err := os.WriteFile(to, readFile(tb, from), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func readFile(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
