package boltstore

import (
	"errors"
	"fmt"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Open opens the files. Its only error is a *LockedError: another process uses
// them. All else that is wrong is answered by the calls that it concerns, or
// found in Warnings; a Cache makes events of warnings that come up later.
func (b *Store) Open() error {
	b.closed.Store(false)
	for _, f := range []*dbFile{&b.grants, &b.tokens} {
		f.mu.Lock()
		f.retry = time.Time{}
		f.mu.Unlock()
	}
	var locked *tokencache.LockedError
	if err := b.withTokens(false, func(*bolt.Tx) error { return nil }); errors.As(err, &locked) {
		return locked
	}
	b.grants.mu.Lock()
	defer b.grants.mu.Unlock()
	if err := b.readyGrants(); errors.As(err, &locked) {
		return locked
	}
	b.UnreportedWarnings()
	return nil
}

// Close closes the files and gives their locks back, so that another process may have them.
// Calls that come later are refused until Open.
func (b *Store) Close() error {
	b.closed.Store(true)
	var errs []error
	for _, f := range []*dbFile{&b.grants, &b.tokens} {
		f.mu.Lock()
		if err := f.close(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.path, err))
		}
		f.fail(nil)
		f.mu.Unlock()
	}
	return errors.Join(errs...)
}

// openOnce opens the files if nobody did: who only reads the index has to have one. What is
// wrong is answered elsewhere.
func (b *Store) openOnce() {
	if !b.opened.Load() && !b.closed.Load() {
		_ = b.Check()
	}
}

// Check returns what is wrong with the files now, nil if nothing is. It notices
// a grants.db that was deleted, replaced or put back.
func (b *Store) Check() error {
	tokens := b.withTokens(false, func(*bolt.Tx) error { return nil })
	return errors.Join(tokens, b.CheckGrants())
}

// CheckGrants says why the stored grants cannot be relied on, nil if they can: it is
// Check for grants.db alone.
func (b *Store) CheckGrants() error {
	b.grants.mu.Lock()
	defer b.grants.mu.Unlock()
	err := b.readyGrants()
	if faults := b.index.unsound(); err == nil && len(faults) > 0 {
		err = b.damagedRecord(someOf(faults))
	}
	return err
}

// damagedRecord is the error of a file that opens, with records in it that are not as they
// were written.
func (b *Store) damagedRecord(reason string) error {
	return &tokencache.StoreError{
		File:   b.grants.path,
		Reason: reason,
		Remedy: b.grants.remedy() + "; or forget the account and connect it anew",
		Err:    tokencache.ErrDamaged,
		Partly: true,
	}
}

// TryWrite says why the store could not keep what it is given now, nil if it could: it
// commits a transaction that changes nothing, and writes as much beside it as a
// consent does.
func (b *Store) TryWrite() error {
	if err := b.withTokens(true, func(*bolt.Tx) error { return nil }); err != nil {
		return err
	}
	f, err := os.CreateTemp(b.dir, "try-*")
	if err != nil {
		return b.tokens.explain(err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, tryBytes))
	return b.tokens.explain(errors.Join(err, f.Sync(), f.Close()))
}

// tryBytes is what a small grants.db and the version before it take.
const tryBytes = 128 << 10
