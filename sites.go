package caddyzoho

import (
	"fmt"
	"net/netip"
	"slices"
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
		walk := siteWalk{named: server.NamedRoutes, warn: func(text string) { a.logger.Warn(text + ", server " + name) }}
		walk.routes(server.Routes, false)
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
	named  map[string]*caddyhttp.Route
	within []string // names of the named routes that we are in
	warn   func(string)
	found  bool
}

func (w *siteWalk) routes(routes caddyhttp.RouteList, behindHost bool) {
	for _, route := range routes {
		behind := behindHost || matchesHost(route.MatcherSets)
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *caddyhttp.Subroute:
				w.routes(h.Routes, behind)
			case *caddyhttp.Invoke:
				w.invoke(h.Name, behind)
			case *Handler:
				w.found = true
				if behind {
					w.warn("zoho_proxy stands behind a host name: requests with another Host get an empty 200 from Caddy itself; use a site address without a host, such as http://:8080 with `bind 127.0.0.1`")
				}
			}
		}
	}
}

// invoke enters a named route, but not from within itself.
func (w *siteWalk) invoke(name string, behindHost bool) {
	route := w.named[name]
	if route == nil || slices.Contains(w.within, name) {
		return
	}
	w.within = append(w.within, name)
	w.routes(caddyhttp.RouteList{*route}, behindHost)
	w.within = w.within[:len(w.within)-1]
}

func matchesHost(sets caddyhttp.MatcherSets) bool {
	for _, set := range sets {
		for _, matcher := range set {
			if _, ok := matcher.(caddyhttp.MatchHost); ok {
				return true
			}
			if _, ok := matcher.(*caddyhttp.MatchHost); ok {
				return true
			}
		}
	}
	return false
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
