package tests

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// tokenCalls is a token call as Zoho's SDKs and others send it: with the parameters in
// the query, in a form, and as multipart.
func tokenCalls(t *testing.T, parameters url.Values) map[string]func(c *proxy, path string, header ...string) answer {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name := range parameters {
		if err := form.WriteField(name, parameters.Get(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	multiparts := body.String()
	return map[string]func(*proxy, string, ...string) answer{
		"query": func(c *proxy, path string, header ...string) answer {
			return c.call(http.MethodPost, path+"?"+parameters.Encode(), nil, header...)
		},
		"form": func(c *proxy, path string, header ...string) answer {
			return c.call(http.MethodPost, path, strings.NewReader(parameters.Encode()), append(header, "Content-Type", "application/x-www-form-urlencoded")...)
		},
		"multipart": func(c *proxy, path string, header ...string) answer {
			return c.call(http.MethodPost, path, strings.NewReader(multiparts), append(header, "Content-Type", form.FormDataContentType())...)
		},
	}
}

// TestTokenCallsAreAnswered: an SDK that insists on OAuth gets a token that serves, and
// Zoho is asked nothing on its behalf.
func TestTokenCallsAreAnswered(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=answer_token_calls")
	c.secrets = append(c.secrets, "the-apps-own-secret")
	for grantType, refreshToken := range map[string]bool{"refresh_token": false, "client_credentials": false, "authorization_code": true} {
		for where, call := range tokenCalls(t, url.Values{"grant_type": {grantType}, "client_id": {"1000.ANY"}, "client_secret": {"the-apps-own-secret"}, "refresh_token": {"the-apps-own-secret"}, "code": {"x"}}) {
			a := call(c, "/oauth/v2/token")
			var reply struct {
				AccessToken  string `json:"access_token"`
				RefreshToken string `json:"refresh_token"`
				APIDomain    string `json:"api_domain"`
				TokenType    string `json:"token_type"`
				ExpiresIn    int    `json:"expires_in"`
			}
			a.decode(t, &reply)
			if a.StatusCode != http.StatusOK || a.problem() != "" || reply.AccessToken == "" || reply.TokenType != "Bearer" || reply.ExpiresIn != 3600 ||
				reply.APIDomain != c.url || (reply.RefreshToken != "") != refreshToken || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s in a %s: %s %s", grantType, where, a.Status, a.body)
			}
			wantTokenCalls(t, server, 0)
			if a, err := http.NewRequest(http.MethodGet, reply.APIDomain+"/crm/v8/Leads", nil); err != nil || a.URL.Host == "" {
				t.Errorf("api_domain %q is no origin", reply.APIDomain)
			}
		}
	}
	for _, path := range []string{"/oauth/v2/token/revoke", "/oauth/v2/revoke/token"} {
		for where, call := range tokenCalls(t, url.Values{"token": {"answered-by-caddy-zoho"}}) {
			if a := call(c, path); a.StatusCode != http.StatusOK || strings.TrimSpace(string(a.body)) != `{"status":"success"}` {
				t.Errorf("%s in a %s: %s %s", path, where, a.Status, a.body)
			}
		}
	}
	if n := server.Stats().Revocations + server.Stats().TokenRequests; n != 0 {
		t.Errorf("Zoho was asked %d times", n)
	}
	c.succeed(http.MethodGet, "/crm/v8/Leads", "", "Authorization", "Zoho-oauthtoken answered-by-caddy-zoho")
	wantTokenCalls(t, server, 1)
}

// TestTokenCallsThatAreNone: what Zoho would refuse is refused, and says nothing of what
// was sent.
func TestTokenCallsThatAreNone(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=answer_token_calls")
	c.secrets = append(c.secrets, "the-apps-own-secret")
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for name, a := range map[string]answer{
		"a GET":           c.get("/oauth/v2/token?grant_type=refresh_token&client_secret=the-apps-own-secret"),
		"no grant_type":   c.call(http.MethodPost, "/oauth/v2/token", strings.NewReader("client_secret=the-apps-own-secret"), form...),
		"another one":     c.call(http.MethodPost, "/oauth/v2/token?grant_type=password&client_secret=the-apps-own-secret", nil),
		"bad escapes":     c.call(http.MethodPost, "/oauth/v2/token", strings.NewReader("grant_type=%zz&client_secret=the-apps-own-secret%"), form...),
		"bad multipart":   c.call(http.MethodPost, "/oauth/v2/token", strings.NewReader("the-apps-own-secret"), "Content-Type", "multipart/form-data; boundary=x"),
		"no boundary":     c.call(http.MethodPost, "/oauth/v2/token", strings.NewReader("the-apps-own-secret"), "Content-Type", "multipart/form-data"),
		"a body too long": c.call(http.MethodPost, "/oauth/v2/token", strings.NewReader("grant_type=refresh_token&x="+strings.Repeat("x", 2<<20)), form...),
	} {
		if a.StatusCode != http.StatusBadRequest || a.problem() != "token-call" {
			t.Errorf("%s: %s %q %s", name, a.Status, a.problem(), a.body)
		}
		c.checkSecrets("the answer to "+name, a.body)
	}
	page := c.call(http.MethodPost, "/oauth/v2/token?grant_type=refresh_token", nil, "Origin", "https://evil.example")
	wantProblem(t, page, "browser-refused", http.StatusForbidden)
	wantTokenCalls(t, server, 0)
}

// TestTokenCallsOfAccountsHosts: an app that a hosts file leads here calls Zoho's names,
// and is told to go on with the API's.
func TestTokenCallsOfAccountsHosts(t *testing.T) {
	t.Parallel()
	c, server := startZoho(t, zohosim.GrantSpec{DataCenter: "eu"}, "ZOHO_PROXY_OPTIONS=answer_token_calls")
	for host, want := range map[string]string{"accounts.zoho.com": "http://www.zohoapis.eu", "accounts.zoho.eu:8080": "http://www.zohoapis.eu:8080", "erp.local": "http://erp.local"} {
		a := c.call(http.MethodPost, "/oauth/v2/token?grant_type=refresh_token", nil, "Host", host)
		if !strings.Contains(string(a.body), `"api_domain":"`+want+`"`) {
			t.Errorf("%s: %s %s", host, a.Status, a.body)
		}
	}
	wantProblem(t, c.call(http.MethodGet, "/oauth/v2/auth", nil, "Host", "accounts.zoho.com"), "target", http.StatusMisdirectedRequest)
	wantTokenCalls(t, server, 0)
}

// TestTokenCallsAreNotAnsweredUnlessAskedFor: by default they go nowhere.
func TestTokenCallsAreNotAnsweredUnlessAskedFor(t *testing.T) {
	t.Parallel()
	c, server := startZoho(t, zohosim.GrantSpec{})
	wantProblem(t, c.call(http.MethodPost, "/oauth/v2/token?grant_type=refresh_token", nil), "service-unknown", http.StatusNotFound)
	wantProblem(t, c.call(http.MethodPost, "/oauth/v2/token?grant_type=refresh_token", nil, "Host", "accounts.zoho.com"), "target", http.StatusMisdirectedRequest)
	wantTokenCalls(t, server, 0)
}

// What an app sends to prove itself stays out of the access log, which shows queries.
func TestTokenCallsAreNotLogged(t *testing.T) {
	t.Parallel()
	c, _, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=answer_token_calls")
	c.writeConfig(strings.Replace(oneClient, "zoho_proxy", "log\n\tzoho_proxy", 1))
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	c.secrets = append(c.secrets, "the-apps-own-secret")
	c.get("/crm/v8/Leads")
	for _, path := range []string{"/oauth/v2/token?grant_type=refresh_token&", "/oauth/v2/token/revoke?"} {
		if a := c.call(http.MethodPost, path+"client_secret=the-apps-own-secret", nil); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s", path, a.Status, a.body)
		}
	}
	c.stop()
	if log := c.output.String(); !strings.Contains(log, "/crm/v8/Leads") || strings.Contains(log, "the-apps-own-secret") {
		t.Error("the access log is empty, or holds the app's secret")
	}
}

// TRACE would bring the token back in its answer.
func TestTraceIsRefused(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	a := c.call(http.MethodTrace, "/crm/_echo", nil)
	wantProblem(t, a, "connect-unsupported", http.StatusMethodNotAllowed)
	wantTokenCalls(t, server, 0)
}
