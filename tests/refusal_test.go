package tests

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestRefusalsThatNoTokenCures: each is passed on with Zoho's own words and a verdict,
// and costs no token.
func TestRefusalsThatNoTokenCures(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	cases := []struct {
		service, path, refusal, verdict string
	}{
		{"books", "/books/v3/contacts", zohosim.CaseScope, "ambiguous"}, // first: for a minute the token is too young to be renewed for it
		{"crm", "/crm/v8/Leads", zohosim.CaseScope, "scope"},
		{"crm", "/crm/v8/Leads", zohosim.CasePermission, "permission"},
		{"desk", "/desk/api/v1/tickets", zohosim.CaseScope, "scope"},
		{"desk", "/desk/api/v1/tickets", zohosim.CaseOrg, "org"},
		{"desk", "/desk/api/v1/tickets", zohosim.CasePermission, "permission"},
		{"workdrive", "/workdrive/api/v1/files/x", zohosim.CasePermission, "permission"},
	}
	for _, test := range cases {
		server.AddFault(zohosim.Fault{Where: test.service, Kind: zohosim.FaultRefuse, Body: test.refusal})
		want := server.Refusal(test.service, test.refusal)
		spread(30, 8, func(int) {
			a, err := c.try(http.MethodGet, test.path, nil)
			if err != nil {
				t.Error(err)
				return
			}
			wantRefusal(t, a, want.Status, test.verdict)
			if string(a.body) != want.Body {
				t.Errorf("%s %s: Zoho's words were changed: %s", test.service, test.refusal, a.body)
			}
		})
		server.ClearFaults("")
	}
	wantTokenCalls(t, server, 1)
	if n := c.metric("zoho_upstream_auth_failures_total", `service="desk"`, `verdict="org"`); n != 30 {
		t.Errorf("zoho_upstream_auth_failures_total counts %v of 30", n)
	}
}

// TestMissingScopeAndWrongOrg: the same with a real grant that lacks a scope, and a
// call for another organization.
func TestMissingScopeAndWrongOrg(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	wantRefusal(t, c.get("/desk/api/v1/agents", "orgId", "1"), http.StatusForbidden, "org")
	wantRefusal(t, c.get("/inventory/v1/items"), http.StatusUnauthorized, "ambiguous")
	wantRefusal(t, c.get("/mail/api/accounts"), http.StatusUnauthorized, "scope")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	wantTokenCalls(t, server, 1)
}

// TestRefusedForEver: a wrong data center answers INVALID_TOKEN whatever the token.
// That must not become a storm, nor harm the services beside.
func TestRefusedForEver(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultRefuse})
	server.AddFault(zohosim.Fault{Where: "mail", Kind: zohosim.FaultRefuse})
	spread(600, 32, func(i int) {
		path := []string{"/crm/v8/Leads", "/mail/api/accounts", "/desk/api/v1/tickets"}[i%3]
		if i%3 == 2 {
			c.succeed(http.MethodGet, path, "")
			return
		}
		a, err := c.try(http.MethodGet, path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		wantRefusal(t, a, http.StatusUnauthorized, "fresh-token-refused")
	})
	if n := server.Stats().TokenRequests; n > 5 {
		t.Errorf("%d token calls, at most 5 are right", n)
	}
	for range 20 {
		wantRefusal(t, c.get("/crm/v8/Leads"), http.StatusUnauthorized, "fresh-token-refused")
	}
	if n := server.Stats().TokenRequests; n > 5 {
		t.Errorf("%d token calls, at most 5 are right", n)
	}
}

// TestWrongDataCenterIsNamed: Zoho names another API gateway than the configured
// data center's, and refuses its token there.
func TestWrongDataCenterIsNamed(t *testing.T) {
	t.Parallel()
	c, server, _ := startRealNames(t, "us", "")
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultReply,
		Body: `{"access_token":"{{token}}","api_domain":"https://www.zohoapis.eu","token_type":"Bearer","expires_in":3600}`})
	server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultRefuse})
	for range 10 {
		wantRefusal(t, c.get("/crm/v8/Leads"), http.StatusUnauthorized, "data-center")
	}
	if n := server.Stats().TokenRequests; n > 2 {
		t.Errorf("%d token calls", n)
	}
}

