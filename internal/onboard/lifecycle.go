package onboard

import (
	"context"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// New returns a Flow without a consent. With a Shared store what is under way is that of all
// replicas.
func New(cache *tokencache.Cache, store Store, hooks Hooks) *Flow {
	f := &Flow{
		Hooks: hooks, cache: cache, store: store,
		begun: make(map[string]begun), starts: make(map[tokencache.Key][]time.Time),
		unconfirmed: make(map[string]*unconfirmed),
	}
	f.ctx, f.end = context.WithCancel(context.Background())
	if f.pending, f.fleet = store.(Shared); f.fleet {
		f.looking.Go(f.lookForLapsed)
	} else {
		f.pending = newMemory()
	}
	return f
}

// closeLimit is how long the process is held up by a Zoho that does not answer.
const closeLimit = 5 * time.Second

// Close gives back what waits to be confirmed, and what is to wait for that later. What other
// replicas know of is left to them.
func (f *Flow) Close() {
	f.mu.Lock()
	waiting := f.unconfirmed
	f.unconfirmed, f.closed = make(map[string]*unconfirmed), true
	f.mu.Unlock()
	f.end()
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	var running sync.WaitGroup
	for id, u := range waiting {
		u.expiry.Stop()
		if !f.fleet {
			running.Go(func() { f.Guard(func() { f.discard(ctx, u.client, id) }) })
		}
	}
	running.Wait()
	f.looking.Wait()
}
