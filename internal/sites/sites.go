// Package sites goes down the routes of a configuration to our handlers: it finds what makes
// them unreachable, or reachable for too many, and where the onboarding pages are.
package sites

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
)

// Proxy is what the handler of zoho_proxy says of itself.
type Proxy interface{ Serves() Served }

// Served is what a zoho_proxy serves.
type Served struct {
	Client   *client.Client
	Account  string // with placeholders
	Services []string
	Upstream bool // everything goes to one origin, whatever Host says
	Policies bool // say what may be called
	Anybody  bool // every caller is admitted

	NamesByHeader      []string // request headers that say who the caller is
	NamesByCertificate bool     // a client certificate says who the caller is
	KeysInHeader       bool     // callers may show their keys in Zoho-Proxy-Key
	KeysInQuery        bool     // callers may show their keys in authtoken
}

// Pages is what the handler of zoho_connect says of itself.
type Pages interface {
	Shows() Shown
	// at tells it in which folders its pages are, nil if in any.
	At(folders []string)
}

// Shown is whose connections the pages show.
type Shown struct {
	Client  *client.Client
	Anybody bool
}

// WalkServers goes down all servers of a configuration.
func WalkServers(ctx caddy.Context, servers map[string]*caddyhttp.Server) (walks []*Walk) {
	logs, known := logsOf(ctx)
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		walk := &Walk{
			name:      name,
			Server:    servers[name],
			logs:      logs,
			logsKnown: known,
			hosts:     make(map[Proxy][]string),
			folders:   make(map[Pages][]string),
			callbacks: make(map[*client.Client]string),
		}
		walk.routes(walk.Server.Routes, place{})
		walk.listeners()
		walks = append(walks, walk)
	}
	return walks
}

// HostsOf are the names that route requests to a handler: the exact host matchers on its way.
func HostsOf(walks []*Walk, p Proxy) (hosts []string) {
	for _, walk := range walks {
		hosts = append(hosts, walk.hosts[p]...)
	}
	return hosts
}

// Tell tells the pages where they are, and clients where a browser finds their callback.
func (w *Walk) Tell() {
	for pages, folders := range w.folders {
		pages.At(folders)
	}
	for client, callback := range w.callbacks {
		client.Served.Store(callback)
	}
}

// Examine tells what makes our handler unreachable, or reachable for too many.
func Examine(walks []*Walk) (found adminapi.Findings) {
	met := false
	for _, walk := range walks {
		found.Add(walk.found...)
		met = met || len(walk.Proxies) > 0
	}
	switch {
	case len(walks) == 0:
		found.Add(
			siteWarning(
				"no server is configured, so no app can reach zoho_proxy",
				"an empty `bind` or site address removes a site",
				"check that neither is empty",
			),
		)
	case !met:
		found.Add(
			siteWarning(
				"no site has a zoho_proxy, so no app can use Zoho through this Caddy",
				"an empty `bind` or site address removes a site",
				"add `zoho_proxy` to a site",
			),
		)
	}
	return found
}

func siteWarning(what, why, do string) adminapi.Finding {
	return adminapi.Finding{Check: adminapi.CheckSites, Result: adminapi.ResultWarning, What: what, Why: why, Do: do}
}

// Walk goes down the routes of a server to our handlers.
type Walk struct {
	name      string
	logs      Logs
	logsKnown bool
	Server    *caddyhttp.Server
	within    []string // names of the named routes that we are in
	found     adminapi.Findings
	Proxies   []Served
	hosts     map[Proxy][]string        // exact host matchers on the way to a zoho_proxy
	folders   map[Pages][]string        // where the pages are, for a request as it arrives there
	callbacks map[*client.Client]string // where a browser finds the callback of its pages
	asks      bool                      // something asks callers who they are, wherever that stands
}

func (w *Walk) warn(what, why, do string) {
	w.found.Add(siteWarning(what+" (server "+w.name+")", why, do))
}

// routes goes down the routes of a place.
func (w *Walk) routes(routes caddyhttp.RouteList, at place) {
	for _, route := range routes {
		here := at
		if hosts := matcherOf[caddyhttp.MatchHost](route.MatcherSets); len(hosts) > 0 {
			here.host = hosts[0]
			here.hosts = append(slices.Clip(here.hosts), exactHosts(route.MatcherSets)...)
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
			case Pages:
				w.connect(h, here)
			case Proxy:
				w.hosts[h] = append(w.hosts[h], here.hosts...)
				w.proxy(h.Serves(), here)
			case *caddyauth.Authentication:
				w.asks = true
			case *reverseproxy.Handler:
				w.asks = w.asks || asksElsewhere(h)
			}
			alone := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{handler}}
			here = here.behind(alone, w.Server.NamedRoutes)
		}
		at = at.behind(route, w.Server.NamedRoutes)
	}
}

// asksElsewhere reports whether a reverse_proxy asks another server who the caller is, as
// forward_auth does.
func asksElsewhere(h *reverseproxy.Handler) bool {
	return !ours(h.Transport) && len(h.HandleResponse) > 0
}

