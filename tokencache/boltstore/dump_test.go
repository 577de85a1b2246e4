package boltstore_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// TestDumpOfADamagedStore: what is sound is in a dump, and what is not is named. Without anything sound there
// is none.
func TestDumpOfADamagedStore(t *testing.T) {
	t.Parallel()
	flip := func(bucket *bolt.Bucket, name string) error {
		value := bytes.Clone(bucket.Get([]byte(name)))
		value[len(value)/2] ^= 1
		return bucket.Put([]byte(name), value)
	}
	grants := func(tx *bolt.Tx, client string) *bolt.Bucket {
		return tx.Bucket([]byte("grants")).Bucket([]byte(client))
	}
	for name, test := range map[string]struct {
		damage  func(tx *bolt.Tx) error
		sound   []string
		missing []string // without a reason where that is no part of the name
	}{
		"a grant": {
			func(tx *bolt.Tx) error { return flip(grants(tx, "main"), "b") },
			[]string{"main/a", "second/c"}, []string{"main/b: its record is damaged"},
		},
		"a grant and a control character": {
			func(tx *bolt.Tx) error { return grants(tx, "main").Put([]byte("b\n"), []byte("x")) },
			[]string{"main/a", "main/b", "second/c"}, []string{"main/b\n: its record is damaged"},
		},
		"a record is gone": {
			func(tx *bolt.Tx) error { return grants(tx, "main").Delete([]byte("b")) },
			[]string{"main/a", "second/c"}, []string{"1 record gone, of unknown accounts"},
		},
		"a data key": {
			func(tx *bolt.Tx) error { return flip(tx.Bucket([]byte("keys")), "main") },
			[]string{"second/c"}, []string{
				"main/a: its data key is missing or damaged", "main/b: its data key is missing or damaged",
			},
		},
		"all": {
			func(tx *bolt.Tx) error {
				return errors.Join(flip(grants(tx, "main"), "a"), flip(grants(tx, "main"), "b"), flip(grants(tx, "second"), "c"))
			}, nil, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := mustOpen(t, dir)
			for _, key := range []tokencache.Key{key("a"), key("b"), {Client: "second", Account: "c"}} {
				mustSaveGrant(t, b, key, grant(key.Account))
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			edit(t, filepath.Join(dir, "grants.db"), test.damage)
			b = mustOpen(t, dir)
			d, err := b.Dump()
			if test.sound == nil {
				if e := wantStoreError(t, err, "grants.db"); !e.Partly {
					t.Errorf("%v", e)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var sound, missing []string
			for _, g := range d.Grants {
				sound = append(sound, g.Key().String())
			}
			for _, m := range d.Missing {
				missing = append(missing, m.String())
			}
			if !slices.Equal(sound, test.sound) || !slices.Equal(missing, test.missing) {
				t.Errorf("got %q without %q, want %q without %q", sound, missing, test.sound, test.missing)
			}
			var file bytes.Buffer
			if err := sealed.WriteBackup(&file, sealed.BackupHeader{Made: time.Now(), Store: dir}, d); err != nil {
				t.Fatal(err)
			}
			s, err := sealed.CheckBackup(&file)
			if err != nil || s.Incomplete() != len(test.missing) || s.Grants != len(test.sound) {
				t.Errorf("read back: %+v, %v", s, err)
			}
		})
	}
}
