// Package boltstore keeps the grants and records of package tokencache in two bbolt
// files, on the disk of one machine, for one process.
//
// store.go opens the files and holds what is a cache, grants*.go what a human would have
// to bring back: how it is read, written and never lost. seal.go says how things are
// sealed, record.go how they are laid out. dbfile.go stands between all that and bbolt,
// which a damaged file must not reach: dbcheck.go reads its structure before.
//
// The files differ in what they are worth. tokens.db is a cache: one that cannot be read is
// set aside and begun anew, with a warning. grants.db costs a human to bring back: it is
// never begun anew, what cannot be read in it is not overwritten unless somebody asks for
// just that, and each change leaves the version before it in a file beside.
//
// Locks are taken in this order: the mutex of grants.db, that of tokens.db, and then for a
// moment that of the index or of the warnings. A transaction runs under the mutex of its
// file, so there is one at a time in each. Between processes the lock on tokens.db is that
// of the whole directory: who cannot have it does not touch grants.db.
package boltstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Store is a tokencache.Store in two files of one directory:
//
//	grants.db          what a human must bring back; written only when a grant changes, or a key or its wraps
//	grants.db.before   the version before the last change
//	tokens.db          access tokens, ledgers, states: a cache, begun anew when it cannot be read
//
// Nothing that the files hold ends the process or fails Open: each call
// answers a *StoreError that names file, reason and remedy, and a damaged or
// vanished grants.db is never begun anew. Both are opened on first use and
// held, locked, until Close. Safe for concurrent use.
type Store struct {
	dir    string
	tokens dbFile
	grants dbFile // its mutex is taken before that of tokens

	opened  atomic.Bool // somebody has used the files, if only to look
	closed  atomic.Bool // by Close, until Open: calls are refused
	existed atomic.Bool // grants.db was there while this process ran
	index   grantIndex

	mu         sync.Mutex // guards all below
	warnings   []string   // the latest
	unreported []string   // those of them that nobody was told of
}

// New returns the store in dir. It opens nothing.
func New(dir string) *Store {
	b := &Store{dir: dir}
	b.tokens.name, b.tokens.path = tokensFile, filepath.Join(dir, tokensFile)
	b.tokens.remedy = "remove it, it is only a cache"
	b.grants.name, b.grants.path = grantsFile, filepath.Join(dir, grantsFile)
	b.grants.remedy = fmt.Sprintf("put a backup in its place, or %s, the version before the last change", b.beforePath())
	return b
}

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

// Load returns the record of a connection from tokens.db, and whether there is
// one. A token that the secrets do not open is left out. A record that cannot
// be read counts as none; Warnings tells.
func (b *Store) Load(key tokencache.Key, secrets [][]byte) (r tokencache.Record, found bool, err error) {
	var dk cachedKey
	var keyErr error
	var w recordJSON
	var damaged error
	err = b.withTokens(false, func(tx *bolt.Tx) error {
		value := account(tx, bucketTokens, key)
		if found = value != nil; !found {
			return nil
		}
		dk, keyErr = b.tokens.dataKey(tx, keyName{client: key.Client}, secrets)
		if damaged = unpack(value, &w, bucketTokens, key.Client, key.Account); damaged == nil {
			r, damaged = w.record()
		}
		r.Ledger = b.ledger(tx, r.Fingerprint)
		return nil
	})
	if err != nil || !found {
		return tokencache.Record{}, false, err
	}
	if damaged != nil {
		b.warn("%s: the record of %s is damaged and counts as none", b.tokens.path, key)
		return tokencache.Record{}, false, nil
	}
	if w.Token == nil {
		return r, true, nil
	}
	if keyErr == nil {
		var text []byte
		text, keyErr = dk.open(*w.Token, w.place(key))
		r.Token = string(text)
	}
	switch {
	case errors.Is(keyErr, tokencache.ErrWrongKey):
		b.warn("%s: tokens of client %q are left out: %v", b.tokens.path, key.Client, keyErr)
	case keyErr != nil:
		b.warn("%s: the token of %s is left out: %v", b.tokens.path, key, keyErr)
	}
	return r, true, nil
}

// Save writes the record of a connection to tokens.db. The token is sealed
// under the client's data key; one that the secrets do not open is replaced.
// Without any secret all but the token is written, and the error says so.
func (b *Store) Save(key tokencache.Key, secrets [][]byte, r tokencache.Record) error {
	if err := checkKey(key); err != nil {
		return err
	}
	w := toJSON(r)
	var keyErr error
	// gofail: var beforeCommit struct{}
	err := b.withTokens(true, func(tx *bolt.Tx) error { // may run twice, on a file begun anew
		if r.Token != "" {
			dk, err := b.tokens.writeDataKey(tx, key.Client, secrets, true)
			if keyErr = err; err == nil {
				s := dk.seal([]byte(r.Token), w.place(key))
				w.Token = &s
			} else if !errors.Is(err, tokencache.ErrWrongKey) {
				return err
			}
		}
		return errors.Join(putAccount(tx, bucketTokens, key, w), putLedger(tx, r.Fingerprint, r.Ledger))
	})
	// gofail: var afterCommit struct{}
	return errors.Join(err, b.tokens.explain(keyErr))
}

