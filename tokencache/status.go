package tokencache

import (
	"slices"
	"time"
)

// Status describes a connection. It holds no secret.
type Status struct {
	Key
	State       string // one of the State constants
	HasGrant    bool   // somebody has consented, and what that gave can be read
	Configured  bool   // the grant comes from the configuration, not from the store
	GrantedAt   time.Time
	Scopes      []string
	HasToken    bool // one that lives
	Generation  uint64
	Issued      time.Time
	Expiry      time.Time
	BudgetLeft  int
	LastError   string
	LastErrorAt time.Time
	NextTry     time.Time // zero if nothing waits
	LostEarly   int
	LastUsed    time.Time
}

// Status describes the connections of a client, configured and stored ones,
// sorted by account. It asks no server. What is not in memory is read from the
// store, and stays there.
func (c *Cache) Status(cl *Client) []Status {
	var all []Status
	for _, account := range c.accounts(cl) {
		all = append(all, c.status(cl, Key{Client: cl.Name, Account: account}))
	}
	return all
}

// accounts are the client's accounts, configured and stored, sorted.
func (c *Cache) accounts(cl *Client) []string {
	var all []string
	if cl.Accounts != nil {
		all = append(all, cl.Accounts()...)
	}
	if c.store != nil {
		all = append(all, c.store.Accounts(cl.Name)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (c *Cache) status(cl *Client, key Key) Status {
	c.mu.RLock()
	n := c.conns[key]
	c.mu.RUnlock()
	// A connection of a cache of its own: nothing of it is kept or told.
	apart := &Conn{cache: &Cache{store: c.store, clock: c.clock, rand: c.rand}, key: key}
	if n == nil || !n.begun() {
		n = apart
		if _, err := n.check(cl); err == nil {
			_ = n.load(cl)
		}
	}
	s := n.snapshot(cl)
	g, err := apart.grant(cl)
	if err != nil && (s.LastError == "" || err.Kind == KindStore) {
		s.LastError = err.Error()
	}
	s.HasGrant, s.GrantedAt, s.Scopes = err == nil, g.GrantedAt, g.Scopes
	if cl.Grant != nil {
		_, s.Configured, _ = cl.Grant(key.Account)
	}
	return s
}

// begun tells whether the state was ever filled.
func (n *Conn) begun() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.loaded
}

func (n *Conn) snapshot(cl *Client) Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.cache.clock.now()
	n.ledger.trim(now.mono, cl.window())
	s := Status{
		Key:        n.key,
		State:      n.state(now).String(),
		Generation: n.generation,
		BudgetLeft: max(0, cl.budget()-len(n.ledger)),
	}
	if n.lost != nil {
		s.LostEarly = n.lost.total
	}
	if l := n.live.Load(); l != nil {
		s.Issued, s.Expiry, s.HasToken = l.Issued, l.Expiry, l.alive(now)
	}
	if n.lastErr != nil {
		s.LastError, s.LastErrorAt = n.lastErr.Error(), time.Unix(0, n.lastErrAt).UTC()
	}
	if n.waiting.kind != 0 {
		s.NextTry = now.wallAt(n.waiting.next)
	}
	if used := n.used.Load(); used != 0 {
		s.LastUsed = time.Unix(0, used).UTC()
	}
	return s
}
