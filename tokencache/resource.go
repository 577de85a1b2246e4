package tokencache

import (
	"context"
	"slices"
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

	maxGuesses  = 3 // renewals of a connection because of refusals that are not understood, in guessWindow
	guessWindow = 10 * time.Minute
)

// Refusal is how a resource server refused a token.
type Refusal uint8

const (
	// RefusalDead says that the token is dead: a new one helps.
	RefusalDead Refusal = iota
	// RefusalAmbiguous says the same of a dead token as of something that no token cures.
	RefusalAmbiguous
	// RefusalUnknown says nothing that is understood.
	RefusalUnknown
)

// Resource is what a connection remembers of one resource server, a service at a
// host: which tokens it accepted and refused. Its rules keep a refusal that no token
// cures from spending the budget.
//
// It knows tokens by their generations, which only grow, so "the newest one that …" says
// it of all that matter; 0 is none. What it has learned answers three questions.
//
// Is a token offered? None that is banned. A refusal that is worth a new token bans the old
// one, unless it is ambiguous and this server has accepted that token before. A refusal may be
// wrong, though: a token that is accepted anywhere after it is vouched for, and offered again
// while no newer one is to be had.
//
// Is a refusal worth a new token? That of a dead one is, unless a hold runs. An ambiguous
// one is not where accepted and acceptedAt have it that the token was taken a moment ago:
// then something else is refused now. And a request that was refused with an older
// token is not sent again with one that was refused here as well, and that refusal passed
// on: refused and refusedAt, see refusedSince.
//
// Did renewing help? A replay that is refused as well begins a hold, from holdFrom for as
// long as steps has it: no renewal for this server meanwhile. held is the generation that
// began it, helped what was accepted after it: that ends the hold, and the next one
// starts at the first step. A token that is accepted during a hold and refused later
// is renewed all the same, once: exempt. lost is a generation that was refused long
// before its end; if its successor is accepted, somebody else uses the grant (losses).
type Resource struct {
	conn    *Conn
	service string
	host    string
	next    *Resource // of the same connection

	ban        atomic.Pointer[ban] // nil = no token is banned
	accepted   atomic.Uint64       // newest generation accepted
	acceptedAt atomic.Int64        // mono, to acceptGrain
	watched    atomic.Bool         // an acceptance may end a hold or prove a loss: it has to take mu
	holding    bool                // guarded by mu, as all below; the hold may have run out, see onHold
	steps      uint16              // of holdSteps taken

	mu        sync.Mutex
	refused   uint64 // newest generation refused
	refusedAt int64  // mono
	lost      uint64 // lost early, if a newer one is accepted
	held      uint64 // newest generation whose replay was refused
	helped    uint64 // newest generation accepted since
	holdFrom  int64  // mono
	exempt    uint64 // the one generation renewed in spite of a hold
}

// Resource returns what the connection remembers of a service at a host. What one host
// refuses says nothing of the same service at another.
func (n *Conn) Resource(service, host string) *Resource {
	if r := n.find(service, host); r != nil {
		return r
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.find(service, host); r != nil {
		return r
	}
	r := &Resource{conn: n, service: service, host: host, next: n.resources.Load()}
	n.resources.Store(r)
	return r
}

// Services names the services that the connection was used for.
func (n *Conn) Services() (names []string) {
	for r := n.resources.Load(); r != nil; r = r.next {
		if !slices.Contains(names, r.service) {
			names = append(names, r.service)
		}
	}
	return names
}

func (n *Conn) find(service, host string) *Resource {
	r := n.resources.Load()
	for r != nil && (r.service != service || r.host != host) {
		r = r.next
	}
	return r
}

// Get returns a live token that the resource server has not refused. With one
// at hand it takes no lock and allocates nothing. The error is an *Error.
func (r *Resource) Get(ctx context.Context, cl *Client) (*Token, error) {
	n := r.conn
	now := n.cache.clock.now()
	if l := n.live.Load(); l != nil && l.fresh(now, cl) && l.Generation > r.banned() {
		n.touch(now)
		return &l.Token, nil
	}
	return r.get(ctx, cl, now, r)
}

// get is Get where some thought is needed.
func (r *Resource) get(ctx context.Context, cl *Client, now moment, instead *Resource) (*Token, error) {
	n := r.conn
	n.touch(now)
	l, req := n.live.Load(), request{after: r.banned(), cause: CauseExpiry, patient: true, instead: instead}
	if l.of(cl) && l.usable(now, req) {
		n.early(cl, l, now)
		return &l.Token, nil
	}
	switch {
	case l == nil:
		req.cause = CauseFirst
	case l.Generation <= req.after && l.alive(now):
		req.cause = CauseRefused
	}
	l, err := n.obtain(ctx, cl, req)
	if err != nil {
		return nil, err
	}
	return &l.Token, nil
}

// GetFresh is Get for a request that cannot be repeated: a token that was refused here is
// none for it, and one whose time to be renewed has come is renewed first. If that fails, the
// current one has to do.
func (r *Resource) GetFresh(ctx context.Context, cl *Client) (*Token, error) {
	n := r.conn
	t, err := r.get(ctx, cl, n.cache.clock.now(), nil)
	if err != nil {
		return nil, err
	}
	l := n.live.Load()
	if l == nil || l.Generation == t.Generation && n.cache.clock.now().mono < l.early {
		return t, nil
	}
	if newer, err := n.obtain(ctx, cl, request{after: t.Generation, cause: CauseExpiry}); err == nil {
		return &newer.Token, nil
	}
	return t, nil
}

// Accepted tells that the resource server answered a generation with success.
func (r *Resource) Accepted(generation uint64) {
	now := r.conn.cache.clock.now().mono
	seen := r.accepted.Load()
	known := generation == seen && now-r.acceptedAt.Load() < int64(acceptGrain)
	if generation < seen || known && !r.watched.Load() && !r.conn.banned.Load() {
		return
	}
	r.acceptedAt.Store(now)
	raise(&r.accepted, generation)
	raise(&r.conn.acceptedGen, generation)
	if r.conn.banned.Load() {
		r.conn.vouch(generation)
	}
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
		r.holding = false
	}
	if r.lost != 0 && generation > r.lost {
		lost, r.lost = r.lost, 0
	}
	r.watched.Store(r.lost != 0 || r.held > r.helped)
	return lost
}

