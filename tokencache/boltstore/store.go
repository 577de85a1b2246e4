// Package boltstore keeps the grants and records of package tokencache in two bbolt
// files, on the disk of one machine, for one process.
//
// The files of the package stand in layers, and none needs one that stands above it. At the
// bottom is format.go: how things are laid out, in the forms of internal/sealed. dbfile.go
// stands between all that and bbolt, which a damaged file must not reach: dbcheck.go reads
// its structure before. dbkeys.go has the data keys of a file, store.go the type of the store.
// tokens*.go hold what is a cache, grants*.go what a human would have to bring back: how it
// is read, written and never lost. open.go opens both and says whether they can be relied on.
//
// The files differ in what they are worth. tokens.db is a cache: one that cannot be read is
// set aside and begun anew, with a warning. grants.db costs a human to bring back: it is
// never begun anew, what cannot be read in it is not overwritten unless somebody asks for
// just that, and each change leaves the version before it in a file beside.
//
// Each file has one turn at a time (turn.go), in which all that touches it runs, and for which
// nobody waits longer than a disk may take. Turns and locks are taken in this order: that of
// grants.db, that of tokens.db, and then for a moment the lock of the index, of what was read
// (memory.go) or of the warnings. A transaction runs in a turn of its file, so there is one at
// a time in each. Between processes the lock on tokens.db is that
// of the whole directory: who cannot have it does not touch grants.db.
package boltstore

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/caddy-zoho/caddy-zoho/internal/turn"
	"github.com/caddy-zoho/caddy-zoho/internal/warnings"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Store is a tokencache.Store in two files of one directory:
//
//	grants.db          what a human must bring back; written only when a grant changes, or a key or its wraps
//	grants.db.before   the version before the last change, of the first one a copy
//	tokens.db          access tokens, ledgers, states: a cache, begun anew when it cannot be read
//
// Nothing that the files hold ends the process or fails Open: each call
// answers a *StoreError that names file, reason and remedy, and a damaged or
// vanished grants.db is never begun anew. Both are opened on first use and
// held, locked, until Close. Safe for concurrent use.
type Store struct {
	dir    string
	tokens dbFile
	grants dbFile // its turn is taken before that of tokens
	writes writes // of tokens

	opened  atomic.Bool // grants.db was looked at, so that index says what it holds
	closed  atomic.Bool // by Close, until Open: calls are refused
	existed atomic.Bool // grants.db was there while this process ran
	index   grantIndex
	read    readGrants

	warnings warnings.List // what was noticed while files were read since they were opened

	mu   sync.Mutex           // guards open
	open []tokencache.Concern // what exposed has found last
}

// New returns the store in dir. It opens nothing.
func New(dir string) *Store {
	b := &Store{dir: dir}
	b.tokens.mu, b.grants.mu = turn.New(), turn.New()
	b.tokens.name, b.tokens.path = tokensFile, filepath.Join(dir, tokensFile)
	b.tokens.remedy = func() string { return "remove it, it is only a cache" }
	b.grants.name, b.grants.path = grantsFile, filepath.Join(dir, grantsFile)
	b.grants.remedy = b.putBack
	return b
}

// beforePath is where the version before the last change of grants.db is.
func (b *Store) beforePath() string { return filepath.Join(b.dir, grantsFile+".before") }

// putBack is what to do about a grants.db that is lost or damaged.
func (b *Store) putBack() string {
	if _, err := os.Lstat(b.beforePath()); err != nil {
		return "put a backup in its place"
	}
	return fmt.Sprintf("put a backup in its place, or %s, the version before the last change", b.beforePath())
}

// Name is the directory.
func (b *Store) Name() string { return b.dir }

// modes lists the widest mode of each file, where the system has modes.
func (b *Store) modes() map[string]os.FileMode {
	if runtime.GOOS == "windows" {
		return nil
	}
	return map[string]os.FileMode{b.dir: 0o700, b.tokens.path: 0o600, b.grants.path: 0o600, b.beforePath(): 0o600}
}

// UnreportedWarnings are the warnings since the last call.
func (b *Store) UnreportedWarnings() []string { return b.warnings.Unreported() }

var _ tokencache.Store = (*Store)(nil)
