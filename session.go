package caddyzoho

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// sessionVar names what the handler tells the upstream source and the transport.
// Without it they refuse to work: a reverse_proxy that our handler does not stand
// in front of sends nothing.
const sessionVar = "zoho.session"

// session is one request on its way. It never holds a token.
type session struct {
	handler    *Handler
	client     *client.Client
	account    string
	center     *zoho.DataCenter
	conn       *tokencache.Conn
	resource   *tokencache.Resource
	target     zoho.Target
	dial       string
	generation uint64
	replays    int
	body       *body.Recorder // nil if there is none
	answer     *http.Response // of the last attempt

	upstream reverseproxy.Upstream
	pool     [1]*reverseproxy.Upstream
}

// String keeps {http.vars.zoho.session} from showing what is inside.
func (s *session) String() string { return "zoho session" }

// placeholder answers {http.zoho.*}.
func (s *session) placeholder(key string) (any, bool) {
	switch key {
	case "http.zoho.client":
		return s.client.Name, true
	case "http.zoho.account":
		return s.account, true
	case "http.zoho.service":
		return s.target.Service, true
	case "http.zoho.generation":
		return s.generation, true
	case "http.zoho.replayed":
		return s.replays > 0, true
	}
	return nil, false
}
