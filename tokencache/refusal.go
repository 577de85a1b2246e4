package tokencache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// holdSteps is how long a resource is on hold after the 1st, 2nd, ... replay in
// a row that was refused again: no renewal on its behalf meanwhile.
var holdSteps = []time.Duration{1 * time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}

const (
	justMinted   = time.Minute            // an ambiguous refusal of a token younger than this is not about the token
	justAccepted = 5 * time.Second        // nor that of one which was accepted this recently
	acceptGrain  = 100 * time.Millisecond // how exactly the time of an acceptance is known
)

// Resource is what a connection remembers of one resource server: which tokens
// it accepted and refused. Its rules keep a refusal that no token cures from
// spending the budget.
type Resource struct {
	conn *Conn
	name string
	next *Resource // of the same connection

	banned     atomic.Uint64 // this generation and older ones are not offered any more
	accepted   atomic.Uint64 // newest generation accepted
	acceptedAt atomic.Int64  // mono
	watched    atomic.Bool   // an acceptance may end a hold or prove a loss
	steps      uint32        // of holdSteps taken; guarded by mu

	mu        sync.Mutex
	refused   uint64 // newest generation refused
	refusedAt int64  // mono
	lost      uint64 // lost early, if a newer one is accepted
	held      uint64 // newest generation whose replay was refused
	helped    uint64 // newest generation accepted since
	holdFrom  int64  // mono
	holdUntil int64  // mono
	exempt    uint64 // the one generation renewed in spite of a hold
}

// Resource returns what the connection remembers of a resource server.
func (n *Conn) Resource(name string) *Resource {
	if r := n.find(name); r != nil {
		return r
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.find(name); r != nil {
		return r
	}
	r := &Resource{conn: n, name: name, next: n.resources.Load()}
	n.resources.Store(r)
	return r
}

// Services names the resource servers that the connection was used for.
func (n *Conn) Services() (names []string) {
	for r := n.resources.Load(); r != nil; r = r.next {
		names = append(names, r.name)
	}
	return names
}

func (n *Conn) find(name string) *Resource {
	r := n.resources.Load()
	for r != nil && r.name != name {
		r = r.next
	}
	return r
}

// Get returns a live token that the resource server has not refused. With one
// at hand it takes no lock and allocates nothing. The error is an *Error.
func (r *Resource) Get(ctx context.Context, cl *Client) (*Token, error) {
	n := r.conn
	now := n.cache.clock.now()
	if l := n.live.Load(); l != nil && l.atHand(now, cl) && l.Generation > r.banned.Load() {
		n.touch(now)
		return &l.Token, nil
	}
	return r.get(ctx, cl, now)
}

// get is Get where some thought is needed.
func (r *Resource) get(ctx context.Context, cl *Client, now moment) (*Token, error) {
	n := r.conn
	n.touch(now)
	l, w := n.live.Load(), want{after: r.banned.Load(), cause: CauseExpiry}
	if l.of(cl) && l.usable(now, w) {
		n.early(cl, l, now)
		return &l.Token, nil
	}
	switch {
	case l == nil:
		w.cause = CauseFirst
	case l.Generation <= w.after && l.alive(now):
		w.cause = CauseRefused
	}
	l, err := n.obtain(ctx, cl, w)
	if err != nil {
		return nil, err
	}
	return &l.Token, nil
}

// Accepted tells that the resource server answered a generation with success.
func (r *Resource) Accepted(generation uint64) {
	now := r.conn.cache.clock.now().mono
	seen := r.accepted.Load()
	if generation < seen || generation == seen && now-r.acceptedAt.Load() < int64(acceptGrain) && !r.watched.Load() {
		return
	}
	r.acceptedAt.Store(now)
	raise(&r.accepted, generation)
	raise(&r.conn.welcome, generation)
	if !r.watched.Load() {
		return
	}
	if lost := r.settleAccepted(generation); lost != 0 {
		r.conn.lose(lost)
	}
}

// settleAccepted ends a hold that a newer token has outlived, and returns the
// generation that is now known to have been lost early.
func (r *Resource) settleAccepted(generation uint64) (lost uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != 0 && generation > r.held {
		r.helped = max(r.helped, generation)
		r.holdUntil = 0
	}
	if r.lost != 0 && generation > r.lost {
		lost, r.lost = r.lost, 0
	}
	r.watched.Store(r.lost != 0 || r.held > r.helped)
	return lost
}

// Refused tells that the resource server refused a generation in a way that a
// new token may cure. It returns a token to replay the request with, once; or
// nil and nil: pass the refusal on; or, as an *Error, why there is no token.
func (r *Resource) Refused(ctx context.Context, cl *Client, generation uint64, ambiguous bool) (*Token, error) {
	n := r.conn
	now := n.cache.clock.now()
	l := n.live.Load()
	switch {
	case l == nil || !l.alive(now):
		return r.Get(ctx, cl)
	case generation > l.Generation: // none of ours
		return nil, nil
	case generation < l.Generation:
		if r.refusedSince(l.Generation) {
			return nil, nil
		}
		return r.Get(ctx, cl)
	case !r.renewable(cl, l, ambiguous, now):
		return nil, nil
	}
	if !ambiguous || r.accepted.Load() != generation {
		raise(&r.banned, generation)
	}
	l, err := n.obtain(ctx, cl, want{after: generation, cause: CauseRefused})
	if err != nil {
		return nil, err
	}
	return &l.Token, nil
}

// raise makes a at least v.
func raise(a *atomic.Uint64, v uint64) {
	for old := a.Load(); old < v; old = a.Load() {
		a.CompareAndSwap(old, v)
	}
}

// refusedSince tells whether a generation was refused here and passed on, and
// not accepted since: there is no use in a replay with it.
func (r *Resource) refusedSince(generation uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused != generation || r.banned.Load() >= generation {
		return false
	}
	return r.accepted.Load() != generation || r.acceptedAt.Load() <= r.refusedAt
}

// renewable decides whether the refusal of the current token is worth a new one.
func (r *Resource) renewable(cl *Client, l *live, ambiguous bool, now moment) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := l.Generation
	r.refused, r.refusedAt = max(r.refused, g), now.mono
	onHold := now.mono < r.holdUntil
	accepted, acceptedAt := r.accepted.Load() == g, r.acceptedAt.Load()
	if ambiguous {
		recently := accepted && now.mono-acceptedAt <= int64(justAccepted)
		return !onHold && !recently && now.mono-l.asked >= int64(justMinted)
	}
	if onHold {
		since := accepted && acceptedAt >= r.holdFrom
		if !since || r.exempt != 0 && r.exempt != g {
			return false
		}
		r.exempt = g
	} else if r.disowned(l, now) {
		r.hold(g, now.mono)
		return false
	}
	if now.mono < l.early {
		r.lost = g
		r.watched.Store(true)
	}
	return true
}

