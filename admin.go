package caddyzoho

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
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
		{Pattern: "/zoho/connections", Handler: adminapi.Answered(listConnections)},
		{Pattern: "/zoho/connections/", Handler: adminapi.Answered(changeConnection)},
		{Pattern: "/zoho/doctor", Handler: adminapi.Answered(serveDoctor)},
	}
}

// activeApp is the app of the running configuration.
func activeApp() (*App, error) {
	app, err := configuredApp(caddy.ActiveContext())
	if err != nil {
		return nil, adminapi.Refuse(http.StatusNotFound, "not-configured", "%v", err)
	}
	return app, nil
}

func listConnections(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return adminapi.Refuse(http.StatusMethodNotAllowed, "method", "only GET is allowed here")
	}
	app, err := activeApp()
	if err != nil {
		return err
	}
	query := r.URL.Query()
	if client := query.Get("client"); client != "" {
		if _, err := app.client(client); err != nil {
			return adminapi.Refuse(http.StatusNotFound, adminapi.CodeUnknownClient, "%v", err)
		}
	}
	limit, err := parseLimit(query.Get("limit"))
	if err != nil {
		return err
	}
	state, err := adminapi.ParseState(query.Get("state"))
	if err != nil {
		return adminapi.Refuse(http.StatusBadRequest, "unknown-state", "%v", err)
	}
	list := adminapi.List{Clients: app.clientNames(), Connections: []adminapi.Connection{}}
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
		return 0, adminapi.Refuse(http.StatusBadRequest, "limit", "limit must be a number of at least 1")
	}
	return limit, nil
}

// connectionInfos lists what matches; empty names match all.
func (a *App) connectionInfos(client, account string) []adminapi.Connection {
	var infos []adminapi.Connection
	only := adminapi.Accounts(account)
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

func infoOf(c *client.Client, s tokencache.Status) adminapi.Connection {
	info := adminapi.Connection{
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
		return adminapi.Refuse(http.StatusMethodNotAllowed, "method", "only POST is allowed here")
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
			return adminapi.Refuse(http.StatusNotFound, adminapi.CodeUnknownAccount, "%v", adminapi.NoAccount(client.Name, account, names))
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, adminapi.MaxBody)
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
		return nil, adminapi.Refuse(http.StatusNotFound, adminapi.CodeUnknownAccount, "account %s of client %s was forgotten meanwhile", account, client.Name)
	}
	return infos[0], nil
}

// refreshFailure says to an operator what an app is told as well, and how it ends.
func refreshFailure(c *client.Client, account string, failure *tokencache.Error) *adminapi.Error {
	p := problem.Token(failure, c, account)
	status, hint := p.Status, p.Detail
	if adminapi.NeedsConsent(p.Code) {
		hint = c.Consent(account)
	}
	if p.Code == problem.CodeNoGrant {
		status = http.StatusNotFound
	}
	return &adminapi.Error{Text: failure.Error(), Code: p.Code, Hint: hint, RetryAfter: problem.Seconds(p.RetryAfter), Status: status}
}

// parseConnectionPath reads /zoho/connections/{client}/{account}/{action}.
func (a *App) parseConnectionPath(path string) (client *client.Client, account string, do action, err error) {
	parts := strings.Split(strings.TrimPrefix(path, "/zoho/connections/"), "/")
	if len(parts) != 3 {
		return nil, "", do, adminapi.Refuse(http.StatusNotFound, "path", "the path must be /zoho/connections/CLIENT/ACCOUNT/ACTION")
	}
	for i := range parts {
		if parts[i], err = url.PathUnescape(parts[i]); err != nil {
			return nil, "", do, adminapi.Refuse(http.StatusBadRequest, "path", "the path is badly escaped")
		}
	}
	if client, err = a.client(parts[0]); err != nil {
		return nil, "", do, adminapi.Refuse(http.StatusNotFound, adminapi.CodeUnknownClient, "%v", err)
	}
	do, known := actions[parts[2]]
	if !known {
		names := slices.Sorted(maps.Keys(actions))
		return nil, "", do, adminapi.Refuse(http.StatusNotFound, "unknown-action", "there is no action %.64q%s; known are %s", parts[2], words.DidYouMean(parts[2], names), strings.Join(names, ", "))
	}
	return client, parts[1], do, nil
}

// doctorLimit bounds an examination: a person waits for it.
const doctorLimit = time.Minute

// serveDoctor examines the running Caddy from within, since only that has its store,
// its environment and its network. It asks Zoho, and may have a token renewed: no GET.
func serveDoctor(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return adminapi.Refuse(http.StatusMethodNotAllowed, "method", "only POST is allowed here")
	}
	app, err := activeApp()
	if err != nil {
		return err
	}
	if err := readJSON(http.MaxBytesReader(w, r.Body, adminapi.MaxBody), &struct{}{}); err != nil {
		return adminapi.Refuse(http.StatusBadRequest, "bad-body", "%v", err)
	}
	query := r.URL.Query()
	client := query.Get("client")
	if client != "" {
		if _, err := app.client(client); err != nil {
			return adminapi.Refuse(http.StatusNotFound, adminapi.CodeUnknownClient, "%v", err)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), doctorLimit)
	defer cancel()
	found := app.subject().Examine(ctx, client, query.Get("account"))
	return writeJSON(w, adminapi.Examination{OK: !found.Failed(), Findings: found})
}

func writeJSON(w http.ResponseWriter, value any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(value)
}

var _ caddy.AdminRouter = AdminAPI{}
