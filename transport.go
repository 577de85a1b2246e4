package caddyzoho

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func init() {
	caddy.RegisterModule(Transport{})
}

// Transport is Caddy's HTTP transport with a Zoho access token: it checks the
// target, attaches the token, sends, judges the answer, has the token renewed and
// sends once more. It is the only place that holds a token, in a clone of the
// request that nobody else sees. TLS cannot be configured here: whom to trust is
// said by the client (`trusted_ca`).
type Transport struct {
	*reverseproxy.HTTPTransport

	// Name of the client; may be left out when there is only one.
	Client string `json:"client,omitempty"`

	// Request headers that the operator sets; of these nothing is removed.
	KeepHeaders []string `json:"keep_headers,omitempty"`

	client *Client
	logger *zap.Logger
}

// verdictHeader says why a refusal of Zoho's was passed on.
const verdictHeader = "Zoho-Proxy-Verdict"

// CaddyModule returns the Caddy module information.
func (Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.zoho",
		New: func() caddy.Module { return &Transport{HTTPTransport: new(reverseproxy.HTTPTransport)} },
	}
}

// Provision sets up the connections to Zoho the way the client says.
func (t *Transport) Provision(ctx caddy.Context) error {
	t.logger = ctx.Logger()
	if t.TLS != nil {
		return errors.New("zoho: transport: tls options are not taken here: connections to Zoho are always verified; set trusted_ca in the client")
	}
	if len(t.NetworkProxyRaw) != 0 || t.ForwardProxyURL != "" {
		return errors.New("zoho: transport: set network_proxy in the client instead, so that token requests take the same way")
	}
	app, err := configuredApp(ctx)
	if err != nil {
		return err
	}
	if t.client, err = app.client(t.Client); err != nil {
		return err
	}
	network := t.client.network
	t.TLS = new(reverseproxy.TLSConfig)
	t.NetworkProxyRaw = network.proxyModule()
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return err
	}
	t.Transport.TLSClientConfig.RootCAs = network.roots
	t.Transport.DialContext = t.dial(t.Transport.DialContext)
	for i, name := range t.KeepHeaders {
		t.KeepHeaders[i] = http.CanonicalHeaderKey(name)
	}
	return nil
}

// proxyModule makes Caddy's transport ignore the proxies of the environment.
func (n *network) proxyModule() json.RawMessage {
	if n.proxy == nil {
		return caddyconfig.JSON(map[string]string{"from": "none"}, nil)
	}
	return caddyconfig.JSON(map[string]string{"from": "url", "url": n.proxy.String()}, nil)
}

// dial guards connections to Zoho's hosts; those to an `upstream` may end anywhere.
func (t *Transport) dial(next dialFunc) dialFunc {
	guarded := t.client.network.guard(next)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if s, ok := caddyhttp.GetVar(ctx, sessionVar).(*session); ok && s.handler.upstream != nil {
			return next(ctx, network, address)
		}
		return guarded(ctx, network, address)
	}
}

// RequestHeaderOps keeps reverse_proxy from setting Host: the session decides it.
func (*Transport) RequestHeaderOps() *headers.HeaderOps { return nil }

// RoundTrip sends a request with a live token, and once more if the answer says
// that the token was not.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	s, err := t.session(req)
	if err != nil {
		return nil, caddyhttp.Error(http.StatusBadGateway, err)
	}
	return t.exchange(req, s)
}

// exchange sends, judges, has the token renewed, and sends once more.
func (t *Transport) exchange(req *http.Request, s *session) (*http.Response, error) {
	token, err := s.resource.Get(req.Context(), s.client.cache)
	if err != nil {
		return s.refuse(req, tokenProblem(err, s.client, s.account)), nil
	}
	res, err := t.send(req, s, token)
	if err != nil {
		return s.broken(req, err)
	}
	verdict := s.judge(res)
	if !curable(verdict) {
		return s.deliver(res, token, verdict), nil
	}
	newer, err := s.resource.Refused(req.Context(), s.client.cache, token.Generation, verdict == zoho.VerdictAmbiguous)
	switch {
	case err != nil:
		_ = res.Body.Close()
		return s.refuse(req, tokenProblem(err, s.client, s.account)), nil
	case newer == nil:
		return s.passOn(res, token, verdict), nil
	}
	if lost := s.body.takeBack(); lost != "" {
		// The token is new now; only this request cannot be sent again.
		s.count(lost)
		s.clean(res)
		res.Header.Set(verdictHeader, "not-replayed")
		return s.settled(res), nil
	}
	_ = res.Body.Close()
	return t.replay(req, s, newer)
}

