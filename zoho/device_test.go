package zoho_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// deviceReply is one as Zoho's page has it, with some members set otherwise.
func deviceReply(members string) string {
	return `{"user_code":"ABCD-EFGH","device_code":"1004.secret.code","verification_url":"https://accounts.zoho.com/oauth/v3/device"` +
		members + `}`
}

// TestDevicePace: Zoho's interval and expires_in are milliseconds, RFC 8628's are seconds.
func TestDevicePace(t *testing.T) {
	for _, tt := range []struct {
		members        string
		interval, life time.Duration
	}{
		{`,"interval":5000,"expires_in":300000`, 5 * time.Second, 5 * time.Minute}, // Zoho's page
		{`,"interval":5,"expires_in":1800`, 5 * time.Second, 30 * time.Minute},     // RFC 8628's example
		{`,"interval":"5000","expires_in":"300000"`, 5 * time.Second, 5 * time.Minute},
		{`,"interval":30000,"expires_in":300000`, 30 * time.Second, 5 * time.Minute},
		{`,"interval":1000,"expires_in":60000`, time.Second, time.Minute},
		{`,"interval":1,"expires_in":60`, time.Second, time.Minute},
		{`,"expires_in":300000`, 5 * time.Second, 5 * time.Minute},
		{`,"expires_in":600`, 5 * time.Second, 10 * time.Minute},
		{`,"interval":5000`, 5 * time.Second, 5 * time.Minute},
		{``, 5 * time.Second, 5 * time.Minute},
		// of two units
		{`,"interval":5000,"expires_in":300`, 5 * time.Second, 5 * time.Minute},
		{`,"interval":5,"expires_in":300000`, 5 * time.Second, 30 * time.Minute},
		// out of bounds, and nonsense
		{`,"interval":0.01,"expires_in":1`, time.Second, 10 * time.Second},
		{`,"interval":500,"expires_in":86400000`, time.Second, 30 * time.Minute},
		{`,"interval":3600000,"expires_in":1e308`, time.Minute, 30 * time.Minute},
		{`,"interval":1e308,"expires_in":9223372036854775808`, time.Minute, 30 * time.Minute},
		{`,"interval":-5,"expires_in":-300`, 5 * time.Second, 5 * time.Minute},
		{`,"interval":"soon","expires_in":null`, 5 * time.Second, 5 * time.Minute},
		{`,"interval":[5],"expires_in":{"s":1}`, 5 * time.Second, 5 * time.Minute},
		{`,"interval":true,"expires_in":"NaN"`, 5 * time.Second, 5 * time.Minute},
	} {
		code, err := answering(200, "application/json", strings.NewReader(deviceReply(tt.members))).StartDevice(t.Context(), nil)
		if err != nil || code.Interval != tt.interval || code.Life != tt.life {
			t.Errorf("%s: every %v for %v (%v), want every %v for %v", tt.members, code.Interval, code.Life, err, tt.interval, tt.life)
		}
	}
}

// TestStartDevice: what is sent holds no secret, and what comes is looked at before anybody is shown it.
func TestStartDevice(t *testing.T) {
	var path, form string
	accounts := accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		path, form = r.URL.Path, r.Form.Encode()
		fmt.Fprint(w, deviceReply(`,"verification_uri_complete":"https://accounts.zoho.com/oauth/v3/device?user_code=ABCD-EFGH"`))
	})
	code, err := accounts.StartDevice(t.Context(), []string{"ZohoCRM.modules.ALL", "Desk.tickets.READ"})
	if err != nil || code.UserCode != "ABCD-EFGH" || code.Secret != "1004.secret.code" ||
		code.VerificationURLComplete != "https://accounts.zoho.com/oauth/v3/device?user_code=ABCD-EFGH" {
		t.Errorf("%v: %q %q %q", err, code.UserCode, code.VerificationURL, code.VerificationURLComplete)
	}
	if path != "/oauth/v3/device/code" || strings.Contains(form, "secret") || !strings.Contains(form, "grant_type=device_request") ||
		!strings.Contains(form, "scope=ZohoCRM.modules.ALL%2CDesk.tickets.READ") ||
		!strings.Contains(form, "access_type=offline") || !strings.Contains(form, "prompt=consent") {
		t.Errorf("to %s: %s", path, form)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", code, code, code, code); strings.Contains(text, "secret") || strings.Contains(text, "ABCD") {
		t.Error(text)
	}
	if text, err := json.Marshal(code); err == nil {
		t.Errorf("it is marshalled: %s", text)
	}
	for body, says := range map[string]string{
		`{}`:                         "neither a device code",
		`{"user_code":"ABCD"}`:       "neither a device code",
		`{"device_code":"1004.a.b"}`: "neither a device code",
		`{"user_code":"A\u001b[2J","device_code":"1004.a.b"}`:                                   "not printable",
		`{"user_code":"A","device_code":"x","verification_url":"http://evil.example/"}`:         "does not begin with https",
		`{"user_code":"A","device_code":"x","verification_uri_complete":"javascript:alert(1)"}`: "does not begin with https",
		`{"user_code":"A","user_code":"B","device_code":"x"}`:                                   "twice",
		`<html><title>Sign in</title></html>`:                                                   "HTML page",
	} {
		_, err := answering(200, "application/json", strings.NewReader(body)).StartDevice(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", body, err, says)
		}
	}
	// A server that names no page has it where all have it.
	code, err = answering(200, "", strings.NewReader(`{"user_code":"A","device_code":"x"}`)).StartDevice(t.Context(), nil)
	if err != nil || !strings.HasSuffix(code.VerificationURL, "/oauth/v3/device") {
		t.Errorf("%q, %v", code.VerificationURL, err)
	}
}

