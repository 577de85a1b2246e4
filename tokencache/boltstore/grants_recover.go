package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// What makes sure that grants.db is never begun anew in doubt: the mark in
// tokens.db that it existed, and the version before the last change beside it.
//
//	grants.db    mark or version before    it is
//	there        whatever                  opened; the mark is made if it is missing
//	missing      neither                   a store without a grant
//	missing      one of them               lost: every call says so, and what to do
//	missing      the mark cannot be read   in doubt, which is an error as well
//
// A file that goes while it is open is not lost yet: what the handle still reads becomes
// the version before.

// readyGrants opens grants.db. Without an error it is either open, or there is
// none and never was one. The caller has the turn of grants.db.
func (b *Store) readyGrants() error {
	f := &b.grants
	if b.closed.Load() {
		return closedError(f.path)
	}
	defer b.opened.Store(true)
	if f.db != nil {
		switch f.look() {
		case same:
			return nil
		case gone: // its content is still at hand: let nothing be lost
			if made, err := b.copyGrants(); made && err == nil {
				_ = b.keepCopy()
			}
		}
		_ = f.close()
	}
	var locked *tokencache.LockedError
	if err := b.withTokens(false, func(*bolt.Tx) error { return nil }); errors.As(err, &locked) {
		return err // the lock of tokens.db is that of the directory
	}
	b.settleCopy()
	if _, err := os.Lstat(f.path); errors.Is(err, fs.ErrNotExist) {
		f.fail(nil)
		return b.missingGrants()
	}
	if err := f.ready(false); err != nil {
		return err
	}
	if err := b.readIndex(); err != nil {
		_ = f.close()
		f.fail(err)
		return f.err
	}
	b.read.clear() // it may be another file
	b.existed.Store(true)
	b.keepFirst()
	if b.opened.Load() {
		b.announceReturned()
	}
	if marked, err := b.marked(); err == nil && !marked {
		b.note(func(*bolt.Tx) error { return nil })
	}
	b.settleDeleted()
	return nil
}

// keepFirst keeps a copy where there is none yet, so that there is one from the first grant on.
func (b *Store) keepFirst() {
	if _, err := os.Lstat(b.beforePath()); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	made, err := b.copyGrants()
	if made {
		err = b.keepCopy()
	}
	if err != nil {
		b.warnings.Warn("%s: no copy could be kept beside it yet: %v", b.grants.path, err)
	}
}

// missingGrants is nil if there never was a grants.db. The remedy names each file that has
// to go to begin without any grant: with one of them left it would not.
func (b *Store) missingGrants() error {
	marked, err := b.marked()
	if err != nil && !b.existed.Load() {
		return err // in doubt
	}
	_, err = os.Lstat(b.beforePath())
	if !marked && !b.existed.Load() && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return &tokencache.StoreError{
		File:   b.grants.path,
		Reason: "it is gone, but grants were stored in it",
		Remedy: b.putBack() + fmt.Sprintf("; to start without any grant, stop Caddy and remove %s and %s too",
			b.beforePath(), b.tokens.path),
		Err: fs.ErrNotExist,
	}
}

// readIndex names the accounts, and what is wrong. The caller has the turn of grants.db.
func (b *Store) readIndex() error {
	var found inspection
	err := b.grants.run(false, func(tx *bolt.Tx) (err error) {
		found, err = inspect(tx)
		return err
	})
	if err != nil {
		return err
	}
	b.index.set(found)
	return nil
}

// note runs a transaction on tokens.db that notes something about grants.db
// beside the mark that it existed. The grant itself is safe: a failure is a
// warning, and the mark is tried again when the files are opened.
func (b *Store) note(fn func(*bolt.Tx) error) {
	err := b.withTokens(true, func(tx *bolt.Tx) error {
		return errors.Join(markExisted(tx), fn(tx))
	})
	if err != nil {
		b.warnings.Warn("%s: the facts about %s could not be stored: %v", b.tokens.path, grantsFile, err)
	}
}

// marked reports whether tokens.db knows that grants.db existed.
func (b *Store) marked() (bool, error) {
	return fromTokens(b, func(tx *bolt.Tx) bool {
		about := tx.Bucket([]byte(bucketAbout))
		return about != nil && about.Get([]byte(bucketGrants)) != nil
	})
}
