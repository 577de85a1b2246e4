// Package problem holds every answer to an app that is ours and not Zoho's.
package problem

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/apikeys"
	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// The codes of our own refusals; docs/errors.md explains each of them.
const (
	CodeCallerRefused       = "caller-refused"
	CodeBrowserRefused      = "browser-refused"
	CodeConnectUnsupported  = "connect-unsupported"
	CodeServiceUnknown      = "service-unknown"
	CodeTarget              = "target"
	CodeRequestTarget       = "request-target"
	CodeDataCenter          = "data-center"
	CodeNoGrant             = "no-grant"
	CodeGrantDead           = "grant-dead"
	CodeClientRejected      = "client-rejected"
	CodeAccountsUnreachable = "accounts-unreachable"
	CodeThrottled           = "throttled"
	CodeBudgetSpent         = "budget-spent"
	CodeStore               = "store"
	CodeTokenCall           = "token-call"
	CodeLoop                = "loop"
	CodeInternal            = "internal"
	CodeNotReplayed         = "not-replayed"
	CodeFraming             = "framing"
	CodeKeyMissing          = "key-missing"
	CodeKeyRefused          = "key-refused"
	CodeKeyTries            = "key-tries"
	CodeNotAllowed          = "not-allowed"
)

// HeaderName marks an answer as ours, so that nobody takes it for Zoho's.
const HeaderName = "Zoho-Proxy-Error"

// causes is the stable URI of a cause, short of its code.
const causes = "https://github.com/caddy-zoho/caddy-zoho/blob/main/docs/errors.md#"

// Problem is an answer of ours to the app, in the form of Zoho's errors and of RFC 9457 at once. It
// never holds a secret.
type Problem struct {
	Status     int
	Code       string
	Title      string
	Detail     string        // what to do
	RetryAfter time.Duration // 0 = not told
	Again      bool          // Retry-After is 0
	Close      bool          // the connection serves no other request
}

// The types of an answer. Zoho's SDKs choose their parser by the exact type, know only the first, and
// fail inside themselves at another.
const (
	plainType   = "application/json"
	problemType = "application/problem+json"
)

// members are those of Zoho's errors, and those of RFC 9457. They disagree on the status.
type members struct {
	Code      string   `json:"code"`
	ErrorCode string   `json:"errorCode"`
	Message   string   `json:"message"`
	Status    any      `json:"status"`
	Details   struct{} `json:"details"`
	Type      string   `json:"type"`
	Title     string   `json:"title"`
	Detail    string   `json:"detail"`
}

func (p *Problem) body(contentType string) []byte {
	m := members{
		Code: p.Code, ErrorCode: p.Code, Message: p.Title + ": " + p.Detail, Status: "error",
		Type: causes + p.Code, Title: p.Title, Detail: p.Detail,
	}
	if contentType == problemType {
		m.Status = p.Status
	}
	body, _ := json.Marshal(m) // strings and a number: it cannot fail
	return body                // without a newline: Zoho's PHP SDK takes the last line for the JSON
}

// typeFor is the type of the answer to a request: that of RFC 9457 is for who names it.
func typeFor(r *http.Request) string {
	for _, line := range r.Header["Accept"] {
		for one := range strings.SplitSeq(line, ",") {
			name, parameters, err := mime.ParseMediaType(one)
			if err != nil || name != problemType {
				continue
			}
			if q, err := strconv.ParseFloat(cmp.Or(parameters["q"], "1"), 64); err == nil && q > 0 {
				return problemType
			}
		}
	}
	return plainType
}

