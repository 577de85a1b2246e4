// Package usage remembers what was called and by whom, for people who ask: of each connection the
// services with their methods, and the callers. It begins anew with the process.
package usage

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// maxCallers is how many callers of a service are remembered.
const maxCallers = 100

// methods that are told apart, by their bits.
var methods = [...]string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions, "other",
}

// Usage is what is remembered. The zero value is ready. Safe for concurrent use.
type Usage struct {
	mu        sync.RWMutex
	since     time.Time
	resources map[*tokencache.Resource]*used
}

// used is a service of a connection at a host. There may be many thousands.
type used struct {
	key     tokencache.Key
	service string
	methods uint32
	callers map[string]bool
}

// Note remembers a call. What was noted before costs no more than looking it up.
func (u *Usage) Note(r *tokencache.Resource, key tokencache.Key, service, method, caller string) {
	bit := bitOf(method)
	u.mu.RLock()
	known := u.resources[r].knows(bit, caller)
	u.mu.RUnlock()
	if known {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.resources == nil {
		u.since, u.resources = time.Now(), make(map[*tokencache.Resource]*used)
	}
	of := u.resources[r]
	if of == nil {
		of = &used{key: key, service: service}
		u.resources[r] = of
	}
	of.methods |= bit
	if caller == "" || len(of.callers) >= maxCallers {
		return
	}
	if of.callers == nil {
		of.callers = make(map[string]bool)
	}
	of.callers[caller] = true
}

// knows reports whether there is nothing new in a call.
func (of *used) knows(method uint32, caller string) bool {
	return of != nil && of.methods&method != 0 && (caller == "" || of.callers[caller] || len(of.callers) >= maxCallers)
}

func bitOf(method string) uint32 {
	for i, known := range methods {
		if method == known {
			return 1 << i
		}
	}
	return 1 << (len(methods) - 1)
}

// Forget forgets an account that is gone.
func (u *Usage) Forget(key tokencache.Key) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.resources, func(_ *tokencache.Resource, of *used) bool { return of.key == key })
}

// Since is when the first call was noted, zero if none was.
func (u *Usage) Since() time.Time {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.since
}

// Connection is what is remembered of one.
type Connection struct {
	Services map[string][]string // methods that were called, by service
	Callers  []string            // sorted; of each service the first hundred
}

// Connections are those that were called. No call waits until all of them are told.
func (u *Usage) Connections() map[tokencache.Key]Connection {
	u.mu.RLock()
	resources := slices.Collect(maps.Values(u.resources))
	u.mu.RUnlock()
	all := make(map[tokencache.Key]Connection)
	for _, of := range resources {
		c, ok := all[of.key]
		if !ok {
			c.Services = make(map[string][]string)
		}
		u.mu.RLock()
		c.add(of)
		u.mu.RUnlock()
		all[of.key] = c
	}
	return all
}

// add adds a service at one of its hosts.
func (c *Connection) add(of *used) {
	set := of.methods
	for _, method := range c.Services[of.service] {
		set |= bitOf(method)
	}
	var called []string
	for i, method := range methods {
		if set&(1<<i) != 0 {
			called = append(called, method)
		}
	}
	c.Services[of.service] = called
	for name := range of.callers {
		c.Callers = append(c.Callers, name)
	}
	slices.Sort(c.Callers)
	c.Callers = slices.Compact(c.Callers)
}