// Mark stands for a moment among the token calls of a connection.
type Mark uint64

// Mark is taken before a request is sent. ReplayRefused is told by it which tokens
// were asked for after that.
func (r *Resource) Mark() Mark { return Mark(r.conn.started.Load()) }

// Refused tells that the resource server refused a generation in a way that a
// new token may cure. It returns a token to replay the request with, once; or
// nil and nil: pass the refusal on; or, as an *Error, why there is no token.
func (r *Resource) Refused(ctx context.Context, cl *Client, generation uint64, how Refusal) (*Token, error) {
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
	case !r.renewable(l, how, now):
		return nil, nil
	}
	if how == RefusalDead || r.accepted.Load() != generation {
		r.setBan(generation)
	}
	l, err := n.obtain(ctx, cl, request{after: generation, cause: CauseRefused, patient: true})
	if err != nil {
		return nil, err
	}
	if how == RefusalUnknown {
		raise(&n.doubt().guessed, l.Generation)
	}
	return &l.Token, nil
}

// ban says that a generation and older ones are not offered any more.
type ban struct {
	generation uint64
	vouched    atomic.Bool // it was accepted since: the refusal may have been wrong
}

// banned is the newest generation that is not offered any more, 0 if there is none.
func (r *Resource) banned() uint64 {
	if b := r.ban.Load(); b != nil {
		return b.generation
	}
	return 0
}

// setBan bans a generation. One that is refused once more has to be accepted once more.
func (r *Resource) setBan(generation uint64) {
	next := &ban{generation: generation}
	for {
		b := r.ban.Load()
		if b != nil && b.generation > generation {
			return
		}
		if r.ban.CompareAndSwap(b, next) {
			r.conn.banned.Store(true)
			return
		}
	}
}

// vouch lifts the bans of a generation that was accepted. A ban that is set meanwhile may miss
// it, and waits for the next one.
func (n *Conn) vouch(generation uint64) {
	n.banned.Store(false)
	for r := n.resources.Load(); r != nil; r = r.next {
		b := r.ban.Load()
		switch {
		case b == nil || b.vouched.Load():
		case b.generation <= generation:
			b.vouched.Store(true)
		default:
			n.banned.Store(true)
		}
	}
}

// offered is the token that was refused here and accepted anywhere since, if that is the
// current one and there is no newer one to be had for the reason err.
func (r *Resource) offered(cl *Client, err error) *live {
	if r == nil {
		return nil
	}
	n := r.conn
	l, b := n.live.Load(), r.ban.Load()
	if l == nil || b == nil || b.generation != l.Generation || !b.vouched.Load() || !l.alive(n.cache.clock.now()) {
		return nil
	}
	if !l.of(cl) && !n.serves(cl, l, request{}, err) {
		return nil
	}
	return l
}

// doubts are what a connection remembers of renewals that may have been of no use. Among them
// are guesses, those because of refusals that are not understood: services that refuse so for
// ever must leave the budget to refusals that are.
type doubts struct {
	replayRefused atomic.Uint64 // newest generation whose replay a resource refused
	guessed       atomic.Uint64 // newest generation that came of a guess

	mu      sync.Mutex // guards all below
	guesses ledger
	after   uint64 // generation that the latest guess was to replace
}

