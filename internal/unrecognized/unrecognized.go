// Package unrecognized remembers refusals of Zoho's in which nothing was recognized: the
// last one of each service of a connection, for doctor.
package unrecognized

import (
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

const (
	between = time.Minute // lines of the log about one service of a client
	oldest  = 24 * time.Hour
)

// Refusals are what is remembered. The zero value is ready. Safe for concurrent use.
type Refusals struct {
	mu   sync.Mutex
	last map[place]Refusal
	log  map[place]*rate.Sometimes // by client and service
}

type place struct {
	tokencache.Key
	service string
}

// Refusal is the last one of a service.
type Refusal struct {
	Service     string
	At          time.Time
	Status      int
	ContentType string
	Count       int // since the account came
}

// Note remembers a refusal, and has log called once in a while.
func (u *Refusals) Note(key tokencache.Key, r Refusal, log func()) {
	u.mu.Lock()
	if u.last == nil {
		u.last, u.log = make(map[place]Refusal), make(map[place]*rate.Sometimes)
	}
	at := place{key, r.Service}
	r.At, r.Count = time.Now(), u.last[at].Count+1
	u.last[at] = r
	told := place{tokencache.Key{Client: key.Client}, r.Service}
	line := u.log[told]
	if line == nil {
		line = &rate.Sometimes{First: 1, Interval: between}
		u.log[told] = line
	}
	u.mu.Unlock()
	line.Do(log)
}

// Forget forgets an account that is gone.
func (u *Refusals) Forget(key tokencache.Key) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for at := range u.last {
		if at.Key == key {
			delete(u.last, at)
		}
	}
}

// Of lists what is remembered of an account and not too old, by service.
func (u *Refusals) Of(key tokencache.Key) (refusals []Refusal) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for at, refusal := range u.last {
		if at.Key == key && time.Since(refusal.At) < oldest {
			refusals = append(refusals, refusal)
		}
	}
	slices.SortFunc(refusals, func(a, b Refusal) int { return strings.Compare(a.Service, b.Service) })
	return refusals
}