// answer gives the body of the answer to a request, and fills its header.
func (p *Problem) answer(r *http.Request, h http.Header) []byte {
	contentType := typeFor(r)
	body := p.body(contentType)
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set(HeaderName, p.Code)
	if p.RetryAfter > 0 || p.Again {
		h.Set("Retry-After", strconv.Itoa(Seconds(p.RetryAfter)))
	}
	if p.Close {
		h.Set("Connection", "close")
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="zoho_proxy"`)
	}
	if p.Status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	return body
}

// Write answers the app.
func (p *Problem) Write(w http.ResponseWriter, r *http.Request) error {
	body := p.answer(r, w.Header())
	w.WriteHeader(p.Status)
	_, err := w.Write(body)
	return err
}

// Response is the problem as an answer of the transport. It is not an error there:
// reverse_proxy would blame Zoho's host for it.
func (p *Problem) Response(r *http.Request) *http.Response {
	header := make(http.Header)
	body := p.answer(r, header)
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", p.Status, http.StatusText(p.Status)),
		StatusCode: p.Status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       r,
	}
}

// Connect is for a tunnel, inside of which no token can be attached.
func Connect() *Problem {
	return &Problem{Status: http.StatusMethodNotAllowed, Code: CodeConnectUnsupported, Title: "CONNECT is not served",
		Detail: "this proxy cannot attach a token inside a tunnel: instead of setting it as HTTPS proxy, point the app's base URL " +
			"at it, for example http://localhost:8080/crm/v8/Leads; for http:// URLs, set the client not to tunnel"}
}

// Trace is for TRACE: whoever answers it sends back what it was sent, the token included (RFC
// 9110, 9.3.8).
func Trace() *Problem {
	return &Problem{Status: http.StatusMethodNotAllowed, Code: CodeConnectUnsupported, Title: "TRACE is not served",
		Detail: "the answer to TRACE is the request, and would hold the token"}
}

// Caller is for a peer that is not admitted, of a Unix socket or by its address.
func Caller(peer string, socket bool) *Problem {
	do := "the operator can add it there"
	if socket {
		do = "the operator can add it there, as in `uid 1000`, or admit everyone at the socket with `loopback`"
	}
	return &Problem{Status: http.StatusForbidden, Code: CodeCallerRefused, Title: "this caller is not admitted",
		Detail: peer + " is not among `callers` of zoho_proxy (default: loopback); " + do}
}

// Browser is for a request that a web page has sent, as its mark gives away: any, or, without it
// being certain, one to a host that is none of the proxy's names.
func Browser(mark, host string) *Problem {
	p := &Problem{
		Status: http.StatusForbidden,
		Code:   CodeBrowserRefused,
		Title:  "requests of web pages are not served",
		Detail: "the request carries " + mark + ", which browsers send for web pages; if a web page should call, the " +
			"operator can set `allow_browsers` in zoho_proxy",
	}
	if host != "" {
		p.Detail = fmt.Sprintf(
			"the request looks like a web page's (%s) and was sent to the host %.100q, which is not one of this "+
				"proxy's names: call an IP address or localhost instead, or ask the operator to add the name to "+
				"`allowed_hosts` in zoho_proxy; if a web page should call, the operator can set `allow_browsers`",
			mark,
			host,
		)
	}
	return p
}

// Key is for a caller without a key of its own; err is a Gate's.
func Key(err error) *Problem {
	switch {
	case errors.Is(err, apikeys.ErrMissing):
		return &Problem{Status: http.StatusUnauthorized, Code: CodeKeyMissing, Title: "a key is missing",
			Detail: "this proxy requires a key from each caller (`api_keys` in zoho_proxy): send it as the password of basic " +
				"authentication, or as Authorization: Bearer KEY; the operator makes one with `caddy zoho api-key new NAME`"}
	case errors.Is(err, apikeys.ErrTries):
		return &Problem{Status: http.StatusTooManyRequests, Code: CodeKeyTries, Title: "too many wrong keys",
			RetryAfter: apikeys.RetryAfter,
			Detail:     "too many wrong keys came from this address; a valid key is accepted at any time"}
	}
	return &Problem{Status: http.StatusUnauthorized, Code: CodeKeyRefused, Title: "this key is not valid",
		Detail: "the files of `api_keys` in zoho_proxy do not have its digest. Send the key as the password of basic " +
			"authentication, or as Authorization: Bearer KEY. The operator makes one with `caddy zoho api-key new NAME`"}
}

// NotAllowed is for a call that the caller may not make. It does not tell what there is.
func NotAllowed() *Problem {
	return &Problem{Status: http.StatusForbidden, Code: CodeNotAllowed, Title: "this call is not allowed",
		Detail: "no `policy` in zoho_proxy admits this call, or the account does not belong to this caller; " +
			"the operator finds the reason in Caddy's log"}
}

// TokenCall is for a token call of an app that cannot be answered.
func TokenCall(why string) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: CodeTokenCall, Title: "this token call is not understood",
		Detail: why + "; the proxy answers token calls by a placeholder (`answer_token_calls`), for a POST with " +
			"a grant_type as Zoho documents it"}
}

// Target is for a host that is none of Zoho's.
func Target(host string) *Problem {
	return &Problem{Status: http.StatusMisdirectedRequest, Code: CodeTarget, Title: "this host is not ours to serve",
		Detail: fmt.Sprintf(
			"the request is for %.100q, which is no Zoho API host; this proxy sends requests to Zoho alone",
			host,
		)}
}

// Form is for a request line that names neither a path nor a whole address.
func Form() *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: CodeRequestTarget, Title: "this is no target of a request",
		Detail: "the request line names neither a path that begins with / nor a whole address that begins with " +
			"http:// or https://"}
}

// Reading is for a target that would get round what guards us by paths.
func Reading(why string) *Problem {
	return &Problem{
		Status: http.StatusBadRequest,
		Code:   CodeRequestTarget,
		Title:  "this target can be read in more than one way",
		Detail: why,
	}
}

// Framing is for a body whose length nobody can tell: HTTP/1.0 has no chunks, and net/http
// takes such a body for none, and what it holds for the next request.
func Framing() *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: CodeFraming, Close: true,
		Title: "the length of the body is not known",
		Detail: "a POST, PUT or PATCH over HTTP/1.0 needs a Content-Length, 0 without a body; " +
			"send one, or use HTTP/1.1. Nothing was sent to Zoho"}
}

// What kept Zoho from carrying out a request that cannot be sent again, and is mended.
const (
	Renewed    = "its access token was no longer valid, and has been renewed"
	Unexpected = "Zoho does not accept `Expect: 100-continue`; the proxy will not send it for the next hour"
)

// NotReplayed is for a request that was refused amid its body, for a reason that is gone by now.
func NotReplayed(client, account, why string) *Problem {
	return &Problem{Status: http.StatusServiceUnavailable, Code: CodeNotReplayed, Again: true,
		Title: "send this request again",
		Detail: fmt.Sprintf("client %s, account %s: Zoho did not carry out the request: %s. "+
			"Send it again. The proxy could not do so because it had not kept the whole body; the operator can raise "+
			"`replay_buffer` in zoho_proxy or the global option `replay_buffer_total`", client, account, why)}
}

// Loop is for a Zoho host that the machine's name service leads elsewhere.
func Loop(host string) *Problem {
	e := cause.Of(cause.Loop, cause.Facts{})
	return &Problem{
		Status: http.StatusBadGateway,
		Code:   CodeLoop,
		Title:  e.What,
		Detail: host + " " + egress.ErrLoop.Error() + "; " + e.Do,
	}
}

// Internal is for a fault of the proxy's own.
func Internal() *Problem {
	return &Problem{Status: http.StatusInternalServerError, Code: CodeInternal, Title: "the proxy failed",
		Detail: "this is a fault of the proxy's own, written to its log with where it happened; whether Zoho " +
			"has carried out the call is not known"}
}

// Connection is whose request it is.
type Connection struct {
	Client, Account string
	Center          string // code of its data center
}

// Route says why a request has no resource server; served are the services that it may
// be for.
func Route(err error, host string, to Connection, served []string) *Problem {
	switch {
	case errors.Is(err, zoho.ErrDataCenter):
		return &Problem{
			Status: http.StatusMisdirectedRequest,
			Code:   CodeDataCenter,
			Title:  "the host belongs to another data center",
			Detail: fmt.Sprintf(
				"%.100q is not of the data center %s of client %s, account %s: use that one's host (or .com, "+
					"which is mapped), or set `any_data_center` in zoho_proxy",
				host,
				to.Center,
				to.Client,
				to.Account,
			),
		}
	case errors.Is(err, zoho.ErrEnvironment):
		return &Problem{
			Status: http.StatusMisdirectedRequest,
			Code:   CodeDataCenter,
			Title:  "the host belongs to another environment",
			Detail: fmt.Sprintf(
				"client %s, account %s: %s; use the production host, or connect an account for that environment "+
					"and choose it at the consent",
				to.Client,
				to.Account,
				strings.TrimPrefix(err.Error(), zoho.ErrEnvironment.Error()+": "),
			),
		}
	case errors.Is(err, zoho.ErrAccounts):
		p := Target(host)
		p.Detail = strings.TrimPrefix(err.Error(), zoho.ErrTarget.Error()+": ") + "; `answer_token_calls` in zoho_proxy " +
			"has apps answered that insist on fetching tokens"
		return p
	case errors.Is(err, zoho.ErrTarget):
		return Target(host)
	default:
		return &Problem{Status: http.StatusNotFound, Code: CodeServiceUnknown, Title: "no such service",
			Detail: strings.TrimPrefix(
				err.Error(),
				zoho.ErrServiceUnknown.Error()+": ",
			) + "; the path must begin with a service, as in /crm/v8/Leads or /desk/api/v1/tickets, or the Host " +
				"be Zoho's; served here: " + strings.Join(
				served,
				" ",
			)}
	}
}

// Token is the one translation of the cache's failures into answers. Their words are
// those of the table of causes.
func Token(err error, c *client.Client, account string) *Problem {
	var failure *tokencache.Error
	if !errors.As(err, &failure) {
		failure = &tokencache.Error{Kind: tokencache.KindTemporary, Err: err}
	}
	p := &Problem{Status: http.StatusServiceUnavailable, RetryAfter: failure.RetryAfter}
	why, reason := cause.Cause(failure.Kind.String()), ""
	connection := fmt.Sprintf("client %s, account %s", c.Name, onboard.ShowAccount(account))
	switch failure.Kind {
	case tokencache.KindNoGrant:
		p.Code, p.RetryAfter = CodeNoGrant, 0
		if account == "" {
			why, connection = cause.Unnamed, "client "+c.Name
		}
	case tokencache.KindDead:
		p.Code, p.RetryAfter = CodeGrantDead, 0
	case tokencache.KindRejected:
		p.Code, p.RetryAfter = CodeClientRejected, 0
		why = zoho.Rejection(failure.Error())
	case tokencache.KindThrottled:
		p.Code = CodeThrottled
	case tokencache.KindBudget:
		p.Code = CodeBudgetSpent
	case tokencache.KindStore:
		p.Code, p.RetryAfter = CodeStore, max(p.RetryAfter, 5*time.Second)
		reason = storeReason(failure)
		if errors.Is(err, client.ErrGrantUnreadable) {
			why, reason = cause.Unreadable, failure.Err.Error()
		}
	default:
		if errors.Is(err, egress.ErrLoop) {
			return Loop(c.CenterNow(account).Accounts)
		}
		p.Code, why, p.RetryAfter = CodeAccountsUnreachable, cause.Temporary, max(p.RetryAfter, time.Second)
	}
	e := c.Explain(why, account)
	p.Title, p.Detail = e.What, fmt.Sprintf("%s: %s; %s", connection, cmp.Or(reason, e.Why), e.Do)
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

// Seconds rounds up: who comes back too early has waited for nothing.
func Seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
