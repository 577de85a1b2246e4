package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// ErrGrantUnreadable is behind the error of a configured grant that has no value to be had.
var ErrGrantUnreadable = errors.New("the configured refresh_token cannot be read")

// Grant is an account's configured grant. Configuration wins over what is stored.
func (c *Client) Grant(account string) (grant tokencache.Grant, configured bool, err error) {
	ref, center := c.GrantRef(account), c.configuredCenter(account)
	if a := c.configured(account); a != nil && a.GrantType != "" {
		return tokencache.Grant{GrantType: a.GrantType, SOID: a.SOID, Scopes: c.scopesOf(a),
			AccountsServer: center.Accounts}, true, nil
	}
	if !ref.IsSet() {
		return grant, false, nil
	}
	token, err := ref.Credential()
	if _, had := c.granted.Load(account); err != nil && had {
		return grant, true, fmt.Errorf("%w: %w", ErrGrantUnreadable, err) // for a moment, perhaps: it revokes nothing
	}
	if errors.Is(err, secret.ErrEmpty) || (err == nil && token == "") {
		return grant, false, nil
	}
	if err != nil {
		return grant, true, fmt.Errorf("%w: %w", ErrGrantUnreadable, err)
	}
	c.granted.Store(account, true)
	return tokencache.Grant{RefreshToken: token, AccountsServer: center.Accounts}, true, nil
}

// GrantRef is the configured one of an account, or one that is not set.
func (c *Client) GrantRef(account string) secret.Ref {
	if a := c.configured(account); a != nil {
		return a.RefreshToken
	}
	return secret.Ref{}
}

// fetch asks the authorization server for an access token. A refused secret costs no
// token, so all are tried.
func (c *Client) fetch(ctx context.Context, _ tokencache.Key, grant tokencache.Grant) (tokencache.Fetched, error) {
	center, ok := c.center(grant.AccountsServer)
	if !ok {
		return tokencache.Fetched{}, &tokencache.FetchError{Kind: tokencache.KindRejected, NoToken: true,
			Err: fmt.Errorf("the grant belongs to %s, which is not one of the client's data centers: "+
				"add it to data_center", grant.AccountsServer)}
	}
	all := c.AccountsOf(*center)
	if len(all) == 0 {
		return tokencache.Fetched{}, &tokencache.FetchError{Kind: tokencache.KindRejected, NoToken: true,
			Err: fmt.Errorf("no client_secret has a value for the data center %s", center.Code)}
	}
	var failure *tokencache.FetchError
	for i, accounts := range all {
		reply, err := ask(ctx, accounts, grant)
		if err == nil {
			if at := slices.Index(c.secretsFor(center.Code), accounts.ClientSecret); i > 0 && at >= 0 {
				c.accepted.Store(center.Code, at)
			}
			c.compareClocks(reply.Date)
			return tokencache.Fetched{
				AccessToken: reply.AccessToken,
				Life:        reply.ExpiresIn,
				APIDomain:   reply.APIDomain,
				Scope:       reply.Scope,
			}, nil
		}
		failure = FetchError(err)
		var said *zoho.Failure
		if !errors.As(err, &said) || said.Kind != zoho.FailureClientRejected { // no other secret will do
			break
		}
	}
	return tokencache.Fetched{}, failure
}

// ask has the authorization server give an access token.
func ask(ctx context.Context, accounts *zoho.Accounts, grant tokencache.Grant) (zoho.Reply, error) {
	if grant.GrantType != "" {
		return accounts.Mint(ctx, zoho.MintParams{Scopes: grant.Scopes, SOID: grant.SOID})
	}
	return accounts.Refresh(ctx, grant.RefreshToken)
}

// ClockTolerance is far more than a reply takes.
const ClockTolerance = time.Minute

// compareClocks warns, once an hour, of a clock that is not Zoho's: expiries that are
// stored, and certificates, go by it.
func (c *Client) compareClocks(server time.Time) {
	now := time.Now()
	off := now.Sub(server).Round(time.Second)
	told := c.clockTold.Load()
	if server.IsZero() || off.Abs() <= ClockTolerance || now.Unix()-told < 3600 {
		return
	}
	if !c.clockTold.CompareAndSwap(told, now.Unix()) {
		return // somebody else does
	}
	c.Shared.Running().Warn("this machine's clock differs from the authorization server's: check the time service",
		zap.String("client", c.Name), zap.Duration("ahead", off))
}

// FetchError says in the cache's words what Accounts' failure means.
func FetchError(err error) *tokencache.FetchError {
	var failure *zoho.Failure
	if !errors.As(err, &failure) {
		return &tokencache.FetchError{Kind: tokencache.KindTemporary, Err: err}
	}
	fe := &tokencache.FetchError{NoToken: failure.NoToken, RetryAfter: failure.RetryAfter, Err: failure}
	switch failure.Kind {
	case zoho.FailureThrottled:
		fe.Kind = tokencache.KindThrottled
	case zoho.FailureGrantDead:
		fe.Kind = tokencache.KindDead
	case zoho.FailureClientRejected, zoho.FailureMisconfigured:
		fe.Kind = tokencache.KindRejected
	default:
		fe.Kind = tokencache.KindTemporary
	}
	return fe
}
