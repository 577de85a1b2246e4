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
	account   string
	grant     tokencache.Grant
	fresh     bool             // a code has brought it just now, so that nobody else knows it: one that was imported may be in use elsewhere
	exchanged tokencache.Proof // what the code has brought
	proof     tokencache.Proof // of a renewal
	warnings  []string
	replace   bool   // whoever's the grant before is
	asked     string // refresh token of the one that a person was asked about
	revokeOld bool   // give it back
	browser   browserID
	invited   *Invitation
	soid      string // organization that was asked, "" for a user
	saving    bool   // it is being stored, or was

	replaceLost bool // also a grant that cannot be read
}

// waitingGrant is how a pendingGrant is kept until a person has confirmed it. It holds secrets.
type waitingGrant struct {
	Account     string
	Grant       openGrant
	Fresh       bool
	Proof       tokencache.Fetched
	Warnings    []string
	Asked       string
	RevokeOld   bool
	ReplaceLost bool
	SOID        string
	Browser     browserID
	Kept        time.Time
}

// openGrant is a Grant that is marshalled with its refresh token.
type openGrant tokencache.Grant

// waiting is the grant as it is kept.
func (f *Flow) waiting(p *pendingGrant) waitingGrant {
	return waitingGrant{
		Account:     p.account,
		Grant:       openGrant(p.grant),
		Fresh:       p.fresh,
		Proof:       f.cache.LeftOf(p.proof),
		Warnings:    p.warnings,
		Asked:       p.asked,
		RevokeOld:   p.revokeOld,
		ReplaceLost: p.replaceLost,
		SOID:        p.soid,
		Browser:     p.browser,
		Kept:        time.Now(),
	}
}

// pendingOf is what was kept. The token that has proved the grant is as much older as it was waiting.
func (f *Flow) pendingOf(w waitingGrant) *pendingGrant {
	w.Proof.Life -= min(max(time.Since(w.Kept), 0), consentLife)
	return &pendingGrant{
		account:     w.Account,
		grant:       tokencache.Grant(w.Grant),
		fresh:       w.Fresh,
		proof:       f.cache.Proved(w.Proof),
		warnings:    w.Warnings,
		asked:       w.Asked,
		revokeOld:   w.RevokeOld,
		replaceLost: w.ReplaceLost,
		soid:        w.SOID,
		browser:     w.Browser,
	}
}

// newPending is a pendingGrant without a browser: what a terminal brings.
func newPending(account string, grant tokencache.Grant) *pendingGrant {
	return &pendingGrant{account: account, grant: grant, browser: identify("")}
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
	if p.soid != "" { // which gives the grant, whoever has consented for it
		g.Org = p.soid
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
