// Onboarding: who consents. Another user, one of another data center, one that is invited, and what
// becomes of the grant of before.

package tests

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestSomebodyElse, S-25: a consent by another user stops and asks; until then the old
// grant stays. A consent that brings no refresh token never erases it.
func TestSomebodyElse(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto, User: "ann@example.com"})
	b := newBrowser(t)
	wantPage(t, b.get(c.consent(b, "default")), 200, "The account is connected")
	as := func(user string) { server.Change(func(o *zohosim.Options) { o.User = user }) }
	holder := func() string { return c.connections("").Connections[0].User }

	for decision, want := range map[string]string{"keep": "ann@example.com", "replace": "ben@example.com"} {
		as("ann@example.com")
		if holder() != "ann@example.com" {
			t.Fatalf("begins with %s", holder())
		}
		as("ben@example.com")
		grants := server.Stats().Grants
		wantPage(t, b.get(c.consent(b, "default")), 200, "Do you want to replace")
		if holder() != "ann@example.com" {
			t.Errorf("%s before anybody confirmed", holder())
		}
		id := b.at.Query().Get("id")
		a := newBrowser(t).post(c.pages()+"confirm", url.Values{"id": {id}, "decision": {"replace"}})
		if a.StatusCode < 400 || holder() != "ann@example.com" {
			t.Errorf("another browser confirms: %s", a.Status)
		}
		for range 2 { // a double click
			wantPage(t, b.post(c.pages()+"confirm", url.Values{"id": {id}, "decision": {decision}}), 200, map[string]string{"keep": "Nothing was changed", "replace": "Connected"}[decision])
		}
		if holder() != want {
			t.Errorf("%s: %s holds it, want %s", decision, holder(), want)
		}
		if decision == "keep" && server.Stats().Grants != grants {
			t.Error("the new grant was not given back")
		}
		if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"); a.Header.Get("X-Sim-User") != want {
			t.Errorf("%s: the call was made as %s", decision, a.Header.Get("X-Sim-User"))
		}
		if decision == "replace" {
			as("ann@example.com")
			wantPage(t, b.get(c.consent(b, "default")), 200, "Do you want to replace")
			b.post(c.pages()+"confirm", url.Values{"id": {b.at.Query().Get("id")}, "decision": {"replace"}})
		}
	}

	to := b.stopAt("/auth", func() answer { return b.post(c.pages()+"start", url.Values{"account": {"default"}}) })
	wantPage(t, b.get(regexp.MustCompile(`scope=[^&]*`).ReplaceAllString(to, "scope=ZohoCRM.modules.ALL")), 200, "whom Zoho does not name")

	before := holder()
	server.AddFault(zohosim.Fault{Where: "accounts", Path: "/token", Kind: zohosim.FaultStatus, Status: 200, Count: 1,
		Body: `{"access_token":"1000.aaaa.bbbb","api_domain":"https://www.zohoapis.com","token_type":"Bearer","expires_in":3600}`})
	wantPage(t, b.get(c.consent(b, "default")), http.StatusBadGateway, "no refresh token")
	if holder() != before {
		t.Error("a reply without a refresh token erased the grant")
	}
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"); a.StatusCode >= 300 {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

// TestStopGivesBack: a grant that still waits to be confirmed when Caddy stops keeps no place
// at Zoho.
func TestStopGivesBack(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto, User: "ann@example.com"})
	b := newBrowser(t)
	wantPage(t, b.get(c.consent(b, "default")), 200, "The account is connected")
	server.Change(func(o *zohosim.Options) { o.User = "ben@example.com" })
	wantPage(t, b.get(c.consent(b, "default")), 200, "Do you want to replace")
	if n := server.Stats().Grants; n != 2 {
		t.Fatalf("%d grants live at Zoho", n)
	}
	c.stop()
	if n := server.Stats().Grants; n != 1 {
		t.Errorf("%d grants live at Zoho after Caddy has stopped", n)
	}
}