// disowned tells whether the token was made a moment ago because another
// resource server refused its predecessor, was refused by that one too, and
// accepted by none; and this resource server has never accepted any. Then one
// more token would be of no use here either.
func (r *Resource) disowned(l *live, now moment) bool {
	return r.accepted.Load() == 0 && r.held < l.Generation &&
		r.conn.disowned.Load() == l.Generation && r.conn.welcome.Load() < l.Generation &&
		now.mono-l.asked < int64(justMinted)
}

// ReplayRefused tells that a replay was refused, too, in a way that a new token
// might have cured. It did not: nothing is renewed on behalf of this resource
// server for a while.
func (r *Resource) ReplayRefused(generation uint64) {
	n := r.conn
	now := n.cache.clock.now().mono
	raise(&n.disowned, generation)
	r.mu.Lock()
	defer r.mu.Unlock()
	if generation > r.refused {
		r.refused, r.refusedAt = generation, now
	}
	r.hold(generation, now)
}

// hold begins the next hold, once for each generation. The steps start over
// when a generation between was accepted, and not refused in a replay itself:
// then a renewal had helped.
func (r *Resource) hold(generation uint64, now int64) {
	if generation <= r.held {
		return
	}
	if r.helped > r.held && r.helped < generation {
		r.steps, r.exempt = 0, 0
	}
	r.held, r.lost = generation, 0
	r.holdFrom = now
	r.holdUntil = now + int64(holdSteps[min(int(r.steps), len(holdSteps)-1)])
	r.steps++
	r.watched.Store(true)
}

// reset forgets what belongs to another grant.
func (r *Resource) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost, r.held, r.helped, r.steps, r.exempt = 0, 0, 0, 0, 0
	r.holdFrom, r.holdUntil = 0, 0
	r.accepted.Store(0)
	r.watched.Store(false)
}
