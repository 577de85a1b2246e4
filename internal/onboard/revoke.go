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
// cannot be asked, nothing is forgotten. One that other accounts have as well is given back
// if shared says that this is known.
func (f *Flow) Revoke(ctx context.Context, cl *Client, account string, shared bool) (Result, *Error) {
	grant, err := f.stored(cl, account)
	if err != nil {
		return Result{}, err
	}
	others := f.sharers(cl, account, grant)
	if len(others) > 0 && !shared {
		return Result{}, errShared(cl, account, others)
	}
	if err := cl.revoke(ctx, grant); err != nil {
		return Result{}, &Error{Status: http.StatusBadGateway, Code: "not-revoked", Text: "Zoho did not revoke the grant, so it was not forgotten: " + err.Error() + ".",
			Remedy: "Try again, or forget it here and revoke it in the user's account at Zoho (Connected Apps)."}
	}
	result, err := f.drop(cl, account, grant)
	result.Revoked = err == nil
	if len(others) > 0 {
		result.Warnings = append(result.Warnings, accountList(others)+" had the same refresh token, and needs consent now")
	}
	return result, err
}

// revokeOld gives the grant that was replaced back, unless other accounts live by it.
func (f *Flow) revokeOld(ctx context.Context, cl *Client, r *Result, old tokencache.Grant) {
	const kept = "the grant before was not revoked"
	if others := f.sharers(cl, r.Account, old); len(others) > 0 {
		r.Warnings = append(r.Warnings, kept+": "+accountList(others)+" has it as well")
		return
	}
	r.revoke(ctx, cl, old, kept)
}

// sharers are the client's other accounts that have the same refresh token.
func (f *Flow) sharers(cl *Client, account string, g tokencache.Grant) (names []string) {
	for _, name := range f.cache.Accounts(cl.Cache) {
		if name == account {
			continue
		}
		other, configured, _ := cl.Cache.Grant(name)
		if !configured {
			other, _, _ = f.store.LoadGrant(cl.key(name), cl.Cache.Secrets())
		}
		if other.RefreshToken == g.RefreshToken && other.AccountsServer == g.AccountsServer {
			names = append(names, name)
		}
	}
	return names
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
	if cl.configured(account) {
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
