package tokencache

import (
	"errors"
	"sync"
	"time"
)

// Accounts come and go. One that is not connected any more must not stay in memory for good, and
// neither must the ledger of a grant that was replaced. The cache looks at an account an hour after
// its grant has changed, and again every hour as long as the account is in use.
//
// Generations grow on: a connection that is made later begins above all those that have gone, since
// somebody may still have hold of a token of one. A ledger stays for as long as a call of it counts.

// leftoverLife is longer than any request is expected to hold a token, and than the usual window.
const leftoverLife = time.Hour

type leftovers struct {
	cache *Cache // nil for one that keeps nothing

	mu    sync.Mutex
	keys  map[Key]int64 // :: account → when its grant changed, as mono
	timer *time.Timer   // nil = not set
}

// add notes that the grant of an account has changed. It may be called with a connection's mu held.
func (x *leftovers) add(key Key) {
	if x.cache == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.keys == nil {
		x.keys = make(map[Key]int64)
	}
	x.keys[key] = x.cache.clock.now().mono
	x.schedule()
}

// schedule sets the timer, if it is not set. With mu held.
func (x *leftovers) schedule() {
	if x.timer == nil {
		x.timer = time.AfterFunc(leftoverLife, x.look)
	}
}

// look is the timer's function.
func (x *leftovers) look() {
	c := x.cache
	if !c.enter() {
		return
	}
	defer c.leave()
	now := c.clock.now()
	x.mu.Lock()
	due := make(map[Key]int64)
	for key, changed := range x.keys {
		if now.mono-changed >= int64(leftoverLife) {
			due[key] = changed
		}
	}
	x.mu.Unlock()
	for key := range due {
		if !c.settled(key, now) {
			delete(due, key)
		}
	}
	kept := c.ledgers.sweep(now.mono, c.ledgersInUse())
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, changed := range due {
		if x.keys[key] == changed {
			delete(x.keys, key)
		}
	}
	x.timer = nil
	if len(x.keys) > 0 || kept {
		x.schedule()
	}
}

func (x *leftovers) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.timer != nil {
		x.timer.Stop()
	}
}

// settled reports whether there is nothing left to see to of an account: it has a grant, or its
// connection has gone.
func (c *Cache) settled(key Key, now moment) bool {
	n := c.find(key)
	if n == nil {
		return true
	}
	if cl := c.client(key.Client); cl != nil {
		var e *Error
		err := n.known(cl)
		switch {
		case err == nil:
			return true
		case !errors.As(err, &e) || e.Kind != KindNoGrant: // the store cannot tell
			return false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	generation, idle := n.idle(now)
	if idle {
		c.floor = max(c.floor, generation)
		delete(c.conns, key)
	}
	return idle
}

// idle reports whether nobody has used the connection for long, and nothing of it is under way.
func (n *Conn) idle(now moment) (generation uint64, idle bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.flight != nil || n.waiters > 0 || n.unsaved != nil || now.wall-n.used.Load() < int64(leftoverLife) {
		return 0, false
	}
	if n.timer != nil {
		n.timer.Stop()
	}
	return n.generation, true
}

// ledgersInUse are those of the connections in memory.
func (c *Cache) ledgersInUse() map[*sharedLedger]bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	used := make(map[*sharedLedger]bool, len(c.conns))
	for _, n := range c.conns {
		n.mu.Lock()
		used[n.ledger] = true
		n.mu.Unlock()
	}
	return used
}

// sweep forgets the ledgers that count for nobody any more, and reports whether one is left that
// no connection has.
func (l *ledgers) sweep(now int64, used map[*sharedLedger]bool) (left bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.byID {
		switch {
		case used[s]:
		case s.counts(now):
			left = true
		default:
			delete(l.byID, id)
		}
	}
	return left
}

// counts reports whether the ledger has a call in the longest window that anybody counts by, or
// was asked for a while ago.
func (s *sharedLedger) counts(now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now-int64(s.asked)*int64(time.Second) < int64(leftoverLife) || s.ledger.within(now, max(s.longest(), defaultWindow)) > 0
}
