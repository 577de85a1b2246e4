package caddyzoho

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

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

var errNoSession = errors.New("zoho: the handler `zoho` did not see this request: put it in front of reverse_proxy, as the directive zoho_proxy does")

// GetUpstreams returns the one upstream of the request. It lives in the session,
// since reverse_proxy writes into it.
func (Upstreams) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	s, ok := caddyhttp.GetVar(r.Context(), sessionVar).(*session)
	if !ok {
		return nil, errNoSession
	}
	s.upstream.Dial = s.dial
	s.pool[0] = &s.upstream
	return s.pool[:], nil
}

var _ reverseproxy.UpstreamSource = Upstreams{}
