package zohosim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// refusals restates what is known of Zoho's refusals: an address of the service, a scope of it, and
// by case the status and the body, or its beginning if that ends in "…".
var refusals = []struct {
	name, url, scope string
	want             map[string]want
}{
	{"crm", "https://www.zohoapis.com/crm/v8/Leads", "ZohoCRM.modules.ALL", crmWant},
	{"bigin", "https://www.zohoapis.com/bigin/v2/Contacts", "ZohoBigin.modules.ALL", crmWant},
	{"recruit", "https://recruit.zoho.com/recruit/v2/Candidates", "ZohoRecruit.modules.ALL", crmWant},
	{"phonebridge", "https://www.zohoapis.com/phonebridge/v3/calls", "PhoneBridge.call.log", map[string]want{
		"dead": {400, `{"code":"INVALID_TOKEN","message":"invalid oauth token","status":"error"}`},
	}},
	{"books", "https://www.zohoapis.com/books/v3/invoices", "ZohoBooks.fullaccess.all", booksWant},
	{"invoice", "https://www.zohoapis.com/invoice/v3/invoices", "ZohoInvoice.invoices.ALL", booksWant},
	{"inventory", "https://www.zohoapis.com/inventory/v1/items", "ZohoInventory.items.READ", booksWant},
	{"billing", "https://www.zohoapis.com/billing/v1/plans", "ZohoSubscriptions.fullaccess.all", booksWant},
	{"expense", "https://www.zohoapis.com/expense/v1/users", "ZohoExpense.fullaccess.ALL", booksWant},
	{"desk", "https://desk.zoho.com/api/v1/tickets", "Desk.tickets.ALL", map[string]want{
		"no-header":  {401, `{"errorCode":"UNAUTHORIZED","message":"You are not authenticated to perform this operation."}`},
		"dead":       {401, `{"errorCode":"INVALID_OAUTH","message":"The OAuth Token you provided is invalid."}`},
		"scope":      {403, `{"errorCode":"SCOPE_MISMATCH",…`},
		"permission": {403, `{"errorCode":"FORBIDDEN",…`},
		"org":        {403, `{"errorCode":"OAUTH_ORG_MISMATCH",…`},
		"limit":      {429, `{"errorCode":"TOO_MANY_REQUESTS",…`},
	}},
	{"creator", "https://www.zohoapis.com/creator/v2.1/data/me/app/report/r", "ZohoCreator.report.READ", map[string]want{
		"no-header":  {401, `{"code":1030,"description":"Authorization Failure. The access token is either invalid or has expired.…`},
		"dead":       {401, `{"code":1030,"description":"Authorization Failure. The access token is either invalid or has expired.…`},
		"permission": {403, `{"code":1060,…`},
		"limit":      {200, `{"code":4000,…`},
		"other":      {401, `{"code":1000,…`},
	}},
	{"mail", "https://mail.zoho.com/api/accounts", "ZohoMail.accounts.READ", map[string]want{
		"no-header": {400, `{"data":{"errorCode":"INVALID_TICKET","moreInfo":"Invalid ticket"},"status":{"code":400,…`},
		"dead":      {401, `{"data":{"errorCode":"INVALID_OAUTHTOKEN"},"status":{"code":401,"description":"Invalid Access"}}`},
		"scope":     {401, `{"data":{"errorCode":"INVALID_OAUTHSCOPE"}…`},
	}},
	{"calendar", "https://calendar.zoho.com/api/v1/calendars", "ZohoCalendar.calendar.ALL", map[string]want{
		"no-header": {400, `{"error":[{"error_code":"INVALID_TICKET",…`},
		"dead":      {401, `{"error":[{"description":"Invalid OAuth token.","error_code":"INVALID_OAUTHTOKEN"…`},
	}},
	{"analytics", "https://analyticsapi.zoho.com/restapi/v2/orgs", "ZohoAnalytics.fullaccess.all", map[string]want{
		"no-header":  {400, `{"status":"failure","summary":"INVALID_TICKET","data":{"errorCode":8518,…`},
		"dead":       {401, `{"status":"failure","summary":"INVALID_OAUTHTOKEN","data":{"errorCode":8535,…`},
		"scope":      {401, `{"status":"failure","summary":"INVALID_OAUTHSCOPE","data":{"errorCode":8540,…`},
		"permission": {403, `{"status":"failure","summary":"PERMISSION_DENIED","data":{"errorCode":7301,…`},
	}},
	{"analytics-v1", "https://analyticsapi.zoho.com/api/me@example.com/Sales/Orders?ZOHO_ACTION=EXPORT&ZOHO_OUTPUT_FORMAT=JSON", "ZohoAnalytics.data.ALL", map[string]want{
		"dead":  {401, `{"response":{"uri":"/api/owner/workspace/table","action":"EXPORT","error":{"code":8535,"message":"Invalid OAuth token"}}}`},
		"scope": {401, `{"response":{"uri":"/api/owner/workspace/table","action":"EXPORT","error":{"code":8540,…`},
		"limit": {400, `{"response":{"uri":"/api/owner/workspace/table","action":"EXPORT","error":{"code":6045,…`},
	}},
	{"analytics-v1-xml", "https://analyticsapi.zoho.com/api/me@example.com/Sales/Orders?ZOHO_ACTION=EXPORT&ZOHO_ERROR_FORMAT=XML&ZOHO_OUTPUT_FORMAT=JSON", "ZohoAnalytics.data.ALL", map[string]want{
		"dead":  {401, analyticsXML + "8535</code>\n<message>Invalid OAuth token</message>\n</error>\n</response>"},
		"scope": {401, analyticsXML + "8540</code>…"},
		"limit": {400, analyticsXML + "6045</code>…"},
	}},
	{"analytics-v1, nothing asked for", "https://analyticsapi.zoho.com/api/me@example.com/Sales/Orders?ZOHO_ACTION=EXPORT", "ZohoAnalytics.data.ALL", map[string]want{
		"dead": {401, analyticsXML + "8535</code>…"},
	}},
	{"bookings", "https://www.zohoapis.com/bookings/v1/json/workspaces", "zohobookings.data.ALL", map[string]want{
		"no-header": {400, bookingsPage},
		"dead":      {401, bookingsPage},
	}},
	{"projects", "https://projectsapi.zoho.com/api/v3/portals", "ZohoProjects.portals.READ", map[string]want{
		"no-header": {401, `{"error":{"status_code":"401","title":"INVALID_TICKET",…`},
		"dead":      {401, `{"error":{"status_code":"401","title":"INVALID_OAUTHTOKEN","details":[{"message":"Invalid OAuth access token."}]}}`},
		"scope":     {401, `{"error":{"status_code":"401","title":"INVALID_OAUTHSCOPE",…`},
		"limit":     {400, `{"error":{"status_code":"400","title":"URL_ROLLING_THROTTLES_LIMIT_EXCEEDED",…`},
	}},
	{"projects-v1", "https://projectsapi.zoho.com/restapi/portals/", "ZohoProjects.portals.READ", map[string]want{
		"dead":       {401, `{"error":{"code":6401,…`},
		"permission": {403, `{"error":{"code":6403,…`},
	}},
	{"people", "https://people.zoho.com/people/api/forms", "ZOHOPEOPLE.forms.ALL", map[string]want{
		"no-header": {401, `{"response":{"errors":{"code":7213,…`},
		"dead":      {401, `{"response":{"errors":{"code":7202,…`},
		"scope":     {401, `{"response":{"errors":{"code":7218,"message":"Invalid OAuth Scope"}…`},
		"limit":     {429, `{"response":{"errors":{"code":7209,…`},
	}},
	{"sign", "https://sign.zoho.com/api/v1/requests", "ZohoSign.documents.ALL", map[string]want{
		"no-header": {401, `{"code":9031,"message":"Ticket invalid","status":"failure"}`},
		"dead":      {401, `{"code":9041,"message":"Invalid Oauth token","status":"failure"}`},
	}},
	{"cliq", "https://cliq.zoho.com/api/v2/channels", "ZohoCliq.Channels.ALL", map[string]want{
		"no-header": {401, "\r\n"},
		"dead":      {401, `{"code":"oauthtoken_invalid","message":"Invalid OAuth token passed."}`},
		"scope":     {401, `{"code":"oauthtoken_scope_invalid",…`},
		"limit":     {400, `{"code":"request_limit_exceeded","message":"You have exceeded the URL throttle limits."}`},
	}},
	{"salesiq", "https://salesiq.zoho.com/api/v2/portal/operators", "SalesIQ.operators.READ", map[string]want{
		"no-header":  {200, `{"error":{"code":1002,…`},
		"dead":       {200, `{"error":{"code":1008,"message":"Invalid OAuthToken."}}`},
		"scope":      {200, `{"error":{"code":1009,…`},
		"permission": {200, `{"error":{"code":1016,…`},
		"limit":      {200, `{"error":{"code":1023,…`},
	}},
	{"campaigns", "https://campaigns.zoho.com/api/v1.1/getmailinglists", "ZohoCampaigns.contact.ALL", map[string]want{
		"no-header": {401, `{"status":"error","Code":"1007","message":"Unauthorized request."}`},
		"dead":      {401, `{"status":"error","Code":"1007","message":"Unauthorized request."}`},
	}},
	{"workdrive", "https://www.zohoapis.com/workdrive/api/v1/files", "WorkDrive.files.ALL", map[string]want{
		"no-header": {500, `{"errors":[{"id":"F000","title":"INVALID_TICKET"}]}`},
		"dead":      {401, `{"errors":[{"id":"F7003","title":"Invalid OAuth token."}]}`},
		"scope":     {401, `{"errors":[{"id":"F7007","title":"Invalid OAuth scope."}]}`},
		"other":     {401, `{"errors":[{"id":"R008",…`},
		"limit":     {429, `{"errors":[{"id":"F7008",…`},
	}},
	{"workdrive-files", "https://download.zoho.com/v1/workdrive/download/1", "ZohoFiles.files.READ", map[string]want{
		"dead":  {401, `<html>…`}, // and what the status line says: see TestReason
		"scope": {401, `<html>…`},
	}},
	{"sheet", "https://sheet.zoho.com/api/v2/1", "ZohoSheet.dataAPI.READ", map[string]want{
		"no-header": {401, `{"status":"failure","error_code":2401,"error_message":"Invalid parameter value [authorization ticket]"}`},
		"dead":      {401, `{"status":"failure","error_code":2401,"error_message":"Invalid parameter value [OAUTHTOKEN]"}`},
	}},
	{"social", "https://social.zoho.com/social/v2/brands", "ZohoSocial.Organization.READ", map[string]want{
		"dead":  {401, `{"error":{"code":401,"message":"INVALID_OAUTHTOKEN",…`},
		"scope": {401, `{"error":{"code":401,"message":"INVALID_OAUTHSCOPE",…`},
	}},
	{"catalyst", "https://api.catalyst.zoho.com/baas/v1/project", "ZohoCatalyst.projects.READ", map[string]want{
		"dead": {401, `{"status":"failure","data":{"error_code":"INVALID_TOKEN",…`},
	}},
	{"quickml", "https://api.catalyst.zoho.com/quickml/v1/project/1/endpoints/predict", "QuickML.deployment.READ", map[string]want{
		"no-header": {400, `{"status":"failure","data":{"error_code":"INVALID_TICKET",…`},
		"dead":      {401, `{"status":"failure","data":{"error_code":"INVALID_OAUTHTOKEN",…`},
	}},
	{"meeting", "https://meeting.zoho.com/api/v2/1/sessions.json", "ZohoMeeting.meeting.READ", map[string]want{
		"scope": {401, `{"error":{"key":"INVALID_OAUTHSCOPE",…`},
	}},
	{"writer", "https://www.zohoapis.com/writer/api/v1/documents", "ZohoWriter.documentEditor.ALL", nil},
	{"accounts", "https://accounts.zoho.com/oauth/user/info", "AaaServer.profile.Read", nil},
}

