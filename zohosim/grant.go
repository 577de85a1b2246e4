package zohosim

// What the accounts servers know: clients, and what came of consents.
//
// 	Client --< code            good once, for two minutes
// 	       --< device          a device code, until a person has answered: good for five minutes
// 	       --< grant           a refresh token: 20 for a user and client, at one data center
// 	             --< token     an access token: 10 live ones, made by at most 10 requests in 10 minutes
//
// A token that is dead in whatever way is gone from Server.tokens; nothing remembers why.

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Client is an OAuth client as Zoho's API console registers it.
type Client struct {
	// ID begins with 1000. at Zoho; here any will do.
	ID string
	// Secret is valid in every data center that has none of its own.
	Secret string
	// Secrets by data center code: once multi-DC is switched on, each has its own by default.
	Secrets map[string]string
	// RedirectURIs are those that are registered, compared to the letter; empty: any.
	RedirectURIs []string
	// SelfClient takes codes made in the console, and client_credentials.
	SelfClient bool
	// Org is the type ORG: organizations consent, at a page of their own.
	Org bool
	// Device is a non-browser application, which takes device codes. At Zoho its id begins with 1004. To others
	// device codes are invalid_client.
	Device bool
	// Orgs are the organizations that the owner of a self client belongs to; empty: the one of the
	// Options. With several of them, client_credentials has to name one.
	Orgs []string
	// DataCenters are those that are enabled for the client; empty: all. Elsewhere it is
	// answered like a stranger.
	DataCenters []string
}

// secretFor gives the secret that is valid at a data center.
func (c *Client) secretFor(dc string) string {
	if s, ok := c.Secrets[dc]; ok {
		return s
	}
	return c.Secret
}

// enabledIn reports whether a data center is switched on for the client in the API console.
func (c *Client) enabledIn(dc string) bool {
	return len(c.DataCenters) == 0 || slices.Contains(c.DataCenters, dc)
}

// GrantSpec says what a consent gives. Only ClientID is needed, and that only where there are
// several clients.
type GrantSpec struct {
	ClientID string `json:"client_id"`
	// User is who consents; that of the Options.
	User string `json:"user"`
	// DataCenter is where the user lives, and the only place where tokens are good.
	DataCenter string `json:"data_center"`
	// Environment is "sandbox" or "developer": CRM answers only there. "" is production.
	Environment string `json:"environment"`
	// Org is the organization that the grant is for; that of the Options.
	Org string `json:"org"`
	// Scopes may stand in one string, separated by commas or blanks; none: everything.
	Scopes []string `json:"scopes"`
	// RefreshToken fixes the refresh token, so that it survives a restart of the simulator.
	RefreshToken string `json:"refresh_token"`
}

// grant is what a consent gave: one refresh token and the access tokens made from it.
type grant struct {
	GrantSpec
	online bool // without a refresh token that anybody knows
	// tokens are the live ones, the oldest first: the one over MaxLive ends it.
	tokens []*token
	issued int // access tokens ever made
	// requests are the times of token requests within the running window.
	requests []time.Time
}

// token is an access token. One that is expired, revoked or evicted is gone from Server.tokens.
type token struct {
	value string
	grant *grant
	// number counts the grant's access tokens, from 1. Answers have it in X-Sim-Token, so that a
	// test sees which token was sent without seeing the token.
	number  int
	expires time.Time
	scopes  []string // none: everything
}

// code is an authorization code: good once, for a short time.
type code struct {
	GrantSpec
	redirectURI string
	offline     bool // a refresh token comes with it
	selfClient  bool
	org         bool // of an organization, good for a minute
	expires     time.Time
}

// enhancement is what an enhance token is good for: once, for ten minutes.
type enhancement struct {
	refreshToken string
	expires      time.Time
}

// device is a flow that waits for a person, or for the program to fetch what came of it.
type device struct {
	client   string
	scopes   string
	offline  bool
	userCode string
	home     string // code of the data center that it began at
	origin   string // in the single-origin mode
	expires  time.Time
	interval time.Duration // that polls have to keep
	polled   time.Time     // last

	denied bool
	grant  GrantSpec // what was consented to, without a ClientID before that
}

// slowDown is by how much a program has to wait longer that polls too soon (RFC 8628, 3.5).
const slowDown = 5 * time.Second

// holder is whom Zoho counts refresh tokens and codes by.
type holder struct{ client, user, dc string }

// holderTimes are times by user, client and data center.
type holderTimes map[holder][]time.Time

func (g *GrantSpec) holder() holder { return holder{g.ClientID, g.User, g.DataCenter} }

// minter is what tokens belong to that a client was given for the same organization and scopes.
type minter struct{ client, dc, soid, scopes string }

// mintTimes are when clients asked for tokens of their own, by client id.
type mintTimes map[string][]time.Time

// newToken makes a token or code as Zoho's look: 1000.<32 hex>.<32 hex>.
func newToken() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	h := hex.EncodeToString(b[:])
	return "1000." + h[:32] + "." + h[32:]
}

// splitScopes takes scopes apart at commas and blanks.
func splitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
