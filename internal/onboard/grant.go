package onboard

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// SelfClient takes a code that Zoho's API console made for a self client; center is where
// the console was. With replace a grant of somebody else's is replaced without a question,
// or one that cannot be read; with revokeOld the one that is replaced is given back.
func (f *Flow) SelfClient(
	ctx context.Context, cl *Client, center zoho.DataCenter, account, code string, replace, revokeOld bool,
) (Result, error) {
	if err := f.MayConnect(cl, account, replace); err != nil {
		return Result{}, err
	}
	if err := cl.validateCode(center, code); err != nil {
		return Result{}, err
	}
	p, err := f.exchange(ctx, cl, center, account, code, "")
	if err != nil {
		return Result{}, errSelfClientCode(ctx, err, cl, center)
	}
	p.replace, p.revokeOld = replace, revokeOld
	return f.complete(ctx, cl, p)
}

// Import takes a refresh token that another program was given.
func (f *Flow) Import(
	ctx context.Context, cl *Client, center zoho.DataCenter, account, refreshToken string, replace bool,
) (Result, error) {
	if err := cl.mayReplace(account); err != nil {
		return Result{}, err
	}
	if err := cl.validateRefreshToken(center, refreshToken); err != nil {
		return Result{}, err
	}
	if _, _, err := f.currentGrant(cl, account, replace); err != nil { // a store that fails costs no token call
		return Result{}, err
	}
	grant := tokencache.Grant{RefreshToken: refreshToken, AccountsServer: center.Accounts, GrantedAt: time.Now()}
	p := newPending(account, grant)
	p.replace = replace
	return f.complete(ctx, cl, p)
}

// exchange trades a code for tokens, at the data center that it was given at.
func (f *Flow) exchange(
	ctx context.Context, cl *Client, center zoho.DataCenter, account, code, redirectURI string,
) (*pendingGrant, error) {
	ctx = context.WithoutCancel(ctx) // who closes the browser now must not lose the code
	var got tokenReply
	err := cl.eachSecret(center, func(accounts *zoho.Accounts) (err error) {
		got.asked = time.Now()
		got.Reply, err = accounts.Exchange(ctx, code, redirectURI)
		return err
	})
	if err != nil {
		return nil, err
	}
	var scopes []string // those of a self client's code are its own
	if redirectURI != "" {
		scopes = cl.Scopes
	}
	return f.obtained(cl, center, account, got, scopes)
}

// tokenReply is a reply with the time when it was asked for.
type tokenReply struct {
	zoho.Reply
	asked time.Time
}

// obtained is the grant that a person's consent has brought. scopes are those that were asked for, which count
// where Zoho does not say which it has given.
func (f *Flow) obtained(
	cl *Client, center zoho.DataCenter, account string, reply tokenReply, scopes []string,
) (*pendingGrant, error) {
	if reply.RefreshToken == "" {
		return nil, errNoRefreshToken()
	}
	if given := zoho.SplitScopes(reply.Scope); len(given) > 0 {
		scopes = given
	}
	grant := tokencache.Grant{
		RefreshToken:   reply.RefreshToken,
		AccountsServer: center.Accounts,
		APIDomain:      reply.APIDomain,
		Scopes:         slices.Clone(scopes),
		GrantedAt:      time.Now(),
	}
	p := newPending(account, grant)
	p.fresh = true
	p.exchanged = f.cache.Exchanged(cl.Cache, cl.key(account), grant, tokencache.Fetched{
		AccessToken: reply.AccessToken,
		Life:        reply.ExpiresIn - time.Since(reply.asked),
		APIDomain:   reply.APIDomain,
		Scope:       reply.Scope,
	})
	return p, nil
}

// complete has a grant prove itself by a renewal, and makes it that of its account.
func (f *Flow) complete(ctx context.Context, cl *Client, p *pendingGrant) (_ Result, err error) {
	ctx = context.WithoutCancel(ctx) // who closes the browser now must not lose the grant
	defer func() { f.giveBack(ctx, cl, p, err) }()
	if err := f.verify(cl, p); err != nil {
		return Result{}, err
	}
	p.describe(ctx, cl)
	return f.storeGrant(ctx, cl, p)
}

// verify has a grant bring an access token.
func (f *Flow) verify(cl *Client, p *pendingGrant) error {
	proof, err := f.cache.Verify(cl.Cache, cl.key(p.account), p.grant)
	switch {
	case err == nil:
		p.proof = proof
	case !p.fresh || permanent(err):
		return errProof(err, p)
	default: // A code is used up by now, and what its exchange has given is good for an hour.
		p.proof = p.exchanged
		p.warnings = append(p.warnings, "a renewal could not be tried yet: "+err.Error())
	}
	return nil
}

// permanent reports whether a failure says something about the grant, and not only
// something about the moment.
func permanent(err error) bool {
	var known *tokencache.Error
	return errors.As(err, &known) && (known.Kind == tokencache.KindDead || known.Kind == tokencache.KindRejected)
}
