package onboard

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// revoke gives a grant back to Zoho. One that Zoho does not know any more is as good as
// given back.
func (cl *Client) revoke(ctx context.Context, g tokencache.Grant) error {
	accounts, err := cl.accounts(g)
	if err != nil {
		return err
	}
	err = accounts.Revoke(ctx, g.RefreshToken)
	var failure *zoho.Failure
	if errors.As(err, &failure) && failure.Kind == zoho.FailureGrantDead {
		return nil
	}
	return err
}

// revoke notes what became of a grant that was to be given back, whatever that is.
func (r *Result) revoke(ctx context.Context, cl *Client, g tokencache.Grant, otherwise string) {
	if err := cl.revoke(ctx, g); err != nil {
		r.Warnings = append(r.Warnings, otherwise+": "+err.Error())
		return
	}
	r.Revoked = true
}

// Revoke gives the stored grant of an account back to Zoho, and then forgets it. If Zoho
// cannot be asked, nothing is forgotten.
func (f *Flow) Revoke(ctx context.Context, cl *Client, account string) (Result, *Error) {
	grant, err := f.stored(cl, account)
	if err != nil {
		return Result{}, err
	}
	if err := cl.revoke(ctx, grant); err != nil {
		return Result{}, &Error{Status: http.StatusBadGateway, Code: "not-revoked", Text: "Zoho did not revoke the grant, so it was not forgotten: " + err.Error() + ".",
			Remedy: "Try again, or forget it here and revoke it in the user's account at Zoho (Connected Apps)."}
	}
	result, err := f.drop(cl, account, grant)
	result.Revoked = err == nil
	return result, err
}

// Forget drops the stored grant of an account, one that cannot be read included. At Zoho
// it lives on.
func (f *Flow) Forget(cl *Client, account string) (Result, *Error) {
	grant, err := f.stored(cl, account)
	if err != nil && err.Code != codeStore {
		return Result{}, err
	}
	return f.drop(cl, account, grant)
}

// stored is the grant of an account that was connected here.
func (f *Flow) stored(cl *Client, account string) (tokencache.Grant, *Error) {
	if cl.Configured(account) {
		e := errConfigured(cl, account)
		e.Remedy = "Take its refresh_token out of the configuration; revoke it in the user's account at Zoho (Connected Apps)."
		return tokencache.Grant{}, e
	}
	grant, found, err := f.store.LoadGrant(cl.key(account), cl.Cache.Secrets())
	switch {
	case err != nil:
		return grant, errStore(err)
	case !found:
		return grant, errNoGrant(cl, account)
	}
	return grant, nil
}

func (f *Flow) drop(cl *Client, account string, grant tokencache.Grant) (Result, *Error) {
	key := cl.key(account)
	if err := f.store.DeleteGrant(key); err != nil {
		return Result{}, errStore(err)
	}
	f.cache.GrantChanged(key)
	f.Gone(key)
	return cl.result(account, grant), nil
}
