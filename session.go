package caddyzoho

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/callers"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/metrics"
	"github.com/caddy-zoho/caddy-zoho/internal/unrecognized"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// sessionVar names what the handler tells the upstream source and the transport.
// Without it they refuse to work: a reverse_proxy that our handler does not stand
// in front of sends nothing.
const sessionVar = "zoho.session"

// session is one request on its way. It never holds a token.
type session struct {
	*rules
	caller     callers.Caller
	account    string
	center     *zoho.DataCenter
	conn       *tokencache.Conn
	resource   *tokencache.Resource
	target     zoho.Target
	dial       string
	generation uint64
	replays    int
	body       *body.Recorder      // nil if there is none
	answer     *http.Response      // of the last attempt
	writer     http.ResponseWriter // nil unless the app speaks HTTP/1
	unread     bool                // that app is answered while it is still sending

	chosen reverseproxy.Upstream
	pool   [1]*reverseproxy.Upstream
}

// rules are what the requests of a zoho_proxy go by.
type rules struct {
	client        *client.Client
	upstream      *zoho.Target              // everything goes there, nil if host or path decide
	stranger      bool                      // upstream is none of Zoho's hosts
	services      []string                  // the only ones that are served, none for all
	allowed       func(service string) bool // nil for all
	anyDataCenter bool
	replay        body.Limits
	room          *body.Room

	cache    *tokencache.Cache
	metrics  *metrics.Metrics
	requests *metrics.Requests
	unknown  *unrecognized.Refusals
	logger   *zap.Logger

	// Lines about Zoho not answering, not seeing the token, and refusing fresh ones.
	unanswered, unseen, refusals rate.Sometimes
}

// onceASecond lets one line of the log through: what fails, fails for every request.
func onceASecond() rate.Sometimes { return rate.Sometimes{Interval: time.Second} }

// keep has the body of the request recorded, if it has one.
func (s *session) keep(req *http.Request) {
	if s.body == nil && req.Body != nil && req.Body != http.NoBody {
		s.body = body.NewRecorder(req, s.replay, s.room)
	}
}

// stopBody is for an answer after which the rest of the body is of no use, nil for one of ours.
func (s *session) stopBody(res *http.Response) {
	if s.body.Stop(res) && s.writer != nil && body.KeepReading(s.writer) {
		s.unread = true
		if res != nil {
			body.Measure(res)
		}
	}
}

// close gives back what was kept for the request.
func (s *session) close() {
	if s.body.NoRoom() {
		s.count(body.LostNoRoom)
	}
	s.body.Close()
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
