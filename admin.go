package caddyzoho

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func init() {
	caddy.RegisterModule(AdminAPI{})
}

// AdminAPI is the part of Caddy's admin endpoint below /zoho/: metadata of the
// connections, never a token, and what can be done to them without a reload.
type AdminAPI struct{}

// CaddyModule returns the Caddy module information.
func (AdminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.zoho",
		New: func() caddy.Module { return new(AdminAPI) },
	}
}

// Routes lists the endpoints.
func (AdminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/zoho/connections", Handler: answered(listConnections)},
		{Pattern: "/zoho/connections/", Handler: answered(changeConnection)},
		{Pattern: "/zoho/doctor", Handler: answered(serveDoctor)},
	}
}

// connectionInfo is a connection as the admin API shows it.
type connectionInfo struct {
	Client      string     `json:"client"`
	Account     string     `json:"account"`
	State       string     `json:"state"`
	DataCenter  string     `json:"data_center"`
	Configured  bool       `json:"configured"`
	HasGrant    bool       `json:"has_grant"`
	HasToken    bool       `json:"has_token"`
	Expires     *time.Time `json:"expires,omitempty"`
	SecondsLeft int64      `json:"seconds_left"`
	Generation  uint64     `json:"generation"`
	BudgetLeft  int        `json:"budget_left"`
	Scopes      []string   `json:"scopes,omitempty"`
	User        string     `json:"user,omitempty"` // who consented
	Org         string     `json:"org,omitempty"`
	// Refresh tokens that we know of; Zoho keeps 20 per user and client.
	RefreshTokensKnown int `json:"refresh_tokens_known"`
	// Zoho refused the current token, and its renewal waits.
	TokenRefused bool       `json:"token_refused,omitempty"`
	NeedsConsent bool       `json:"needs_consent"`
	LostEarly    int        `json:"lost_early"`
	LastError    string     `json:"last_error,omitempty"`
	LastErrorAt  *time.Time `json:"last_error_at,omitempty"`
	NextTry      *time.Time `json:"next_try,omitempty"`
	Simulated    bool       `json:"simulated,omitempty"`
}

// unreadable tells that there may be a grant, which cannot be had.
func (c connectionInfo) unreadable() bool { return c.State == tokencache.StateUnreadable }

// connectionList is the answer of GET /zoho/connections.
type connectionList struct {
	Clients     []string         `json:"clients"` // all that are configured
	Connections []connectionInfo `json:"connections"`
	Total       int              `json:"total"` // before the limit
	// How many of all these need consent.
	NeedConsent int `json:"need_consent"`
}

// activeApp is the app of the running configuration.
func activeApp() (*App, error) {
	app, err := configuredApp(caddy.ActiveContext())
	if err != nil {
		return nil, refuse(http.StatusNotFound, "not-configured", "%v", err)
	}
	return app, nil
}

func listConnections(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return refuse(http.StatusMethodNotAllowed, "method", "only GET is allowed here")
	}
	app, err := activeApp()
	if err != nil {
		return err
	}
	query := r.URL.Query()
	if client := query.Get("client"); client != "" {
		if _, err := app.client(client); err != nil {
			return refuse(http.StatusNotFound, codeUnknownClient, "%v", err)
		}
	}
	limit, err := parseLimit(query.Get("limit"))
	if err != nil {
		return err
	}
	state, err := parseState(query.Get("state"))
	if err != nil {
		return refuse(http.StatusBadRequest, "unknown-state", "%v", err)
	}
	list := connectionList{Clients: app.clientNames(), Connections: []connectionInfo{}}
	for _, info := range app.connectionInfos(query.Get("client"), query.Get("account")) {
		if state != "" && info.State != state {
			continue
		}
		list.Total++
		if info.NeedsConsent {
			list.NeedConsent++
		}
		if len(list.Connections) < limit {
			list.Connections = append(list.Connections, info)
		}
	}
	return writeJSON(w, list)
}

