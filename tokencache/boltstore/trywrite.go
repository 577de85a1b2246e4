package boltstore

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/turn"
)

// tryBytes is what a small grants.db and the version before it take.
const tryBytes = 128 << 10

// tryPrefix begins the names of what TryWrite writes.
const tryPrefix = "try-"

// TryWrite says why the store could not keep what it is given now, nil if it could: it
// commits a transaction that changes nothing, and writes as much beside it as a
// consent does.
func (b *Store) TryWrite() error {
	return askOnly(&b.tokens, turn.Patience, func() error {
		if err := b.runTokens(true, func(*bolt.Tx) error { return nil }); err != nil {
			return err
		}
		return b.tokens.explain(b.tryFile())
	})
}

// tryFile writes a file, which loses its name before there is anything in it: a process that
// is killed leaves nothing behind. Windows takes no name away from an open file.
func (b *Store) tryFile() error {
	f, err := os.CreateTemp(b.dir, tryPrefix+"*")
	if err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		defer os.Remove(f.Name())
	} else if err := os.Remove(f.Name()); err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.Write(make([]byte, tryBytes))
	return errors.Join(err, f.Sync(), f.Close())
}

// dropTries removes what a process that was killed, or an older version, has left of TryWrite.
// The caller has the lock of tokens.db, so no other process is at it.
func (b *Store) dropTries() {
	files, _ := os.ReadDir(b.dir)
	for _, f := range files {
		if strings.HasPrefix(f.Name(), tryPrefix) && f.Type().IsRegular() {
			_ = os.Remove(filepath.Join(b.dir, f.Name()))
		}
	}
}
