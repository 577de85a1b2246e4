package onboard

import (
	"context"
	"fmt"
	"net/http"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Accounts whose tokens the client itself asks for: nobody consents, and nothing is stored but the
// access token.

// byClient reports whether an account is one of those.
func (cl *Client) byClient(account string) bool {
	g, configured, err := cl.Cache.Grant(account)
	return err == nil && configured && g.GrantType != ""
}

// NothingToConnect is the error for whoever would connect such an account.
func NothingToConnect(client, account string) *Error {
	return &Error{
		Status: http.StatusConflict,
		Code:   codeConfigured,
		Text: fmt.Sprintf("Nothing has to be connected for account %s of client %s: with `grant_type client_credentials` "+
			"the proxy asks for its tokens by client id and secret.", account, client),
		Remedy: fmt.Sprintf("See by `caddy zoho doctor %s %s` whether it works. For a grant by consent take grant_type "+
			"out of the configuration.", client, account),
	}
}

func errNothingStored(cl *Client, account string) error {
	return &Error{
		Status: http.StatusConflict,
		Code:   codeConfigured,
		Text: fmt.Sprintf("There is nothing to forget of account %s of client %s: with `grant_type client_credentials` "+
			"it has no refresh token.", account, cl.Name),
		Remedy: fmt.Sprintf("`caddy zoho revoke %s %s` ends its access token; to be rid of the account, "+
			"take it out of the configuration.", cl.Name, account),
	}
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

func errTokenNotRevoked(err error) error {
	return &Error{
		Status: http.StatusBadGateway,
		Code:   "not-revoked",
		Text:   "Zoho did not revoke the access token: " + err.Error() + ".",
		Remedy: "Try again. It ends by itself within an hour.",
	}
}
