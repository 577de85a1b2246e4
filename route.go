package caddyzoho

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-zoho/caddy-zoho/internal/forward"
	"github.com/caddy-zoho/caddy-zoho/internal/policy"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// route decides where the request goes: by its host, or else by its path. Before there is
// a token, it decides only for what that is got.
func (s *session) route(r *http.Request, token *tokencache.Token) *problem.Problem {
	path := forward.Path(r.RequestURI)
	host := hostOf(r)
	if s.upstream != nil {
		s.target = *s.upstream
		s.target.Service = s.catalog.OfPath(path)
		s.setTarget()
		return s.permit(r, cmp.Or(s.target.Service, zoho.ServiceOfHost(s.target.Host)), path, true)
	}
	options := zoho.RouteOptions{
		AnyDataCenter: s.anyDataCenter, Allowed: s.allowed, Catalog: s.catalog, Method: r.Method, Provisional: token == nil,
	}
	if token != nil {
		options.APIDomain = token.APIDomain
	}
	target, isZoho, err := s.center.RouteHost(host, path, options)
	if !isZoho && forward.IsAbsolute(r) && !isOwnAddress(r, host) {
		return problem.Target(host)
	}
	if !isZoho {
		target, err = s.center.RoutePath(path, options)
	}
	if err != nil {
		return problem.Route(err, host, s.center.Code, s.served())
	}
	if target.Service == zoho.ProfileService && policy.Overrides(r.Header, r.URL.RawQuery) {
		return problem.Reading("a header or parameter asks an accounts server for another method or path: leave it out")
	}
	if target.Strip > 0 && forward.Climbs(path[target.Strip:]) {
		return problem.Reading("its dot segments lead out of " + target.Service + ": send the path without them")
	}
	s.target = target
	s.setTarget()
	path, atGateway := s.judged(path)
	return s.permit(r, target.Service, path, atGateway)
}

// served are the services that a request may be for.
func (s *session) served() []string {
	if len(s.services) > 0 {
		return s.services
	}
	return s.catalog.Names()
}

// judged is the path that policies look at, and whether it is written in full.
func (s *session) judged(path string) (_ string, atGateway bool) {
	if s.target.Service == zoho.ProfileService {
		return zoho.ProfilePath, true
	}
	path = s.target.Rewrite(path)
	return path, s.atGateway(path)
}

// atGateway reports whether a path is sent to a server that goes by the path alone.
func (s *session) atGateway(path string) bool {
	service, _ := zoho.LookupService(s.target.Service)
	return s.center.Custom || s.target.Strip == 0 && service.Gateway && strings.HasPrefix(path, "/"+service.Name+"/")
}

// permit asks the policies, now that it is known where the request goes.
func (s *session) permit(r *http.Request, service, path string, atGateway bool) *problem.Problem {
	if len(s.access.Policies) == 0 {
		return nil
	}
	why := s.access.Permit(&policy.Call{Caller: s.caller.Name, Service: service, Method: r.Method,
		Path: cmp.Or(path, "/"), AtGateway: atGateway, Overrides: policy.Overrides(r.Header, r.URL.RawQuery)})
	told := s.denied != nil // a route may be found twice
	s.denied = nil
	switch {
	case why == nil:
		return nil
	case !s.access.DryRun:
		return s.deny(why, false)
	case !told:
		s.metrics.DryRun(s.client.Name)
	}
	s.deny(why, true)
	return nil
}

// setTarget fixes what is dialled, and finds what the connection remembers of the service.
func (s *session) setTarget() {
	s.resource = s.conn.Resource(s.target.Service, s.target.Host)
	if simulator := s.client.Network.Simulator; simulator != "" && !s.stranger {
		s.dial = simulator
	} else {
		s.dial = s.target.Address()
	}
}

// hostOf is the host that a request is meant for. In a Host header neither the port, which is
// that of a listener or of what is in front of it, nor a dot at the end makes it another one:
// what an app means for a sandbox must not be carried out elsewhere because of its path.
func hostOf(r *http.Request) string {
	if forward.IsAbsolute(r) {
		return r.URL.Host
	}
	return zoho.HostName(r.Host)
}

// isOwnAddress reports whether host is the address that the request was accepted on.
func isOwnAddress(r *http.Request, host string) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return false
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, "80"
		if r.TLS != nil {
			port = "443"
		}
	}
	if port != strconv.Itoa(local.Port) {
		return false
	}
	if strings.EqualFold(name, "localhost") {
		return local.IP.IsLoopback()
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return ip != nil && ip.Equal(local.IP)
}

func init() {
	caddy.RegisterModule(Upstreams{})
}

// Upstreams tells reverse_proxy where a request goes that the handler `zoho` has
// admitted: the Zoho host of its service in the data center of its connection.
// Each host is an upstream of its own, so passive health checks blame the right one.
type Upstreams struct{}

// CaddyModule returns the Caddy module information.
func (Upstreams) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.upstreams.zoho",
		New: func() caddy.Module { return new(Upstreams) },
	}
}

var errNoSession = errors.New(
	"zoho: the handler `zoho` did not see this request: put it in front of reverse_proxy, as the directive zoho_proxy does",
)

// GetUpstreams returns the one upstream of the request. It lives in the session,
// since reverse_proxy writes into it.
func (Upstreams) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	s, ok := caddyhttp.GetVar(r.Context(), sessionVar).(*session)
	if !ok {
		return nil, errNoSession
	}
	s.chosen.Dial = s.dial
	s.pool[0] = &s.chosen
	return s.pool[:], nil
}

var _ reverseproxy.UpstreamSource = Upstreams{}