const (
	analyticsXML = "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<response uri=\"/api/owner/workspace/table\" action=\"EXPORT\">\n<error>\n<code>"
	bookingsPage = "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<title>Zoho Creator - Error Page</title>…"
)

type want struct {
	status int
	body   string
}

var crmWant = map[string]want{
	"no-header":  {401, `{"code":"AUTHENTICATION_FAILURE","details":{},"message":"Authentication failed","status":"error"}`},
	"dead":       {401, `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`},
	"scope":      {401, `{"code":"OAUTH_SCOPE_MISMATCH",…`},
	"permission": {403, `{"code":"NO_PERMISSION",…`},
	"other":      {403, `{"code":"AUTHORIZATION_FAILED",…`},
	"limit":      {429, `{"code":"TOO_MANY_REQUESTS",…`},
}

var booksWant = map[string]want{
	"no-header":  {401, `{"code":14,"message":"The request could not be authenticated as the authentication value you entered is invalid.…`},
	"dead":       {401, `{"code":57,"message":"You are not authorized to perform this operation"}`},
	"scope":      {401, `{"code":57,"message":"You are not authorized to perform this operation"}`},
	"permission": {401, `{"code":57,"message":"You are not authorized to perform this operation"}`},
	"limit":      {429, `{"code":44,…`},
}

