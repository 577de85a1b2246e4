package zoho

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Accounts speaks to one authorization server on behalf of one client.
// Its fields are read only, so it may be used concurrently.
type Accounts struct {
	// HTTP sends the requests; nil means a client that ignores the environment's
	// proxies. Redirects are not followed whatever its CheckRedirect says, and
	// its cookie jar is not used.
	HTTP *http.Client
	// DataCenter is the one that the grant belongs to, not the one where the client
	// was registered: a code or refresh token is worth nothing at another.
	DataCenter DataCenter
	ClientID   string
	// ClientSecret is that of DataCenter: each has its own, unless the API console is
	// told to use one everywhere.
	ClientSecret string
}

// AuthorizeParams is what an authorization request varies in.
type AuthorizeParams struct {
	RedirectURI string   // one that is registered for the client, to the letter
	State       string   // comes back with the callback
	Scopes      []string // sent joined by commas, otherwise untouched
	SOID        string   // organization that consents, as in zohopay.1234; "" for a user
}

// DeviceClientPrefix begins the ids of the clients that may ask for device codes.
const DeviceClientPrefix = "1004."

// clientIDs is how Zoho's client ids begin, and ClientIDForm says that in words.
var clientIDs = []string{"1000.", DeviceClientPrefix, "1005."}

// ClientIDForm names how Zoho's client ids begin, for messages.
const ClientIDForm = "1000., 1004. or 1005."

// LooksLikeClientID reports whether text has the form of a client id, which tells it from
// a secret: Zoho's ids begin with 1000. or, those of newer kinds of clients, with 1004. or 1005.
func LooksLikeClientID(text string) bool {
	return slices.ContainsFunc(clientIDs, func(prefix string) bool {
		return strings.HasPrefix(text, prefix)
	})
}

const (
	// accountsTimeout bounds a request to the accounts server in all, a reply
	// that drips in byte by byte included.
	accountsTimeout = 15 * time.Second
)

// grantType is what a request to the accounts server asks for, as the parameter
// grant_type says it. A revocation sends none; it has a value for Hint's sake.
type grantType string

const (
	grantCode    grantType = "authorization_code"
	grantRefresh grantType = "refresh_token"
	grantEnhance grantType = "update_scopes_token"
	grantRevoke  grantType = "revoke"

	grantClientCredentials grantType = ClientCredentials
)

// ClientCredentials is the grant type by which a self client asks for tokens without anybody's
// consent (zoho.com/accounts/protocol/oauth/self-client/client-credentials-flow.html).
const ClientCredentials = "client_credentials"

// AuthorizeURL is where the browser is sent for consent. It always asks for a
// refresh token (access_type=offline) and for the consent screen, because
// without that screen a second authorization brings no refresh token. With an organization it is the
// page of organization OAuth, which Zoho Payments takes alone; its code lives for a minute
// (zoho.com payments/developerdocs/web-integration/org-oauth).
func (a *Accounts) AuthorizeURL(p AuthorizeParams) string {
	q := url.Values{
		"response_type": {"code"},
		"client_id":     {a.ClientID},
		"scope":         {strings.Join(p.Scopes, ",")},
		"redirect_uri":  {p.RedirectURI},
		"state":         {p.State},
		"access_type":   {"offline"},
		"prompt":        {"consent"},
	}
	if p.SOID != "" {
		q.Set("soid", p.SOID)
		return a.DataCenter.OrgAuthURL() + "?" + q.Encode()
	}
	return a.DataCenter.AuthURL() + "?" + q.Encode()
}

// Exchange turns an authorization code into tokens. Codes work once and live a
// minute or two, those of a self client three to ten. redirectURI must be the one
// of the authorization request; it is left out when empty, as a self client's code
// needs it. The error is a *Failure.
func (a *Accounts) Exchange(ctx context.Context, code, redirectURI string) (Reply, error) {
	form := a.form(grantCode)
	form.Set("code", code)
	if redirectURI != "" {
		form.Set("redirect_uri", redirectURI)
	}
	return a.token(ctx, grantCode, form, code)
}

// Refresh asks for a new access token. The reply holds no refresh token: Zoho
// does not rotate them. Zoho allows ten calls in ten minutes for a refresh token,
// and the eleventh live token ends the first. The error is a *Failure.
func (a *Accounts) Refresh(ctx context.Context, refreshToken string) (Reply, error) {
	form := a.form(grantRefresh)
	form.Set("refresh_token", refreshToken)
	return a.token(ctx, grantRefresh, form, refreshToken)
}

// MintParams is what an access token is asked for that nobody has consented to.
type MintParams struct {
	Scopes []string // at least one; sent joined by commas, otherwise untouched: blanks are refused
	SOID   string   // SERVICE.ORG, where a product wants to know the organization; "" = it is not named
}

