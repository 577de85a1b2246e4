package zoho

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
)

// FailureKind says what a refusal of the accounts server means for the grant.
type FailureKind int

// The kinds of failure.
const (
	// FailureTemporary may be over at the next try: network, 5xx, HTML, nonsense.
	FailureTemporary FailureKind = iota
	// FailureThrottled asks for silence: each further call keeps the door shut.
	FailureThrottled
	// FailureGrantDead means that the refresh token (or code) is worth nothing.
	FailureGrantDead
	// FailureClientRejected means that client id, secret, redirect URI or data
	// center are wrong.
	FailureClientRejected
	// FailureMisconfigured means that client and grant are known, and the call is refused
	// for as long as both are what they are.
	FailureMisconfigured
)

// String names the kind in one word, of a closed set.
func (k FailureKind) String() string {
	switch k {
	case FailureThrottled:
		return "throttled"
	case FailureGrantDead:
		return "dead"
	case FailureClientRejected:
		return "rejected"
	case FailureMisconfigured:
		return "misconfigured"
	}
	return "temporary"
}

// Failure is why the accounts server gave no token. Its text is one printable
// line of at most 512 bytes, without bodies, tokens or secrets.
type Failure struct {
	Kind   FailureKind
	Code   string // Zoho's error code, such as "invalid_code"; cleaned, "" if none
	Status int    // HTTP status, 0 without an answer
	// NoToken says that plainly no token was made: a refusal, a 5xx, HTML, no
	// connection. Otherwise one may have been made and lost.
	NoToken    bool
	RetryAfter time.Duration // if the server named it: a day at most, two minutes if the failure is temporary
	Err        error         // underlying error, may be nil

	reason     string // cleaned already
	grant      grantType
	dataCenter DataCenter
}

// Unwrap gives the underlying error.
func (f *Failure) Unwrap() error { return f.Err }

// Error says what failed. Hint says what to do about it.
func (f *Failure) Error() string {
	var b strings.Builder
	switch f.Kind {
	case FailureThrottled:
		b.WriteString("accounts server throttles the client")
	case FailureGrantDead:
		b.WriteString("accounts server refuses the grant")
	case FailureClientRejected:
		b.WriteString("accounts server refuses the client")
	case FailureMisconfigured:
		b.WriteString(misconfiguredText)
	default:
		b.WriteString("accounts server gave no token")
	}
	if f.Code != "" {
		b.WriteString(": " + codeText(f.Code))
	}
	if f.Status != 0 {
		fmt.Fprintf(&b, " (status %d)", f.Status)
	}
	if f.reason != "" {
		b.WriteString(": " + f.reason)
	}
	if f.Err != nil {
		b.WriteString(": " + clean(f.Err.Error()))
	}
	return cut(b.String(), maxError)
}

// What says what happened in words for people, and Said what the server said of it.
func (f *Failure) What() string {
	return cause.Of(f.cause(), cause.Facts{Server: f.dataCenter.Accounts}).What
}

// Said is the code of the server, and its description if it gave one.
func (f *Failure) Said() string {
	if f.reason != "" {
		return codeText(f.Code) + ": " + f.reason
	}
	return codeText(f.Code)
}

// Hint says in one sentence what to do about the failure.
func (f *Failure) Hint() string {
	facts := cause.Facts{Server: f.dataCenter.Accounts}
	if f.grant == grantClientCredentials {
		facts.ClientCredentials = &cause.ClientCredentials{}
	}
	return cause.Of(f.cause(), facts).Hint()
}

// cause is the row of the table of causes that explains the failure.
func (f *Failure) cause() cause.Cause {
	switch {
	case f.Code == "invalid_client_secret":
		return cause.WrongSecret
	case f.Code == "invalid_redirect_uri":
		return cause.RedirectURI
	case f.Kind == FailureClientRejected:
		return cause.ClientUnknown
	case f.Kind == FailureMisconfigured:
		return misconfiguredCause(f.Code)
	case f.Kind == FailureThrottled:
		return cause.TooManyCalls
	case f.Kind == FailureGrantDead && f.grant == grantCode:
		return cause.CodeRefused
	case f.Kind == FailureGrantDead && f.grant == grantRevoke:
		return cause.NotRevocable
	case f.Kind == FailureGrantDead:
		return cause.Dead
	case f.Status == 0:
		return cause.Unreachable
	case f.Status >= 500:
		return cause.Trouble
	case f.Status >= 300 && f.Status < 400 || f.Code == "" && f.NoToken:
		return cause.NoAccounts
	}
	return cause.Nonsense
}