// TestDroppedWithoutZoho: who keeps the grant of before is told so, also when the new one
// cannot be given back at that moment.
func TestDroppedWithoutZoho(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto, User: "ann@example.com"})
	b := newBrowser(t)
	wantPage(t, b.get(c.consent(b, "default")), 200, "The account is connected")
	server.Change(func(o *zohosim.Options) { o.User = "ben@example.com" })
	wantPage(t, b.get(c.consent(b, "default")), 200, "Do you want to replace")
	server.AddFault(zohosim.Fault{Where: "accounts", Path: "/revoke", Kind: zohosim.FaultStatus, Status: http.StatusServiceUnavailable})
	a := b.post(c.pages()+"confirm", url.Values{"id": {b.at.Query().Get("id")}, "decision": {"keep"}})
	wantPage(t, a, 200, "Nothing was changed")
	if text := string(a.body); !strings.Contains(text, "could not be revoked") || strings.Contains(text, "was given back") || strings.Contains(text, "is stored") {
		t.Errorf("the page says %s", text)
	}
	if user := c.connections("").Connections[0].User; user != "ann@example.com" {
		t.Errorf("%s holds it", user)
	}
}

// TestReplacedGrants: the places that Zoho keeps are counted and warned about, and the
// grant that is replaced is revoked if the operator says so.
func TestReplacedGrants(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{MaxTokens: -1, MaxCodes: -1})
	token := func() string {
		return server.Grant(clientID, "user@example.com", "us", "ZohoCRM.modules.ALL")
	}
	for i := range 18 {
		c.runInput(token(), 0, "zoho", "import", "main", "default")
		if n := c.connections("").Connections[0].RefreshTokensKnown; n != i+1 {
			t.Fatalf("%d refresh tokens are known, want %d", n, i+1)
		}
	}
	if _, stderr := c.runInput(token(), 0, "zoho", "import", "main", "default"); !strings.Contains(stderr, "19 refresh tokens") {
		t.Errorf("no warning before the last: %s", stderr)
	}
	server.Change(func(o *zohosim.Options) { o.Consent = zohosim.ConsentAuto })
	grants, b := server.Stats().Grants, newBrowser(t)
	wantPage(t, b.get(c.pages()+"connect?account=default"), 200, "ends the first, even if it is in use")
	callback := b.stopAt("/callback", func() answer {
		return b.post(c.pages()+"start", url.Values{"account": {"default"}, "revoke": {"yes"}})
	})
	wantPage(t, b.get(callback), 200, "which was revoked at Zoho")
	if n := server.Stats().Grants; n != grants {
		t.Errorf("%d grants at Zoho, want %d", n, grants)
	}
	if n := c.connections("").Connections[0].RefreshTokensKnown; n != 19 {
		t.Errorf("%d are known", n)
	}
}

// TestPlacesOfOneUser: Zoho's twenty are those of a user, whichever accounts he connects; the
// last ones are warned of wherever somebody might take them.
func TestPlacesOfOneUser(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto, User: "ann@example.com", MaxTokens: -1, MaxCodes: -1})
	const warning = "19 refresh tokens of ann@example.com are known; Zoho keeps 20"
	token := func() string {
		return server.Grant(clientID, "ann@example.com", "us", "ZohoCRM.modules.ALL", "AaaServer.profile.READ", "Desk.tickets.ALL")
	}
	for i := range 17 {
		if _, stderr := c.runInput(token(), 0, "zoho", "import", "main", fmt.Sprint("org-", i)); strings.Contains(stderr, "warning") {
			t.Fatalf("account %d: %s", i, stderr)
		}
	}
	server.AddFault(zohosim.Fault{Where: "accounts", Path: "/revoke", Kind: zohosim.FaultStatus, Status: http.StatusServiceUnavailable})
	b := newBrowser(t)
	callback := b.stopAt("/callback", func() answer {
		return b.post(c.pages()+"start", url.Values{"account": {"org-3"}, "revoke": {"yes"}})
	})
	wantPage(t, b.get(callback), 200, "The grant before was not revoked")
	server.ClearFaults("")
	if n := c.connections("?account=org-3").Connections[0].RefreshTokensKnown; n != 2 {
		t.Errorf("%d are known of an account whose grant of before could not be revoked", n)
	}
	if _, stderr := c.runInput(token(), 0, "zoho", "import", "main", "last"); !strings.Contains(stderr, warning) {
		t.Errorf("no warning: %s", stderr)
	}
	wantPage(t, b.get(c.pages()+"connect?account=new"), 200, warning)
	wantPage(t, b.get(c.pages()+"connect?account=org-3"), 200, warning)
	found(c.doctor(0)).want(t, "grant", "warning", warning)
	c.wantCLI(cli{"connect main new", 1, "/oauth/v2/auth", warning})

	// Somebody else has places of his own.
	server.Change(func(o *zohosim.Options) { o.User = "ben@example.com" })
	wantPage(t, b.get(c.consent(b, "org-3")), 200, "Do you want to replace")
	wantPage(t, b.post(c.pages()+"confirm", url.Values{"id": {b.at.Query().Get("id")}, "decision": {"replace"}}), 200, "Connected")
	if n := c.connections("?account=org-3").Connections[0].RefreshTokensKnown; n != 1 {
		t.Errorf("%d are known of somebody who has consented once", n)
	}
	page := b.get(c.pages() + "connect?account=org-3")
	wantPage(t, page, 200, "Connecting it again replaces")
	if strings.Contains(string(page.body), "refresh tokens of") {
		t.Errorf("another user's places: %s", page.body)
	}
}

