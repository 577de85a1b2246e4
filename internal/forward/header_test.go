package forward

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// TestTargetsArriveAsTheyCame: what goes into the request line is what came, short
// of the service's name and of an authtoken.
func TestTargetsArriveAsTheyCame(t *testing.T) {
	tests := []struct {
		received string
		strip    int
		want     string
	}{
		{"/crm/v8/Leads", 0, "/crm/v8/Leads"},
		{"/crm?", 0, "/crm?"},
		{"/crm?a&", 0, "/crm?a&"},
		{"/crm/a%2Fb%27,c+d(e)", 0, "/crm/a%2Fb%27,c+d(e)"},
		{`/crm/{}|"<>^` + "`é", 0, `/crm/{}|"<>^` + "`é"},
		{"//x", 0, "//x"},
		{"//x%2Fy?z", 0, "//x%2Fy?z"},
		{"http://www.zohoapis.com/crm/v8?x=%20", 0, "/crm/v8?x=%20"},
		{"http://www.zohoapis.com?x", 0, "/?x"},
		{"/desk/api/v1/tickets?a=1", 5, "/api/v1/tickets?a=1"},
		{"/desk", 5, "/"},
		{"/desk?x", 5, "/?x"},
		{"/desk//api", 5, "//api"},
		{"/crm/v2?authtoken=abc&scope=crmapi", 0, "/crm/v2?scope=crmapi"},
		{"/crm/v2?scope=crmapi&AuthToken=abc", 0, "/crm/v2?scope=crmapi"},
		{"/crm/v2?%61uthtoken=abc", 0, "/crm/v2"},
		{"/crm/v2?x=authtoken&&y", 0, "/crm/v2?x=authtoken&&y"},
	}
	for _, tt := range tests {
		var u url.URL
		BuildURL(&u, &zoho.Target{Scheme: "https", Host: "www.zohoapis.eu", Strip: tt.strip}, tt.received)
		if got := requestLine(u.RequestURI()); got != tt.want {
			t.Errorf("%s, cut by %d: got %s, want %s", tt.received, tt.strip, got, tt.want)
		}
	}
}

// requestLine undoes what net/http itself does: //x is printed with its scheme, which
// its HTTP/1 writer keeps and ours must not see for other targets.
func requestLine(target string) string {
	if len(target) > 6 && target[:6] == "https:" {
		return target[6:]
	}
	return target
}

// TestOnlyOneAuthorizationLeaves, S-06: what the app sent of its own stays here.
func TestOnlyOneAuthorizationLeaves(t *testing.T) {
	in := http.Header{
		"Authorization":     {"Zoho-oauthtoken stale", "Basic abc"},
		"Cookie":            {"iamcsr=1"},
		"Via":               {"1.1 Caddy"},
		"Forwarded":         {"for=10.0.0.1"},
		"X-Forwarded-For":   {"10.0.0.1"},
		"X-Forwarded-Host":  {"erp.internal"},
		"X-Forwarded-Proto": {"http"},
		"Zoho-Proxy-Key":    {"k"},
		"Orgid":             {"42"},
		"X-Zoho-Sdk":        {"php"},
	}
	out := Header(in, []string{"Zoho-oauthtoken live"}, []string{"X-Forwarded-Host"})
	want := http.Header{
		"Authorization":    {"Zoho-oauthtoken live"},
		"Orgid":            {"42"},
		"X-Zoho-Sdk":       {"php"},
		"X-Forwarded-Host": {"erp.internal"},
	}
	if len(out) != len(want) {
		t.Errorf("got %v", out)
	}
	for name, values := range want {
		if len(out[name]) != 1 || out[name][0] != values[0] {
			t.Errorf("%s: got %q, want %q", name, out[name], values)
		}
	}
	if in.Get("Authorization") != "Zoho-oauthtoken stale" {
		t.Error("the app's request was changed")
	}
}

// TestSpellings: a name that a server may read as one of those that stay here stays here as well, and
// no other does.
func TestSpellings(t *testing.T) {
	private := []string{
		"Authorization_", "AUTHORIZATION", "authorization", "Authorization-", "Cookie_", "Cookie2", "Via.", "Forwarded_",
		"X_forwarded_for", "X.Forwarded.Host", "x-forwarded-proto", "Proxy_authorization", "Zoho_proxy_account", "ZOHO.PROXY.KEY", "",
	}
	for _, name := range private {
		if !Private(name) || MayFollow(name) {
			t.Errorf("%q may leave", name)
		}
	}
	public := []string{
		"Authorization-Context", "Authority", "Cookies", "Viable", "Forwarded-By", "X-Forwarder", "X-Forwarded", "Proxy-Authorizations",
		"Zoho-Proxy", "Zoho-Proxied", "Zoho", "A", "X", "Z", "Orgid", "X-Zoho-Sdk", "Grpc-Status", "X-Amz-Checksum-Sha256",
	}
	for _, name := range public {
		if Private(name) || !MayFollow(name) {
			t.Errorf("%q stays here", name)
		}
	}
}

// TestUpgradeOffers: an offer that is not of WebSocket alone goes no further, and one of it does.
func TestUpgradeOffers(t *testing.T) {
	for offer, want := range map[string]bool{"websocket": true, "WebSocket": true, "h2c": false, "h2c,websocket": false} {
		in := http.Header{"Upgrade": strings.Split(offer, ","), "Connection": {"Upgrade"}}
		out := Header(in, nil, nil)
		if _, ok := out["Upgrade"]; ok != want || (out["Connection"] != nil) != want {
			t.Errorf("%s: %v", offer, out)
		}
	}
}

func TestAuthToken(t *testing.T) {
	for query, want := range map[string]string{
		"authtoken=k": "k", "a=1&AuthToken=k%20l&b": "k l", "%61uthtoken=k": "k", "xauthtoken=k": "", "a=authtoken": "", "": "", "authtoken": "",
	} {
		if got := AuthToken(query); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}
