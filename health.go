package caddyzoho

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func init() {
	caddy.RegisterModule(Health{})
}

// Health answers 200 while requests can be served, 503 when nothing can be: every
// connection is dead, or has neither grant nor token. An expired token with a
// usable grant is healthy. It answers 503 during Caddy's shutdown_delay as well, so
// that a load balancer leaves. It never touches the network.
type Health struct {
	// Looks at this client alone.
	Client string `json:"client,omitempty"`

	// Looks at this account of the client alone.
	Account string `json:"account,omitempty"`

	app *App
}

// CaddyModule returns the Caddy module information.
func (Health) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.zoho_health",
		New: func() caddy.Module { return new(Health) },
	}
}

// Provision finds the app.
func (h *Health) Provision(ctx caddy.Context) (err error) {
	if h.app, err = configuredApp(ctx); err != nil {
		return err
	}
	if h.Client != "" || h.Account != "" {
		_, err = h.app.client(h.Client)
	}
	return err
}

// healthSummary counts connections by state.
type healthSummary struct {
	Status      string         `json:"status"` // ok, unavailable or stopping
	Connections map[string]int `json:"connections"`
	// "unreadable" while the stored grants cannot be read: connections may be missing.
	Store string `json:"store,omitempty"`
}

// ServeHTTP counts the connections that can be served.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	summary := healthSummary{Status: "unavailable", Connections: make(map[string]int)}
	status := http.StatusServiceUnavailable
	for s := range h.statuses {
		state := s.State
		if !s.HasToken { // one that lives is served, whatever has become of its grant
			state = s.Shown()
		}
		summary.Connections[state]++
		if !slices.Contains(
			[]string{tokencache.StateDead, tokencache.StateNotConnected, tokencache.StateUnreadable},
			state,
		) {
			summary.Status, status = "ok", http.StatusOK
		}
	}
	if stopping, _ := replacer(r).Get("http.shutting_down"); stopping == true {
		summary.Status, status = "stopping", http.StatusServiceUnavailable
	}
	if h.app.state.cache.CheckGrants() != nil {
		summary.Store = tokencache.StateUnreadable
	}
	body, err := json.Marshal(summary)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}

// statuses are those of the connections that it looks at.
func (h *Health) statuses(yield func(tokencache.Status) bool) {
	for _, name := range h.app.clientNames() {
		if h.Client != "" && name != h.Client {
			continue
		}
		for s := range h.app.state.cache.Overview(h.app.clients[name].Cache, adminapi.Accounts(h.Account)...) {
			if !yield(s) {
				return
			}
		}
	}
}

var (
	_ caddy.Provisioner           = (*Health)(nil)
	_ caddyhttp.MiddlewareHandler = (*Health)(nil)
)
