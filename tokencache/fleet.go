package tokencache

import (
	"errors"
	"time"
)

// A fleet is several processes with one store. Theirs is one token of a connection, one ledger of
// a grant, and one of them at a time asks: the leader. A flight does this besides:
//
//	lead      reads the record anew, for another process may have a newer token, or know why there
//	          is none. Where neither, it takes the lease, or waits for what the one that has it brings.
//	prepare   enters the call into the ledger of the whole fleet
//	save      is refused if this process was overtaken, and then takes over what is stored
//	resign    gives the lease back when the token is stored, not before: the next leader looks for it
//
// The token has the generation that came with the lease, so no two tokens of a fleet have the same.
//
// lease.go has the lease, follow.go takes over what others store, alone.go is for a store that is away.

const (
	leaderPoll  = 250 * time.Millisecond
	leaderLimit = 2 * flightLimit // how long others wait for leaders
)

// lead makes this process the one that asks, unless there is no need: it returns the token that
// another one has brought, or what that one was told. With a store of its own a process is
// always the leader.
func (n *Conn) lead(f *flight, cl *Client, g granted) (*live, error) {
	if n.cache.shared == nil {
		return nil, n.load(cl)
	}
	deadline := n.cache.clock.now().mono + int64(leaderLimit)
	for {
		err := n.load(cl)
		if err != nil {
			return nil, n.leadless(f, cl, err)
		}
		l, reason := n.needless(f.request, cl, g)
		if l != nil || reason != nil || f.leads != nil { // with the lease in hand, once more: the one before may have stored a token
			return l, reason
		}
		var other *LeasedError
		switch f.leads, err = n.askLease(); {
		case err == nil:
		case !errors.As(err, &other):
			return nil, n.leadless(f, cl, n.unreadable(cl, "save", err))
		case n.cache.clock.now().mono >= deadline:
			return nil, n.fail(KindTemporary, lookAgain, err)
		case !n.awaitLeader(f.news, other.Left):
			return nil, n.fail(KindTemporary, lookAgain, errClosed)
		}
	}
}

// needless returns what makes a call needless or useless.
func (n *Conn) needless(req request, cl *Client, g granted) (*live, error) {
	digest := cl.digest(g.fingerprint)
	n.mu.Lock()
	defer n.unlockAndEmit()
	return n.needlessNow(req, cl, g, digest, n.cache.clock.now())
}

// awaitLeader waits until the leader has stored something, or for a moment, unless the cache closes.
func (n *Conn) awaitLeader(news <-chan struct{}, left time.Duration) (open bool) {
	pause := time.NewTimer(max(min(left, leaderPoll), time.Millisecond))
	defer pause.Stop()
	select {
	case <-news:
	case <-pause.C:
	case <-n.cache.closing:
		return false
	}
	return true
}

// enterFleet enters a call into the ledger of the fleet, if there is one, and takes over what that
// holds. An error says that there is no room, or that the store cannot tell.
func (n *Conn) enterFleet(cl *Client, req request, c *call) error {
	if n.cache.shared == nil {
		return nil
	}
	entry, err := n.cache.shared.EnterCall(c.ledger.id, req.budget(cl), cl.window())
	if err != nil {
		c.ledger.complete(c.at.mono, 0, false)
		return n.unreadable(cl, "save", err)
	}
	c.entry = entry.ID
	wait := c.ledger.adopt(entry, c.at, n.cache.clock.now(), cl, req.budget(cl))
	if entry.ID != "" {
		return nil
	}
	return n.spent(cl, req, max(wait, time.Millisecond))
}

// resign ends what a flight holds of the fleet. Others find its token in the store by then.
func (n *Conn) resign(f *flight) {
	defer n.recoverPanic()
	if f.call != nil {
		n.completeFleet(f.call)
	}
	if f.minted && !n.saved() {
		f.leads.lapse()
		return
	}
	f.leads.end()
}

// saved reports whether the store has all that is worth storing.
func (n *Conn) saved() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stored == n.changes
}

// completeFleet completes a call in the ledger of the fleet, if it stands there.
func (n *Conn) completeFleet(c *call) {
	if c.entry == "" {
		return
	}
	if err := n.cache.shared.CompleteCall(c.ledger.id, c.entry, c.counts); err != nil {
		n.cache.emit(Event{Type: EventStoreError, Key: n.key, Operation: "save", Err: err})
	}
}
