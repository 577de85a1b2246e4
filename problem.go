package caddyzoho

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// The codes of our own refusals; docs/errors.md explains each of them.
const (
	codeCallerRefused       = "caller-refused"
	codeBrowserRefused      = "browser-refused"
	codeConnectUnsupported  = "connect-unsupported"
	codeServiceUnknown      = "service-unknown"
	codeTarget              = "target"
	codeRequestTarget       = "request-target"
	codeDataCenter          = "data-center"
	codeNoGrant             = "no-grant"
	codeGrantDead           = "grant-dead"
	codeClientRejected      = "client-rejected"
	codeAccountsUnreachable = "accounts-unreachable"
	codeThrottled           = "throttled"
	codeBudgetSpent         = "budget-spent"
	codeStore               = "store"
	codeTokenCall           = "token-call"
	codeLoop                = "loop"
	codeInternal            = "internal"
)

// problemHeader marks an answer as ours, so that nobody takes it for Zoho's.
const problemHeader = "Zoho-Proxy-Error"

// problemType is the stable URI of a cause, short of its code.
const problemType = "https://github.com/caddy-zoho/caddy-zoho/blob/main/docs/errors.md#"

// problem is an answer of ours to the app (RFC 9457). Never with a secret in it.
type problem struct {
	status     int
	code       string
	title      string
	detail     string // what to do
	retryAfter time.Duration
}

// problemJSON has, besides RFC 9457's members, the fields where Zoho's clients look.
type problemJSON struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	ErrorCode string `json:"errorCode"`
	Message   string `json:"message"`
}

func (p *problem) body() []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	// Strings only: encoding cannot fail.
	_ = encoder.Encode(problemJSON{
		Type: problemType + p.code, Title: p.title, Status: p.status, Detail: p.detail,
		Code: p.code, ErrorCode: p.code, Message: p.title + ": " + p.detail,
	})
	return b.Bytes()
}

func (p *problem) header(h http.Header, length int) {
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(length))
	h.Set("Cache-Control", "no-store")
	h.Set(problemHeader, p.code)
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds(p.retryAfter)))
	}
	if p.status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
}

// write answers the app.
func (p *problem) write(w http.ResponseWriter) error {
	body := p.body()
	p.header(w.Header(), len(body))
	w.WriteHeader(p.status)
	_, err := w.Write(body)
	return err
}

// response is the problem as an answer of the transport. It is not an error there:
// reverse_proxy would blame Zoho's host for it.
func (p *problem) response(r *http.Request) *http.Response {
	body := p.body()
	res := &http.Response{
		Status:     fmt.Sprintf("%d %s", p.status, http.StatusText(p.status)),
		StatusCode: p.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        make(http.Header),
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       r,
	}
	p.header(res.Header, len(body))
	return res
}

func problemConnect() *problem {
	return &problem{status: http.StatusMethodNotAllowed, code: codeConnectUnsupported, title: "CONNECT is not served",
		detail: "this proxy cannot attach a token inside a tunnel: point the app's base URL at it instead of setting it as HTTPS proxy, for example http://localhost:8080/crm/v8/Leads"}
}

// problemTrace: whoever answers TRACE sends back what it was sent, the token included (RFC 9110, 9.3.8).
func problemTrace() *problem {
	return &problem{status: http.StatusMethodNotAllowed, code: codeConnectUnsupported, title: "TRACE is not served",
		detail: "the answer to TRACE is the request, and would hold the token"}
}

func problemCaller(remote string) *problem {
	return &problem{status: http.StatusForbidden, code: codeCallerRefused, title: "this caller is not admitted",
		detail: "the address " + remote + " is not among `callers` of zoho_proxy (default: loopback); the operator can add it there"}
}

func problemBrowser() *problem {
	return &problem{status: http.StatusForbidden, code: codeBrowserRefused, title: "requests of web pages are not served",
		detail: "the request carries Origin or Sec-Fetch-Site, as a browser sends for a page; the operator can set `allow_browsers` in zoho_proxy"}
}

func problemTokenCall(why string) *problem {
	return &problem{status: http.StatusBadRequest, code: codeTokenCall, title: "this token call is not understood",
		detail: why + "; the proxy answers token calls by a placeholder (`answer_token_calls`), for a POST with a grant_type as Zoho documents it"}
}

func problemTarget(host string) *problem {
	return &problem{status: http.StatusMisdirectedRequest, code: codeTarget, title: "this host is not ours to serve",
		detail: fmt.Sprintf("the request is for %.100q, which is no Zoho API host; this proxy sends requests to Zoho alone", host)}
}