// TestUserUnknown, S-25: where the scopes keep Zoho from saying who consents, people are
// told so before, and when a grant was replaced.
func TestUserUnknown(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	b := newBrowser(t)
	wantPage(t, b.get(c.pages()+"connect?account=default"), 200, "The scopes let Zoho say who has consented.")
	c.writeConfig(strings.Replace(onboarding, "AaaServer.profile.READ", "", 1))
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	wantPage(t, b.get(c.pages()+"connect?account=default"), 200, "AaaServer.profile.READ is not among the scopes: that somebody else consents")
	a := b.get(c.consent(b, "default"))
	wantPage(t, a, 200, "The account is connected")
	if bytes.Contains(a.body, []byte("the same user")) {
		t.Errorf("there was nobody before: %s", a.body)
	}
	server.Change(func(o *zohosim.Options) { o.User = "ben@example.com" })
	wantPage(t, b.get(c.consent(b, "default")), 200, "Whether it is the same user as before is not known")
}

// TestAnotherUserWithoutScopes, S-25: who consents is asked for though Zoho does not name
// the scopes, as it mostly does not for a self client's code and a renewal.
func TestAnotherUserWithoutScopes(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{OmitScope: true})
	grant := func(user string) zohosim.GrantSpec {
		return zohosim.GrantSpec{ClientID: clientID, User: user, Scopes: []string{"AaaServer.profile.READ", "ZohoCRM.modules.ALL"}}
	}
	stdout, _ := c.runInput(server.Code(grant("ann@example.com")), 0, "zoho", "connect", "shop", "--self-client")
	if !strings.Contains(stdout, "ann@example.com") {
		t.Errorf("not who gave it: %s", stdout)
	}
	_, stderr := c.runInput(server.Code(grant("eve@example.com")), 1, "zoho", "connect", "shop", "--self-client")
	if !strings.Contains(stderr, "connected by ann@example.com") || !strings.Contains(stderr, "The old grant stays") {
		t.Errorf("not asked: %s", stderr)
	}
	token := server.Grant(clientID, "eve@example.com", "us", "AaaServer.profile.READ")
	c.secrets = append(c.secrets, token)
	_, stderr = c.runInput(token, 1, "zoho", "import", "shop")
	if !strings.Contains(stderr, "now by eve@example.com") {
		t.Errorf("not asked: %s", stderr)
	}
}

