package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"

	bolt "go.etcd.io/bbolt"
)

// How grants.db is changed: the version before is kept, a new file appears whole.
//
// The version before is copied to grants.db.before.new, the change is committed, and
// only then does the copy take the name grants.db.before. A change that is refused
// leaves both files as they were. If the process ends in between, the next one sees
// by the number of the last transaction whether the change was made, see settleCopy:
//
//	killed while the copy is made    it is not whole, and is removed
//	before the commit                it is whole, but grants.db is at its transaction: removed
//	after the commit                 grants.db has gone on: it becomes the version before
//	after the rename                 there is nothing to settle
//
// The first grant of a store is written to grants.db.new, which then takes its name.

// A copy of a larger grants.db is made only if the last one is older than this:
// a run of changes, such as an import, counts as one.
const (
	largeCopy = 4 << 20
	copyEvery = time.Minute
)

// A change is a transaction that writes grants.db, or the file that becomes it.
type change func(f *dbFile, tx *bolt.Tx) error

// commit makes the change, and then an empty one: bbolt's two meta pages take
// turns, so now each of them leads to the grant, and the loss of one loses nothing.
// The change is made if that fails: it is only less safe until the next one. What a
// commit that failed has left in the file is found out by opening it anew.
func (b *Store) commit(f *dbFile, do change) error {
	var refused error
	err := f.run(true, func(tx *bolt.Tx) error {
		refused = do(f, tx)
		return refused
	})
	if err != nil {
		if refused == nil {
			_ = f.close()
		}
		return err
	}
	if err := f.run(true, func(*bolt.Tx) error { return nil }); err != nil {
		b.warn("%s: the last change was written, but its second mark was not: %v", b.grants.path, err)
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
		b.warn("%s: the last change was written, but could not be read back: %v", b.grants.path, err)
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
	syncDir(b.dir)
	b.changed(b.readyGrants())
	return nil
}

// copyPath is where a copy waits until the change it precedes is committed.
func (b *Store) copyPath() string { return b.beforePath() + ".new" }

// keepBefore makes a copy that is to become the version before, if one is due.
func (b *Store) keepBefore() (made bool, err error) {
	kept, err := os.Stat(b.beforePath())
	if err == nil && b.grants.info.Size() > largeCopy && time.Since(kept.ModTime()).Abs() < copyEvery {
		return false, nil
	}
	return b.copyGrants()
}

// copyGrants copies grants.db, if it is sound: a copy of damaged records must not
// displace a sound one.
func (b *Store) copyGrants() (made bool, err error) {
	tmp := b.copyPath()
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if len(b.index.unsound()) > 0 {
		return false, nil
	}
	out, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, err
	}
	defer func() {
		_ = out.Close()
		if !made {
			_ = os.Remove(tmp)
		}
	}()
	size, found := int64(0), inspection{}
	err = b.grants.run(false, func(tx *bolt.Tx) (err error) {
		if found, err = inspect(tx); err == nil && len(found.faults) == 0 {
			size, err = tx.WriteTo(out)
		}
		return err
	})
	if err == nil && len(found.faults) > 0 { // damaged since it was opened
		b.index.set(found)
		return false, nil
	}
	if err == nil {
		err = errors.Join(out.Chmod(0o600), out.Sync())
	}
	if err != nil {
		return false, fmt.Errorf("keeping the version before: %w", err)
	}
	if err := checkFile(out, size); err != nil {
		return false, err
	}
	return true, out.Close()
}

// keepCopy makes the copy the version before.
func (b *Store) keepCopy() error {
	err := os.Rename(b.copyPath(), b.beforePath())
	syncDir(b.dir)
	return err
}

// settleCopy decides on a copy that a process has left behind which ended during a
// change: if grants.db has gone on since, the change was made, and the copy is the
// version before it. A commit begins when the copy is on the disk, so it is whole then.
func (b *Store) settleCopy() {
	waiting, err := os.Open(b.copyPath())
	if err != nil {
		return
	}
	copied, whole := wholeFile(waiting)
	_ = waiting.Close()
	if now, err := os.Open(b.grants.path); err == nil {
		current, ok := readMetas(now)
		whole = whole && !(ok && current.txid == copied.txid)
		_ = now.Close()
	}
	if whole {
		err = b.keepCopy()
	} else {
		err = os.Remove(b.copyPath())
	}
	if err != nil {
		b.warn("%s: a change was interrupted, and what it left cannot be put in order: %v", b.copyPath(), err)
	}
}

// wholeFile is the meta of a file whose structure is sound.
func wholeFile(f *os.File) (boltMeta, bool) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || checkFile(f, info.Size()) != nil {
		return boltMeta{}, false
	}
	return readMetas(f)
}

// syncDir makes a rename durable, where directories can be synced.
func syncDir(dir string) {
	if runtime.GOOS == "windows" {
		return
	}
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
