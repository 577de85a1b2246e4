package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-zoho/caddy-zoho/internal/ownership"
	"github.com/caddy-zoho/caddy-zoho/internal/turn"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

const (
	lockTimeout  = 1500 * time.Millisecond // for a process that is ending to give its lock back
	retryLocked  = 5 * time.Second         // each try waits for lockTimeout, and callers with it
	retryDamaged = 30 * time.Second        // each try reads the whole file
)

// dbFile is one bbolt file, and the only code that touches bbolt.
//
// Its transactions run one at a time, each in a turn of mu: nobody ever waits inside
// bbolt, where a panic can leave locks behind that are never released. After a
// panic the handle is abandoned, not closed, for the same reason.
//
// It is open (db is set), or it is not and err says why, or nobody has tried (neither). A
// file that could not be opened is tried again when something has happened to it, or after
// a while: an operator who puts a backup in its place need not restart anything, and a
// thousand requests a second do not read a damaged file a thousand times.
//
// keys are the data keys that were opened, so that none is derived twice. A transaction
// collects its own in made, which join the others only if it is committed: what a
// transaction that was refused has made is in no file.
type dbFile struct {
	name   string // grantsFile or tokensFile, whatever the path
	path   string
	remedy func() string // what to do if it is damaged

	mu    *turn.Turn // guards all below; whoever only asks goes by ask
	db    *bolt.DB   // nil if not open
	raw   *os.File   // the file under db
	info  fs.FileInfo
	keys  map[keyName]*cachedKey // as the file has them
	made  map[keyName]*cachedKey // by the transaction that runs
	err   error                  // why it is not open, nil if that was not tried
	seen  fs.FileInfo            // what the file was when err came up
	retry time.Time              // not before, unless the file has changed
}

// ready opens the file if it is not open. A failure is remembered until the
// file changes or some time has passed; what a look at the directory can cure
// is tried at each call.
func (f *dbFile) ready(create bool) error {
	if f.db != nil {
		return nil
	}
	if f.err != nil && time.Now().Before(f.retry) && !f.changed() {
		return f.err
	}
	f.fail(f.open(create))
	return f.err
}

// fail remembers why the file is not open.
func (f *dbFile) fail(err error) {
	f.err, f.seen, f.retry = f.explain(err), nil, time.Time{}
	if err == nil {
		return
	}
	f.seen, _ = os.Lstat(f.path)
	var locked *tokencache.LockedError
	switch {
	case errors.As(err, &locked):
		f.retry = time.Now().Add(retryLocked)
	case errors.Is(err, tokencache.ErrDamaged):
		f.retry = time.Now().Add(retryDamaged)
	}
}

// changed reports whether the file is another one than when it failed.
func (f *dbFile) changed() bool {
	info, err := os.Lstat(f.path)
	if err != nil || f.seen == nil {
		return (err == nil) != (f.seen != nil)
	}
	return !os.SameFile(info, f.seen) || info.Size() != f.seen.Size() || !info.ModTime().Equal(f.seen.ModTime())
}

// explain turns what went wrong with the file into an answer for the operator.
func (f *dbFile) explain(err error) error { return explain(err, f.path, f.remedy) }

// open opens the file after a look at its structure, and makes sure that it is ours. With
// create it makes one where there is none, or an empty one as a crash right after the
// file was made leaves it. What is no regular file is damage, and what is a stranger's is left alone.
func (f *dbFile) open(create bool) error {
	if err := refuseFolder(filepath.Dir(f.path)); err != nil {
		return err
	}
	info, err := os.Lstat(f.path)
	fresh := create && (errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0)
	switch {
	case fresh:
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return linkError()
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: not a regular file (%s)", tokencache.ErrDamaged, info.Mode())
	case info.Size() == 0:
		return fmt.Errorf("%w: empty", tokencache.ErrDamaged)
	}
	f.keys = make(map[keyName]*cachedKey)
	panicked, err := guard(func() (err error) {
		f.db, err = bolt.Open(f.path, 0o600, &bolt.Options{
			Timeout:      lockTimeout,
			FreelistType: bolt.FreelistMapType,
			NoStatistics: true,
			OpenFile: func(path string, flag int, _ os.FileMode) (*os.File, error) {
				return f.openRaw(path, flag, fresh)
			},
		})
		return err
	})
	if panicked {
		f.abandon()
	}
	if err != nil {
		f.db, f.raw = nil, nil
		if errors.Is(err, bolterrors.ErrTimeout) {
			err = &tokencache.LockedError{File: f.path}
		}
		return err
	}
	if err := f.identify(create); err != nil {
		_ = f.close()
		return err
	}
	f.info, err = f.raw.Stat()
	return err
}

