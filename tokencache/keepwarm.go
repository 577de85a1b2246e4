package tokencache

import "time"

// Keeping warm: a connection that was used within keep_warm has a timer, which renews the
// token where no request does. A timer belongs to the connection and knows no
// configuration: when it wakes it asks for the one in force, and does nothing if there
// is none that wants it. It goes by the same rules as a request: the budget and the
// waiting table bind it.

const (
	warmFloor = time.Second      // a timer is set no shorter
	warmRetry = 15 * time.Second // and at least this, times 1 to 2, after an attempt without a result
)

// arm sets the timer that renews the connection while nobody asks. It is set
// anew after each flight; where it finds that nobody has used the connection
// within keep_warm, it is left alone until the next flight.
func (n *Conn) arm(cl *Client) {
	if cl.KeepWarm <= 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.cache.clock.now()
	due, ok := n.due(cl, now)
	if !ok {
		return
	}
	d := max(time.Duration(due-now.mono), warmFloor)
	if n.timer == nil {
		n.timer = time.AfterFunc(d, n.wake)
	} else {
		n.timer.Reset(d)
	}
}

// due is when the timer has to look next, as mono: later than requests would
// renew the token, by up to half of what is left of it then, so that the
// timers of many connections part, also of those that were without for a while;
// or when what blocks a renewal is over.
func (n *Conn) due(cl *Client, now moment) (mono int64, ok bool) {
	l, spread := n.live.Load(), warmRetry
	switch {
	case n.fingerprint == Fingerprint{}: // no grant
		return 0, false
	case l != nil && now.mono < l.planned():
		return l.planned() + n.jitter(time.Duration(int64(l.deadline)-l.early)/2), true
	case n.waiting.running(now.mono):
		return n.waiting.next, true
	case l == nil || !l.alive(now):
		spread = cl.refreshBefore()
	}
	return now.mono + max(int64(n.ledger.wait(now.mono, cl, cl.budget())), int64(warmRetry)+n.jitter(spread)), true
}

// jitter is a random part of d, so that the timers of connections that came up together part.
func (n *Conn) jitter(d time.Duration) int64 { return int64(n.cache.rand() * float64(d)) }

// wake is the timer's function. It renews a token whose time has come, although that still
// lives. Where there is a flight, its own or another's, that one sets the timer.
func (n *Conn) wake() {
	c := n.cache
	if !c.enter() {
		return
	}
	defer c.leave()
	defer n.recoverPanic()
	n.mu.Lock()
	n.timer = nil
	n.mu.Unlock()
	now := c.clock.now()
	c.watchClocks(now)
	cl := c.client(n.key.Client)
	if cl == nil || !n.warm(cl, now) {
		return
	}
	req := request{cause: CauseKeepWarm}
	if l := n.live.Load(); l != nil {
		if now.mono < l.planned() && l.alive(now) {
			n.arm(cl)
			return
		}
		req.after = l.Generation
	}
	if _, f, _ := n.join(cl, req, 0); f == nil {
		n.arm(cl)
	}
}

// warm reports whether the connection was used within keep_warm.
func (n *Conn) warm(cl *Client, now moment) bool {
	used := n.used.Load()
	return used != 0 && cl.keepsWarm(used, now)
}

// keepsWarm reports whether what was used then, by the wall clock, is kept warm now.
func (cl *Client) keepsWarm(used int64, now moment) bool {
	return cl.KeepWarm > 0 && now.wall-used <= int64(cl.KeepWarm)
}

// disarm stops the timer, if it is set. One that fires meanwhile finds the cache closed.
func (n *Conn) disarm() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.timer != nil {
		n.timer.Stop()
	}
}

// Warm sets the timers of the connections that were in use within keep_warm and have none:
// those of the run before, and those of a client that was not configured for a while. It
// reads the record of each account that is not in memory.
func (c *Cache) Warm(cl *Client) {
	if cl.KeepWarm <= 0 || !c.enter() {
		return
	}
	defer c.leave()
	defer c.emitWarnings()
	for _, account := range c.Accounts(cl) {
		if c.client(cl.Name) != cl { // its load has failed, or another has come
			return
		}
		if !c.cold(cl, Key{Client: cl.Name, Account: account}) {
			continue
		}
		if n, err := c.Conn(cl, account); err == nil {
			n.rewarm(cl)
		}
	}
}

// cold reports whether a connection should be kept warm, and is not.
func (c *Cache) cold(cl *Client, key Key) bool {
	c.mu.RLock()
	n := c.conns[key]
	c.mu.RUnlock()
	now := c.clock.now()
	if n != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.timer == nil && n.flight == nil && n.warm(cl, now)
	}
	if c.store == nil {
		return false
	}
	rec, _, err := c.store.Load(key, cl.secrets())
	return err == nil && !rec.Used.IsZero() && cl.keepsWarm(rec.Used.UnixNano(), now)
}

// rewarm takes over what the store has and sets the timer.
func (n *Conn) rewarm(cl *Client) {
	defer n.recoverPanic()
	if _, err := n.check(cl); err != nil {
		return
	}
	if err := n.load(cl); err != nil {
		return
	}
	n.arm(cl)
}
