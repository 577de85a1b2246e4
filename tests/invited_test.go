package tests

import (
	"bytes"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

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
		cli{"invite main acme --expires soon", 2, "", "no duration"},
		cli{"invite main <acme>", 2, "", "no name for an account"},
	)
	link := c.invite("main", "acme", "--return-to", "https://app.example.com/done")
	b := newBrowser(t)
	wantPage(t, b.get(link), 200, "You were invited")
	wantPage(t, b.get(link+"x"), 403, "no invitation")
	wantPage(t, b.get(strings.Replace(link, "token=", "token=A", 1)), 403, "no invitation")
	token, _ := url.Parse(link)
	accept := func(b *browser) answer {
		return b.post(c.pages()+"invite", url.Values{"token": {token.Query().Get("token")}, "account": {"other"}, "return_to": {"https://evil.example"}})
	}
	late := newBrowser(t)
	pending := late.stopAt("/callback", func() answer { return accept(late) })
	done := accept(b)
	wantPage(t, done, 200, "Connected")
	if !strings.Contains(string(done.body), `href="https://app.example.com/done"`) || strings.Contains(string(done.body), "All connections") || strings.Contains(string(done.body), "evil") {
		t.Errorf("the result: %s", done.body)
	}
	list := c.connections("").Connections
	if len(list) != 1 || list[0].Account != "acme" {
		t.Errorf("%+v", list)
	}
	n := server.Stats().TokenRequests
	wantPage(t, late.get(pending), 403, "was used") // begun before it was used up
	wantPage(t, newBrowser(t).get(link), 403, "was used")
	wantPage(t, accept(newBrowser(t)), 403, "was used")
	c.stop()
	c.start()
	wantPage(t, newBrowser(t).get(link), 403, "was used")
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
		for _, never := range []string{"Caddyfile", "restarted", "client main", "API console", "20 refresh tokens", "All connections", "list of connections"} {
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
		"foreign-server": {400, "Open the link again later, or ask whoever sent it"},
		"unknown-code":   {502, "Open the link again later, or ask whoever sent it"},
		"refused":        {403, "If that was not meant, open the link again and accept."},
		"of-another":     {403, "Begin the consent anew"}, // it is not known to be an invitation's
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
	read(newBrowser(t).get(link.String()), 403, "was used")
	read(newBrowser(t).get(c.pages()+"invite?token=x"), 403, "no invitation")
}