func (w want) check(t *testing.T, res *http.Response) {
	t.Helper()
	body := bodyOf(t, res)
	if res.StatusCode != w.status {
		t.Errorf("status: got %d, want %d", res.StatusCode, w.status)
	}
	if beginning, partly := strings.CutSuffix(w.body, "…"); partly {
		if !strings.HasPrefix(body, beginning) {
			t.Errorf("body: got %q, want it to begin with %q", body, beginning)
		}
	} else if body != w.body {
		t.Errorf("body: got %q, want %q", body, w.body)
	}
	if wantType := contentTypeOf(body); !strings.HasPrefix(res.Header.Get("Content-Type"), wantType) {
		t.Errorf("content type: got %q, want %q", res.Header.Get("Content-Type"), wantType)
	}
	if res.Header.Get("X-Sim-Request-Id") == "" {
		t.Error("header X-Sim-Request-Id is missing")
	}
}

func contentTypeOf(body string) string {
	switch {
	case strings.HasPrefix(body, `{"errors":`):
		return "application/vnd.api+json"
	case strings.HasPrefix(body, "{"):
		return "application/json"
	case strings.HasPrefix(body, "<?xml"), strings.HasPrefix(body, "<response"):
		return "text/xml"
	default:
		return "text/html"
	}
}

