package zoho_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

const (
	none, ambiguous, renew = zoho.VerdictNone, zoho.VerdictAmbiguous, zoho.VerdictRenew
	unrecognized           = zoho.VerdictUnrecognized
	noHeader, org          = zoho.VerdictNoHeader, zoho.VerdictOrg
	permission, scope      = zoho.VerdictPermission, zoho.VerdictScope
	limited                = zoho.VerdictLimited
)

var jsonHeader = http.Header{"Content-Type": {"application/json;charset=UTF-8"}}

func htmlHeader() http.Header { return http.Header{"Content-Type": {"text/html;charset=UTF-8"}} }

// answers are what Zoho's products were seen or documented to say. The first
// four columns are the table; whatever is not in it is none, or unrecognized under 401.
var answers = []struct {
	service string
	status  int
	body    string
	want    zoho.Verdict
}{
	// Who has consented
	{"profile", 401, `{"response":"error","cause":"INVALID_OAUTHSCOPE"}`, scope},
	{"profile", 401, `{"cause":"INVALID_OAUTHTOKEN","response":"error"}`, renew},
	{"profile", 401, `{"cause":"INVALID_TICKET","response":"error"}`, noHeader},
	{"profile", 200, `{"First_Name":"INVALID_OAUTHSCOPE","Email":"owner@example.com","ZUID":62}`, none},
	// CRM, Bigin, Recruit
	{"crm", 401, `{"code":"AUTHENTICATION_FAILURE","details":{},"message":"Authentication failed","status":"error"}`, ambiguous},
	{"crm", 401, `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`, renew},
	{"bigin", 401, `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`, renew},
	{"recruit", 401, `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`, renew},
	{"crm", 401, `{"code":"OAUTH_SCOPE_MISMATCH","details":{},"message":"Unauthorized","status":"error"}`, scope},
	{"crm", 403, `{"code":"NO_PERMISSION","details":{"permissions":["Crm_Implied_Api_Access"]},"message":"permission denied","status":"error"}`, permission},
	{"crm", 403, `{"code":"AUTHORIZATION_FAILED","details":{},"message":"x","status":"error"}`, permission},
	{"crm", 429, `{"code":"TOO_MANY_REQUESTS","details":{},"message":"x","status":"error"}`, limited},
	{"crm", 400, `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`, none},
	{"crm", 403, `{"code":"INVALID_TOKEN","message":"invalid oauth token"}`, none},
	{"crm", 200, `{"code":"INVALID_TOKEN","message":"invalid oauth token"}`, none},
	{"crm", 500, `{"code":"INVALID_TOKEN"}`, none},
	{"crm", 202, `{"data":[{"code":"INVALID_TOKEN","status":"error"}]}`, none},
	{"crm", 401, `{"code":"SOMETHING_ELSE","message":"x"}`, unrecognized},
	{"crm", 401, `{"code":57,"message":"You are not authorized to perform this operation"}`, unrecognized},
	{"crm", 401, `{"errorCode":"INVALID_OAUTH","message":"x"}`, renew}, // another shape than its row
	{"crm", 401, `[{"data":{"deep":["x","INVALID_OAUTHTOKEN"]}}]`, renew},
	{"crm", 401, ``, unrecognized},
	{"crm", 401, `INVALID_TOKEN`, renew},
	{"crm", 401, `<html>INVALID_TOKEN</html>`, renew},
	{"crm", 401, `{"message":"the code is INVALID_TOKEN, they say"}`, unrecognized},
	{"crm", 401, `{"INVALID_TOKEN":1}`, unrecognized},
	// Recruit's number, whose status nobody wrote down
	{"recruit", 401, `{"code":4834,"message":"Invalid Ticket Id"}`, renew},
	{"recruit", 400, `{"code":"4834","message":"Invalid Ticket Id"}`, renew},
	{"recruit", 403, `{"response":{"error":{"code":"4834","message":"Invalid Ticket Id"},"uri":"/recruit/private/json/x"}}`, renew},
	{"recruit", 200, `{"response":{"error":{"code":4834,"message":"x"}}}`, renew},
	{"recruit", 200, `{"data":[{"code":4834,"message":"x"}]}`, none},
	{"recruit", 401, `{"code":4834}`, unrecognized},
	{"crm", 401, `{"code":4834,"message":"Invalid Ticket Id"}`, unrecognized},
	// PhoneBridge
	{"phonebridge", 400, `{"code":"INVALID_TOKEN","message":"invalid oauth token","status":"error"}`, renew},
	{"phonebridge", 401, `{"code":"INVALID_TOKEN","message":"invalid oauth token","status":"error"}`, renew},
	{"phonebridge", 400, `{"code":"INVALID_DATA","message":"x"}`, none},
	// Books, Invoice, Inventory and their family
	{"books", 401, `{"code":14,"message":"The request could not be authenticated as the authentication value you entered is invalid."}`, noHeader},
	{"books", 401, `{"code":14,"message":"Invalid value passed for authtoken"}`, noHeader},
	{"books", 401, `{"code":57,"message":"You are not authorized to perform this operation"}`, ambiguous},
	{"invoice", 401, `{"code":57,"message":"You are not authorized to perform this operation"}`, ambiguous},
	{"inventory", 401, `{"code":57,"message":"You are not authorized to perform this operation"}`, ambiguous},
	{"billing", 401, `{"code":57,"message":"You are not authorized to perform this operation"}`, ambiguous},
	{"expense", 401, `{"code":57,"message":"You are not authorized to perform this operation"}`, ambiguous},
	{"books", 400, `{"code":57,"message":"You are not authorized to perform this operation"}`, none},
	{"books", 403, `{"code":57,"message":"You are not authorized to perform this operation"}`, none},
	{"books", 401, `{"code":5,"message":"x"}`, unrecognized},
	{"books", 401, `{"data":{"code":57,"message":"x"}}`, unrecognized},
	{"books", 401, `{"code":57}`, unrecognized},
	{"books", 401, `{"code":"INVALID_TOKEN"}`, renew},
	{"books", 429, `{"code":44,"message":"x"}`, limited},
	{"books", 200, `{"code":57,"message":"x"}`, none},
	// Desk
	{"desk", 401, `{"errorCode":"UNAUTHORIZED","message":"You are not authenticated to perform this operation."}`, noHeader},
	{"desk", 401, `{"errorCode":"INVALID_OAUTH","message":"The OAuth Token you provided is invalid."}`, renew},
	{"desk", 403, `{"errorCode":"SCOPE_MISMATCH","message":"x"}`, scope},
	{"desk", 401, `{"errorCode":"SCOPE_MISMATCH","message":"x"}`, scope},
	{"desk", 403, `{"errorCode":"OAUTH_ORG_MISMATCH","message":"x"}`, org},
	{"desk", 403, `{"errorCode":"FORBIDDEN","message":"x"}`, permission},
	{"desk", 403, `{"errorCode":"LICENSE_ACCESS_LIMITED","message":"x"}`, permission},
	{"desk", 429, `{"errorCode":"THRESHOLD_EXCEEDED","message":"x"}`, limited},
	{"desk", 403, `{"errorCode":"INVALID_OAUTH","message":"x"}`, none},
	// Creator
	{"creator", 401, `{"code":1030,"description":"Authorization Failure. The access token is either invalid or has expired."}`, renew},
	{"creator", 401, `{"code":1000,"description":"x"}`, permission},
	{"creator", 401, `{"code":1060,"message":"x"}`, permission},
	{"creator", 403, `{"code":1060,"description":"x"}`, permission},
	{"creator", 200, `{"code":4000,"description":"x"}`, limited},
	{"creator", 403, `{"code":4000,"description":"x"}`, limited},
	{"creator", 200, `{"code":3000,"data":[{"code":4000}]}`, none},
	{"creator", 401, `{"error":{"code":1030}}`, unrecognized},
	// Mail
	{"mail", 400, `{"data":{"errorCode":"INVALID_TICKET","moreInfo":"Invalid ticket"},"status":{"code":400,"description":"Invalid Input"}}`, noHeader},
	{"mail", 401, `{"data":{"errorCode":"INVALID_OAUTHTOKEN"},"status":{"code":401,"description":"Invalid Access"}}`, renew},
	{"mail", 401, `{"data":{"errorCode":"INVALID_OAUTHSCOPE"},"status":{"code":401,"description":"Invalid Access"}}`, scope},
	{"mail", 403, `{"data":{"errorCode":"ACCESS_DENIED"},"status":{"code":403}}`, permission},
	{"mail", 400, `{"data":{"errorCode":"INVALID_OAUTHTOKEN"}}`, none},
	// Calendar
	{"calendar", 400, `{"error":[{"error_code":"INVALID_TICKET","description":"x"}]}`, noHeader},
	{"calendar", 401, `{"error":[{"description":"Invalid OAuth token.","error_code":"INVALID_OAUTHTOKEN"}]}`, renew},
	// Analytics
	{"analytics", 400, `{"status":"failure","summary":"INVALID_TICKET","data":{"errorCode":8518,"errorMessage":"x"}}`, noHeader},
	{"analytics", 400, `{"status":"failure","summary":"LOCALISED","data":{"errorCode":8518,"errorMessage":"x"}}`, noHeader},
	{"analytics", 401, `{"status":"failure","summary":"INVALID_OAUTHTOKEN","data":{"errorCode":8535,"errorMessage":"x"}}`, renew},
	{"analytics", 401, `{"status":"failure","summary":"OTHER","data":{"errorCode":8535,"errorMessage":"x"}}`, renew},
	{"analytics", 401, `{"status":"failure","summary":"INVALID_OAUTHSCOPE","data":{"errorCode":8540,"errorMessage":"x"}}`, scope},
	{"analytics", 401, `{"status":"failure","summary":"INVALID_OAUTHSCOPE","data":{"errorCode":8535,"errorMessage":"x"}}`, scope},
	{"analytics", 400, `{"status":"failure","summary":"NO_ACCESS","data":{"errorCode":7301,"errorMessage":"x"}}`, permission},
	{"analytics", 403, `{"status":"failure","summary":"NO_ACCESS","data":{"errorCode":8023,"errorMessage":"x"}}`, permission},
	{"analytics", 401, `{"errorCode":8535}`, unrecognized},
	{"analytics", 400, `{"status":"failure","summary":"OTHER","data":{"errorCode":8535}}`, none},
	// Analytics API v1
	{"analytics", 400, `{"response":{"uri":"/api/o/w/t","error":{"code":8535,"message":"x"}}}`, renew},
	{"analytics", 401, `{"response":{"uri":"/api/o/w/t","error":{"code":"8535","message":"x"}}}`, renew},
	{"analytics", 401, `{"response":{"uri":"/api/o/w/t","error":{"code":8540,"message":"x"}}}`, scope},
	{"analytics", 400, `{"response":{"uri":"/api/o/w/t","error":{"code":8540,"message":"x"}}}`, scope},
	{"analytics", 400, `{"response":{"uri":"/api/o/w/t","error":{"code":6045,"message":"x"}}}`, limited},
	{"analytics", 403, `{"response":{"uri":"/api/o/w/t","error":{"code":6045,"message":"x"}}}`, limited},
	{"analytics", 400, `{"response":{"uri":"/api/o/w/t","error":{"code":7301,"message":"x"}}}`, permission},
	{"analytics", 400, `{"response":{"uri":"/api/o/w/t","error":{"code":7103,"message":"x"}}}`, none},
	{"analytics", 400, `{"response":{"error":{"code":8535}}}`, renew},
	{"analytics", 400, `{"response":{"uri":"/api","error":{"code":8535,"message":"Can\'t be used"}}}`, renew},
	{"analytics", 401, `{"response":{"error":{"code":8540}}}`, scope},
	{"bookings", 401, "<html><title>Zoho Creator - Error Page</title><body>INVALID_OAUTHSCOPE</body></html>", scope},
	{"bookings", 401, "<html><title>Zoho Creator - Error Page</title><body>Sorry</body></html>", renew},
	{"crm", 401, "[INVALID_TOKEN] invalid", renew},
	{"writer", 401, "<error><message>INVALID_OAUTHSCOPE: no scope</message></error>", scope},
	{"writer", 401, `{"message":"Error: OAUTH_SCOPE_MISMATCH"}`, scope},
	{"recruit", 200, "<candidates><code>4834</code><message>x</message></candidates>", none},
	{"recruit", 200, `{"code":"4834","message":"x"}`, none},
	{"people", 200, `[{"response.errors.code":"7202"}]`, none},
	{"analytics", 403, `{"response":{"error":{"code":8535,"message":"x"}}}`, none},
	// Projects v3, then v1
	{"projects", 401, `{"error":{"status_code":"401","title":"INVALID_TICKET","details":[{"message":"x"}]}}`, noHeader},
	{"projects", 401, `{"error":{"status_code":"401","title":"INVALID_OAUTHTOKEN","details":[{"message":"Invalid OAuth access token."}]}}`, renew},
	{"projects", 401, `{"error":{"status_code":"401","title":"INVALID_OAUTHSCOPE"}}`, scope},
	{"projects", 403, `{"error":{"status_code":"403","title":"FORBIDDEN","details":[{"message":"Invalid OAuth scope."}]}}`, scope},
	{"projects", 403, `{"message":"Invalid OAuth scope"}`, scope},
	{"projects", 403, `{"error":{"status_code":"403","title":"FORBIDDEN"}}`, permission},
	{"projects", 400, `{"error":{"code":6401,"message":"x"}}`, renew},
	{"projects", 401, `{"error":{"code":6401,"message":"x"}}`, renew},
	{"projects", 403, `{"error":{"code":6403,"message":"x"}}`, permission},
	{"projects", 200, `{"error":{"code":6401,"message":"x"}}`, none},
	{"projects", 400, `{"code":6401}`, none},
	{"projects", 400, `{"error":{"title":"URL_ROLLING_THROTTLES_LIMIT_EXCEEDED"}}`, limited},
	// People, whose statuses nobody recorded
	{"people", 200, `{"response":{"errors":{"code":7202,"message":"x"},"status":1}}`, renew},
	{"people", 400, `{"response":{"errors":{"code":7202,"message":"x"},"status":1}}`, renew},
	{"people", 401, `{"response":{"errors":[{"code":"7202","message":"x"}],"status":1}}`, renew},
	{"people", 200, `{"response":{"errors":{"code":7213,"message":"x"},"status":1}}`, noHeader},
	{"people", 200, `{"response":{"errors":{"code":7218,"message":"Invalid OAuth Scope"},"status":1}}`, scope},
	{"people", 200, `{"response":{"errors":{"code":7037,"message":"x"},"status":1}}`, permission},
	{"people", 200, `{"response":{"errors":{"code":7041,"message":"x"},"status":1}}`, permission},
	{"people", 200, `{"response":{"errors":{"code":7209,"message":"x"},"status":1}}`, limited},
	{"people", 200, `{"response":{"result":[{"code":7202}],"status":0}}`, none},
	{"people", 200, `{"code":7202}`, none},
	// Sign
	{"sign", 401, `{"code":9031,"message":"Ticket invalid","status":"failure"}`, noHeader},
	{"sign", 401, `{"code":9041,"message":"Invalid Oauth token","status":"failure"}`, renew},
	{"sign", 400, `{"code":9041,"message":"Invalid Oauth token","status":"failure"}`, none},
	// Cliq
	{"cliq", 401, `{"code":"oauthtoken_invalid","message":"Invalid OAuth token passed."}`, renew},
	{"cliq", 401, `{"code":"oauthtoken_scope_invalid","message":"x"}`, scope},
	{"cliq", 403, `{"code":"oauthtoken_scope_invalid","message":"x"}`, scope},
	{"cliq", 400, `{"code":"request_limit_exceeded","message":"x"}`, limited},
	// SalesIQ
	{"salesiq", 200, `{"error":{"code":1008,"message":"Invalid OAuthToken."}}`, renew},
	{"salesiq", 400, `{"error":{"code":1008,"message":"Invalid OAuthToken."}}`, renew},
	{"salesiq", 400, `{"error":{"code":1001,"message":"Unknown authentication error, Contact SalesIQ Team!"}}`, ambiguous},
	{"salesiq", 200, `{"error":{"code":1001,"message":"x"}}`, none},
	{"salesiq", 200, `{"error":{"code":1002,"message":"x"}}`, noHeader},
	{"salesiq", 200, `{"error":{"code":1009,"message":"x"}}`, scope},
	{"salesiq", 200, `{"error":{"code":1016,"message":"x"}}`, permission},
	{"salesiq", 200, `{"error":{"code":1023,"message":"x"}}`, limited},
	{"salesiq", 200, `{"data":[{"code":1008,"message":"x"}]}`, none},
	{"salesiq", 200, `{"error":"INVALID_TOKEN"}`, none},
	// Campaigns
	{"campaigns", 401, `{"status":"error","Code":"1007","message":"Unauthorized request."}`, renew},
	{"campaigns", 401, `{"status":"error","code":"1007","message":"x"}`, unrecognized},
	{"campaigns", 400, `{"status":"error","Code":"1007","message":"x"}`, none},
	// WorkDrive
	{"workdrive", 500, `{"errors":[{"id":"F000","title":"INVALID_TICKET"}]}`, noHeader},
	{"workdrive", 500, `{"errors":[{"id":"F000","title":"INTERNAL"}]}`, none},
	{"workdrive", 401, `{"errors":[{"id":"F7003","title":"Invalid OAuth token."}]}`, renew},
	{"workdrive", 401, `{"errors":[{"id":"F7004","title":"Invalid OAuth scope."}]}`, scope},
	{"workdrive", 401, `{"errors":[{"id":"F7007","title":"Invalid OAuth scope."}]}`, scope},
	{"workdrive", 401, `{"code":"INVALID_OAUTHSCOPE"}`, scope},
	{"workdrive", 401, `{"errors":[{"id":"R008","title":"Unauthorized access"}]}`, permission},
	{"workdrive", 429, `{"errors":[{"id":"F7008","title":"x"}]}`, limited},
	{"workdrive", 401, `{"errors":[{"id":"F9999","title":"x"}]}`, unrecognized},
	// Sheet
	{"sheet", 401, `{"error_code":2401,"error_message":"Invalid [authorization ticket]","status":"failure"}`, noHeader},
	{"sheet", 401, `{"error_code":2401,"error_message":"Invalid [OAUTHTOKEN]","status":"failure"}`, renew},
	{"sheet", 401, `{"response":{"error_code":2401,"error_message":"Invalid [OAUTHTOKEN]"}}`, renew},
	{"sheet", 400, `{"error_code":2401,"error_message":"Invalid [OAUTHTOKEN]"}`, none},
	{"sheet", 401, `{"my_error_code":2401}`, unrecognized},
	// Catalyst
	{"catalyst", 401, `{"status":"failure","data":{"message":"x","error_code":"INVALID_TOKEN"}}`, renew},
	{"catalyst", 400, `{"status":"failure","data":{"error_code":"INVALID_TICKET"}}`, noHeader},
	{"catalyst", 401, `{"message":"INVALID_OAUTHTOKEN"}`, renew},
	// services without rows of their own
	{"social", 401, `{"error":{"code":401,"message":"INVALID_OAUTHTOKEN"}}`, renew},
	{"social", 401, `{"error":{"code":401,"message":"INVALID_OAUTHSCOPE"}}`, scope},
	{"meeting", 401, `{"error":{"message":"INVALID_OAUTHSCOPE"}}`, scope},
	{"writer", 401, `{"error":{"errorcode":"INVALID_TICKET"}}`, noHeader},
	{"writer", 401, `{"code":"AUTHENTICATION_FAILURE"}`, ambiguous},
	{"writer", 401, `{"code":"OAUTH_ORG_MISMATCH"}`, org},
	{"writer", 401, `{"code":57,"message":"x"}`, unrecognized},
	{"writer", 400, `{"code":"INVALID_TOKEN"}`, none},
	{"writer", 403, `{"code":"NO_PERMISSION"}`, none},
}

