package onboard

import (
	"context"
	"errors"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// storeGrant makes a grant that of its account, and gives the one before back if that is wanted.
func (f *Flow) storeGrant(ctx context.Context, cl *Client, p *pendingGrant) (Result, error) {
	result, old, err := f.replace(cl, p)
	if err != nil {
		return Result{}, err
	}
	if result.Replaced && p.revokeOld && old.RefreshToken != "" {
		f.revokeOld(ctx, cl, &result, old)
		if !result.Revoked && !differentUsers(old, p.grant) { // it keeps its place
			f.countOne(cl, p, &result)
		}
	}
	result.Warnings = append(result.Warnings, f.QuotaWarnings(cl, p.account)...)
	f.Connected(result)
	return result, nil
}

// replace stores a grant in place of the one that the account has by now, unless a person
// has to be asked about that one first.
func (f *Flow) replace(cl *Client, p *pendingGrant) (_ Result, old tokencache.Grant, err error) {
	c, err := f.beginChange(cl.key(p.account))
	if err != nil {
		return Result{}, old, err
	}
	defer c.end()
	if err := cl.mayReplace(p.account); err != nil {
		return Result{}, old, err
	}
	old, lost, err := f.currentGrant(cl, p.account, p.replace || p.replaceLost)
	if err != nil {
		return Result{}, old, err
	}
	if p.asks(old) && !f.mayTakeOver(cl, p) {
		if p.invited != nil {
			return Result{}, old, errTaken()
		}
		p.asked = old.RefreshToken
		return Result{}, old, f.askFirst(cl, p, cl.result(p.account, old), cl.result(p.account, p.grant))
	}
	if err := f.consumeInvitation(cl, p); err != nil {
		return Result{}, old, err
	}
	replaces := old.RefreshToken != "" && old.RefreshToken != p.grant.RefreshToken
	p.grant.RefreshTokens = p.tokensKnown(old, replaces)
	store := f.cache.Replace
	if lost {
		store = f.cache.ReplaceUnreadable
		p.warnings = append(p.warnings, "the grant before could not be read, so it was neither compared nor revoked: "+
			"it lives on at Zoho, and keeps its place among the 20 of its user, "+
			"until it is ended there (Connected Apps)")
	}
	if c.late() {
		return Result{}, old, errChanging(cl.key(p.account))
	}
	p.saving = true
	if err := store(cl.Cache, cl.key(p.account), p.grant, p.proof); err != nil {
		if p.invited != nil && !errors.Is(err, tokencache.ErrAway) { // then it may be stored all the same
			_ = f.store.ReturnNonce(p.invited.ID) // what was not completed can be tried again
		}
		return Result{}, old, errStore(err)
	}
	result := cl.result(p.account, p.grant)
	result.Replaced, result.Warnings = replaces || lost, p.warnings
	if replaces && p.soid == "" && (old.User == "" || p.grant.User == "") {
		result.warn("whether it is the same user as before is not known, since Zoho has not said who gave %s; "+
			"with the scope %s it does", unnamed(old, p.grant), zoho.ScopeProfile)
	}
	return result, old, nil
}

// tokensKnown are the refresh tokens that the account's user has then, as far as they are known.
func (p *pendingGrant) tokensKnown(old tokencache.Grant, replaces bool) int {
	switch {
	case differentUsers(old, p.grant):
		return 1
	case replaces && !p.revokeOld:
		return max(old.RefreshTokens, 1) + 1
	}
	return max(old.RefreshTokens, 1)
}

// MayConnect tells why no grant can be stored for an account, before anybody is asked for one.
func (f *Flow) MayConnect(cl *Client, account string, replaceLost bool) error {
	if err := cl.mayReplace(account); err != nil {
		return err
	}
	return f.checkStore(cl, account, replaceLost)
}

// checkStore reports whether a grant could be stored, before one is asked for: a code is good once, and
// a consent takes a place at Zoho.
func (f *Flow) checkStore(cl *Client, account string, replaceLost bool) error {
	if _, _, err := f.currentGrant(cl, account, replaceLost); err != nil {
		return err
	}
	if err := f.store.TryWrite(); err != nil {
		return errStore(err)
	}
	return nil
}

// currentGrant is the grant that the account has, the zero Grant if it has none. One that cannot
// be read is an error, unless it may be replaced and a person has agreed to that: then it
// is lost.
func (f *Flow) currentGrant(cl *Client, account string, replaceLost bool) (old tokencache.Grant, lost bool, _ error) {
	old, _, err := f.store.LoadGrant(cl.key(account), cl.Cache.Secrets())
	switch {
	case err == nil:
		return old, false, nil
	case !replaceable(err):
		return old, false, errStore(err)
	case !replaceLost:
		return old, false, errLost(err)
	}
	return old, true, nil
}

func replaceable(err error) bool {
	var known *tokencache.StoreError
	return errors.As(err, &known) && known.Replaceable
}

// Unreadable reports whether the account has a grant which cannot be read, and may be replaced.
func (f *Flow) Unreadable(cl *Client, account string) bool {
	_, _, err := f.store.LoadGrant(cl.key(account), cl.Cache.Secrets())
	return replaceable(err)
}

// unnamed says which of two grants are nobody's that is known.
func unnamed(old, now tokencache.Grant) string {
	switch {
	case now.User != "":
		return "the one before"
	case old.User != "":
		return "this one"
	}
	return "either grant"
}

// differentUsers reports whether two grants are of different users, each of whom has places of their own.
func differentUsers(old, now tokencache.Grant) bool {
	return old.User != "" && now.User != "" && old.User != now.User
}

func (f *Flow) saveGrant(cl *Client, account string, grant tokencache.Grant) error {
	err := f.store.SaveGrant(cl.key(account), cl.Cache.Secrets(), grant)
	f.cache.GrantChanged(cl.key(account))
	return err
}

// countOne counts one more refresh token of the account's user, with the grant that it has by now.
// If that cannot be stored, the count is one too low.
func (f *Flow) countOne(cl *Client, p *pendingGrant, result *Result) {
	c, err := f.beginChange(cl.key(p.account))
	if err != nil {
		return
	}
	defer c.end()
	grant, _, err := f.currentGrant(cl, p.account, false)
	if err != nil || grant.RefreshToken == "" || differentUsers(grant, p.grant) || c.late() {
		return
	}
	grant.RefreshTokens++
	result.RefreshTokens = grant.RefreshTokens
	_ = f.saveGrant(cl, p.account, grant)
}
