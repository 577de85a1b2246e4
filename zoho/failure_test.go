package zoho_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

const (
	throttleEnglish = `{"error_description":"You have made too many requests continuously. Please try again after some time.","error":"Access Denied","status":"failure"}`
	throttleChinese = `{"error_description":"您连续提出的请求过多。请稍后再试。","error":"拒绝访问","status":"failure"}`
)

func TestRefusals(t *testing.T) {
	tests := []struct {
		status int
		body   string
		kind   zoho.FailureKind
		code   string
	}{
		{200, `{"error":"invalid_client"}`, zoho.FailureClientRejected, "invalid_client"},
		{200, `{"error":"invalid_client_secret"}`, zoho.FailureClientRejected, "invalid_client_secret"},
		{200, `{"error":"invalid_redirect_uri"}`, zoho.FailureClientRejected, "invalid_redirect_uri"},
		{200, `{"error":"invalid_code"}`, zoho.FailureGrantDead, "invalid_code"},
		{400, `{"error":"invalid_code"}`, zoho.FailureGrantDead, "invalid_code"},
		{400, `{"error":"invalid_grant","error_description":"x"}`, zoho.FailureGrantDead, "invalid_grant"},
		{401, `{"error":"invalid_client"}`, zoho.FailureClientRejected, "invalid_client"},
		{200, `{"error":" invalid_code ","status":"failure"}`, zoho.FailureGrantDead, "invalid_code"},
		{200, `{"error":"access_denied"}`, zoho.FailureThrottled, "access_denied"},
		{200, `{"error":"general_error"}`, zoho.FailureTemporary, "general_error"},
		{200, `{"error":"missing_org_info"}`, zoho.FailureMisconfigured, "missing_org_info"},
		{400, `{"error":"missing_org_info","status":"failure"}`, zoho.FailureMisconfigured, "missing_org_info"},
		{200, `{"error":"invalid_soid"}`, zoho.FailureMisconfigured, "invalid_soid"},
		{401, `{"error":"invalid_org"}`, zoho.FailureMisconfigured, "invalid_org"},
		{400, `{"error":"invalid_scope"}`, zoho.FailureMisconfigured, "invalid_scope"},
		{200, `{"error":"unsupported_grant_type"}`, zoho.FailureMisconfigured, "unsupported_grant_type"},
		{400, `{"error":"unauthorized_client"}`, zoho.FailureMisconfigured, "unauthorized_client"},
		{200, `{"error":"new_thing"}`, zoho.FailureTemporary, "new_thing"},
		{400, `{"error":"new_thing","status":"failure","error_description":"x"}`, zoho.FailureTemporary, "new_thing"},
		{400, `{"error":"INVALID_CODE"}`, zoho.FailureTemporary, "INVALID_CODE"},
		{200, `{"error":{"code":"invalid_code"}}`, zoho.FailureTemporary, ""},
		{200, `{"error":""}`, zoho.FailureTemporary, ""},
		{400, `{}`, zoho.FailureTemporary, ""},
		// the throttle, in any language and under either status
		{400, throttleEnglish, zoho.FailureThrottled, "Access Denied"},
		{200, throttleEnglish, zoho.FailureThrottled, "Access Denied"},
		{400, throttleChinese, zoho.FailureThrottled, "拒绝访问"},
		{200, throttleChinese, zoho.FailureThrottled, "拒绝访问"},
		{400, `{"error":"Zugriff verweigert","status":"failure"}`, zoho.FailureThrottled, "Zugriff verweigert"},
		{400, `{"error_description":"Zu viele Anfragen","status":"failure"}`, zoho.FailureThrottled, ""},
		{200, `{"error":"access denied"}`, zoho.FailureThrottled, "access denied"},
		{429, `{"error":"slow_down"}`, zoho.FailureThrottled, "slow_down"},
		{503, throttleEnglish, zoho.FailureThrottled, "Access Denied"},
		// a server in trouble says nothing about grant and client
		{500, `{"error":"invalid_code"}`, zoho.FailureTemporary, "invalid_code"},
		{503, `{"error":"invalid_client"}`, zoho.FailureTemporary, "invalid_client"},
		{500, `{"error":"missing_org_info"}`, zoho.FailureTemporary, "missing_org_info"},
		{502, `<html><title>502 Bad Gateway</title></html>`, zoho.FailureTemporary, ""},
		{502, ``, zoho.FailureTemporary, ""},
		{429, `<html>`, zoho.FailureThrottled, ""},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status, test.body), func(t *testing.T) {
			_, err := refreshOf(t, test.status, "application/json", test.body)
			f := mustFail(t, err)
			if f.Kind != test.kind || f.Code != test.code || f.Status != test.status {
				t.Errorf("got %v %q %d, want %v %q", f.Kind, f.Code, f.Status, test.kind, test.code)
			}
			if want := test.kind != zoho.FailureThrottled; f.NoToken != want {
				t.Errorf("no token: got %v, want %v", f.NoToken, want)
			}
			if test.code != "" && !strings.Contains(f.Error(), test.code) {
				t.Errorf("the code is not shown: %v", f)
			}
		})
	}
}

