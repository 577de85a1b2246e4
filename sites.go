package caddyzoho

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
)

// startSites tells the pages where they are, and the log what doctor would find.
func (a *App) startSites() {
	walks := a.walkSites()
	for _, walk := range walks {
		for connect, folders := range walk.folders {
			connect.folders.Store(&folders)
		}
		for client, callback := range walk.served {
			client.Served.Store(callback)
		}
	}
	found, _ := examineSites(walks)
	for _, f := range found {
		if f.Result == adminapi.ResultWarning {
			a.logger.Warn(f.Line())
		}
	}
}

// walkSites goes down all servers of this configuration.
func (a *App) walkSites() (walks []*siteWalk) {
	app, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return nil
	}
	servers := app.(*caddyhttp.App).Servers
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		walk := &siteWalk{name: name, server: servers[name], folders: make(map[*Connect][]string), served: make(map[*client.Client]string)}
		walk.routes(walk.server.Routes, place{})
		walk.listeners()
		walks = append(walks, walk)
	}
	return walks
}

// examineSites tells what makes our handler unreachable, or reachable for too many. It
// returns the handlers that were met.
func examineSites(walks []*siteWalk) (found adminapi.Findings, handlers []*Handler) {
	for _, walk := range walks {
		found.Add(walk.found...)
		handlers = append(handlers, walk.handlers...)
	}
	switch {
	case len(walks) == 0:
		found.Add(siteWarning("no server is configured, so no app can reach zoho_proxy", "an empty `bind` or site address makes a site vanish", "see whether one of them is empty"))
	case len(handlers) == 0:
		found.Add(siteWarning("no site holds a zoho_proxy, so no app can use Zoho through this Caddy", "an empty `bind` or site address makes a site vanish", "add `zoho_proxy` to a site"))
	}
	return found, handlers
}

func siteWarning(what, why, do string) adminapi.Finding {
	return adminapi.Finding{Check: adminapi.CheckSites, Result: adminapi.ResultWarning, What: what, Why: why, Do: do}
}

// siteWalk goes down the routes of a server to our handlers.
type siteWalk struct {
	name     string
	server   *caddyhttp.Server
	within   []string // names of the named routes that we are in
	found    adminapi.Findings
	handlers []*Handler
	folders  map[*Connect][]string     // where the pages are, for a request as it arrives there
	served   map[*client.Client]string // where a browser finds the callback of its pages
	asks     bool                      // something asks callers who they are, wherever that stands
}

func (w *siteWalk) warn(what, why, do string) {
	w.found.Add(siteWarning(what, why, do+", server "+w.name))
}

// routes goes down the routes of a place.
func (w *siteWalk) routes(routes caddyhttp.RouteList, at place) {
	for _, route := range routes {
		here := at
		if hosts := matcherOf[caddyhttp.MatchHost](route.MatcherSets); len(hosts) > 0 {
			here.host = hosts[0]
		}
		if folders := foldersOf(route.MatcherSets); folders != nil {
			here.folders = folders
		}
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *caddyhttp.Subroute:
				w.routes(h.Routes, here)
			case *caddyhttp.Invoke:
				w.invoke(h.Name, here)
			case *rewrite.Rewrite:
				here, at = here.rewritten(h), at.rewritten(h)
				if len(route.MatcherSets) > 0 {
					at.folders = nil // some of what follows was rewritten, some was not
				}
			case *Connect:
				w.connect(h, here)
			case *Handler:
				w.handler(h, here.host)
			case *caddyauth.Authentication:
				w.asks = true
			case *reverseproxy.Handler:
				_, ours := h.Transport.(*Transport)
				w.asks = w.asks || !ours && len(h.HandleResponse) > 0 // forward_auth
			}
		}
	}
}

func (w *siteWalk) handler(h *Handler, host string) {
	w.handlers = append(w.handlers, h)
	if host != "" {
		w.warn("zoho_proxy stands behind a host name", "requests with another Host get an empty 200 from Caddy itself",
			"use a site address without a host, such as http://:8080 with `bind 127.0.0.1`")
	}
	for _, m := range headerPlaceholder.FindAllStringSubmatch(h.Account, -1) {
		if name := m[1]; w.drops(name) {
			w.warn("the account is read from the request header "+name+", which never arrives",
				"Caddy drops request headers whose names hold _ or ., unless told to expect them",
				"use another name, such as Zoho-Proxy-Account, or add to the global options: servers { expected_underscore_headers "+name+" }")
		}
	}
}

