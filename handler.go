package caddyzoho

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/callers"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/forward"
	"github.com/caddy-zoho/caddy-zoho/internal/metrics"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/internal/sites"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler admits a request, finds its connection and its service, and sees to it
// that there is a live access token, before reverse_proxy sends it on with the
// upstreams and the transport `zoho`. The directive `zoho_proxy` sets up all three.
type Handler struct {
	// Name of the client; may be left out when there is only one.
	Client string `json:"client,omitempty"`

	// Which account; placeholders are allowed. An empty or unknown value is an
	// error, never the default. Default: `default`.
	Account string `json:"account,omitempty"`

	// Whose connections are admitted, by the peer's address: `loopback`,
	// `private_ranges`, `any`, CIDRs and addresses. Default: `loopback`.
	Callers []string `json:"callers,omitempty"`

	// Admits requests that a web page of another origin has sent.
	AllowBrowsers bool `json:"allow_browsers,omitempty"`

	// Sends everything to this one origin, path untouched.
	Upstream string `json:"upstream,omitempty"`

	// The only services that are served.
	Services []string `json:"services,omitempty"`

	// Maps the hosts of every data center to the connection's own.
	AnyDataCenter bool `json:"any_data_center,omitempty"`

	// Answers apps and SDKs that insist on fetching tokens themselves, at
	// /oauth/v2/token and the paths of its revocation, with a placeholder.
	AnswerTokenCalls bool `json:"answer_token_calls,omitempty"`

	// How much of a request body is kept for the one replay.
	ReplayBuffer *body.Limits `json:"replay_buffer,omitempty"`

	app      *App
	client   *client.Client
	callers  callers.Rules
	upstream *zoho.Target
	stranger bool // upstream is none of Zoho's hosts
	allowed  func(service string) bool
	requests *metrics.Requests
	logger   *zap.Logger

	unanswered, unseen, refused brake // lines about Zoho not answering, not seeing the token, refusing fresh ones
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.zoho",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision finds the client and prepares the rules.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	var err error
	if h.app, err = configuredApp(ctx); err != nil {
		return err
	}
	if h.client, err = h.app.client(h.Client); err != nil {
		return err
	}
	return h.prepare()
}

// prepare reads the rules.
func (h *Handler) prepare() (err error) {
	h.requests = h.app.state.metrics.Requests(h.client.Name)
	if h.Account == "" {
		h.Account = onboard.DefaultAccount
	}
	if h.callers, err = callers.Parse(h.Callers); err != nil {
		return fmt.Errorf("zoho_proxy: %w", err)
	}
	if h.ReplayBuffer == nil {
		h.ReplayBuffer = &body.Limits{Memory: 1 << 20}
	}
	if h.ReplayBuffer.Memory < 0 || h.ReplayBuffer.File < 0 {
		return errors.New("zoho_proxy: replay_buffer sizes must not be negative")
	}
	return h.provisionServices()
}

func (h *Handler) provisionServices() error {
	if h.Upstream != "" {
		if len(h.Services) > 0 {
			return errors.New("zoho_proxy: services and upstream exclude each other: with upstream everything goes to that one origin")
		}
		target, err := zoho.OriginTarget(h.Upstream)
		if err != nil {
			return fmt.Errorf("zoho_proxy: upstream: %w", err)
		}
		h.upstream, h.stranger = &target, !zoho.IsHost(target.Host)
	}
	for _, name := range h.Services {
		if _, ok := zoho.LookupService(name); !ok {
			return unknownService(name)
		}
	}
	if len(h.Services) > 0 {
		h.allowed = func(service string) bool { return slices.Contains(h.Services, service) }
	}
	return nil
}

func unknownService(name string) error {
	hint := ""
	if near := zoho.NearestService(name); near != "" {
		hint = fmt.Sprintf(" (did you mean %s?)", near)
	}
	return fmt.Errorf("zoho_proxy: there is no service %q%s; known are %s", name, hint, strings.Join(zoho.ServiceNames(), " "))
}

// Serves is what a walk over the sites is told.
func (h *Handler) Serves() sites.Served {
	return sites.Served{Client: h.client, Account: h.Account, Services: h.Services, Anybody: h.callers.Any}
}

