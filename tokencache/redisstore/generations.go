package redisstore

import (
	"sync"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// generations are the newest that this process has seen stored, so that, whatever Redis loses, none that is
// given out later is older.
type generations struct {
	mu     sync.Mutex
	newest map[tokencache.Key]uint64
	floor  uint64 // the newest of all that are not kept by account any more
}

// maxGenerations bounds what a process remembers of accounts that come and go.
const maxGenerations = 100_000

// note notes a generation.
func (g *generations) note(key tokencache.Key, generation uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before, found := g.newest[key]
	if !found && len(g.newest) >= maxGenerations {
		for _, other := range g.newest {
			g.floor = max(g.floor, other)
		}
		clear(g.newest)
	}
	if g.newest == nil {
		g.newest = make(map[tokencache.Key]uint64)
	}
	g.newest[key] = max(before, generation)
}

// of is what a generation of an account is to be newer than.
func (g *generations) of(key tokencache.Key) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(g.newest[key], g.floor)
}