func TestRefusals(t *testing.T) {
	for _, row := range refusals {
		t.Run(row.name, func(t *testing.T) {
			for refusalCase, want := range row.want {
				t.Run(refusalCase, func(t *testing.T) {
					want.check(t, provoke(t, newSim(zohosim.Options{}), row.url, row.scope, refusalCase))
				})
			}
			t.Run("admitted", func(t *testing.T) {
				sim := newSim(zohosim.Options{})
				res := call(sim, "GET", row.url, sim.AccessToken(sim.Grant(clientID, "", "", row.scope)), "")
				if res.StatusCode != 200 && res.StatusCode != 204 {
					t.Errorf("status: got %d, want success; body %q", res.StatusCode, bodyOf(t, res))
				}
			})
			t.Run("another data center's token", func(t *testing.T) {
				sim := newSim(zohosim.Options{})
				res := call(sim, "GET", row.url, sim.AccessToken(sim.Grant(clientID, "", "eu", row.scope)), "")
				if want, ok := row.want["dead"]; ok {
					want.check(t, res)
				}
			})
		})
	}
}

// provoke brings about a refusal, in the natural way where there is one.
func provoke(t *testing.T, sim *zohosim.Server, target, scope, refusalCase string) *http.Response {
	t.Helper()
	switch refusalCase {
	case "no-header":
		return do(sim, request("GET", target, ""))
	case "dead":
		access := sim.AccessToken(sim.Grant(clientID, "", "", scope))
		sim.Expire("")
		return call(sim, "GET", target, access, "")
	case "scope":
		return call(sim, "GET", target, sim.AccessToken(sim.Grant(clientID, "", "", "ZohoOther.things.ALL")), "")
	case "org":
		return call(sim, "GET", target, sim.AccessToken(sim.Grant(clientID, "", "", scope)), "", "orgId", "999")
	case "limit":
		sim.AddFault(zohosim.Fault{Where: "*", Kind: zohosim.FaultThrottle, Count: 1})
	default:
		sim.AddFault(zohosim.Fault{Where: "*", Kind: zohosim.FaultRefuse, Body: refusalCase, Count: 1})
	}
	return call(sim, "GET", target, sim.AccessToken(sim.Grant(clientID, "", "", scope)), "")
}

// Every service has an answer for every case, and it is JSON or HTML with a status.
func TestRefusalsAreComplete(t *testing.T) {
	sim := newSim(zohosim.Options{})
	cases := []string{"no-header", "dead", "scope", "permission", "org", "limit", "other"}
	for _, service := range append(zohosim.Services(), "projects-v1", "analytics-v1", "analytics-v1-xml", "workdrive-files", "quickml", "accounts") {
		for _, refusalCase := range cases {
			a := sim.Refusal(service, refusalCase)
			if a.Status < 200 || a.ContentType == "" || a.Body == "" {
				t.Errorf("%s/%s: got %+v, want a complete answer", service, refusalCase, a)
			}
			if strings.HasPrefix(a.ContentType, "application/") {
				decode(t, a.Body)
			}
		}
	}
	if a := sim.Refusal("nonesuch", "dead"); a.Status != 0 {
		t.Errorf("unknown service: got %+v, want nothing", a)
	}
}

