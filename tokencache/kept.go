package tokencache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
)

// What makes sure that grants.db is never begun anew in doubt: the mark in
// tokens.db that it existed, and the version before the last change beside it.

// A copy of a larger grants.db is made only if the last one is older than this:
// a run of changes, such as an import, counts as one.
const (
	largeCopy = 4 << 20
	copyEvery = time.Minute
)

func (b *Bolt) beforePath() string { return filepath.Join(b.dir, grantsFile+".before") }

// readyGrants opens grants.db. Without an error it is either open, or there is
// none and never was one. The caller holds grants.mu.
func (b *Bolt) readyGrants() error {
	f := &b.grants
	if b.closed.Load() {
		return f.closedError()
	}
	if f.db != nil {
		switch f.look() {
		case same:
			return nil
		case gone: // its content is still at hand: let nothing be lost
			if b.index.unsound() == 0 {
				_ = b.copyGrants()
			}
		}
		_ = f.close()
	}
	var locked *LockedError
	if err := b.withTokens(false, func(*bolt.Tx) error { return nil }); errors.As(err, &locked) {
		return err // the lock of tokens.db is that of the directory
	}
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
	b.existed.Store(true)
	if marked, err := b.marked(); err == nil && !marked {
		b.note(func(*bolt.Tx) error { return nil })
	}
	return nil
}

// missingGrants is nil if there never was a grants.db.
func (b *Bolt) missingGrants() error {
	marked, err := b.marked()
	if err != nil && !b.existed.Load() {
		return err // in doubt
	}
	_, err = os.Lstat(b.beforePath())
	if !marked && !b.existed.Load() && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	remedy := "put a backup in its place"
	if err == nil {
		remedy = fmt.Sprintf("put a backup in its place, or %s, the version before the last change", b.beforePath())
	}
	return &StoreError{
		File:   b.grants.path,
		Reason: "it is gone, but grants were stored in it",
		Remedy: remedy + fmt.Sprintf("; to begin without any grant, stop Caddy and remove %s and %s too", b.beforePath(), b.tokens.path),
		Err:    fs.ErrNotExist,
	}
}

// readIndex names the accounts, and counts what is damaged: a record whose
// checksum does not fit its value and place, and records that the count in the
// file says should be there.
func (b *Bolt) readIndex() error {
	accounts, damaged, found := make(map[string]map[string]struct{}), 0, 0
	err := b.grants.run(false, func(tx *bolt.Tx) error {
		clients := tx.Bucket([]byte(bucketGrants))
		if clients == nil {
			return fmt.Errorf("%w: it has no grants", ErrDamaged)
		}
		err := clients.ForEachBucket(func(name []byte) error {
			client := string(name)
			accounts[client] = make(map[string]struct{})
			return clients.Bucket(name).ForEach(func(k, v []byte) error {
				if v == nil || !intact(v, bucketGrants, client, string(k)) {
					damaged++
				}
				found++
				accounts[client][string(k)] = struct{}{}
				return nil
			})
		})
		if n := grantCount(tx); damaged == 0 && n != found {
			damaged = max(n-found, found-n)
		}
		return err
	})
	if err != nil {
		return err
	}
	b.index.set(accounts, damaged)
	return nil
}

// grantCount is how many grants the file should hold, -1 if it does not say.
func grantCount(tx *bolt.Tx) int {
	if about := tx.Bucket([]byte(bucketAbout)); about != nil {
		if n, err := strconv.Atoi(string(about.Get([]byte(bucketGrants)))); err == nil {
			return n
		}
	}
	return -1
}

func addToCount(tx *bolt.Tx, n int) error {
	about, err := tx.CreateBucketIfNotExists([]byte(bucketAbout))
	if err != nil {
		return err
	}
	return about.Put([]byte(bucketGrants), []byte(strconv.Itoa(max(0, grantCount(tx))+n)))
}

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

// note runs a transaction on tokens.db that notes something about grants.db
// beside the mark that it existed. The grant itself is safe: a failure is a
// warning, and the mark is tried again when the files are opened.
func (b *Bolt) note(fn func(*bolt.Tx) error) {
	err := b.withTokens(true, func(tx *bolt.Tx) error {
		return errors.Join(markExisted(tx), fn(tx))
	})
	if err != nil {
		b.warn("%s: what is known of %s could not be noted: %v", b.tokens.path, grantsFile, err)
	}
}

// marked tells whether tokens.db knows that grants.db existed.
func (b *Bolt) marked() (marked bool, err error) {
	err = b.withTokens(false, func(tx *bolt.Tx) error {
		about := tx.Bucket([]byte(bucketAbout))
		marked = about != nil && about.Get([]byte(bucketGrants)) != nil
		return nil
	})
	return marked, err
}

// mark notes in tokens.db that grants.db exists. The caller holds tokens.mu.
func (b *Bolt) mark() error { return b.tokens.run(true, markExisted) }

func markExisted(tx *bolt.Tx) error {
	about, err := tx.CreateBucketIfNotExists([]byte(bucketAbout))
	if err != nil || about.Get([]byte(bucketGrants)) != nil {
		return err
	}
	return about.Put([]byte(bucketGrants), []byte(utc(time.Now()).Format(time.RFC3339)))
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
