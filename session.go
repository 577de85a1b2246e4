package caddyzoho

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-zoho/caddy-zoho/internal/access"
	"github.com/caddy-zoho/caddy-zoho/internal/accesslog"
	"github.com/caddy-zoho/caddy-zoho/internal/apikeys"
	"github.com/caddy-zoho/caddy-zoho/internal/audit"
	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/callers"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/metrics"
	"github.com/caddy-zoho/caddy-zoho/internal/policy"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/internal/unrecognized"
	"github.com/caddy-zoho/caddy-zoho/internal/usage"
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
	who        access.Who
	method     string
	path       string          // as it was received, without the query
	denied     *policy.Refusal // of the policies, if they have something against it
	noted      bool            // the answer is noted
	account    string
	known      bool // whose request it is: account was looked for
	center     *zoho.DataCenter
	conn       *tokencache.Conn
	resource   *tokencache.Resource
	target     zoho.Target
	dial       string
	generation uint64
	replays    int
	body       *body.Recorder      // nil if there is none
	answer     *http.Response      // of the last attempt
	hidden     *hiddenTarget       // nil unless the target holds a secret
	writer     http.ResponseWriter // nil unless the app speaks HTTP/1
	unread     bool                // that app is answered while it is still sending

	chosen reverseproxy.Upstream
	pool   [1]*reverseproxy.Upstream
}

// rules are what the requests of a zoho_proxy go by.
type rules struct {
	client        *client.Client
	access        *access.Control
	audit         *audit.Log                // nil where callers have no names, all is admitted, and no log asks for it
	upstream      *zoho.Target              // everything goes there, nil if host or path decide
	stranger      bool                      // upstream is none of Zoho's hosts
	services      []string                  // the only ones that are served, none for all
	allowed       func(service string) bool // nil for all
	catalog       *zoho.Catalog             // of all services that there are
	anyDataCenter bool
	replay        body.Limits
	room          *body.Room

	cache    *tokencache.Cache
	metrics  *metrics.Metrics
	requests *metrics.Requests
	callers  *metrics.Callers
	usage    *usage.Usage
	unknown  *unrecognized.Refusals
	logger   *zap.Logger

	// Lines about Zoho not answering, not seeing the token, and refusing fresh ones, and about
	// calls that are not admitted.
	unanswered, unseen, refusals, denials rate.Sometimes
	strangers                             *rate.Limiter // lines about callers that are not
}

// onceASecond lets one line of the log through: what fails, fails for every request.
func onceASecond() rate.Sometimes { return rate.Sometimes{Interval: time.Second} }

// replacer knows the placeholders of a request.
func replacer(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}

// identify finds out who calls, where callers have names. Others are keys that the request shows
// in its body.
func (s *session) identify(r *http.Request, others ...string) *problem.Problem {
	who, err := s.access.Identify(r, replacer(r), s.caller.ID, others...)
	if err != nil {
		return problem.Key(err)
	}
	s.caller.Name, s.who = who.Name, who
	return nil
}

// chooseAccount finds whose token it is to be.
func (s *session) chooseAccount(r *http.Request) *problem.Problem {
	account, admitted := s.access.AccountOf(s.who, replacer(r))
	s.account, s.known = account, true
	if !admitted {
		return s.deny(&policy.Refusal{Why: "the account does not belong to the caller"}, false)
	}
	return nil
}

// about has an answer of ours say whose request it is, as soon as that is known. What is not allowed
// is told alike whatever the account: a caller is not to learn which ones there are.
func (s *session) about(p *problem.Problem) {
	if p != nil && s.known && p.Code != problem.CodeNotAllowed {
		p.For(s.client.Name, s.account)
	}
}

// deny tells the operator why a call is not admitted, and the app that it is not.
func (s *session) deny(why *policy.Refusal, dryRun bool) *problem.Problem {
	s.denied = why
	s.denials.Do(func() {
		s.logger.Warn("this call is not allowed", s.fields(zap.String("caller", cmp.Or(s.caller.Name, s.caller.Peer)),
			zap.String("method", s.method), zap.String("path", s.shownPath()), zap.String("nearest_policy", why.Nearest),
			zap.String("why", why.Why), zap.Bool("dry_run", dryRun))...)
	})
	return problem.NotAllowed()
}