func TestVariants(t *testing.T) {
	for _, tt := range []struct {
		variant, url, refusalCase string
		want                      want
	}{
		{"salesiq-400", "https://salesiq.zoho.com/api/v2/p", "dead", want{400, `{"error":{"code":1001,"message":"Unknown authentication error, Contact SalesIQ Team!"}}`}},
		{"projects-v1-400", "https://projects.zoho.com/restapi/portals/", "dead", want{400, `{"error":{"code":6401,…`}},
		{"people-400", "https://people.zoho.com/people/api/forms", "dead", want{400, `{"response":{"errors":{"code":7202,…`}},
		{"people-200", "https://people.zoho.com/people/api/forms", "dead", want{200, `{"response":{"errors":{"code":7202,…`}},
		{"projects-403", "https://projects.zoho.com/api/v3/portals", "scope", want{403, `{"error":{"status_code":"403",…`}},
		{"cliq-scope-403", "https://cliq.zoho.com/api/v2/channels", "scope", want{403, `{"code":"oauthtoken_scope_invalid",…`}},
		{"books-old-text", "https://books.zoho.com/api/v3/invoices", "no-header", want{401, `{"code":14,"message":"Invalid value passed for authtoken"}`}},
		{"workdrive-f7004", "https://workdrive.zoho.com/api/v1/files", "scope", want{401, `{"errors":[{"id":"F7004",…`}},
		{"desk-dead-html", "https://desk.zoho.com/api/v1/tickets", "dead", want{401, `<html>…`}},
		{"campaigns-html", "https://campaigns.zoho.com/api/v1.1/getmailinglists", "dead", want{401, `<html>…`}},
		{"campaigns-xml", "https://campaigns.zoho.com/api/v1.1/getmailinglists", "dead", want{401, `<response><status>error</status><code>1007</code>…`}},
		{"analytics-v1-400", "https://analyticsapi.zoho.com/api/o/w/t?ZOHO_ERROR_FORMAT=JSON", "dead", want{400, `{"response":…`}},
		{"analytics-v1-xml-400", "https://analyticsapi.zoho.com/api/o/w/t", "dead", want{400, analyticsXML + "8535…"}},
		{"recruit-4834", "https://recruit.zoho.com/recruit/v2/Candidates", "dead", want{401, `{"response":{"error":{"code":4834,…`}},
		{"recruit-4834-400", "https://recruit.zoho.com/recruit/v2/Candidates", "dead", want{400, `{"response":{"error":{"code":4834,…`}},
		{"recruit-4834-200", "https://recruit.zoho.com/recruit/v2/Candidates", "dead", want{200, `{"response":{"error":{"code":4834,…`}},
		{"recruit-4834", "https://www.zohoapis.com/crm/v8/Leads", "dead", crmWant["dead"]},
		{"workdrive-files-json", "https://download.zoho.com/v1/workdrive/download/1", "dead", want{401, `{"errors":[{"id":"F7003",…`}},
		{"desk-html", "https://desk.zoho.com/api/v1/tickets", "permission", want{401, `<html>…`}},
	} {
		t.Run(tt.variant+" "+tt.url, func(t *testing.T) {
			sim := newSim(zohosim.Options{Variants: []string{tt.variant}})
			tt.want.check(t, provoke(t, sim, tt.url, "", tt.refusalCase))
		})
	}
}

func TestOwnAnswers(t *testing.T) {
	sim := newSim(zohosim.Options{Answers: map[string]zohosim.Answer{
		"books/org": {Status: 401, ContentType: "application/json", Body: `{"code":6041}`},
	}})
	sim.SetAnswer("crm", zohosim.CaseDead, zohosim.Answer{Status: 418, ContentType: "text/plain", Body: "tea",
		Header: map[string]string{"X-Pot": "1"}})
	access := sim.AccessToken(sim.Grant(clientID, "", ""))
	res := call(sim, "GET", "https://www.zohoapis.com/books/v3/contacts?organization_id=1", access, "")
	if got := bodyOf(t, res); got != `{"code":6041}` {
		t.Errorf("wrong organization: got %q", got)
	}
	res = call(sim, "GET", "https://www.zohoapis.com/crm/v8/Leads", "1000.dead", "")
	if res.StatusCode != 418 || res.Header.Get("X-Pot") != "1" {
		t.Errorf("dead token: got %d %v, want the answer that was set", res.StatusCode, res.Header)
	}
}
