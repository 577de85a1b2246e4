package boltstore

import (
	"sync"

	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// readGrants are the grants that this process has read, sealed as they are stored, for as long
// as the disk hangs. What is being changed is not among them: nobody can say then what will
// be stored when the disk answers.
type readGrants struct {
	mu sync.Mutex
	of map[tokencache.Key]readGrant
}

// readGrant is a grant and the data key that opens it, for who has the secrets that it was
// opened by.
type readGrant struct {
	data string // there are many
	key  *cachedKey
}

func (r *readGrants) keep(key tokencache.Key, w sealed.Grant, dk *cachedKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = make(map[tokencache.Key]readGrant)
	}
	r.of[key] = readGrant{string(w.Grant.Data), dk}
}

func (r *readGrants) forget(key tokencache.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, key)
}

func (r *readGrants) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.of)
}

// open is the grant of an account, if it was read by these secrets.
func (r *readGrants) open(key tokencache.Key, secrets [][]byte) (tokencache.Grant, bool) {
	r.mu.Lock()
	g, found := r.of[key]
	r.mu.Unlock()
	if !found || g.key.secrets != sealed.Digest(secrets) {
		return tokencache.Grant{}, false
	}
	grant, err := sealed.Grant{Grant: sealed.Box{Key: g.key.ID, Data: []byte(g.data)}}.Open(g.key.DataKey, key)
	return grant, err == nil
}
