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
	// RefusalSilent could say nothing: there was no place for words.
	RefusalSilent
)

// understood reports whether the refusal says something that is known.
func (how Refusal) understood() bool { return how == RefusalDead || how == RefusalAmbiguous }

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
// on: refused and refusedAt, see refusedSince. That of one which never accepted any is not, while
// others accept the token: othersAccept. Where calls of the same kind were accepted
// before, though, a refusal means a dead token, hold or not: see learned. On whose account a new
// token is had, and who may have none, is seen to afterwards: see charge.
//
// Did renewing help? A replay that is refused as well begins a hold, from holdFrom for as
// long as steps has it: no renewal for this server meanwhile. held is the generation that
// began it, helped what was accepted after it: that ends the hold, and the next one
// starts at the first step. A token that is accepted during a hold and refused later
// is renewed all the same, once: learned.exempt. lost is a generation that was refused long
// before its end; if its successor is accepted, somebody else uses the grant (losses).
type Resource struct {
	conn    *Conn
	service string
	host    string
	next    *Resource // of the same connection

	ban        atomic.Pointer[ban]     // nil = no token is banned
	learned    atomic.Pointer[learned] // nil = nothing
	accepted   atomic.Uint64           // newest generation accepted
	acceptedAt atomic.Int64            // mono, to acceptGrain
	watched    atomic.Bool             // an acceptance may end a hold or prove a loss: it has to take mu
	holding    bool                    // guarded by mu, as all below; the hold may have run out, see onHold
	passed     bool                    // the refusal of refused was passed on; otherwise that is not decided yet, or a ban tells
	steps      uint16                  // of holdSteps taken

	mu        sync.Mutex
	refused   uint64 // newest generation refused
	refusedAt int64  // mono
	lost      uint64 // lost early, if a newer one is accepted
	held      uint64 // newest generation whose replay was refused
	helped    uint64 // newest generation accepted since
	holdFrom  int64  // mono
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
		req.cause, req.sparing = CauseRefused, r.accepted.Load() == 0
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

// accept notes that the resource server answered a generation with success.
func (r *Resource) accept(generation uint64) {
	now := r.conn.cache.clock.now().mono
	seen := r.accepted.Load()
	known := generation == seen && now-r.acceptedAt.Load() < int64(acceptGrain)
	if generation < seen || known && !r.watched.Load() && !r.conn.awaited.Load() {
		return
	}
	r.acceptedAt.Store(now)
	raise(&r.accepted, generation)
	raise(&r.conn.acceptedGen, generation)
	if r.conn.awaited.Load() {
		r.conn.vouch(generation)
		r.conn.doubt().tell()
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
			r.conn.awaited.Store(true)
			return
		}
	}
}

// vouch lifts the bans of a generation that was accepted. A ban that is set meanwhile may miss
// it, and waits for the next one.
func (n *Conn) vouch(generation uint64) {
	n.awaited.Store(false)
	for r := n.resources.Load(); r != nil; r = r.next {
		b := r.ban.Load()
		switch {
		case b == nil || b.vouched.Load():
		case b.generation <= generation:
			b.vouched.Store(true)
		default:
			n.awaited.Store(true)
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

	forced uint64 // newest generation that was to be replaced because of a refusal; guarded by the connection's mu

	mu      sync.Mutex // guards all below
	guesses ledger
	after   uint64        // generation that the latest guess was to replace
	news    chan struct{} // is closed when something happens that others wait for; nil = nobody does
}

// wait returns what is closed with the next news.
func (d *doubts) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.news == nil {
		d.news = make(chan struct{})
	}
	return d.news
}

// tell lets those go on who wait for news.
func (d *doubts) tell() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.news != nil {
		close(d.news)
		d.news = nil
	}
}

// mayGuess reports whether a generation may be replaced on a guess.
func (d *doubts) mayGuess(generation uint64, now int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return generation == d.after || d.guesses.within(now, guessWindow) < maxGuesses
}

// guess enters that a generation is to be replaced on a guess: once, however many were refused.
func (d *doubts) guess(generation uint64, now int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if generation == d.after {
		return
	}
	d.guesses.trim(now, guessWindow)
	d.guesses.add(now)
	d.after = generation
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
	if r.refused != generation || !r.passed || r.banned() >= generation {
		return false
	}
	return r.accepted.Load() != generation || r.acceptedAt.Load() <= r.refusedAt
}

// passOn notes that the refusal of a generation is passed on.
func (r *Resource) passOn(generation uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passed = r.passed || r.refused == generation
}

// certainty is how much speaks for it that a refused token is dead.
type certainty uint8

