package client

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
)

// Config is an OAuth client as registered in Zoho's API console.
type Config struct {
	// Data center codes, the home of the client first; or two URLs, those of the
	// authorization server and of the API, for any other server that speaks the
	// protocol (http only on loopback addresses).
	DataCenter []string `json:"data_center,omitempty"`

	// The client's id in Zoho's API console.
	ClientID secret.Ref `json:"client_id,omitzero"`

	// Tried in order, so that a secret can be rolled over.
	ClientSecret []secret.Ref `json:"client_secret,omitempty"`

	// Secrets by data center code; Zoho gives each data center its own unless told otherwise.
	DataCenterSecret map[string][]secret.Ref `json:"data_center_secret,omitempty"`

	// The grant of the account `default`. Empty counts as none.
	RefreshToken secret.Ref `json:"refresh_token,omitzero"`

	// How tokens of the account `default` are asked for without a refresh token: `client_credentials`, as a
	// Self Client may. Nobody consents to anything then; scopes are needed.
	GrantType string `json:"grant_type,omitempty"`

	// The organization that such tokens are for, as in ZohoCRM.60001234567, where Zoho wants one. With
	// `client_type org`, the one that is asked for consent, as in zohopay.1234567890.
	SOID string `json:"soid,omitempty"`

	// Who consents: `org` for organizations, as Zoho Payments wants it. Default: users.
	ClientType string `json:"client_type,omitempty"`

	// Further accounts by name: 1 to 128 of letters, digits and `._@-`.
	Accounts map[string]*Account `json:"accounts,omitempty"`

	// Scopes asked for at consent, or with each token of a `grant_type`; sent as given.
	Scopes []string `json:"scopes,omitempty"`

	// What customers read on the pages in place of the client's name, as in Acme Sync. At most 100 characters.
	DisplayName string `json:"display_name,omitempty"`

	// Where the browser comes back to after consent.
	RedirectURI string `json:"redirect_uri,omitempty"`

	// Word before the token in the Authorization header. Default: `Zoho-oauthtoken`, which is how Zoho wants its bearer tokens.
	AuthorizationScheme string `json:"authorization_scheme,omitempty"`

	// A token with less life than this left is renewed in the background; never
	// more than a quarter of its own life. Default: 5m.
	RefreshBefore caddy.Duration `json:"refresh_before,omitempty"`

	// A connection used within this time is renewed by a timer as well; 0 turns it off. Default: 24h.
	KeepWarm *caddy.Duration `json:"keep_warm,omitempty"`

	// A call for which no access token lives waits for the next try if that is due within
	// this time, at most 1,000 calls of an account at once; 0 turns it off. Default: 2s.
	TokenWait *caddy.Duration `json:"token_wait,omitempty"`

	// How many access tokens a grant may ask for, or all accounts together whose tokens are asked for by a
	// `grant_type`. Default: 10 in 10m, Zoho's own limit.
	TokenBudget *TokenBudget `json:"token_budget,omitempty"`

	// PEM file of certificate authorities to trust instead of the system's.
	TrustedCA string `json:"trusted_ca,omitempty"`

	// HTTP or SOCKS proxy on the way to Zoho. The environment's proxies are ignored.
	NetworkProxy string `json:"network_proxy,omitempty"`

	// Sends every Zoho host name to one address.
	Simulator *egress.Simulator `json:"simulator,omitempty"`
}

// Account is a resource owner's place with a client.
type Account struct {
	// Code of the data center that owns the account. Default: the client's home.
	DataCenter string `json:"data_center,omitempty"`

	// The account's grant. Empty counts as none.
	RefreshToken secret.Ref `json:"refresh_token,omitzero"`

	// How tokens are asked for without a refresh token: `client_credentials`.
	GrantType string `json:"grant_type,omitempty"`

	// The organization that such tokens are for, as in ZohoCRM.60001234567, where Zoho wants one. With
	// `client_type org`, the one that is asked for consent; default: the client's.
	SOID string `json:"soid,omitempty"`

	// Scopes of such tokens. Default: the client's.
	Scopes []string `json:"scopes,omitempty"`
}

// clientTypeOrg is the one client_type that is written. Without one users consent.
const clientTypeOrg = "org"

// Org reports whether organizations consent.
func (c *Config) Org() bool { return c.ClientType == clientTypeOrg }

// TokenBudget is how many access tokens may be asked for within a window.
type TokenBudget struct {
	// Access tokens within the window: at least 1.
	Tokens int `json:"tokens"`

	// At most 24h.
	Window caddy.Duration `json:"window"`
}