// TestProblemsOfTheGrant: what Accounts may answer, and what the app is told.
func TestProblemsOfTheGrant(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name       string
		break_     func(*zohosim.Server)
		env        string
		code       string
		retryAfter bool
		tokenCalls int
	}{
		{"revoked", func(s *zohosim.Server) { s.Revoke("") }, "", "grant-dead", false, 1},
		{"wrong secret", nil, "ZOHO_CLIENT_SECRET=anothersecret00000000000000", "client-rejected", false, 1},
		{"wrong id", nil, "ZOHO_CLIENT_ID=1000.NOBODYATALL", "client-rejected", false, 1},
		{"throttled", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultThrottle}), "", "throttled", true, 1},
		{"throttled in Chinese", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultLocalized}), "", "throttled", true, 1},
		{"HTML", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHTML}), "", "accounts-unreachable", true, 1},
		{"empty", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultEmpty}), "", "accounts-unreachable", true, 1},
		{"500", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultStatus}), "", "accounts-unreachable", true, 1},
		{"reset", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultReset}), "", "accounts-unreachable", true, 1},
		{"redirect", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultRedirect, Body: "https://evil.example/"}), "", "accounts-unreachable", true, 1},
		{"huge", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHuge}), "", "accounts-unreachable", true, 1},
		{"bomb", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultBomb}), "", "accounts-unreachable", true, 1},
		{"nobody listens", nil, "ZOHO_DATA_CENTER=http://127.0.0.1:1 http://127.0.0.1:1", "accounts-unreachable", true, 0},
		{"no grant", nil, "ZOHO_REFRESH_TOKEN=", "no-grant", false, 0},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			c, server, _ := startSimulated(t, zohosim.Options{}, test.env)
			if test.break_ != nil {
				test.break_(server)
			}
			begun := time.Now()
			// The first caller asks, the others are answered from what is known.
			spread(50, 16, func(int) {
				a, err := c.try(http.MethodPost, "/crm/v8/Leads", strings.NewReader("{}"))
				if err != nil {
					t.Error(err)
					return
				}
				wantProblem(t, a, test.code, http.StatusServiceUnavailable)
				wantRetryAfter(t, a, test.retryAfter)
			})
			if n, most := server.Stats().TokenRequests, test.tokenCalls*mostTries(time.Since(begun), temporaryTries); n > most {
				t.Errorf("%d token calls, want at most %d", n, most)
			}
			if n := c.metric("zoho_proxy_errors_total", `code="`+test.code+`"`); n != 50 {
				t.Errorf("zoho_proxy_errors_total counts %v of 50", n)
			}
			if n := len(server.Stats().APIRequests); n != 0 {
				t.Error("a request went to Zoho without a token")
			}
		})
	}
}

func fault(f zohosim.Fault) func(*zohosim.Server) {
	return func(s *zohosim.Server) { s.AddFault(f) }
}

// TestAccountsDownWithLiveToken: an error reply never replaces a token that lives.
func TestAccountsDownWithLiveToken(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	for _, kind := range []string{zohosim.FaultHTML, zohosim.FaultThrottle} {
		server.AddFault(zohosim.Fault{Where: "accounts", Kind: kind})
		_, _, code := c.run("zoho", "refresh", "--address", c.admin)
		if code == 0 {
			t.Error("refresh succeeded with Accounts down")
		}
		for _, path := range threeServices {
			c.succeed(http.MethodGet, path, "")
		}
		server.ClearFaults("")
	}
	// Zoho refuses the token as well: now there is none, and the cause is told.
	server.RevokeAccess(grant)
	wantProblem(t, c.get("/crm/v8/Leads"), "throttled", http.StatusServiceUnavailable)
}

// TestBudgetSpent: the eleventh token call of a grant is not made, whatever happens
// and however often Caddy is started.
func TestBudgetSpent(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{})
	for range 10 {
		c.succeed(http.MethodGet, "/crm/v8/Leads", "")
		server.RevokeAccess(grant)
	}
	a := c.get("/crm/v8/Leads")
	wantProblem(t, a, "budget-spent", http.StatusServiceUnavailable)
	wantRetryAfter(t, a, true)
	for i := range 3 {
		if i%2 == 0 {
			c.kill()
		} else {
			c.stop()
		}
		c.start()
		// The token of the last run is tried once more, and refused.
		wantProblem(t, c.get("/crm/v8/Leads"), "budget-spent", http.StatusServiceUnavailable)
	}
	wantTokenCalls(t, server, 10)
	if left := c.connections("").Connections[0].BudgetLeft; left != 0 {
		t.Errorf("budget left: %d", left)
	}
	if n := c.metric("zoho_token_budget_remaining"); n != 0 {
		t.Errorf("zoho_token_budget_remaining %v", n)
	}
}

