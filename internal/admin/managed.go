package admin

import (
	"context"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/audit"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/sealing"
	"github.com/caddy-zoho/caddy-zoho/internal/stores"
	"github.com/caddy-zoho/caddy-zoho/internal/usage"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Managed is what of a running configuration is managed.
type Managed struct {
	Find    func(client string) (*client.Client, error) // with one client its name may be empty
	Clients []*client.Client
	Cache   *tokencache.Cache
	Store   stores.Store
	Flow    *onboard.Flow
	Usage   *usage.Usage
	Audit   *audit.Log
	Examine func(ctx context.Context, client, account string) adminapi.Findings
	Sealing *sealing.Sealing
	Logger  *zap.Logger
}

// endpoint is the admin endpoint below /zoho/.
type endpoint struct {
	active func() (*Managed, error) // the configuration that runs now
}

// only is the configuration that runs now, for a request with the one method that is allowed.
func (e endpoint) only(method string, r *http.Request) (*Managed, error) {
	if r.Method != method {
		return nil, adminapi.Refuse(http.StatusMethodNotAllowed, "method", "only %s is allowed here", method)
	}
	m, err := e.active()
	if err != nil {
		return nil, adminapi.Refuse(http.StatusNotFound, "not-configured", "%v", err)
	}
	return m, nil
}

// checkClient refuses a client that there is not; "" stands for all.
func (m *Managed) checkClient(name string) error {
	if name == "" {
		return nil
	}
	if _, err := m.Find(name); err != nil {
		return adminapi.Refuse(http.StatusNotFound, adminapi.CodeUnknownClient, "%v", err)
	}
	return nil
}

// client is nil for a name that is not configured.
func (m *Managed) client(name string) *client.Client {
	for _, c := range m.Clients {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// connectionInfos lists what matches; empty names match all.
func (m *Managed) connectionInfos(client, account string) []adminapi.Connection {
	var infos []adminapi.Connection
	only, used := adminapi.Accounts(account), m.Usage.Connections()
	for _, c := range m.Clients {
		if client != "" && c.Name != client {
			continue
		}
		for _, s := range m.Cache.Status(c.Cache, only...) {
			info := infoOf(c, s)
			info.Callers = used[tokencache.Key{Client: s.Client, Account: s.Account}].Callers
			infos = append(infos, info)
		}
	}
	return infos
}

func infoOf(c *client.Client, s tokencache.Status) adminapi.Connection {
	info := adminapi.Connection{
		Client: s.Client, Account: s.Account, State: s.Shown(), DataCenter: c.CenterOf(s.Account, s.AccountsServer).Code,
		Configured: s.Configured, HasGrant: s.HasGrant, HasToken: s.HasToken, Generation: s.Generation, BudgetLeft: s.BudgetLeft,
		Scopes: onboard.GrantedScopes(s), MissingScopes: onboard.ScopesToAdd(s, c.Scopes), NeedsConsent: s.NeedsConsent(), LostEarly: s.LostEarly,
		LastError: s.LastError, LastErrorAt: timeOrNil(s.LastErrorAt), NextTry: timeOrNil(s.NextTry),
		Simulated: c.Simulator != nil, RefreshTokensKnown: s.RefreshTokens, TokenRefused: s.Refused, User: s.User, Org: s.Org,
	}
	if s.ByClient {
		info.GrantType = zoho.ClientCredentials
	}
	if s.HasToken {
		info.Expires = timeOrNil(s.Expiry)
		info.SecondsLeft = int64(max(0, time.Until(s.Expiry)).Seconds())
	}
	return info
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// names are those of the clients.
func (m *Managed) names() []string {
	names := make([]string, len(m.Clients))
	for i, c := range m.Clients {
		names[i] = c.Name
	}
	return names
}
