// Organizations that consent instead of users: client_type org and soid.

package tests

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// paying is a client of organizations, one of which is an account's own, in the sandbox.
var paying = strings.Replace(onboarding,
	"scopes        ZohoCRM.modules.ALL,ZohoCRM.org.READ AaaServer.profile.READ Desk.tickets.ALL",
	"scopes        {$ZOHO_SCOPES}\n\t\t\tclient_type   org\n\t\t\tsoid          zohopay.77\n\t\t\taccount test {\n\t\t\t\tsoid zohopaysandbox.78\n\t\t\t}", 1)

// TestOrganizationConsent: in the browser and by a pasted address, for the client's organization and an
// account's own, and by an invitation.
func TestOrganizationConsent(t *testing.T) {
	t.Parallel()
	server := zohosim.New(zohosim.Options{Consent: zohosim.ConsentAuto})
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	c := newCaddy(t, paying, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_CONNECT_OPTIONS=", "ZOHO_SCOPES=ZohoPay.payments.CREATE,ZohoPay.payments.READ")
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, Org: true, RedirectURIs: []string{c.pages() + "callback"}})
	c.secrets, c.zoho = append(c.secrets, "code=1000."), server
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri " + c.pages() + "callback")
	c.start()
	if list := c.connections("").Connections; len(list) != 1 || list[0].Account != "test" || list[0].HasGrant {
		t.Errorf("an account that waits for consent: %+v", list)
	}
	found(c.doctor(3, "main", "test")).want(t, "grant", "failed", "the account is not connected")
	b := newBrowser(t)
	before := b.get(c.pages() + "connect?account=default")
	wantPage(t, before, 200, "<code>zohopay.77</code>")
	wantPage(t, before, 200, "<dd>ORG</dd>")
	to, err := url.Parse(b.stopAt("/org/auth", func() answer { return b.post(c.pages()+"start", url.Values{"account": {"default"}}) }))
	if err != nil || to.Query().Get("soid") != "zohopay.77" || to.Query().Get("state") == "" {
		t.Fatalf("the browser is sent to %s", to)
	}
	wantPage(t, b.get(to.String()), 200, "The account is connected")

	// The sandbox has scopes of its own, so it is another configuration's.
	c.setenv("ZOHO_SCOPES=ZohoPaySandbox.payments.CREATE")
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	c.logs("soid zohopay.77 takes scopes that begin with ZohoPay")
	var started struct {
		URL, State string
		Warnings   []string
	}
	c.adminCall(http.MethodPost, "/zoho/connections/main/test/connect", "").decode(t, &started)
	if !strings.Contains(started.URL, "soid=zohopaysandbox.78") || !strings.Contains(strings.Join(started.Warnings, " "), "expires after a minute") {
		t.Errorf("%+v", started)
	}
	other := newBrowser(t)
	callback := other.stopAt("/callback", func() answer { return other.get(started.URL) })
	body, _ := json.Marshal(map[string]string{"state": started.State, "callback": callback})
	if a := c.adminCall(http.MethodPost, "/zoho/connections/main/test/connect", string(body)); a.StatusCode != http.StatusOK {
		t.Errorf("%s %s", a.Status, a.body)
	}
	c.stop()
	c.start()
	for _, account := range []string{"default", "test"} {
		if info := c.account(account); !info.HasGrant || info.State != "ok" || info.Configured {
			t.Errorf("%s: %+v", account, info)
		}
	}
	if st := server.Stats(); st.Grants != 2 || st.TokenResults["ok"] != 4 {
		t.Errorf("Zoho has seen %+v", st)
	}
}