// withTokens runs a transaction on tokens.db. If the file turns out to be
// damaged, it is set aside, a new one is begun, and fn runs again on that: once,
// for a second file that is damaged at birth says that the disk is.
func (b *Store) withTokens(write bool, fn func(*bolt.Tx) error) error {
	b.tokens.mu.Lock()
	defer b.tokens.mu.Unlock()
	err := b.tryTokens(write, fn)
	if b.tokens.db == nil && (errors.Is(err, tokencache.ErrDamaged) || errors.Is(err, errNewer)) {
		if aside := b.setAside(err); aside != nil {
			return b.tokens.explain(aside)
		}
		err = b.tryTokens(write, fn)
	}
	return b.tokens.explain(err)
}

// tryTokens is withTokens without a second try. It opens tokens.db if it is not open, and
// notes in a new one that there is a grants.db: the old one may have known. The caller
// holds tokens.mu.
func (b *Store) tryTokens(write bool, fn func(*bolt.Tx) error) error {
	f := &b.tokens
	if b.closed.Load() {
		return f.closedError()
	}
	b.opened.Store(true)
	if f.db != nil && f.look() != same {
		_ = f.close() // deleted or replaced meanwhile: it is only a cache
	}
	if f.db == nil {
		if err := os.MkdirAll(b.dir, 0o700); err != nil {
			return err
		}
		if err := f.ready(true); err != nil {
			return err
		}
		if b.existed.Load() {
			if err := b.mark(); f.db == nil {
				return err
			}
		}
	}
	return f.run(write, fn)
}

// setAside renames a tokens.db that cannot be read. It is not removed: somebody may want to
// know what became of it, and it is small.
func (b *Store) setAside(why error) error {
	aside := b.tokens.path + ".damaged-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := os.Rename(b.tokens.path, aside); err != nil {
		return err
	}
	b.warn("%s could not be read and was begun anew, the old one is %s: %v", b.tokens.path, aside, why)
	b.tokens.fail(nil)
	return nil
}

// TryWrite tells why the store could not keep what it is given now, nil if it could: it
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

// Warnings lists what does not stop the store but should be looked at: modes
// that let others read, files set aside, records that cannot be read.
func (b *Store) Warnings() []string { return append(b.TooOpen(), b.Noticed()...) }

// TooOpen lists files with modes that let others than their owner read them.
func (b *Store) TooOpen() []string {
	var list []string
	for path, limit := range b.modes() {
		if info, err := os.Stat(path); err == nil && info.IsDir() == (path == b.dir) && info.Mode().Perm()&^limit != 0 {
			list = append(list, fmt.Sprintf("%s has mode %04o, so others than its owner can get at it: chmod %04o it",
				path, info.Mode().Perm(), limit))
		}
	}
	slices.Sort(list)
	return list
}

// Noticed lists what was noticed while files were read since they were opened.
func (b *Store) Noticed() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.warnings)
}

// modes lists the widest mode of each file, where the system has modes.
func (b *Store) modes() map[string]os.FileMode {
	if runtime.GOOS == "windows" {
		return nil
	}
	return map[string]os.FileMode{b.dir: 0o700, b.tokens.path: 0o600, b.grants.path: 0o600, b.beforePath(): 0o600}
}

// maxWarnings bounds what a store that fails for days keeps in memory.
const maxWarnings = 100

// warn keeps a warning, the same one once: what is met at each request is told of once. The
// latest count. A warning holds no secret.
func (b *Store) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.warnings, text) {
		b.warnings = latest(append(b.warnings, text))
		b.unreported = latest(append(b.unreported, text))
	}
}

func latest(list []string) []string { return slices.Delete(list, 0, max(0, len(list)-maxWarnings)) }

// UnreportedWarnings are the warnings since the last call.
func (b *Store) UnreportedWarnings() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	unreported := b.unreported
	b.unreported = nil
	return unreported
}

// checkKey refuses what bbolt cannot take as the name of a bucket or a key.
func checkKey(key tokencache.Key) error {
	if key.Client == "" || key.Account == "" || len(key.Client)+len(key.Account) > bolt.MaxKeySize {
		return fmt.Errorf("connection %.200q: client and account must have a name, and not an endless one", key.String())
	}
	return nil
}

var _ tokencache.Store = (*Store)(nil)
