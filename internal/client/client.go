// Package client is an OAuth client as registered in Zoho's API console: what is configured of
// it, and what runs of that. A client that runs knows its data centers, its secrets, the way to
// Zoho and what to write where something is missing; it knows no app.
package client

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/sealing"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Config is an OAuth client as registered in Zoho's API console.
type Config struct {
	// Data center codes, the home of the client first; or two URLs, those of the
	// authorization server and of the API, for any other server that speaks the
	// protocol (http only on loopback addresses).
	DataCenter []string `json:"data_center,omitempty"`

	ClientID secret.Ref `json:"client_id,omitzero"`

	// Tried in order, so that a secret can be rolled over.
	ClientSecret []secret.Ref `json:"client_secret,omitempty"`

	// Secrets by data center code; Zoho gives each data center its own unless told otherwise.
	DataCenterSecret map[string][]secret.Ref `json:"data_center_secret,omitempty"`

	// The grant of the account `default`. Empty counts as none.
	RefreshToken secret.Ref `json:"refresh_token,omitzero"`

	// Further accounts by name: 1 to 128 of letters, digits and `._@-`.
	Accounts map[string]*Account `json:"accounts,omitempty"`

	// Scopes asked for at consent, sent as given.
	Scopes []string `json:"scopes,omitempty"`

	// Where the browser comes back to after consent.
	RedirectURI string `json:"redirect_uri,omitempty"`

	// Default: `Zoho-oauthtoken`, which is how Zoho wants its bearer tokens.
	AuthorizationScheme string `json:"authorization_scheme,omitempty"`

	// A token with less life than this left is renewed in the background; never
	// more than a quarter of its own life. Default: 5m.
	RefreshBefore caddy.Duration `json:"refresh_before,omitempty"`

	// A connection used within this time is renewed by a timer as well; 0 turns it off. Default: 24h.
	KeepWarm *caddy.Duration `json:"keep_warm,omitempty"`

	// How many access tokens a grant may ask for. Default: 10 in 10m, Zoho's own limit.
	TokenBudget *TokenBudget `json:"token_budget,omitempty"`

	// PEM file of certificate authorities to trust instead of the system's.
	TrustedCA string `json:"trusted_ca,omitempty"`

	// HTTP or SOCKS proxy on the way to Zoho. The environment's proxies are ignored.
	NetworkProxy string `json:"network_proxy,omitempty"`

	// Sends every Zoho host name to one address.
	Simulator *egress.Simulator `json:"simulator,omitempty"`
}

// Client is an OAuth client while its configuration runs.
type Client struct {
	*Config
	Name    string
	Scheme  string // of the Authorization header
	Shared  *Shared
	Centers []zoho.DataCenter           // home first
	owners  map[string]*zoho.DataCenter // of configured accounts that are not at home
	Network *egress.Network             // how Zoho is reached
	HTTP    *http.Client                // for the authorization server
	Cache   *tokencache.Client

	accepted  sync.Map     // data center code → which of its secrets was accepted last
	granted   sync.Map     // accounts whose configured grant had a value once
	Served    atomic.Value // string: where zoho_connect has the callback of this client, by the configuration
	clockTold atomic.Int64 // second of the last word on a clock that is off
}

// Shared is what the clients of a configuration share.
type Shared struct {
	Logger  *zap.Logger
	Running func() *zap.Logger // of the configuration that runs, which may be a later one
	Cache   *tokencache.Cache
	Store   *boltstore.Store
	Sealing *sealing.Sealing
	Asked   *rate.Limiter    // questions to token endpoints, which are not to be asked in a loop
	All     func() []*Client // by name
}

// Account is a resource owner's place with a client.
type Account struct {
	// Code of the data center that owns the account. Default: the client's home.
	DataCenter string `json:"data_center,omitempty"`

	RefreshToken secret.Ref `json:"refresh_token,omitzero"`
}

// longestWindow is well below what ledgers are kept for.
const longestWindow = 24 * time.Hour

// TokenBudget is how many access tokens may be asked for within a window.
type TokenBudget struct {
	Tokens int            `json:"tokens"`
	Window caddy.Duration `json:"window"`
}

