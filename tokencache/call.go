package tokencache

import "context"

// Call is a call of somebody's to a resource server: what its answer is weighed by, beside what
// the Resource remembers.
type Call struct {
	Resource *Resource
	// Caller is on whose account a token is renewed, "" = nobody's: an operator's.
	Caller string
	// Likeness is the same for calls to the resource server that have the same right to be
	// carried out; 0 = that is not known.
	Likeness uint64
}

// Accepted is Call.Accepted of a call of which nothing is known.
func (r *Resource) Accepted(generation uint64) { r.accept(generation) }

// Refused is Call.Refused of an operator's call.
func (r *Resource) Refused(ctx context.Context, cl *Client, generation uint64, how Refusal) (*Token, error) {
	return Call{Resource: r}.Refused(ctx, cl, generation, how)
}

// ReplayRefused is Call.ReplayRefused of an operator's call.
func (r *Resource) ReplayRefused(t *Token, sent Mark) (held bool) {
	return Call{Resource: r}.ReplayRefused(t, sent)
}

// Accepted tells that the resource server answered a generation with success.
func (c Call) Accepted(generation uint64) {
	if c.Likeness != 0 {
		c.Resource.learn().accepted(c.Likeness)
	}
	c.Resource.accept(generation)
}

// Refused tells that the resource server refused a generation in a way that a
// new token may cure. It returns a token to replay the request with, once; or
// nil and nil: pass the refusal on; or, as an *Error, why there is no token.
func (c Call) Refused(ctx context.Context, cl *Client, generation uint64, how Refusal) (*Token, error) {
	r, n := c.Resource, c.Resource.conn
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
	}
	dead := r.renewable(l, how, c.Likeness, now)
	if dead == unclear && n.affords(cl, c, generation, now.mono) {
		dead = c.ask(ctx, generation, now.mono)
	}
	if dead <= unclear || !n.force(cl, c, generation, dead, n.cache.clock.now().mono) {
		r.passOn(generation)
		return nil, nil
	}
	r.renews(l, how, now)
	return c.renew(ctx, cl, generation, how)
}

// renew has the token replaced that was refused.
func (c Call) renew(ctx context.Context, cl *Client, generation uint64, how Refusal) (*Token, error) {
	n := c.Resource.conn
	l, err := n.obtain(ctx, cl, request{
		after:   generation,
		cause:   CauseRefused,
		patient: true,
		sparing: c.Resource.accepted.Load() == 0,
	})
	if err != nil {
		if ctx.Err() != nil { // it may be on its way
			n.ends(c, generation, notAnswered)
		} else {
			n.forgive(c, generation)
		}
		return nil, err
	}
	if !how.understood() {
		raise(&n.doubt().guessed, l.Generation)
	}
	return &l.Token, nil
}

// ReplayAccepted tells that a replay was not refused: renewing has helped, and is on nobody's
// account.
func (c Call) ReplayAccepted(t *Token) { c.Resource.conn.settle(c.Resource, t.Generation) }

// NotReplayed tells that the request which had a generation refused cannot be sent again.
func (c Call) NotReplayed(generation uint64) { c.Resource.conn.ends(c, generation, notReplayed) }

// NotAnswered tells that the request which had a generation refused got no answer when it was sent again.
func (c Call) NotAnswered(generation uint64) { c.Resource.conn.ends(c, generation, notAnswered) }

// ReplayRefused tells that a replay was refused, too, in a way that a new token might
// have cured; sent is the Mark of the request that it repeats. If the token was renewed
// because of a refusal, and asked for after that request had been sent, then fresh
// tokens do not help here: nothing is renewed on behalf of this resource server for a
// while, and held is true. Otherwise both tokens may have ended at once, by a revocation
// right after a renewal in the background: to Refused this is the first refusal of that
// generation.
func (c Call) ReplayRefused(t *Token, sent Mark) (held bool) {
	if t.cure <= sent {
		return false
	}
	r, n := c.Resource, c.Resource.conn
	now := n.cache.clock.now().mono
	raise(&n.doubt().replayRefused, t.Generation)
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.Generation > r.refused {
		r.refused, r.refusedAt = t.Generation, now
	}
	r.passed = r.passed || r.refused == t.Generation
	r.hold(t.Generation, now)
	r.mistaken(c.Likeness, t.Generation)
	return true
}
