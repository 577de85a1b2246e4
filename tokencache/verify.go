package tokencache

import (
	"cmp"
	"math"
	"time"
)

// Proof is an access token that a grant has brought before the grant is stored.
type Proof struct {
	Fetched
	at   moment
	took time.Duration
}

// String tells that there is a token, not which.
func (p Proof) String() string { return "proof{token:" + hide(p.AccessToken) + "}" }

// GoString is String, for %#v.
func (p Proof) GoString() string { return p.String() }

// Verify asks for an access token with a grant that is not stored yet. The call counts
// in that grant's ledger, and is not made if its budget is spent. Nothing of the
// connection changes, whatever comes of it. The error is an *Error.
func (c *Cache) Verify(cl *Client, key Key, g Grant) (Proof, error) {
	n := &Conn{cache: c, key: key} // for what errors and events say; nobody finds it
	if !c.enter() {
		return Proof{}, n.fail(KindTemporary, lookAgain, errClosed)
	}
	defer c.leave()
	l, err := c.openLedger(key, cl.ledgerID(g))
	if err != nil {
		return Proof{}, n.unreadable(cl, "load", err)
	}
	ca := &call{at: c.clock.now(), ledger: l}
	if d := l.enter(ca.at.mono, cl, cl.budget()); d > 0 {
		return Proof{}, n.spent(cl, request{}, d)
	}
	c.keepLedger(key, l)
	if err := n.enterFleet(cl, request{}, ca); err != nil {
		return Proof{}, err
	}
	got, err := n.fetch(cl, g)
	now := c.clock.now()
	kind, counts, retryAfter := classify(err)
	l.complete(ca.at.mono, now.mono, counts)
	ca.counts = counts
	c.keepLedger(key, l)
	n.completeFleet(ca)
	c.emit(Event{Type: EventTokenRequest, Key: key, Cause: CauseConsent, Result: kind.String(), Err: err,
		Duration: time.Duration(now.mono - ca.at.mono), Expiry: ca.at.time().Add(cl.life(got.Life))})
	if err != nil {
		return Proof{}, n.fail(kind, retryAfter, err)
	}
	return Proof{Fetched: got, at: ca.at, took: time.Duration(now.mono - ca.at.mono)}, nil
}

// Exchanged takes the access token that came with a grant, as the exchange of an
// authorization code brings one. It counts like any other.
func (c *Cache) Exchanged(cl *Client, key Key, g Grant, got Fetched) Proof {
	now := c.clock.now()
	l, err := c.openLedger(key, cl.ledgerID(g))
	l.add(now.mono)
	switch {
	case err != nil: // the store is told of by whoever needs it
	case c.shared != nil:
		_, _ = c.shared.EnterCall(l.id, math.MaxInt32, cl.window())
	default:
		c.keepLedger(key, l)
	}
	return Proof{Fetched: got, at: now}
}

// LeftOf is what a proof was, with the life that its token has left: to be kept until somebody
// may have Proved make a proof of it again.
func (c *Cache) LeftOf(p Proof) Fetched {
	got := p.Fetched
	got.Life = cmp.Or(max(got.Life, 0), defaultLife) - time.Duration(c.clock.now().mono-p.at.mono)
	return got
}

// Proved is a proof of a call that was counted before. A token without a life left is none.
func (c *Cache) Proved(got Fetched) Proof {
	got.Life = max(got.Life, 1)
	return Proof{Fetched: got, at: c.clock.now()}
}

// Replace stores a grant that was proved, durably, and then makes its token the one
// of the connection. An error says that the grant is not stored.
func (c *Cache) Replace(cl *Client, key Key, g Grant, p Proof) error {
	return c.replace(cl, key, p, c.store.SaveGrant(key, cl.secrets(), g))
}

// ReplaceUnreadable is Replace for a stored grant that cannot be read, see
// Store.ReplaceGrant.
func (c *Cache) ReplaceUnreadable(cl *Client, key Key, g Grant, p Proof) error {
	return c.replace(cl, key, p, c.store.ReplaceGrant(key, cl.secrets(), g))
}

func (c *Cache) replace(cl *Client, key Key, p Proof, err error) error {
	c.GrantChanged(key) // on a disk that fails it may be there all the same
	c.emitWarnings()
	if err != nil {
		return err
	}
	if n, err := c.Conn(cl, key.Account); err == nil {
		n.install(cl, p)
	}
	return nil
}

// install publishes the token of a proof, if the grant it came from is that of the
// connection. If it is not, the next caller gets one of its own.
func (n *Conn) install(cl *Client, p Proof) {
	g, err := n.check(cl)
	if err != nil {
		return
	}
	leads := n.takeLease()
	defer leads.end()
	if n.load(cl) != nil {
		return
	}
	n.mu.Lock()
	if n.epoch == g.epoch {
		l := n.publish(cl, p.at, p.Fetched, leads.generation(), 0)
		n.waiting, n.failures, n.last = waiting{}, 0, nil
		n.changes++
		n.addEvent(Event{Type: EventInstalled, Key: n.key, Cause: CauseConsent, Result: Kind(0).String(), Generation: l.Generation,
			Duration: p.took, Expiry: l.Expiry})
		n.report(n.cache.clock.now())
	}
	n.unlockAndEmit()
	n.keep(cl)
	n.arm(cl)
}

// openLedger is a grant's ledger by its id, with what the store has of it.
func (c *Cache) openLedger(key Key, id Fingerprint) (*sharedLedger, error) {
	c.leftovers.add(key) // the grant may come to nothing
	l := c.ledgers.of(id, false, c.clock.now().mono)
	if c.store == nil {
		return l, nil
	}
	calls, err := c.store.LoadLedger(id)
	switch {
	case err != nil:
	case c.shared != nil:
		l.replace(calls, c.clock.now())
	default:
		l.restore(calls.Times, c.clock.now())
	}
	return l, err
}

// keepLedger stores a ledger; what cannot be stored counts in memory. That of a fleet is written
// call by call, see enterFleet.
func (c *Cache) keepLedger(key Key, l *sharedLedger) {
	if c.store == nil || c.shared != nil {
		return
	}
	saving := c.saving.ledger(l.id)
	err := saving.begin()
	if err == nil {
		now := c.clock.now()
		err = c.store.SaveLedger(l.id, l.times(now), now.time())
		saving.end()
	}
	if err != nil {
		c.emit(Event{Type: EventStoreError, Key: key, Operation: "save", Err: err})
	}
	c.emitWarnings()
}