// New makes a client of what is configured.
func New(config *Config, name string, shared *Shared) (*Client, error) {
	c := &Client{Config: config, Name: name, Shared: shared, owners: make(map[string]*zoho.DataCenter)}
	steps := []func() error{
		c.provisionDataCenters, c.provisionSecrets, c.provisionAccounts, c.provisionTimes, c.provisionNetwork,
	}
	for _, step := range steps {
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
		if text := ref.Exposed(); text != "" {
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
	for _, warning := range zoho.ScopeWarnings(c.Scopes) {
		c.Shared.Logger.Warn(warning, zap.String("client", c.Name))
	}
	if len(c.AccountNames()) > 1 && c.Shared.Sealing.ByMasterKey() {
		c.Shared.Logger.Warn("what is stored of several accounts opens by a key on the same disk; add to the global option zoho: encryption_key {env.ZOHO_ENCRYPTION_KEY}",
			zap.String("client", c.Name))
	}
	if err := c.warnWithoutGrant(c.RefreshToken, onboard.DefaultAccount); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		account := c.Accounts[name]
		if !onboard.AccountName.MatchString(name) {
			return fmt.Errorf("account name %q: 1 to 128 of letters, digits and ._@- are allowed", name)
		}
		if account == nil || !account.RefreshToken.IsSet() {
			return fmt.Errorf("account %s: refresh_token is missing", name)
		}
		if name == onboard.DefaultAccount && c.RefreshToken.IsSet() {
			return errors.New("account default: the client's own refresh_token is that account's already")
		}
		if code := account.DataCenter; code != "" {
			if c.Centers[0].Custom {
				return fmt.Errorf("account %s: data_center %s: this client's data center is given by URLs", name, code)
			}
			center, ok := zoho.LookupDataCenter(code)
			if !ok {
				return fmt.Errorf("account %s: %w", name, zoho.UnknownDataCenter(code))
			}
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
	_, err := ref.Resolve()
	if err != nil && !errors.Is(err, secret.ErrEmpty) {
		return fmt.Errorf("account %s: refresh_token %w", account, err)
	}
	if err != nil {
		c.Shared.Logger.Warn("refresh_token is empty, the account has no configured grant: set it, or connect the account by `"+c.ConnectCommand(account)+"`",
			zap.String("client", c.Name), zap.String("account", account), zap.String("refresh_token", ref.String()))
	}
	return nil
}

func (c *Client) provisionTimes() error {
	if c.RefreshBefore < 0 {
		return errors.New("refresh_before must not be negative")
	}
	if c.KeepWarm != nil && *c.KeepWarm < 0 {
		return errors.New("keep_warm must not be negative; 0 turns it off")
	}
	if b := c.TokenBudget; b != nil && (b.Tokens < 1 || b.Window <= 0) {
		return errors.New("token_budget takes a number of at least 1 and a duration, as in `token_budget 10 10m`")
	}
	if b := c.TokenBudget; b != nil && time.Duration(b.Window) > longestWindow {
		return fmt.Errorf("token_budget: the window is %s, and can be %s at most", time.Duration(b.Window), longestWindow)
	}
	c.Scheme = cmp.Or(c.AuthorizationScheme, "Zoho-oauthtoken")
	return nil
}

func (c *Client) provisionNetwork() error {
	network, err := egress.New(egress.Options{TrustedCA: c.TrustedCA, Proxy: c.NetworkProxy, Simulator: c.Simulator, Custom: c.Centers[0].Custom})
	c.Network = network
	return err
}

// cacheClient is what the token cache needs to know of this client.
func (c *Client) cacheClient() *tokencache.Client {
	cc := &tokencache.Client{
		Name:          c.Name,
		RefreshBefore: cmp.Or(time.Duration(c.RefreshBefore), 5*time.Minute),
		KeepWarm:      24 * time.Hour,
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
	if b := c.TokenBudget; b != nil {
		cc.Budget, cc.BudgetWindow = b.Tokens, time.Duration(b.Window)
	}
	if !c.Centers[0].Custom {
		cc.MaxLife = time.Hour
	}
	return cc
}

// AccountNames are the configured accounts.
func (c *Client) AccountNames() []string {
	names := slices.Sorted(maps.Keys(c.Accounts))
	if c.RefreshToken.IsSet() {
		names = append(names, onboard.DefaultAccount)
	}
	return names
}
