package sites

import (
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/apikeys"
	"github.com/caddy-zoho/caddy-zoho/internal/callers"
	"github.com/caddy-zoho/caddy-zoho/internal/forward"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// What stands before a zoho_proxy: what a caller gets round by a Host of Zoho's, what says who
// the caller is, and what writes it down.

// behind is the place of what follows a route.
func (p place) behind(route caddyhttp.Route, named map[string]*caddyhttp.Route) place {
	if len(route.MatcherSets) > 0 {
		if guards(route.Handlers, named, 0) {
			p.guarded = append(slices.Clip(p.guarded), servicePaths(route.MatcherSets)...)
		}
		return p
	}
	for _, handler := range route.Handlers {
		p.written = append(slices.Clip(p.written), headersSetBy(handler)...)
		if sub, ok := handler.(*caddyhttp.Subroute); ok {
			for _, inner := range sub.Routes {
				p = p.behind(inner, named)
			}
		}
	}
	return p
}

// deepest is how far named routes may lead into each other.
const deepest = 10

// guards reports whether handlers let no request pass, or none of whom they do not know.
func guards(handlers []caddyhttp.MiddlewareHandler, named map[string]*caddyhttp.Route, depth int) bool {
	return depth < deepest && slices.ContainsFunc(handlers, func(handler caddyhttp.MiddlewareHandler) bool {
		switch h := handler.(type) {
		case *caddyhttp.StaticError, *caddyauth.Authentication:
			return true
		case *caddyhttp.StaticResponse:
			status, err := strconv.Atoi(string(h.StatusCode))
			return h.Abort || h.Close || err == nil && status >= 400
		case *reverseproxy.Handler:
			return asksElsewhere(h)
		case *caddyhttp.Subroute:
			return slices.ContainsFunc(h.Routes, func(r caddyhttp.Route) bool {
				return len(r.MatcherSets) == 0 && guards(r.Handlers, named, depth+1)
			})
		case *caddyhttp.Invoke:
			r := named[h.Name]
			return r != nil && len(r.MatcherSets) == 0 && guards(r.Handlers, named, depth+1)
		}
		return false
	})
}

// servicePaths are the path matchers of a route that a call to a service can match.
func servicePaths(sets caddyhttp.MatcherSets) (paths []string) {
	for _, set := range sets {
		only := caddyhttp.MatcherSets{set}
		for _, path := range matcherOf[caddyhttp.MatchPath](only) {
			if slices.ContainsFunc(zoho.ServiceNames(), func(name string) bool { return leadsTo(path, name) }) {
				paths = append(paths, path)
			}
		}
		pattern := matcherOf[caddyhttp.MatchPathRE](only).Pattern
		if slices.ContainsFunc(zoho.ServiceNames(), func(name string) bool { return strings.Contains(pattern, "/"+name) }) {
			paths = append(paths, pattern)
		}
	}
	return paths
}

// leadsTo reports whether a path matcher names paths of a service in particular. One that begins
// with * names those of any, and others as well.
func leadsTo(path, service string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	prefix, _, pattern := strings.Cut(first, "*")
	if pattern {
		return prefix != "" && strings.HasPrefix(service, prefix)
	}
	return first == service
}

// goneRound tells of guards that go by paths, where Host may choose the service as well.
func (w *Walk) goneRound(p Served, at place) {
	if len(at.guarded) == 0 || len(p.Services) > 0 || p.Policies || p.Upstream {
		return
	}
	w.warn(
		"a rule for the path "+at.guarded[0]+" stands before a zoho_proxy that serves every service",
		"a caller can bypass it with a Zoho host name in Host, which also chooses the service: at desk.zoho.com, Desk's "+
			"calls have other paths",
		"list what is served in `services` of zoho_proxy, or what may be called in a `policy`",
	)
}

// headersSetBy are the request headers that a handler sets or removes, whatever the caller has sent.
func headersSetBy(handler caddyhttp.MiddlewareHandler) (names []string) {
	switch h := handler.(type) {
	case *headers.Handler:
		if h.Request == nil {
			return nil
		}
		for name, values := range h.Request.Set {
			if callers.SourceOf(strings.Join(values, "")) == callers.ByOperator {
				names = append(names, name)
			}
		}
		return append(names, h.Request.Delete...)
	case *reverseproxy.Handler:
		if !asksElsewhere(h) {
			return nil
		}
		for _, response := range h.HandleResponse {
			names = append(names, headersSetIn(response.Routes)...)
		}
	}
	return names
}

func headersSetIn(routes caddyhttp.RouteList) (names []string) {
	for _, route := range routes {
		for _, handler := range route.Handlers {
			names = append(names, headersSetBy(handler)...)
		}
	}
	return names
}

// namedByCallers tells of headers that say who the caller is, and that the caller may write.
func (w *Walk) namedByCallers(p Served, at place) {
	for _, name := range p.NamesByHeader {
		if slices.ContainsFunc(at.written, func(other string) bool { return strings.EqualFold(other, name) }) {
			continue
		}
		w.warn(
			"the caller's name comes from the request header "+name+", which callers can set themselves",
			"nothing in front of zoho_proxy sets that header, as `forward_auth` with `copy_headers` does",
			"put `forward_auth` with `copy_headers "+name+"` in front of it, or have `callers` admit only the server in front",
		)
	}
}

// namedByAnybody tells of client certificates that say who the caller is, and that nobody has to have
// signed.
func (w *Walk) namedByAnybody(p Served) {
	for _, tls := range w.Server.TLSConnPolicies {
		if auth := tls.ClientAuthentication; p.NamesByCertificate && auth != nil &&
			(auth.Mode == "request" || auth.Mode == "require") {
			w.warn(
				"the caller's name comes from a client certificate that anyone could have made",
				"`client_auth` of the site has the mode "+auth.Mode+", which does not verify certificates",
				"write `mode require_and_verify`, and name their certificate authority in `trust_pool`",
			)
			return
		}
	}
}

// logged tells of keys that an access log shows.
func (w *Walk) logged(p Served) {
	if w.Server.Logs == nil {
		return
	}
	if p.KeysInHeader {
		w.shown("in "+apikeys.HeaderName, "request>headers>"+apikeys.HeaderName+" delete",
			[]string{"request", "request>headers", "request>headers>" + apikeys.HeaderName}, "")
	}
	if p.KeysInQuery {
		w.shown("in the parameter "+forward.AuthTokenName, "request>uri query { delete "+forward.AuthTokenName+" }",
			[]string{"request", "request>uri"}, forward.AuthTokenName)
	}
}

// shown tells of keys that are shown in one place, unless a filter takes them out.
func (w *Walk) shown(where, filter string, fields []string, parameter string) {
	what := "the access log shows keys that callers send " + where + ", if another handler answers the request"
	do := "add to the `log` of the site: format filter { " + filter + " }"
	switch {
	case !w.logsKnown:
		w.note(what+", unless a filter removes them", "the proxy cannot tell whether there is a filter", do)
	case !w.logs.hide(w.Server, fields, parameter):
		w.warn(what, "Caddy copies a request for its log before any handler sees it, and no filter removes the keys", do)
	}
}

// note tells what is good to know, and may be in order.
func (w *Walk) note(what, why, do string) {
	f := siteWarning(what+" (server "+w.name+")", why, do)
	f.Result = adminapi.ResultNote
	w.found.Add(f)
}
