package caddyzoho

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-zoho/caddy-zoho/internal/audit"
	"github.com/caddy-zoho/caddy-zoho/internal/callers"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/sites"
)

func init() {
	caddy.RegisterModule(Connect{})
}

// Connect serves the onboarding pages of a client: its connections, the start of
// consent, the callback, invitations. Grants that come in take effect at once, without
// a reload. By default it answers at /zoho-connect/.
type Connect struct {
	// Name of the client; may be left out when there is only one.
	Client string `json:"client,omitempty"`

	// Who may see the connections and begin a consent, by the peer's address, as in
	// `zoho_proxy`. The callback and invitations are open to everybody: they are guarded
	// by state and cookie, and by a signature. Default: `loopback`.
	Callers []string `json:"callers,omitempty"`

	// Whoever may see the connections may also invite customers, and take accounts away: revoke or forget their
	// grants, as the commands do. Default: false.
	Manage bool `json:"manage,omitempty"`

	client  *client.Client
	callers callers.Rules
	peers   callers.Peers
	folders *atomic.Pointer[[]string] // where the pages are, nil in it if anywhere; noted when the configuration starts
	pages   *onboard.Pages
	logger  *zap.Logger
	audit   *audit.Log

	strangers *rate.Sometimes // lines about callers that are not admitted
}

// CaddyModule returns the Caddy module information.
func (Connect) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.zoho_connect",
		New: func() caddy.Module { return new(Connect) },
	}
}

// Provision finds the client and prepares the rules.
func (c *Connect) Provision(ctx caddy.Context) error {
	c.logger, c.folders = ctx.Logger(), new(atomic.Pointer[[]string])
	once := onceASecond()
	c.strangers = &once
	app, err := configuredApp(ctx)
	if err != nil {
		return err
	}
	client, err := app.client(c.Client)
	if err != nil {
		return err
	}
	c.client, c.audit = client, app.audit
	c.peers = callers.Watch(ctx)
	if c.callers, err = callers.Parse(c.Callers); err != nil {
		return fmt.Errorf("zoho_connect: %w", err)
	}
	if len(app.EncryptionKey) == 0 {
		app.logger.Warn(
			"the key to what zoho_connect stores is on the same disk; add to the global option zoho: encryption_key {env.ZOHO_ENCRYPTION_KEY}",
		)
	}
	c.pages = &onboard.Pages{
		Flow:   app.state.flow,
		Client: client.Onboard(),
		Admit:  c.admit,
		Caller: callerOf,
		Failed: c.failed,
		Manage: c.Manage,
		Path:   originalPath,
		Folder: c.in,
	}
	return nil
}

// admit reports whether whoever asks may see the connections and begin a consent.
func (c *Connect) admit(r *http.Request) bool {
	peer := c.peers.Of(r)
	admitted := c.callers.Admit(peer)
	if !admitted {
		c.strangers.Do(func() { peer.LogRefused(c.logger) })
	}
	return admitted
}

// Shows is what a walk over the sites is told.
func (c *Connect) Shows() sites.Shown { return sites.Shown{Client: c.client, Anybody: c.callers.Any} }

// At takes from it where the pages are.
func (c *Connect) At(folders []string) { c.folders.Store(&folders) }

// in reports whether the pages are in a folder. They are not in those below: who guards some
// of them by their paths has guarded them all.
func (c *Connect) in(folder string) bool {
	folders := c.folders.Load()
	if folders == nil { // not quite started yet
		return folder == sites.DefaultFolder
	}
	return *folders == nil ||
		slices.ContainsFunc(*folders, func(f string) bool { return strings.EqualFold(f, folder) })
}

// ServeHTTP serves the pages. What leads to Zoho and back stays out of Caddy's access
// log, which would show codes, states and invitations; a line of our own takes its place.
func (c *Connect) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	page, private := c.pages.Private(r)
	if private {
		caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
		c.logger.Info(
			"onboarding",
			zap.String("page", page),
			zap.String("method", r.Method),
			zap.String("remote", r.RemoteAddr),
		)
	}
	c.acted(w, r, page, c.pages.Serve(w, r))
	return nil
}

// acted has the audit tell who had a page do something: what is only looked at is no act.
func (c *Connect) acted(w http.ResponseWriter, r *http.Request, page string, served onboard.Served) {
	code := w.Header().Get(onboard.ErrorHeader)
	if served.Managed != "" {
		page = "manage " + served.Managed
	} else if page == "" && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/") {
		page = "manage" // refused before it was known what for
	}
	if page == "" || r.Method != http.MethodPost && page != "callback" && (page != "invite" || code == "") {
		return
	}
	act := audit.Act{Action: "page " + page, Client: c.client.Name, Account: served.Account, By: c.peers.Of(r).Caller().Peer}
	if user, _ := replacer(r).GetString("http.auth.user.id"); user != "" {
		act.By = user + " at " + act.By
	}
	if code != "" {
		act.Err, act.Anybody = errors.New(code), true
	}
	c.audit.Act(act)
}

// failed has the log say what a page says.
func (c *Connect) failed(r *http.Request, account string, e *onboard.Error) {
	c.logger.Warn(
		"onboarding failed",
		zap.String("reference", e.Reference),
		zap.String("code", e.Code),
		zap.String("error", cmp.Or(e.Log, e.Text)),
		zap.String("client", c.client.Name),
		zap.String("account", account),
		zap.String("remote", r.RemoteAddr),
	)
}

// callerOf is who calls as far as Caddy knows: whom a server in front has named if that is one of the
// trusted_proxies. It admits nobody.
func callerOf(r *http.Request) string {
	if address, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ok {
		return address
	}
	return r.RemoteAddr
}

// originalPath is the path before rewrites: where the pages are for a browser.
func originalPath(r *http.Request) string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return original.URL.Path
	}
	return r.URL.Path
}

var (
	_ caddy.Provisioner           = (*Connect)(nil)
	_ caddyhttp.MiddlewareHandler = (*Connect)(nil)
)
