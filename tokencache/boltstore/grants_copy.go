package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/durable"
	"github.com/caddy-zoho/caddy-zoho/internal/ownership"
)

// How the version before a change of grants.db is kept.
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

// A copy of a larger grants.db is made only if the last one is older than this:
// a run of changes, such as an import, counts as one.
const (
	largeCopy = 4 << 20
	copyEvery = time.Minute
)

// copyPath is where a copy waits until the change it precedes is committed.
func (b *Store) copyPath() string { return b.beforePath() + ".new" }

// keepBefore makes a copy that is to become the version before, if one is due.
func (b *Store) keepBefore() (made bool, err error) {
	kept, err := os.Lstat(b.beforePath())
	if err == nil && kept.Mode().IsRegular() && b.grants.info.Size() > largeCopy && time.Since(kept.ModTime()).Abs() < copyEvery {
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
		return false, fmt.Errorf("keeping the previous version: %w", err)
	}
	if err := checkFile(out, size); err != nil {
		return false, err
	}
	return true, out.Close()
}

// keepCopy makes the copy the version before.
func (b *Store) keepCopy() error {
	err := os.Rename(b.copyPath(), b.beforePath())
	durable.Names(b.dir)
	return err
}

// settleCopy decides on a copy that a process has left behind which ended during a
// change: if grants.db has gone on since, the change was made, and the copy is the
// version before it. A commit begins when the copy is on the disk, so it is whole then.
func (b *Store) settleCopy() {
	info, err := os.Lstat(b.copyPath())
	if err != nil {
		return
	}
	copied, whole := boltMeta{}, false
	if info.Mode().IsRegular() { // what was put there by others is removed
		waiting, err := ownership.Open(b.copyPath(), os.O_RDONLY, 0)
		if err != nil {
			return
		}
		copied, whole = wholeFile(waiting)
		_ = waiting.Close()
	}
	if now, err := ownership.Open(b.grants.path, os.O_RDONLY, 0); err == nil {
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
		b.warnings.Warn("%s: a change was interrupted, and its leftovers cannot be cleaned up: %v", b.copyPath(), err)
	}
}

// wholeFile is the meta of a file whose structure is sound.
func wholeFile(f *os.File) (boltMeta, bool) {
	info, err := f.Stat()
	if err != nil || refuseStranger(f.Name(), info) != nil || !info.Mode().IsRegular() || checkFile(f, info.Size()) != nil {
		return boltMeta{}, false
	}
	return readMetas(f)
}
