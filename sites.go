package caddyzoho

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// warnAboutSites looks at the sites of this configuration for what makes our
// handler unreachable, or reachable for too many.
func (a *App) warnAboutSites() {
	app, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		a.logger.Warn("no server is configured, so no app can reach zoho_proxy (is the site's address or its `bind` empty?)")
		return
	}
	found := false
	for name, server := range app.(*caddyhttp.App).Servers {
		walk := siteWalk{server: server, warn: func(text string) { a.logger.Warn(text + ", server " + name) }}
		walk.routes(server.Routes, "")
		if !walk.found {
			continue
		}
		found = true
		for _, listen := range server.Listen {
			if text := exposed(listen); text != "" {
				a.logger.Warn(text + ", server " + name)
			}
		}
	}
	if !found {
		a.logger.Warn("no site holds a zoho_proxy, so no app can use Zoho through this Caddy (an empty `bind` or site address makes a site vanish)")
	}
}

// siteWalk goes down the routes of a server to our handlers.
type siteWalk struct {
	server *caddyhttp.Server
	within []string // names of the named routes that we are in
	warn   func(string)
	found  bool
}

// routes goes down routes that stand behind a host, "" if any will do.
func (w *siteWalk) routes(routes caddyhttp.RouteList, host string) {
	for _, route := range routes {
		host := host
		if hosts := matcherOf[caddyhttp.MatchHost](route.MatcherSets); len(hosts) > 0 {
			host = hosts[0]
		}
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *caddyhttp.Subroute:
				w.routes(h.Routes, host)
			case *caddyhttp.Invoke:
				w.invoke(h.Name, host)
			case *Connect:
				h.served(w.server, host, route.MatcherSets)
			case *Handler:
				w.found = true
				if host != "" {
					w.warn("zoho_proxy stands behind a host name: requests with another Host get an empty 200 from Caddy itself; use a site address without a host, such as http://:8080 with `bind 127.0.0.1`")
				}
			}
		}
	}
}

// invoke enters a named route, but not from within itself.
func (w *siteWalk) invoke(name, host string) {
	route := w.server.NamedRoutes[name]
	if route == nil || slices.Contains(w.within, name) {
		return
	}
	w.within = append(w.within, name)
	w.routes(caddyhttp.RouteList{*route}, host)
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
func (c *Connect) served(server *caddyhttp.Server, host string, sets caddyhttp.MatcherSets) {
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
	c.client.served.Store(scheme + "://" + host + folderOf(sets) + "callback")
}

// folderOf is the path that a route's matcher names, as in /zoho-connect/*.
func folderOf(sets caddyhttp.MatcherSets) string {
	for _, path := range matcherOf[caddyhttp.MatchPath](sets) {
		if folder, ok := strings.CutSuffix(path, "/*"); ok {
			return folder + "/"
		}
	}
	return "/zoho-connect/"
}

// exposed tells listeners that other machines can reach.
func exposed(listen string) string {
	address, err := caddy.ParseNetworkAddress(listen)
	if err != nil || !strings.HasPrefix(address.Network, "tcp") || address.Host == "localhost" {
		return ""
	}
	ip, err := netip.ParseAddr(address.Host)
	if err == nil && ip.IsLoopback() {
		return ""
	}
	if address.Host == "" || (err == nil && ip.IsUnspecified()) {
		return fmt.Sprintf("zoho_proxy listens on every interface (%s): other machines can reach it, and `callers` alone keeps them out; add `bind 127.0.0.1`", listen)
	}
	return ""
}