func TestJudge(t *testing.T) {
	for _, a := range answers {
		if got := zoho.Judge(a.service, a.status, jsonHeader, []byte(a.body)); got != a.want {
			t.Errorf("%s %d %s: got %v, want %v", a.service, a.status, a.body, got, a.want)
		}
		if a.want != none && a.status != http.StatusTooManyRequests &&
			!zoho.MayRefuse(a.service, a.status, jsonHeader) {
			t.Errorf("%s %d may not refuse, but does: %s", a.service, a.status, a.body)
		}
	}
}

// TestJudgeAllRows: with a fixed upstream the service may be unknown. Then all
// rows count, numbers with their shape, and for the 400s only.
func TestJudgeAllRows(t *testing.T) {
	for _, a := range answers {
		if a.want == none || a.want == unrecognized {
			continue
		}
		want := a.want
		if a.status < 400 || a.status >= 500 {
			want = none
		}
		if got := zoho.Judge("", a.status, jsonHeader, []byte(a.body)); got != want {
			t.Errorf("%d %s: got %v, want %v", a.status, a.body, got, want)
		}
	}
	for _, body := range []string{
		`{"code":57}`, `{"code":"57x","message":"x"}`, `{"error":{"code":57,"message":"x"}}`, `{"code":1030,"message":"x"}`, `{"code":9041}`,
		`{"errorCode":8535}`, `{"code":1007}`, `{"code":2401}`, `{"code":1008,"message":"x"}`, `{"code":7202}`, `{"code":6401}`, `57`, `[57]`, `{}`, ``, `x`,
	} {
		for _, status := range []int{400, 401, 403} {
			want := none
			if status == 401 {
				want = unrecognized
			}
			if got := zoho.Judge("", status, jsonHeader, []byte(body)); got != want {
				t.Errorf("%d %s: got %v, want %v", status, body, got, want)
			}
		}
	}
}

