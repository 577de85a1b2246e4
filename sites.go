package caddyzoho

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// warnAboutSites tells at load what doctor would find.
func (a *App) warnAboutSites() {
	found, _ := a.examineSites()
	for _, f := range found {
		if f.Result == resultWarning {
			a.logger.Warn(f.line())
		}
	}
}

// examineSites looks at the sites of this configuration for what makes our handler
// unreachable, or reachable for too many. It returns the handlers that it has found.
func (a *App) examineSites() (found findings, handlers []*Handler) {
	app, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		found.add(siteWarning("no server is configured, so no app can reach zoho_proxy", "", "see whether the site's address or its `bind` is empty"))
		return found, nil
	}
	servers := app.(*caddyhttp.App).Servers
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		walk := siteWalk{name: name, server: servers[name], folders: make(map[*Connect][]string)}
		walk.routes(walk.server.Routes, place{})
		walk.listeners()
		for connect, folders := range walk.folders {
			connect.folders.Store(&folders)
		}
		found.add(walk.found...)
		handlers = append(handlers, walk.handlers...)
	}
	if len(handlers) == 0 {
		found.add(siteWarning("no site holds a zoho_proxy, so no app can use Zoho through this Caddy", "an empty `bind` or site address makes a site vanish", "add `zoho_proxy` to a site"))
	}
	return found, handlers
}

func siteWarning(what, why, do string) finding {
	return finding{Check: checkSites, Result: resultWarning, What: what, Why: why, Do: do}
}

// siteWalk goes down the routes of a server to our handlers.
type siteWalk struct {
	name     string
	server   *caddyhttp.Server
	within   []string // names of the named routes that we are in
	found    findings
	handlers []*Handler
	folders  map[*Connect][]string // where the pages are, for a request as it arrives there
	asks     bool                  // something asks callers who they are, wherever that stands
}

func (w *siteWalk) warn(what, why, do string) {
	w.found.add(siteWarning(what, why, do+", server "+w.name))
}

// place is what leads to a handler.
type place struct {
	host     string   // "" if any will do
	folders  []string // that its path is in; nil if that may be any
	stripped string   // prefix that is off the path by now
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

// rewritten is the place behind a rewrite. Of those that do more than to strip a prefix, as
// handle_path does, it is not known where they lead.
func (p place) rewritten(r *rewrite.Rewrite) place {
	if r.StripPathPrefix == "" || r.URI != "" || r.StripPathSuffix != "" || r.URISubstring != nil || r.PathRegexp != nil {
		p.folders = nil
		return p
	}
	var folders []string
	for _, folder := range p.folders {
		rest, ok := strings.CutPrefix(folder, r.StripPathPrefix)
		if !ok || !strings.HasPrefix(rest, "/") {
			p.folders = nil
			return p
		}
		folders = append(folders, rest)
	}
	p.folders, p.stripped = folders, p.stripped+r.StripPathPrefix
	return p
}

// foldersOf are the folders that a route's matcher names, as in /zoho-connect/*; nil if it
// names none, or if others match as well.
func foldersOf(sets caddyhttp.MatcherSets) (folders []string) {
	for _, set := range sets {
		paths := matcherOf[caddyhttp.MatchPath](caddyhttp.MatcherSets{set})
		if len(paths) == 0 {
			return nil
		}
		for _, path := range paths {
			if slices.Contains(paths, path+"/*") { // the folder itself, which leads there
				continue
			}
			path, _, _ = strings.Cut(path, "*")
			if !strings.HasPrefix(path, "/") {
				return nil
			}
			folders = append(folders, path[:strings.LastIndexByte(path, '/')+1])
		}
	}
	return folders
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
	c.served(w.server, at.host, folder)
	to, err := url.Parse(c.client.RedirectURI)
	if err == nil && to.Path != "" && !strings.HasSuffix(to.Path, "/callback") {
		w.warn("redirect_uri of client "+c.client.name+" leads browsers to "+to.Path, "the pages of zoho_connect take Zoho's answers at "+folder+"callback alone",
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
	anybody := slices.ContainsFunc(w.handlers, func(h *Handler) bool { return h.callers.any })
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
		if c.callers.any {
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

// matcherOf finds the first matcher of a kind, which Caddy keeps by value or by pointer.
func matcherOf[T any](sets caddyhttp.MatcherSets) (none T) {
	for _, set := range sets {
		for _, matcher := range set {
			switch m := matcher.(type) {
			case T:
				return m
			case *T:
				return *m
			}
		}
	}
	return none
}

// served tells the client where a browser finds its pages, by the configuration alone:
// what stands in front of Caddy is not known here.
func (c *Connect) served(server *caddyhttp.Server, host, folder string) {
	if len(server.Listen) == 0 {
		return
	}
	address, err := caddy.ParseNetworkAddress(server.Listen[0])
	if err != nil || !strings.HasPrefix(address.Network, "tcp") {
		return
	}
	if host == "" {
		host = address.Host
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme, usual := "http", uint(80)
	if len(server.TLSConnPolicies) > 0 || address.StartPort == 443 {
		scheme, usual = "https", 443
	}
	if address.StartPort != usual {
		host = net.JoinHostPort(host, strconv.Itoa(int(address.StartPort)))
	}
	c.client.served.Store(scheme + "://" + host + folder + "callback")
}

// reach is from where a listener can be reached.
type reach int

const (
	thisMachine reach = iota
	otherMachines
	everywhere // by any address of this machine
)

func reachOf(listen string) reach {
	address, err := caddy.ParseNetworkAddress(listen)
	if err != nil || !strings.HasPrefix(address.Network, "tcp") || address.Host == "localhost" {
		return thisMachine
	}
	switch ip, err := netip.ParseAddr(address.Host); {
	case address.Host == "" || err == nil && ip.IsUnspecified():
		return everywhere
	case err == nil && ip.IsLoopback():
		return thisMachine
	}
	return otherMachines
}
