package boltstore

import (
	"maps"
	"slices"
	"sync"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// inspection is what a look at all records of grants.db has found.
type inspection struct {
	accounts map[string]map[string]struct{} // :: client → account
	damaged  int                            // records of grants that are missing, or not as they were written
	faults   []string                       // what is wrong, in words; none in a sound file
}

// grantIndex names the accounts that have a grant in grants.db. It stays as it
// was while the file cannot be read.
//
// Requests ask it whether an account is connected, for names that callers think of, too:
// it is all in memory and has a lock of its own, so that none of them waits for a
// transaction. It is made by inspect when the file is opened, and kept up by each change
// that was committed.
type grantIndex struct {
	mu       sync.RWMutex
	accounts map[string]map[string]struct{} // :: client → account
	sorted   map[string][]string            // :: client → accounts, where somebody has asked since the last change
	damaged  int                            // records that are missing, or not as they were written: whose is not known
	faults   []string                       // all that is wrong, in words
}

// set replaces all of it by what a look at the file has found.
func (x *grantIndex) set(found inspection) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.accounts, x.damaged, x.faults = found.accounts, found.damaged, found.faults
	x.sorted = nil
}

// has reports whether a grant is stored; false says little while incomplete.
func (x *grantIndex) has(key tokencache.Key) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, ok := x.accounts[key.Client][key.Account]
	return ok
}

// list names the accounts of a client, sorted.
func (x *grantIndex) list(client string) []string {
	x.mu.RLock()
	list, ok := x.sorted[client]
	x.mu.RUnlock()
	if !ok {
		list = x.sort(client)
	}
	return slices.Clone(list)
}

func (x *grantIndex) sort(client string) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.sorted == nil {
		x.sorted = make(map[string][]string)
	}
	x.sorted[client] = slices.Sorted(maps.Keys(x.accounts[client]))
	return x.sorted[client]
}

// unsound says what is wrong with the file, nothing if it is as it was written.
func (x *grantIndex) unsound() []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.faults
}

// incomplete reports whether a grant may be stored which is not named.
func (x *grantIndex) incomplete() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.damaged > 0
}

// add names a grant that was stored. What is damaged stays so until the next look.
func (x *grantIndex) add(key tokencache.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.accounts == nil {
		x.accounts = make(map[string]map[string]struct{})
	}
	if x.accounts[key.Client] == nil {
		x.accounts[key.Client] = make(map[string]struct{})
	}
	x.accounts[key.Client][key.Account] = struct{}{}
	delete(x.sorted, key.Client)
}

func (x *grantIndex) remove(key tokencache.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.accounts[key.Client], key.Account)
	delete(x.sorted, key.Client)
}
