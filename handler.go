package caddyzoho

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func init() {
	caddy.RegisterModule(Handler{})
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

	// How much of a request body is kept for the one replay.
	ReplayBuffer *ReplayBuffer `json:"replay_buffer,omitempty"`

	app      *App
	client   *Client
	callers  callers
	upstream *zoho.Target
	allowed  func(service string) bool
	logger   *zap.Logger
}

// ReplayBuffer is how much of a request body is kept for the one replay: up to
// Memory bytes in memory (default 1 MiB), up to File bytes in an unlinked temporary
// file (default 0, none: writing it takes a third of an upload's throughput on a fast
// network). Larger bodies are sent with `Expect: 100-continue`, so that a refusal
// comes before the body, but not replayed once they are on their way.
type ReplayBuffer struct {
	Memory int64 `json:"memory"`
	File   int64 `json:"file"`
}

// exceededBy tells whether a body of that length is too large to keep.
func (b *ReplayBuffer) exceededBy(length int64) bool { return length > max(b.Memory, b.File) }

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
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
	if h.Account == "" {
		h.Account = defaultAccount
	}
	if h.callers, err = parseCallers(h.Callers); err != nil {
		return err
	}
	if h.ReplayBuffer == nil {
		h.ReplayBuffer = &ReplayBuffer{Memory: 1 << 20}
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
		h.upstream = &target
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
	return fmt.Errorf("zoho_proxy: there is no service %q%s; known are %s", name, hint, strings.Join(serviceNames(), " "))
}

func serviceNames() []string {
	var names []string
	for _, service := range zoho.Services() {
		names = append(names, service.Name)
	}
	return names
}

// ServeHTTP is the table of contents: who calls, for which connection, to which
// service, and is there a live token? Nothing is sent before all of it is known.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if p := h.refuse(r); p != nil {
		return h.answer(w, p)
	}
	s := &session{handler: h, client: h.client, account: h.Account}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if strings.Contains(s.account, "{") {
		s.account = repl.ReplaceAll(h.Account, "")
	}
	conn, err := h.app.state.cache.Conn(h.client.cache, s.account)
	if err != nil {
		return h.answer(w, tokenProblem(err, h.client, s.account))
	}
	s.conn, s.center = conn, h.client.centerOf(s.account)
	domain := s.apiDomain()
	if p := s.route(r, domain); p != nil {
		return h.answer(w, p)
	}
	get := s.resource.Get
	if h.ReplayBuffer.exceededBy(r.ContentLength) {
		get = s.resource.GetFresh
	}
	token, err := get(r.Context(), h.client.cache)
	if err != nil {
		return h.answer(w, tokenProblem(err, h.client, s.account))
	}
	if token.APIDomain != domain {
		// The first token of a sandbox says only now where it is good.
		if p := s.route(r, token.APIDomain); p != nil {
			return h.answer(w, p)
		}
	}
	s.generation = token.Generation
	repl.Map(s.placeholder)
	caddyhttp.SetVar(r.Context(), sessionVar, s)
	defer func() { s.body.close() }()
	return withoutGuess(w, r, next)
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

func (h *Handler) answer(w http.ResponseWriter, p *problem) error {
	h.app.state.metrics.problem(h.client.name, p.code)
	if p.code == codeCallerRefused {
		h.logger.Debug("refused a caller", zap.String("code", p.code), zap.String("detail", p.detail))
	}
	return p.write(w)
}

// refuse says why a request is not served whoever it is for, nil if it is.
func (h *Handler) refuse(r *http.Request) *problem {
	if r.Method == http.MethodConnect && r.Header.Get(":protocol") != "websocket" {
		return problemConnect()
	}
	if !h.callers.admit(r.RemoteAddr) {
		return problemCaller(r.RemoteAddr)
	}
	if !h.AllowBrowsers && fromBrowser(r.Header) {
		return problemBrowser()
	}
	return nil
}

// fromBrowser tells requests that a web page sends across origins. A rebound DNS
// name is same-site to the browser, but it still sends Origin with what can change
// something, and Sec-Fetch-Site otherwise.
func fromBrowser(header http.Header) bool {
	if _, ok := header["Origin"]; ok {
		return true
	}
	for _, site := range header["Sec-Fetch-Site"] {
		if site != "none" { // somebody typed the address
			return true
		}
	}
	return false
}

// callers are the addresses whose connections are admitted.
type callers struct {
	any      bool
	loopback bool
	prefixes []netip.Prefix
}

func parseCallers(rules []string) (callers, error) {
	if len(rules) == 0 {
		return callers{loopback: true}, nil
	}
	var (
		c   callers
		err error
	)
	for _, rule := range rules {
		switch rule {
		case "any":
			c.any = true
		case "loopback":
			c.loopback = true
		case "private_ranges":
			err = c.add(caddyhttp.PrivateRangesCIDR()...)
		default:
			err = c.add(rule)
		}
		if err != nil {
			return c, fmt.Errorf("zoho_proxy: callers: %q is none of loopback, private_ranges, any, an address or a CIDR such as 10.0.0.0/8%s",
				rule, didYouMean(rule, []string{"loopback", "private_ranges", "any"}))
		}
	}
	return c, nil
}

