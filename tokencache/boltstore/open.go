package boltstore

import (
	"errors"
	"fmt"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/turn"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Open opens the files. Its only error is a *LockedError: another process uses
// them. All else that is wrong is answered by the calls that it concerns, or
// found in Warnings; a Cache makes events of warnings that come up later.
func (b *Store) Open() error {
	b.closed.Store(false)
	var locked *tokencache.LockedError
	err := askOnly(&b.tokens, openPatience, func() error {
		b.tokens.retry = time.Time{}
		return b.runTokens(false, func(*bolt.Tx) error { return nil })
	})
	if errors.As(err, &locked) {
		return locked
	}
	err = askOnly(&b.grants, openPatience, func() error {
		b.grants.retry = time.Time{}
		return b.readyGrants()
	})
	if errors.As(err, &locked) {
		return locked
	}
	b.warnings.Unreported()
	return nil
}

// Close closes the files and gives their locks back, so that another process may have them.
// Calls that come later are refused until Open. A file that hangs is not waited for: it is
// closed when what runs has ended, and until then an error says so.
func (b *Store) Close() error {
	b.closed.Store(true)
	var closing sync.WaitGroup
	var errs [2]error
	for i, f := range []*dbFile{&b.grants, &b.tokens} {
		closing.Go(func() { errs[i] = b.closeFile(f) })
	}
	closing.Wait()
	return errors.Join(errs[:]...)
}

func (b *Store) closeFile(f *dbFile) error {
	err := askOnly(f, turn.Patience, func() error {
		err := f.close()
		f.fail(nil)
		return err
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, turn.ErrHung):
		go b.closeLate(f)
		return err
	}
	return fmt.Errorf("%s: %w", f.path, err)
}

// closeLate closes a file that hung, unless the store was opened again meanwhile.
func (b *Store) closeLate(f *dbFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b.closed.Load() {
		_ = f.close()
		f.fail(nil)
	}
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
	return askOnly(&b.grants, turn.Patience, func() error {
		err := b.readyGrants()
		if faults := b.index.unsound(); err == nil && len(faults) > 0 {
			err = b.damagedRecord(someOf(faults))
		}
		return err
	})
}

// damagedRecord is the error of a file that opens, with records in it that are not as they
// were written.
func (b *Store) damagedRecord(reason string) error {
	return &tokencache.StoreError{
		File:   b.grants.path,
		Reason: reason,
		Remedy: b.grants.remedy() + "; or forget the account and connect it again",
		Err:    tokencache.ErrDamaged,
		Partly: true,
	}
}
