package onboard

import (
	"context"
	"errors"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// adopt makes a grant that of its account, and gives the one before back if that is wanted.
func (f *Flow) adopt(ctx context.Context, cl *Client, cand *candidate) (Result, *Error) {
	result, old, err := f.replace(cl, cand)
	if err != nil {
		return Result{}, err
	}
	if result.Replaced && cand.revokeOld && old.RefreshToken != "" {
		f.revokeOld(ctx, cl, &result, old)
		if !result.Revoked && !another(old, cand.grant) { // it keeps its place
			f.countOne(cl, cand, &result)
		}
	}
	result.Warnings = append(result.Warnings, f.PlaceWarnings(cl, cand.account)...)
	f.Connected(result)
	return result, nil
}

// replace stores a grant in place of the one that the account has by now, unless a person
// has to be asked about that one first.
func (f *Flow) replace(cl *Client, cand *candidate) (_ Result, old tokencache.Grant, err *Error) {
	f.changing.Lock()
	defer f.changing.Unlock()
	if err := cl.mayReplace(cand.account); err != nil {
		return Result{}, old, err
	}
	old, lost, err := f.before(cl, cand.account, cand.replace || cand.replaceLost)
	if err != nil {
		return Result{}, old, err
	}
	if cand.asks(old) {
		if cand.invited != nil {
			return Result{}, old, errTaken()
		}
		cand.asked = old.RefreshToken
		return Result{}, old, f.hold(cl, cand, cl.result(cand.account, old), cl.result(cand.account, cand.grant))
	}
	if err := f.useUp(cand); err != nil {
		return Result{}, old, err
	}
	replaces := old.RefreshToken != "" && old.RefreshToken != cand.grant.RefreshToken
	cand.grant.RefreshTokens = cand.places(old, replaces)
	store := f.cache.Replace
	if lost {
		store = f.cache.ReplaceUnreadable
		cand.warnings = append(cand.warnings, "the grant before could not be read, so it was neither compared nor revoked: it lives on at Zoho, and keeps its place among the 20 of its user, until it is ended there (Connected Apps)")
	}
	if err := store(cl.Cache, cl.key(cand.account), cand.grant, cand.proof); err != nil {
		if cand.invited != nil {
			_ = f.store.Unuse(cand.invited.ID) // what was not completed can be tried again
		}
		return Result{}, old, errStore(err)
	}
	result := cl.result(cand.account, cand.grant)
	result.Replaced, result.Warnings = replaces || lost, cand.warnings
	if replaces && (old.User == "" || cand.grant.User == "") {
		result.Warnings = append(result.Warnings, "whether it is the same user as before is not known, since Zoho has not said who gave "+unnamed(old, cand.grant)+"; with the scope "+zoho.ScopeProfile+" it does")
	}
	return result, old, nil
}

// places are the refresh tokens that the account's user has then, as far as they are known.
func (cand *candidate) places(old tokencache.Grant, replaces bool) int {
	switch {
	case another(old, cand.grant):
		return 1
	case replaces && !cand.revokeOld:
		return max(old.RefreshTokens, 1) + 1
	}
	return max(old.RefreshTokens, 1)
}

// ready reports whether a grant could be stored, before one is asked for: a code is good once, and
// a consent takes a place at Zoho.
func (f *Flow) ready(cl *Client, account string, replaceLost bool) *Error {
	if _, _, err := f.before(cl, account, replaceLost); err != nil {
		return err
	}
	if err := f.store.TryWrite(); err != nil {
		return errStore(err)
	}
	return nil
}

// before is the grant that the account has, the zero Grant if it has none. One that cannot
// be read is an error, unless it may be replaced and a person has agreed to that: then it
// is lost.
func (f *Flow) before(cl *Client, account string, replaceLost bool) (old tokencache.Grant, lost bool, _ *Error) {
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

// Unreadable tells that the account has a grant which cannot be read, and may be replaced.
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

// another tells that two grants are of different users, each of whom has places of their own.
func another(old, now tokencache.Grant) bool {
	return old.User != "" && now.User != "" && old.User != now.User
}

// useUp ends an invitation, before what it brought is stored: of several browsers that
// come back at the same time one is served. What the others brought is given back.
func (f *Flow) useUp(cand *candidate) *Error {
	if cand.invited == nil {
		return nil
	}
	first, err := f.store.UseOnce(cand.invited.ID, cand.invited.Expires)
	switch {
	case err != nil:
		return errStore(err)
	case !first:
		return errInvitation("This invitation was used.")
	}
	return nil
}

func (f *Flow) put(cl *Client, account string, grant tokencache.Grant) error {
	err := f.store.SaveGrant(cl.key(account), cl.Cache.Secrets(), grant)
	f.cache.GrantChanged(cl.key(account))
	return err
}

// countOne counts one more refresh token of the account's user, with the grant that it has by now.
// If that cannot be stored, the count is one too low.
func (f *Flow) countOne(cl *Client, cand *candidate, result *Result) {
	f.changing.Lock()
	defer f.changing.Unlock()
	grant, _, err := f.before(cl, cand.account, false)
	if err != nil || grant.RefreshToken == "" || another(grant, cand.grant) {
		return
	}
	grant.RefreshTokens++
	result.RefreshTokens = grant.RefreshTokens
	_ = f.put(cl, cand.account, grant)
}
