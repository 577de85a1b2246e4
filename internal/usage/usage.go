// Package usage remembers what was called and by whom, for people who ask: of each connection the
// services with their methods, and the callers. It begins anew with the process.
package usage

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
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
	since     atomic.Pointer[time.Time]
	resources sync.Map // *tokencache.Resource → *used
}

// used is a service of a connection at a host.
type used struct {
	key     tokencache.Key
	service string
	methods atomic.Uint32
	callers sync.Map // name → nothing
	count   atomic.Int32
}

// Note remembers a call. What was noted before costs no more than looking it up.
func (u *Usage) Note(r *tokencache.Resource, key tokencache.Key, service, method, caller string) {
	value, ok := u.resources.Load(r)
	if !ok {
		now := time.Now()
		u.since.CompareAndSwap(nil, &now)
		value, _ = u.resources.LoadOrStore(r, &used{key: key, service: service})
	}
	of := value.(*used)
	if bit := bitOf(method); of.methods.Load()&bit == 0 {
		of.methods.Or(bit)
	}
	if caller != "" {
		of.called(caller)
	}
}

func bitOf(method string) uint32 {
	for i, known := range methods {
		if method == known {
			return 1 << i
		}
	}
	return 1 << (len(methods) - 1)
}

func (of *used) called(caller string) {
	if _, known := of.callers.Load(caller); known || of.count.Load() >= maxCallers {
		return
	}
	if _, known := of.callers.LoadOrStore(caller, nil); !known {
		of.count.Add(1)
	}
}

// Forget forgets an account that is gone.
func (u *Usage) Forget(key tokencache.Key) {
	u.resources.Range(func(r, of any) bool {
		if of.(*used).key == key {
			u.resources.Delete(r)
		}
		return true
	})
}

// Since is when the first call was noted, zero if none was.
func (u *Usage) Since() time.Time {
	if since := u.since.Load(); since != nil {
		return *since
	}
	return time.Time{}
}

// Connection is what is remembered of one.
type Connection struct {
	Services map[string][]string // methods that were called, by service
	Callers  []string            // sorted; of each service the first hundred
}

// Connections are those that were called.
func (u *Usage) Connections() map[tokencache.Key]Connection {
	all := make(map[tokencache.Key]Connection)
	u.resources.Range(func(_, value any) bool {
		of := value.(*used)
		c, ok := all[of.key]
		if !ok {
			c.Services = make(map[string][]string)
		}
		c.add(of)
		all[of.key] = c
		return true
	})
	return all
}

// add adds a service at one of its hosts.
func (c *Connection) add(of *used) {
	set := of.methods.Load()
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
	of.callers.Range(func(name, _ any) bool {
		c.Callers = append(c.Callers, name.(string))
		return true
	})
	slices.Sort(c.Callers)
	c.Callers = slices.Compact(c.Callers)
}