// ServeHTTP lets reverse_proxy send what a session could be opened for.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.AnswerTokenCalls && tokenCall(forward.Path(r.RequestURI)) {
		return h.answerTokenCall(w, r)
	}
	s, p := h.open(r)
	if gone := r.Context().Err(); gone != nil {
		return caddyhttp.Error(statusClientClosed, gone)
	}
	if p != nil {
		return h.answer(w, p)
	}
	caddyhttp.SetVar(r.Context(), sessionVar, s)
	defer func() { s.body.Close() }()
	return withoutGuess(w, r, next)
}

// open is the table of contents: who calls, for which connection, to which service,
// and is there a live token? Nothing is sent before all of it is known.
func (h *Handler) open(r *http.Request) (s *session, p *problem.Problem) {
	defer func() {
		if recovered := recover(); recovered != nil {
			s, p = nil, h.internal(recovered)
		}
	}()
	if p = h.refuse(r); p != nil {
		return nil, p
	}
	// gofail: var inHandler struct{}
	s, p = h.session(r)
	if p != nil {
		return nil, p
	}
	last := s.conn.Known(h.client.Cache)
	if p = s.route(r, last); p != nil {
		return nil, p
	}
	if p = s.ensureToken(r, last); p != nil {
		return nil, p
	}
	return s, nil
}

// session is a request of a connection that there is.
func (h *Handler) session(r *http.Request) (*session, *problem.Problem) {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	s := &session{handler: h, client: h.client, account: h.accountOf(repl)}
	repl.Map(s.placeholder)
	var err error
	if s.conn, err = h.app.state.cache.Conn(h.client.Cache, s.account); err != nil {
		return nil, problem.Token(err, h.client, s.account)
	}
	s.center = h.client.CenterOf(s.account, s.conn.AccountsServer())
	return s, nil
}

// ensureToken waits for a live token. A stored grant, and the first token of a grant, say
// only now where they are good: if that is not what the last token said, the route is found
// anew.
func (s *session) ensureToken(r *http.Request, last *tokencache.Token) *problem.Problem {
	get := s.resource.Get
	if s.handler.ReplayBuffer.ExceededBy(r.ContentLength) {
		get = s.resource.GetFresh
	}
	token, err := get(r.Context(), s.client.Cache)
	if err != nil {
		return problem.Token(err, s.client, s.account)
	}
	s.generation = token.Generation
	center := s.client.CenterOf(s.account, s.conn.AccountsServer())
	if last != nil && token.APIDomain == last.APIDomain && center.Accounts == s.center.Accounts {
		return nil
	}
	s.center = center
	return s.route(r, token)
}

// accountOf is whose token a request gets, "" if it does not say.
func (h *Handler) accountOf(repl *caddy.Replacer) string {
	if !strings.Contains(h.Account, "{") {
		return h.Account
	}
	return repl.ReplaceAll(h.Account, "")
}

// withoutGuess keeps net/http from guessing a Content-Type where Zoho gave none.
func withoutGuess(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	header := w.Header()
	if _, ok := header["Content-Type"]; !ok {
		header["Content-Type"] = nil
	}
	err := next.ServeHTTP(w, r)
	if err != nil && len(header["Content-Type"]) == 0 {
		delete(header, "Content-Type") // handle_errors may answer with a file
	}
	return err
}

// statusClientClosed is what Caddy logs for a caller that hung up.
const statusClientClosed = 499

func (h *Handler) answer(w http.ResponseWriter, p *problem.Problem) error {
	h.app.state.metrics.Problem(h.client.Name, p.Code)
	if p.Code == problem.CodeCallerRefused {
		h.logger.Debug("refused a caller", zap.String("code", p.Code), zap.String("detail", p.Detail))
	}
	return p.Write(w)
}

// refuse says why a request is not served whoever it is for, nil if it is.
func (h *Handler) refuse(r *http.Request) *problem.Problem {
	if r.Method == http.MethodConnect && r.Header.Get(":protocol") != "websocket" {
		return problem.Connect()
	}
	if r.Method == http.MethodTrace {
		return problem.Trace()
	}
	if !forward.KnownForm(r) {
		return problem.Form()
	}
	if why := forward.Misread(r.RequestURI); why != "" {
		return problem.Reading(why)
	}
	if !h.callers.Admit(r.RemoteAddr) {
		return problem.Caller(r.RemoteAddr)
	}
	if !h.AllowBrowsers && callers.FromBrowser(r) {
		return problem.Browser()
	}
	return nil
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
