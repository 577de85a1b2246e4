package caddyzoho

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
)

// S-60: a panic of ours is a 500 for that request; the next one is served, so that no
// lock was left held.
func TestPanics(t *testing.T) {
	r := newRig(t)
	handler := func(req *http.Request) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, req *http.Request) error {
			if _, err := (Upstreams{}).GetUpstreams(req); err != nil {
				return err
			}
			res, err := r.transport.RoundTrip(dialled(req))
			if err != nil {
				return err
			}
			defer res.Body.Close()
			for name, values := range res.Header {
				w.Header()[name] = values
			}
			w.WriteHeader(res.StatusCode)
			_, err = io.Copy(w, res.Body)
			return err
		})
		if err := r.handler.ServeHTTP(w, req, next); err != nil {
			t.Fatal(err)
		}
		return w
	}
	answer := r.answer
	for name, tt := range map[string]struct {
		request func() *http.Request
		answer  func(*http.Request) *http.Response
	}{
		"handler": {request: func() *http.Request {
			r.handler.access.Account = "{broken}"
			req := r.request("/crm/v8/Leads")
			req.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Map(func(string) (any, bool) { panic("secret words") })
			return req
		}},
		"transport": {
			request: func() *http.Request { return r.request("/crm/v8/Leads") },
			answer:  func(*http.Request) *http.Response { panic(errors.New("secret words")) },
		},
		"recorder": {request: func() *http.Request {
			req := r.request("/crm/v8/Leads")
			req.Method, req.Body = http.MethodPost, panickingBody{}
			return req
		}, answer: func(req *http.Request) *http.Response {
			if _, err := io.Copy(io.Discard, req.Body); err == nil || !strings.Contains(err.Error(), "fault of the proxy's own") {
				t.Errorf("the body ends with %v", err)
			}
			panic("as its reader may")
		}},
	} {
		r.handler.access.Account, r.answer = onboard.DefaultAccount, answer
		if tt.answer != nil {
			r.answer = tt.answer
		}
		w := handler(tt.request())
		if w.Code != http.StatusInternalServerError || w.Header().Get(problem.HeaderName) != problem.CodeInternal ||
			strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		r.handler.access.Account, r.answer = onboard.DefaultAccount, answer
		if w := handler(r.request("/crm/v8/Leads")); w.Code != http.StatusOK {
			t.Errorf("the next one after %s: %d %s", name, w.Code, w.Body)
		}
	}
}

// TestPanicClosesAnswer: an answer of Zoho's that we fail on gives its connection back.
func TestPanicClosesAnswer(t *testing.T) {
	r := newRig(t)
	body := new(closedBody)
	r.answer = func(req *http.Request) *http.Response {
		return &http.Response{StatusCode: http.StatusOK, Body: body, Header: http.Header{}, Request: req}
	}
	r.handler.rules.requests = nil // so that counting the answer fails
	req := r.request("/crm/v8/Leads")
	next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) error {
		if _, err := (Upstreams{}).GetUpstreams(req); err != nil {
			return err
		}
		res, err := r.transport.RoundTrip(dialled(req))
		if err == nil && res.StatusCode != http.StatusInternalServerError {
			t.Errorf("answered %d", res.StatusCode)
		}
		return err
	})
	if err := r.handler.ServeHTTP(httptest.NewRecorder(), req, next); err != nil {
		t.Fatal(err)
	}
	if !body.closed {
		t.Error("the answer was left open")
	}
}

type closedBody struct{ closed bool }

func (*closedBody) Read([]byte) (int, error) { return 0, io.EOF }
func (b *closedBody) Close() error           { b.closed = true; return nil }

func TestAbortIsLeftToTheServer(t *testing.T) {
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("the request was not aborted")
		}
	}()
	internal(zap.NewNop(), http.ErrAbortHandler)
}

type panickingBody struct{}

func (panickingBody) Read([]byte) (int, error) { panic("in the app's body") }
func (panickingBody) Close() error             { return nil }

// dialled is what reverse_proxy hands to its transport.
func dialled(req *http.Request) *http.Request {
	s := caddyhttp.GetVar(req.Context(), sessionVar).(*session)
	info := reverseproxy.DialInfo{Address: s.dial}
	return req.WithContext(context.WithValue(req.Context(), caddy.CtxKey("reverse_proxy.dial_info"), info))
}
