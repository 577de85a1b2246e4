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
	if err := cl.notACode(cl.Centers[0], cb.Code); err != nil { // the consent goes on
		return Result{}, nil, err
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
	if err := cl.mayReplace(c.Account); err != nil {
		return Result{}, c, err
	}
	if err := f.ready(cl, c.Account, c.ReplaceLost); err != nil {
		return Result{}, c, err
	}
	cand, failed := f.exchange(ctx, cl, center, c.Account, cb.Code, c.RedirectURI)
	if failed != nil {
		return Result{}, c, errCallbackCode(failed, cb, center)
	}
	cand.browser, cand.invited, cand.revokeOld, cand.replaceLost = c.browser, c.invitation, c.RevokeOld, c.ReplaceLost
	result, err := f.settle(ctx, cl, cand)
	return result, c, err
}

// SelfClient takes a code that Zoho's API console made for a self client; center is where
// the console was. With replace a grant of somebody else's is replaced without a question,
// or one that cannot be read; with revokeOld the one that is replaced is given back.
func (f *Flow) SelfClient(ctx context.Context, cl *Client, center zoho.DataCenter, account, code string, replace, revokeOld bool) (Result, *Error) {
	if err := cl.mayReplace(account); err != nil {
		return Result{}, err
	}
	if err := cl.notACode(center, code); err != nil {
		return Result{}, err
	}
	if err := f.ready(cl, account, replace); err != nil {
		return Result{}, err
	}
	cand, err := f.exchange(ctx, cl, center, account, code, "")
	if err != nil {
		return Result{}, errSelfClientCode(ctx, err, cl, center)
	}
	cand.replace, cand.revokeOld = replace, revokeOld
	return f.settle(ctx, cl, cand)
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
	if err := cl.notARefreshToken(center, refreshToken); err != nil {
		return Result{}, err
	}
	if _, _, err := f.before(cl, account, replace); err != nil { // a store that fails costs no token call
		return Result{}, err
	}
	grant := tokencache.Grant{RefreshToken: refreshToken, AccountsServer: center.Accounts, GrantedAt: time.Now()}
	cand := candidateFor(cl, account, grant)
	cand.replace = replace
	return f.settle(ctx, cl, cand)
}

// exchange trades a code for tokens, at the data center that it was given at. Several
// secrets are tried in order: a refused one does not use the code up.
func (f *Flow) exchange(ctx context.Context, cl *Client, center zoho.DataCenter, account, code, redirectURI string) (*candidate, error) {
	ctx = context.WithoutCancel(ctx) // who closes the browser now must not lose the code
	failed := errNoSecret(center)
	for _, accounts := range cl.Accounts(center) {
		asked := time.Now()
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
		cand := candidateFor(cl, account, grant)
		cand.exchanged = f.cache.Exchanged(cl.Cache, cl.key(account), grant, tokencache.Fetched{
			AccessToken: reply.AccessToken, Life: reply.ExpiresIn - time.Since(asked), APIDomain: reply.APIDomain, Scope: reply.Scope})
		return cand, nil
	}
	return nil, failed
}

// settle has a grant prove itself by a renewal, and makes it that of its account.
func (f *Flow) settle(ctx context.Context, cl *Client, cand *candidate) (_ Result, err *Error) {
	ctx = context.WithoutCancel(ctx) // who closes the browser now must not lose the grant
	defer func() { f.giveBack(ctx, cl, cand, err) }()
	if err := f.prove(cl, cand); err != nil {
		return Result{}, err
	}
	cand.describe(ctx, cl)
	return f.adopt(ctx, cl, cand)
}

// prove has a grant bring an access token.
func (f *Flow) prove(cl *Client, cand *candidate) *Error {
	proof, err := f.cache.Prove(cl.Cache, cl.key(cand.account), cand.grant)
	switch {
	case err == nil:
		cand.proof = proof
	case !cand.fresh() || plainlyBad(err):
		return errProof(err, cand)
	default: // A code is used up by now, and what its exchange has given is good for an hour.
		cand.proof = cand.exchanged
		cand.warnings = append(cand.warnings, "a renewal could not be tried yet: "+err.Error())
	}
	return nil
}

// plainlyBad tells failures that say something about the grant from those that say
// something about the moment.
func plainlyBad(err error) bool {
	var known *tokencache.Error
	return errors.As(err, &known) && (known.Kind == tokencache.KindDead || known.Kind == tokencache.KindRejected)
}