func TestJudgeWithoutCode(t *testing.T) {
	expired := http.Header{"Www-Authenticate": {`Bearer error="expired_token"`}}
	tests := []struct {
		service string
		status  int
		h       http.Header
		body    string
		want    zoho.Verdict
	}{
		{"cliq", 401, htmlHeader(), "\r\n", noHeader},
		{"", 401, htmlHeader(), "\r\n", noHeader},
		{"cliq", 401, htmlHeader(), "<html>", unrecognized},
		{"cliq", 401, jsonHeader, "", unrecognized},
		{"cliq", 403, htmlHeader(), "", none},
		{"crm", 401, htmlHeader(), "", unrecognized},
		{"desk", 401, htmlHeader(), "<html><body>Unauthorized UNAUTHORIZED</body></html>", unrecognized},
		{"workdrive", 401, expired, "", renew},
		{"workdrive", 401, expired, `{"errors":[{"id":"R008"}]}`, permission},
		{"crm", 401, expired, "", unrecognized},
		{"crm", 401, nil, "\ufeff {\"code\":\"INVALID_TOKEN\"}", renew}, // however it is labelled
	}
	for _, test := range tests {
		if got := zoho.Judge(test.service, test.status, test.h, []byte(test.body)); got != test.want {
			t.Errorf("%s %d %q: got %v, want %v", test.service, test.status, test.body, got, test.want)
		}
	}
}

