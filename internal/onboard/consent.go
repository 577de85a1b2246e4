package onboard

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Begin notes a consent and gives the address at Zoho that the browser is sent to, and
// the state that the callback brings back.
func (f *Flow) Begin(cl *Client, s Start) (url, state string, _ error) {
	if err := cl.mayReplace(s.Account); err != nil {
		return "", "", err
	}
	switch {
	case len(cl.Scopes) == 0:
		return "", "", errNoScopes(cl)
	case s.RedirectURI == "":
		return "", "", errNoRedirectURI(cl)
	}
	c := &consent{
		Start:   s,
		client:  cl.Name,
		browser: identify(s.Browser),
		origin:  s.originOf(),
		expires: time.Now().Add(consentLife),
	}
	state = rand.Text()
	if err := f.register(s.startsOf(cl), state, c); err != nil { // before anything is written
		return "", "", err
	}
	if err := f.checkStore(cl, s.Account, s.ReplaceLost); err != nil {
		f.unregister(s.startsOf(cl), state)
		return "", "", err
	}
	accounts := zoho.Accounts{DataCenter: cl.Centers[0], ClientID: cl.ID()}
	params := zoho.AuthorizeParams{RedirectURI: s.RedirectURI, State: state, Scopes: cl.Scopes}
	return accounts.AuthorizeURL(params), state, nil
}

// startsOf is what starts are counted by: whoever has an invitation is not to keep the
// operator from the account.
func (s *Start) startsOf(cl *Client) tokencache.Key {
	key := cl.key(s.Account)
	if s.invitation != nil {
		key.Account += " by invitation " + s.invitation.ID
	}
	return key
}

// Finish takes the callback of a consent: exchanges the code where it was given, and
// stores the grant before it says so. An error leaves what was stored as it was.
func (f *Flow) Finish(ctx context.Context, cl *Client, cb Callback, browser string) (Result, error) {
	result, _, err := f.finish(ctx, cl, cb, browser)
	return result, err
}

func (f *Flow) finish(ctx context.Context, cl *Client, cb Callback, browser string) (Result, *consent, error) {
	if cb.repeated {
		return Result{}, nil, errCallback(
			"The answer names a parameter twice, which Zoho does not do. Nothing in it was used.",
			"Begin the consent anew.")
	}
	if err := cl.validateCode(cl.Centers[0], cb.Code); err != nil { // the consent goes on
		return Result{}, nil, err
	}
	c, err := f.takeConsent(cl, cb.State, browser)
	if err != nil {
		return Result{}, c, err
	}
	switch {
	case cb.Error != "":
		return Result{}, c, errDenied(cb.Error)
	case cb.Code == "":
		return Result{}, c, errCallback("The answer holds no code.",
			"Paste the whole address that the browser ended at, or begin anew.")
	}
	center := cl.Centers[0]
	if cb.AccountsServer != "" {
		var ok bool
		if center, ok = cl.center(cb.AccountsServer); !ok {
			return Result{}, c, errServer(cl, cb.AccountsServer)
		}
	}
	if err := f.checkInvitation(cl, c.invitation); err != nil {
		return Result{}, c, err
	}
	if err := cl.mayReplace(c.Account); err != nil {
		return Result{}, c, err
	}
	if err := f.checkStore(cl, c.Account, c.ReplaceLost); err != nil {
		return Result{}, c, err
	}
	p, failed := f.exchange(ctx, cl, center, c.Account, cb.Code, c.RedirectURI)
	if failed != nil {
		return Result{}, c, errCallbackCode(failed, cb, center)
	}
	p.browser, p.invited, p.revokeOld, p.replaceLost = c.browser, c.invitation, c.RevokeOld, c.ReplaceLost
	result, err := f.complete(ctx, cl, p)
	return result, c, err
}
