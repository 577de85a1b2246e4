package boltstore

import (
	"errors"
	"io/fs"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/durable"
)

// How grants.db is changed: the version before is kept, see grants_copy.go, and a new file
// appears whole: the first grant of a store is written to grants.db.new, which then takes
// its name.

// A change is a transaction that writes grants.db, or the file that becomes it.
type change func(f *dbFile, tx *bolt.Tx) error

// commit makes the change, and then an empty one: bbolt's two meta pages take
// turns, so now each of them leads to the grant, and the loss of one loses nothing.
// The change is made if that fails: it is only less safe until the next one. What a
// commit that failed has left in the file is found out by opening it anew.
func (b *Store) commit(f *dbFile, do change) error {
	var refused error
	err := f.run(true, func(tx *bolt.Tx) error {
		if refused = do(f, tx); refused == nil && b.grants.mu.Gone() {
			refused = b.grants.hung() // who asked was told that it was not done
		}
		return refused
	})
	if err != nil {
		if refused == nil {
			_ = f.close()
		}
		return err
	}
	if err := f.run(true, func(*bolt.Tx) error { return nil }); err != nil {
		b.warnings.Warn("%s: the last change was written, but its second mark was not: %v", b.grants.path, err)
		_ = f.close()
	}
	return nil
}

// changeGrants makes the change and keeps the version before it. It makes
// grants.db if there is none.
func (b *Store) changeGrants(do change) error {
	f := &b.grants
	if f.db == nil {
		return b.createGrants(do)
	}
	kept, err := b.keepBefore()
	if err != nil {
		return err
	}
	if err := b.commit(f, do); err != nil {
		if kept && f.db != nil { // refused; after a commit that failed the file is opened anew, which settles it
			_ = os.Remove(b.copyPath())
		}
		return err
	}
	if kept {
		b.changed(b.keepCopy())
	}
	if f.db != nil && len(b.index.unsound()) > 0 {
		b.changed(b.readIndex())
	}
	return nil
}

// changeWraps makes a change of wraps alone. The version before differs in nothing but
// that fewer secrets open it, so what is kept is the one after.
func (b *Store) changeWraps(do change) error {
	if err := b.commit(&b.grants, do); err != nil || b.grants.db == nil {
		return err
	}
	made, err := b.copyGrants()
	if made {
		err = b.keepCopy()
	}
	b.changed(err)
	return nil
}

// changed warns of what went wrong after a change was made, which is no failure of it: an
// error would have the caller say that nothing was stored.
func (b *Store) changed(err error) {
	if err != nil {
		b.warnings.Warn("%s: the last change was written, but could not be read back: %v", b.grants.path, err)
	}
}

// createGrants makes grants.db with its first grant in it: whenever the file
// exists, it is whole.
func (b *Store) createGrants(do change) error {
	f := &dbFile{name: grantsFile, path: b.grants.path + ".new"}
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := f.ready(true); err != nil {
		return err
	}
	err := b.commit(f, do)
	_ = f.close()
	if err == nil {
		err = os.Rename(f.path, b.grants.path)
	}
	if err != nil {
		_ = os.Remove(f.path)
		return err
	}
	durable.Names(b.dir)
	b.changed(b.readyGrants())
	return nil
}