// openRaw opens and locks the file and checks its structure, before bbolt maps it. The lock
// comes first: what another process is writing looks damaged. And the path is looked at
// again under the lock, for it may name another file by then.
func (f *dbFile) openRaw(path string, flag int, fresh bool) (_ *os.File, err error) {
	if !fresh {
		flag &^= os.O_CREATE
	}
	raw, err := ownership.Open(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = raw.Close()
		}
	}()
	if err := lockFile(raw, lockTimeout); err != nil {
		return nil, err
	}
	info, err := raw.Stat()
	if err != nil {
		return nil, err
	}
	if err := refuseStranger(path, info); err != nil {
		return nil, err
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(now, info) {
		return nil, &tokencache.LockedError{File: path} // the holder before us put another one in its place
	}
	if fresh {
		err = raw.Chmod(0o600)
	}
	if err == nil && info.Size() > 0 {
		err = checkFile(raw, info.Size())
	}
	if err != nil {
		return nil, err
	}
	f.raw = raw
	return raw, nil
}

// identify writes into a new file what it is, and reads it from an old one.
func (f *dbFile) identify(create bool) error {
	var about map[string]string
	empty := true
	err := f.run(false, func(tx *bolt.Tx) error {
		about, empty = readAbout(tx)
		return nil
	})
	if err != nil {
		return err
	}
	if empty && create {
		return f.run(true, writeAbout(f.name))
	}
	if empty {
		return fmt.Errorf("%w: nothing in it", tokencache.ErrDamaged)
	}
	return checkAbout(about, f.name, f.path)
}

// run is one transaction, committed if it writes and fn returns nil. What it hands to fn is
// mapped memory: fn copies what it keeps. What shows that the file is damaged after all
// closes it; the next call opens it anew, and says what is wrong.
func (f *dbFile) run(write bool, fn func(*bolt.Tx) error) error {
	do := f.db.View
	if write {
		do = f.db.Update
	}
	f.made = make(map[keyName]*cachedKey)
	panicked, err := guard(func() error { return do(fn) })
	if panicked {
		f.abandon()
		f.fail(err)
	}
	if errors.Is(err, bolterrors.ErrIncompatibleValue) { // a value where a bucket was
		err = fmt.Errorf("%w: %v", tokencache.ErrDamaged, err)
		_ = f.close()
		f.fail(err)
	}
	if err == nil {
		maps.Copy(f.keys, f.made)
	}
	return err
}

// guard runs fn such that neither a panic nor a fault in mapped memory (a file
// that is shorter than it was, a disk that fails) ends the process.
func guard(fn func() error) (panicked bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			panicked, err = true, fmt.Errorf("%w: %.200s", tokencache.ErrDamaged, fmt.Sprint(p))
		}
	}()
	return false, fn()
}

// found is what look finds at the path of an open file.
type found int

const (
	same found = iota
	gone
	other // another file, or one that was cut
)

// look says what became of an open file. Somebody may have deleted it, put another one in its
// place or cut it: what is written to the open handle would be lost then.
func (f *dbFile) look() found {
	info, err := os.Lstat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gone
	case err != nil || !os.SameFile(info, f.info) || info.Size() < f.info.Size():
		return other
	}
	f.info = info
	return same
}

// close closes the file. Its error concerns whoever is done with it.
func (f *dbFile) close() error {
	if f.db == nil {
		return nil
	}
	panicked, err := guard(f.db.Close)
	if panicked {
		f.abandon()
	}
	f.db, f.raw = nil, nil
	return err
}

// abandon gives up a handle that can no longer be closed. Its mapping stays.
func (f *dbFile) abandon() {
	if f.raw != nil {
		unlockFile(f.raw)
		_ = f.raw.Close()
	}
	f.db, f.raw = nil, nil
}
