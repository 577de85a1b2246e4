package onboard

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"sync"
	"time"
)

// hold keeps a grant until a person has confirmed it; one that nobody confirms is given
// back to Zoho, by the client that has brought it.
func (f *Flow) hold(cl *Client, cand *candidate, before, after Result) *Error {
	id := rand.Text()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errClosed()
	}
	f.held[id] = cand
	cand.unwanted = func(ctx context.Context) {
		if cand.fresh() {
			_ = cl.revoke(ctx, cand.grant)
		}
	}
	cand.waits = time.AfterFunc(consentLife, func() {
		f.Guard(func() {
			if _, err := f.release(cl, id, cand.browser); err == nil {
				cand.unwanted(context.Background())
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
	held := f.held
	f.held, f.closed = make(map[string]*candidate), true
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	var running sync.WaitGroup
	for _, cand := range held {
		cand.waits.Stop()
		running.Go(func() { f.Guard(func() { cand.unwanted(ctx) }) })
	}
	running.Wait()
}

// release gives out a grant that was held, once, in the browser that brought it.
func (f *Flow) release(cl *Client, id string, browser browserID) (*candidate, *Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cand := f.held[id]
	if cand == nil || cand.client != cl.Name || subtle.ConstantTimeCompare(cand.browser[:], browser[:]) != 1 {
		return nil, errState("There is nothing to confirm here any more.")
	}
	cand.waits.Stop()
	delete(f.held, id)
	return cand, nil
}

// Confirm stores a grant that was held, or drops it: a fresh one is given back to Zoho. If
// the account has another grant by now than the one that was asked about, it asks again.
func (f *Flow) Confirm(ctx context.Context, cl *Client, id, browser string, accept bool) (_ Result, err *Error) {
	cand, err := f.release(cl, id, identify(browser))
	if err != nil {
		return Result{}, err
	}
	ctx = context.WithoutCancel(ctx) // who closes the browser now must not lose the grant, or keep it
	if !accept {
		result := cl.result(cand.account, cand.grant)
		if cand.fresh() {
			result.revoke(ctx, cl, cand.grant, "the new grant was dropped, but could not be revoked at Zoho")
		}
		return result, nil
	}
	defer func() { f.giveBack(ctx, cl, cand, err) }()
	return f.adopt(ctx, cl, cand)
}

// giveBack revokes a fresh grant that was not stored for some reason: at Zoho it would
// keep its place for ever. A store that failed late may have it all the same.
func (f *Flow) giveBack(ctx context.Context, cl *Client, cand *candidate, why *Error) {
	if why == nil || why.Confirm != "" || !cand.fresh() {
		return
	}
	why.Places = "The new grant may count among the 20 refresh tokens that Zoho keeps for a user: if it does not appear in the list, revoke it in the user's account at Zoho (Connected Apps)."
	stored, _, err := f.store.LoadGrant(cl.key(cand.account), cl.Cache.Secrets())
	if err == nil && stored.RefreshToken != cand.grant.RefreshToken && cl.revoke(ctx, cand.grant) == nil {
		why.Places = "The new grant was given back to Zoho, and does not count among the 20 refresh tokens that it keeps for a user."
	}
}
