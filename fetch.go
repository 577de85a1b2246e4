package caddyzoho

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func (c *Client) clientID() string {
	id, _ := c.ClientID.resolve()
	return id
}

// grant is an account's configured grant. Configuration wins over what is stored.
func (c *Client) grant(account string) (grant tokencache.Grant, configured bool, err error) {
	secret, center := c.refreshToken(account), c.configuredCenter(account)
	if !secret.isSet() {
		return grant, false, nil
	}
	token, err := secret.resolve()
	if _, had := c.granted.Load(account); err != nil && had {
		return grant, true, err // a file that cannot be read for a moment revokes nothing
	}
	if errors.Is(err, errEmptySecret) || (err == nil && token == "") {
		return grant, false, nil
	}
	if err != nil {
		return grant, true, err
	}
	c.granted.Store(account, true)
	return tokencache.Grant{RefreshToken: token, AccountsServer: center.Accounts}, true, nil
}

// refreshToken is the configured one of an account, or one that is not set.
func (c *Client) refreshToken(account string) Secret {
	if a, ok := c.Accounts[account]; ok {
		return a.RefreshToken
	}
	if account == defaultAccount {
		return c.RefreshToken
	}
	return Secret{}
}

// center is the data center that owns a grant.
func (c *Client) center(accountsServer string) (*zoho.DataCenter, bool) {
	for i := range c.centers {
		if c.centers[i].Accounts == accountsServer {
			return &c.centers[i], true
		}
	}
	if c.centers[0].Custom {
		return nil, false
	}
	center, ok := zoho.LookupAccountsServer(accountsServer)
	return &center, ok
}

// centerOf is the data center of an account's connection: the one of its grant, or as
// long as that was not looked at, the configured one.
func (c *Client) centerOf(account, accountsServer string) *zoho.DataCenter {
	if center, ok := c.center(accountsServer); ok && accountsServer != "" {
		return center
	}
	return c.configuredCenter(account)
}

// centerNow is centerOf for what is known of the connection.
func (c *Client) centerNow(account string) *zoho.DataCenter {
	conn, err := c.app.state.cache.Conn(c.cache, account)
	if err != nil {
		return c.configuredCenter(account)
	}
	return c.centerOf(account, conn.AccountsServer())
}

// configuredCenter is where an account's grant is from, if the configuration has it.
func (c *Client) configuredCenter(account string) *zoho.DataCenter {
	if a, ok := c.Accounts[account]; ok && a.center != nil {
		return a.center
	}
	return &c.centers[0]
}

// secretsFor lists the client secrets that a data center may accept, in order.
func (c *Client) secretsFor(code string) []string {
	var values []string
	for _, secret := range slices.Concat(c.DataCenterSecret[code], c.ClientSecret) {
		if value, err := secret.resolve(); err == nil && !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	return values
}

// allSecrets are the secrets of every data center.
func (c *Client) allSecrets() []Secret {
	all := slices.Clone(c.ClientSecret)
	for _, code := range slices.Sorted(maps.Keys(c.DataCenterSecret)) {
		all = append(all, c.DataCenterSecret[code]...)
	}
	return all
}

// sealingSecrets wrap the data keys of the store.
func (c *Client) sealingSecrets() [][]byte {
	if len(c.app.EncryptionKey) > 0 {
		return resolveAll(c.app.EncryptionKey)
	}
	return resolveAll(c.allSecrets())
}

// credentials are what the authorization server may reject.
func (c *Client) credentials() [][]byte {
	return append(resolveAll(c.allSecrets()), []byte(c.clientID()))
}

// resolveAll leaves out what has no value now.
func resolveAll(secrets []Secret) [][]byte {
	var values [][]byte
	for _, secret := range secrets {
		if value, err := secret.resolve(); err == nil {
			values = append(values, []byte(value))
		}
	}
	return values
}

// accountsOf are the ways to speak to a data center, one for each client secret that it
// may accept, beginning with the one that was accepted last.
func (c *Client) accountsOf(center zoho.DataCenter) []*zoho.Accounts {
	var all []*zoho.Accounts
	secrets := c.secretsFor(center.Code)
	first := 0
	if i, ok := c.accepted.Load(center.Code); ok {
		first = i.(int)
	}
	for i := range secrets {
		secret := secrets[(first+i)%len(secrets)]
		all = append(all, &zoho.Accounts{HTTP: c.http, DataCenter: center, ClientID: c.clientID(), ClientSecret: secret})
	}
	return all
}

// fetch asks the authorization server for an access token. A refused secret costs no
// token, so all are tried.
func (c *Client) fetch(ctx context.Context, _ tokencache.Key, grant tokencache.Grant) (tokencache.Fetched, error) {
	center, ok := c.center(grant.AccountsServer)
	if !ok {
		return tokencache.Fetched{}, &tokencache.FetchError{Kind: tokencache.KindRejected, NoToken: true,
			Err: fmt.Errorf("the grant belongs to %s, which is none of the client's data centers: add it to data_center", grant.AccountsServer)}
	}
	all := c.accountsOf(*center)
	if len(all) == 0 {
		return tokencache.Fetched{}, &tokencache.FetchError{Kind: tokencache.KindRejected, NoToken: true,
			Err: fmt.Errorf("no client_secret has a value for the data center %s", center.Code)}
	}
	var failure *tokencache.FetchError
	for i, accounts := range all {
		reply, err := accounts.Refresh(ctx, grant.RefreshToken)
		if err == nil {
			if at := slices.Index(c.secretsFor(center.Code), accounts.ClientSecret); i > 0 && at >= 0 {
				c.accepted.Store(center.Code, at)
			}
			c.compareClocks(reply.Date)
			return tokencache.Fetched{AccessToken: reply.AccessToken, Life: reply.ExpiresIn, APIDomain: reply.APIDomain, Scope: reply.Scope}, nil
		}
		failure = fetchError(err)
		if failure.Kind != tokencache.KindRejected {
			break
		}
	}
	return tokencache.Fetched{}, failure
}

// clockTolerance is far more than a reply takes.
const clockTolerance = time.Minute

// compareClocks warns, once an hour, of a clock that is not Zoho's: expiries that are
// stored, and certificates, go by it.
func (c *Client) compareClocks(server time.Time) {
	now := time.Now()
	off := now.Sub(server).Round(time.Second)
	told := c.clockTold.Load()
	if server.IsZero() || off.Abs() <= clockTolerance || now.Unix()-told < 3600 || !c.clockTold.CompareAndSwap(told, now.Unix()) {
		return
	}
	c.app.state.logger().Warn("this machine's clock is not that of the authorization server: look at the time service",
		zap.String("client", c.name), zap.Duration("ahead", off))
}

// fetchError says in the cache's words what Accounts' failure means.
func fetchError(err error) *tokencache.FetchError {
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
	case zoho.FailureClientRejected:
		fe.Kind = tokencache.KindRejected
	default:
		fe.Kind = tokencache.KindTemporary
	}
	return fe
}
