// Where a request may go: to the connection's own Zoho, in its environment, by TLS, and nowhere
// else, whatever stands around zoho_proxy in a Caddyfile.

package tests

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestSandboxFromTheFirstCall: the token's api_domain decides, also for the call that
// has the token fetched, and after a restart.
func TestSandboxFromTheFirstCall(t *testing.T) {
	t.Parallel()
	c, server := startZoho(t, zohosim.GrantSpec{Environment: "sandbox"})
	for range 2 {
		if a := c.get("/crm/v8/Leads"); a.StatusCode >= 300 || a.Header.Get("Zoho-Proxy-Verdict") != "" {
			t.Errorf("%s %v %s", a.Status, a.Header, a.body)
		}
		c.stop()
		c.start()
	}
	if stats := server.Stats(); stats.TokenRequests != 1 || stats.Refusals["crm/dead"] != 0 {
		t.Errorf("%d token requests, refusals %v", stats.TokenRequests, stats.Refusals)
	}
}

// TestPlainHTTP is S-03: a token does not travel in clear, except on this machine.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	c := newCaddy(t, oneClient, "ZOHO_REFRESH_TOKEN=1000.0123456789abcdef")
	for _, test := range []struct{ center, options string }{
		{"http://accounts.example.com https://api.example.com", ""}, {"https://accounts.example.com http://api.example.com", ""},
		{"http://10.0.0.1 http://10.0.0.1", ""}, {"http://localhost.example.com https://x.example", ""}, {"http://127.0.0.1.example.com https://x.example", ""},
		{"us", "upstream http://api.example.com"}, {"us", "upstream http://10.0.0.1:8080"}, {"us", "upstream http://[fe80::1]"},
		{"us", "upstream ftp://localhost"}, {"us", "upstream http://localhost@api.example.com"},
	} {
		c.setenv("ZOHO_DATA_CENTER="+test.center, "ZOHO_PROXY_OPTIONS="+test.options)
		if _, stderr, code := c.run("validate", "--config", c.config, "--adapter", "caddyfile"); code != 1 {
			t.Errorf("%s, %s: exit code %d\n%s", test.center, test.options, code, stderr)
		}
	}
}

// loadJSON loads a configuration in JSON through the admin endpoint, and waits until it alone
// serves.
func (c *proxy) loadJSON(config string) error {
	c.t.Helper()
	if a := c.adminCall(http.MethodPost, "/load", config, "Content-Type", "application/json"); a.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", a.Status, a.body)
	}
	c.settled()
	return nil
}

// TestForeignReverseProxy is the other half of S-03: our transport sends nothing where
// our handler has not decided, and our handler gives a stock reverse_proxy no token.
func TestForeignReverseProxy(t *testing.T) {
	t.Parallel()
	r := startRecorder(t)
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	adapted, _, _ := c.run("adapt", "--config", c.config, "--adapter", "caddyfile")
	stock := `"handler":"reverse_proxy","transport":{"protocol":"http"},"upstreams":[{"dial":"` + r.addr + `"}]`
	static := `"handler":"reverse_proxy","transport":{"protocol":"zoho"},"upstreams":[{"dial":"` + r.addr + `"}]`
	proxied := regexp.MustCompile(`"dynamic_upstreams":\{"source":"zoho"\},"handler":"reverse_proxy","transport":\{[^{}]*(\{[^{}]*\}[^{}]*)*\}`)
	ours := proxied.FindString(adapted)
	handler := `{"client":"main","handler":"zoho"},`
	if ours == "" || !strings.Contains(adapted, handler) {
		t.Fatalf("another form than expected: %s", adapted)
	}
	tests := []struct {
		name, config string
		arrive       bool
	}{
		{"handler and stock reverse_proxy", strings.Replace(adapted, ours, stock, 1), true},
		{"handler and fixed upstream", strings.Replace(adapted, ours, static, 1), false},
		{"fixed upstream without handler", strings.Replace(strings.Replace(adapted, ours, static, 1), handler, "", 1), false},
		{"no handler at all", strings.Replace(adapted, handler, "", 1), false},
	}
	c.start()
	for _, test := range tests {
		if err := c.loadJSON(test.config); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		a := c.get("/crm/v8/Leads")
		arrived := r.take() // more than one request, if the client has repeated its call
		if (len(arrived) > 0) != test.arrive || !test.arrive && a.StatusCode < 500 {
			t.Errorf("%s: %s, %d requests arrived", test.name, a.Status, len(arrived))
		}
		for _, request := range arrived {
			if v := request.values("Authorization"); v != nil {
				t.Errorf("%s: Authorization %.20q arrived", test.name, v)
			}
		}
	}
}

