package tokencache

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// Status describes a connection. It holds no secret.
type Status struct {
	Key
	State      string // one of the State constants
	Waiting    Kind   // why the server is not asked now: dead or rejected until that is mended; throttled or temporary until NextTry; or 0
	HasGrant   bool   // somebody has consented, and what that gave could be read
	NoGrant    Kind   // why there is no grant: nobody has consented, or the store cannot tell; 0 = there is one
	Configured bool   // the grant comes from the configuration, not from the store
	GrantedAt  time.Time
	Scopes     []string
	User       string // who consented, "" if unknown
	Org        string // of which organization, "" if unknown
	// AccountsServer is where the grant is renewed, "" if there is none.
	AccountsServer string
	RefreshTokens  int  // known to be in use for the account; 0 without a grant
	HasToken       bool // one that lives by the clock
	Refused        bool // a resource server has refused it, and its renewal waits
	Generation     uint64
	Issued         time.Time
	Expiry         time.Time
	BudgetLeft     int
	LastError      string    // of the store if that cannot be used, of the budget if that is spent, or of the last call that failed
	LastErrorAt    time.Time // zero if it lasts, or if there was none
	NextTry        time.Time // zero if nothing waits
	LostEarly      int
	LastUsed       time.Time
}

// NeedsConsent reports whether only a new grant will do.
func (s *Status) NeedsConsent() bool {
	return s.NoGrant == KindNoGrant || s.Waiting == KindDead
}

// Unreadable reports whether there may be a grant, which the store or the configuration
// cannot give.
func (s *Status) Unreadable() bool { return !s.HasGrant && s.NoGrant != KindNoGrant }

// Shown is State, or what stands in its place where there is no grant: the state of a token
// would tell nothing then.
func (s *Status) Shown() string {
	switch {
	case s.Unreadable():
		return StateUnreadable
	case !s.HasGrant:
		return StateNotConnected
	}
	return s.State
}

// Status describes the connections of a client, configured and stored ones, or those of
// some accounts, sorted by account. It asks no server. What is in memory is told from there,
// the grant as it was last found to be. What is not in memory is read from the
// store at each call, and stays there.
func (c *Cache) Status(cl *Client, only ...string) []Status {
	sound := c.store == nil || c.lookAtGrants(cl.Name) == nil
	var all []Status
	for _, account := range c.Accounts(cl) {
		if len(only) > 0 && !slices.Contains(only, account) {
			continue
		}
		all = append(all, c.status(cl, Key{Client: cl.Name, Account: account}, sound))
	}
	return all
}

// Accounts are the client's accounts, configured and stored, sorted.
func (c *Cache) Accounts(cl *Client) []string {
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

// status describes a connection from memory where that is up to date.
func (c *Cache) status(cl *Client, key Key, sound bool) Status {
	c.mu.RLock()
	n := c.conns[key]
	c.mu.RUnlock()
	if n != nil && sound {
		if s, ok := n.remembered(cl); ok {
			return s
		}
	}
	// A connection of a cache of its own: nothing of it is kept or told.
	apart := &Conn{cache: &Cache{store: c.store, clock: c.clock, rand: c.rand, ledgers: c.ledgers, looks: true}, key: key}
	g, err := apart.check(cl)
	if err == nil {
		if n != nil && n.confirm(cl, g, apart.about.Load()) {
			return n.snapshot(cl)
		}
		_ = apart.load(cl) // snapshot tells
		return apart.snapshot(cl)
	}
	if n == nil {
		n = apart
	}
	s := n.snapshot(cl)
	s.HasGrant, s.GrantedAt, s.Scopes = false, time.Time{}, nil
	s.User, s.Org, s.RefreshTokens = "", "", 0
	if cl.Grant != nil {
		_, s.Configured, _ = cl.Grant(key.Account)
	}
	s.NoGrant = KindNoGrant
	var e *Error
	if errors.As(err, &e) {
		s.NoGrant = e.Kind
	}
	if s.NoGrant == KindNoGrant { // nor does what there may have been of a token serve anybody
		s.HasToken, s.Issued, s.Expiry = false, time.Time{}, time.Time{}
	}
	if e != nil && (s.LastError == "" || e.Kind == KindStore) {
		s.LastError, s.LastErrorAt = e.Kind.explain(e.Err), time.Time{}
	}
	return s
}

// about is what Status tells of a grant.
type about struct {
	configured     bool
	accountsServer string
	grantedAt      time.Time
	scopes         []string
	user, org      string
	refreshTokens  int
}

// aboutConfigured are those of the many that tell no more, by accounts server: thousands
// of configured accounts have one and the same in memory.
var aboutConfigured sync.Map

// describe is what is kept of a grant in memory: all but the refresh token.
func describe(g Grant, configured bool) *about {
	a := &about{configured, g.AccountsServer, g.GrantedAt, g.Scopes, g.User, g.Org, g.RefreshTokens}
	if configured && g.GrantedAt.IsZero() && len(g.Scopes) == 0 {
		same, _ := aboutConfigured.LoadOrStore(g.AccountsServer, a)
		return same.(*about)
	}
	return a
}

// remembered is the snapshot, if the client's grant is known to be that of the state.
func (n *Conn) remembered(cl *Client) (s Status, ok bool) {
	n.mu.Lock()
	ok = n.loaded && n.about.Load() != nil && n.broken == nil && n.checked == cl.identity()
	n.mu.Unlock()
	if ok {
		s = n.snapshot(cl)
	}
	return s, ok
}

// confirm notes that the client's grant was read, if it is that of the state.
func (n *Conn) confirm(cl *Client, g granted, a *about) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.loaded || n.fingerprint != g.fingerprint {
		return false
	}
	n.recognise(cl)
	n.broken = nil
	n.about.Store(a)
	return true
}