// TestUserOfAnotherDataCenter: consent begins at home, and the code comes back with the
// server of the user's own data center. It is exchanged there, with the secret that is
// good there, and that is where the connection lives from then on.
func TestUserOfAnotherDataCenter(t *testing.T) {
	t.Parallel()
	server := zohosim.New(zohosim.Options{Consent: zohosim.ConsentAuto, UserDataCenter: "eu"})
	client := zohosim.Client{ID: clientID, Secret: clientSecret, Secrets: map[string]string{"eu": "secret-of-europe"}}
	server.AddClient(client)
	addr, ca, stop := server.StartTLS(t.TempDir())
	t.Cleanup(stop)
	zoho := tlsClient(t, addr, ca)
	connect := func(c *proxy, account string) answer {
		t.Helper()
		var started struct{ URL, State string }
		c.adminCall(http.MethodPost, "/zoho/connections/main/"+account+"/connect", "").decode(t, &started)
		consent, err := readAnswer(zoho.Get(started.URL))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := json.Marshal(map[string]string{"state": started.State, "callback": consent.Header.Get("Location")})
		return c.adminCall(http.MethodPost, "/zoho/connections/main/"+account+"/connect", string(body))
	}
	start := func(centers, more string) *proxy {
		c := newCaddy(t, onboarding, "ZOHO_DATA_CENTER="+centers, "ZOHO_CONNECT_OPTIONS=", "ZOHO_EU_SECRET=secret-of-europe",
			"ZOHO_CLIENT_OPTIONS=simulator "+addr+" "+ca+"\nredirect_uri http://localhost:1/callback\n"+more)
		c.secrets = append(c.secrets, "secret-of-europe")
		c.start()
		return c
	}

	c := start("us eu", "client_secret eu {env.ZOHO_EU_SECRET}")
	if a := connect(c, "anna"); a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), `"data_center":"eu"`) {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			c.stop()
			c.start()
		}
		for _, path := range []string{"/crm/_echo", "/desk/api/_echo"} {
			a := c.get(path, "Zoho-Proxy-Account", "anna")
			if a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), ".zohoapis.eu") && !strings.Contains(string(a.body), ".zoho.eu") {
				t.Errorf("restarted %v, %s: %s %s", restarted, path, a.Status, a.body)
			}
		}
	}
	if info := c.connections("").Connections[0]; info.DataCenter != "eu" {
		t.Errorf("%+v", info)
	}

	// What can be wrong with it, each in its own words.
	for name, test := range map[string]struct{ centers, more, says string }{
		"not listed":     {"us", "", "is in the data center eu, which client main does not have"},
		"another secret": {"us eu", "", "each data center has its own"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := connect(start(test.centers, test.more), "anna"); a.StatusCode < 400 || !strings.Contains(string(a.body), test.says) {
				t.Errorf("%s %s", a.Status, a.body)
			}
		})
	}
	t.Run("not enabled", func(t *testing.T) {
		client.DataCenters = []string{"us"}
		server.AddClient(client)
		if a := connect(c, "anna"); a.StatusCode < 400 || !strings.Contains(string(a.body), "enabled for the client") {
			t.Errorf("%s %s", a.Status, a.body)
		}
	})
}

// tlsClient takes Zoho's names to the simulator, as a browser would be led to Zoho.
func tlsClient(t *testing.T, addr, caFile string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: newClient().CheckRedirect}
}

// TestInvitation, S-23: a link for one account, good once, that shows only its result
// and returns only where the operator said.
func TestInvitation(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto}, "ZOHO_CONNECT_OPTIONS=callers 127.0.0.2")
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri " + c.pages() + "callback")
	c.stop()
	c.start()
	for _, bad := range []string{"//evil", `/\evil`, "https:evil", "%2f%2fevil", "http://evil.example", "https://user@evil.example", "https://", "javascript:alert(1)", `https:\\evil`} {
		c.wantCLI(cli{"invite main acme --return-to " + bad, 2, "", "no address to return to"})
	}
	c.wantCLI(
		cli{"invite main acme --expires 3000h", 2, "", "90 days"},
		cli{"invite main acme --expires soon", 2, "", "not a duration"},
		cli{"invite main <acme>", 2, "", "no name for an account"},
	)
	link := c.invite("main", "acme", "--return-to", "https://app.example.com/done")
	b := newBrowser(t)
	wantPage(t, b.get(link), 200, "You were invited")
	wantPage(t, b.get(link+"x"), 403, "not an invitation")
	wantPage(t, b.get(strings.Replace(link, "token=", "token=A", 1)), 403, "not an invitation")
	token, _ := url.Parse(link)
	accept := func(b *browser) answer {
		return b.post(c.pages()+"invite", url.Values{"token": {token.Query().Get("token")}, "account": {"other"}, "return_to": {"https://evil.example"}})
	}
	late := newBrowser(t)
	pending := late.stopAt("/callback", func() answer { return accept(late) })
	done := accept(b)
	wantPage(t, done, 200, "Connected")
	if !strings.Contains(string(done.body), `href="https://app.example.com/done"`) || strings.Contains(string(done.body), "All accounts") || strings.Contains(string(done.body), "evil") {
		t.Errorf("the result: %s", done.body)
	}
	list := c.connections("").Connections
	if len(list) != 1 || list[0].Account != "acme" {
		t.Errorf("%+v", list)
	}
	n := server.Stats().TokenRequests
	wantPage(t, late.get(pending), 409, "is connected") // begun before it was used up
	wantPage(t, newBrowser(t).get(link), 409, "is connected")
	wantPage(t, accept(newBrowser(t)), 409, "is connected")
	c.stop()
	c.start()
	wantPage(t, newBrowser(t).get(link), 409, "is connected")
	if now := server.Stats().TokenRequests; now != n {
		t.Errorf("%d more token requests", now-n)
	}
	if strings.Contains(c.output.String(), token.Query().Get("token")) {
		t.Error("the log has the invitation")
	}
}