// TestRewriteInJSON: reverse_proxy may be told in JSON to rewrite what our handler has
// routed; the request still ends at the service's host.
func TestRewriteInJSON(t *testing.T) {
	t.Parallel()
	c, server := startZoho(t, zohosim.GrantSpec{})
	adapted, _, _ := c.run("adapt", "--config", c.config, "--adapter", "caddyfile")
	const proxied = `"handler":"reverse_proxy",`
	for _, uri := range []string{"/", "/x", "/desk", "*"} {
		changed := strings.Replace(adapted, proxied, proxied+`"rewrite":{"uri":"`+uri+`"},`, 1)
		if err := c.loadJSON(changed); err != nil || changed == adapted {
			t.Fatalf("%v\n%s", err, changed)
		}
		before := server.Stats().APIRequests["desk"]
		if a := c.get("/desk/api/v1/tickets"); !fromZohoOrUs(a) {
			t.Errorf("%s: %s %v %s", uri, a.Status, a.Header, a.body)
		}
		if server.Stats().APIRequests["desk"] == before {
			t.Errorf("%s: the request did not come to Desk", uri)
		}
	}
}

// TestBadCertificates is S-04: who cannot prove to be the server sees no request.
func TestBadCertificates(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	certificates := map[string]tls.Certificate{
		"wrong name":    ca.issue(t, later, "www.zohoapis.com"),
		"expired":       ca.issue(t, time.Now().Add(-time.Hour), "localhost"),
		"not trusted":   stranger.issue(t, later, "localhost"),
		"wrong address": ca.issue(t, later, "127.0.0.1"),
	}
	for name, cert := range certificates {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := startTLS(t, cert)
			_, baseURL, grant := sim(t, zohosim.Options{})
			for _, center := range []struct{ urls, options string }{
				{baseURL + " " + bad.url, ""}, {baseURL + " " + baseURL, "upstream " + bad.url}, {bad.url + " " + baseURL, ""},
			} {
				before := bad.connections()
				c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+center.urls, "ZOHO_REFRESH_TOKEN="+grant,
					"ZOHO_CLIENT_OPTIONS=trusted_ca "+ca.file(t), "ZOHO_PROXY_OPTIONS="+center.options)
				accounts := strings.HasPrefix(center.urls, bad.url)
				for range 10 {
					a := c.get("/crm/v8/Leads")
					if accounts && a.problem() != "accounts-unreachable" || !accounts && a.StatusCode != http.StatusBadGateway {
						t.Errorf("%s: %s %s", center.urls, a.Status, a.body)
					}
				}
				// Of 10 calls each tries once; at the authorization server fewer do.
				if n := bad.connections() - before; n < 1 || n > 10 {
					t.Errorf("%s: %d connections for 10 calls", center.urls, n)
				}
				if n := bad.spoken(); n != 0 {
					t.Errorf("%s: something arrived on %d connections", center.urls, n)
				}
				c.stop() // and with it, the log is complete
				if !strings.Contains(c.output.String(), "x509: ") {
					t.Errorf("%s: the log does not say why", center.urls)
				}
			}
		})
	}
	t.Run("good", func(t *testing.T) {
		t.Parallel()
		good := startTLS(t, ca.issue(t, later, "localhost"))
		_, baseURL, grant := sim(t, zohosim.Options{})
		c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+good.url, "ZOHO_REFRESH_TOKEN="+grant, "ZOHO_CLIENT_OPTIONS=trusted_ca "+ca.file(t))
		if a := c.get("/crm/v8/Leads"); a.StatusCode != http.StatusOK {
			t.Errorf("%s %s", a.Status, a.body)
		}
		good.one(t).checkToken(t)
	})
}

// startTLS is a recorder behind TLS.
func startTLS(t *testing.T, cert tls.Certificate) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := record(t, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}))
	r.url = strings.Replace(r.url, "http://127.0.0.1", "https://localhost", 1)
	return r
}

