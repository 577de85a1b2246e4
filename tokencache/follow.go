package tokencache

import "errors"

// What other processes change is followed: what is in memory is read again, before a request needs
// it. A change may be missed, and a flight looks for itself.

// overtake takes over what another process has stored of the grant since. What this one has to
// store counts, and so does a token that the store has lost, as by a failover. The record of
// another grant is somebody's who has another configuration, and stays. With mu held.
func (n *Conn) overtake(cl *Client, rec Record, now moment) {
	l := n.live.Load()
	mine := rec.Fingerprint == n.fingerprint
	lost := rec.Fingerprint == Fingerprint{} || mine && rec.Generation < n.generation
	switch {
	case lost && l != nil && l.alive(now) && l.Generation == n.generation:
		n.changes++
	case lost, !mine, n.stored != n.changes && rec.Generation == n.generation:
	default:
		n.take(cl, rec, now)
		n.report(now)
		n.stored = n.changes
		return
	}
	n.generation = max(n.generation, rec.Generation)
}

// watch has the cache follow what other processes change, from the first configuration on.
func (c *Cache) watch() {
	if c.shared == nil {
		return
	}
	c.gate.Lock()
	defer c.gate.Unlock()
	if c.closed || c.unwatch != nil {
		return
	}
	c.unwatch = c.shared.Watch(c.changed)
}

// changed takes note of what another process has changed.
func (c *Cache) changed(ch Change) {
	if ch.Key != (Key{}) {
		if ch.Grant {
			c.GrantChanged(ch.Key)
		}
		c.follow(ch.Key, ch.Grant)
		return
	}
	if c.sweeps.Add(1) == 1 && c.enter() { // what has a name is told meanwhile
		go c.sweep()
	}
}

// sweep looks at all connections that are in memory again; once more if anything may have changed
// since it began.
func (c *Cache) sweep() {
	defer c.leave()
	for asked := c.sweeps.Load(); ; asked = c.sweeps.Load() {
		c.followAll()
		if c.sweeps.CompareAndSwap(asked, 0) {
			return
		}
	}
}

func (c *Cache) followAll() {
	c.mu.RLock()
	keys := make([]Key, 0, len(c.conns))
	for key := range c.conns {
		keys = append(keys, key)
	}
	c.mu.RUnlock()
	for _, key := range keys {
		if errors.Is(c.follow(key, true), ErrAway) { // told once: when it is back, anything may have changed again
			return
		}
	}
}

// follow looks at a connection that is in memory again, so that no request has to.
func (c *Cache) follow(key Key, grant bool) error {
	n, cl := c.find(key), c.client(key.Client)
	if n == nil || cl == nil || !c.enter() {
		return nil
	}
	defer c.leave()
	err := n.follow(cl, grant)
	n.tellGone(err)
	return err
}

// tellGone tells of an account that turns out to have no grant any more.
func (n *Conn) tellGone(err error) {
	var e *Error
	if errors.As(err, &e) && e.Kind == KindNoGrant {
		n.cache.emit(Event{Type: EventGone, Key: n.key})
	}
}

// follow takes over what another process has stored. A flight that waits for it is told, and looks at
// the grant itself before it ends.
func (n *Conn) follow(cl *Client, grant bool) error {
	defer n.recoverPanic()
	n.mu.Lock()
	f, loaded := n.flight, n.loaded
	n.mu.Unlock()
	if f != nil {
		select {
		case f.news <- struct{}{}:
		default:
		}
		return nil
	}
	if grant {
		if _, err := n.check(cl); err != nil {
			return err
		}
	}
	if !loaded {
		return nil
	}
	if err := n.load(cl); err != nil {
		return err
	}
	n.keep(cl)
	n.arm(cl)
	return nil
}
