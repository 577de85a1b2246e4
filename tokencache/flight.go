package tokencache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"time"
	"unique"
)

// flightLimit ends a token call.
const flightLimit = 15 * time.Second

// The way of a flight:
//
//	start     with mu held, so that there is one at a time
//	renew     check: is the grant still the same?  load: what did the run before leave?
//	lead      in a fleet: have others a token? If not, this process asks; see fleet.go
//	prepare   with mu held: a token that is there after all, what holds calls back, or an
//	          entry in the ledger; keep has it written before the call is made
//	fetch     asks the server, for flightLimit at most; keep tries again what could not be written
//	complete  with mu held: publishes the token, or enters the failure into the wait
//	finish    lets the waiters go
//	keep, arm writes what has changed and sets the timer, while nobody waits
//
// A process that is killed on the way has not asked, or its ledger has an entry for what it
// asked, as far as the store could be written.

// flight is one attempt to get a token, on behalf of all who wait for it. It
// belongs to none of them: it ends by itself, whoever hangs up.
type flight struct {
	request request
	number  Mark          // among those of the connection
	client  uint64        // whose configuration it goes by
	done    chan struct{} // closed when the rest stands

	asking atomic.Bool // the server is being asked; otherwise it is the store that is waited for

	live   *live
	err    error
	called bool // the server was asked
	minted bool // live comes from the server, not from the store

	// In a fleet:
	news  chan struct{} // another process has stored something of the connection
	leads *leadership   // nil = this process does not lead
	alone bool          // the store is away, and no other process knows of this call
	call  *call         // that the ledger of the fleet has
}

// start starts a flight, unless the cache is closing. With mu held.
func (n *Conn) start(cl *Client, req request) bool {
	if !n.cache.enter() {
		return false
	}
	n.flight = &flight{request: req, number: Mark(n.started.Add(1)), client: cl.identity(), done: make(chan struct{}), news: make(chan struct{}, 1)}
	go n.run(n.flight, cl)
	return true
}

// run makes the flight, lets the waiters go, and then sees to what can wait.
func (n *Conn) run(f *flight, cl *Client) {
	defer n.cache.leave()
	func() {
		defer n.finish(f)
		f.live, f.err = n.renew(f, cl)
	}()
	n.keep(cl)
	n.resign(f)
	n.arm(cl)
}

// recheckGrant looks at the grant again if it has changed: what a flight has brought is not
// to be stored if that went while it was in the air. It reports whether there was need.
func (n *Conn) recheckGrant(cl *Client) bool {
	n.mu.Lock()
	changed := n.checked == 0
	n.mu.Unlock()
	if !changed {
		return false
	}
	if now := n.cache.client(n.key.Client); now != nil { // a reload meanwhile: that one may say so
		cl = now
	}
	_, err := n.check(cl) // who needs a token is told
	n.tellGone(err)
	return true
}

// finish lets the waiters go, whatever became of the flight.
func (n *Conn) finish(f *flight) {
	if p := recover(); p != nil {
		f.err = n.fail(KindTemporary, lookAgain, panicked(p))
	} else if f.live == nil && f.err == nil {
		f.err = n.fail(KindTemporary, lookAgain, errors.New("the attempt ended without a result"))
	}
	n.mu.Lock()
	n.flight = nil
	n.mu.Unlock()
	close(f.done)
}

// recoverPanic ends a panic of the caller's functions where nobody waits for an answer.
func (n *Conn) recoverPanic() {
	if p := recover(); p != nil {
		n.cache.emit(Event{Type: EventStoreError, Key: n.key, Operation: "save", Err: panicked(p)})
	}
}

