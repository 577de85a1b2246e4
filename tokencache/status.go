package tokencache

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"
)

// Status describes a connection. It holds no secret.
type Status struct {
	Key
	State      string // one of the State constants
	Waiting    Kind   // why the server is not asked now: dead or rejected until that is mended; throttled or temporary until NextTry; or 0
	HasGrant   bool   // somebody has consented, and what that gave could be read
	NoGrant    Kind   // why there is no grant: nobody has consented, or the store cannot tell; 0 = there is one
	Configured bool   // the grant comes from the configuration, not from the store
	ByClient   bool   // the client itself asks for tokens: there is no refresh token, and nobody to consent
	GrantedAt  time.Time
	Scopes     []string // as granted, to what is known of the grant
	TokenScope string   // as the server named it with the current token, which is the later word; "" if it did not
	User       string   // who consented, "" if unknown
	Org        string   // of which organization, "" if unknown
	// AccountsServer is where the grant is renewed, "" if there is none.
	AccountsServer string
	RefreshTokens  int  // known to be in use for the account; 0 without a grant, or without one of its own
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

// find is the connection that is in memory, nil if there is none.
func (c *Cache) find(key Key) *Conn {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.conns[key]
}

// status describes a connection from memory where that is up to date.
func (c *Cache) status(cl *Client, key Key, sound bool) Status {
	if n := c.find(key); n != nil && sound && n.remembers(cl) {
		return n.snapshot(cl)
	}
	return c.examine(cl, key).status(cl)
}

// look is what a look at a connection has found: one that describes it, in memory where that
// is the same and else apart, and why there is no grant.
type look struct {
	conn       *Conn
	err        error
	configured bool  // the grant, had or not
	byClient   bool  // as Status has it, if assumed
	assumed    bool  // it was not looked at
	at, took   int64 // mono
}

// examine looks at what the configuration and the store have of a connection. Nothing is kept
// or told of what is not in memory.
func (c *Cache) examine(cl *Client, key Key) *look {
	n, now := c.find(key), c.clock.now().mono
	l := &look{conn: &Conn{cache: c.beside, key: key}, at: now}
	g, err := l.conn.check(cl)
	switch {
	case err != nil:
		l.err = err
		if cl.Grant != nil {
			_, l.configured, _ = cl.Grant(key.Account)
		}
		if n != nil {
			l.conn = n
		}
	case n != nil && n.confirm(cl, g, l.conn.about.Load()):
		l.conn = n
	default:
		_ = l.conn.load(cl) // snapshot tells
	}
	l.took = c.clock.now().mono - now
	return l
}

// status is what there is to tell of the connection.
func (l *look) status(cl *Client) Status {
	s := l.conn.snapshot(cl)
	if l.assumed {
		s.HasGrant, s.Configured, s.ByClient = true, l.configured, l.byClient
	}
	if l.err == nil {
		return s
	}
	s.HasGrant, s.GrantedAt, s.Scopes, s.TokenScope = false, time.Time{}, nil, ""
	s.User, s.Org, s.RefreshTokens, s.ByClient = "", "", 0, false
	s.Configured = l.configured
	s.NoGrant = KindNoGrant
	var e *Error
	if errors.As(l.err, &e) {
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
	byClient       bool
	refreshTokens  uint32
	accountsServer string
	grantedAt      int64  // wall; 0 = unknown
	scopes         string // by spaces
	user, org      string
}

// aboutConfigured are those of the many that tell no more, by accounts server: thousands
// of configured accounts have one and the same in memory.
var aboutConfigured sync.Map

// describe is what is kept of a grant in memory: all but the refresh token.
func describe(g Grant, configured bool) *about {
	a := &about{
		configured: configured, byClient: g.GrantType != "", refreshTokens: uint32(g.RefreshTokens),
		accountsServer: unique.Make(g.AccountsServer).Value(), // many customers are at one, and consent to the same
		scopes:         unique.Make(strings.Join(g.Scopes, " ")).Value(),
		user:           g.User, org: unique.Make(cmp.Or(g.Org, g.SOID)).Value(),
	}
	if !g.GrantedAt.IsZero() {
		a.grantedAt = g.GrantedAt.UnixNano()
	}
	if configured && g.GrantedAt.IsZero() && len(g.Scopes) == 0 {
		same, _ := aboutConfigured.LoadOrStore(g.AccountsServer, a)
		return same.(*about)
	}
	return a
}

// remembers reports whether the client's grant is known to be that of the state.
func (n *Conn) remembers(cl *Client) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.loaded && n.about.Load() != nil && n.broken == nil && n.checked == cl.identity()
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
		s.HasGrant, s.Configured = true, a.configured
		s.AccountsServer, s.User, s.Org, s.RefreshTokens = a.accountsServer, a.user, a.org, max(1, int(a.refreshTokens))
		if a.scopes != "" {
			s.Scopes = strings.Fields(a.scopes)
		}
		if a.grantedAt != 0 {
			s.GrantedAt = time.Unix(0, a.grantedAt).UTC()
		}
		if s.ByClient = a.byClient; s.ByClient {
			s.RefreshTokens = 0
		}
	}
	if n.lost != nil {
		s.LostEarly = n.lost.total
	}
	if l := n.live.Load(); l != nil {
		s.Issued, s.Expiry, s.HasToken, s.TokenScope = l.Issued, l.Expiry, l.alive(now), l.Scope
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
	if d := n.ledger.wait(now.mono, cl, cl.budget()); d > 0 {
		if end := now.time().Add(d); end.After(s.NextTry) {
			s.NextTry = end
		}
		if s.Waiting == 0 {
			s.LastError = KindBudget.explain(cl.spent(cl.budget()))
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
