// Who has consented: the one path of the accounts server that apps are let through to.

package tests

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestProfile: an SDK that asks who is connected, right after its token call, is told; with the
// proxy's token, by host and by path, in the connection's data center.
func TestProfile(t *testing.T) {
	t.Parallel()
	scopes := []string{"ZohoCRM.modules.ALL", "AaaServer.profile.READ"}
	c, server := startZoho(t, zohosim.GrantSpec{DataCenter: "eu", Scopes: scopes}, "ZOHO_PROXY_OPTIONS=answer_token_calls")
	token := c.call(http.MethodPost, "/oauth/v2/token", strings.NewReader("grant_type=refresh_token"),
		"Content-Type", "application/x-www-form-urlencoded", "Host", "accounts.zoho.com")
	var reply struct {
		AccessToken string `json:"access_token"`
	}
	token.decode(t, &reply)
	for _, host := range []string{"accounts.zoho.com", "accounts.zoho.eu", ""} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			header := []string{"Authorization", "Zoho-oauthtoken " + reply.AccessToken}
			if host != "" {
				header = append(header, "Host", host)
			}
			a := c.call(method, "/oauth/user/info?", nil, header...)
			if a.StatusCode != http.StatusOK || method == http.MethodGet && !strings.Contains(string(a.body), `"Email"`) {
				t.Errorf("%s, host %q: %s %s", method, host, a.Status, a.body)
			}
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		wantProblem(t, c.call(method, "/oauth/user/info", nil), "service-unknown", http.StatusNotFound)
	}
	if n := c.metric("zoho_requests_total", "service", "profile"); n != 6 {
		t.Errorf("%v requests counted", n)
	}
	if stats := server.Stats(); stats.TokenRequests != 1 {
		t.Errorf("%d token requests", stats.TokenRequests)
	}
}

// TestProfileWithoutItsScope: no renewal would help, and the app is told why.
func TestProfileWithoutItsScope(t *testing.T) {
	t.Parallel()
	c, server := startZoho(t, zohosim.GrantSpec{Scopes: []string{"ZohoCRM.modules.ALL"}})
	a := c.get("/oauth/user/info")
	if a.StatusCode != http.StatusUnauthorized || a.Header.Get("Zoho-Proxy-Verdict") != "scope" || !strings.Contains(string(a.body), "INVALID_OAUTHSCOPE") {
		t.Errorf("%s %v %s", a.Status, a.Header, a.body)
	}
	if stats := server.Stats(); stats.TokenRequests != 1 {
		t.Errorf("%d token requests", stats.TokenRequests)
	}
}

// TestProfileIsBound: services and policies hold for it as for any other.
func TestProfileIsBound(t *testing.T) {
	t.Parallel()
	const refused, admitted = http.StatusForbidden, http.StatusOK
	for options, want := range map[string]int{
		"services crm":                                  http.StatusNotFound,
		"services crm profile":                          admitted,
		"policy p {\nservices profile\n}":               admitted,
		"policy p {\nservices crm\n}":                   refused,
		"policy p {\npaths /oauth/user/info\n}":         admitted,
		"policy p {\npaths /crm/*\n}":                   refused,
		"policy p {\nservices profile\nmethods POST\n}": refused,
	} {
		c, _ := startZoho(t, zohosim.GrantSpec{Scopes: []string{"AaaServer.profile.READ"}}, "ZOHO_PROXY_OPTIONS="+options)
		for _, host := range []string{"127.0.0.1", "accounts.zoho.com"} {
			if a := c.get("/oauth/user/info", "Host", host); a.StatusCode != want {
				t.Errorf("%s, host %s: %s %s", options, host, a.Status, a.body)
			}
		}
		c.stop()
	}
}
