package caddyzoho

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-zoho/caddy-zoho/internal/access"
	"github.com/caddy-zoho/caddy-zoho/internal/accesslog"
	"github.com/caddy-zoho/caddy-zoho/internal/apikeys"
	"github.com/caddy-zoho/caddy-zoho/internal/audit"
	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/callers"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/forward"
	"github.com/caddy-zoho/caddy-zoho/internal/policy"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/internal/sites"
	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
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
	// `private_ranges`, `any`, CIDRs and addresses; those of Unix sockets also by `uid`
	// and the numbers that follow, `user` and the names that follow. Default: `loopback`.
	Callers []string `json:"callers,omitempty"`

	// Names by which apps reach the proxy, beside addresses, `localhost`,
	// `*.localhost`, `host.docker.internal` and the host matchers on the way to it.
	// What looks like a web page's request to any other name is refused.
	AllowedHosts []string `json:"allowed_hosts,omitempty"`

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

	// How much of a request body is kept, so that a refused request can be sent again.
	// Default: 1 MiB in memory, 64 MiB in a temporary file.
	ReplayBuffer *body.Limits `json:"replay_buffer,omitempty"`

	// In addition, callers must show a key, which gives them a name.
	APIKeys *apikeys.Config `json:"api_keys,omitempty"`

	// The caller's name, where keys do not give one: a placeholder that the caller cannot
	// write, such as `{http.auth.user.id}` or `{http.request.tls.client.subject}`.
	Principal string `json:"principal,omitempty"`

	// What is admitted: a call that any policy admits. Without a policy everything is.
	Policies []policy.Policy `json:"policies,omitempty"`

	// Calls that no policy admits are logged and counted, and carried out.
	DryRun bool `json:"dry_run,omitempty"`

	catalog *zoho.Catalog
	callers callers.Rules
	peers   callers.Peers
	names   *callers.Names
	access  *access.Control
	rules   *rules
	logger  *zap.Logger
	logs    *accesslog.Logs
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
	app, err := configuredApp(ctx)
	if err != nil {
		return err
	}
	client, err := app.client(h.Client)
	if err != nil {
		return err
	}
	h.catalog = app.catalog
	if err := h.prepare(app.state, client, ctx.Logger(), app.audit); err != nil {
		return err
	}
	if sites.Includes(ctx, "zoho.audit") {
		h.rules.audit = app.audit
	}
	for _, warning := range h.access.Warnings() {
		ctx.Logger().Warn(warning)
	}
	h.logs = accesslog.New(ctx)
	h.peers = callers.Watch(ctx)
	h.names.Sites = sync.OnceValue(func() []string { return sites.HostsOf(app.walkSites(), h) })
	return nil
}

// check says what is wrong with what is configured.
func (h *Handler) check(lines syntax.Lines) error {
	if (h.Account != "" || lines["account"] != nil) &&
		!secret.Placeholder.MatchString(h.Account) && !words.Name.MatchString(h.Account) {
		return lines.Errorf(
			"account",
			"account: %s: "+words.NameRule+", or a placeholder such as {http.request.header.Zoho-Proxy-Account}",
			syntax.Show("the name", h.Account),
		)
	}
	for i, name := range h.AllowedHosts {
		if err := callers.CheckHost(name); err != nil {
			return lines.Errorf("allowed_hosts", "allowed_hosts: %w", err)
		}
		if slices.ContainsFunc(h.AllowedHosts[:i], func(other string) bool { return strings.EqualFold(other, name) }) {
			return lines.Errorf("allowed_hosts", "allowed_hosts: %s is named twice", name)
		}
	}
	for i, name := range h.Services {
		if !h.catalog.Has(name) {
			return lines.Errorf("services", "%w", h.unknownService(name))
		}
		if slices.Contains(h.Services[:i], name) {
			return lines.Errorf("services", "services: %s is named twice", name)
		}
	}
	if h.Upstream != "" {
		if _, err := zoho.OriginTarget(h.Upstream); err != nil {
			return lines.Errorf("upstream", "upstream: %w", err)
		}
		if len(h.Services) > 0 {
			return lines.Errorf(
				"services",
				"services and upstream%s cannot be used together: with upstream everything goes to that one origin",
				lines.At("upstream", " (at %s)"),
			)
		}
	}
	if b := h.ReplayBuffer; b != nil {
		switch {
		case b.Memory < 0 || b.File < 0:
			return lines.Errorf("replay_buffer", "replay_buffer sizes must not be negative")
		case b.File != 0 && b.File < b.Memory:
			return lines.Errorf(
				"replay_buffer",
				"replay_buffer: the size of the file must be 0, or at least the size in memory, as in `replay_buffer 1MiB 64MiB`",
			)
		}
	}
	if m := h.accessConfig().Check(); m != nil {
		return lines.Errorf(m.Option, "%w", m.Err)
	}
	return nil
}