const (
	notWorth certainty = iota // too little for a new token
	unclear                   // that is for others to say
	likely
	proved  // by calls like this one, which were accepted
	certain // and no other resource server says otherwise
)

// renewable decides whether the refusal of the current token is worth a new one. It notes the
// refusal, and with it what may begin a hold.
func (r *Resource) renewable(l *live, how Refusal, likeness uint64, now moment) certainty {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, elsewhere := l.Generation, r.outlived(l.Generation, now.mono)
	if g > r.refused {
		r.refused, r.passed = g, false
	}
	r.refusedAt = now.mono
	r.conn.awaited.Store(true) // the next acceptance counts, however soon it comes
	worth := false
	switch {
	case how.understood() && r.proves(likeness, now.mono):
		if elsewhere {
			return proved
		}
		return certain
	case !how.understood() && r.hopeless(g, how):
	case how != RefusalDead:
		worth = r.doubtful(l, how, now)
	default:
		worth = r.deadAfterAll(l, now)
	}
	switch {
	case !worth:
		return notWorth
	case r.accepted.Load() == 0 && r.acceptedElsewhere(g, now.mono-int64(justAccepted)-1):
		return unclear
	}
	return likely
}

// acceptedElsewhere reports whether another resource server accepted the token after that.
func (r *Resource) acceptedElsewhere(generation uint64, since int64) bool {
	for o := r.conn.resources.Load(); o != nil; o = o.next {
		if o != r && o.accepted.Load() == generation && o.acceptedAt.Load() > since {
			return true
		}
	}
	return false
}

// outlived reports whether another one accepted the token a moment ago, and this one has neither
// accepted nor refused it since.
func (r *Resource) outlived(generation uint64, now int64) bool {
	since := now - int64(justAccepted) - 1
	if r.accepted.Load() == generation {
		since = max(since, r.acceptedAt.Load())
	}
	if r.refused == generation {
		since = max(since, r.refusedAt)
	}
	return r.acceptedElsewhere(generation, since)
}

// doubtful decides on a refusal that is not certain to mean a dead token.
func (r *Resource) doubtful(l *live, how Refusal, now moment) bool {
	recently := r.accepted.Load() == l.Generation && now.mono-r.acceptedAt.Load() <= int64(justAccepted)
	return !r.onHold(now.mono) && !recently && now.mono-l.asked >= int64(justMinted) &&
		(how == RefusalAmbiguous || r.conn.doubt().mayGuess(l.Generation, now.mono))
}

// deadAfterAll decides on a refusal that calls the token dead: a hold may run, or begin.
func (r *Resource) deadAfterAll(l *live, now moment) bool {
	g := l.Generation
	switch {
	case r.onHold(now.mono):
		exempt := &r.learn().exempt
		since := r.accepted.Load() == g && r.acceptedAt.Load() >= r.holdFrom
		if !since || *exempt != 0 && *exempt != g {
			return false
		}
		*exempt = g
	case r.refusedElsewhere(l, now):
		r.hold(g, now.mono)
		return false
	}
	return true
}

// renews notes that the token is about to be replaced because of a refusal: it may turn out to be
// a loss.
func (r *Resource) renews(l *live, how Refusal, now moment) {
	if !how.understood() {
		r.conn.doubt().guess(l.Generation, now.mono)
	}
	if how == RefusalDead || r.accepted.Load() != l.Generation {
		r.setBan(l.Generation)
	}
	if how != RefusalDead || now.mono >= l.early {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = l.Generation
	r.watched.Store(true)
}

// hopeless reports whether there is no reason to hope for another token where nothing is
// understood: this one is good elsewhere, and none ever was here; or it came of the same hope
// itself, and nobody has accepted it since. Where nothing can be said, there is none either as
// soon as it is known that some servers accept tokens, and this one is not among them.
func (r *Resource) hopeless(generation uint64, how Refusal) bool {
	accepted := r.conn.acceptedGen.Load()
	if accepted >= generation || how == RefusalSilent && accepted != 0 {
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

// hold begins the next hold, once for each generation. The steps start over
// when a generation between was accepted, and not refused in a replay itself:
// then a renewal had helped.
func (r *Resource) hold(generation uint64, now int64) {
	if generation <= r.held {
		return
	}
	if r.helped > r.held && r.helped < generation {
		r.steps = 0
		if k := r.learned.Load(); k != nil {
			k.exempt = 0
		}
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
	r.lost, r.held, r.helped, r.steps = 0, 0, 0, 0
	r.holdFrom, r.holding = 0, false
	r.accepted.Store(0)
	r.learned.Store(nil)
	r.watched.Store(false)
}
