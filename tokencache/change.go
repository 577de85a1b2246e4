package tokencache

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
func (b *Bolt) commit(f *dbFile, do change) error {
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

// changeGrants keeps the version as it is and makes the change. It makes
// grants.db if there is none.
func (b *Bolt) changeGrants(do change) error {
	f := &b.grants
	if f.db == nil {
		return b.createGrants(do)
	}
	if err := b.keepBefore(); err != nil {
		return err
	}
	if err := b.commit(f, do); err != nil {
		return err
	}
	if f.db != nil && b.index.unsound() > 0 {
		b.changed(b.readIndex())
	}
	return nil
}

// changed warns of what went wrong after a change was made, which is no failure of it.
func (b *Bolt) changed(err error) {
	if err != nil {
		b.warn("%s: the last change was written, but could not be read back: %v", b.grants.path, err)
	}
}

// createGrants makes grants.db with its first grant in it: whenever the file
// exists, it is whole.
func (b *Bolt) createGrants(do change) error {
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

// keepBefore copies grants.db to grants.db.before. A copy of damaged records
// must not displace a sound one.
func (b *Bolt) keepBefore() error {
	if b.index.unsound() > 0 {
		return nil
	}
	kept, err := os.Stat(b.beforePath())
	if err == nil && b.grants.info.Size() > largeCopy && time.Since(kept.ModTime()).Abs() < copyEvery {
		return nil
	}
	return b.copyGrants()
}

func (b *Bolt) copyGrants() (err error) {
	tmp := b.beforePath() + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		_ = out.Close()
		if err != nil {
			_ = os.Remove(tmp)
		}
	}()
	size := int64(0)
	err = b.grants.run(false, func(tx *bolt.Tx) (err error) {
		size, err = tx.WriteTo(out)
		return err
	})
	if err == nil {
		err = errors.Join(out.Chmod(0o600), out.Sync())
	}
	if err != nil {
		return fmt.Errorf("keeping the version before: %w", err)
	}
	if err := checkFile(out, size); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp, b.beforePath()); err != nil {
		return err
	}
	syncDir(b.dir)
	return nil
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
