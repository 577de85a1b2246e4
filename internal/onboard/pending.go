package onboard

import (
	"cmp"
	"context"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// pendingGrant is a grant that is not stored yet.
type pendingGrant struct {
	client    string
	account   string
	grant     tokencache.Grant
	exchanged tokencache.Proof // what a code has brought, empty for an imported refresh token
	proof     tokencache.Proof // of a renewal
	warnings  []string
	replace   bool   // whoever's the grant before is
	asked     string // refresh token of the one that a person was asked about
	revokeOld bool   // give it back
	browser   browserID
	invited   *Invitation

	replaceLost bool // also a grant that cannot be read

	// While it waits to be confirmed:
	expiry  *time.Timer
	discard func(context.Context) // gives it back
}

// fresh reports whether a code has brought the grant just now, so that nobody else knows
// it. One that was imported may be in use elsewhere.
func (p *pendingGrant) fresh() bool { return p.exchanged.AccessToken != "" }

// newPending is a pendingGrant without a browser: what a terminal brings.
func newPending(cl *Client, account string, grant tokencache.Grant) *pendingGrant {
	return &pendingGrant{client: cl.Name, account: account, grant: grant, browser: identify("")}
}

// describe completes what is known of a grant by what its renewal said, and asks whose
// it is.
func (p *pendingGrant) describe(ctx context.Context, cl *Client) {
	g, token := &p.grant, p.proof.AccessToken
	g.APIDomain = cmp.Or(g.APIDomain, p.proof.APIDomain)
	if len(g.Scopes) == 0 {
		g.Scopes = zoho.SplitScopes(p.proof.Scope)
	}
	if accounts, err := cl.accounts(*g); err == nil {
		who := accounts.Identify(ctx, token, g.APIDomain, g.Scopes)
		g.User, g.Org = who.User, who.Org
	}
}

// asks reports whether a person has to agree before the grant takes the place of the old one.
func (p *pendingGrant) asks(old tokencache.Grant) bool {
	return old.RefreshToken != "" && !p.replace && p.asked != old.RefreshToken && differ(old, p.grant)
}

// differ reports whether somebody else has consented than before, as far as that is known.
// Who was known and is not any more is somebody else: a browser can take the scope that
// Zoho names its user by out of the address that it is sent to.
func differ(old, now tokencache.Grant) bool {
	return old.AccountsServer != now.AccountsServer ||
		old.User != "" && old.User != now.User ||
		old.Org != "" && old.Org != now.Org
}