// guess reports whether a generation may be replaced on a guess.
func (d *doubts) guess(generation uint64, now int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if generation == d.after {
		return true // the same one, for others who were refused
	}
	d.guesses.trim(now, guessWindow)
	if len(d.guesses) >= maxGuesses {
		return false
	}
	d.guesses.add(now)
	d.after = generation
	return true
}

// doubt is where doubts are noted. Most connections have none.
func (n *Conn) doubt() *doubts {
	d := n.doubts.Load()
	for d == nil {
		n.doubts.CompareAndSwap(nil, new(doubts))
		d = n.doubts.Load()
	}
	return d
}

// raise makes a at least v.
func raise(a *atomic.Uint64, v uint64) {
	for old := a.Load(); old < v; old = a.Load() {
		a.CompareAndSwap(old, v)
	}
}

// refusedSince reports whether a generation was refused here and passed on, and
// not accepted since: there is no use in a replay with it.
func (r *Resource) refusedSince(generation uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused != generation || r.banned() >= generation {
		return false
	}
	return r.accepted.Load() != generation || r.acceptedAt.Load() <= r.refusedAt
}

// renewable decides whether the refusal of the current token is worth a new one. It notes
// the refusal, and with it what may turn out to be a loss or begins a hold.
func (r *Resource) renewable(l *live, how Refusal, now moment) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := l.Generation
	r.refused, r.refusedAt = max(r.refused, g), now.mono
	onHold := r.onHold(now.mono)
	accepted, acceptedAt := r.accepted.Load() == g, r.acceptedAt.Load()
	if how == RefusalUnknown && r.hopeless(g) {
		return false
	}
	if how != RefusalDead {
		recently := accepted && now.mono-acceptedAt <= int64(justAccepted)
		return !onHold && !recently && now.mono-l.asked >= int64(justMinted) &&
			(how == RefusalAmbiguous || r.conn.doubt().guess(g, now.mono))
	}
	if onHold {
		since := accepted && acceptedAt >= r.holdFrom
		if !since || r.exempt != 0 && r.exempt != g {
			return false
		}
		r.exempt = g
	} else if r.refusedElsewhere(l, now) {
		r.hold(g, now.mono)
		return false
	}
	if now.mono < l.early {
		r.lost = g
		r.watched.Store(true)
	}
	return true
}

// hopeless reports whether there is no reason to hope for another token where nothing is
// understood: this one is good elsewhere, and none ever was here; or it came of the same hope
// itself, and nobody has accepted it since.
func (r *Resource) hopeless(generation uint64) bool {
	if r.conn.acceptedGen.Load() >= generation {
		return r.accepted.Load() == 0
	}
	d := r.conn.doubts.Load()
	return d != nil && d.guessed.Load() >= generation
}

// refusedElsewhere reports whether the token was made a moment ago because another
// resource server refused its predecessor, was refused by that one too, and
// accepted by none; and this resource server has never accepted any. Then one
// more token would be of no use here either.
func (r *Resource) refusedElsewhere(l *live, now moment) bool {
	d := r.conn.doubts.Load()
	return d != nil && r.accepted.Load() == 0 && r.held < l.Generation &&
		d.replayRefused.Load() == l.Generation && r.conn.acceptedGen.Load() < l.Generation &&
		now.mono-l.asked < int64(justMinted)
}

// ReplayRefused tells that a replay was refused, too, in a way that a new token might
// have cured; sent is the Mark of the request that it repeats. If the token was renewed
// because of a refusal, and asked for after that request had been sent, then fresh
// tokens do not help here: nothing is renewed on behalf of this resource server for a
// while, and held is true. Otherwise both tokens may have ended at once, by a revocation
// right after a renewal in the background: to Refused this is the first refusal of that
// generation.
func (r *Resource) ReplayRefused(t *Token, sent Mark) (held bool) {
	if t.cure <= sent {
		return false
	}
	n := r.conn
	now := n.cache.clock.now().mono
	raise(&n.doubt().replayRefused, t.Generation)
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.Generation > r.refused {
		r.refused, r.refusedAt = t.Generation, now
	}
	r.hold(t.Generation, now)
	return true
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
	r.holdFrom, r.holding = now, true
	r.steps++
	r.watched.Store(true)
}

func (r *Resource) onHold(now int64) bool {
	return r.holding && now < r.holdFrom+int64(holdSteps[min(int(r.steps), len(holdSteps))-1])
}

// reset forgets what belongs to another grant.
func (r *Resource) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost, r.held, r.helped, r.steps, r.exempt = 0, 0, 0, 0, 0
	r.holdFrom, r.holding = 0, false
	r.accepted.Store(0)
	r.watched.Store(false)
}
