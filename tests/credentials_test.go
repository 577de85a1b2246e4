package tests

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// Accounts with grant_type client_credentials: the client itself asks for their tokens.

const byClient = `
			scopes     ZohoCRM.modules.ALL ZohoBooks.fullaccess.all
			grant_type client_credentials
			{$ZOHO_CLIENT_OPTIONS}`

const byAccount = `
	zoho_health
	zoho_connect
	zoho_proxy {
		account {http.request.header.Zoho-Proxy-Account}
	}`

// startByClient runs a self client of so many organizations.
func startByClient(t *testing.T, o zohosim.Options, options string, orgs ...string) (*proxy, *zohosim.Server) {
	t.Helper()
	server, base, _ := sim(t, o)
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true, Orgs: orgs})
	c := startCaddy(t, oneSite("", byClient, byAccount), "ZOHO_DATA_CENTER="+base+" "+base, "ZOHO_CLIENT_OPTIONS="+options)
	c.zoho = server
	return c, server
}

// TestByClientFromNothing: nobody consents, and the first call is answered.
func TestByClientFromNothing(t *testing.T) {
	t.Parallel()
	c, server := startByClient(t, zohosim.Options{}, "")
	c.wantHealth("/zoho-health", 200, map[string]int{"ok": 1})
	c.wantCLI(cli{"status", 0, "none, by client_credentials", ""})
	spread(64, 64, func(int) { c.forAccount("default") })
	wantTokenCalls(t, server, 1)
	if st := server.Stats(); st.Mints != 1 || st.Refreshes != 0 {
		t.Errorf("%d mints and %d refreshes, want 1 and 0", st.Mints, st.Refreshes)
	}
	info := c.connections("").Connections[0]
	if info.State != "ok" || !info.HasGrant || info.NeedsConsent || info.RefreshTokensKnown != 0 || info.BudgetLeft != 9 {
		t.Errorf("%+v", info)
	}
	if found := c.doctor(0); len(found) == 0 {
		t.Error("doctor finds nothing")
	}
	c.stop() // a restart costs no token call
	c.start()
	c.forAccount("default")
	if st := server.Stats(); st.Mints != 1 {
		t.Errorf("%d mints after a restart, want 1", st.Mints)
	}
}

// TestByClientOthers: a self client has no page of consent, so its other accounts are connected by a code.
func TestByClientOthers(t *testing.T) {
	t.Parallel()
	c, _ := startByClient(t, zohosim.Options{}, "")
	const way = "caddy zoho connect main shop --self-client"
	a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "shop")
	wantProblem(t, a, "no-grant", 503)
	if text := string(a.body); !strings.Contains(text, way) || strings.Contains(text, "pages of zoho_connect") {
		t.Errorf("%s", text)
	}
	for _, action := range []string{"connect", "invite"} {
		if a := c.adminCall(http.MethodPost, "/zoho/connections/main/shop/"+action, ""); a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), way) {
			t.Errorf("%s: %s %s", action, a.Status, a.body)
		}
	}
}

// TestCredentialsExample: with the README's second way the first call is answered.
func TestCredentialsExample(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile("../deploy/Caddyfile.credentials")
	if err != nil {
		t.Fatal(err)
	}
	server, base, _ := sim(t, zohosim.Options{})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true})
	c := startCaddy(t, string(config), "ZOHO_DATA_CENTER="+base+" "+base)
	c.zoho = server
	c.succeed(http.MethodGet, "/crm/v8/Leads?fields=Last_Name", "")
	wantTokenCalls(t, server, 1)
}

// TestByClientRevokedAtZoho: a storm of refused calls costs one token call.
func TestByClientRevokedAtZoho(t *testing.T) {
	t.Parallel()
	c, server := startByClient(t, zohosim.Options{}, "")
	c.forAccount("default")
	server.RevokeAccess("")
	spread(200, 64, func(int) { c.forAccount("default") })
	wantTokenCalls(t, server, 2)
}

// TestByClientRenewsEarly: a token is renewed before it ends, by the same call.
func TestByClientRenewsEarly(t *testing.T) {
	t.Parallel()
	c, server := startByClient(t, zohosim.Options{TokenLife: 4 * time.Second}, "")
	for server.Stats().Mints < 3 {
		c.forAccount("default")
	}
	if refused := server.Stats().Refusals; len(refused) != 0 {
		t.Errorf("Zoho refused %v", refused)
	}
}