// ours reports whether a transport is that of zoho_proxy.
func ours(transport any) bool {
	module, ok := transport.(caddy.Module)
	return ok && module.CaddyModule().ID == "http.reverse_proxy.transport.zoho"
}

func (w *Walk) proxy(p Served, at place) {
	w.Proxies = append(w.Proxies, p)
	w.goneRound(p, at)
	w.namedByCallers(p, at)
	w.namedByAnybody(p)
	w.logged(p)
	if at.host != "" {
		w.warn(
			"zoho_proxy is in a site with a host name",
			"requests with another Host get an empty 200 from Caddy itself",
			"use a site address without a host, such as http://:8080 with `bind 127.0.0.1`",
		)
	}
	for _, m := range headerPlaceholder.FindAllStringSubmatch(p.Account, -1) {
		if name := m[1]; w.drops(name) {
			w.warn(
				"the account is read from the request header "+name+", which never arrives",
				"Caddy drops request headers whose names hold _ or ., unless told to expect them",
				"use another name, such as Zoho-Proxy-Account, or add to the global options: servers { expected_underscore_headers "+name+" }",
			)
		}
	}
}

// connect notes where pages are, and compares where Zoho sends browsers with where the pages
// wait for them.
func (w *Walk) connect(c Pages, at place) {
	folders, known := w.folders[c]
	of := c.Shows().Client
	if at.folders == nil || known && folders == nil {
		w.folders[c] = nil
	} else {
		w.folders[c] = append(folders, at.folders...)
	}
	folder := DefaultFolder
	if at.folders != nil {
		folder = at.stripped + at.folders[0]
	}
	if callback := callbackAt(w.Server, at.host, folder); callback != "" {
		w.callbacks[of] = callback
	}
	to, err := url.Parse(of.RedirectURI)
	if err == nil && to.Path != "" && !strings.HasSuffix(to.Path, "/callback") {
		w.warn(
			"redirect_uri of client "+of.Name+" sends browsers to "+to.Path,
			"the pages of zoho_connect receive Zoho's answers at "+folder+"callback alone",
			"end it with /callback, there and in Zoho's API console",
		)
	}
}

var headerPlaceholder = regexp.MustCompile(`\{http\.request\.header\.([^{}]+)\}`)

// drops reports whether Caddy drops request headers of a name.
func (w *Walk) drops(name string) bool {
	var expected []string
	switch {
	case strings.Contains(name, "_"):
		expected = w.Server.ExpectedUnderscoreHeaders
	case strings.Contains(name, "."):
		expected = w.Server.ExpectedDotHeaders
	default:
		return false
	}
	return !slices.ContainsFunc(expected, func(pattern string) bool {
		prefix, glob := strings.CutSuffix(pattern, "*")
		return strings.EqualFold(pattern, name) ||
			glob && len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
	})
}

// listeners tells of those that other machines can reach.
func (w *Walk) listeners() {
	anybody := slices.ContainsFunc(w.Proxies, func(p Served) bool { return p.Anybody })
	strangers := !w.asksForCertificates() && !w.asks && w.admitsStrangers()
	for _, listen := range w.Server.Listen {
		reach := reachOf(listen)
		if strangers && reach != thisMachine {
			w.warn(
				fmt.Sprintf("zoho_connect admits every caller at %s", listen),
				"anyone who reaches that address can replace your Zoho account with their own",
				"put `basic_auth` or client certificates in front of it, or list the addresses of its operators in `callers`",
			)
		}
		switch {
		case len(w.Proxies) == 0:
		case reach == everywhere && anybody:
			w.warn(
				fmt.Sprintf("zoho_proxy listens on every interface (%s)", listen),
				"anyone who reaches it acts as the account, because `callers any` admits everyone",
				"add `bind 127.0.0.1`, or list the addresses of the apps in `callers`",
			)
		case reach == everywhere:
			w.warn(
				fmt.Sprintf("zoho_proxy listens on every interface (%s)", listen),
				"other machines can reach it, and only `callers` keeps them out",
				"add `bind 127.0.0.1`",
			)
		case reach == otherMachines && anybody:
			w.warn(
				fmt.Sprintf("zoho_proxy admits every caller at %s", listen),
				"anyone who reaches that address acts as the account",
				"list the addresses of the apps in `callers`",
			)
		}
	}
}

func (w *Walk) admitsStrangers() bool {
	for pages := range w.folders {
		if pages.Shows().Anybody {
			return true
		}
	}
	return false
}

func (w *Walk) asksForCertificates() bool {
	return slices.ContainsFunc(
		w.Server.TLSConnPolicies,
		func(p *caddytls.ConnectionPolicy) bool { return p.ClientAuthentication != nil },
	)
}

// invoke enters a named route, but not from within itself.
func (w *Walk) invoke(name string, at place) {
	route := w.Server.NamedRoutes[name]
	if route == nil || slices.Contains(w.within, name) {
		return
	}
	w.within = append(w.within, name)
	w.routes(caddyhttp.RouteList{*route}, at)
	w.within = w.within[:len(w.within)-1]
}
