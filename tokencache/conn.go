package tokencache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is the state of a connection, shared by everyone who uses it and by all
// configurations: no configuration is in it.
//
// A token is published in live, where readers take it without a lock. All else
// is guarded by mu, which is held for moments only: nothing is called under it
// that asks a server, the store or the configuration. Events are collected under
// it and told after it, since whoever hears of one may ask the connection.
//
// There may be tens of thousands, so a field is no wider than it has to be, and what
// most connections never have is behind a pointer: TestMemoryOfManyConnections holds
// all of it below 1000 bytes.
type Conn struct {
	cache       *Cache
	key         Key
	live        atomic.Pointer[live]
	resources   atomic.Pointer[Resource] // a list
	used        atomic.Int64             // wall of the last use, to the minute
	doubts      atomic.Pointer[doubts]   // nil = none
	acceptedGen atomic.Uint64            // newest generation that a resource accepted
	started     atomic.Uint64            // flights so far
	about       atomic.Pointer[about]    // what checked has found, nil = that failed; written with mu held

	awaited atomic.Bool // the next acceptance matters at once: a Resource has set a ban, or doubts the latest one

	mu            sync.Mutex
	waiters       uint16        // callers who wait for the next try, see pause
	flight        *flight       // in the air, nil if none
	timer         *time.Timer   // keep_warm; nil = not set
	checked       uint64        // client whose grant was last found to be fingerprint's
	fingerprint   Fingerprint   // of the grant that all this belongs to
	ledger        *sharedLedger // of that grant, nil = none
	epoch         uint32        // counts the grants
	failures      uint16        // in a row, of any kind
	loaded        bool          // the store was looked into for this grant
	reported      state         // last one in an event
	claim         *claim        // nil = the first grant
	generation    uint64        // of the last token, whatever its grant
	waiting       waiting
	last          *failure // latest one, nil = none
	unsaved       *Error   // nil = what was last written was written
	lost          *losses  // nil = none
	broken        *broken  // nil = the store could be read when last tried
	changes       uint32   // counts what is worth storing
	stored        uint32   // changes that the store has
	pendingEvents *[]Event // nil = nothing to tell
}

// live is a published token and what deciding about it takes. In the order of time:
//
//	asked ──────────────── early ──────────────────── deadline and ends
//	  handed out as it is    handed out, and renewed     its successor is
//	                         in the background           waited for
//
// renewAt is early at first, or before it where many tokens would be renewed at once; where a
// renewal is under way or of no use it is put off.
// Only renewAt and seen change once it is published. The hot path reads those and ends,
// and nothing else: fresh.
type live struct {
	renewAt atomic.Int64  // mono of the next attempt to renew it; the hot path ends there
	seen    atomic.Uint64 // client whose grant was last found to be the token's
	ends    int64         // wall of Expiry
	Token
	asked int64 // mono of its request, or what comes nearest
	early int64 // mono from when it is renewed in the background
}

// alive reports whether the token has life left by both clocks: the monotonic one stands
// still while a machine is suspended, the one of the wall may be set back.
func (l *live) alive(now moment) bool {
	return now.mono < int64(l.deadline) && now.wall < l.ends
}

// noClient is what live.seen is while no client's grant was found to be the
// token's. It is not 0: that is the id of a client which was never used.
const noClient = ^uint64(0)

// fresh reports whether the token can be handed out with no further thought: nothing is to
// be renewed, the configuration is the one that was looked at, and the wall clock agrees.
func (l *live) fresh(now moment, cl *Client) bool {
	return now.mono < l.renewAt.Load() && l.seen.Load() == cl.id.Load() && now.wall < l.ends
}

// postpone sets the next attempt to renew the token.
func (l *live) postpone(mono int64) { l.renewAt.Store(min(mono, int64(l.deadline))) }

// usable reports whether the token serves what is wanted by someone whose grant
// is the token's.
func (l *live) usable(now moment, req request) bool {
	return l != nil && l.alive(now) && l.Generation > req.after
}

