package tokencache

import (
	"maps"
	"slices"
	"sync"
)

// grantIndex names the accounts that have a grant in grants.db. It stays as it
// was while the file cannot be read.
type grantIndex struct {
	mu       sync.RWMutex
	accounts map[string]map[string]struct{} // :: client → account
	damaged  int                            // records that are missing, or not as they were written: whose is not known
}

func (x *grantIndex) set(accounts map[string]map[string]struct{}, damaged int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.accounts, x.damaged = accounts, damaged
}

func (x *grantIndex) has(key Key) bool {
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

func (x *grantIndex) unsound() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.damaged
}

func (x *grantIndex) add(key Key) {
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

func (x *grantIndex) remove(key Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.accounts[key.Client], key.Account)
}
