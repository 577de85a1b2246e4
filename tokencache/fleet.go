package tokencache

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"sync/atomic"
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
// While the store is away, tokens at hand are served as ever. Where none lives, this process asks
// alone, once in aloneEvery: the others may do so too, and none of them sees how often.

const (
	leaseLife   = 5 * time.Second // a leader that dies is followed after that
	leaderPoll  = 250 * time.Millisecond
	leaderLimit = 2 * flightLimit // how long others wait for leaders
	aloneEvery  = 10 * time.Minute
)

// soloCalls are those that were made without the store, by grant, as Zoho counts. Few grants have any.
type soloCalls struct {
	mu sync.Mutex
	of map[Fingerprint]soloCall
}

type soloCall struct {
	at     int64 // mono of the last call
	unpaid int   // calls that the ledger of the fleet does not have
}

// lead makes this process the one that asks, unless there is no need: it returns the token that
// another one has brought, or what that one was told. With a store of its own a process is
// always the leader.
func (n *Conn) lead(f *flight, cl *Client, g granted) (*live, error) {
	shared := n.cache.shared
	if shared == nil {
		return nil, n.load(cl)
	}
	deadline := n.cache.clock.now().mono + int64(leaderLimit)
	for {
		err := n.load(cl)
		if err != nil {
			return nil, n.leadless(f, cl, err)
		}
		l, settled := n.settled(f.request, cl, g)
		if l != nil || settled != nil || f.leads != nil { // with the lease in hand, once more: the one before may have stored a token
			return l, settled
		}
		asked := n.cache.clock.now().mono
		lease, err := shared.Lease(n.key, leaseLife)
		var other *LeasedError
		switch {
		case err == nil:
			f.leads = n.holdLease(lease, asked)
		case !errors.As(err, &other):
			return nil, n.leadless(f, cl, n.unreadable(cl, "save", err))
		case n.cache.clock.now().mono >= deadline:
			return nil, n.fail(KindTemporary, lookAgain, err)
		case !n.awaitLeader(f.news, other.Left):
			return nil, n.fail(KindTemporary, lookAgain, errClosed)
		}
	}
}

// settled returns what makes a call needless or useless.
func (n *Conn) settled(req request, cl *Client, g granted) (*live, error) {
	digest := cl.digest(g.fingerprint)
	n.mu.Lock()
	defer n.unlockAndEmit()
	return n.settledNow(req, cl, g, digest, n.cache.clock.now())
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

// leadless decides what to do without the store. A call that has a token to go on with, or that
// an operator wants, is not worth one that nobody else knows of.
func (n *Conn) leadless(f *flight, cl *Client, err error) error {
	if !errors.Is(err, ErrAway) {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.cache.clock.now()
	l := n.live.Load()
	if f.request.operator || f.request.cause != CauseRefused && l != nil && l.alive(now) {
		return err
	}
	f.alone = true
	return nil
}

// goAlone notes a call that this process makes without the store, or says why it may not now. With mu held.
func (n *Conn) goAlone(now moment) error {
	x := &n.cache.solo
	x.mu.Lock()
	defer x.mu.Unlock()
	last, found := x.of[n.fingerprint]
	if found && now.mono-last.at < int64(aloneEvery) {
		wait := time.Duration(last.at + int64(aloneEvery) - now.mono)
		return n.fail(KindStore, min(wait, storeRetry), fmt.Errorf(
			"%w, and the one token that is asked for without it in %s is spent: the next one is due in %s",
			ErrAway, aloneEvery, wait.Round(time.Second)))
	}
	x.forget(now)
	x.of[n.fingerprint] = soloCall{at: now.mono, unpaid: last.unpaid + 1}
	return nil
}

// forget drops what nobody has to know any more. With mu held.
func (x *soloCalls) forget(now moment) {
	if x.of == nil {
		x.of = make(map[Fingerprint]soloCall)
	}
	maps.DeleteFunc(x.of, func(_ Fingerprint, s soloCall) bool {
		return s.unpaid == 0 && now.mono-s.at >= int64(aloneEvery)
	})
}

// payCalls enters calls that were made alone into the ledger of the fleet, once the store is back.
func (n *Conn) payCalls(cl *Client, of Fingerprint) {
	unpaid := n.cache.solo.take(of)
	for unpaid > 0 {
		if _, err := n.cache.shared.EnterCall(of, math.MaxInt32, cl.window()); err != nil {
			break
		}
		unpaid--
	}
	n.cache.solo.giveBack(of, unpaid)
}

// take are the calls of a grant that are not paid; whoever takes them pays them.
func (x *soloCalls) take(of Fingerprint) (unpaid int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	last, found := x.of[of]
	if found {
		x.of[of] = soloCall{at: last.at}
	}
	return last.unpaid
}

// giveBack is for what could not be paid.
func (x *soloCalls) giveBack(of Fingerprint, unpaid int) {
	if unpaid == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	last := x.of[of]
	last.unpaid += unpaid
	x.of[of] = last
}

// leadership is a lease that is kept alive until its end, also while the cache closes.
type leadership struct {
	conn  *Conn
	lease Lease
	sure  atomic.Int64  // mono until which the lease is certainly ours
	stop  chan struct{} // closed by end
	done  chan struct{} // closed when it is not kept alive any more
}

// holdLease holds a lease that was asked for at that time, as mono.
func (n *Conn) holdLease(lease Lease, asked int64) *leadership {
	s := &leadership{conn: n, lease: lease, stop: make(chan struct{}), done: make(chan struct{})}
	s.sure.Store(asked + int64(leaseLife))
	go s.keepAlive()
	return s
}

// keepAlive extends the lease. One that cannot be extended lapses, and somebody else leads.
func (s *leadership) keepAlive() {
	defer close(s.done)
	defer s.conn.recoverPanic()
	again := time.NewTicker(leaseLife / 3)
	defer again.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-again.C:
		}
		asked := s.conn.cache.clock.now().mono
		switch err := s.conn.cache.shared.Extend(s.conn.key, s.lease, leaseLife); {
		case err == nil:
			s.sure.Store(asked + int64(leaseLife))
		case errors.Is(err, ErrLeaseLost):
			return
		}
	}
}

