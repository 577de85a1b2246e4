package zohosim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// webClient is a server-based application, to which scopes can be added.
func webClient(sim *zohosim.Server) {
	sim.AddClient(zohosim.Client{ID: clientID, Secret: secret, RedirectURIs: []string{callback}})
}

func enhanceToken(t *testing.T, sim http.Handler, accounts, refreshToken string) map[string]any {
	t.Helper()
	form := url.Values{
		"grant_type": {"update_scopes_token"}, "client_id": {clientID}, "client_secret": {secret},
		"refresh_token": {refreshToken},
	}
	res := do(sim, request("POST", accounts+"/oauth/v2/token/scopeenhance", form.Encode(),
		"Content-Type", "application/x-www-form-urlencoded"))
	wantStatus(t, res, 200)
	return decode(t, bodyOf(t, res))
}

func enhanceURL(accounts, token string, change ...string) string {
	q := url.Values{
		"response_type": {"update_scopes"}, "client_id": {clientID}, "redirect_uri": {callback},
		"scope": {"Desk.tickets.READ"}, "enhance_token": {token}, "logout": {"false"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		q.Set(change[i], change[i+1])
	}
	return accounts + "/oauth/v2/token/addextrascope?" + q.Encode()
}

func TestScopesAreAdded(t *testing.T) {
	for _, variant := range []string{"", "enhance-new-tokens"} {
		sim := newSim(zohosim.Options{})
		webClient(sim)
		if variant != "" {
			sim.Change(func(o *zohosim.Options) { o.Variants = []string{variant} })
		}
		refreshToken := sim.Grant(clientID, "", "", "ZohoCRM.modules.ALL")
		live := sim.AccessToken(refreshToken)
		admitted := func(token string) bool {
			return call(sim, "GET", "https://desk.zoho.com/api/v1/tickets", token, "").StatusCode < 300
		}
		if admitted(live) {
			t.Fatalf("%q: admitted before", variant)
		}
		reply := enhanceToken(t, sim, usAccounts, refreshToken)
		token, _ := reply["access_token"].(string)
		if token == "" || reply["token_type"] != "update_scope" || reply["expires_in"] != 600.0 {
			t.Fatalf("%q: got %v", variant, reply)
		}
		if admitted(token) {
			t.Error("an enhance token opens an API")
		}
		back := decide(t, sim, enhanceURL(usAccounts, token), "decision=accept")
		if back.RawQuery != "status=success&scope_enhanced=true" {
			t.Errorf("%q: came back with %q", variant, back.RawQuery)
		}
		if got, want := admitted(live), variant == ""; got != want {
			t.Errorf("%q: the live token is admitted: %t", variant, got)
		}
		if !admitted(sim.AccessToken(refreshToken)) {
			t.Errorf("%q: a new token is not admitted", variant)
		}
		if st := sim.Stats(); st.TokenRequests != 0 || st.Grants != 1 || st.Enhancements != 1 {
			t.Errorf("%q: got %+v", variant, st)
		}
		// It was good once.
		res := do(sim, request("POST", enhanceURL(usAccounts, token), "decision=accept",
			"Content-Type", "application/x-www-form-urlencoded"))
		if body := bodyOf(t, res); res.StatusCode != 400 || !strings.Contains(body, "Invalid Enhance Token") {
			t.Errorf("%q: once more: got %d %q", variant, res.StatusCode, body)
		}
	}
}

func TestScopesAreNotAdded(t *testing.T) {
	now := newClock()
	sim := newSim(zohosim.Options{Now: now.Now})
	refreshToken := sim.Grant(clientID, "", "", "ZohoCRM.modules.ALL")
	if reply := enhanceToken(t, sim, usAccounts, refreshToken); reply["error"] != "invalid_client" {
		t.Errorf("a self client: got %v", reply)
	}
	webClient(sim)
	if reply := enhanceToken(t, sim, usAccounts, "1000.unknown.token"); reply["error"] != "invalid_code" {
		t.Errorf("an unknown grant: got %v", reply)
	}
	if reply := enhanceToken(t, sim, "https://accounts.zoho.eu", refreshToken); reply["error"] != "invalid_code" {
		t.Errorf("at another data center: got %v", reply)
	}
	token, _ := enhanceToken(t, sim, usAccounts, refreshToken)["access_token"].(string)
	if back := decide(t, sim, enhanceURL(usAccounts, token), "decision=reject"); back.RawQuery != "error=access_denied" {
		t.Errorf("rejected: got %q", back.RawQuery)
	}
	for want, change := range map[string][]string{
		"Invalid Redirect Uri":  {"redirect_uri", callback + "/once"},
		"Invalid Response Type": {"response_type", "code"},
		"Invalid Client":        {"client_id", "1000.NOBODY"},
		"Invalid OAuth Scope":   {"scope", ""},
		"Invalid Request":       {"logout", ""},
		"User Mismatch":         {"user", "ben@example.com"},
		"Invalid Enhance Token": {"enhance_token", "1000.a.b"},
	} {
		res := do(sim, request("POST", enhanceURL(usAccounts, token, change...), "decision=accept",
			"Content-Type", "application/x-www-form-urlencoded"))
		if body := bodyOf(t, res); res.StatusCode != 400 || !strings.Contains(body, "<h1>"+want+"</h1>") {
			t.Errorf("%v: got %d %q", change, res.StatusCode, body)
		}
	}
	now.Advance(10 * time.Minute)
	res := do(sim, request("POST", enhanceURL(usAccounts, token), "decision=accept",
		"Content-Type", "application/x-www-form-urlencoded"))
	if body := bodyOf(t, res); !strings.Contains(body, "Invalid Enhance Token") {
		t.Errorf("after ten minutes: got %q", body)
	}
}

// Organizations consent at a page of their own, and their codes live for a minute.
func TestOrganizationConsent(t *testing.T) {
	now := newClock()
	sim := newSim(zohosim.Options{Consent: zohosim.ConsentAuto, Now: now.Now})
	sim.AddClient(zohosim.Client{ID: clientID, Secret: secret, Org: true, RedirectURIs: []string{callback}})
	org := func(soid, scope string) string {
		u := strings.Replace(authURL(usAccounts, "scope", scope), "/oauth/v2/auth?", "/oauth/v2/org/auth?", 1)
		return u + "&soid=" + soid
	}
	for _, target := range []string{
		authURL(usAccounts), org("", "ZohoPay.payments.CREATE"), org("zohopay.", "ZohoPay.payments.CREATE"),
		org("ZohoCRM.1", "ZohoPay.payments.CREATE"), org("zohopay.1", "ZohoPaySandbox.payments.CREATE"),
		org("zohopaysandbox.1", "ZohoPay.payments.CREATE"),
	} {
		if res := do(sim, request("GET", target, "")); res.StatusCode != 400 {
			t.Errorf("%s: got %d", target, res.StatusCode)
		}
	}
	for soid, scope := range map[string]string{"zohopay.77": "ZohoPay.payments.CREATE", "zohopaysandbox.78": "ZohoPaySandbox.payments.READ"} {
		code := location(t, do(sim, request("GET", org(soid, scope), ""))).Query().Get("code")
		if reply := exchange(t, sim, usAccounts, code); reply["refresh_token"] == nil || reply["scope"] != scope {
			t.Errorf("%s: got %v", soid, reply)
		}
	}
	code := location(t, do(sim, request("GET", org("zohopay.77", "ZohoPay.payments.CREATE"), ""))).Query().Get("code")
	now.Advance(time.Minute)
	if reply := exchange(t, sim, usAccounts, code); reply["error"] != "invalid_code" {
		t.Errorf("after a minute: got %v", reply)
	}
	sim.AddClient(zohosim.Client{ID: clientID, Secret: secret})
	if res := do(sim, request("GET", org("zohopay.77", "ZohoPay.payments.CREATE"), "")); res.StatusCode != 400 {
		t.Errorf("another type of client: got %d", res.StatusCode)
	}
}
