package onboard

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Finish takes the callback of a consent: exchanges the code where it was given, and
// stores the grant before it says so. An error leaves what was stored as it was.
func (f *Flow) Finish(ctx context.Context, cl *Client, cb Callback, browser string) (Result, *Error) {
	result, _, err := f.finish(ctx, cl, cb, browser)
	return result, err
}

func (f *Flow) finish(ctx context.Context, cl *Client, cb Callback, browser string) (Result, *consent, *Error) {
	if cb.repeated {
		return Result{}, nil, errCallback("The answer names a parameter twice, which Zoho does not do. Nothing in it was used.", "Begin the consent anew.")
	}
	c, err := f.take(cl, cb.State, browser)
	if err != nil {
		return Result{}, c, err
	}
	switch {
	case cb.Error != "":
		return Result{}, c, errDenied(cb.Error)
	case cb.Code == "":
		return Result{}, c, errCallback("The answer holds no code.", "Paste the whole address that the browser ended at, or begin anew.")
	}
	center := cl.Centers[0]
	if cb.AccountsServer != "" {
		var ok bool
		if center, ok = cl.center(cb.AccountsServer); !ok {
			return Result{}, c, errServer(cl, cb.AccountsServer)
		}
	}
	if err := f.invited(cl, c.invitation); err != nil {
		return Result{}, c, err
	}
	cand, failed := f.exchange(ctx, cl, center, c.Account, cb.Code, c.RedirectURI)
	if failed != nil {
		return Result{}, c, errCallbackCode(failed, cb, center)
	}
	cand.browser, cand.invited, cand.revokeOld = c.browser, c.invitation, c.RevokeOld
	result, err := f.settle(ctx, cl, cand, false)
	return result, c, err
}

// SelfClient takes a code that Zoho's API console made for a self client; center is where
// the console was. With replace a grant of somebody else's is replaced without a question,
// with revokeOld the one that is replaced is given back.
func (f *Flow) SelfClient(ctx context.Context, cl *Client, center zoho.DataCenter, account, code string, replace, revokeOld bool) (Result, *Error) {
	if err := cl.mayReplace(account); err != nil {
		return Result{}, err
	}
	cand, err := f.exchange(ctx, cl, center, account, code, "")
	if err != nil {
		return Result{}, errSelfClientCode(ctx, err, cl, center)
	}
	cand.revokeOld = revokeOld
	return f.settle(ctx, cl, cand, replace)
}

// Import takes a refresh token that another program was given.
func (f *Flow) Import(ctx context.Context, cl *Client, center zoho.DataCenter, account, refreshToken string, replace bool) (Result, *Error) {
	if err := cl.mayReplace(account); err != nil {
		return Result{}, err
	}
	if refreshToken == "" || len(refreshToken) > 4096 || strings.ContainsFunc(refreshToken, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Result{}, &Error{Status: http.StatusBadRequest, Code: "refresh-token", Text: "This is no refresh token.",
			Remedy: "It is printable text without blanks, such as 1000.….…, alone on its line."}
	}
	grant := tokencache.Grant{RefreshToken: refreshToken, AccountsServer: center.Accounts, GrantedAt: time.Now()}
	return f.settle(ctx, cl, candidateFor(cl, account, grant), replace)
}

// exchange trades a code for tokens, at the data center that it was given at. Several
// secrets are tried in order: a refused one does not use the code up.
func (f *Flow) exchange(ctx context.Context, cl *Client, center zoho.DataCenter, account, code, redirectURI string) (*candidate, error) {
	ctx = context.WithoutCancel(ctx) // who closes the browser now must not lose the code
	failed := errNoSecret(center)
	for _, accounts := range cl.Accounts(center) {
		reply, err := accounts.Exchange(ctx, code, redirectURI)
		var failure *zoho.Failure
		if errors.As(err, &failure) && failure.Kind == zoho.FailureClientRejected {
			failed = err
			continue
		}
		if err != nil {
			return nil, err
		}
		if reply.RefreshToken == "" {
			return nil, errNoRefreshToken()
		}
		scopes := zoho.SplitScopes(reply.Scope)
		if len(scopes) == 0 && redirectURI != "" {
			scopes = cl.Scopes
		}
		grant := tokencache.Grant{RefreshToken: reply.RefreshToken, AccountsServer: center.Accounts, APIDomain: reply.APIDomain,
			Scopes: slices.Clone(scopes), GrantedAt: time.Now()}
		f.cache.Count(cl.Cache, cl.key(account), grant)
		cand := candidateFor(cl, account, grant)
		cand.reply = reply
		return cand, nil
	}
	return nil, failed
}