// keep has the body of the request recorded, if it has one.
func (s *session) keep(req *http.Request) {
	if s.body == nil && req.Body != nil && req.Body != http.NoBody {
		s.body = body.NewRecorder(req, s.replay, s.room, s.caller.Share())
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

// hiddenTarget is a request target that is not for reverse_proxy's logs, and what they show instead.
type hiddenTarget struct{ received, shown string }

// hide keeps a secret in the target from reverse_proxy, which logs all of it. A rewrite there goes by
// the URL.
func (s *session) hide(r *http.Request) (restore func()) {
	shown, _ := accesslog.Redact(r.RequestURI)
	s.hidden = &hiddenTarget{r.RequestURI, shown}
	r.RequestURI = shown
	return func() { r.RequestURI = s.hidden.received }
}

// received is the target of a request that reverse_proxy has handed on.
func (s *session) received(req *http.Request) string {
	if s.hidden != nil && req.RequestURI == s.hidden.shown {
		return s.hidden.received
	}
	return req.RequestURI
}

// close gives back what was kept for the request.
func (s *session) close() {
	if s.body.NoRoom() {
		s.count(body.LostNoRoom)
	}
	s.body.Close()
}

// statusClientClosed is what Caddy logs for a caller that hung up.
const statusClientClosed = 499

// note remembers what the app is told, once: who called what, and how it ended. It is written
// before the app is told. code is that of an answer of our own.
func (s *session) note(status int, code string) {
	if s.noted {
		return
	}
	s.noted = true
	s.callers.Count(s.caller.Name, status)
	if s.audit == nil {
		return
	}
	call := &audit.Call{Client: s.client.Name, Caller: s.caller.Name, Peer: s.caller.Peer, Account: s.account,
		Service: s.target.Service, Method: s.method, Path: s.shownPath(), Status: status, Generation: s.generation, Code: code}
	if s.denied != nil {
		call.Policy, call.Why, call.DryRun = s.denied.Nearest, s.denied.Why, code == ""
	}
	if s.caller.Name == "" && code != "" {
		s.audit.Refused(call)
		return
	}
	s.audit.Call(call)
}

// gone notes a request whose caller has hung up before it was sent on.
func (s *session) gone(p *problem.Problem) {
	code := ""
	if p != nil {
		code = p.Code
	}
	s.note(statusClientClosed, code)
}

// shownPath is the path for people: some servers take what follows a semicolon for a parameter.
func (s *session) shownPath() string {
	shown, _ := accesslog.Redact(s.path)
	return apikeys.Mask(shown)
}

// ended notes a request that nobody has answered: its caller has hung up, or reverse_proxy leaves it
// to error routes.
func (s *session) ended(r *http.Request, err error) {
	switch {
	case s.noted:
	case r.Context().Err() != nil:
		s.note(statusClientClosed, "")
	case err != nil:
		s.note(statusOf(err), "")
	}
}

// statusOf is the status of an error that reverse_proxy leaves to error routes.
func statusOf(err error) int {
	var known caddyhttp.HandlerError
	if errors.As(err, &known) {
		return known.StatusCode
	}
	return http.StatusInternalServerError
}

func (s *session) key() tokencache.Key {
	return tokencache.Key{Client: s.client.Name, Account: s.account}
}

// fields say in a log line which request it is about.
func (s *session) fields(more ...zap.Field) []zap.Field {
	return append([]zap.Field{zap.String("client", s.client.Name), zap.String("account", s.account),
		zap.String("service", s.target.Service), zap.Uint64("generation", s.generation)}, more...)
}

// String keeps {http.vars.zoho.session} from showing what is inside.
func (s *session) String() string { return "zoho session" }

// placeholder answers {http.zoho.*}.
func (s *session) placeholder(key string) (any, bool) {
	switch key {
	case "http.zoho.client":
		return s.client.Name, true
	case "http.zoho.caller":
		return s.caller.Name, true
	case "http.zoho.account":
		return s.account, true
	case "http.zoho.service":
		return s.target.Service, true
	case "http.zoho.generation":
		return s.generation, true
	case "http.zoho.replayed":
		return s.replays > 0, true
	case "http.zoho.peer_uid":
		return s.caller.UID(), true
	}
	return nil, false
}
