package caddyzoho

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/apikeys"
	"github.com/caddy-zoho/caddy-zoho/internal/audit"
	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/metrics"
	"github.com/caddy-zoho/caddy-zoho/internal/policy"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
)

// rig is a handler and a transport with stubs on both sides: an authorization
// server that always gives a token, and a resource server that costs nothing.
type rig struct {
	handler   *Handler
	state     *state
	transport *Transport
	answer    func(*http.Request) *http.Response
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	accounts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(
			w,
			`{"access_token":"1000.0123456789abcdef0123456789abcdef.0123456789abcdef0123456789abcdef","expires_in":3600,"token_type":"Bearer"}`,
		)
	}))
	tb.Cleanup(accounts.Close)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	tb.Cleanup(cancel)
	app := &App{
		Store: &Store{Bolt: tb.TempDir()},
		Clients: map[string]*client.Config{"main": {
			DataCenter:   []string{accounts.URL, accounts.URL},
			ClientID:     secret.Literal("1000.ID"),
			ClientSecret: []secret.Ref{secret.Literal("secret")},
			RefreshToken: secret.Literal("1000.refresh"),
		}},
	}
	if err := app.Provision(ctx); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = app.Cleanup() })
	r := &rig{state: app.state, answer: func(req *http.Request) *http.Response {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: req}
	}}
	r.handler = &Handler{ReplayBuffer: &body.Limits{Memory: 1 << 20, File: 64 << 20}}
	if err := r.handler.prepare(app.state, app.clients["main"], zap.NewNop(), nil); err != nil {
		tb.Fatal(err)
	}
	r.transport = &Transport{
		HTTPTransport: new(reverseproxy.HTTPTransport),
		client:        app.clients["main"],
		last:          new(atomic.Pointer[authorization]),
		hosts:         new(body.Hosts),
	}
	r.transport.Transport = new(http.Transport)
	r.transport.Transport.RegisterProtocol("http", r)
	return r
}

func (r *rig) RoundTrip(req *http.Request) (*http.Response, error) { return r.answer(req), nil }

// healthRequest is one to zoho_health as Caddy's server would have prepared it.
func healthRequest() *http.Request {
	req := httptest.NewRequest(http.MethodGet, "/zoho-health", nil)
	return req.WithContext(context.WithValue(req.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer()))
}

// request is one as Caddy's server would have prepared it.
func (r *rig) request(target string) *http.Request {
	req := httptest.NewRequest(http.MethodGet, target, nil)
	req.RemoteAddr = "127.0.0.1:40000"
	req.Header = http.Header{
		"Accept":          {"*/*"},
		"User-Agent":      {"erp/2012"},
		"Accept-Encoding": {"gzip"},
		"X-Zoho-Sdk":      {"php"},
	}
	ctx := context.WithValue(req.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	return req.WithContext(context.WithValue(ctx, caddyhttp.VarsCtxKey, make(map[string]any, 4)))
}

// proxy stands in for reverse_proxy: the upstream source, then the transport.
func (r *rig) proxy(_ http.ResponseWriter, req *http.Request) error {
	if _, err := (Upstreams{}).GetUpstreams(req); err != nil {
		return err
	}
	res, err := r.transport.exchange(req, caddyhttp.GetVar(req.Context(), sessionVar).(*session))
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// BenchmarkNamedCaller is that of a caller with a key, where policies say what it may call, and nobody
// reads the audit.
func BenchmarkNamedCaller(b *testing.B) {
	r := newRig(b)
	key, digest := apikeys.New()
	file := filepath.Join(b.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("erp "+digest), 0o600); err != nil {
		b.Fatal(err)
	}
	r.handler.APIKeys = &apikeys.Config{Files: []string{file}}
	r.handler.Policies = []policy.Policy{{Name: "leads", Principals: []string{"erp"}, Services: []string{"crm"},
		Methods: []string{http.MethodGet}, Paths: []string{"/crm/*/Leads", "/crm/*/Leads/*"}}}
	if err := r.handler.prepare(r.state, r.transport.client, zap.NewNop(), audit.New(zap.NewNop())); err != nil {
		b.Fatal(err)
	}
	req := r.request("/crm/v8/Leads?page=1")
	req.Header.Set("Authorization", "Bearer "+key)
	r.run(b, req)
}

// BenchmarkHandlerAndTransport is what a request costs of our own code.
func BenchmarkHandlerAndTransport(b *testing.B) {
	r := newRig(b)
	r.run(b, r.request("/crm/v8/Leads?page=1"))
}

// run has a request served again and again.
func (r *rig) run(b *testing.B, req *http.Request) {
	vars := req.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	repl := req.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Map(func(string) (any, bool) { return nil, false }) // as Caddy's server does
	fresh := *repl
	next := caddyhttp.HandlerFunc(r.proxy)
	w := httptest.NewRecorder()
	if err := r.handler.ServeHTTP(w, req, next); err != nil || w.Body.Len() > 0 {
		b.Fatal(err, w.Body)
	}
	b.ReportAllocs()
	for b.Loop() {
		clear(vars)
		*repl = fresh
		if err := r.handler.ServeHTTP(w, req, next); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStub is what the stub and net/http's door take of BenchmarkHandlerAndTransport.
func BenchmarkStub(b *testing.B) {
	r := newRig(b)
	req := r.request("/crm/v8/Leads?page=1")
	req.URL.Scheme, req.URL.Host = "http", "127.0.0.1"
	b.ReportAllocs()
	for b.Loop() {
		res, err := r.transport.HTTPTransport.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		_ = res.Body.Close()
	}
}

// BenchmarkClone is what nobody can go below who attaches a token to a clone of the
// request, its URL and its header map, so that only net/http sees it.
func BenchmarkClone(b *testing.B) {
	r := newRig(b)
	req := r.request("/crm/v8/Leads?page=1")
	req.URL.Scheme, req.URL.Host = "http", "127.0.0.1"
	token := "1000.0123456789abcdef0123456789abcdef.0123456789abcdef0123456789abcdef"
	b.ReportAllocs()
	for b.Loop() {
		out, u := *req, *req.URL
		out.URL, out.Header = &u, maps.Clone(req.Header)
		out.Header["Authorization"] = []string{"Zoho-oauthtoken " + token}
		res, err := r.transport.HTTPTransport.RoundTrip(&out)
		if err != nil {
			b.Fatal(err)
		}
		_ = res.Body.Close()
	}
}

// BenchmarkHealth and BenchmarkConnectionMetrics are what anybody who reaches them makes the
// proxy do.
func BenchmarkHealth(b *testing.B) {
	h := &Health{app: appWithStored(b, 3000)}
	b.ReportAllocs()
	req := healthRequest()
	for b.Loop() {
		w := httptest.NewRecorder()
		if err := h.ServeHTTP(w, req, nil); err != nil || w.Code != http.StatusServiceUnavailable {
			b.Fatal(err, w.Body)
		}
	}
}

func BenchmarkConnectionMetrics(b *testing.B) {
	app := appWithStored(b, 3000)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.Connections(app.statuses))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