// TestMisconfigured: what no waiting cures says what to do, also by what is left of it after a
// restart; a description of somebody's does not change what it is.
func TestMisconfigured(t *testing.T) {
	for code, want := range map[string]cause.Cause{
		"missing_org_info":       cause.OrgNeeded,
		"invalid_soid":           cause.OrgRefused,
		"invalid_org":            cause.OrgRefused,
		"invalid_scope":          cause.ScopeRefused,
		"unsupported_grant_type": cause.GrantType,
		"unauthorized_client":    cause.GrantType,
		"invalid_client":         cause.Rejected,
		"invalid_client_secret":  cause.Rejected,
	} {
		for _, more := range []string{"", `,"error_description":"accounts server refuses the token call: invalid_scope "`} {
			if more != "" && want == cause.Rejected {
				continue // a stranger's text may lead astray what is told, nothing else
			}
			_, err := refreshOf(t, 200, "application/json", fmt.Sprintf(`{"error":%q%s}`, code, more))
			f := mustFail(t, err)
			text := "client_rejected: " + f.Error()
			if got := zoho.Rejection(text[:min(len(text), 500)]); got != want {
				t.Errorf("%s: %s", text, got)
			}
			if hint := f.Hint(); want != cause.Rejected && hint != cause.Of(want, cause.Facts{}).Hint() {
				t.Errorf("%s: %s", code, hint)
			}
		}
	}
	hint := cause.Of(cause.OrgNeeded, cause.Facts{}).Hint()
	if !strings.Contains(hint, "soid") || !strings.Contains(hint, "self client's code") {
		t.Error(hint)
	}
}

func TestHTMLShowsStatusAndTitle(t *testing.T) {
	body := "\n<!DOCTYPE html><html><head><TITLE lang=en>\n  Zoho\x1b[31m <b>Accounts</b> " + refreshToken + "\u202e</TITLE></head><body>secret plans</body>"
	_, err := refreshOf(t, 200, "text/html;charset=UTF-8", body)
	f := mustFail(t, err)
	if got, want := f.Error(), `accounts server gave no token (status 200): an HTML page instead of JSON, titled "Zoho[31m <b>Accounts</b> [masked]"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !f.NoToken {
		t.Error("a page is plainly no token")
	}
	_, err = refreshOf(t, 200, "text/html", "busy")
	if f := mustFail(t, err); !strings.Contains(f.Error(), "HTML") {
		t.Errorf("got %v", f)
	}
}

func TestErrorTextIsSafe(t *testing.T) {
	hostile := []string{
		"line\nbreak\r\n\x1b[2J\x07\u2028\u202e",
		strings.Repeat("很长 ", 1<<16),
		`quote " and \ backslash`,
		"you sent " + clientSecret + " and " + refreshToken,
		"escaped " + url.QueryEscape(clientSecret+"&"+refreshToken),
		"new " + accessToken,
		"half " + accessToken[:20],
		"base64 dGhpcyBpcyBhIHNlY3JldCBvZiAzMiBieXRlcyEhISE=",
		strings.Repeat("x ", 75) + accessToken, // at the cut
		strings.Repeat("1000.abcdef ", 100),
		"\xff\xfe\x00",
	}
	for _, text := range hostile {
		for _, member := range []string{"error", "error_description", "status"} {
			body := fmt.Sprintf(`{"status":"failure",%q:%q}`, member, text)
			if member == "status" {
				body = fmt.Sprintf(`{"error":"x",%q:%q}`, member, text)
			}
			_, err := refreshOf(t, 400, "application/json", body)
			f := mustFail(t, err)
			checkError(t, errors.New(f.Code))
		}
	}
}

