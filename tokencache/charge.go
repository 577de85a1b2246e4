package tokencache

import (
	"slices"
	"sync"
	"time"
)

// The token calls of a grant are there for all who call. A renewal that a refusal forces is on the
// account of the caller who was refused first, for chargeWindow, unless the replay is accepted: then
// the token was dead, and anybody would have met that. What was in vain is not told from what is
// under way.
//
// A caller has one such renewal, and a second one only where the token is certain to be dead: so one
// misfit leaves room for what is none. Where the request could not be sent again, or was not answered,
// as when its caller hung up, nobody knows whether that has helped. Of these a caller may have two,
// or a fifth of the budget; and one more where the token is certain to be dead, if all of them were
// answered. Whoever has had them has refusals passed on, or is served by a token that somebody else
// has had renewed.
//
// The accounts belong to the grant, as the ledger does. An entry stands for a token call, so the
// budget bounds them; maxCharges does where that is large.

const (
	chargeWindow = 10 * time.Minute
	vainLimit    = 1 // renewals in vain of one caller in chargeWindow
	certainLimit = 2 // likewise, where the token is certain to be dead
	maxCharges   = 10_000

	// keptCalls are those of the budget that are kept, a third of it at most, for resource servers
	// that have accepted a token of the grant, whichever: what never did may be one that no token is
	// any good for, and most callers have no use for it.
	keptCalls = 3
)

// shareLimit is how many renewals one caller may have in chargeWindow, in vain or not known to be.
func (cl *Client) shareLimit() int { return max(2, cl.budget()/5) }

// charge is a renewal that is on the account of a caller.
type charge struct {
	caller   string
	at       int64 // mono
	resource *Resource
	after    uint64 // generation that was refused
	fate     fate
}

// fate is what has become of the request that a renewal is for.
type fate uint8

const (
	replayed    fate = iota // or is about to be
	notReplayed             // it could not be sent again
	notAnswered             // its caller hung up, or nobody answered
)

func (c charge) over(now int64) bool { return now-c.at >= int64(chargeWindow) }

// of reports whether the charge is for a call that had a generation refused.
func (c charge) of(call Call, generation uint64) bool {
	return c.caller == call.Caller && c.resource == call.Resource && c.after == generation
}

// accounts are the charges of all grants, by the ids of their ledgers. Most grants have none.
type accounts struct {
	mu      sync.Mutex
	byGrant map[Fingerprint][]charge // oldest first
	swept   int64                    // mono of the last look for what is over
}

// force reports whether a refused generation may be replaced on the account of the caller. The
// same one is, once for all who were refused; and one that was replaced meanwhile is on nobody's.
func (n *Conn) force(cl *Client, c Call, generation uint64, dead certainty, now int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.free(c, generation) {
		n.forces(generation)
		return true
	}
	entry := charge{caller: c.Caller, at: now, resource: c.Resource, after: generation}
	if !n.cache.accounts.add(n.ledger.identity(), entry, dead == certain, cl.shareLimit()) {
		return false
	}
	n.forces(generation)
	return true
}

// affords reports whether force would allow it.
func (n *Conn) affords(cl *Client, c Call, generation uint64, now int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	entry := charge{caller: c.Caller, at: now}
	return n.free(c, generation) || n.cache.accounts.has(n.ledger.identity(), entry, cl.shareLimit())
}

// free reports whether a renewal is on no new account. With mu held.
func (n *Conn) free(c Call, generation uint64) bool {
	return c.Caller == "" || n.replaced(generation)
}

// replaced reports whether somebody has the generation replaced. With mu held.
func (n *Conn) replaced(generation uint64) bool {
	return n.doubt().forced >= generation || n.generation > generation
}

// forces notes that a generation is to be replaced. With mu held.
func (n *Conn) forces(generation uint64) {
	d := n.doubt()
	d.forced = max(d.forced, generation)
	d.tell()
}

// settle takes off what has helped at a resource: an older generation was refused there, and this
// one was not.
func (n *Conn) settle(r *Resource, generation uint64) {
	n.change(func(a *accounts, grant Fingerprint) {
		a.remove(grant, func(c charge) bool { return c.resource == r && c.after < generation })
	})
}

// forgive takes off what has come to nothing. Whoever has the generation replaced after all has that
// on the account.
func (n *Conn) forgive(call Call, generation uint64) {
	n.change(func(a *accounts, grant Fingerprint) {
		a.remove(grant, func(c charge) bool { return c.of(call, generation) })
		if d := n.doubt(); d.forced == generation && n.flight == nil {
			d.forced = 0
		}
	})
}

// ends notes why nobody will know whether a renewal has helped.
func (n *Conn) ends(call Call, generation uint64, why fate) {
	n.change(func(a *accounts, grant Fingerprint) {
		for i := range a.byGrant[grant] {
			if c := &a.byGrant[grant][i]; c.of(call, generation) {
				c.fate = why
			}
		}
	})
}

// change changes the accounts of the connection's grant.
func (n *Conn) change(do func(a *accounts, grant Fingerprint)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := &n.cache.accounts
	a.mu.Lock()
	defer a.mu.Unlock()
	do(a, n.ledger.identity())
}

// add enters a renewal with a grant if the caller may have it.
func (a *accounts) add(grant Fingerprint, c charge, certain bool, share int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep(c.at)
	if !a.room(grant, c, certain, share) {
		return false
	}
	charges := a.byGrant[grant]
	if len(charges) == maxCharges {
		charges = slices.Delete(charges, 0, 1)
	}
	if a.byGrant == nil {
		a.byGrant = make(map[Fingerprint][]charge)
	}
	a.byGrant[grant] = append(charges, c)
	return true
}

// has reports whether there is room for a renewal.
func (a *accounts) has(grant Fingerprint, c charge, share int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.room(grant, c, false, share)
}

// room is has, with mu held.
func (a *accounts) room(grant Fingerprint, c charge, certain bool, share int) bool {
	var had [notAnswered + 1]int
	for _, o := range a.byGrant[grant] {
		if o.caller == c.caller && !o.over(c.at) {
			had[o.fate]++
		}
	}
	limit := vainLimit
	if certain {
		limit = certainLimit
		if had[notAnswered] == 0 {
			share++
		}
	}
	return had[replayed] < limit && had[replayed]+had[notReplayed]+had[notAnswered] < share
}

// sweep forgets what is over, once in chargeWindow. With mu held.
func (a *accounts) sweep(now int64) {
	if now-a.swept < int64(chargeWindow) {
		return
	}
	a.swept = now
	for grant := range a.byGrant {
		a.remove(grant, func(c charge) bool { return c.over(now) })
	}
}

// remove takes charges off a grant. With mu held.
func (a *accounts) remove(grant Fingerprint, which func(charge) bool) {
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