// TestDeviceURL: the device flow has its own version, wherever the protocol lives.
func TestDeviceURL(t *testing.T) {
	for base, want := range map[string]string{
		"https://iam.example":                     "/oauth/v3/device/code",
		"https://iam.example/iam/oauth/v2":        "/iam/oauth/v3/device/code",
		"https://x.example/clientoauth/v2/portal": "/clientoauth/v3/portal/device/code",
		"https://iam.example/iam":                 "/iam/oauth/v3/device/code",
	} {
		var path string
		accounts := &zoho.Accounts{DataCenter: dataCenterAt(t, base), HTTP: &http.Client{
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				path = r.URL.Path
				return nil, errors.New("enough")
			})}}
		_, _ = accounts.StartDevice(t.Context(), nil)
		if path != want {
			t.Errorf("%s: %s, want %s", base, path, want)
		}
	}
}

// TestPollDevice: each answer means one thing, whatever its status.
func TestPollDevice(t *testing.T) {
	for body, want := range map[string]zoho.DeviceState{
		`{"error":"authorization_pending"}`:         zoho.DevicePending,
		`{"error":"slow_down"}`:                     zoho.DeviceSlowDown,
		`{"error":"other_dc","user_location":"eu"}`: zoho.DeviceElsewhere,
		`{"error":"other_dc","dc":"eu"}`:            zoho.DeviceElsewhere,
		`{"error":"access_denied"}`:                 zoho.DeviceDenied,
		`{"error":"expired"}`:                       zoho.DeviceExpired,
		`{"error":"expired_token"}`:                 zoho.DeviceExpired,
		`{"error":"invalid_code"}`:                  zoho.DeviceExpired,
		`{"access_token":"1000.a.b","refresh_token":"1000.c.d","expires_in":3600}`: zoho.DeviceGranted,
	} {
		for _, status := range []int{200, 400} {
			if status == 400 && want == zoho.DeviceGranted {
				continue
			}
			poll, err := answering(status, "application/json", strings.NewReader(body)).PollDevice(t.Context(), "1004.secret.code")
			if err != nil || poll.State != want || want == zoho.DeviceElsewhere && poll.Location != "eu" {
				t.Errorf("%d %s: %+v, %v", status, body, poll, err)
			}
		}
	}
	for body, want := range map[string]zoho.FailureKind{
		`{"error":"invalid_client"}`:        zoho.FailureClientRejected,
		`{"error":"invalid_client_secret"}`: zoho.FailureClientRejected,
		`{"error":"no_org"}`:                zoho.FailureMisconfigured,
		`{"error":"anything_else"}`:         zoho.FailureMisconfigured,
		`{"error":"general_error"}`:         zoho.FailureTemporary,
		`{"error":"Access Denied","error_description":"You have made too many requests continuously.","status":"failure"}`: zoho.FailureThrottled,
		`<html></html>`:                zoho.FailureTemporary,
		`{"error":"1004.secret.code"}`: zoho.FailureMisconfigured,
	} {
		_, err := answering(200, "application/json", strings.NewReader(body)).PollDevice(t.Context(), "1004.secret.code")
		if f := mustFail(t, err); f.Kind != want || strings.Contains(err.Error(), "secret.code") {
			t.Errorf("%s: %v (%v), want %v", body, f.Kind, err, want)
		}
	}
	_, err := answering(503, "application/json", strings.NewReader(`{"error":"access_denied"}`)).PollDevice(t.Context(), "x")
	if f := mustFail(t, err); f.Kind != zoho.FailureThrottled {
		t.Errorf("a server in trouble says of the flow %v", err)
	}
}

func TestLookupLocation(t *testing.T) {
	for text, want := range map[string]string{
		"eu": "eu", "EU": "eu", " in ": "in", ".eu": "eu", "https://accounts.zoho.eu": "eu", "https://accounts.zoho.com.au/": "au",
		"": "", "europe": "", "https://accounts.zoho.eu.evil.example": "", "http://accounts.zoho.eu": "", "custom": "",
	} {
		if dc, ok := zoho.LookupLocation(text); dc.Code != want || ok != (want != "") {
			t.Errorf("%q is %q", text, dc.Code)
		}
	}
}