// accessConfig is who may do what, as it is configured.
func (h *Handler) accessConfig() *access.Config {
	return &access.Config{
		Account:   h.Account,
		Keys:      h.APIKeys,
		Principal: h.Principal,
		Policies:  h.Policies,
		DryRun:    h.DryRun,
		Upstream:  h.Upstream != "",
		Services:  h.catalog,
	}
}

// prepare makes the rules of what is configured.
func (h *Handler) prepare(state *state, client *client.Client, logger *zap.Logger, log *audit.Log) (err error) {
	if err := h.check(nil); err != nil {
		return fmt.Errorf("zoho_proxy: %w", err)
	}
	if h.callers, err = callers.Parse(h.Callers); err != nil {
		return fmt.Errorf("zoho_proxy: %w", err)
	}
	if h.names, err = callers.NewNames(h.AllowedHosts, h.callers); err != nil {
		return fmt.Errorf("zoho_proxy: allowed_hosts: %w", err)
	}
	if h.access, err = access.New(h.accessConfig(), state.keys, &state.tries); err != nil {
		return fmt.Errorf("zoho_proxy: %w", err)
	}
	h.logger = logger
	h.rules = &rules{
		client:        client,
		access:        h.access,
		services:      h.Services,
		catalog:       h.catalog,
		anyDataCenter: h.AnyDataCenter,
		replay:        body.DefaultLimits,
		room:          state.room,
		cache:         state.cache,
		metrics:       state.metrics,
		requests:      state.metrics.Requests(client.Name, h.catalog.Names()),
		callers:       state.metrics.Callers(client.Name, h.access.Known),
		usage:         &state.usage,
		unknown:       &state.unknown,
		logger:        logger,
		unanswered:    onceASecond(),
		unseen:        onceASecond(),
		refusals:      onceASecond(),
		denials:       onceASecond(),
		strangers:     rate.NewLimiter(10, 20),
	}
	if h.ReplayBuffer != nil {
		h.rules.replay = *h.ReplayBuffer
	}
	if h.access.Active() {
		h.rules.audit = log
	}
	h.rules.restrict(h.Upstream, h.Services)
	return nil
}

// restrict narrows where requests may go; check has seen both.
func (r *rules) restrict(upstream string, services []string) {
	if upstream != "" {
		target, _ := zoho.OriginTarget(upstream)
		r.upstream, r.stranger = &target, !zoho.IsHost(target.Host)
	}
	if len(services) > 0 {
		r.allowed = func(service string) bool { return slices.Contains(services, service) }
	}
}

func (h *Handler) unknownService(name string) error {
	hint := words.Meant(h.catalog.Nearest(name))
	return fmt.Errorf("there is no service %q%s; the services are %s", name, hint, strings.Join(h.catalog.Names(), " "))
}

// Serves is what a walk over the sites is told.
func (h *Handler) Serves() sites.Served {
	return sites.Served{
		Client:   h.rules.client,
		Account:  h.access.Serves(),
		Services: h.Services,
		Upstream: h.Upstream != "",
		Anybody:  h.callers.Any,
		Policies: h.access.Confines(),

		NamesByHeader:      callers.Headers(h.Principal),
		NamesByCertificate: strings.Contains(h.Principal, "{http.request.tls.client."),
		KeysInHeader:       h.APIKeys.Has(apikeys.InHeader),
		KeysInQuery:        h.APIKeys.Has(apikeys.InQuery),
	}
}

// ServeHTTP keeps the secrets that a request shows out of Caddy's logs.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	shown, secret := accesslog.Redact(accesslog.Original(r))
	if !secret && r.Header[apikeys.HeaderName] == nil {
		return h.serve(w, r, next, false)
	}
	return h.logs.Serve(w, r, shown, apikeys.HeaderName, func() error { return h.serve(w, r, next, secret) })
}