// snapshot is what memory has, with the budget as this client counts it.
func (n *Conn) snapshot(cl *Client) Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.cache.clock.now()
	calls, _ := n.ledger.used(now.mono, cl)
	s := Status{
		Key:        n.key,
		State:      n.state(now).String(),
		Generation: n.generation,
		BudgetLeft: max(0, cl.budget()-calls),
	}
	if a := n.about.Load(); a != nil {
		s.HasGrant, s.Configured, s.GrantedAt, s.Scopes = true, a.configured, a.grantedAt, slices.Clone(a.scopes)
		s.AccountsServer, s.User, s.Org, s.RefreshTokens = a.accountsServer, a.user, a.org, max(1, a.refreshTokens)
	}
	if n.lost != nil {
		s.LostEarly = n.lost.total
	}
	if l := n.live.Load(); l != nil {
		s.Issued, s.Expiry, s.HasToken = l.Issued, l.Expiry, l.alive(now)
		s.Refused = s.HasToken && n.bannedAnywhere(l.Generation)
	}
	if used := n.used.Load(); used != 0 {
		s.LastUsed = time.Unix(0, used).UTC()
	}
	n.explain(&s, cl, now)
	return s
}

// explain tells what holds calls back, and what went wrong. With mu held.
func (n *Conn) explain(s *Status, cl *Client, now moment) {
	running := n.waiting.running(now.mono)
	if running || n.waiting.kind.needsHand() {
		s.Waiting = n.waiting.kind
	}
	if running {
		s.NextTry = now.wallAt(n.waiting.next)
	}
	if n.last != nil {
		s.LastError, s.LastErrorAt = n.last.err.Error(), time.Unix(0, n.last.at).UTC()
	}
	if d := n.ledger.wait(now.mono, cl); d > 0 {
		if end := now.time().Add(d); end.After(s.NextTry) {
			s.NextTry = end
		}
		if s.Waiting == 0 {
			s.LastError = KindBudget.explain(cl.spent())
			_, last := n.ledger.used(now.mono, cl)
			s.LastErrorAt = now.wallAt(last)
		}
	}
	for _, e := range []*Error{n.unsaved, n.broken.cause()} {
		if e != nil {
			s.LastError, s.LastErrorAt = e.Kind.explain(e.Err), time.Time{} // it lasts
		}
	}
}

// bannedAnywhere reports whether a resource server has refused the generation such that
// it is not offered there any more.
func (n *Conn) bannedAnywhere(generation uint64) bool {
	for r := n.resources.Load(); r != nil; r = r.next {
		if b := r.ban.Load(); b != nil && b.generation >= generation && !b.vouched.Load() {
			return true
		}
	}
	return false
}
