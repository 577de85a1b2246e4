package client

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// New makes a client of what is configured.
func New(config *Config, name string, shared *Shared) (*Client, error) {
	c := &Client{Config: config, Name: name, Shared: shared, owners: make(map[string]*zoho.DataCenter)}
	check := func() error { return cmp.Or(checkName(name), config.check(nil)) }
	for _, step := range []func() error{
		check, c.provisionDataCenters, c.provisionSecrets, c.provisionAccounts, c.provisionTimes, c.provisionNetwork,
	} {
		if err := step(); err != nil {
			return nil, c.located(err)
		}
	}
	WarnOfSecretFiles(shared.Logger, c.AllSecrets()...)
	c.Cache = c.cacheClient()
	c.HTTP = c.Network.AccountsClient()
	return c, nil
}

// WarnOfSecretFiles tells of files that others of this machine can read.
func WarnOfSecretFiles(logger *zap.Logger, secrets ...secret.Ref) {
	for _, ref := range secrets {
		if text, _ := ref.Exposed(); text != "" {
			logger.Warn(text)
		}
	}
}

// located says which client an error belongs to, of each that was joined.
func (c *Client) located(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, err := range joined.Unwrap() {
			errs = append(errs, c.located(err))
		}
		return errors.Join(errs...)
	}
	return fmt.Errorf("zoho: client %s: %w", c.Name, err)
}

func (c *Client) provisionAccounts() error {
	for _, warning := range append(zoho.ScopeWarnings(c.Scopes), c.soidWarnings()...) {
		c.Shared.Logger.Warn(warning, zap.String("client", c.Name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		for _, warning := range zoho.ScopeWarnings(c.Accounts[name].Scopes) {
			c.Shared.Logger.Warn(warning, zap.String("client", c.Name), zap.String("account", name))
		}
	}
	if len(c.AccountNames()) > 1 && c.Shared.Sealing.ByMasterKey() {
		c.Shared.Logger.Warn("the key to the stored accounts is on the same disk; "+
			"add to the global option zoho: encryption_key {env.ZOHO_ENCRYPTION_KEY}",
			zap.String("client", c.Name))
	}
	if err := c.warnWithoutGrant(c.RefreshToken, onboard.DefaultAccount); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		account := c.Accounts[name]
		if center, ok := zoho.LookupDataCenter(account.DataCenter); ok {
			c.owners[name] = &center
		}
		if err := c.warnWithoutGrant(account.RefreshToken, name); err != nil {
			return err
		}
	}
	return nil
}

// warnWithoutGrant lets a configured grant be empty: the connection then waits for consent.
func (c *Client) warnWithoutGrant(ref secret.Ref, account string) error {
	if !ref.IsSet() {
		return nil
	}
	WarnOfSecretFiles(c.Shared.Logger, ref)
	_, err := ref.Credential()
	if err != nil && !errors.Is(err, secret.ErrEmpty) {
		return fmt.Errorf("account %s: refresh_token %w", account, err)
	}
	if err != nil {
		c.Shared.Logger.Warn("refresh_token is empty, so the account has no configured grant: set it, "+
			"or connect the account with `"+c.ConnectCommand(account)+"`",
			zap.String("client", c.Name), zap.String("account", account), zap.String("refresh_token", ref.String()))
	}
	return nil
}

// longestWindow is well below what ledgers are kept for.
const longestWindow = 24 * time.Hour

func (c *Client) provisionTimes() error {
	if b := c.TokenBudget; b != nil && time.Duration(b.Window) > longestWindow {
		return fmt.Errorf("token_budget: the window is %s; the maximum is %s",
			words.Duration(time.Duration(b.Window)), words.Duration(longestWindow))
	}
	c.Scheme = cmp.Or(c.AuthorizationScheme, "Zoho-oauthtoken")
	return nil
}

func (c *Client) provisionNetwork() error {
	network, err := egress.New(egress.Options{
		TrustedCA: c.TrustedCA,
		Proxy:     c.NetworkProxy,
		Simulator: c.Simulator,
		Custom:    c.Centers[0].Custom,
	})
	c.Network = network
	return err
}

// cacheClient is what the token cache needs to know of this client.
func (c *Client) cacheClient() *tokencache.Client {
	cc := &tokencache.Client{
		Name:          c.Name,
		RefreshBefore: cmp.Or(time.Duration(c.RefreshBefore), 5*time.Minute),
		KeepWarm:      24 * time.Hour,
		TokenWait:     2 * time.Second,
		Budget:        10,
		BudgetWindow:  10 * time.Minute,
		Accounts:      c.AccountNames,
		Grant:         c.Grant,
		ClientID:      c.ID,
		Secrets:       c.SealingSecrets,
		Credentials:   c.credentials,
		Fetch:         c.fetch,
	}
	if c.KeepWarm != nil {
		cc.KeepWarm = time.Duration(*c.KeepWarm)
	}
	if c.TokenWait != nil {
		cc.TokenWait = time.Duration(*c.TokenWait)
	}
	if b := c.TokenBudget; b != nil {
		cc.Budget, cc.BudgetWindow = b.Tokens, time.Duration(b.Window)
	}
	if c.Centers[0].Zohos() {
		cc.MaxLife = time.Hour
	}
	return cc
}