// serve lets reverse_proxy send what a session could be opened for.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, secret bool) error {
	if h.AnswerTokenCalls && tokenCall(forward.Path(r.RequestURI)) {
		return h.answerTokenCall(w, r)
	}
	s, p := h.open(r)
	if gone := r.Context().Err(); gone != nil {
		s.gone(p)
		return caddyhttp.Error(statusClientClosed, gone)
	}
	if p != nil {
		s.note(p.Status, p.Code)
		return h.refuse(w, r, p)
	}
	caddyhttp.SetVar(r.Context(), sessionVar, s)
	if r.ProtoMajor == 1 {
		s.writer = w
	}
	defer s.close()
	if secret {
		defer s.hide(r)()
	}
	err := suppressSniffing(w, r, next)
	if s.answer != nil && len(s.answer.Trailer) > 0 {
		forward.StripTrailers(w.Header())
	}
	s.ended(r, err)
	if err == nil && s.unread {
		body.Linger(w, s.body.Drain, caddy.Exiting)
	}
	return err
}

// open is the table of contents: who calls, for which connection, to which service,
// and is there a live token? Nothing is sent before all of it is known. The session is
// there with a problem as well.
func (h *Handler) open(r *http.Request) (s *session, p *problem.Problem) {
	s = h.newSession(r)
	defer func() {
		if recovered := recover(); recovered != nil {
			p = internal(h.logger, recovered)
		}
		s.about(p)
	}()
	if p = h.admit(r); p != nil {
		return s, p
	}
	// gofail: var inHandler struct{}
	if p = s.identify(r); p != nil {
		return s, p
	}
	if p = s.connect(r); p != nil {
		return s, p
	}
	last := s.conn.Known(h.rules.client.Cache)
	if p = s.route(r, last); p != nil {
		return s, p
	}
	return s, s.ensureToken(r, last)
}

// newSession is a request of which nothing is known yet but where it comes from.
func (h *Handler) newSession(r *http.Request) *session {
	s := &session{rules: h.rules, caller: h.peers.Of(r).Caller(),
		method: r.Method, path: forward.Path(r.RequestURI)}
	replacer(r).Map(s.placeholder)
	return s
}

// connect finds the connection.
func (s *session) connect(r *http.Request) *problem.Problem {
	if p := s.chooseAccount(r); p != nil {
		return p
	}
	var err error
	if s.conn, err = s.cache.Conn(s.client.Cache, s.account); err != nil {
		return problem.Token(err, s.client, s.account)
	}
	s.center = s.client.CenterOf(s.account, s.conn.AccountsServer())
	return nil
}

// ensureToken waits for a live token. A stored grant, and the first token of a grant, say
// only now where they are good: if that is not what the last token said, the route is found
// anew.
func (s *session) ensureToken(r *http.Request, last *tokencache.Token) *problem.Problem {
	token, err := s.token(r)
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

// token is one that lives. A body that cannot be sent again is not sent with one that is likely
// to be refused.
func (s *session) token(r *http.Request) (*tokencache.Token, error) {
	length := r.ContentLength
	if length < 0 { // not told, and not nothing
		length = 1
	}
	if s.body.AsksFirst() || s.replay.ExceededBy(length) {
		return s.resource.GetFresh(r.Context(), s.client.Cache)
	}
	return s.resource.Get(r.Context(), s.client.Cache)
}

// suppressSniffing keeps net/http from guessing a Content-Type where Zoho gave none.
func suppressSniffing(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
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

func (h *Handler) answer(w http.ResponseWriter, r *http.Request, p *problem.Problem) error {
	h.rules.metrics.Problem(h.rules.client.Name, p.Code)
	return p.Write(w, r)
}

// drained is how much of a body net/http reads away by itself.
const drained = 256 << 10

// refuse answers for a session that could not be opened. An app that would have been served
// another time may be sending a large body already.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, p *problem.Problem) error {
	large := r.ContentLength < 0 || r.ContentLength > drained
	lingers := large && p.Status == http.StatusServiceUnavailable && r.ProtoMajor == 1 &&
		r.Header["Expect"] == nil && body.KeepReading(w)
	err := h.answer(w, r, p)
	if lingers {
		body.Linger(w, r.Body.Read, caddy.Exiting)
	}
	return err
}

// admit says why a request is not served whoever it is for, nil if it is.
func (h *Handler) admit(r *http.Request) *problem.Problem {
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
	if forward.Unframed(r) {
		return problem.Framing()
	}
	if peer := h.peers.Of(r); !h.callers.Admit(peer) {
		if h.rules.strangers.Allow() {
			peer.LogRefused(h.logger)
		}
		return problem.Caller(peer.String(), peer.Socket)
	}
	if h.AllowBrowsers {
		return nil
	}
	if page := h.names.PageOf(r); page != nil {
		return problem.Browser(page.Mark, page.Host)
	}
	return nil
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
