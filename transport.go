package caddyzoho

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/forward"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func init() {
	caddy.RegisterModule(Transport{})
}

// Transport is Caddy's HTTP transport with a Zoho access token: it checks the
// target, attaches the token, sends, judges the answer, has the token renewed and
// sends again. It is the only place that holds a token, in a clone of the
// request that nobody else sees. TLS cannot be configured here: whom to trust is
// said by the client (`trusted_ca`).
type Transport struct {
	*reverseproxy.HTTPTransport

	// Name of the client; may be left out when there is only one.
	Client string `json:"client,omitempty"`

	// Request headers that the operator sets; of these nothing is removed.
	KeepHeaders []string `json:"keep_headers,omitempty"`

	client *client.Client
	last   *atomic.Pointer[authorization]
	hosts  *body.Hosts
}

// CaddyModule returns the Caddy module information.
func (Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.zoho",
		New: func() caddy.Module { return &Transport{HTTPTransport: new(reverseproxy.HTTPTransport)} },
	}
}

// Provision sets up the connections to Zoho the way the client says.
func (t *Transport) Provision(ctx caddy.Context) error {
	if t.TLS != nil {
		return errors.New(
			"zoho: transport: tls options cannot be set here: connections to Zoho are always verified; set trusted_ca in the client",
		)
	}
	if len(t.NetworkProxyRaw) != 0 || t.ForwardProxyURL != "" {
		return errors.New(
			"zoho: transport: set network_proxy in the client instead, so that token requests go the same way",
		)
	}
	if slices.Contains(t.Versions, "3") || t.ProxyProtocol != "" || t.Resolver != nil {
		return errors.New(
			"zoho: transport: versions 3, proxy_protocol and resolver cannot be set: they bypass the checks of where a token goes",
		)
	}
	app, err := configuredApp(ctx)
	if err != nil {
		return err
	}
	if t.client, err = app.client(t.Client); err != nil {
		return err
	}
	t.last, t.hosts = new(atomic.Pointer[authorization]), new(body.Hosts)
	network := t.client.Network
	t.fillDefaults()
	t.TLS = new(reverseproxy.TLSConfig)
	t.NetworkProxyRaw = network.ProxyModule()
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return err
	}
	t.Transport.TLSClientConfig.RootCAs = network.Roots
	t.Transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(maxSessions)
	t.Transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingLimit}
	t.Transport.DialContext = egress.Linger(t.dial(t.Transport.DialContext))
	for i, name := range t.KeepHeaders {
		t.KeepHeaders[i] = http.CanonicalHeaderKey(name)
	}
	return nil
}

const (
	// idleConnections are kept to each host for many callers at once: Caddy's 32 cost a
	// fifth of the throughput.
	idleConnections = 512
	// idleTime outlasts the ten minutes between two runs of a job, which would open a connection anew.
	idleTime = 15 * time.Minute

	// A connection of HTTP/2 is asked whether it lives when nothing has come for a while. TCP asks in
	// any case, which the other side's kernel answers.
	pingAfter = 30 * time.Second
	pingLimit = 15 * time.Second

	maxSessions = 64 // of TLS, one for each host, to resume them
)

// fillDefaults sets what our promises need: answers as Zoho encoded them, and large
// bodies that wait for Zoho's consent.
func (t *Transport) fillDefaults() {
	if t.KeepAlive == nil {
		t.KeepAlive = new(reverseproxy.KeepAlive)
	}
	if t.KeepAlive.MaxIdleConnsPerHost == 0 {
		t.KeepAlive.MaxIdleConnsPerHost = idleConnections
	}
	if t.KeepAlive.IdleConnTimeout == 0 {
		t.KeepAlive.IdleConnTimeout = caddy.Duration(idleTime)
	}
	off := false
	t.Compression = &off
	if t.ExpectContinueTimeout == 0 {
		t.ExpectContinueTimeout = caddy.Duration(time.Second)
	}
	if t.DialTimeout == 0 {
		t.DialTimeout = caddy.Duration(5 * time.Second)
	}
}

// dial guards connections to Zoho's hosts; those to an `upstream` may end anywhere.
func (t *Transport) dial(next egress.DialFunc) egress.DialFunc {
	guarded := t.client.Network.Guard(next)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if s, ok := caddyhttp.GetVar(ctx, sessionVar).(*session); ok && s.stranger {
			return next(ctx, network, address)
		}
		return guarded(ctx, network, address)
	}
}

// RequestHeaderOps keeps reverse_proxy from setting Host: the session decides it.
func (*Transport) RequestHeaderOps() *headers.HeaderOps { return nil }