// TestByClientManaged: what would bring a grant in, or take one away, says what there is instead.
func TestByClientManaged(t *testing.T) {
	t.Parallel()
	c, server := startByClient(t, zohosim.Options{}, "")
	c.forAccount("default")
	const nothing = "Nothing has to be connected for account default of client main"
	c.wantCLI(
		cli{"connect", 1, "", nothing},
		cli{"connect --self-client", 1, "", nothing},
		cli{"import", 1, "", nothing},
		cli{"invite main default", 1, "", nothing},
		cli{"forget main default", 1, "", "caddy zoho revoke main default"},
		cli{"scopes", 0, "ZohoCRM.modules.ALL", ""},
		cli{"refresh", 0, "main", ""},
	)
	wantTokenCalls(t, server, 2)
	page := newBrowser(t).get(c.pages() + "?account=default")
	wantPage(t, page, 200, "There is nothing to connect")
	wantPage(t, newBrowser(t).get(c.pages()+"connect?account=default"), 409, nothing)

	c.wantCLI(cli{"revoke main default", 0, "revoked at Zoho", "the next call gets another access token"})
	if st := server.Stats(); st.Revocations != 1 || st.LiveTokens > 1 {
		t.Errorf("%d revocations, %d live tokens", st.Revocations, st.LiveTokens)
	}
	wantTokenCalls(t, server, 2)
	c.wantCLI(cli{"revoke main default", 0, "", "no access token lives"})
	c.forAccount("default")
	wantTokenCalls(t, server, 3)
	if refused := server.Stats().Refusals; len(refused) != 0 {
		t.Errorf("a revoked token was sent: %v", refused)
	}
	if state := c.connections("").Connections[0].State; state != "ok" {
		t.Errorf("state %s", state)
	}
}

