// Package apikeys knows callers by the keys that they show. Files hold digests of keys alone;
// they are read anew when they change.
package apikeys

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash/maphash"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/wildcard"
)

// lookEvery is how often a caller has the files looked at.
const lookEvery = time.Second

// Store has the keys of all files that are in use, each once, however many sites name them. It outlives
// a configuration: so a change that comes with a reload is told as well. Safe for concurrent use.
type Store struct {
	mu      sync.Mutex
	keys    map[string]*Keys // by the names of their files
	changed func(Change)
}

// NewStore makes a store. changed is called when files have changed.
func NewStore(changed func(Change)) *Store {
	return &Store{keys: make(map[string]*Keys), changed: changed}
}

// Open reads files, or has those read anew that are known.
func (s *Store) Open(files []string) (*Keys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.Join(files, "\x00")
	if k := s.keys[name]; k != nil {
		return k, k.read()
	}
	k, err := open(files, s.changed)
	if err != nil {
		return nil, err
	}
	s.keys[name] = k
	return k, nil
}

// Keys are those of some files. Safe for concurrent use.
type Keys struct {
	files []string
	// changed is told the names whose lines are new, different or gone, or what is wrong with the files.
	changed func(Change)

	index  atomic.Pointer[index]
	looked atomic.Int64 // when, in nanoseconds since start
	start  time.Time

	mu   sync.Mutex // held while the files are read
	seen []os.FileInfo
	told string // what is wrong with the files, told once
}

// Change is what became of the files since they were read before.
type Change struct {
	Added, Changed, Removed []string
	Err                     error // the keys of before are valid still
}

// open reads the files. changed is called when they have changed later.
func open(files []string, changed func(Change)) (*Keys, error) {
	k := &Keys{files: files, changed: changed, start: time.Now()}
	k.seen = k.stamps()
	t, err := readFiles(files)
	if err != nil {
		return nil, err
	}
	k.index.Store(newIndex(t))
	return k, nil
}

// Empty reports whether the files hold no key at all.
func (k *Keys) Empty() bool { return len(k.index.Load().owners) == 0 }

// Unbound lists the callers whose lines name no account.
func (k *Keys) Unbound() (names []string) {
	owners := k.index.Load().owners
	for _, name := range slices.Sorted(maps.Keys(owners)) {
		if !owners[name].Bound() {
			names = append(names, name)
		}
	}
	return names
}

// Bound reports whether a caller's line names an account.
func (k *Keys) Bound() bool {
	for _, owner := range k.index.Load().owners {
		if owner.Bound() {
			return true
		}
	}
	return false
}

// Has reports whether a caller's name matches a pattern.
func (k *Keys) Has(pattern string) bool {
	for name := range k.index.Load().owners {
		if wildcard.Name(pattern, name) {
			return true
		}
	}
	return false
}

// Find says whose key it is, nil if it is nobody's.
func (k *Keys) Find(key string) *Owner {
	if len(key) < minLength || len(key) > maxLength {
		return nil
	}
	k.look()
	return k.index.Load().find(sha256.Sum256([]byte(key)))
}

// index finds digests in constant time: which bucket is looked at says nothing of a digest
// to who does not know the seed, and within it all are compared to their end.
type index struct {
	*table
	seed    maphash.Seed
	buckets map[uint64][]entry
}

type entry struct {
	digest digest
	owner  *Owner
}

func newIndex(t *table) *index {
	x := &index{table: t, seed: maphash.MakeSeed(), buckets: make(map[uint64][]entry)}
	for _, owner := range t.owners {
		for _, d := range owner.digests {
			at := maphash.Bytes(x.seed, d[:])
			x.buckets[at] = append(x.buckets[at], entry{d, owner})
		}
	}
	return x
}

func (x *index) find(d digest) (owner *Owner) {
	for _, e := range x.buckets[maphash.Bytes(x.seed, d[:])] {
		if subtle.ConstantTimeCompare(e.digest[:], d[:]) == 1 {
			owner = e.owner
		}
	}
	return owner
}

// stamps tell what changes with the files, nil for one that cannot be looked at.
func (k *Keys) stamps() (stamps []os.FileInfo) {
	for _, file := range k.files {
		info, err := os.Stat(file)
		if err != nil {
			info = nil
		}
		stamps = append(stamps, info)
	}
	return stamps
}

func unchanged(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}

// look reads the files anew if they have changed. One caller in a second looks, and others go
// by what was known before.
func (k *Keys) look() {
	now := int64(time.Since(k.start))
	looked := k.looked.Load()
	if now-looked < int64(lookEvery) || !k.looked.CompareAndSwap(looked, now) || !k.mu.TryLock() {
		return
	}
	defer k.mu.Unlock()
	if seen := k.stamps(); slices.EqualFunc(seen, k.seen, unchanged) && k.told == "" {
		return
	}
	if err := k.readAnew(); err != nil && err.Error() != k.told {
		k.told = err.Error()
		k.changed(Change{Err: fmt.Errorf("api_keys: %w; the keys that were read before stay valid", err)})
	}
}

// read reads the files anew.
func (k *Keys) read() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.readAnew()
}

// readAnew is read, with mu held.
func (k *Keys) readAnew() error {
	seen := k.stamps()
	t, err := readFiles(k.files)
	if err != nil {
		return err
	}
	k.seen, k.told = seen, ""
	if c := difference(k.index.Load().table, t); c.any() {
		k.index.Store(newIndex(t))
		k.changed(c)
	}
	return nil
}

func (c *Change) any() bool { return len(c.Added)+len(c.Changed)+len(c.Removed) > 0 }

func difference(old, now *table) (c Change) {
	for _, name := range slices.Sorted(maps.Keys(now.owners)) {
		switch before, after := old.owners[name], now.owners[name]; {
		case before == nil:
			c.Added = append(c.Added, name)
		case !slices.Equal(before.accounts, after.accounts) || !slices.Equal(before.digests, after.digests):
			c.Changed = append(c.Changed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old.owners)) {
		if now.owners[name] == nil {
			c.Removed = append(c.Removed, name)
		}
	}
	return c
}
