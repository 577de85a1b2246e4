package onboard

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func unconfirmedName(id string) string { return "unconfirmed " + digest(id) }

// askFirst keeps a grant until a person has confirmed it; one that nobody confirms is given
// back to Zoho, by the client that has brought it.
func (f *Flow) askFirst(cl *Client, p *pendingGrant, before, after Result) error {
	id := rand.Text()
	if err := f.keepUnconfirmed(cl, id, p); err != nil {
		return err
	}
	if !f.giveBackLater(cl, id) {
		_, _ = f.take(cl, unconfirmedName(id), new(waitingGrant))
		return errClosed()
	}
	return errOther(id, before, after)
}

// giveBackLater reports whether this process gives a grant back when its time is over.
func (f *Flow) giveBackLater(cl *Client, id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.unconfirmed[id] = &unconfirmed{cl, time.AfterFunc(consentLife, func() {
		f.Guard(func() { f.discard(context.Background(), cl, id) })
	})}
	return true
}

// keepUnconfirmed keeps it where all replicas find it: by its id, which the one has that the browser
// comes to, and by the list of those that are to be given back.
func (f *Flow) keepUnconfirmed(cl *Client, id string, p *pendingGrant) error {
	life := 2 * consentLife // longer than this process takes to give it back
	if f.fleet && p.fresh {
		life = lapsedKept
		if err := f.list(cl, id); err != nil {
			return err
		}
	}
	return f.keep(cl, unconfirmedName(id), f.waiting(p), life)
}

// discard gives a grant back that was not confirmed in time, unless somebody else has taken it.
func (f *Flow) discard(ctx context.Context, cl *Client, id string) {
	f.forgetUnconfirmed(id)
	var w waitingGrant
	found, err := f.take(cl, unconfirmedName(id), &w)
	if err != nil || !found || !w.Fresh {
		return
	}
	if cl.revoke(ctx, tokencache.Grant(w.Grant)) != nil && f.fleet {
		_ = f.keep(cl, unconfirmedName(id), w, lapsedKept) // the next one who looks tries again
	}
}

func (f *Flow) forgetUnconfirmed(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u := f.unconfirmed[id]; u != nil {
		u.expiry.Stop()
		delete(f.unconfirmed, id)
	}
}

// takeUnconfirmed gives out a grant that waits to be confirmed, once, in the browser that brought it.
func (f *Flow) takeUnconfirmed(cl *Client, id string, browser browserID) (*pendingGrant, error) {
	if !isID(id) {
		return nil, errNothingToConfirm()
	}
	var w waitingGrant
	found, err := f.find(cl, unconfirmedName(id), &w)
	mine := subtle.ConstantTimeCompare(w.Browser[:], browser[:]) == 1
	taken := found && mine && time.Since(w.Kept) < consentLife
	if taken {
		taken, err = f.take(cl, unconfirmedName(id), &w) // unless somebody else has, in between
	}
	switch {
	case err != nil:
		return nil, errAgain(err)
	case !taken:
		return nil, errNothingToConfirm()
	}
	f.forgetUnconfirmed(id)
	return f.pendingOf(w), nil
}

// Confirm stores a grant that waits for it, or drops it: a fresh one is given back to Zoho. If
// the account has another grant by now than the one that was asked about, it asks again.
func (f *Flow) Confirm(ctx context.Context, cl *Client, id, browser string, accept bool) (_ Result, err error) {
	p, err := f.takeUnconfirmed(cl, id, identify(browser))
	if err != nil {
		return Result{}, err
	}
	ctx = context.WithoutCancel(ctx) // who closes the browser now must not lose the grant, or keep it
	if !accept {
		result := cl.result(p.account, p.grant)
		if p.fresh {
			result.revoke(ctx, cl, p.grant, "the new grant was dropped, but could not be revoked at Zoho")
		}
		return result, nil
	}
	defer func() { f.giveBack(ctx, cl, p, err) }()
	return f.storeGrant(ctx, cl, p)
}

// giveBack revokes a fresh grant that was not stored for some reason: at Zoho it would
// keep its place for ever. A store that failed late may have it all the same.
func (f *Flow) giveBack(ctx context.Context, cl *Client, p *pendingGrant, err error) {
	why := asError(err)
	if why == nil || why.Confirm != "" || !p.fresh {
		return
	}
	why.Quota = "The new grant may count among the 20 refresh tokens that Zoho keeps for a user: " +
		"if it does not appear in the list, revoke it in the user's account at Zoho (Connected Apps)."
	if p.saving && why.away {
		return // it may be on its way into the store
	}
	stored, _, err := f.store.LoadGrant(cl.key(p.account), cl.Cache.Secrets())
	if err == nil && stored.RefreshToken != p.grant.RefreshToken && cl.revoke(ctx, p.grant) == nil {
		why.Quota = "The new grant was given back to Zoho, " +
			"and does not count among the 20 refresh tokens that it keeps for a user."
	}
}