// panicked makes an error of a panic. Only the runtime's own words are known
// to hold no secret.
func panicked(p any) error {
	if err, ok := p.(runtime.Error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic: %T", p)
}

// renew looks everywhere before it spends one of the calls that a grant has.
func (n *Conn) renew(f *flight, cl *Client) (*live, error) {
	n.cache.watchClocks(n.cache.clock.now())
	g, err := n.check(cl)
	if err != nil {
		return nil, err
	}
	if l, err := n.lead(f, cl, g); l != nil || err != nil {
		return l, err
	}
	c, l, err := n.prepare(f, cl, g)
	if c == nil {
		return l, err
	}
	f.called = true
	n.keep(cl)
	// gofail: var beforeTokenCall struct{}
	f.asking.Store(true)
	got, err := n.fetch(cl, g.Grant)
	f.asking.Store(false)
	// gofail: var afterTokenCall struct{}
	n.keep(cl) // if that failed before: a token is not in use until it was tried again
	l, err = n.complete(f, cl, c, got, err)
	if errors.Is(err, errSuperseded) {
		n.cache.keepLedger(n.key, c.ledger)
	}
	f.minted = err == nil
	return l, err
}

// call is a token call that stands in the ledger and has not been answered.
type call struct {
	at     moment
	ledger *sharedLedger // that it stands in
	epoch  uint32
	digest [8]byte // of the credentials

	// In the ledger of a fleet:
	entry  string // "" = it is not there
	counts bool
}

// prepare decides whether to call, under one lock with entering it in the ledger.
// Without a call it returns the token that makes it needless, or what holds it back.
func (n *Conn) prepare(f *flight, cl *Client, g granted) (*call, *live, error) {
	c, l, err := n.enter(f, cl, g)
	if c == nil || n.cache.shared == nil || f.alone {
		return c, l, err
	}
	f.call = c
	if err := n.enterFleet(cl, f.request, c); err != nil {
		if err := n.leadless(f, cl, err); err != nil {
			return nil, nil, err
		}
		return n.enter(f, cl, g)
	}
	if f.leads.lapsed() {
		c.ledger.complete(c.at.mono, 0, false)
		return nil, nil, n.fail(KindTemporary, lookAgain, errSuperseded)
	}
	return c, nil, nil
}

// enter is prepare for what this process knows.
func (n *Conn) enter(f *flight, cl *Client, g granted) (*call, *live, error) {
	digest := cl.digest(g.fingerprint)
	n.mu.Lock()
	defer n.unlockAndEmit()
	now := n.cache.clock.now()
	if l, err := n.needlessNow(f.request, cl, g, digest, now); l != nil || err != nil {
		return nil, l, err
	}
	if f.alone {
		if err := n.goAlone(now); err != nil {
			return nil, nil, err
		}
	}
	if d := n.ledger.enter(now.mono, cl, f.request.budget(cl)); d > 0 { // another connection with the grant was quicker
		return nil, nil, n.spent(cl, f.request, d)
	}
	if n.cache.shared == nil { // a fleet's ledger is written by itself
		n.changes++
	}
	return &call{at: now, ledger: n.ledger, epoch: n.epoch, digest: digest}, nil, nil
}

// needlessNow returns what makes a call needless or useless. With mu held.
func (n *Conn) needlessNow(req request, cl *Client, g granted, digest [8]byte, now moment) (*live, error) {
	if n.epoch != g.epoch {
		return nil, n.fail(KindTemporary, lookAgain, errSuperseded)
	}
	if l := n.live.Load(); !req.operator && l.usable(now, req) {
		return l, nil
	}
	if err := n.backingOff(cl, req, digest, now); err != nil {
		return nil, err
	}
	return nil, nil
}

// fetch asks the server.
func (n *Conn) fetch(cl *Client, g Grant) (got Fetched, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), flightLimit)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	got, err = cl.Fetch(ctx, n.key, g)
	if err == nil && got.AccessToken == "" {
		err = errors.New("the answer has no token")
	}
	return got, err
}

