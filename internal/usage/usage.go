// Package usage remembers what was called and by whom, for people who ask: of each connection the
// services with their methods, and the callers. It begins anew with the process.
package usage

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// maxCallers is how many callers of a connection are remembered.
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

	mu      sync.Mutex
	callers map[tokencache.Key]map[string]time.Time // when each has called last, to the minute
}

// used is a service of a connection at a host.
type used struct {
	key     tokencache.Key
	service string
	methods atomic.Uint32
	caller  atomic.Pointer[lastCaller]
}

// lastCaller spares the next call of the same caller a look at all.
type lastCaller struct {
	name   string
	minute int64
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
	if caller == "" {
		return
	}
	minute := time.Now().Unix() / 60
	if last := of.caller.Load(); last != nil && last.name == caller && last.minute == minute {
		return
	}
	of.caller.Store(&lastCaller{caller, minute})
	u.called(key, caller, time.Unix(minute*60, 0))
}

func bitOf(method string) uint32 {
	for i, known := range methods {
		if method == known {
			return 1 << i
		}
	}
	return 1 << (len(methods) - 1)
}

func (u *Usage) called(key tokencache.Key, caller string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	of := u.callers[key]
	if of == nil {
		of = make(map[string]time.Time)
		if u.callers == nil {
			u.callers = make(map[tokencache.Key]map[string]time.Time)
		}
		u.callers[key] = of
	}
	if _, known := of[caller]; known || len(of) < maxCallers {
		of[caller] = at
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
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.callers, key)
}

// Since is when the first call was noted, zero if none was.
func (u *Usage) Since() time.Time {
	if since := u.since.Load(); since != nil {
		return *since
	}
	return time.Time{}
}

// Services are the methods that were called, by service.
func (u *Usage) Services(key tokencache.Key) map[string][]string {
	bits := make(map[string]uint32)
	u.resources.Range(func(_, value any) bool {
		if of := value.(*used); of.key == key {
			bits[of.service] |= of.methods.Load()
		}
		return true
	})
	services := make(map[string][]string)
	for service, set := range bits {
		for i, method := range methods {
			if set&(1<<i) != 0 {
				services[service] = append(services[service], method)
			}
		}
	}
	return services
}

// Callers are when each caller with a name has called last, to the minute.
func (u *Usage) Callers(key tokencache.Key) map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.callers[key])
}

// Names are the callers of a connection, sorted.
func (u *Usage) Names(key tokencache.Key) []string {
	return slices.Sorted(maps.Keys(u.Callers(key)))
}