func problemForm() *problem {
	return &problem{status: http.StatusBadRequest, code: codeRequestTarget, title: "this is no target of a request",
		detail: "the request line names neither a path that begins with / nor a whole address that begins with http:// or https://"}
}

// problemReading is for a target that would get round what guards us by paths.
func problemReading(why string) *problem {
	return &problem{status: http.StatusBadRequest, code: codeRequestTarget, title: "this target can be read in more than one way",
		detail: why}
}

// problemLoop is for a Zoho host that the machine's name service leads elsewhere.
func problemLoop(host string) *problem {
	e := cause.Of(cause.Loop, cause.Facts{})
	return &problem{
		status: http.StatusBadGateway,
		code:   codeLoop,
		title:  e.What,
		detail: host + " " + egress.ErrLoop.Error() + "; " + e.Do,
	}
}

func problemInternal() *problem {
	return &problem{status: http.StatusInternalServerError, code: codeInternal, title: "the proxy failed",
		detail: "this is a fault of the proxy's own, written to its log with where it happened; whether Zoho has carried out the call is not known"}
}

// routeProblem says why a request has no resource server.
func routeProblem(err error, host string, s *session) *problem {
	switch {
	case errors.Is(err, zoho.ErrDataCenter):
		return &problem{status: http.StatusMisdirectedRequest, code: codeDataCenter, title: "the host belongs to another data center",
			detail: fmt.Sprintf("%.100q is not of the data center %s of client %s, account %s: use that one's host (or .com, which is mapped), or set `any_data_center` in zoho_proxy",
				host, s.center.Code, s.client.Name, s.account)}
	case errors.Is(err, zoho.ErrEnvironment):
		return &problem{status: http.StatusMisdirectedRequest, code: codeDataCenter, title: "the host belongs to another environment",
			detail: fmt.Sprintf("client %s, account %s: %s; use the production host, or connect an account for that environment and choose it at the consent",
				s.client.Name, s.account, strings.TrimPrefix(err.Error(), zoho.ErrEnvironment.Error()+": "))}
	case errors.Is(err, zoho.ErrTarget):
		return problemTarget(host)
	default:
		names := s.handler.Services
		if len(names) == 0 {
			names = zoho.ServiceNames()
		}
		return &problem{status: http.StatusNotFound, code: codeServiceUnknown, title: "no such service",
			detail: strings.TrimPrefix(err.Error(), zoho.ErrServiceUnknown.Error()+": ") + "; the path must begin with a service, as in /crm/v8/Leads or /desk/api/v1/tickets, or the Host be Zoho's; served here: " + strings.Join(names, " ")}
	}
}

// tokenProblem is the one translation of the cache's failures into answers. Their words are
// those of the table of causes.
func tokenProblem(err error, c *client.Client, account string) *problem {
	var failure *tokencache.Error
	if !errors.As(err, &failure) {
		failure = &tokencache.Error{Kind: tokencache.KindTemporary, Err: err}
	}
	p := &problem{status: http.StatusServiceUnavailable, retryAfter: failure.RetryAfter}
	why, reason := cause.Cause(failure.Kind.String()), ""
	connection := fmt.Sprintf("client %s, account %s", c.Name, onboard.ShowAccount(account))
	switch failure.Kind {
	case tokencache.KindNoGrant:
		p.code, p.retryAfter = codeNoGrant, 0
		if account == "" {
			why, connection = cause.Unnamed, "client "+c.Name
		}
	case tokencache.KindDead:
		p.code, p.retryAfter = codeGrantDead, 0
	case tokencache.KindRejected:
		p.code, p.retryAfter = codeClientRejected, 0
	case tokencache.KindThrottled:
		p.code = codeThrottled
	case tokencache.KindBudget:
		p.code = codeBudgetSpent
	case tokencache.KindStore:
		p.code, p.retryAfter = codeStore, max(p.retryAfter, 5*time.Second)
		reason = storeReason(failure)
		if errors.Is(err, client.ErrGrantUnreadable) {
			why, reason = cause.Unreadable, failure.Err.Error()
		}
	default:
		if errors.Is(err, egress.ErrLoop) {
			return problemLoop(c.CenterNow(account).Accounts)
		}
		p.code, why, p.retryAfter = codeAccountsUnreachable, cause.Temporary, max(p.retryAfter, time.Second)
	}
	e := c.Explain(why, account)
	p.title, p.detail = e.What, fmt.Sprintf("%s: %s; %s", connection, cmp.Or(reason, e.Why), e.Do)
	return p
}

// storeReason is what is wrong with the store, "" if only the log tells.
func storeReason(failure *tokencache.Error) string {
	var store *tokencache.StoreError
	if errors.As(failure, &store) {
		return store.Error()
	}
	return ""
}