// TestVerificationStaysOn is the rest of S-04: no option turns it off.
func TestVerificationStaysOn(t *testing.T) {
	t.Parallel()
	c := newCaddy(t, oneClient, "ZOHO_DATA_CENTER=us", "ZOHO_REFRESH_TOKEN=1000.0123456789abcdef")
	adapted, _, _ := c.run("adapt", "--config", c.config, "--adapter", "caddyfile")
	for _, options := range []string{"tls_insecure_skip_verify", "transport http {\ntls_insecure_skip_verify\n}", "transport http {\ntls\n}", "transport http {\ntls_server_name x\n}"} {
		c.setenv("ZOHO_PROXY_OPTIONS=" + options)
		if _, stderr, code := c.run("validate", "--config", c.config, "--adapter", "caddyfile"); code != 1 || !strings.Contains(stderr, "verif") && !strings.Contains(stderr, "TLS") && !strings.Contains(stderr, "certificate") {
			t.Errorf("%q: exit code %d\n%s", options, code, stderr)
		}
	}
	path := filepath.Join(c.dir, "config.json")
	for _, option := range []string{`"tls":{"insecure_skip_verify":true}`, `"tls":{}`, `"network_proxy":{"from":"url","url":"http://127.0.0.1:1"}`, `"forward_proxy_url":"http://127.0.0.1:1"`} {
		changed := strings.Replace(adapted, `"protocol":"zoho"`, `"protocol":"zoho",`+option, 1)
		if err := os.WriteFile(path, []byte(changed), 0o600); err != nil || changed == adapted {
			t.Fatal(err)
		}
		if _, stderr, code := c.run("validate", "--config", path); code != 1 || !strings.Contains(stderr, "zoho: transport: ") {
			t.Errorf("%s: exit code %d\n%s", option, code, stderr)
		}
	}
}

// TestRedirects is S-05: those of the API are the app's business, those of the
// authorization server are an error; neither is followed.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		foreign := startRecorder(t)
		c, server, _ := startSimulated(t, zohosim.Options{})
		server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultRedirect, Status: status, Body: foreign.url + "/crm/v8/Leads"})
		for _, method := range []string{"GET", "POST"} {
			a := c.call(method, "/crm/v8/Leads", strings.NewReader(`{}`))
			if a.StatusCode != status || a.Header.Get("Location") != foreign.url+"/crm/v8/Leads" || a.problem() != "" {
				t.Errorf("%d: %s %v", status, a.Status, a.Header)
			}
		}
		server.ClearFaults("crm")
		server.RevokeAccess("")
		server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultRedirect, Status: status, Body: foreign.url + "/oauth/v2/token"})
		if a := c.get("/crm/v8/Leads"); a.problem() != "accounts-unreachable" || a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%d of the authorization server: %s %s", status, a.Status, a.body)
		}
		if n := foreign.connections(); n != 0 {
			t.Errorf("%d was followed: %v", status, foreign.take())
		}
	}
}

