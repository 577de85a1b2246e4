package redisstore

import (
	"crypto/sha256"
	"sync"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
)

// ringCache is what this process has read of them, so that a token is sealed and opened
// without asking Redis, and a grant in memory while Redis is away.
type ringCache struct {
	mu      sync.Mutex
	current map[string]string      // :: place of a ring → id
	rings   map[string]*cachedRing // :: id
}

// cachedRing is a ring, and its data key as one list of secrets has opened it. A secret that was
// taken out of the configuration opens nothing any more.
type cachedRing struct {
	*sealed.KeyRing
	secrets  [sha256.Size]byte
	key      *sealed.DataKey
	complete bool // each secret has a wrap
}

// keep notes a ring that was read.
func (c *ringCache) keep(at string, ring *sealed.KeyRing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rings == nil {
		c.current, c.rings = make(map[string]string), make(map[string]*cachedRing)
	}
	if at != "" {
		c.current[at] = ring.ID
	}
	c.rings[ring.ID] = &cachedRing{KeyRing: ring}
}

// currentID is the id of the ring that was last read at a place.
func (c *ringCache) currentID(at string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current[at]
}

// open opens a ring that was read before; with one that was not, ok is false.
func (c *ringCache) open(id, file, client string, secrets [][]byte) (key *sealed.DataKey, complete, ok bool, err error) {
	digest := sealed.Digest(secrets)
	c.mu.Lock()
	defer c.mu.Unlock()
	ring := c.rings[id]
	if ring == nil {
		return nil, false, false, nil
	}
	if ring.key == nil || ring.secrets != digest {
		key, err := ring.Open(file, client, secrets)
		if err != nil {
			return nil, false, true, err
		}
		ring.key, ring.secrets, ring.complete = key, digest, ring.Complete(secrets)
	}
	return ring.key, ring.complete, true, nil
}

// ring is one that was read before, nil if it was not.
func (c *ringCache) ring(id string) *sealed.KeyRing {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ring := c.rings[id]; ring != nil {
		return ring.KeyRing
	}
	return nil
}

// forgetCurrent has the rings that seal read anew: they may be gone.
func (c *ringCache) forgetCurrent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.current)
}