// planned is when it is renewed in the background, as mono, unless that is put off.
func (l *live) planned() int64 { return min(l.renewAt.Load(), l.early) }

// of reports whether the client's grant was found to be the token's, last.
func (l *live) of(cl *Client) bool { return l != nil && l.seen.Load() == cl.identity() }

// request says what a caller needs. A flight goes by that of who has started it.
type request struct {
	after    uint64 // a generation newer than this; 0 = any
	cause    string // one of the Cause constants, for events alone
	operator bool   // a new token, even if there is one, and whatever waits; see Refresh
	patient  bool   // waits for the next try, if that is due within the client's TokenWait
	sparing  bool   // leaves alone what is kept of the budget, see keptCalls
	// instead is whose banned token has to do, if it may, while no newer one is to be had;
	// nil = nobody's
	instead *Resource
}

// fail makes an error for callers.
func (n *Conn) fail(kind Kind, retryAfter time.Duration, err error) *Error {
	return &Error{Kind: kind, Key: n.key, RetryAfter: retryAfter, Err: err}
}

// Peek returns the last published token, live or not, nil if there is none.
func (n *Conn) Peek() *Token {
	if l := n.live.Load(); l != nil {
		return &l.Token
	}
	return nil
}

// Known is Peek for who goes by what the token says: nil unless the client's grant was
// found to be the token's when it was last looked at.
func (n *Conn) Known(cl *Client) *Token {
	if l := n.live.Load(); l.of(cl) {
		return &l.Token
	}
	return nil
}

// AccountsServer is where the connection's grant is renewed, "" as long as the grant
// was not looked at.
func (n *Conn) AccountsServer() string {
	if a := n.about.Load(); a != nil {
		return a.accountsServer
	}
	return ""
}

// Refresh gets a new token, whatever the age of the current one. Of what holds
// calls back, only the budget and a throttle bind an operator.
func (n *Conn) Refresh(ctx context.Context, cl *Client) (*Token, error) {
	req := request{cause: CauseOperator, operator: true}
	if l := n.live.Load(); l != nil {
		req.after = l.Generation
	}
	l, err := n.obtain(ctx, cl, req)
	if err != nil {
		return nil, err
	}
	return &l.Token, nil
}

// Token is a live token for who only looks whether there is one: it is no use that
// keep_warm would go on with, and gets one as a use would if none lives. The error is an
// *Error.
func (n *Conn) Token(ctx context.Context, cl *Client) (*Token, error) {
	l, err := n.obtain(ctx, cl, request{cause: CauseOperator})
	if err != nil {
		return nil, err
	}
	return &l.Token, nil
}

// touch records a use. Once a minute is enough for keep_warm.
func (n *Conn) touch(now moment) {
	if d := now.wall - n.used.Load(); d > int64(time.Minute) || d < 0 {
		n.used.Store(now.wall)
	}
}

// obtain waits for a token that serves a request, and makes do where that is allowed: with
// a token that was refused and accepted since, or with the next try. The error is that of the
// latest one.
func (n *Conn) obtain(ctx context.Context, cl *Client, req request) (*live, error) {
	var w patience
	defer w.report(n, req, n.cache.clock.now().mono)
	for {
		l, err := n.attempt(ctx, cl, req, &w)
		if err == nil {
			return l, nil
		}
		if l := req.instead.offered(cl, err); l != nil {
			return l, nil
		}
		if !n.pause(ctx, cl, req, &w, err) {
			return nil, err
		}
	}
}

