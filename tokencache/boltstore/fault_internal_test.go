//go:build unix

package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// A file that is cut between the look at it and the end of a transaction takes mapped pages
// away. The fault that follows ends a process, whatever is deferred, unless the goroutine has
// asked for a panic instead. So each of these tests goes through its cases in a process of its
// own, which has to live until the last one.

var faultSecrets = [][]byte{[]byte("secret")}

const faultAccounts = 60

func faultKey(i int) tokencache.Key {
	return tokencache.Key{Client: "main", Account: fmt.Sprintf("account-%03d", i)}
}

// inProcess runs the test of this name in a process of its own, and tells whether that is
// this one.
func inProcess(t *testing.T) bool {
	t.Helper()
	const part = "STORE_FAULTS"
	if os.Getenv(part) == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), part+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the process ended with %v\n%.4000s", err, out)
	}
	return false
}

// faultStore makes the files of a store with grants and records.
func faultStore(t *testing.T) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	b := New(dir)
	for i := range faultAccounts {
		if err := errors.Join(
			b.SaveGrant(faultKey(i), faultSecrets, tokencache.Grant{RefreshToken: "1000.refresh"}),
			b.Save(faultKey(i), faultSecrets, tokencache.Record{Generation: uint64(i)}),
		); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, name := range []string{grantsFile, tokensFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	return files
}

// faultDir puts such files into a directory of their own.
func faultDir(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// readEverything reads all pages of a file that are in use.
func readEverything(tx *bolt.Tx) error {
	var walk func(b *bolt.Bucket) error
	walk = func(b *bolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if sub := b.Bucket(k); v == nil && sub != nil {
				return walk(sub)
			}
			_ = bytes.Count(v, []byte{0})
			return nil
		})
	}
	return tx.ForEach(func(_ []byte, b *bolt.Bucket) error { return walk(b) })
}

// TestCutDuringATransaction, S-39: at each step of 4 KiB, in both files, while a transaction
// reads or writes. The process lives, and the store goes on as with any damage.
func TestCutDuringATransaction(t *testing.T) {
	t.Parallel()
	if !inProcess(t) {
		return
	}
	files := faultStore(t)
	faults := 0
	for name, data := range files {
		for at := int64(0); at < int64(len(data)); at += 4096 {
			for _, write := range []bool{false, true} {
				b := New(faultDir(t, files))
				if err := b.Open(); err != nil {
					t.Fatal(err)
				}
				f := map[string]*dbFile{grantsFile: &b.grants, tokensFile: &b.tokens}[name]
				f.mu.Lock()
				err := f.run(write, func(tx *bolt.Tx) error {
					if err := os.Truncate(f.path, at); err != nil {
						t.Fatal(err)
					}
					return readEverything(tx)
				})
				open := f.db != nil
				f.mu.Unlock()
				if err != nil {
					faults++
				}
				if errors.Is(err, tokencache.ErrDamaged) == open {
					t.Errorf("%s cut at %d, writing %v: %v, and the file is open: %v", name, at, write, err, open)
				}
				wantToGoOn(t, b)
				_ = b.Close()
			}
		}
	}
	if faults < 10 {
		t.Errorf("only %d faults: this proves little", faults)
	}
}

// wantToGoOn fails unless records are written and read, and each grant is the one that was
// saved or an error.
func wantToGoOn(t *testing.T, b *Store) {
	t.Helper()
	for i := range faultAccounts {
		if _, _, err := b.Load(faultKey(i), faultSecrets); err != nil {
			t.Fatalf("loading a record: %v", err)
		}
		if g, found, err := b.LoadGrant(faultKey(i), faultSecrets); err == nil && (!found || g.RefreshToken != "1000.refresh") {
			t.Errorf("a grant is silently gone: %v, %v", g, found)
		}
	}
	if err := b.Save(faultKey(0), faultSecrets, tokencache.Record{Generation: 77}); err != nil {
		t.Fatal(err)
	}
	if r, found, err := b.Load(faultKey(0), faultSecrets); err != nil || !found || r.Generation != 77 {
		t.Errorf("got %v, %v, %v", r, found, err)
	}
}

// TestDamageInALargeFile, S-39: of a file above the limit of the check only the metas and the
// length are looked at, so bbolt follows a wrong page number out of the file, or out of what
// is mapped.
func TestDamageInALargeFile(t *testing.T) {
	t.Parallel()
	if !inProcess(t) {
		return
	}
	files := faultStore(t)
	for name, data := range files {
		for _, page := range []uint64{(checkLimit + 4096) / 4096, (checkLimit + 64<<20) / 4096, 1 << 40} {
			dir := faultDir(t, files)
			path := filepath.Join(dir, name)
			damaged := bytes.Clone(data)
			m, ok := readMetas(bytes.NewReader(damaged))
			if !ok || m.pageSize != 4096 {
				t.Skipf("pages of %d bytes", m.pageSize)
			}
			bucketRoots(damaged[m.root*4096:], page)
			err := errors.Join(os.WriteFile(path, damaged, 0o600), os.Truncate(path, checkLimit+8192))
			if err != nil {
				t.Fatal(err)
			}
			b := New(dir)
			err = b.Open()
			switch {
			case err != nil:
				t.Errorf("%s, page %d: Open says %v", name, page, err)
			case name == grantsFile:
				if _, _, err := b.LoadGrant(faultKey(1), faultSecrets); !errors.Is(err, tokencache.ErrDamaged) {
					t.Errorf("page %d: a grant of the damaged file: %v", page, err)
				}
			}
			if err := b.Save(faultKey(0), faultSecrets, tokencache.Record{Generation: 77}); err != nil {
				t.Errorf("%s, page %d: %v", name, page, err)
			}
			_ = b.Close()
		}
	}
}

// bucketRoots has each bucket of a leaf page that is a tree of its own begin at a page.
func bucketRoots(leaf []byte, page uint64) {
	for i := range int(native.Uint16(leaf[10:])) {
		e := leaf[pageHeader+16*i:]
		pos, klen := native.Uint32(e[4:]), native.Uint32(e[8:])
		if value := e[pos+klen:]; native.Uint32(e) == bucketFlag && native.Uint64(value) != 0 {
			native.PutUint64(value, page)
		}
	}
}