func TestJudgeReadsWhatItCan(t *testing.T) {
	long := strings.Repeat("x", 64<<10)
	tests := []struct {
		name, body string
		want       zoho.Verdict
	}{
		{"cut after the code", `{"code":"INVALID_TOKEN","message":"` + long, renew},
		{"code beyond 64 KiB", `{"message":"` + long + `","code":"INVALID_TOKEN"}`, unrecognized},
		{"broken after the code", `{"code":"INVALID_TOKEN",,}`, renew},
		{"broken before the code", `{"x":nope,"code":"INVALID_TOKEN"}`, unrecognized},
		{"code behind a hundred values", `{"x":[` + strings.Repeat("1,", 100) + `1],"code":"INVALID_TOKEN"}`, renew},
		{"code behind more than any refusal has", `{"x":[` + strings.Repeat("1,", 1000) + `1],"code":"INVALID_TOKEN"}`, unrecognized},
		{"nested for its own sake", strings.Repeat(`[`, 60<<10), unrecognized},
		{"nested objects", strings.Repeat(`{"a":`, 10<<10), unrecognized},
		{"code under a long name", `{"` + strings.Repeat("n", 1<<10) + `":{"code":"INVALID_TOKEN"}}`, renew},
		{"code deep down", strings.Repeat(`{"some_long_name":`, 30) + `"INVALID_TOKEN"`, renew},
		{"its own row decides", `{"code":"INVALID_TOKEN","data":{"code":"OAUTH_SCOPE_MISMATCH"}}`, renew},
		{"two codes outside of the row", `{"a":"INVALID_TOKEN","b":"OAUTH_SCOPE_MISMATCH"}`, scope},
		{"code twice", `{"code":"INVALID_TOKEN","code":"OAUTH_SCOPE_MISMATCH"}`, scope},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := zoho.Judge("crm", 401, jsonHeader, []byte(test.body)); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// TestMayRefuse: only answers that a row can apply to are held up.
func TestMayRefuse(t *testing.T) {
	on := map[string][]int{
		"": {400, 401, 403}, "crm": {401, 403}, "bigin": {401, 403}, "recruit": {200, 400, 401, 403}, "bookings": {400, 401},
		"books": {401}, "invoice": {401}, "inventory": {401}, "billing": {401}, "expense": {401}, "erp": {401},
		"phonebridge": {400, 401}, "desk": {401, 403}, "creator": {200, 401, 403}, "mail": {400, 401, 403}, "calendar": {400, 401},
		"analytics": {400, 401, 403}, "projects": {200, 400, 401, 403}, "people": {200, 400, 401}, "sign": {401}, "cliq": {400, 401, 403},
		"fsm": {401, 403}, "salesiq": {200, 400, 401}, "campaigns": {401}, "workdrive": {401, 500}, "sheet": {401}, "catalyst": {400, 401},
	}
	names := []string{"", "social", "nonsense"}
	for _, s := range zoho.Services() {
		names = append(names, s.Name)
	}
	for _, name := range names {
		want, ok := on[name]
		if !ok {
			want = []int{401}
		}
		for status := 100; status < 600; status++ {
			if got := zoho.MayRefuse(name, status, jsonHeader); got != slices.Contains(want, status) {
				t.Errorf("%q %d: got %v", name, status, got)
			}
		}
	}
	for contentType, want := range map[string]bool{
		"application/json": true, "Application/JSON; charset=utf-8": true, "application/vnd.api+json": true,
		"text/xml": true, "application/xml;charset=UTF-8": true, "image/svg+xml": false, "application/xhtml+xml": false,
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document": false,
		"": false, "text/html": false, "application/pdf": false, "image/png": false, "text/csv": false,
	} {
		h := http.Header{"Content-Type": {contentType}}
		if got := zoho.MayRefuse("people", 200, h); got != want {
			t.Errorf("%q under 200: got %v, want %v", contentType, got, want)
		}
		if !zoho.MayRefuse("people", 401, h) {
			t.Errorf("%q under 401 may not refuse", contentType)
		}
	}
	if zoho.MayRefuse("salesiq", 200, nil) {
		t.Error("a 200 without header is held up")
	}
	for length, want := range map[string]bool{"4096": true, "4097": false, "nonsense": true} {
		h := http.Header{"Content-Type": {"application/json"}, "Content-Length": {length}}
		if got := zoho.MayRefuse("creator", 200, h); got != want {
			t.Errorf("a 200 of %s bytes: got %v, want %v", length, got, want)
		}
	}
}

func TestVerdictNames(t *testing.T) {
	want := map[zoho.Verdict]string{
		none: "none", unrecognized: "ambiguous", ambiguous: "ambiguous", renew: "renew", noHeader: "no-header",
		org: "org", permission: "permission", scope: "scope", limited: "limited", -1: "none", 99: "none",
	}
	for v, name := range want {
		if v.String() != name {
			t.Errorf("got %s, want %s", v, name)
		}
	}
}

// A resource server looks at the token before it answers with a success, an unchanged page
// or an upgrade. All other answers may come from a front server that has not looked.
func TestAccepted(t *testing.T) {
	for status := -1; status < 1100; status++ {
		want := status >= 200 && status <= 299 || status == 304 || status == 101
		if got := zoho.Accepted(status); got != want {
			t.Errorf("%d: got %v, want %v", status, got, want)
		}
	}
}

func TestMayRefuseAllocatesNothing(t *testing.T) {
	for _, service := range []string{"", "crm", "people", "nonsense"} {
		for _, status := range []int{200, 204, 401, 500} {
			if n := testing.AllocsPerRun(100, func() { zoho.MayRefuse(service, status, jsonHeader) }); n != 0 {
				t.Errorf("%q %d: %v allocations", service, status, n)
			}
		}
	}
}

func BenchmarkMayRefuse(b *testing.B) {
	for _, status := range []int{200, 401} {
		b.Run(fmt.Sprint(status), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				zoho.MayRefuse("people", status, jsonHeader)
			}
		})
	}
}