// settle has a grant prove itself by a renewal, compares it with the one before, and
// stores it.
func (f *Flow) settle(ctx context.Context, cl *Client, cand *candidate, confirmed bool) (_ Result, err *Error) {
	ctx = context.WithoutCancel(ctx) // who closes the browser now must not lose the grant
	defer func() { f.giveBack(ctx, cl, cand, err) }()
	old, err := f.before(cl, cand)
	if err != nil {
		return Result{}, err
	}
	if err := f.prove(cl, cand); err != nil {
		return Result{}, err
	}
	cand.describe(ctx, cl)
	if old.RefreshToken != "" && !confirmed && differ(old, cand.grant) {
		if cand.invited != nil {
			return Result{}, errTaken()
		}
		return Result{}, f.hold(cl, cand, cl.result(cand.account, old), cl.result(cand.account, cand.grant))
	}
	return f.adopt(ctx, cl, cand, old)
}

// before is the grant that the account has, the zero Grant if it has none.
func (f *Flow) before(cl *Client, cand *candidate) (tokencache.Grant, *Error) {
	old, _, err := f.store.LoadGrant(cl.key(cand.account), cl.Cache.Secrets())
	if err != nil {
		return old, errStore(err)
	}
	return old, nil
}

// prove has a grant bring an access token.
func (f *Flow) prove(cl *Client, cand *candidate) *Error {
	proof, err := f.cache.Prove(cl.Cache, cl.key(cand.account), cand.grant)
	switch {
	case err == nil:
		cand.proof = proof
	case cand.reply.AccessToken == "" || plainlyBad(err):
		return errProof(err, cand)
	default: // A code is used up by now. What its exchange gave is good for an hour at least.
		cand.warnings = append(cand.warnings, "a renewal could not be tried yet: "+err.Error())
	}
	return nil
}

// adopt makes a grant that of its account, in place of the old one.
func (f *Flow) adopt(ctx context.Context, cl *Client, cand *candidate, old tokencache.Grant) (Result, *Error) {
	if err := f.useUp(cand); err != nil {
		return Result{}, err
	}
	replaces := old.RefreshToken != "" && old.RefreshToken != cand.grant.RefreshToken
	another := old.User != "" && cand.grant.User != "" && old.User != cand.grant.User // whose places are his own
	cand.grant.RefreshTokens = 1
	if !another {
		cand.grant.RefreshTokens = max(old.RefreshTokens, 1)
	}
	if replaces && !another && !cand.revokeOld {
		cand.grant.RefreshTokens++
	}
	if err := f.save(cl, cand); err != nil {
		if cand.invited != nil {
			_ = f.store.Unuse(cand.invited.ID) // what was not completed can be tried again
		}
		return Result{}, errStore(err)
	}
	result := cl.result(cand.account, cand.grant)
	result.Replaced, result.Warnings = replaces, cand.warnings
	if replaces && (old.User == "" || cand.grant.User == "") {
		result.Warnings = append(result.Warnings, "whether it is the same user as before is not known; with the scope "+zoho.ScopeProfile+" Zoho says who has consented")
	}
	if replaces && cand.revokeOld {
		f.revokeOld(ctx, cl, &result, old)
		if !result.Revoked && !another { // it keeps its place
			f.countOne(cl, cand, &result)
		}
	}
	result.Warnings = append(result.Warnings, f.PlaceWarnings(cl, cand.account)...)
	f.Connected(result)
	return result, nil
}

// countOne counts one more refresh token of the account. If that cannot be stored, the
// count is one too low.
func (f *Flow) countOne(cl *Client, cand *candidate, result *Result) {
	cand.grant.RefreshTokens++
	result.RefreshTokens = cand.grant.RefreshTokens
	_ = f.store.SaveGrant(cl.key(cand.account), cl.Cache.Secrets(), cand.grant)
	f.cache.GrantChanged(cl.key(cand.account))
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

// plainlyBad tells failures that say something about the grant from those that say
// something about the moment.
func plainlyBad(err error) bool {
	var known *tokencache.Error
	return errors.As(err, &known) && (known.Kind == tokencache.KindDead || known.Kind == tokencache.KindRejected)
}

// save stores a grant, and publishes the token that it has brought.
func (f *Flow) save(cl *Client, cand *candidate) error {
	key := cl.key(cand.account)
	if cand.proof.AccessToken != "" {
		return f.cache.Replace(cl.Cache, key, cand.grant, cand.proof)
	}
	err := f.store.SaveGrant(key, cl.Cache.Secrets(), cand.grant)
	f.cache.GrantChanged(key)
	return err
}
