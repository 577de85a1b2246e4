// Package client is an OAuth client as registered in Zoho's API console: what is configured of
// it, and what runs of that. A client that runs knows its data centers, its secrets, the way to
// Zoho and what to write where something is missing; it knows no app.
package client

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/sealing"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

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
	Store   tokencache.Store
	Sealing *sealing.Sealing
	Asked   *rate.Limiter    // questions to token endpoints, which are not to be asked in a loop
	All     func() []*Client // by name
}

// AccountNames are the configured accounts.
func (c *Client) AccountNames() []string {
	names := slices.Sorted(maps.Keys(c.Accounts))
	if c.Accounts[onboard.DefaultAccount] == nil && c.configured(onboard.DefaultAccount) != nil {
		names = append(names, onboard.DefaultAccount)
	}
	return names
}