// TestInvitationLink: a link that others can open is not warned of.
func TestInvitationLink(t *testing.T) {
	t.Parallel()
	c, _ := startOnboarding(t, zohosim.Options{})
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri https://connect.example.com/zoho-connect/callback")
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := c.run("zoho", "invite", "main", "acme")
	if code != 0 || !strings.HasPrefix(stdout, "https://connect.example.com/zoho-connect/invite?token=") || strings.Contains(stderr, "warning") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// TestInvitationAtTheSameTime: two browsers that accept one invitation at once are not
// both connected.
func TestInvitationAtTheSameTime(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	link := c.invite("main", "acme")
	at, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	var callbacks []string
	var browsers []*browser
	for range 2 {
		b := newBrowser(t)
		callbacks = append(callbacks, b.stopAt("/callback", func() answer {
			return b.post(c.pages()+"invite", url.Values{"token": {at.Query().Get("token")}})
		}))
		browsers = append(browsers, b)
	}
	server.AddFault(zohosim.Fault{Where: "accounts", Path: "/token", Kind: zohosim.FaultHang}) // until cleared
	var connected atomic.Int64
	var both sync.WaitGroup
	for i, b := range browsers {
		both.Go(func() {
			a, err := readAnswer(b.Get(callbacks[i]))
			if err != nil {
				t.Error(err)
			}
			if bytes.Contains(a.body, []byte("Your Zoho account is connected")) {
				connected.Add(1)
			}
		})
	}
	c.waitFor("both codes to be exchanged", func() bool { return server.Stats().Faults["accounts/hang"] == 2 })
	server.ClearFaults("")
	both.Wait()
	if n := connected.Load(); n != 1 {
		t.Errorf("%d browsers were connected by one invitation", n)
	}
}

// TestInvitedStranger, S-25: an invitation does not put somebody else in the place of who
// was connected before, nor tells who that was.
func TestInvitedStranger(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri " + c.pages() + "callback")
	c.stop()
	c.start()
	c.runInput(server.Grant(clientID, "ann@example.com", "us", "ZohoCRM.modules.ALL", "AaaServer.profile.READ"), 0, "zoho", "import", "main", "acme")
	link, err := url.Parse(c.invite("main", "acme"))
	if err != nil {
		t.Fatal(err)
	}
	grants := server.Stats().Grants
	accept := func() answer {
		return newBrowser(t).post(c.pages()+"invite", url.Values{"token": {link.Query().Get("token")}})
	}
	a := accept()
	wantPage(t, a, http.StatusConflict, "connected to another Zoho account already")
	if bytes.Contains(a.body, []byte("ann@")) || bytes.Contains(a.body, []byte("60001234567")) {
		t.Errorf("it tells who was there: %s", a.body)
	}
	if info := c.connections("?account=acme").Connections[0]; info.User != "ann@example.com" || server.Stats().Grants != grants {
		t.Errorf("%s holds it, %d grants live at Zoho", info.User, server.Stats().Grants)
	}
	// Zoho names nobody where the invited have taken that scope away, or where it fails.
	b := newBrowser(t)
	to := b.stopAt("/auth", func() answer { return b.post(c.pages()+"invite", url.Values{"token": {link.Query().Get("token")}}) })
	wantPage(t, b.get(regexp.MustCompile(`scope=[^&]*`).ReplaceAllString(to, "scope=ZohoCRM.modules.ALL")), http.StatusConflict, "connected to another Zoho account already")
	server.AddFault(zohosim.Fault{Where: "accounts", Path: "user/info", Kind: zohosim.FaultStatus, Status: http.StatusServiceUnavailable})
	wantPage(t, accept(), http.StatusConflict, "connected to another Zoho account already")
	server.ClearFaults("")
	if info := c.connections("?account=acme").Connections[0]; info.User != "ann@example.com" || server.Stats().Grants != grants {
		t.Errorf("%s holds it, %d grants live at Zoho", info.User, server.Stats().Grants)
	}
	c.wantCLI(cli{"revoke main acme", 0, "", ""})
	wantPage(t, accept(), http.StatusOK, "Connected")
}

// TestInvitationTakesOver: where the grant of an account serves nobody any more, an invitation lets a colleague connect
// it. Where it works, that takes --replace, and the operator is told.
func TestInvitationTakesOver(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri " + c.pages() + "callback")
	c.stop()
	c.start()
	as := func(user string) { server.Change(func(o *zohosim.Options) { o.User = user }) }
	holder := func() string { return c.connections("?account=acme").Connections[0].User }
	invite := func(args ...string) (accept func() answer, warned string) {
		t.Helper()
		link, warned, code := c.run(append([]string{"zoho", "invite", "main", "acme"}, args...)...)
		to, err := url.Parse(strings.TrimSpace(link))
		if err != nil || code != 0 {
			t.Fatalf("exit code %d: %v %s", code, err, warned)
		}
		return func() answer {
			return newBrowser(t).post(c.pages()+"invite", url.Values{"token": {to.Query().Get("token")}})
		}, warned
	}
	wants := func(warned string, says ...string) {
		t.Helper()
		if len(says) == 0 && strings.Contains(warned, "is connected by") {
			t.Errorf("warns: %s", warned)
		}
		for _, text := range says {
			if !strings.Contains(warned, text) {
				t.Errorf("without %q: %s", text, warned)
			}
		}
	}

	accept, warned := invite()
	wants(warned)
	as("ann@example.com")
	wantPage(t, accept(), http.StatusOK, "Connected")
	wantPage(t, accept(), http.StatusConflict, "the account is connected")

	// It works: a colleague is refused, and the log says with what.
	accept, warned = invite()
	wants(warned, "warning: account acme is connected by ann@example.com of organization", "add --replace")
	as("ben@example.com")
	wantPage(t, accept(), http.StatusConflict, "connected to another Zoho account already")
	if line := regexp.MustCompile(`"onboarding failed".*"code":"taken".*"client":"main","account":"acme"`); !line.MatchString(c.output.String()) {
		t.Errorf("the log does not name the account: %s", c.output)
	}

	// It is dead: a colleague connects it, by the very same link.
	server.Revoke("ann@example.com")
	server.RevokeAccess("ann@example.com")
	wantProblem(t, c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "acme"), "grant-dead", http.StatusServiceUnavailable)
	_, warned = invite()
	wants(warned)
	wantPage(t, accept(), http.StatusOK, "Connected")
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "acme"); holder() != "ben@example.com" || a.Header.Get("X-Sim-User") != "ben@example.com" {
		t.Errorf("%s holds it, the call was made as %q: %s", holder(), a.Header.Get("X-Sim-User"), a.Status)
	}

	// It works again, and another person is meant to take over.
	accept, warned = invite("--replace")
	wants(warned, "warning: account acme is connected by ben@example.com", "whoever uses this link takes their place")
	as("carol@example.com")
	wantPage(t, accept(), http.StatusOK, "Connected")
	if holder() != "carol@example.com" {
		t.Errorf("%s holds it", holder())
	}
}