func (c *callers) add(expressions ...string) error {
	for _, expression := range expressions {
		prefix, err := caddyhttp.CIDRExpressionToPrefix(expression)
		if err != nil {
			return err
		}
		c.prefixes = append(c.prefixes, prefix.Masked())
	}
	return nil
}

// admit looks at the peer's address alone: any caller can write X-Forwarded-For.
func (c callers) admit(remoteAddr string) bool {
	if c.any {
		return true
	}
	peer, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		// A Unix socket's peer has no address; whoever may open the socket is local.
		return c.loopback && (remoteAddr == "" || remoteAddr[0] == '@' || remoteAddr[0] == '/')
	}
	ip := peer.Addr().Unmap().WithZone("")
	if c.loopback && ip.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(c.prefixes, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// sessionVar names what the handler tells the upstream source and the transport.
// Without it they refuse to work: a reverse_proxy that our handler does not stand
// in front of sends nothing.
const sessionVar = "zoho.session"

// session is one request on its way. It never holds a token.
type session struct {
	handler    *Handler
	client     *Client
	account    string
	center     zoho.DataCenter
	conn       *tokencache.Conn
	resource   *tokencache.Resource
	target     zoho.Target
	dial       string
	generation uint64
	replayed   bool
	body       *recorder // nil if there is none

	upstream reverseproxy.Upstream
	pool     [1]*reverseproxy.Upstream
	first    attempt
}

// String keeps {http.vars.zoho.session} from showing what is inside.
func (s *session) String() string { return "zoho session" }

// placeholder answers {http.zoho.*}.
func (s *session) placeholder(key string) (any, bool) {
	switch key {
	case "http.zoho.client":
		return s.client.name, true
	case "http.zoho.account":
		return s.account, true
	case "http.zoho.service":
		return s.target.Service, true
	case "http.zoho.generation":
		return s.generation, true
	case "http.zoho.replayed":
		return s.replayed, true
	}
	return nil, false
}

// route decides where the request goes: by its host, or else by its path.
func (s *session) route(r *http.Request, apiDomain string) *problem {
	path := pathOf(r.RequestURI)
	host := hostOf(r)
	if s.handler.upstream != nil {
		s.target = *s.handler.upstream
		s.target.Service = zoho.ServiceOfPath(path)
		return s.aim()
	}
	options := zoho.RouteOptions{AnyDataCenter: s.handler.AnyDataCenter, Allowed: s.handler.allowed, APIDomain: apiDomain}
	target, isZoho, err := s.center.RouteHost(host, path, options)
	if !isZoho && isAbsolute(r) && !isOwnAddress(r, host) {
		return problemTarget(host)
	}
	if !isZoho {
		target, err = s.center.RoutePath(path, options)
	}
	if err != nil {
		return routeProblem(err, host, s)
	}
	s.target = target
	return s.aim()
}

// apiDomain is where the current token is good, "" if there is none or it does not say.
func (s *session) apiDomain() string {
	if token := s.conn.Peek(); token != nil {
		return token.APIDomain
	}
	return ""
}

// aim fixes what is dialled, and finds what the connection remembers of the service.
func (s *session) aim() *problem {
	s.resource = s.conn.Resource(s.target.Service)
	if simulator := s.client.network.simulator; simulator != "" && s.handler.upstream == nil {
		s.dial = simulator
		return nil
	}
	s.dial = s.target.Host
	if _, _, err := net.SplitHostPort(s.dial); err != nil {
		port := "443"
		if s.target.Scheme == "http" {
			port = "80"
		}
		s.dial = net.JoinHostPort(strings.Trim(s.dial, "[]"), port)
	}
	return nil
}

// pathOf cuts the path out of a request target as it was received.
func pathOf(target string) string {
	target = originForm(target)
	if i := strings.IndexByte(target, '?'); i >= 0 {
		target = target[:i]
	}
	return target
}

// originForm cuts scheme and host off an absolute request target.
func originForm(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return target
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		if rest[i] == '?' {
			return "/" + rest[i:]
		}
		return rest[i:]
	}
	return "/"
}

// isAbsolute tells a target such as http://host/path, which an app sends that uses
// us as its HTTP proxy. A rewrite takes the host out of RequestURI, but not from URL.
func isAbsolute(r *http.Request) bool { return r.URL.Host != "" }

// hostOf is the host that a request is meant for. The port of our own listener says
// nothing: an app whose hosts file leads Zoho's names here has to write it.
func hostOf(r *http.Request) string {
	if isAbsolute(r) {
		return r.URL.Host
	}
	name, port, found := strings.Cut(r.Host, ":")
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); found && ok && port == strconv.Itoa(local.Port) {
		return name
	}
	return r.Host
}

// isOwnAddress tells whether host is the address that the request was accepted on.
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

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
