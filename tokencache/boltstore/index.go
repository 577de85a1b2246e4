package boltstore

import (
	"maps"
	"slices"
	"sync"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// grantIndex names the accounts that have a grant in grants.db. It stays as it
// was while the file cannot be read.
type grantIndex struct {
	mu       sync.RWMutex
	accounts map[string]map[string]struct{} // :: client → account
	damaged  int                            // records that are missing, or not as they were written: whose is not known
	faults   []string                       // all that is wrong, in words
}

func (x *grantIndex) set(found inspection) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.accounts, x.damaged, x.faults = found.accounts, found.damaged, found.faults
}

func (x *grantIndex) has(key tokencache.Key) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, ok := x.accounts[key.Client][key.Account]
	return ok
}

func (x *grantIndex) list(client string) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Sorted(maps.Keys(x.accounts[client]))
}

// unsound says what is wrong with the file, nothing if it is as it was written.
func (x *grantIndex) unsound() []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.faults
}

// incomplete tells that a grant may be stored which is not named.
func (x *grantIndex) incomplete() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.damaged > 0
}

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
}

func (x *grantIndex) remove(key tokencache.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.accounts[key.Client], key.Account)
}
