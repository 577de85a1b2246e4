package redisstore

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// index is what this process knows of the stored grants: it is read at the start, and kept up
// by what others change. Requests ask it whether an account is connected, so it is all in memory.
type index struct {
	mu       sync.RWMutex
	accounts map[string]map[string]*known // :: client → account
	sorted   map[string][]string          // :: client → accounts, where somebody has asked since the last change
	deleted  map[tokencache.Key]time.Time // the deletions that this process knows of, the latest
}

// known is a stored grant.
type known struct {
	packed string // as it is stored, or was before it was lost; "" if it was not read
	gone   bool   // it was lost: it is not there any more, and nobody has deleted it
}

func (x *index) has(key tokencache.Key) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.accounts[key.Client][key.Account] != nil
}

// list names the accounts of a client, sorted.
func (x *index) list(client string) []string {
	x.mu.RLock()
	list, ok := x.sorted[client]
	x.mu.RUnlock()
	if !ok {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.sorted == nil {
			x.sorted = make(map[string][]string)
		}
		list = slices.Sorted(maps.Keys(x.accounts[client]))
		x.sorted[client] = list
	}
	return slices.Clone(list)
}

// all are the connections that have a stored grant, or had one that is gone.
func (x *index) all() (keys []tokencache.Key) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for client, accounts := range x.accounts {
		for account := range accounts {
			keys = append(keys, tokencache.Key{Client: client, Account: account})
		}
	}
	return keys
}

// gone are those whose grant was lost, sorted.
func (x *index) gone() (keys []tokencache.Key) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for client, accounts := range x.accounts {
		for account, k := range accounts {
			if k.gone {
				keys = append(keys, tokencache.Key{Client: client, Account: account})
			}
		}
	}
	slices.SortFunc(keys, tokencache.Key.Compare)
	return keys
}

// kept is what was read of a grant, "" if nothing was.
func (x *index) kept(key tokencache.Key) string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if k := x.accounts[key.Client][key.Account]; k != nil {
		return k.packed
	}
	return ""
}

// isGone reports whether the grant was lost.
func (x *index) isGone(key tokencache.Key) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	k := x.accounts[key.Client][key.Account]
	return k != nil && k.gone
}

// note notes that there is a grant, and what was read of it; "" if it was not read.
func (x *index) note(key tokencache.Key, packed string) (news bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k := x.accounts[key.Client][key.Account]
	if k == nil {
		if x.accounts == nil {
			x.accounts = make(map[string]map[string]*known)
		}
		if x.accounts[key.Client] == nil {
			x.accounts[key.Client] = make(map[string]*known)
		}
		k, news = new(known), true
		x.accounts[key.Client][key.Account] = k
		delete(x.sorted, key.Client)
	}
	k.packed, k.gone = packed, false
	delete(x.deleted, key)
	return news
}

// lose notes that a grant which was there is gone.
func (x *index) lose(key tokencache.Key) (news bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k := x.accounts[key.Client][key.Account]
	news = k != nil && !k.gone
	if news {
		k.gone = true
	}
	return news
}

// remove notes that a grant was deleted.
func (x *index) remove(key tokencache.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.accounts[key.Client][key.Account] == nil {
		return
	}
	delete(x.accounts[key.Client], key.Account)
	delete(x.sorted, key.Client)
	if x.deleted == nil || len(x.deleted) >= maxDeletions {
		x.deleted = make(map[tokencache.Key]time.Time)
	}
	x.deleted[key] = time.Now()
}

// maxDeletions bounds what a process remembers of accounts that come and go.
const maxDeletions = 10_000

// deletions are those that this process knows of.
func (x *index) deletions() map[tokencache.Key]time.Time {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return maps.Clone(x.deleted)
}

// noteFound notes that there is a grant. One that was lost before may be another one now.
func (x *index) noteFound(key tokencache.Key) (news bool) {
	if x.isGone(key) {
		x.note(key, "")
		return true
	}
	return x.note(key, x.kept(key))
}