const misconfiguredText = "accounts server refuses the token call"

// misconfigured are the refusals that no waiting cures, and no other secret either. The first
// three are of grants that belong to an organization, which a token call has to name (Zoho's
// page on client credentials has missing_org_info, others handle the rest); the last one is
// RFC 6749's, for what Zoho calls unsupported_grant_type.
var misconfigured = map[string]cause.Cause{
	"missing_org_info":       cause.OrgNeeded,
	"invalid_soid":           cause.OrgRefused,
	"invalid_org":            cause.OrgRefused,
	"invalid_scope":          cause.ScopeRefused,
	"unsupported_grant_type": cause.GrantType,
	"unauthorized_client":    cause.GrantType,
}

// misconfiguredCause is also for what a client is told that has no code and no refresh token which
// could be dead.
func misconfiguredCause(code string) cause.Cause {
	if errorCodes[code] == FailureGrantDead {
		return cause.GrantType
	}
	return misconfigured[code]
}

// Rejection is the cause of a client that was rejected, which may be the kind of its grant. It
// goes by the text of the Failure: that is what is left of it after a restart.
func Rejection(text string) cause.Cause {
	_, rest, _ := strings.Cut(text, misconfiguredText+": ")
	code, _, _ := strings.Cut(rest, " ")
	return cmp.Or(misconfiguredCause(code), cause.Rejected)
}

// kindOf is what a code means, if it is known.
func kindOf(code string) (kind FailureKind, known bool) {
	if _, known = misconfigured[code]; known {
		return FailureMisconfigured, true
	}
	kind, known = errorCodes[code]
	return kind, known
}

// codeText prints a code bare if it looks like one, otherwise as a stranger's text.
func codeText(code string) string {
	if _, known := kindOf(code); known {
		return code
	}
	return show(code)
}

// errorCodes are the refusals that Zoho's pages, dumps and clients know.
// invalid_code is the word for a dead refresh token, too (Weble/ZohoBooksApi, issue 84;
// zoho/zcrm-csharp-sdk, issue 7); invalid_client that for a wrong data center
// (asciisd/zoho, issue 18). access_denied is a limit of codes on CRM's pages and a refused
// refresh to Weble/ZohoClient: it is taken for the throttle. invalid_grant, RFC 6749's
// name, is not in Zoho's pages; others accept it, too.
var errorCodes = map[string]FailureKind{
	"invalid_code":          FailureGrantDead,
	"invalid_grant":         FailureGrantDead,
	"invalid_client":        FailureClientRejected,
	"invalid_client_secret": FailureClientRejected,
	"invalid_redirect_uri":  FailureClientRejected,
	"access_denied":         FailureThrottled,
	"general_error":         FailureTemporary,
}