// parseLimit is by default large enough for a person and small enough for a terminal.
func parseLimit(text string) (int, error) {
	if text == "" {
		return 10_000, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 {
		return 0, refuse(http.StatusBadRequest, "limit", "limit must be a number of at least 1")
	}
	return limit, nil
}

// connectionInfos lists what matches; empty names match all.
func (a *App) connectionInfos(client, account string) []connectionInfo {
	var infos []connectionInfo
	only := namedAccounts(account)
	for _, name := range a.clientNames() {
		if client != "" && name != client {
			continue
		}
		for _, s := range a.state.cache.Status(a.clients[name].Cache, only...) {
			infos = append(infos, infoOf(a.clients[name], s))
		}
	}
	return infos
}

// namedAccounts is what Status takes: none is all.
func namedAccounts(account string) []string {
	if account == "" {
		return nil
	}
	return []string{account}
}

func infoOf(c *client.Client, s tokencache.Status) connectionInfo {
	info := connectionInfo{
		Client: s.Client, Account: s.Account, State: s.Shown(), DataCenter: c.CenterOf(s.Account, s.AccountsServer).Code,
		Configured: s.Configured, HasGrant: s.HasGrant, HasToken: s.HasToken, Generation: s.Generation, BudgetLeft: s.BudgetLeft,
		Scopes: s.Scopes, NeedsConsent: s.NeedsConsent(), LostEarly: s.LostEarly,
		LastError: s.LastError, LastErrorAt: timeOrNil(s.LastErrorAt), NextTry: timeOrNil(s.NextTry),
		Simulated: c.Simulator != nil, RefreshTokensKnown: s.RefreshTokens, TokenRefused: s.Refused, User: s.User, Org: s.Org,
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

func changeConnection(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return refuse(http.StatusMethodNotAllowed, "method", "only POST is allowed here")
	}
	app, err := activeApp()
	if err != nil {
		return err
	}
	client, account, action, err := app.parseConnectionPath(r.URL.EscapedPath())
	if err != nil {
		return err
	}
	if action.existing && app.state.store.CheckGrants() == nil {
		if names := app.state.cache.Accounts(client.Cache); !slices.Contains(names, account) {
			return refuse(http.StatusNotFound, codeUnknownAccount, "%v", noAccount(client.Name, account, names))
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxAdminBody)
	answer, err := action.do(app, r, client, account)
	if err != nil {
		return err
	}
	return writeJSON(w, answer)
}

func (a *App) refresh(r *http.Request, client *client.Client, account string) (any, error) {
	conn, err := a.state.cache.Conn(client.Cache, account)
	if err == nil {
		_, err = conn.Refresh(r.Context(), client.Cache)
	}
	var failure *tokencache.Error
	if errors.As(err, &failure) {
		return nil, refreshFailure(client, account, failure)
	}
	if err != nil {
		return nil, err
	}
	infos := a.connectionInfos(client.Name, account)
	if len(infos) == 0 {
		return nil, refuse(http.StatusNotFound, codeUnknownAccount, "account %s of client %s was forgotten meanwhile", account, client.Name)
	}
	return infos[0], nil
}

// refreshFailure says to an operator what an app is told as well, and how it ends.
func refreshFailure(c *client.Client, account string, failure *tokencache.Error) *adminError {
	p := problem.Token(failure, c, account)
	status, hint := p.Status, p.Detail
	if needsConsent(p.Code) {
		hint = c.Consent(account)
	}
	if p.Code == problem.CodeNoGrant {
		status = http.StatusNotFound
	}
	return &adminError{Text: failure.Error(), Code: p.Code, Hint: hint, RetryAfter: problem.Seconds(p.RetryAfter), status: status}
}

// needsConsent tells the failures that a new grant ends.
func needsConsent(code string) bool {
	return code == problem.CodeGrantDead || code == problem.CodeNoGrant
}

// noAccount says which accounts there are instead, some of them.
func noAccount(client, account string, names []string) error {
	const some = 10
	there := "it has none yet: `caddy zoho connect` brings one in"
	if len(names) > 0 {
		there = "it has " + strings.Join(names[:min(len(names), some)], ", ")
	}
	if len(names) > some {
		there += fmt.Sprintf(" and %d more", len(names)-some)
	}
	return fmt.Errorf("client %s has no account %s%s; %s", client, onboard.ShowAccount(account), words.DidYouMean(account, names), there)
}

// parseConnectionPath reads /zoho/connections/{client}/{account}/{action}.
func (a *App) parseConnectionPath(path string) (client *client.Client, account string, do action, err error) {
	parts := strings.Split(strings.TrimPrefix(path, "/zoho/connections/"), "/")
	if len(parts) != 3 {
		return nil, "", do, refuse(http.StatusNotFound, "path", "the path must be /zoho/connections/CLIENT/ACCOUNT/ACTION")
	}
	for i := range parts {
		if parts[i], err = url.PathUnescape(parts[i]); err != nil {
			return nil, "", do, refuse(http.StatusBadRequest, "path", "the path is badly escaped")
		}
	}
	if client, err = a.client(parts[0]); err != nil {
		return nil, "", do, refuse(http.StatusNotFound, codeUnknownClient, "%v", err)
	}
	do, known := actions[parts[2]]
	if !known {
		names := slices.Sorted(maps.Keys(actions))
		return nil, "", do, refuse(http.StatusNotFound, "unknown-action", "there is no action %.64q%s; known are %s", parts[2], words.DidYouMean(parts[2], names), strings.Join(names, ", "))
	}
	return client, parts[1], do, nil
}

func writeJSON(w http.ResponseWriter, value any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(value)
}

var _ caddy.AdminRouter = AdminAPI{}
