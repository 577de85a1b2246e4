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
	damaged  map[string]int                 // :: client → records that are not as they were written
}

func (x *grantIndex) set(accounts map[string]map[string]struct{}, damaged map[string]int) {
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

// unsound counts the damaged records of a client, with "" those of all.
func (x *grantIndex) unsound(client string) (n int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for name, count := range x.damaged {
		if client == "" || name == client {
			n += count
		}
	}
	return n
}