// codeLike tells an unknown code from a translated sentence.
var codeLike = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)+$`)

// FromOAuth reports whether the failure is an error response as authorization servers give it (RFC 6749, section 5.2),
// whatever it says.
func (f *Failure) FromOAuth() bool {
	answered := f.Status == http.StatusOK || f.Status == http.StatusBadRequest || f.Status == http.StatusUnauthorized
	return answered && codeLike.MatchString(f.Code)
}

// refusal understands a JSON reply that holds no token.
func (raw rawReply) refusal(fields replyFields, g grantType, secrets []string) *Failure {
	code, err := fields.text("error")
	if err != nil {
		code = ""
	}
	description, _ := fields.text("error_description")
	status, _ := fields.text("status")
	code = strings.TrimSpace(code)
	kind, known := kindOf(code)
	switch {
	case !known && throttles(code, status, description, raw.status):
		kind = FailureThrottled
	case raw.status >= 500 && kind != FailureThrottled:
		kind = FailureTemporary // a server in trouble says nothing about the grant
	}
	if kind == FailureGrantDead && g == grantClientCredentials {
		kind = FailureMisconfigured // there is nothing that could be dead
	}
	f := raw.fail(kind != FailureThrottled, "")
	f.Kind = kind
	f.Code = code
	if !known {
		f.Code = clean(code, secrets...)
	}
	if description != "" {
		f.reason = show(description, secrets...)
	}
	return f
}

// throttles recognises the throttle of ten tokens in ten minutes. It comes with
// 400 (captured) or 200 (Zoho's Kaizen #43), and in the language of whoever:
// {"error":"Access Denied","status":"failure","error_description":"You have made
// too many requests..."}, or all of that in Chinese (guanguans/notify,
// Authenticator.php). So a status of failure and a text where the code should be
// are enough.
func throttles(code, status, description string, httpStatus int) bool {
	if httpStatus == http.StatusTooManyRequests || strings.EqualFold(code, "access denied") {
		return true
	}
	return strings.EqualFold(status, "failure") && code+description != "" && !codeLike.MatchString(code)
}

// unreadable understands a reply that is no JSON object: Zoho answers HTML
// when a gateway is in trouble or the domain is wrong.
func (raw rawReply) unreadable(err error, secrets []string) *Failure {
	plain := raw.status >= 400
	if raw.status == http.StatusTooManyRequests {
		f := raw.fail(false, err.Error())
		f.Kind = FailureThrottled
		return f
	}
	if !raw.isHTML() {
		return raw.fail(plain, err.Error())
	}
	if title := htmlTitle(raw.body); title != "" {
		return raw.fail(true, "an HTML page instead of JSON, titled "+show(title, secrets...))
	}
	return raw.fail(true, "an HTML page instead of JSON")
}

// revoked understands the reply to a revocation: {"status":"success"}, or for
// an unknown token a 400 whose body is HTML (measured).
func (raw rawReply) revoked(secrets []string) *Failure {
	fields, err := parseReply(raw.body)
	refused := raw.refusal(fields, grantRevoke, secrets)
	switch status := fields.optional("status"); {
	case raw.status == http.StatusBadRequest && refused.Kind == FailureTemporary:
		f := raw.fail(true, "the token is unknown or already revoked")
		f.Kind = FailureGrantDead
		return f
	case fields["error"] != nil || refused.Kind == FailureThrottled:
		return refused
	case err != nil:
		return raw.unreadable(err, secrets)
	case raw.status >= 300 || status != "" && status != "success":
		return raw.fail(true, "the token was not revoked")
	}
	return nil
}

// fail makes a temporary failure of an answer. reason must be clean.
func (raw rawReply) fail(noToken bool, reason string) *Failure {
	return &Failure{Status: raw.status, NoToken: noToken, RetryAfter: retryAfter(raw.header), reason: reason}
}

func (raw rawReply) isHTML() bool {
	return bytes.HasPrefix(bytes.TrimSpace(raw.body), []byte("<")) ||
		strings.HasPrefix(strings.ToLower(raw.header.Get("Content-Type")), "text/html")
}

var titleTag = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title`)

// htmlTitle gives what stands between the first title tags, not cleaned.
func htmlTitle(body []byte) string {
	if m := titleTag.FindSubmatch(body[:min(len(body), maxSeen)]); m != nil {
		return string(m[1])
	}
	return ""
}

const (
	// maxRetryAfter keeps an absurd header from silencing a connection for years.
	maxRetryAfter = 24 * time.Hour
	// maxPatience is how long a server in trouble is left alone that asks for it.
	maxPatience = 2 * time.Minute
)

// retryAfter reads seconds or a date, which is compared with the server's own
// clock where it shows.
func retryAfter(h http.Header) time.Duration {
	s := strings.TrimSpace(h.Get("Retry-After"))
	var d time.Duration
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		now, err := http.ParseTime(h.Get("Date"))
		if err != nil {
			now = time.Now()
		}
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
