package tokencache

import (
	"slices"
	"sync"
	"time"
)

// The token calls of a grant are there for all who call. A renewal that a refusal forces is on the
// account of the caller who was refused first, until the replay is accepted: then the token was
// dead, and anybody would have met that. What was in vain, was never answered or is still under way
// stays on the account for chargeWindow. A caller has one such renewal, and a second one only for a
// call that is sure to have met a dead token (see learned), so that one misfit leaves room for what
// is no misfit. Whoever has no more has the refusal passed on, or is served by a token that somebody
// else has had renewed.
//
// The accounts belong to the grant, as the ledger does. There is one entry for each token call at
// most, so the budget bounds them; maxCharges does where that is large.

const (
	chargeWindow = 10 * time.Minute
	chargeLimit  = 1 // of one caller in chargeWindow
	sureLimit    = 2 // likewise, for a call that is sure to have met a dead token
	maxCharges   = 100

	// keptCalls are those of the budget that are kept, a third of it at most, for resource servers
	// that have accepted a token of the grant, whichever: what never did may be one that no token is
	// any good for, and most callers have no use for it.
	keptCalls = 3
)

// charge is a renewal that is on the account of a caller.
type charge struct {
	caller   string
	at       int64 // mono
	resource *Resource
	after    uint64 // generation that was refused
}

func (c charge) over(now int64) bool { return now-c.at >= int64(chargeWindow) }

// accounts are the charges of all grants. Most grants have none.
type accounts struct {
	mu      sync.Mutex
	byGrant map[Fingerprint][]charge // oldest first
	swept   int64                    // mono of the last look for what is over
}

// force reports whether a refused generation may be replaced on the account of the caller. The
// same one is, once for all who were refused.
func (n *Conn) force(c Call, generation uint64, sure bool, now int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.doubt()
	if d.forced == generation {
		return true
	}
	if c.Caller != "" && !n.cache.accounts.add(n.fingerprint, charge{c.Caller, now, c.Resource, generation}, sure) {
		return false
	}
	d.forced = generation
	return true
}

// settle takes off what has helped at a resource: an older generation was refused there, and this
// one was not.
func (n *Conn) settle(r *Resource, generation uint64) {
	n.discharge(func(c charge) bool { return c.resource == r && c.after < generation })
}

// forgive takes off what has come to nothing.
func (n *Conn) forgive(call Call, generation uint64) {
	n.discharge(func(c charge) bool { return c.resource == call.Resource && c.after == generation })
}

func (n *Conn) discharge(which func(charge) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cache.accounts.remove(n.fingerprint, which)
}

// add enters a renewal with a grant if the caller may have it.
func (a *accounts) add(grant Fingerprint, c charge, sure bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep(c.at)
	left := chargeLimit
	if sure {
		left = sureLimit
	}
	charges := a.byGrant[grant]
	for _, o := range charges {
		if o.caller == c.caller && !o.over(c.at) {
			left--
		}
	}
	if left <= 0 {
		return false
	}
	if len(charges) == maxCharges {
		charges = slices.Delete(charges, 0, 1)
	}
	if a.byGrant == nil {
		a.byGrant = make(map[Fingerprint][]charge)
	}
	a.byGrant[grant] = append(charges, c)
	return true
}

// sweep forgets what is over, once in chargeWindow. With mu held.
func (a *accounts) sweep(now int64) {
	if now-a.swept < int64(chargeWindow) {
		return
	}
	a.swept = now
	for grant := range a.byGrant {
		a.cut(grant, func(c charge) bool { return c.over(now) })
	}
}

// remove takes charges off a grant.
func (a *accounts) remove(grant Fingerprint, which func(charge) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cut(grant, which)
}

// cut is remove, with mu held.
func (a *accounts) cut(grant Fingerprint, which func(charge) bool) {
	left := slices.DeleteFunc(a.byGrant[grant], which)
	if len(left) == 0 {
		delete(a.byGrant, grant)
		return
	}
	a.byGrant[grant] = left
}

// budget is how many token calls there are in a window for such a request.
func (req request) budget(cl *Client) int {
	budget := cl.budget()
	if req.sparing {
		budget -= min(keptCalls, budget/3)
	}
	return budget
}