// TestRoutesInFront: what Caddyfiles put in front of zoho_proxy works as documented.
func TestRoutesInFront(t *testing.T) {
	t.Parallel()
	config := strings.Replace(oneClient, "zoho_proxy {\n\t\t{$ZOHO_PROXY_OPTIONS}\n\t}", `
	handle_path /zoho/* {
		zoho_proxy
	}
	handle /crm/* {
		zoho_proxy
	}
	handle /desk/* {
		route {
			zoho_proxy
		}
	}
	handle_path /only/* {
		zoho_proxy {
			services books
		}
	}
	@old path /v8/*
	handle @old {
		rewrite * /crm{uri}
		zoho_proxy
	}
	handle /rewritten {
		rewrite * /crm/_echo?a=1,2&b
		zoho_proxy
	}
	@reading method GET HEAD
	handle /books/* {
		route {
			zoho_proxy @reading
			respond "writing is off" 405
		}
	}
	handle_path /any/* {
		zoho_proxy {
			any_data_center
		}
	}
	handle {
		respond "nothing here" 404
	}
`, 1)
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	tests := []struct {
		method, path string
		header       []string
		want         string // URI at Zoho, problem, or text
	}{
		{"GET", "/zoho/crm/_echo?a,b&", nil, "/crm/_echo?a,b&"},
		{"GET", "/zoho/desk/api/_echo/x%2Fy?a=//&b={}", nil, "/desk/api/_echo/x%2Fy?a=//&b={}"},
		{"GET", "/zoho/desk/api/_echo//x", nil, "/desk/api/_echo/x"}, // handle_path merges slashes
		{"GET", "/zoho/", nil, "service-unknown"},
		{"GET", "/zoho/crm/_echo", []string{"Host", "crm.zoho.com"}, "/crm/_echo"},
		{"GET", "/crm/_echo", nil, "/crm/_echo"},
		{"GET", "/desk/_echo", nil, "/desk/_echo"},
		{"GET", "/only/books/_echo", nil, "/books/_echo"},
		{"GET", "/only/crm/_echo", nil, "service-unknown"},
		{"GET", "/only/crm/_echo", []string{"Host", "www.zohoapis.com"}, "service-unknown"},
		{"GET", "/only/_echo", []string{"Host", "desk.zoho.com"}, "service-unknown"},
		{"GET", "/v8/_echo?x=%2F", nil, "/crm/v8/_echo?x=%2F"},
		{"GET", "/rewritten", nil, "/crm/_echo?a=1,2&b"},
		{"GET", "/books/_echo", nil, "/books/_echo"},
		{"POST", "/books/_echo", nil, "writing is off"},
		{"GET", "/any/crm/_echo", []string{"Host", "www.zohoapis.eu"}, "/crm/_echo"},
		{"GET", "/any/crm/_echo", []string{"Host", "WWW.zohoapis.in:443"}, "/crm/_echo"},
		{"GET", "/zoho/crm/_echo", []string{"Host", "www.zohoapis.eu"}, "data-center"},
		{"GET", "/elsewhere", nil, "nothing here"},
	}
	for _, test := range tests {
		a := c.send(t, test.method+" "+test.path+" HTTP/1.1\r\nHost: "+hostIn(test.header)+"\r\nContent-Length: 0\r\n\r\n")
		var echo struct{ URI string }
		_ = json.Unmarshal(a.body, &echo)
		got := echo.URI
		if got == "" {
			got = a.problem()
		}
		if got == "" {
			got = string(a.body)
		}
		if got != test.want {
			t.Errorf("%s %s %v: got %s %q, want %q", test.method, test.path, test.header, a.Status, got, test.want)
		}
	}
}

func hostIn(header []string) string {
	if len(header) == 2 {
		return header[1]
	}
	return "x"
}

// TestTwoClients: each route uses its own client, and an account that the caller names.
func TestTwoClients(t *testing.T) {
	t.Parallel()
	const config = `{
	zoho {
		store bolt {$ZOHO_STORE}
		client sales {
			data_center   {$SALES}
			client_id     {env.ZOHO_CLIENT_ID}
			client_secret {env.ZOHO_CLIENT_SECRET}
			refresh_token {env.SALES_REFRESH_TOKEN}
			account north {
				refresh_token {env.NORTH_REFRESH_TOKEN}
			}
		}
		client support {
			data_center   {$SUPPORT}
			client_id     {env.ZOHO_CLIENT_ID}
			client_secret {env.ZOHO_CLIENT_SECRET}
			refresh_token {env.SUPPORT_REFRESH_TOKEN}
		}
	}
}
http://:{$ZOHO_PORT} {
	bind 127.0.0.1
	handle_path /sales/* {
		zoho_proxy sales
	}
	handle_path /north/* {
		zoho_proxy sales {
			account north
		}
	}
	handle_path /support/* {
		zoho_proxy support
	}
	handle_path /pick/* {
		zoho_proxy sales {
			account {http.request.header.Zoho-Proxy-Account}
		}
	}
}
`
	sales, salesURL, salesGrant := sim(t, zohosim.Options{})
	north := sales.Grant(clientID, "north@example.com", "us")
	support, supportURL, _ := sim(t, zohosim.Options{})
	supportGrant := support.Grant(clientID, "support@example.com", "us")
	c := startCaddy(t, config, "SALES="+salesURL+" "+salesURL, "SUPPORT="+supportURL+" "+supportURL,
		"SALES_REFRESH_TOKEN="+salesGrant, "NORTH_REFRESH_TOKEN="+north, "SUPPORT_REFRESH_TOKEN="+supportGrant)
	tests := []struct {
		path   string
		header []string
		user   string // or the problem
	}{
		{"/sales", nil, "owner@example.com"}, {"/north", nil, "north@example.com"}, {"/support", nil, "support@example.com"},
		{"/sales", []string{"Zoho-Proxy-Account", "north"}, "owner@example.com"},
		{"/pick", []string{"Zoho-Proxy-Account", "north"}, "north@example.com"}, {"/pick", []string{"Zoho-Proxy-Account", "default"}, "owner@example.com"},
		{"/pick", []string{"Zoho-Proxy-Account", "NORTH"}, "no-grant"}, {"/pick", []string{"Zoho-Proxy-Account", ""}, "no-grant"}, {"/pick", nil, "no-grant"},
		{"/pick", []string{"Zoho-Proxy-Account", "north", "Zoho-Proxy-Account", "default"}, "no-grant"}, {"/pick", []string{"Zoho-Proxy-Account", "north,default"}, "no-grant"},
		{"/pick", []string{"Zoho-Proxy-Account", "{env.NORTH_REFRESH_TOKEN}"}, "no-grant"}, {"/pick", []string{"Zoho-Proxy-Account", "../north"}, "no-grant"}, {"/pick", []string{"Zoho-Proxy-Account", strings.Repeat("n", 5000)}, "no-grant"},
	}
	for _, test := range tests {
		a := c.get(test.path+"/crm/v8/Leads", test.header...)
		got := a.Header.Get("X-Sim-User")
		if got == "" {
			got = a.problem()
		}
		if got != test.user || bytes.Contains(a.body, []byte(north)) {
			t.Errorf("%s %.60v: got %s, want %s", test.path, test.header, got, test.user)
		}
	}
}

