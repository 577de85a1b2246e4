package onboard

import (
	"context"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// revoke notes what became of a grant that was to be given back, whatever that is.
func (r *Result) revoke(ctx context.Context, cl *Client, g tokencache.Grant, otherwise string) {
	if err := cl.revoke(ctx, g); err != nil {
		r.warn("%s: %v", otherwise, err)
		return
	}
	r.Revoked = true
}

// Revoke gives the stored grant of an account back to Zoho, and then forgets it; where there is
// none because the client itself asks for tokens, it ends the access token. If Zoho
// cannot be asked, nothing is forgotten. One that other accounts have as well is given back
// if shared says that this is known.
func (f *Flow) Revoke(ctx context.Context, cl *Client, account string, shared bool) (Result, error) {
	if cl.byClient(account) {
		return f.revokeToken(ctx, cl, account)
	}
	grant, err := f.stored(cl, account)
	if err != nil {
		return Result{}, err
	}
	others, err := f.sharers(cl, account, grant)
	switch {
	case shared:
	case err != nil:
		return Result{}, err
	case len(others) > 0:
		return Result{}, errShared(cl, account, others)
	}
	if err := cl.revoke(ctx, grant); err != nil {
		return Result{}, errNotRevoked(err)
	}
	result, err := f.revoked(cl, account, grant)
	if len(others) > 0 {
		result.warn("%s had the same refresh token, and needs consent now", accountList(others))
	}
	return result, err
}

// revokeToken ends the access token that is in use. Whoever calls next gets another one.
func (f *Flow) revokeToken(ctx context.Context, cl *Client, account string) (Result, error) {
	conn, err := f.cache.Conn(cl.Cache, account)
	if err != nil {
		return Result{}, errStore(err)
	}
	token, err := conn.Kept(cl.Cache)
	if err != nil {
		return Result{}, errStore(err)
	}
	grant, _, _ := cl.Cache.Grant(account)
	result := cl.result(account, grant)
	result.GrantType = grant.GrantType
	if token == nil {
		result.warn("no access token lives, so there is nothing to revoke")
		return result, nil
	}
	if err := cl.revoke(ctx, tokencache.Grant{RefreshToken: token.Value, AccountsServer: grant.AccountsServer}); err != nil {
		return Result{}, errTokenNotRevoked(err)
	}
	result.Revoked = true
	if err := conn.Discard(cl.Cache, token.Generation); err != nil {
		result.warn("the store still has the access token, which is worth nothing any more: %v", err)
	}
	result.warn("the next call gets another access token; to end that, take the account out of the configuration")
	return result, nil
}

// revoked drops a grant that Zoho has no more, unless the account has another one by now.
func (f *Flow) revoked(cl *Client, account string, grant tokencache.Grant) (Result, error) {
	c, err := f.beginChange(cl.key(account))
	if err != nil {
		return Result{}, errRevokedOnly(cl, account, err)
	}
	defer c.end()
	result := cl.result(account, grant)
	result.Revoked = true
	if older := grant.RefreshTokens - 1; older > 0 {
		result.warn("%d older refresh tokens of this account were replaced and not revoked: "+
			"they live on until they are ended in the user's account at Zoho (Connected Apps)", older)
	}
	now, err := f.stored(cl, account)
	switch {
	case hasCode(err, codeNoGrant, codeConfigured):
		return result, nil
	case err == nil && now.RefreshToken != grant.RefreshToken:
		result.warn("the account was connected anew meanwhile, and stays so")
		return result, nil
	}
	if err := f.deleteGrant(c, cl, account); err != nil {
		return Result{}, errRevokedOnly(cl, account, err)
	}
	return result, nil
}

// revokeOld gives the grant that was replaced back, unless other accounts live by it.
func (f *Flow) revokeOld(ctx context.Context, cl *Client, r *Result, old tokencache.Grant) {
	const kept = "the grant before was not revoked"
	others, err := f.sharers(cl, r.Account, old)
	switch {
	case err != nil:
		r.warn("%s: %s", kept, asError(err).Text)
		return
	case len(others) > 0:
		r.warn("%s: %s has it as well", kept, accountList(others))
		return
	}
	r.revoke(ctx, cl, old, kept)
}

// sharers are the other accounts that have the same refresh token. The error tells that one
// of them cannot be read, so that there may be more.
func (f *Flow) sharers(cl *Client, account string, g tokencache.Grant) (names []string, unread error) {
	for _, of := range append([]*tokencache.Client{cl.Cache}, cl.Siblings()...) {
		for _, name := range f.cache.Accounts(of) {
			key := tokencache.Key{Client: of.Name, Account: name}
			if key == cl.key(account) {
				continue
			}
			if of != cl.Cache {
				name = key.String()
			}
			other, configured, err := of.Grant(key.Account)
			if !configured {
				other, _, err = f.store.LoadGrant(key, of.Secrets())
			}
			if err != nil && unread == nil {
				unread = errSharer(name, err)
			}
			if other.RefreshToken == g.RefreshToken && other.AccountsServer == g.AccountsServer {
				names = append(names, name)
			}
		}
	}
	return names, unread
}

// Forget drops the stored grant of an account, one that cannot be read included. At Zoho
// it lives on.
func (f *Flow) Forget(cl *Client, account string) (Result, error) {
	c, err := f.beginChange(cl.key(account))
	if err != nil {
		return Result{}, err
	}
	defer c.end()
	grant, err := f.stored(cl, account)
	if err != nil && !(hasCode(err, codeStore) && f.store.HasGrant(cl.key(account))) {
		return Result{}, err
	}
	if err := f.deleteGrant(c, cl, account); err != nil {
		return Result{}, err
	}
	result := cl.result(account, grant)
	result.warn("its refresh token lives on at Zoho, and keeps its place among the 20 of its user, " +
		"until it is ended there (Connected Apps)")
	return result, nil
}

// stored is the grant of an account that was connected here.
func (f *Flow) stored(cl *Client, account string) (tokencache.Grant, error) {
	if cl.byClient(account) {
		return tokencache.Grant{}, errNothingStored(cl, account)
	}
	if cl.configured(account) {
		return tokencache.Grant{}, errConfigured(cl, account, "Take its refresh_token out of the configuration; "+
			"revoke it in the user's account at Zoho (Connected Apps).")
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

func (f *Flow) deleteGrant(c *change, cl *Client, account string) error {
	key := cl.key(account)
	if c.late() {
		return errChanging(key)
	}
	err := f.store.DeleteGrant(key)
	f.cache.GrantChanged(key)
	if err != nil {
		return errStore(err)
	}
	f.Gone(key)
	return nil
}