// TestByClientOrganization: what only the configuration can mend names the line to write, is not asked
// for again and again, and is tried at once with another configuration.
func TestByClientOrganization(t *testing.T) {
	t.Parallel()
	c, server := startByClient(t, zohosim.Options{}, "", "600", "700")
	ask := func() answer { return c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default") }
	for _, test := range []struct{ options, says, do string }{
		{"", "and none is configured", "add `soid SERVICE.ORG` to the block of `client main`"},
		{"soid ZohoCRM.800", "it does not accept `soid ZohoCRM.800` as one", "add `soid SERVICE.ORG` to the block of `client main`"},
		{"soid ZohoCRM.600\n scopes ZohoNothing.x.ALL", "one of them does not exist", "compare the line `scopes ZohoCRM.modules.ALL ZohoBooks.fullaccess.all ZohoNothing.x.ALL`"},
	} {
		c.setenv("ZOHO_CLIENT_OPTIONS=" + test.options)
		if err := c.reload(); err != nil {
			t.Fatal(err)
		}
		before := server.Stats().TokenRequests
		for range 3 {
			a := ask()
			wantProblem(t, a, "client-rejected", 503)
			wantRetryAfter(t, a, false)
			if !strings.Contains(string(a.body), test.says) || !strings.Contains(string(a.body), test.do) || strings.Contains(string(a.body), "consent again") {
				t.Errorf("it does not say %q: %s", test.says, a.body)
			}
		}
		if n := server.Stats().TokenRequests - before; n > 2 {
			t.Errorf("%q: %d token calls", test.options, n)
		}
		c.wantCLI(cli{"status", 0, "dead", ""})
		found(c.doctor(1)).without("data-center").want(t, "grant", "failed", test.do)
	}
	c.setenv("ZOHO_CLIENT_OPTIONS=soid ZohoCRM.600")
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	c.forAccount("default")
	c.wantCLI(cli{"status", 0, "ok", ""})
}

// TestByClientSharesItsBudget: the token calls of all accounts are counted together.
func TestByClientSharesItsBudget(t *testing.T) {
	t.Parallel()
	c, server := startByClient(t, zohosim.Options{}, `account second {
				grant_type client_credentials
				soid       ZohoCRM.700
			}
			soid ZohoCRM.600`, "600", "700")
	for range 5 {
		c.wantCLI(cli{"refresh main default", 0, "", ""}, cli{"refresh main second", 0, "", ""})
	}
	c.wantCLI(cli{"refresh main default", 1, "", "10 token calls in 10m0s are spent"},
		cli{"refresh main second", 1, "", "10 token calls in 10m0s are spent"})
	wantTokenCalls(t, server, 10)
	for _, account := range []string{"default", "second"} { // their tokens live on
		c.forAccount(account)
	}
	c.kill()
	c.start()
	c.wantCLI(cli{"refresh main second", 1, "", "spent"})
	wantTokenCalls(t, server, 10)
	if st := server.Stats(); st.TokenResults["throttled"] != 0 {
		t.Errorf("%v", st.TokenResults)
	}
}

// TestByClientChangedScopes: a token of other scopes is not served, one of the same in another order is.
func TestByClientChangedScopes(t *testing.T) {
	t.Parallel()
	c, server := startByClient(t, zohosim.Options{}, "scopes ZohoCRM.users.READ")
	c.forAccount("default")
	for i, options := range []string{"scopes ZohoCRM.users.READ ZohoCRM.modules.ALL", "scopes ZohoCRM.org.READ"} {
		c.setenv("ZOHO_CLIENT_OPTIONS=" + options)
		if err := c.reload(); err != nil {
			t.Fatal(err)
		}
		c.forAccount("default")
		wantTokenCalls(t, server, i+1)
	}
}

// TestByClientFleet: replicas share one token and one budget, and a revocation reaches all of them.
func TestByClientFleet(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	f := newFleet(t, zohosim.Options{}, 0, redis)
	f.zoho.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true})
	for range 3 {
		f.add("ZOHO_REDIS=redis://"+redis.Addr, "ZOHO_REDIS_OPTIONS=", `ZOHO_CLIENT_OPTIONS=grant_type client_credentials
			scopes ZohoCRM.modules.ALL
			account second {
				grant_type client_credentials
				scopes ZohoCRM.modules.READ
			}`).start()
	}
	f.accounts = []string{"default", "second"}
	mints := f.tokenCalls()
	spread(96, 48, func(i int) { f.replicas[i%3].forAccount(f.accounts[i/3%2]) })
	if n := mints(); n != 2 {
		t.Errorf("%d token calls for two accounts", n)
	}
	for i, c := range f.replicas {
		if left := c.connections("").Connections[0].BudgetLeft; left != 8 {
			t.Errorf("replica %d believes that %d token calls are left", i, left)
		}
	}
	mints = f.tokenCalls()
	f.replicas[0].wantCLI(cli{"revoke main default", 0, "revoked at Zoho", ""})
	for _, c := range f.replicas[1:] {
		c.waitFor("the revocation to arrive", func() bool {
			return !c.connections("?account=default").Connections[0].HasToken
		})
	}
	spread(48, 48, func(i int) { f.replicas[i%3].forAccount("default") })
	if n := mints(); n != 1 {
		t.Errorf("%d token calls after a revocation", n)
	}
	if refused := f.zoho.Stats().Refusals; len(refused) != 0 {
		t.Errorf("a revoked token was sent: %v", refused)
	}
	for i := range 7 {
		f.replicas[i%3].runInput("", 0, "zoho", "refresh", "main", f.accounts[i%2])
	}
	f.replicas[0].wantCLI(cli{"refresh main second", 1, "", "spent"})
	if st := f.zoho.Stats(); st.Mints != 10 {
		t.Errorf("%d token calls of the fleet, want 10", st.Mints)
	}
}

// TestByClientWrongClient: of a client that is none of the kind, nobody is asked for consent.
func TestByClientWrongClient(t *testing.T) {
	t.Parallel()
	c, server := startByClient(t, zohosim.Options{}, "")
	for _, code := range []string{"invalid_code", "unsupported_grant_type"} {
		server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultError, Body: code, Count: 0})
		a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default")
		wantProblem(t, a, "client-rejected", 503)
		if !strings.Contains(string(a.body), "not a Self Client") {
			t.Errorf("%s: %s", code, a.body)
		}
		if info := c.connections("").Connections[0]; info.NeedsConsent || info.State != "dead" {
			t.Errorf("%s: %+v", code, info)
		}
		c.wantCLI(cli{"status", 0, "", ""})
		c.kill()
		server.ClearFaults("")
		c.start()
	}
	c.waitFor("the back-off to end", func() bool {
		a, err := c.try(http.MethodGet, "/crm/v8/Leads", nil, "Zoho-Proxy-Account", "default")
		return err == nil && a.StatusCode < 300
	})
}