// TestProblemsOfTheRequest: refused before anything is sent or asked.
func TestProblemsOfTheRequest(t *testing.T) {
	t.Parallel()
	c, server, _ := startRealNames(t, "us", "services crm desk")
	cases := []struct {
		path, code string
		status     int
		header     []string
	}{
		{"/nothing/here", "service-unknown", 404, nil},
		{"/", "service-unknown", 404, nil},
		{"/books/v3/contacts", "service-unknown", 404, nil}, // not among services
		{"/crm/v8/Leads", "data-center", 421, []string{"Host", "www.zohoapis.eu"}},
		{"/api/v1/tickets", "data-center", 421, []string{"Host", "desk.zoho.in"}},
		{"/crm/v8/Leads", "browser-refused", 403, []string{"Origin", "https://evil.example"}},
		{"/crm/v8/Leads", "browser-refused", 403, []string{"Sec-Fetch-Site", "cross-site"}},
	}
	for _, test := range cases {
		a := c.get(test.path, test.header...)
		wantProblem(t, a, test.code, test.status)
		wantRetryAfter(t, a, false)
	}
	raw := c.rawAnswer("CONNECT www.zohoapis.com:443 HTTP/1.1\r\nHost: www.zohoapis.com:443\r\n\r\n", http.MethodConnect)
	wantProblem(t, raw, "connect-unsupported", http.StatusMethodNotAllowed)
	raw = c.rawAnswer("GET http://www.evil.example/crm/v8/Leads HTTP/1.1\r\nHost: www.evil.example\r\n\r\n", http.MethodGet)
	wantProblem(t, raw, "target", http.StatusMisdirectedRequest)
	wantTokenCalls(t, server, 0)
}

// rawAnswer sends a request as it is written and reads the answer.
func (c *proxy) rawAnswer(request, method string) answer {
	c.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(conn, request)
	// Of an answer to CONNECT net/http reads no body.
	if method == http.MethodConnect {
		method = http.MethodGet
	}
	a, err := readAnswer(http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method}))
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// TestCallerRefused: by the peer's address alone.
func TestCallerRefused(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=callers 127.0.0.3 10.0.0.0/8")
	a := c.get("/crm/v8/Leads", "X-Forwarded-For", "127.0.0.3", "Forwarded", "for=127.0.0.3", "X-Real-Ip", "127.0.0.3")
	wantProblem(t, a, "caller-refused", http.StatusForbidden)
	if !strings.Contains(string(a.body), "callers") {
		t.Errorf("the setting is not named: %s", a.body)
	}
	wantTokenCalls(t, server, 0)
	if n := len(server.Stats().APIRequests); n != 0 {
		t.Error("the request went on")
	}
}

// TestDeadGrantHeals, S-32: a rotated file is noticed at the next need, without a reload;
// in between nothing is asked.
func TestDeadGrantHeals(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	file := filepath.Join(t.TempDir(), "grant")
	write := func(value string) {
		if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(grant)
	c := startCaddy(t, strings.Replace(oneClient, "{env.ZOHO_REFRESH_TOKEN}", "{file."+file+"}", 1), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL)
	c.secrets = append(c.secrets, grant)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	server.Revoke(grant)
	begun := time.Now()
	for range 20 {
		wantProblem(t, c.get("/crm/v8/Leads"), "grant-dead", http.StatusServiceUnavailable)
	}
	if n, most := server.Stats().TokenRequests, 1+mostTries(time.Since(begun), handTries); n > most {
		t.Errorf("%d token calls, want at most %d", n, most)
	}
	if state := c.connections("").Connections[0]; state.State != "dead" || !state.NeedsConsent {
		t.Errorf("%+v", state)
	}
	fresh := server.Grant(clientID, "owner@example.com", "us")
	c.secrets = append(c.secrets, fresh)
	write(fresh)
	c.waitFor("the new grant to be found", func() bool { return c.get("/crm/v8/Leads").problem() == "" })
	if n := server.Stats().ByRefreshToken[fresh]; n != 1 {
		t.Errorf("%d token calls with the new grant", n)
	}
	if state := c.connections("").Connections[0]; state.State != "ok" || state.NeedsConsent {
		t.Errorf("%+v", state)
	}
}

// TestSecretRolledOver: of two secrets one is accepted, whichever; a client that was
// rejected heals when its file changes.
func TestSecretRolledOver(t *testing.T) {
	t.Parallel()
	const next = "rolledover5e77b1d09c3f8a6642"
	server, baseURL, grant := sim(t, zohosim.Options{})
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("wrongfromthestart0011223344"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(oneClient, "client_secret {env.ZOHO_CLIENT_SECRET}", "client_secret {env.ZOHO_CLIENT_SECRET} {file."+file+"}", 1)
	c := startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	c.secrets = append(c.secrets, next, "wrongfromthestart0011223344")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")

	server.AddClient(zohosim.Client{ID: clientID, Secret: next})
	server.RevokeAccess(grant)
	wantProblem(t, c.get("/crm/v8/Leads"), "client-rejected", http.StatusServiceUnavailable)
	if err := os.WriteFile(file, []byte(next+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.waitFor("the new secret to be found", func() bool { return c.get("/crm/v8/Leads").problem() == "" })
	server.RevokeAccess(grant)
	before := server.Stats().TokenRequests
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	if n := server.Stats().TokenRequests - before; n != 1 {
		t.Errorf("%d token calls, the accepted secret should be tried first", n)
	}
	c.stop()
	c.start() // the store is sealed with both
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	if n := server.Stats().TokenRequests - before; n != 1 {
		t.Errorf("%d token calls after the restart", n-1)
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