// TestHostsOfOtherEnvironments, S-65: a caller that names a sandbox or a developer edition
// where the grant is production's gets an answer of ours, spends no token, and takes nothing
// from the others.
func TestHostsOfOtherEnvironments(t *testing.T) {
	t.Parallel()
	c, server := startZoho(t, zohosim.GrantSpec{})
	others := []string{
		"sandbox.zohoapis.com", "developer.zohoapis.com", "SANDBOX.zohoapis.com:443", "sandbox.zohoapis.com:9000", "Developer.zohoapis.com:8443", "sandbox.zohoapis.com.",
		"sandbox.zohoapis.com.:443", "developer.zohoapis.com.:9000", "sandbox.zohoapis.com:", "www.zohoapis.eu:9000", "desk.zoho.eu.",
	}
	wrong := func(calls int) {
		t.Helper()
		for i := range calls {
			a := c.get("/crm/v8/Leads", "Host", others[i%len(others)])
			if a.StatusCode != http.StatusMisdirectedRequest || a.problem() != "data-center" {
				t.Errorf("%s %q %s", a.Status, a.problem(), a.body)
			}
		}
	}
	wrong(1) // before there is a token
	wrong(2 * len(others))
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	wantTokenCalls(t, server, 1)
	server.RevokeAccess("")
	wrong(len(others))
	c.succeed(http.MethodGet, "/crm/v8/Leads", "", "Host", "www.zohoapis.com.:9000")
	wantTokenCalls(t, server, 2)
	for range 14 {
		server.RevokeAccess("")
		wrong(1)
	}
	if n := server.Stats().Refusals["crm/dead"]; n != 1 {
		t.Errorf("%d requests with a dead token reached Zoho, one is right", n)
	}
	if state := c.metric("zoho_connection_state", `state="ok"`); state != 1 {
		t.Errorf("zoho_connection_state of ok is %v", state)
	}
}

// TestGrantOfASandbox: its own host and that of production lead to the sandbox, from the first
// call on and after the grant was replaced; the host of a developer edition does not.
func TestGrantOfASandbox(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"sandbox.zohoapis.com", "www.zohoapis.com"} {
		c, server := startZoho(t, zohosim.GrantSpec{Environment: "sandbox"})
		for _, host := range []string{first, "sandbox.zohoapis.com", "www.zohoapis.com"} {
			c.succeed(http.MethodGet, "/crm/v8/Leads", "", "Host", host)
		}
		if a := c.get("/crm/v8/Leads", "Host", "developer.zohoapis.com"); a.problem() != "data-center" {
			t.Errorf("developer edition: %s %s", a.Status, a.body)
		}
		if n := server.Stats().Refusals["crm/dead"]; n != 0 {
			t.Errorf("%d calls went elsewhere", n)
		}
		c.setenv("ZOHO_REFRESH_TOKEN=" + server.GrantAs(zohosim.GrantSpec{ClientID: clientID, Environment: "developer"}))
		c.stop()
		c.start()
		c.succeed(http.MethodGet, "/crm/v8/Leads", "", "Host", "developer.zohoapis.com")
		if a := c.get("/crm/v8/Leads", "Host", "sandbox.zohoapis.com"); a.problem() != "data-center" {
			t.Errorf("sandbox: %s %s", a.Status, a.body)
		}
	}
}

