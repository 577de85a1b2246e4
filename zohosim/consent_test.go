package zohosim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

func authURL(accounts string, change ...string) string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {callback},
		"scope": {"ZohoCRM.modules.ALL,Desk.tickets.READ"}, "access_type": {"offline"}, "prompt": {"consent"}, "state": {"s t&te"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		q.Set(change[i], change[i+1])
	}
	return accounts + "/oauth/v2/auth?" + q.Encode()
}

// location gives where an answer sends the browser.
func location(t *testing.T, res *http.Response) *url.URL {
	t.Helper()
	wantStatus(t, res, 302)
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func decide(t *testing.T, sim http.Handler, target, form string) *url.URL {
	t.Helper()
	return location(t, do(sim, request("POST", target, form, "Content-Type", "application/x-www-form-urlencoded")))
}

func exchange(t *testing.T, sim http.Handler, accounts, code string) map[string]any {
	t.Helper()
	return tokenReply(t, sim, accounts, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback},
		"client_id": {clientID}, "client_secret": {secret},
	})
}

func TestConsentPage(t *testing.T) {
	sim := newSim(zohosim.Options{})
	target := authURL(usAccounts)
	res := do(sim, request("GET", target, ""))
	wantStatus(t, res, 200)
	page := bodyOf(t, res)
	for _, want := range []string{clientID, "ZohoCRM.modules.ALL", "Desk.tickets.READ", `value="accept"`,
		`value="reject"`, "user@example.com"} {
		if !strings.Contains(page, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	back := decide(t, sim, target, "decision=accept&user=ann%40example.com")
	if !strings.HasSuffix(back.RawQuery, "&location=us&accounts-server=https%3A%2F%2Faccounts.zoho.com&") {
		t.Errorf("callback query: got %q, want location, encoded accounts-server and an ampersand at the end",
			back.RawQuery)
	}
	if got := back.Query().Get("state"); got != "s t&te" {
		t.Errorf("state: got %q", got)
	}
	reply := exchange(t, sim, usAccounts, back.Query().Get("code"))
	if reply["refresh_token"] == nil || reply["scope"] != "ZohoCRM.modules.ALL Desk.tickets.READ" {
		t.Fatalf("exchange: got %v", reply)
	}
	if reply := exchange(t, sim, usAccounts, back.Query().Get("code")); reply["error"] != "invalid_code" {
		t.Errorf("second exchange: got %v, want invalid_code", reply)
	}
	res = call(sim, "GET", "https://www.zohoapis.com/crm/v8/Leads", reply["access_token"].(string), "")
	if got := res.Header.Get("X-Sim-User"); got != "ann@example.com" {
		t.Errorf("user: got %q", got)
	}
}

func TestDenial(t *testing.T) {
	sim := newSim(zohosim.Options{})
	back := decide(t, sim, authURL(usAccounts), "decision=reject")
	if q := back.Query(); q.Get("error") != "access_denied" || q.Get("state") != "s t&te" || q.Get("code") != "" {
		t.Errorf("rejected: got %q", back.RawQuery)
	}
	sim.Change(func(o *zohosim.Options) { o.Consent, o.BareDenial = zohosim.ConsentDeny, true })
	back = location(t, do(sim, request("GET", authURL(usAccounts), "")))
	if back.RawQuery != "error=access_denied" {
		t.Errorf("denied: got %q", back.RawQuery)
	}
}

// What is wrong with the request itself is shown to the browser; it never reaches the callback.
func TestAuthorizationErrors(t *testing.T) {
	sim := newSim(zohosim.Options{Consent: zohosim.ConsentAuto})
	sim.AddClient(zohosim.Client{ID: "1000.STRICT", RedirectURIs: []string{callback}, DataCenters: []string{"us"}})
	for _, tt := range []struct {
		name, accounts string
		change         []string
		want           string
	}{
		{"unknown client", usAccounts, []string{"client_id", "1000.NOBODY"}, "Invalid Client"},
		{"data center not enabled", "https://accounts.zoho.eu", []string{"client_id", "1000.STRICT"}, "Invalid Client"},
		{"redirect URI not registered", usAccounts, []string{"client_id", "1000.STRICT", "redirect_uri", callback + "/"}, "Invalid Redirect Uri"},
		{"redirect URI without scheme", usAccounts, []string{"redirect_uri", "app"}, "Invalid Redirect Uri"},
		{"response type", usAccounts, []string{"response_type", "token"}, "Invalid Response Type"},
		{"no scope", usAccounts, []string{"scope", ""}, "Invalid OAuth Scope"},
		{"half a scope", usAccounts, []string{"scope", "ZohoCRM"}, "Invalid OAuth Scope"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := do(sim, request("GET", authURL(tt.accounts, tt.change...), ""))
			body := bodyOf(t, res)
			if res.StatusCode != 400 || !strings.Contains(body, "<h1>"+tt.want+"</h1>") ||
				res.Header.Get("Location") != "" {
				t.Errorf("got %d %q, want a page that says %s", res.StatusCode, body, tt.want)
			}
		})
	}
}

// A consent that begins at home may lead into another data center, and must be exchanged there.
func TestConsentInAnotherDataCenter(t *testing.T) {
	sim := newSim(zohosim.Options{Consent: zohosim.ConsentAuto, UserDataCenter: "eu"})
	sim.AddClient(zohosim.Client{ID: clientID, Secret: secret, Secrets: map[string]string{"eu": "europe"}})
	back := location(t, do(sim, request("GET", authURL(usAccounts), "")))
	q := back.Query()
	if q.Get("location") != "eu" || q.Get("accounts-server") != "https://accounts.zoho.eu" {
		t.Fatalf("callback: got %q", back.RawQuery)
	}
	if reply := exchange(t, sim, usAccounts, q.Get("code")); reply["error"] != "invalid_code" {
		t.Errorf("exchange at home: got %v, want invalid_code", reply)
	}
	if reply := exchange(t, sim, "https://accounts.zoho.eu", q.Get("code")); reply["error"] != "invalid_client_secret" {
		t.Errorf("exchange with home's secret: got %v", reply)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {callback},
		"client_id": {clientID}, "client_secret": {"europe"}}
	reply := tokenReply(t, sim, "https://accounts.zoho.eu", form)
	if reply["api_domain"] != "https://www.zohoapis.eu" {
		t.Fatalf("exchange: got %v", reply)
	}
	access := reply["access_token"].(string)
	wantStatus(t, call(sim, "GET", "https://www.zohoapis.eu/crm/v8/Leads", access, ""), 204)
	wantStatus(t, call(sim, "GET", "https://www.zohoapis.com/crm/v8/Leads", access, ""), 401)
	back = location(t, do(sim, request("GET", authURL("https://accounts.zoho.com.cn"), "")))
	if got := back.Query().Get("location"); got != "cn" {
		t.Errorf("from China: got %q, want it to stay there", got)
	}
}

func TestConsentAtOneOrigin(t *testing.T) {
	sim := newSim(zohosim.Options{Consent: zohosim.ConsentAuto, UserDataCenter: "eu", DataCenter: "in"})
	back := location(t, do(sim, request("GET", authURL("http://127.0.0.1:8900"), "")))
	if !strings.HasSuffix(back.RawQuery, "&location=in&accounts-server=http%3A%2F%2F127.0.0.1%3A8900&") {
		t.Errorf("callback: got %q", back.RawQuery)
	}
	if reply := exchange(t, sim, "http://127.0.0.1:8900", back.Query().Get("code")); reply["refresh_token"] == nil {
		t.Errorf("exchange: got %v", reply)
	}
}

// Only offline access gives a refresh token, and without prompt=consent only the first time.
func TestWhenThereIsNoRefreshToken(t *testing.T) {
	sim := newSim(zohosim.Options{Consent: zohosim.ConsentAuto})
	for _, tt := range []struct {
		name   string
		change []string
		want   bool
	}{
		{"online", []string{"access_type", ""}, false},
		{"first time", []string{"prompt", ""}, true},
		{"again", []string{"prompt", ""}, false},
		{"again, with consent", nil, true},
	} {
		back := location(t, do(sim, request("GET", authURL(usAccounts, tt.change...), "")))
		reply := exchange(t, sim, usAccounts, back.Query().Get("code"))
		if got := reply["refresh_token"] != nil; got != tt.want || reply["access_token"] == nil {
			t.Errorf("%s: got %v, want a refresh token: %v", tt.name, reply, tt.want)
		}
	}
	sim.Change(func(o *zohosim.Options) { o.Consent = zohosim.ConsentPage })
	location(t, do(sim, request("GET", authURL(usAccounts, "prompt", ""), ""))) // nobody is asked twice
}

func TestCodes(t *testing.T) {
	clock := newClock()
	sim := newSim(zohosim.Options{Consent: zohosim.ConsentAuto, Now: clock.Now})
	code := location(t, do(sim, request("GET", authURL(usAccounts), ""))).Query().Get("code")
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {clientID},
		"client_secret": {secret}, "redirect_uri": {callback + "x"}}
	if reply := tokenReply(t, sim, usAccounts, form); reply["error"] != "invalid_redirect_uri" {
		t.Errorf("other redirect URI: got %v", reply)
	}
	clock.Advance(2 * time.Minute)
	if reply := exchange(t, sim, usAccounts, code); reply["error"] != "invalid_code" {
		t.Errorf("after two minutes: got %v, want invalid_code", reply)
	}
	for i := range 12 {
		back := location(t, do(sim, request("GET", authURL(usAccounts), "")))
		if got, want := back.Query().Get("error") != "", i >= 9; got != want {
			t.Errorf("consent %d: got %q", i+2, back.RawQuery)
		}
	}
	clock.Advance(10 * time.Minute)
	if back := location(t, do(sim, request("GET", authURL(usAccounts), ""))); back.Query().Get("code") == "" {
		t.Errorf("after ten minutes: got %q", back.RawQuery)
	}
	if got := sim.Stats().Authorizations; got != 14 {
		t.Errorf("authorizations: got %d, want 14", got)
	}
}

func TestRedirectURIWithQuery(t *testing.T) {
	sim := newSim(zohosim.Options{Consent: zohosim.ConsentAuto})
	back := location(t, do(sim, request("GET", authURL(usAccounts, "redirect_uri", callback+"?app=1"), "")))
	if !strings.HasPrefix(back.RawQuery, "app=1&state=") {
		t.Errorf("callback: got %q", back.RawQuery)
	}
}