// TestFailureByHand: a Failure that others made is printed with the same care.
func TestFailureByHand(t *testing.T) {
	f := &zoho.Failure{
		Kind: zoho.FailureGrantDead, Status: 200, Code: "x\n" + accessToken,
		Err: errors.New("\x1b[31m" + refreshToken + strings.Repeat("é", 1000)),
	}
	checkError(t, f)
	if want := `accounts server refuses the grant: "x [masked]" (status 200): [31m[masked]`; !strings.HasPrefix(f.Error(), want) {
		t.Errorf("got  %s\nwant %s...", f, want)
	}
	if got, want := (&zoho.Failure{}).Error(), "accounts server gave no token"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHints(t *testing.T) {
	refuse := func(code string) func() error {
		return func() error { _, err := refreshOf(t, 200, "", `{"error":"`+code+`"}`); return err }
	}
	tests := []struct {
		name string
		call func() error
		says string
	}{
		{"secret", refuse("invalid_client_secret"), "each data center has its own"},
		{"client", refuse("invalid_client"), "is enabled for the client"},
		{"redirect", refuse("invalid_redirect_uri"), "character for character"},
		{"grant", refuse("invalid_code"), "21st"},
		{"throttle", refuse("access_denied"), "10 minutes"},
		{"general", refuse("general_error"), "try again"},
		{"server names itself", refuse("invalid_code"), "https://accounts.zoho.eu"},
		{"code", func() error {
			_, err := answering(200, "", strings.NewReader(`{"error":"invalid_code"}`)).Exchange(t.Context(), "c", "")
			return err
		}, "used before"},
		{"revoke", func() error {
			return answering(400, "", strings.NewReader("<html>")).Revoke(t.Context(), refreshToken)
		}, "nothing left"},
		{"network", func() error {
			_, err := failing(errors.New("x")).Refresh(t.Context(), refreshToken)
			return err
		}, "cannot be reached: check name resolution"},
		{"trouble", func() error { _, err := refreshOf(t, 503, "", ""); return err }, "having problems"},
		{"redirected", func() error { _, err := refreshOf(t, 302, "", ""); return err }, "URL of an accounts server"},
		{"page", func() error { _, err := refreshOf(t, 200, "", "<html>"); return err }, "URL of an accounts server"},
		{"nonsense", func() error { _, err := refreshOf(t, 200, "", "{}"); return err }, "no sense"},
		{"by hand", func() error { return &zoho.Failure{Kind: zoho.FailureClientRejected} }, "this accounts server"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hint := mustFail(t, test.call()).Hint()
			if !strings.Contains(hint, test.says) || strings.Contains(hint, "\n") {
				t.Errorf("got %s, want something with %q", hint, test.says)
			}
		})
	}
}

func TestFailureKindNames(t *testing.T) {
	want := map[zoho.FailureKind]string{
		zoho.FailureTemporary: "temporary", zoho.FailureThrottled: "throttled",
		zoho.FailureGrantDead: "dead", zoho.FailureClientRejected: "rejected", 99: "temporary",
	}
	for kind, name := range want {
		if kind.String() != name {
			t.Errorf("got %s, want %s", kind, name)
		}
	}
}
