// The option manage of zoho_connect: inviting, revoking and forgetting by the pages.

package tests

import (
	"bytes"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestManage: with the option whoever may see the list also invites, revokes and forgets, as the commands do; each is
// asked about first, and stands in the log with client and account.
func TestManage(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto}, "ZOHO_CONNECT_OPTIONS=manage")
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri " + c.pages() + "callback")
	c.stop()
	c.start()
	token := server.Grant(clientID, "ann@example.com", "us", "ZohoCRM.modules.ALL", "AaaServer.profile.READ")
	for _, account := range []string{"acme", "twin"} {
		c.runInput(token, 0, "zoho", "import", "main", account)
	}
	c.runInput(server.Grant(clientID, "ben@example.com", "us", "ZohoCRM.modules.ALL"), 0, "zoho", "import", "main", "shop")
	b := newBrowser(t)
	ask := func(account, do string) answer {
		return b.get(c.pages() + "?" + url.Values{"account": {account}, "do": {do}}.Encode())
	}
	act := func(account, do string, more ...string) answer {
		form := url.Values{"account": {account}, "do": {do}}
		for i := 0; i < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return b.post(c.pages(), form)
	}
	logged := func(do, account, result string) {
		t.Helper()
		line := regexp.MustCompile(`"administration","action":"page manage ` + do + `","client":"main","account":"` + account + `","by":"[^"]+".*"result":"` + result + `"`)
		c.waitFor("the audit to tell "+do, func() bool { return line.MatchString(c.output.String()) })
	}
	wantPage(t, b.get(c.pages()+"?account=acme"), 200, "Manage")

	// An invitation, with the question whom it may replace.
	wantPage(t, ask("new", "invite"), 200, "Make the link")
	wantPage(t, ask("acme", "invite"), 200, "connected by ann@example.com")
	link := regexp.MustCompile(`<code>(http[^<]*)</code>`)
	made := act("acme", "invite", "expires", "24h", "return_to", "https://app.example.com/done", "replace", "yes")
	wantPage(t, made, 200, "and no one else")
	logged("invite", "acme", "ok")
	if !link.Match(made.body) {
		t.Fatalf("no link: %s", made.body)
	}
	to, err := url.Parse(html.UnescapeString(string(link.FindSubmatch(made.body)[1])))
	if err != nil {
		t.Fatal(err)
	}
	c.secrets = append(c.secrets, to.Query().Get("token"))
	server.Change(func(o *zohosim.Options) { o.User = "carol@example.com" })
	done := newBrowser(t).post(c.pages()+"invite", url.Values{"token": {to.Query().Get("token")}})
	wantPage(t, done, 200, "https://app.example.com/done")
	if user := c.connections("?account=acme").Connections[0].User; user != "carol@example.com" {
		t.Errorf("%s holds it", user)
	}
	wantPage(t, act("acme", "invite", "expires", "24h", "return_to", "//evil.example"), 400, "no address to return to")
	wantPage(t, act("acme", "invite", "expires", "3000h"), 400, "at most 90 days")

	// What ends for others too takes a second look.
	c.runInput(token, 0, "zoho", "import", "main", "acme", "--replace")
	wantPage(t, ask("acme", "revoke"), 200, "The same refresh token belongs to account twin")
	wantPage(t, act("acme", "revoke"), 409, "has the same refresh token")
	logged("revoke", "acme", "failed")
	grants := server.Stats().Grants
	wantPage(t, ask("twin", "forget"), 200, "stays valid at Zoho")
	wantPage(t, act("twin", "forget"), 200, "no longer connected")
	logged("forget", "twin", "ok")
	if server.Stats().Grants != grants {
		t.Error("what was forgotten was revoked")
	}
	wantPage(t, ask("acme", "revoke"), 200, "You cannot undo this")
	wantPage(t, act("acme", "revoke"), 200, "revoked at Zoho")
	logged("revoke", "acme", "ok")
	if server.Stats().Grants != grants-1 {
		t.Error("it was not revoked")
	}
	wantPage(t, act("acme", "revoke"), 404, "no stored grant")
	wantPage(t, ask("acme", "forget"), 404, "no stored grant")
	wantPage(t, act("shop", "rename"), 404, "no such page")
	wantPage(t, act("<b>", "revoke"), 400, "no name for an account")

	// Nobody else has the browser do it, and without the option it is not there.
	forged := "account=shop&do=revoke"
	refused := func(status int, header ...string) {
		t.Helper()
		a := c.call(http.MethodPost, "/zoho-connect/", strings.NewReader(forged), append(header, "Content-Type", "application/x-www-form-urlencoded")...)
		if a.StatusCode != status || len(c.connections("?account=shop").Connections) != 1 {
			t.Errorf("%q: %s", header, a.Status)
		}
	}
	refused(403, "Origin", "https://evil.example")
	refused(403, "Sec-Fetch-Site", "cross-site")
	refused(403, "Host", "evil.example")
	if a := b.get(c.pages() + "?" + forged); a.StatusCode != 200 || !bytes.Contains(a.body, []byte("Revoke shop?")) || len(c.connections("?account=shop").Connections) != 1 {
		t.Errorf("a link alone: %s", a.Status)
	}
	for options, status := range map[string]int{"": 404, "manage\ncallers 127.0.0.2": 403} {
		c.setenv("ZOHO_CONNECT_OPTIONS=" + options)
		c.stop()
		c.start()
		for _, do := range []string{"invite", "revoke", "forget"} {
			if a := ask("shop", do); a.StatusCode != status {
				t.Errorf("with %q, %s is shown: %s", options, do, a.Status)
			}
		}
		refused(status, "Sec-Fetch-Site", "same-origin")
		if a := b.get(c.pages() + "?account=shop"); bytes.Contains(a.body, []byte("Manage")) {
			t.Errorf("with %q: %s", options, a.body)
		}
	}
}