// replay sends the request a second and last time.
func (t *Transport) replay(req *http.Request, s *session, token *tokencache.Token) (*http.Response, error) {
	s.replayed, s.generation = true, token.Generation
	res, err := t.send(req, s, token)
	if err != nil {
		s.count("failed")
		return s.broken(req, err)
	}
	verdict := s.judge(res)
	if !curable(verdict) {
		s.count("ok")
		return s.deliver(res, token, verdict), nil
	}
	s.count("refused")
	s.resource.ReplayRefused(token.Generation)
	return s.passOn(res, token, verdict), nil
}

// session finds what the handler decided and checks that reverse_proxy is about to
// dial just that.
func (t *Transport) session(req *http.Request) (*session, error) {
	s, ok := caddyhttp.GetVar(req.Context(), sessionVar).(*session)
	if !ok {
		return nil, errNoSession
	}
	if dial, ok := reverseproxy.GetDialInfo(req.Context()); !ok || dial.Address != s.dial {
		return nil, fmt.Errorf("zoho: the upstream %s is not %s, where this request belongs: no token is sent there", dial.Address, s.dial)
	}
	if s.client != t.client {
		return nil, fmt.Errorf("zoho: the request is for client %s, the transport for client %s", s.client.name, t.client.name)
	}
	return s, nil
}

// attempt is what one attempt sends. The first one lives in the session, which is
// one allocation instead of three.
type attempt struct {
	request       http.Request
	url           url.URL
	authorization [1]string
}

func (s *session) newAttempt() *attempt {
	if s.first.request.URL == nil {
		return &s.first
	}
	return new(attempt)
}

// send makes one attempt, on a clone that only net/http sees.
func (t *Transport) send(req *http.Request, s *session, token *tokencache.Token) (*http.Response, error) {
	a := s.newAttempt()
	s.aimAt(&a.url, req.RequestURI)
	a.authorization[0] = t.client.AuthorizationScheme + " " + token.Value
	out := &a.request
	*out = *req
	out.URL, out.Host = &a.url, s.target.Host
	out.Header = t.header(req.Header, a.authorization[:])
	if req.Body != nil && req.Body != http.NoBody {
		if err := s.attachBody(req, out); err != nil {
			return nil, err
		}
	}
	return t.HTTPTransport.RoundTrip(out)
}

// header copies what may reach Zoho, with exactly one Authorization.
func (t *Transport) header(in http.Header, authorization []string) http.Header {
	out := maps.Clone(in)
	for name := range in {
		if private(name) && !slices.Contains(t.KeepHeaders, name) {
			delete(out, name)
		}
	}
	if offer, ok := in["Upgrade"]; ok && (len(offer) != 1 || !strings.EqualFold(offer[0], "websocket")) {
		// Many clients offer h2c to a plain http server; HTTP/2 to Zoho fails on it.
		delete(out, "Upgrade")
		delete(out, "Connection")
	}
	out["Authorization"] = authorization
	return out
}

// private tells headers that are no business of Zoho's: cookies could mix
// identities, and the others name internal hosts and addresses.
func private(name string) bool {
	switch name[0] {
	case 'A':
		return name == "Authorization"
	case 'C':
		return name == "Cookie"
	case 'F':
		return name == "Forwarded"
	case 'V':
		return name == "Via"
	case 'X':
		return strings.HasPrefix(name, "X-Forwarded-")
	case 'Z':
		return strings.HasPrefix(name, "Zoho-Proxy-")
	}
	return false
}

// aimAt makes u lead to the target, with the request target as it was received, byte
// for byte, short of the service's name and of an authtoken.
func (s *session) aimAt(u *url.URL, received string) {
	target := originForm(received)
	target = withoutAuthToken(target[min(s.target.Strip, len(target)):]) // JSON may rewrite in reverse_proxy
	if target == "" || target[0] != '/' {
		target = "/" + target
	}
	u.Scheme, u.Host = s.target.Scheme, s.target.Host
	if !strings.HasPrefix(target, "//") {
		u.Opaque = target
		return
	}
	// As Opaque it would be sent in absolute form.
	raw, query, hasQuery := strings.Cut(target, "?")
	u.RawPath, u.RawQuery, u.ForceQuery = raw, query, hasQuery && query == ""
	u.Path = raw
	if path, err := url.PathUnescape(raw); err == nil {
		u.Path = path
	}
}

// withoutAuthToken removes the parameter that older Zoho APIs took a credential in.
func withoutAuthToken(target string) string {
	path, query, ok := strings.Cut(target, "?")
	if !ok || !hasAuthToken(query) {
		return target
	}
	kept := slices.DeleteFunc(strings.Split(query, "&"), isAuthToken)
	if len(kept) == 0 {
		return path
	}
	return path + "?" + strings.Join(kept, "&")
}