// attempt joins a flight, or starts one, and goes by what comes of that:
//
//	the grant or the configuration was replaced meanwhile    comes round again
//	another configuration's flight failed before it asked    again: that says nothing of this one's
//	a flight that leaves some of the budget alone failed     again, if this caller may have that
//	the flight failed                                        its error
//	an operator wants a new one, the store had an old one    again, for one that is newer
//	a token of the caller's grant that serves                that token
//	a new token that has ended on its way                    an error, or a loop would spend the budget
//	another grant's token, or one known to be refused        again; an operator has had its call
//
// A round is lost to something that has happened while it lasted: to a flight that was in
// the air before, to a change of the grant, to what the store had. Whoever has lost obtainRounds
// of them is told to come again, for nothing says that the next one would be better.
func (n *Conn) attempt(ctx context.Context, cl *Client, req request, w *patience) (*live, error) {
	for range obtainRounds {
		var g granted
		if l := n.live.Load(); l != nil && !l.of(cl) {
			var err error
			g, err = n.checkAgain(cl)
			switch {
			case err == nil:
			case n.serves(cl, l, req, err):
				return l, nil
			default:
				return nil, err
			}
		}
		l, f, err := n.join(cl, req, g.epoch)
		if f == nil {
			return l, err
		}
		if err := n.await(ctx, f, w); err != nil {
			return nil, err
		}
		switch {
		case errors.Is(f.err, errSuperseded):
		case f.err != nil && !f.called && f.client != cl.identity(): // true for that configuration only
		case f.err != nil && !f.called && f.request.sparing && !req.sparing: // true for that caller only
		case f.err != nil:
			return nil, f.err
		case req.operator && !f.minted:
			req.after = f.live.Generation
		case f.live.of(cl) && f.live.usable(n.cache.clock.now(), req):
			return f.live, nil
		case f.minted && !f.live.alive(n.cache.clock.now()):
			return nil, n.fail(KindTemporary, lookAgain, errShortLived)
		default:
			req.operator = false // has had its call; whose the token is, is looked at again
		}
	}
	return nil, n.fail(KindTemporary, lookAgain, errSuperseded)
}

const obtainRounds = 5 // one for each of the three, for a flight that is sparing, and one more

// await waits for the end of a flight, or for the caller's own: a flight goes on without it.
func (n *Conn) await(ctx context.Context, f *flight, w *patience) error {
	w.waited = true
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		if n.cache.store != nil && !f.asking.Load() {
			return n.fail(KindStore, storeRetry, fmt.Errorf("%w: %w", errStoreSlow, ctx.Err()))
		}
		return n.fail(KindTemporary, lookAgain, ctx.Err())
	}
}

// join returns a token, or the reason why there is none, or the flight that
// will tell, which it starts if there is none in the air. The caller's grant is
// that of epoch; with 0 the token tells. (While two configurations are in use,
// around a reload, each makes the token forget the other.)
func (n *Conn) join(cl *Client, req request, epoch uint32) (*live, *flight, error) {
	n.mu.Lock()
	defer n.unlockAndEmit()
	now := n.cache.clock.now()
	if l := n.live.Load(); !req.operator && l.usable(now, req) && (l.of(cl) || epoch == n.epoch) {
		return l, nil, nil
	}
	if n.flight != nil {
		return nil, n.flight, nil
	}
	if !req.operator {
		if err := n.blocked(cl, req, now); err != nil {
			return nil, nil, err
		}
	}
	if !n.start(cl, req) {
		return nil, nil, n.fail(KindTemporary, lookAgain, errClosed)
	}
	return nil, n.flight, nil
}

// early starts the renewal of a token that serves everybody meanwhile.
func (n *Conn) early(cl *Client, l *live, now moment) {
	n.mu.Lock()
	defer n.unlockAndEmit()
	if n.live.Load() != l || now.mono < l.renewAt.Load() {
		return
	}
	req := request{after: l.Generation, cause: CauseExpiry}
	if n.flight == nil {
		if err := n.blocked(cl, req, now); err != nil {
			l.postpone(n.retryAt(cl, now))
			return
		}
		n.start(cl, req)
	}
	l.postpone(now.mono + int64(flightLimit)) // a failure brings it forward
}