// complete enters what became of a call. A failure replaces nothing but the wait.
func (n *Conn) complete(f *flight, cl *Client, c *call, got Fetched, err error) (*live, error) {
	n.mu.Lock()
	defer n.unlockAndEmit()
	now := n.cache.clock.now()
	kind, counts, retryAfter := classify(err)
	e := Event{Type: EventTokenRequest, Key: n.key, Cause: f.request.cause, Result: kind.String(), Err: err,
		Generation: n.generation, Duration: time.Duration(now.mono - c.at.mono)}
	c.ledger.complete(c.at.mono, now.mono, counts)
	c.counts = counts
	if n.epoch != c.epoch { // its grant is gone, and the token with it
		n.addEvent(e)
		return nil, errSuperseded
	}
	n.changes++
	if err != nil {
		n.addEvent(e)
		return nil, n.fault(cl, kind, c.digest, retryAfter, err, now)
	}
	l := n.publish(cl, c.at, got, f.leads.generation(), f.cure())
	e.Generation, e.Expiry = l.Generation, l.Expiry
	n.addEvent(e)
	n.waiting, n.failures = waiting{}, 0
	n.report(now)
	return l, nil
}

// classify reads an error of Client.Fetch. What is not understood passes by
// itself, and may have made a token.
func classify(err error) (kind Kind, counts bool, retryAfter time.Duration) {
	var fe *FetchError
	switch {
	case err == nil:
		return 0, true, 0
	case !errors.As(err, &fe):
		return KindTemporary, true, 0
	case fe.Kind == KindThrottled:
		return fe.Kind, true, fe.RetryAfter
	case fe.Kind.needsHand():
		return fe.Kind, !fe.NoToken, fe.RetryAfter
	}
	return KindTemporary, !fe.NoToken, fe.RetryAfter
}

// fault enters a failed call. A token that lives serves on.
func (n *Conn) fault(cl *Client, kind Kind, digest [8]byte, retryAfter time.Duration, err error, now moment) *Error {
	n.failures = min(n.failures, math.MaxUint16-1) + 1
	n.last = &failure{err, now.wall}
	n.waiting.fail(kind, digest, retryAfter, now.mono, n.cache.rand())
	if h := n.waiting.hand; h != nil {
		h.looked = max(h.looked, cl.identity())
	}
	if l := n.live.Load(); l != nil {
		l.postpone(n.retryAt(cl, now))
	}
	n.report(now)
	return n.waitError(now)
}

// cure is the flight's mark if it was started because a token was refused, else 0.
func (f *flight) cure() Mark {
	if f.request.cause != CauseRefused {
		return 0
	}
	return f.number
}

// publish makes a token the current one. Its generation is the next one, or that of the lease.
func (n *Conn) publish(cl *Client, at moment, got Fetched, leased uint64, cure Mark) *live {
	n.generation = max(n.generation+1, leased)
	life := cl.life(got.Life)
	l := n.newLive(cl, at.mono, life, Token{
		Value:      got.AccessToken,
		Generation: n.generation,
		Issued:     at.time(),
		Expiry:     at.time().Add(life),
		APIDomain:  unique.Make(got.APIDomain).Value(),
		Scope:      unique.Make(got.Scope).Value(),
		deadline:   time.Duration(at.mono) + life,
		cure:       cure,
	})
	n.schedule(l, 0, n.cache.clock.now())
	n.live.Store(l)
	if d := n.doubts.Load(); d != nil {
		d.tell()
	}
	return l
}

// newLive adds to a token when it is to be renewed: refresh_before its end,
// give or take a tenth, so that the tokens of one moment part, but never more
// than a quarter of its life before.
func (n *Conn) newLive(cl *Client, asked int64, life time.Duration, t Token) *live {
	margin := float64(min(cl.refreshBefore(), life/4)) * (0.9 + 0.2*n.cache.rand())
	l := &live{ends: t.Expiry.UnixNano(), Token: t, asked: asked, early: int64(t.deadline - min(time.Duration(margin), life/4))}
	l.seen.Store(noClient)
	if n.checked != 0 { // otherwise its grant is looked at before anybody gets it
		l.seen.Store(n.checked)
	}
	l.renewAt.Store(l.early)
	return l
}