// TestRealHostNames: the real configuration against a simulator on TLS, with an
// account of another data center.
func TestRealHostNames(t *testing.T) {
	t.Parallel()
	c, server, _ := startRealNames(t, "us", "")
	type echo struct {
		Service    string
		DataCenter string `json:"data_center"`
		User, Host string
		URI        string
	}
	cases := []struct {
		path, host, account string
		want                echo
	}{
		{"/crm/_echo", "", "", echo{"crm", "us", "american@example.com", "www.zohoapis.com", "/crm/_echo"}},
		{"/crm/_echo?a=b%20c", "www.zohoapis.com", "", echo{"crm", "us", "american@example.com", "www.zohoapis.com", "/crm/_echo?a=b%20c"}},
		{"/desk/api/_echo", "", "", echo{"desk", "us", "american@example.com", "desk.zoho.com", "/api/_echo"}},
		{"/api/_echo", "desk.zoho.com", "", echo{"desk", "us", "american@example.com", "desk.zoho.com", "/api/_echo"}},
		{"/crm/_echo", "", "european", echo{"crm", "eu", "european@example.com", "www.zohoapis.eu", "/crm/_echo"}},
		{"/crm/_echo", "www.zohoapis.com", "european", echo{"crm", "eu", "european@example.com", "www.zohoapis.eu", "/crm/_echo"}},
		{"/api/_echo", "desk.zoho.in", "european", echo{"desk", "eu", "european@example.com", "desk.zoho.eu", "/api/_echo"}},
		{"/mail/_echo", "", "european", echo{"mail", "eu", "european@example.com", "mail.zoho.eu", "/_echo"}},
	}
	for _, test := range cases {
		header := []string{"Zoho-Proxy-Account", test.account}
		if test.host != "" {
			header = append(header, "Host", test.host)
		}
		var got echo
		a := c.succeed(http.MethodGet, test.path, "", header...)
		a.decode(t, &got)
		if got != test.want {
			t.Errorf("%s at %q for %q: got %+v, want %+v", test.path, test.host, test.account, got, test.want)
		}
	}
	wantTokenCalls(t, server, 2)
	for _, connection := range c.connections("").Connections {
		if !connection.Simulated {
			t.Errorf("%s is not shown as simulated", connection.Account)
		}
	}
	c.logs("a simulator stands in for Zoho")
}

// TestUntrustedServers: whoever cannot show a certificate of the trusted authority
// gets neither secret nor token.
func TestUntrustedServers(t *testing.T) {
	t.Parallel()
	server := zohosim.New(zohosim.Options{})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret})
	grant := server.Grant(clientID, "american@example.com", "us")
	address, _, stop := server.StartTLS(t.TempDir())
	defer stop()
	_, otherCA, stopOther := zohosim.New(zohosim.Options{}).StartTLS(t.TempDir())
	defer stopOther()
	c := startCaddy(t, realNames, "ZOHO_DATA_CENTER=us", "SIMULATOR="+address+" "+otherCA, "ZOHO_REFRESH_TOKEN="+grant, "EU_REFRESH_TOKEN="+grant)
	var calls sync.WaitGroup
	for range 10 {
		calls.Go(func() {
			a, err := c.try(http.MethodGet, "/crm/v8/Leads", nil)
			if err != nil {
				t.Error(err)
				return
			}
			wantProblem(t, a, "accounts-unreachable", http.StatusServiceUnavailable)
			wantRetryAfter(t, a, true)
		})
	}
	calls.Wait()
	wantTokenCalls(t, server, 0)
}

// TestUpstreamDown: Zoho's resource server cannot be reached. That is Caddy's to
// answer, and no reason for a token.
func TestUpstreamDown(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	nobody := "http://127.0.0.1:" + freePort(t)
	c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+nobody, "ZOHO_REFRESH_TOKEN="+grant)
	for range 5 {
		if a := c.get("/crm/v8/Leads"); a.StatusCode != http.StatusBadGateway || a.problem() != "" {
			t.Errorf("%s %s", a.Status, a.body)
		}
	}
	wantTokenCalls(t, server, 1)
	if n := c.metric("zoho_requests_total", `code_class="error"`); n != 5 {
		t.Errorf("zoho_requests_total counts %v of 5", n)
	}
}