// connect notes where pages are, and compares where Zoho sends browsers with where the pages
// wait for them.
func (w *siteWalk) connect(c *Connect, at place) {
	folders, known := w.folders[c]
	if at.folders == nil || known && folders == nil {
		w.folders[c] = nil
	} else {
		w.folders[c] = append(folders, at.folders...)
	}
	folder := defaultFolder
	if at.folders != nil {
		folder = at.stripped + at.folders[0]
	}
	if callback := callbackAt(w.server, at.host, folder); callback != "" {
		w.served[c.client] = callback
	}
	to, err := url.Parse(c.client.RedirectURI)
	if err == nil && to.Path != "" && !strings.HasSuffix(to.Path, "/callback") {
		w.warn("redirect_uri of client "+c.client.Name+" leads browsers to "+to.Path, "the pages of zoho_connect take Zoho's answers at "+folder+"callback alone",
			"end it in /callback, there and in Zoho's API console")
	}
}

var headerPlaceholder = regexp.MustCompile(`\{http\.request\.header\.([^{}]+)\}`)

// drops tells whether Caddy drops request headers of a name.
func (w *siteWalk) drops(name string) bool {
	var expected []string
	switch {
	case strings.Contains(name, "_"):
		expected = w.server.ExpectedUnderscoreHeaders
	case strings.Contains(name, "."):
		expected = w.server.ExpectedDotHeaders
	default:
		return false
	}
	return !slices.ContainsFunc(expected, func(pattern string) bool {
		prefix, glob := strings.CutSuffix(pattern, "*")
		return strings.EqualFold(pattern, name) || glob && len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
	})
}

// listeners tells of those that other machines can reach.
func (w *siteWalk) listeners() {
	anybody := slices.ContainsFunc(w.handlers, func(h *Handler) bool { return h.callers.Any })
	strangers := !w.asksForCertificates() && !w.asks && w.admitsStrangers()
	for _, listen := range w.server.Listen {
		reach := reachOf(listen)
		if strangers && reach != thisMachine {
			w.warn(fmt.Sprintf("zoho_connect admits every caller at %s", listen), "whoever reaches that address can put a Zoho account of his own in place of yours",
				"have `basic_auth` or client certificates before it, or name the addresses of its operators in `callers`")
		}
		switch {
		case len(w.handlers) == 0:
		case reach == everywhere && anybody:
			w.warn(fmt.Sprintf("zoho_proxy listens on every interface (%s)", listen), "whoever reaches it acts as the account, since `callers any` admits everybody",
				"add `bind 127.0.0.1`, or name the addresses of the apps in `callers`")
		case reach == everywhere:
			w.warn(fmt.Sprintf("zoho_proxy listens on every interface (%s)", listen), "other machines can reach it, and `callers` alone keeps them out", "add `bind 127.0.0.1`")
		case reach == otherMachines && anybody:
			w.warn(fmt.Sprintf("zoho_proxy admits every caller at %s", listen), "whoever reaches that address acts as the account", "name the addresses of the apps in `callers`")
		}
	}
}

func (w *siteWalk) admitsStrangers() bool {
	for c := range w.folders {
		if c.callers.Any {
			return true
		}
	}
	return false
}

func (w *siteWalk) asksForCertificates() bool {
	return slices.ContainsFunc(w.server.TLSConnPolicies, func(p *caddytls.ConnectionPolicy) bool { return p.ClientAuthentication != nil })
}

// invoke enters a named route, but not from within itself.
func (w *siteWalk) invoke(name string, at place) {
	route := w.server.NamedRoutes[name]
	if route == nil || slices.Contains(w.within, name) {
		return
	}
	w.within = append(w.within, name)
	w.routes(caddyhttp.RouteList{*route}, at)
	w.within = w.within[:len(w.within)-1]
}