// scopeServer knows some scopes, and counts the questions.
func scopeServer(t *testing.T, asked *int, known ...string) *zoho.Accounts {
	return accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
		*asked++
		for scope := range strings.SplitSeq(r.FormValue("scope"), ",") {
			if !slices.Contains(known, scope) {
				fmt.Fprint(w, `{"error":"invalid_scope"}`)
				return
			}
		}
		fmt.Fprint(w, deviceReply(""))
	})
}

func TestUnknownScopes(t *testing.T) {
	asked := 0
	known := []string{"ZohoCRM.modules.ALL", "ZohoCRM.users.READ", "Desk.tickets.READ", "ZohoBooks.contacts.READ"}
	accounts := scopeServer(t, &asked, known...)
	for _, wrong := range [][]string{nil, {"ZohoCRM.module.ALL"}, {"ZohoCRM.module.ALL", "Desk.ticket.READ"}} {
		unknown, err := accounts.UnknownScopes(t.Context(), slices.Concat(known[:2], wrong, known[2:]))
		if err != nil || !slices.Equal(unknown, wrong) {
			t.Errorf("want %q: %q, %v", wrong, unknown, err)
		}
	}
	if unknown, err := accounts.UnknownScopes(t.Context(), nil); unknown != nil || err != nil {
		t.Errorf("%q, %v", unknown, err)
	}
	asked = 0
	if _, err := accounts.UnknownScopes(t.Context(), strings.Fields(strings.Repeat("ZohoCRM.x.ALL ", 500))); err == nil || asked > 60 {
		t.Errorf("%d questions, %v", asked, err)
	}
	_, err := answering(200, "", strings.NewReader(`{"error":"invalid_client"}`)).UnknownScopes(t.Context(), known)
	if !zoho.IsWrongClientType(err) {
		t.Errorf("a client that may not ask: %v", err)
	}
}

// TestNearestScope: what is proposed looks like the mistyped one, and exists.
func TestNearestScope(t *testing.T) {
	asked := 0
	accounts := scopeServer(t, &asked, "ZohoCRM.modules.ALL", "ZohoBooks.fullaccess.all", "Desk.tickets.READ", "Desk.basic.READ",
		"ZohoCRM.settings.READ", "ZohoCRM.modules.leads.READ", "AaaServer.profile.READ", "Own.thing.READ")
	for scope, want := range map[string]string{
		"ZohoCRM.module.ALL":        "ZohoCRM.modules.ALL",
		"ZohoCRM.modules.AL":        "ZohoCRM.modules.ALL",
		"zohocrm.modules.all":       "ZohoCRM.modules.ALL",
		"ZohoCRM.modules.lead.READ": "ZohoCRM.modules.leads.READ",
		"ZohoBooks.fullaccess.READ": "ZohoBooks.fullaccess.all",
		"ZohoDesk.tickets.READ":     "Desk.tickets.READ",
		"Desk.tickets.ALL":          "Desk.tickets.READ",
		"ZohoCRM.setting.READ":      "ZohoCRM.settings.READ",
		"aaaserver.profil.read":     "AaaServer.profile.READ",
		"Own.thing.REED":            "Own.thing.READ",
		"Nothing.like.any":          "",
		"":                          "",
		strings.Repeat("x", 1<<20):  "",
	} {
		asked = 0
		if got := accounts.NearestScope(t.Context(), scope); got != want || asked > 5 {
			t.Errorf("%.60s: %q after %d questions, want %q of %q", scope, got, asked, want, zoho.NearScopes(scope))
		}
	}
}

func TestOrgProducts(t *testing.T) {
	for scopes, want := range map[string]string{
		"ZohoCRM.modules.ALL Desk.tickets.READ ZohoCRM.users.READ AaaServer.profile.READ": "CRM, Desk",
		"PhoneBridge.call.log ZohoMarketingAutomation.lead.ALL zohobigin.modules.ALL":     "PhoneBridge, Marketing Automation, Bigin",
		"ZohoBooks.contacts.READ": "", "": "",
	} {
		if got := strings.Join(zoho.OrgProducts(strings.Fields(scopes)), ", "); got != want {
			t.Errorf("%s: %q, want %q", scopes, got, want)
		}
	}
}

// TestNearScopesOfTheService: a scope whose service exists is not said to be meant for another one.
func TestNearScopesOfTheService(t *testing.T) {
	for _, scope := range []string{"ZohoCRM.modules.ALL", "ZohoBooks.items.READ", "ZohoInvoice.bills.READ", "zohocrm.module.all", "ZohoFSM.module.ALL"} {
		service, _, _ := strings.Cut(scope, ".")
		for _, near := range zoho.NearScopes(scope) {
			if got, _, _ := strings.Cut(near, "."); !strings.EqualFold(got, service) {
				t.Errorf("%s: %s", scope, near)
			}
		}
	}
	if got := zoho.NearScopes("ZohoCRMM.modules.ALL"); len(got) == 0 || got[0] != "ZohoCRM.modules.ALL" {
		t.Errorf("a mistyped service: %q", got)
	}
}