// TestOrganizationConfiguration: what is wrong is told with its line.
func TestOrganizationConfiguration(t *testing.T) {
	t.Parallel()
	const client = "{\n\tzoho {\n\t\tclient main {\n\t\t\tdata_center us\n\t\t\tclient_id {env.ID}\n\t\t\tclient_secret {env.SECRET}\n"
	for lines, says := range map[string]string{
		"client_type organisation":                                       "7 client_type: the type \"organisation\" is unknown",
		"client_type orgs\nsoid zohopay.1":                               "7 did you mean org?",
		"client_type org":                                                "7 client_type org needs the organization that consents",
		"soid zohopay.1":                                                 "7 or `client_type org` in the client",
		"client_type org\nsoid 12345":                                    "8 soid: the value \"12345\" must be SERVICE.ORG",
		"client_type org\nsoid zohopay":                                  "8 soid: the value \"zohopay\" must be SERVICE.ORG",
		"client_type org\nsoid zohopai.12345":                            "8 did you mean zohopay?",
		"client_type org\nsoid zohopay.1\nsoid zohopay.2":                "9 soid is given twice",
		"account shop {\nsoid zohopay.1\n}":                              "8 or `client_type org` in the client",
		"client_type org\naccount shop {\nsoid zohopay.\n}":              "9 soid: the value \"zohopay.\" must be SERVICE.ORG",
		"grant_type client_credentials\nclient_type org\nsoid zohopay.1": "7 grant_type and client_type org",
		"client_type org\nsoid {env.SOID}":                               "8 soid",
		"client_type org\nsoid zohopay.1 zohopay.2":                      "8 soid",
	} {
		file := filepath.Join(t.TempDir(), "Caddyfile")
		text := client + "\t\t\t" + strings.ReplaceAll(lines, "\n", "\n\t\t\t") + "\n\t\t}\n\t}\n}\n:0\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := &proxy{t: t, dir: t.TempDir(), env: append(os.Environ(), "ID=1005.X", "SECRET=x")}
		stdout, stderr, code := c.run("adapt", "--config", file)
		line, says, _ := strings.Cut(says, " ")
		stderr = strings.ReplaceAll(stderr, `\"`, `"`)
		if code == 0 || !strings.Contains(stderr, says) || !strings.Contains(stderr, "Caddyfile:"+line) {
			t.Errorf("%q: exit code %d, want %q in: %s%s", lines, code, says, stdout, stderr)
		}
	}
}

// TestOrganizationChanged: a grant stays that of the organization that gave it, whatever soid says by now. Doctor tells, and a
// consent of the other organization does not replace it without a question.
func TestOrganizationChanged(t *testing.T) {
	t.Parallel()
	server := zohosim.New(zohosim.Options{Consent: zohosim.ConsentAuto})
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	c := newCaddy(t, strings.Replace(paying, "zohopay.77", "{$ZOHO_SOID}", 1), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_CONNECT_OPTIONS=",
		"ZOHO_SCOPES=ZohoPay.payments.READ", "ZOHO_SOID=zohopay.77")
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, Org: true, RedirectURIs: []string{c.pages() + "callback"}})
	c.secrets, c.zoho = append(c.secrets, "code=1000."), server
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri " + c.pages() + "callback")
	c.start()
	b := newBrowser(t)
	before := b.get(c.pages() + "connect?account=default")
	if text := string(before.body); strings.Contains(text, "somebody else consents") || strings.Contains(text, "AaaServer") {
		t.Errorf("an organization is told to name its user: %s", text)
	}
	wantPage(t, b.post(c.pages()+"start", url.Values{"account": {"default"}}), 200, "The account is connected")
	if info := c.account("default"); info.Org != "zohopay.77" {
		t.Errorf("%+v", info)
	}
	c.doctor(0, "main", "default")
	c.setenv("ZOHO_SOID=zohopay.79")
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	found(c.doctor(3, "main", "default")).want(t, "grant", "failed", "given by zohopay.77, and soid names zohopay.79")
	wantPage(t, b.post(c.pages()+"start", url.Values{"account": {"default"}}), 200, "zohopay.79")
	if info := c.account("default"); info.Org != "zohopay.77" {
		t.Errorf("replaced without a question: %+v", info)
	}
}