// RoundTrip sends a request with a live token, and again if the answer says that the token
// was not: once, or twice if the second token was not renewed because of a refusal.
func (t *Transport) RoundTrip(req *http.Request) (res *http.Response, err error) {
	s, err := t.session(req)
	if err != nil {
		return nil, caddyhttp.Error(http.StatusBadGateway, err)
	}
	defer func() {
		if recovered := recover(); recovered != nil {
			if s.answer != nil {
				_ = s.answer.Body.Close()
			}
			res, err = s.respond(req, internal(s.logger, recovered)), nil
		}
	}()
	return t.exchange(req, s)
}

// exchange sends, judges, has the token renewed, and sends again. Where that was with a
// token which may have ended together with the first one, it sends a last time.
func (t *Transport) exchange(req *http.Request, s *session) (*http.Response, error) {
	egress.Watch(req)
	forward.WatchInterim(req.Context())
	s.keep(req)
	token, err := s.token(req)
	if err != nil {
		return s.noToken(req, err)
	}
	refused := uint64(0) // the generation before this one
	for before := tokencache.Mark(0); ; s.replays++ {
		s.generation = token.Generation // it may be newer than when the request came
		sent := s.resource.Mark()
		res, err := t.send(req, s, token)
		if err != nil {
			return s.broken(req, refused, err)
		}
		// gofail: var inTransport struct{}
		if s.body.ExpectationFailed(res) {
			s.lose(s.body.Rewind())
			return s.notReplayed(req, res, problem.Unexpected), nil
		}
		verdict := s.judge(res, token)
		how, renewable := s.refusal(res, verdict)
		if !renewable {
			return s.deliver(req, res, token, verdict), nil
		}
		if s.replays > 0 && s.replayRefused(req, res, token, verdict, before) {
			return s.passOn(res, token, verdict), nil
		}
		newer, err := s.refused(req).Refused(req.Context(), s.client.Cache, token.Generation, how)
		switch {
		case err != nil:
			body.Discard(res)
			return s.noToken(req, err)
		case newer == nil:
			return s.passOn(res, token, verdict), nil
		}
		if lost := s.body.Rewind(); lost != "" {
			s.lose(lost)
			s.refused(req).NotReplayed(token.Generation)
			if verdict != zoho.VerdictRenew { // the cause may be another one
				return s.passOn(res, token, verdict), nil
			}
			return s.notReplayed(req, res, problem.Renewed), nil
		}
		body.Discard(res)
		refused, token, before = token.Generation, newer, sent
	}
}

// session finds what the handler decided and checks that reverse_proxy is about to
// dial just that.
func (t *Transport) session(req *http.Request) (*session, error) {
	s, ok := caddyhttp.GetVar(req.Context(), sessionVar).(*session)
	if !ok {
		return nil, errNoSession
	}
	if dial, ok := reverseproxy.GetDialInfo(req.Context()); !ok || dial.Address != s.dial {
		return nil, fmt.Errorf(
			"zoho: the upstream %s is not %s, where this request belongs, so no token is sent there",
			dial.Address,
			s.dial,
		)
	}
	if s.client != t.client {
		return nil, fmt.Errorf(
			"zoho: the request is for client %s, the transport for client %s",
			s.client.Name,
			t.client.Name,
		)
	}
	return s, nil
}

// attempt is what is sent one time, in one allocation.
type attempt struct {
	request http.Request
	url     url.URL
}

// authorization is an access token as its header carries it, put together once: most
// clients have one account, so the last one is the next one.
type authorization struct {
	token *tokencache.Token
	value []string
}

// authorization returns the value of the header; it must not be written to.
func (t *Transport) authorization(token *tokencache.Token) []string {
	last := t.last.Load()
	if last == nil || last.token != token {
		last = &authorization{token, []string{t.client.Scheme + " " + token.Value}}
		t.last.Store(last)
	}
	return last.value
}

// send makes an attempt, and another one where the server refused an expectation of ours before
// the body was begun.
func (t *Transport) send(req *http.Request, s *session, token *tokencache.Token) (*http.Response, error) {
	res, err := t.attempt(req, s, token)
	if err != nil || !s.body.ExpectationFailed(res) || s.body.Rewind() != "" {
		return res, err
	}
	body.Discard(res)
	return t.attempt(req, s, token)
}

// attempt sends a clone that only net/http sees.
func (t *Transport) attempt(req *http.Request, s *session, token *tokencache.Token) (*http.Response, error) {
	a := new(attempt)
	forward.BuildURL(&a.url, &s.target, s.received(req))
	out := &a.request
	*out = *req
	out.URL, out.Host = &a.url, s.target.Host
	out.Header = forward.Header(req.Header, t.authorization(token), t.KeepHeaders)
	if !req.ProtoAtLeast(1, 1) {
		delete(out.Header, "Expect") // HTTP/1.0 knows no interim answers
	}
	if s.body != nil {
		if err := s.body.Attach(out, t.hosts); err != nil {
			return nil, err
		}
	}
	res, err := t.HTTPTransport.RoundTrip(out)
	s.answer = res
	return res, err
}
