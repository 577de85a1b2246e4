package zoho

import (
	"context"
	"net/url"
	"strings"
)

// EnhanceToken asks for a token by which the user of a refresh token can add scopes to it, in a
// browser at EnhanceURL (zoho.com/accounts/protocol/oauth/incremental-auth/initiation-request.html).
// It lives for ten minutes and is no access token. The refresh token stays as it is, and the call
// counts against none of its limits. Zoho does this for server-based applications. What it answers
// to other kinds of clients is not documented; the error is a *Failure.
func (a *Accounts) EnhanceToken(ctx context.Context, refreshToken string) (string, error) {
	form := a.form(grantEnhance)
	form.Set("refresh_token", refreshToken)
	reply, err := a.tokenAt(ctx, a.DataCenter.EnhanceTokenURL(), grantEnhance, form, refreshToken)
	if err != nil {
		return "", err
	}
	if strings.EqualFold(reply.TokenType, "bearer") {
		f := &Failure{reason: "the answer is an access token, which must not be part of an address"}
		return "", a.annotate(f, grantEnhance)
	}
	return reply.AccessToken, nil
}

// EnhanceParams is what a request for more scopes varies in.
type EnhanceParams struct {
	RedirectURI string   // one that is registered for the client, to the letter
	Scopes      []string // those to add
	Token       string   // of EnhanceToken
}

// EnhanceURL is where the browser is sent to add scopes. It comes back to the redirect URI with
// status=success and scope_enhanced=true, or with error=access_denied
// (zoho.com/accounts/protocol/oauth/incremental-auth/scope-enhance-request.html). No parameter is
// documented that would come back with it. The user stays signed in at Zoho.
func (a *Accounts) EnhanceURL(p EnhanceParams) string {
	q := url.Values{
		"response_type": {"update_scopes"},
		"client_id":     {a.ClientID},
		"redirect_uri":  {p.RedirectURI},
		"scope":         {strings.Join(p.Scopes, ",")},
		"enhance_token": {p.Token},
		"logout":        {"false"},
	}
	return a.DataCenter.EnhanceURL() + "?" + q.Encode()
}
