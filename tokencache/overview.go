package tokencache

import (
	"iter"
	"maps"
	"slices"
	"sync"
	"time"
)

// Health checks and metrics come often, and from whoever reaches them: they must not cost what
// reading the store for thousands of accounts costs. So each account is looked at once for a
// configuration, used or not, and what was found is kept until something says that it may be
// another: a grant that was stored or deleted, or a store that can be relied on again, or not
// any more.
//
// An account without a grant may get one without a word, as by a file that is filled in. Those
// are looked at again, in a hundredth of the time.

// overviews are what was found, by client.
type overviews struct {
	mu sync.Mutex // guards of and all in it, for as long as the store is read
	of map[string]*overview

	news  sync.Mutex   // guards stale
	stale map[Key]bool // accounts whose grant has changed since the last call
}

// overview is what was found of the accounts of a client.
type overview struct {
	client  uint64           // by which configuration
	grants  uint64           // see grantLookup.changes
	looks   map[string]*look // by account
	missing int              // of them, those without a grant

	examined int   // accounts, see assume
	spent    int64 // on that
}

// How many accounts of a client are read from a store that is asked over the network, and for how long.
const (
	examinedInFleet = 100
	examiningLimit  = 500 * time.Millisecond
)

// missingShare is the part of the time that looks at accounts without a grant may take.
const missingShare = 100

// Overview is Status from memory, for whoever asks often. An account that was not used is told
// as the first call for this configuration has found it, which alone reads the store.
func (c *Cache) Overview(cl *Client, only ...string) iter.Seq[Status] {
	found := c.overview(cl, only)
	return func(yield func(Status) bool) {
		for _, l := range found {
			if !yield(l.status(cl)) {
				return
			}
		}
	}
}

// overview finds what Overview tells of. Thousands of whole Statuses at a time would be garbage
// by the megabyte.
func (c *Cache) overview(cl *Client, only []string) []look {
	sound := c.store == nil || c.lookAtGrants(cl.Name) == nil
	c.overviews.mu.Lock()
	defer c.overviews.mu.Unlock()
	o, accounts := c.overviews.current(c, cl), c.Accounts(cl)
	found := make([]look, 0, len(accounts))
	for _, account := range accounts {
		if len(only) == 0 || slices.Contains(only, account) {
			found = append(found, o.find(c, cl, account, sound))
		}
	}
	return found
}

// current is the overview of a client, without what may be another by now. With mu held.
func (x *overviews) current(c *Cache, cl *Client) *overview {
	x.news.Lock()
	for key := range x.stale {
		if o := x.of[key.Client]; o != nil {
			o.set(key.Account, nil)
		}
	}
	x.stale = nil
	x.news.Unlock()
	o, grants := x.of[cl.Name], c.lookup.version()
	if o != nil && o.grants == grants && (o.client == cl.identity() || c.superseded(cl)) {
		return o
	}
	if x.of == nil {
		x.of = make(map[string]*overview)
	}
	maps.DeleteFunc(x.of, func(name string, _ *overview) bool { return c.client(name) == nil }) // gone with a reload
	o = &overview{client: cl.identity(), grants: grants, looks: make(map[string]*look)}
	x.of[cl.Name] = o
	return o
}

// changed notes that a grant may be another one.
func (x *overviews) changed(key Key) {
	x.news.Lock()
	defer x.news.Unlock()
	if x.stale == nil {
		x.stale = make(map[Key]bool)
	}
	x.stale[key] = true
}

// set keeps what was found of an account, nil for nothing.
func (o *overview) set(account string, l *look) {
	if before := o.looks[account]; before != nil && before.err != nil {
		o.missing--
	}
	if l == nil {
		delete(o.looks, account)
		return
	}
	if l.err != nil {
		o.missing++
	}
	o.looks[account] = l
}

// find is what tells of an account: the connection that is in use, if there is one.
func (o *overview) find(c *Cache, cl *Client, account string, sound bool) look {
	key := Key{Client: cl.Name, Account: account}
	n := c.find(key)
	if n != nil && sound && n.remembers(cl) {
		o.set(account, nil)
		return look{conn: n}
	}
	l := o.looks[account]
	if l == nil || l.conn != n && n.inUse() || o.lookAgain(l, c.clock.now().mono) {
		if l = o.assume(c, cl, key, n); l == nil {
			l = c.examine(cl, key)
			o.examined, o.spent = o.examined+1, o.spent+l.took
		}
		if o.client == cl.identity() { // one that is on its way out may see it otherwise
			o.set(account, l)
		}
	}
	return *l
}

// assume tells of an account that nobody uses here, in a fleet with so many that to read them all
// would take minutes: it has a grant, which is as good as those that were read.
func (o *overview) assume(c *Cache, cl *Client, key Key, n *Conn) *look {
	if c.shared == nil || n != nil || o.examined < examinedInFleet && o.spent < int64(examiningLimit) {
		return nil
	}
	l := &look{conn: &Conn{cache: c.beside, key: key}, assumed: true}
	if cl.Grant != nil {
		var err error
		var g Grant
		if g, l.configured, err = cl.Grant(key.Account); err != nil {
			return nil
		}
		l.byClient = l.configured && g.GrantType != ""
	}
	if !l.configured && !c.store.HasGrant(key) {
		return nil
	}
	return l
}

// lookAgain reports whether it is time to look at an account again that had no grant.
func (o *overview) lookAgain(l *look, now int64) bool {
	return l.err != nil && now-l.at >= max(int64(lookAgain), missingShare*l.took*int64(o.missing))
}

// inUse reports whether the connection has a state of its own.
func (n *Conn) inUse() bool {
	if n == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.loaded
}