// lapsed reports whether somebody else may lead by now, as when this process was stopped for a while.
func (s *leadership) lapsed() bool {
	return s != nil && s.conn.cache.clock.now().mono >= s.sure.Load()
}

// generation is that of the token that the lease is for, 0 without one.
func (s *leadership) generation() uint64 {
	if s == nil {
		return 0
	}
	return s.lease.Generation
}

// end gives the lease back, if there is one.
func (s *leadership) end() {
	if s == nil {
		return
	}
	s.lapse()
	_ = s.conn.cache.shared.Release(s.conn.key, s.lease) // or it lapses
}

// lapse lets the lease run out, if there is one: its generation is in use, and not stored yet.
func (s *leadership) lapse() {
	if s == nil {
		return
	}
	close(s.stop)
	<-s.done
}

// enterFleet enters a call into the ledger of the fleet, and takes over what that holds. An error
// says that there is no room, or that the store cannot tell.
func (n *Conn) enterFleet(cl *Client, req request, of Fingerprint, c *call) error {
	entry, err := n.cache.shared.EnterCall(of, req.budget(cl), cl.window())
	if err != nil {
		c.ledger.complete(c.at.mono, 0, false)
		return n.unreadable(cl, "save", err)
	}
	c.entry, c.grant = entry.ID, of
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

// completeFleet completes a call in the ledger of the fleet.
func (n *Conn) completeFleet(c *call) {
	if c.entry == "" {
		return
	}
	if err := n.cache.shared.CompleteCall(c.grant, c.entry, c.counts); err != nil {
		n.cache.emit(Event{Type: EventStoreError, Key: n.key, Operation: "save", Err: err})
	}
}

// takeLease takes the lease for a token that is there already. Without one the token gets the
// next generation all the same, and whoever is asking for another at that moment overtakes it.
func (n *Conn) takeLease() *leadership {
	shared := n.cache.shared
	if shared == nil {
		return nil
	}
	for end := n.cache.clock.now().mono + int64(leaseLife); ; {
		asked := n.cache.clock.now().mono
		lease, err := shared.Lease(n.key, leaseLife)
		var other *LeasedError
		switch {
		case err == nil:
			return n.holdLease(lease, asked)
		case !errors.As(err, &other) || n.cache.clock.now().mono >= end || !n.awaitLeader(nil, other.Left):
			return nil
		}
	}
}

// overtake takes over what another process has stored of the grant since. What this one has to
// store counts, and so does a token that the store has lost, as by a failover. The record of
// another grant is somebody's who has another configuration, and stays. With mu held.
func (n *Conn) overtake(cl *Client, rec Record, calls []time.Time, now moment) {
	n.ledger.replace(calls, now)
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
	var e *Error
	if errors.As(err, &e) && e.Kind == KindNoGrant {
		c.emit(Event{Type: EventGone, Key: key})
	}
	return err
}

// follow takes over what another process has stored. A flight that waits for it is told.
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