// Mint asks for an access token by client_credentials, as only a self client may. The token acts
// as the administrator who owns the client, and no refresh token comes with it. Whether Zoho
// counts these calls, and by what, is not published. The error is a *Failure.
func (a *Accounts) Mint(ctx context.Context, p MintParams) (Reply, error) {
	form := a.form(grantClientCredentials)
	form.Set("scope", strings.Join(p.Scopes, ","))
	if p.SOID != "" {
		form.Set("soid", p.SOID)
	}
	r, err := a.token(ctx, grantClientCredentials, form, "")
	r.RefreshToken = "" // one that comes all the same is not asked for, and kept by nobody
	return r, err
}

// Revoke gives a refresh or access token back. A refresh token takes its access
// tokens with it. A token that Zoho does not know is a Failure of the kind
// FailureGrantDead.
func (a *Accounts) Revoke(ctx context.Context, token string) error {
	secrets := a.secrets(token)
	raw, f := a.post(ctx, a.DataCenter.RevokeURL(), url.Values{"token": {token}}, secrets)
	if f == nil {
		f = raw.revoked(secrets)
	}
	if f != nil {
		return a.annotate(f, grantRevoke)
	}
	return nil
}

// form has the credentials in the body, where no access log sees them; Zoho's
// pages show a query, its CRM pages ask for the body.
func (a *Accounts) form(g grantType) url.Values {
	return url.Values{"grant_type": {string(g)}, "client_id": {a.ClientID}, "client_secret": {a.ClientSecret}}
}

// secrets are what the texts of a request's errors must not hold.
func (a *Accounts) secrets(more string) []string { return []string{a.ClientSecret, more} }

// token makes a request to the token endpoint. secret is the code or the refresh
// token in form.
func (a *Accounts) token(ctx context.Context, g grantType, form url.Values, secret string) (Reply, error) {
	return a.tokenAt(ctx, a.DataCenter.TokenURL(), g, form, secret)
}

// tokenAt is token at another endpoint that answers alike.
func (a *Accounts) tokenAt(
	ctx context.Context, to string, g grantType, form url.Values, secret string,
) (Reply, error) {
	secrets := a.secrets(secret)
	raw, f := a.post(ctx, to, form, secrets)
	if f != nil {
		return Reply{}, a.annotate(f, g)
	}
	r, f := raw.token(g, a.DataCenter.Zohos(), secrets)
	if f != nil {
		return Reply{}, a.annotate(f, g)
	}
	return r, nil
}

// annotate adds what Hint needs to know, and bounds the patience that a server in trouble
// asks for: it does not know when it will be well again.
func (a *Accounts) annotate(f *Failure, g grantType) *Failure {
	f.grant, f.dataCenter = g, a.DataCenter
	if f.Kind == FailureTemporary {
		f.RetryAfter = min(f.RetryAfter, maxPatience)
	}
	return f
}

// post sends a form and reads the whole answer, within the limits of time and
// size.
func (a *Accounts) post(ctx context.Context, to string, form url.Values, secrets []string) (rawReply, *Failure) {
	ctx, cancel := context.WithTimeout(ctx, accountsTimeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return rawReply{}, &Failure{NoToken: true, Err: redactError(err, secrets), reason: "not asked"}
	}
	trace := new(connTrace)
	req, err := http.NewRequestWithContext(trace.attach(ctx), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return rawReply{}, &Failure{NoToken: true, Err: redactError(err, secrets), reason: "the accounts URL is not a URL"}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	wantPlainJSON(req)
	resp, err := a.client().Do(req)
	if err != nil {
		return rawReply{}, &Failure{NoToken: trace.neverSent(err), Err: redactError(err, secrets), reason: "no answer"}
	}
	defer resp.Body.Close()
	return readReply(resp, secrets)
}

// wantPlainJSON asks for JSON that is not compressed: a compressed reply could be a
// bomb. Asking for none also stops net/http from decoding one behind our back.
func wantPlainJSON(req *http.Request) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "identity")
}

// client copies the http.Client so that it neither follows a redirect, which
// would carry the secret elsewhere, nor collects Zoho's cookies.
func (a *Accounts) client() *http.Client {
	c := http.Client{Transport: ownTransport}
	if a.HTTP != nil {
		c = *a.HTTP
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Jar = nil
	return &c
}

// ownTransport serves Accounts without an http.Client. It ignores the environment's
// proxies, as Accounts.HTTP promises.
var ownTransport = func() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.DisableCompression = true
	return t
}()

// accountsText stands for an Accounts wherever one is printed.
func (a Accounts) accountsText() string {
	return fmt.Sprintf("accounts %s (client secret redacted)", a.DataCenter.Accounts)
}

// String leaves out the client's secret.
func (a Accounts) String() string { return a.accountsText() }

// Format leaves out the client's secret, whatever the verb.
func (a Accounts) Format(s fmt.State, _ rune) { io.WriteString(s, a.accountsText()) }

// LogValue leaves out the client's secret.
func (a Accounts) LogValue() slog.Value { return slog.StringValue(a.accountsText()) }

// MarshalJSON refuses: an Accounts is not meant to be stored.
func (a Accounts) MarshalJSON() ([]byte, error) {
	return nil, errors.New("an Accounts holds a client secret and is not marshalled")
}