func BenchmarkJudge(b *testing.B) {
	body := []byte(answers[1].body)
	b.ReportAllocs()
	for b.Loop() {
		zoho.Judge("crm", 401, jsonHeader, body)
	}
}

// FuzzJudge: no panic, whatever the form; a verdict only where MayRefuse said so; what is
// judged depends on the first 64 KiB alone; numbers never speak without their shape.
func FuzzJudge(f *testing.F) {
	for _, a := range answers {
		f.Add(a.service, a.status, "application/json", "", []byte(a.body))
	}
	for _, form := range forms {
		f.Add(form.service, form.status, form.contentType, "INVALID_OAUTHTOKEN", []byte(form.body))
	}
	f.Add("cliq", 401, "text/html", "Unauthorized", []byte("\r\n"))
	f.Fuzz(func(t *testing.T, service string, status int, contentType, reason string, body []byte) {
		h := http.Header{"Content-Type": {contentType}}
		v := zoho.Judge(service, status, h, body)
		if v < none || v > limited {
			t.Errorf("got verdict %d", v)
		}
		if v != none && status != http.StatusTooManyRequests && !zoho.MayRefuse(service, status, h) {
			t.Errorf("%q %d: %v, though it may not refuse", service, status, v)
		}
		if v != none && v != limited && status/100 != 4 &&
			!slices.Contains([]string{"people", "recruit", "salesiq", "workdrive"}, service) {
			t.Errorf("%q %d: %v", service, status, v)
		}
		if more := append(body[:len(body):len(body)], make([]byte, 64<<10)...); len(body) >= 64<<10 &&
			zoho.Judge(service, status, h, more) != v {
			t.Error("what stands beyond 64 KiB counts")
		}
		if v == renew && service == "crm" && !strings.ContainsFunc(string(body), unicode.IsLetter) {
			t.Errorf("renew without any text: %q", body)
		}
		res := &http.Response{StatusCode: status, Status: fmt.Sprint(status, " ", reason), Header: h}
		desk := zoho.Target{Service: service, Host: "desk.zoho.com"}
		if got := desk.Judge(res, body); got != v {
			t.Errorf("%q decides at a host that does not speak by it: %v, without it %v", reason, got, v)
		}
		download := zoho.Target{Service: service, Host: "download.zoho.com"}
		if got := download.Judge(res, body); got < v || got != v && status != http.StatusUnauthorized {
			t.Errorf("%d %q: %v, without the reason %v", status, reason, got, v)
		}
	})
}