// TestDisplayName: customers read a name that they know and what is asked for in words, and no scope that only the
// proxy needs.
func TestDisplayName(t *testing.T) {
	t.Parallel()
	c, _ := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	for name, want := range map[string]string{"": "main", "display_name Acme <Sync>": "Acme <Sync>"} {
		c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri " + c.pages() + "callback\n" + name)
		c.stop()
		c.start()
		link := c.invite("main", "shop-of-"+want[:4])
		b := newBrowser(t)
		a := b.get(link)
		wantPage(t, a, http.StatusOK, "use your Zoho account")
		for _, says := range []string{"Zoho CRM: see, add, change, and delete records; see your organization’s details", "see your name and email address", "Zoho Desk: ", "<details>"} {
			wantPage(t, a, http.StatusOK, says)
		}
		to, _ := url.Parse(link)
		done := b.post(c.pages()+"invite", url.Values{"token": {to.Query().Get("token")}})
		wantPage(t, done, http.StatusOK, want+"</strong> can use it now.")
		for _, page := range []answer{a, done} {
			if bytes.Contains(page.body, []byte("AaaServer")) {
				t.Errorf("customers read %s", page.body)
			}
		}
	}
}

// TestInvitedWords: whoever came by an invitation reads nothing that concerns the machine,
// also where the operator's own pages would open; the log has all of it.
func TestInvitedWords(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	link, err := url.Parse(c.invite("main", "acme"))
	if err != nil {
		t.Fatal(err)
	}
	token := url.Values{"token": {link.Query().Get("token")}}
	accept := func(change func(callback string) string) answer {
		t.Helper()
		b := newBrowser(t)
		callback := b.stopAt("/callback", func() answer { return b.post(c.pages()+"invite", token) })
		return b.get(change(callback))
	}
	read := func(a answer, status int, says string) {
		t.Helper()
		wantPage(t, a, status, says)
		for _, never := range []string{"Caddyfile", "restarted", "client main", "API console", "20 refresh tokens", "All accounts", "list of connections"} {
			if bytes.Contains(a.body, []byte(never)) {
				t.Errorf("the invited read %q: %s", never, a.body)
			}
		}
		if status >= 400 {
			c.wantReference(a)
		}
	}
	for form, page := range map[string]struct {
		status int
		says   string
	}{
		"foreign-server": {400, "Open the link again later, or ask the person who sent it"},
		"unknown-code":   {502, "Open the link again later, or ask the person who sent it"},
		"refused":        {403, "If that was not meant, open the link again and accept."},
		"of-another":     {403, "Start over: open the link that you were sent"}, // it is not known to be an invitation's
	} {
		a := accept(pasteForms[form])
		if form == "of-another" {
			wantPage(t, a, page.status, page.says)
			continue
		}
		read(a, page.status, page.says)
	}
	c.waitFor("what the operator can read", func() bool {
		return strings.Contains(c.output.String(), "in the data center eu") || strings.Contains(c.output.String(), "none of this client's")
	})

	server.Change(func(o *zohosim.Options) { o.User = "ann@customer.example" })
	read(accept(pasteForms["as-it-is"]), 200, "Your Zoho account is connected.")
	wantPage(t, newBrowser(t).get(link.String()), 409, "is connected")
	read(newBrowser(t).get(c.pages()+"invite?token=x"), 403, "not an invitation")
}

// TestOneCallerLeavesRoom, S-68: a caller that begins consents without end is refused, and others are
// not, whom a server in front has named.
func TestOneCallerLeavesRoom(t *testing.T) {
	t.Parallel()
	server := zohosim.New(zohosim.Options{})
	server.AddClient(usualClient)
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	config := strings.Replace(onboarding, "{\n", "{\n\tservers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t}\n", 1)
	c := startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_CONNECT_OPTIONS=")
	begin := func(i int, address string) answer {
		t.Helper()
		return c.call(http.MethodPost, "/zoho-connect/start", strings.NewReader(fmt.Sprint("account=a", i)),
			"Content-Type", "application/x-www-form-urlencoded", "Origin", c.url, "Sec-Fetch-Site", "same-origin", "X-Forwarded-For", address)
	}
	begun := 0
	for i := range 150 {
		switch a := begin(i, "198.51.100.7"); a.StatusCode {
		case http.StatusSeeOther:
			begun++
		default:
			wantPage(t, a, http.StatusTooManyRequests, "from your address")
		}
	}
	if begun != 100 {
		t.Errorf("%d consents of one caller", begun)
	}
	if a := begin(0, "198.51.100.8"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("somebody else: %s %s", a.Status, a.body)
	}
}