func hasAuthToken(query string) bool {
	for parameter := range strings.SplitSeq(query, "&") {
		if isAuthToken(parameter) {
			return true
		}
	}
	return false
}

func isAuthToken(parameter string) bool {
	name, _, _ := strings.Cut(parameter, "=")
	if strings.Contains(name, "%") {
		name, _ = url.QueryUnescape(name)
	}
	return strings.EqualFold(name, "authtoken")
}

// curable tells verdicts that a renewal may turn into a success.
func curable(v zoho.Verdict) bool {
	return v == zoho.VerdictRenew || v == zoho.VerdictAmbiguous
}

// judge says what an answer means for the token. It reads the body only of answers
// that can be a refusal.
func (s *session) judge(res *http.Response) zoho.Verdict {
	if !zoho.MayRefuse(s.target.Service, res.StatusCode, res.Header) {
		return zoho.VerdictNone
	}
	verdict := zoho.Judge(s.target.Service, res.StatusCode, res.Header, peek(res))
	if verdict == zoho.VerdictNone && res.StatusCode == http.StatusUnauthorized && res.Request.Method == http.MethodHead {
		verdict = zoho.VerdictAmbiguous // there is no body to say why
	}
	if verdict != zoho.VerdictNone {
		s.handler.app.state.metrics.refusal(s.client.name, s.target.Service, verdict.String())
	}
	return verdict
}

// deliver hands an answer to the app that says nothing against the token.
func (s *session) deliver(res *http.Response, token *tokencache.Token, verdict zoho.Verdict) *http.Response {
	s.clean(res)
	switch verdict {
	case zoho.VerdictNone:
		if accepted(res.StatusCode) {
			s.resource.Accepted(token.Generation)
		}
	case zoho.VerdictNoHeader:
		s.handler.logger.Error("Zoho says that the request came without a token, although one was attached",
			zap.String("client", s.client.name), zap.String("account", s.account), zap.String("service", s.target.Service), zap.Int("status", res.StatusCode))
	default:
		res.Header.Set(verdictHeader, verdict.String())
	}
	return s.settled(res)
}

// accepted tells answers that a resource server gives only to a live token.
func accepted(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return false
	}
	return status < 500
}

// passOn hands a refusal to the app that a renewal might have cured but is not
// going to.
func (s *session) passOn(res *http.Response, token *tokencache.Token, verdict zoho.Verdict) *http.Response {
	s.clean(res)
	word := "fresh-token-refused"
	switch {
	case verdict == zoho.VerdictAmbiguous:
		word = "ambiguous"
	case token.APIDomain != "" && !s.center.OwnsAPIDomain(token.APIDomain):
		// Zoho named another API gateway than that of the configured data center.
		word = "data-center"
	}
	res.Header.Set(verdictHeader, word)
	return s.settled(res)
}

// clean removes what only we may say.
func (s *session) clean(res *http.Response) {
	delete(res.Header, problemHeader)
	delete(res.Header, verdictHeader)
}

// settled is the answer that the app gets.
func (s *session) settled(res *http.Response) *http.Response {
	s.body.settle()
	s.client.requests.count(s.target.Service, res.StatusCode)
	return res
}

// refuse answers in our own name.
func (s *session) refuse(req *http.Request, p *problem) *http.Response {
	s.handler.app.state.metrics.problem(s.client.name, p.code)
	return p.response(req)
}

// broken says what a failed attempt means for reverse_proxy.
func (s *session) broken(req *http.Request, err error) (*http.Response, error) {
	s.client.requests.count(s.target.Service, 0)
	if errors.Is(err, errLoop) {
		return s.refuse(req, problemLoop(s.target.Host)), nil
	}
	return nil, err
}

func (s *session) count(result string) {
	s.handler.app.state.metrics.replay(s.client.name, result)
}

// attachBody has the body recorded while it is sent. A body too large to keep waits
// for Zoho's consent, so that a refusal comes before it.
func (s *session) attachBody(req, out *http.Request) (err error) {
	if s.body == nil {
		s.body = newRecorder(req, *s.handler.ReplayBuffer)
	}
	out.Trailer = s.body.trailer()
	out.GetBody = func() (io.ReadCloser, error) { return s.body.attempt(out.Trailer) }
	if out.Body, err = out.GetBody(); err != nil {
		return err
	}
	if s.body.tooLarge {
		out.Header["Expect"] = []string{"100-continue"}
	}
	return nil
}
