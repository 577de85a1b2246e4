package onboard

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"sync"
	"time"
)

// askFirst keeps a grant until a person has confirmed it; one that nobody confirms is given
// back to Zoho, by the client that has brought it.
func (f *Flow) askFirst(cl *Client, p *pendingGrant, before, after Result) error {
	id := rand.Text()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errClosed()
	}
	f.unconfirmed[id] = p
	p.discard = func(ctx context.Context) {
		if p.fresh() {
			_ = cl.revoke(ctx, p.grant)
		}
	}
	p.expiry = time.AfterFunc(consentLife, func() {
		f.Guard(func() {
			if _, err := f.takeUnconfirmed(cl, id, p.browser); err == nil {
				p.discard(context.Background())
			}
		})
	})
	return errOther(id, before, after)
}

// closeLimit is how long the process is held up by a Zoho that does not answer.
const closeLimit = 5 * time.Second

// Close gives back what waits to be confirmed, and what is to wait for that later.
func (f *Flow) Close() {
	f.mu.Lock()
	waiting := f.unconfirmed
	f.unconfirmed, f.closed = make(map[string]*pendingGrant), true
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	var running sync.WaitGroup
	for _, p := range waiting {
		p.expiry.Stop()
		running.Go(func() { f.Guard(func() { p.discard(ctx) }) })
	}
	running.Wait()
}

// takeUnconfirmed gives out a grant that waits to be confirmed, once, in the browser that brought it.
func (f *Flow) takeUnconfirmed(cl *Client, id string, browser browserID) (*pendingGrant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.unconfirmed[id]
	if p == nil || p.client != cl.Name || subtle.ConstantTimeCompare(p.browser[:], browser[:]) != 1 {
		return nil, errState("There is nothing to confirm here any more.")
	}
	p.expiry.Stop()
	delete(f.unconfirmed, id)
	return p, nil
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
		if p.fresh() {
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
	if why == nil || why.Confirm != "" || !p.fresh() {
		return
	}
	why.Quota = "The new grant may count among the 20 refresh tokens that Zoho keeps for a user: " +
		"if it does not appear in the list, revoke it in the user's account at Zoho (Connected Apps)."
	stored, _, err := f.store.LoadGrant(cl.key(p.account), cl.Cache.Secrets())
	if err == nil && stored.RefreshToken != p.grant.RefreshToken && cl.revoke(ctx, p.grant) == nil {
		why.Quota = "The new grant was given back to Zoho, " +
			"and does not count among the 20 refresh tokens that it keeps for a user."
	}
}
