// Onboarding in the browser: the pages, from Zoho's consent to the first call, against hostile
// pages, texts and strangers; in a real browser, too.

package tests

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-rod/rod"
	"github.com/go-rod/rod/lib/cdp"
	"github.com/go-rod/rod/lib/launcher"
	rodflags "github.com/go-rod/rod/lib/launcher/flags"
	"github.com/go-rod/rod/lib/proto"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestConsent, S-16: from the empty page through Zoho's consent to the first call,
// with no restart, no reload, and no trace of the code.
func TestConsent(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	b := newBrowser(t)
	wantPage(t, b.get(c.pages()), 200, "No account of client main is connected yet.")
	wantProblem(t, c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"), "no-grant", http.StatusServiceUnavailable)
	before := b.get(c.pages() + "connect?account=default")
	wantPage(t, before, 200, "The redirect URI leads to these pages")
	wantPage(t, before, 200, "<code>ZohoCRM.modules.ALL,ZohoCRM.org.READ,AaaServer.profile.READ,Desk.tickets.ALL</code>")
	if bytes.Contains(before.body, []byte("Needs attention:")) {
		t.Errorf("something is amiss: %s", before.body)
	}
	wantPage(t, c.get("/zoho-connect/connect?account=default", "X-Forwarded-For", "192.0.2.1"), 200, "that server has to ask who they are")
	wantPage(t, b.post(c.pages()+"start", url.Values{"account": {"default"}}), 200, "The account is connected")
	if strings.Contains(b.at.String(), "code") || strings.Contains(b.at.String(), "state") {
		t.Errorf("the browser ended at %s", b.at)
	}
	spent := server.Stats().TokenRequests
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"); a.StatusCode >= 300 {
		t.Fatalf("the first call: %s %s", a.Status, a.body)
	}
	wantTokenCalls(t, server, spent) // the token that proved the grant serves
	wantPage(t, b.get(c.pages()), 200, "1 account")
	wantPage(t, b.get(strings.TrimSuffix(c.pages(), "/")), 200, "1 account")
	wantPage(t, newBrowser(t).get(b.at.Scheme+"://"+b.at.Host+"/zoho-connect/?q=nobody"), 200, "No account with")
	info := c.connections("").Connections[0]
	if info.Account != "default" || info.State != "ok" || info.Configured || info.User != "user@example.com" || info.Org != "60001234567" || info.RefreshTokensKnown != 1 {
		t.Errorf("%+v", info)
	}
	c.logs("/zoho-connect/result")
	if log := c.output.String(); strings.Contains(log, "code=1000.") || strings.Contains(log, "state=") {
		t.Error("the access log has the callback")
	}
	// It is there after a restart, at no cost.
	c.stop()
	c.start()
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"); a.StatusCode >= 300 {
		t.Fatalf("after a restart: %s %s", a.Status, a.body)
	}
	wantTokenCalls(t, server, spent)
}

// TestState, S-22: an answer is good once, in the browser that began, for its client.
func TestState(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	refuse := func(name string, a answer, says string) {
		t.Helper()
		if a.StatusCode < 400 {
			t.Errorf("%s: %s", name, a.Status)
		}
		wantPage(t, a, a.StatusCode, says)
		c.wantReference(a)
		if n := server.Stats().TokenRequests; n != 0 {
			t.Fatalf("%s: %d token requests", name, n)
		}
	}
	b := newBrowser(t)
	refuse("an invention", b.get(c.pages()+"callback?code=1000.a.b&state=x"), "was not started here")
	callback := c.consent(b, "default")
	refuse("another browser", newBrowser(t).get(callback), "another browser")
	other := newBrowser(t)
	c.consent(other, "default") // has a cookie, of its own
	refuse("another browser with a cookie", other.get(callback), "another browser")
	refuse("no state", b.get(regexp.MustCompile(`state=[^&]*`).ReplaceAllString(callback, "")), "no state")
	refuse("a state twice", b.get(callback+"&state=x"), "twice")
	refuse("a wrong state", b.get(strings.Replace(callback, "state=", "state=A", 1)), "was not started here")
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	wantPage(t, b.get(callback), 200, "The account is connected") // the reload did not matter
	n := server.Stats().TokenRequests
	wantPage(t, b.get(callback), 409, "used already")
	if now := server.Stats().TokenRequests; now != n {
		t.Errorf("%d more token requests", now-n)
	}
}

// TestStateIsNotUsedUp, S-22: who looks at an answer of Zoho's without being its browser, such as
// a link checker or a browser that guesses, or takes it to the pages of another client, uses
// nothing up.
func TestStateIsNotUsedUp(t *testing.T) {
	t.Parallel()
	server := zohosim.New(zohosim.Options{Consent: zohosim.ConsentAuto})
	server.AddClient(usualClient)
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	other := freePort(t)
	clients := regexp.MustCompile(`(?s)\t\tclient main \{.*?\n\t\t\}\n`)
	config := clients.ReplaceAllStringFunc(onboarding, func(client string) string {
		return client + strings.Replace(client, "client main", "client other", 1)
	})
	config = strings.NewReplacer("\tzoho_connect {", "\tzoho_connect main {", "\tzoho_proxy {", "\tzoho_proxy main {").Replace(config)
	config += "http://:" + other + " {\n\tbind 127.0.0.1\n\tzoho_connect other\n}\n"
	c := startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_CONNECT_OPTIONS=")
	b := newBrowser(t)
	callback := c.consent(b, "default")
	ofTheOther := strings.Replace(callback, c.hostport(), "127.0.0.1:"+other, 1)
	for _, test := range []struct {
		name string
		a    answer
		says string
	}{
		{"another client", b.get(ofTheOther), "was not started here"},
		{"HEAD", b.do(http.MethodHead, callback, nil), ""},
		{"HEAD by a stranger", newBrowser(t).do(http.MethodHead, callback, nil), ""},
		{"a stranger", newBrowser(t).get(callback), "another browser"},
		{"POST", b.post(callback, nil), "no such page"},
		{"a guess", b.with("Sec-Purpose", "prefetch;prerender").get(callback), "not fetched in advance"},
		{"an older guess", b.with("Purpose", "prefetch").get(callback), "not fetched in advance"},
	} {
		if test.a.StatusCode < 400 {
			t.Errorf("%s: %s", test.name, test.a.Status)
		}
		wantPage(t, test.a, test.a.StatusCode, test.says)
		if n := server.Stats().TokenRequests; n != 0 {
			t.Fatalf("%s: %d token requests", test.name, n)
		}
	}
	wantPage(t, b.get(callback), 200, "The account is connected")
	if list := c.connections("").Connections; len(list) != 1 || list[0].Client != "main" {
		t.Errorf("connected: %+v", list)
	}
}

// TestCleanAddress, S-16: whatever becomes of an answer of Zoho's, the browser does not stay at its address: a code
// that was not used is good for whoever reads it there.
func TestCleanAddress(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	b := newBrowser(t)
	refused := func(name string, b *browser, address, code, says string) {
		t.Helper()
		res := b.stopAt("/result", func() answer { return b.get(address) })
		for _, secret := range []string{"code=", "state=", valueOf(address, "code"), valueOf(address, "state")} {
			if secret != "" && strings.Contains(res, secret) {
				t.Errorf("%s leads to %s", name, res)
			}
		}
		a := b.get(res)
		wantPage(t, a, a.StatusCode, says)
		if got := a.Header.Get("Zoho-Connect-Error"); got != code || a.StatusCode < 400 {
			t.Errorf("%s: %s with %q, want %q", name, a.Status, got, code)
		}
		written := newBrowser(t).get(regexp.MustCompile(`ref=[^&]*`).ReplaceAllString(res, "ref=%3Cb%3E")) // by a stranger
		if strings.Contains(res, "ref=") && bytes.Contains(written.body, []byte("In the log")) {
			t.Errorf("%s: %s", name, written.body)
		}
	}
	callback := c.consent(b, "default")
	refused("another browser", newBrowser(t), callback, "state", "another browser")
	refused("no state", b, regexp.MustCompile(`&?state=[^&]*`).ReplaceAllString(callback, ""), "state", "no state")
	refused("a wrong state", b, strings.Replace(callback, "state=", "state=A", 1), "state", "started here")
	refused("a state twice", b, callback+"&state=x", "callback", "twice")
	refused("damaged", b, callback+"&x=%zz", "callback", "damaged")
	refused("the client's id", b, strings.Replace(callback, "code=", "code="+clientID+"&x=", 1), "callback", "could not be used")
	for _, page := range []string{"", "connect", "callback/", "callback/x/y"} {
		refused("an answer at "+page, b, strings.Replace(callback, "/callback?", "/"+page+"?", 1), "callback", "must end in")
	}
	if n := server.Stats().TokenRequests; n != 0 {
		t.Fatalf("%d token requests", n)
	}
	wantPage(t, b.get(callback), 200, "The account is connected")
	refused("used", b, callback, "state-used", "the account is connected")
	wantPage(t, b.get(c.pages()+"result?why=nonsense&ref=12345678"), 400, "could not be used")

	callback = c.consent(b, "default")
	c.stop()
	c.start()
	refused("after a restart", b, callback, "state", "was forgotten")
	if code := valueOf(callback, "code"); strings.Contains(c.output.String(), code) {
		t.Error("the log has the code")
	}
}

// TestAccountsServer, S-21: a code goes nowhere but to the client's own servers.
func TestAccountsServer(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto, MaxCodes: -1})
	var strangers atomic.Int64
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	defer stranger.Close()
	for _, named := range []string{
		stranger.URL, "https://accounts.zoho.com.evil.tld", "http://accounts.zoho.com", "https://user@accounts.zoho.com", "https://accounts.zoho.com:444",
		"https://accounts.zoho.com%00.evil.tld", "https://accounts.zoho.eu", "//accounts.zoho.com", "https:accounts.zoho.com", "javascript:alert(1)",
	} {
		b := newBrowser(t)
		callback := c.consent(b, "account-"+fmt.Sprint(len(named)))
		to, _ := url.Parse(callback)
		query := to.Query()
		query.Set("accounts-server", named)
		to.RawQuery = query.Encode()
		wantPage(t, b.get(to.String()), http.StatusBadRequest, "none of this client's")
	}
	b := newBrowser(t)
	wantPage(t, b.get(c.consent(b, "twice")+"&accounts-server="+url.QueryEscape(stranger.URL)), http.StatusBadRequest, "twice")
	if n := server.Stats().TokenRequests; n != 0 || strangers.Load() != 0 {
		t.Errorf("%d token requests, %d at a stranger's", n, strangers.Load())
	}
	// Missing: the home of the client.
	b = newBrowser(t)
	callback := regexp.MustCompile(`accounts-server=[^&]*&?`).ReplaceAllString(c.consent(b, "missing"), "")
	wantPage(t, b.get(callback), 200, "The account is connected")
}

// TestForeignPages, S-11 and S-26: forms of other sites, names that were rebound, and
// callers that are not admitted begin nothing; nor does anybody without end.
func TestForeignPages(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	form := "account=default"
	for _, header := range [][]string{
		{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		{"Host", "evil.example", "Origin", "http://evil.example"},
	} {
		header = append(header, "Content-Type", "application/x-www-form-urlencoded")
		a := c.call(http.MethodPost, "/zoho-connect/start", strings.NewReader(form), header...)
		if a.StatusCode != http.StatusForbidden {
			t.Errorf("%q: %s", header, a.Status)
		}
	}
	if a := c.call(http.MethodGet, "/zoho-connect/", nil, "Host", "evil.example"); a.StatusCode != http.StatusForbidden {
		t.Errorf("a rebound name reads the list: %s", a.Status)
	}
	if n := server.Stats().Authorizations; n != 0 {
		t.Errorf("%d consents began", n)
	}
	limited := 0
	for range 30 {
		a := c.call(http.MethodPost, "/zoho-connect/start", strings.NewReader(form), "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
		if a.StatusCode == http.StatusTooManyRequests && a.Header.Get("Retry-After") != "" {
			limited++
		}
	}
	if limited != 20 {
		t.Errorf("%d of 30 starts were refused, want 20", limited)
	}

	c.setenv("ZOHO_CONNECT_OPTIONS=callers 127.0.0.2")
	c.stop()
	c.start()
	for range 30 {
		if a := c.call(http.MethodPost, "/zoho-connect/start", strings.NewReader(form), "Content-Type", "application/x-www-form-urlencoded"); a.StatusCode != http.StatusForbidden {
			t.Errorf("a caller who is not admitted: %s", a.Status)
		}
	}
	for _, page := range []string{"", "connect?account=default"} {
		if a := c.get("/zoho-connect/" + page); a.StatusCode != http.StatusForbidden {
			t.Errorf("a caller who is not admitted reads %q: %s", page, a.Status)
		}
	}
}

// TestOtherNameOfThisMachine: a consent that is begun at 127.0.0.1 cannot end at localhost,
// which is said before it.
func TestOtherNameOfThisMachine(t *testing.T) {
	t.Parallel()
	c, _ := startOnboarding(t, zohosim.Options{})
	localhost := strings.Replace(c.pages(), "127.0.0.1", "localhost", 1)
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri " + localhost + "callback")
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	wantPage(t, newBrowser(t).get(c.pages()+"connect?account=default"), http.StatusOK, "open "+localhost+" instead: the cookie of this address is not sent there.")
}

// TestHostileText, S-24: what others write is shown as text.
func TestHostileText(t *testing.T) {
	t.Parallel()
	c, _ := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	const script = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	b := newBrowser(t)
	state := regexp.MustCompile(`state=([^&]*)`).FindStringSubmatch(c.consent(b, "default"))[1]
	for _, path := range []string{
		"callback?error=" + url.QueryEscape(script) + "&state=" + state, "?q=" + url.QueryEscape(script), "connect?account=" + url.QueryEscape(script),
		"result?id=" + url.QueryEscape(script), "invite?token=" + url.QueryEscape(script), url.PathEscape(script),
	} {
		a := b.get(c.pages() + path)
		wantPage(t, a, a.StatusCode, "")
		if a.StatusCode >= 400 {
			c.wantReference(a)
		}
		if bytes.Contains(a.body, []byte("<script>")) || bytes.Contains(a.body, []byte("<img")) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

// TestPagesElsewhere: the pages work where a prefix is taken off their path, too.
func TestPagesElsewhere(t *testing.T) {
	t.Parallel()
	c, _ := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	c.secrets, c.zoho = c.secrets[:1], nil // at debug level Caddy's own rewriting logs whole addresses, codes included
	c.writeConfig(strings.Replace(onboarding, "	zoho_connect {", "	handle_path /office/* {\n		zoho_connect *\n	}\n	zoho_connect {", 1))
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	wantPage(t, b.get(c.url+"/office/"), 200, "No account of client main is connected yet.")
	wantPage(t, b.get(c.url+"/office/connect?account=default"), 200, c.url+"/office/callback")
	wantPage(t, b.post(c.url+"/office/start", url.Values{"account": {"default"}}), 200, "The account is connected")
	if b.at.Path != "/office/result" {
		t.Errorf("the browser ended at %s", b.at)
	}
	wantPage(t, b.get(c.url+"/office/x/"), 404, "There is no such page.")

	// What is printed for another machine's browser leads there as well.
	for site, callback := range map[string]string{
		"handle_path /office/* {\n\t\tzoho_connect *\n\t}": "/office/callback",
		"handle_path /office/* {\n\t\tzoho_connect\n\t}":   "/office/zoho-connect/callback",
		"handle /office/* {\n\t\tzoho_connect *\n\t}":      "/office/callback",
		"@office path /office/*\n\tzoho_connect @office":   "/office/callback",
		"zoho_connect": "/zoho-connect/callback",
		"@here remote_ip 127.0.0.1\n\tzoho_connect @here":                              "/zoho-connect/callback",
		"handle_path /a/* {\n\t\thandle_path /b/* {\n\t\t\tzoho_connect *\n\t\t}\n\t}": "/a/b/callback",
	} {
		c.writeConfig(strings.Replace(onboarding, "\tzoho_connect {\n\t\t{$ZOHO_CONNECT_OPTIONS}\n\t}", "\t"+site, 1))
		if err := c.reload(); err != nil {
			t.Fatalf("%s: %v", site, err)
		}
		var started struct {
			RedirectURI string `json:"redirect_uri"`
		}
		c.adminCall(http.MethodPost, "/zoho/connections/main/default/connect", "").decode(t, &started)
		if started.RedirectURI != c.url+callback {
			t.Errorf("%s: the redirect URI is %s", site, started.RedirectURI)
		}
		wantPage(t, b.get(c.url+strings.TrimSuffix(callback, "callback")), 200, "1 account")
	}
}

// guarded is the site of docs/onboarding.md with passwords, on a port of its own.
func guarded(t *testing.T, guard string) string {
	t.Helper()
	site := regexp.MustCompile("(?s)```caddyfile\nconnect.example.com \\{\n(.*?basic_auth.*?)```").FindStringSubmatch(readDoc(t, "docs/onboarding.md"))
	if site == nil {
		t.Fatal("docs/onboarding.md has no site with passwords")
	}
	body := site[1]
	if guard != "" {
		body = regexp.MustCompile(`(?s)\t@admins \{.*?\n\t\}\n`).ReplaceAllString(body, "\t@admins "+guard+"\n")
	}
	global, _, _ := strings.Cut(onboarding, "http://:")
	return global + "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n" + body
}

// TestGuardedByPath, S-26: a password that is asked for by paths cannot be gone round by other
// spellings of them, whether the guard names what is closed or what is open.
func TestGuardedByPath(t *testing.T) {
	t.Parallel()
	c, _ := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto}, "ADMIN_HASH_ANN="+hashOfHiccup)
	for _, guard := range []string{"", "path /zoho-connect/ /zoho-connect/connect /zoho-connect/start"} {
		c.writeConfig(guarded(t, guard))
		if err := c.reload(); err != nil {
			t.Fatal(err)
		}
		for _, page := range []string{"", "connect?account=x", "start"} {
			for _, path := range []string{
				"/zoho-connect/", "/zoho-connect/x/", "/zoho-connect/x%2F", "/zoho-connect/./", "/zoho-connect/x/../", "//zoho-connect/", "/zoho-connect//", "/zoho-connect/callback/",
				"/zoho-connect/callback/../", "/zoho-connect/callback%2f", "/zoho-connect/x;/", "/ZOHO-connect/", "/zoho-connect/%2e/", "/zoho-connect/style.css/", "/%7aoho-connect/", "/x/../zoho-connect/",
			} {
				for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
					a := c.call(method, path+page, strings.NewReader("account=x"), "Content-Type", "application/x-www-form-urlencoded")
					if a.StatusCode < 400 && (a.StatusCode != http.StatusOK || len(a.body) > 0) { // what no site serves is empty
						t.Errorf("guarded by %q: %s %s: %s %s", guard, method, path+page, a.Status, a.Header.Get("Location"))
					}
				}
			}
		}
		if a := c.get("/zoho-connect/", "Authorization", "Basic YW5uOmhpY2N1cA=="); a.StatusCode != http.StatusOK {
			t.Errorf("guarded by %q: ann: %s", guard, a.Status)
		}
		for _, open := range []string{"callback", "result", "invite", "style.css"} {
			if a := c.get("/zoho-connect/" + open); a.StatusCode == http.StatusUnauthorized {
				t.Errorf("guarded by %q: %s: %s", guard, open, a.Status)
			}
		}
	}
}

// TestBodiesOfStrangers, S-59: what is no form of ours is not read, whoever sends it, so
// that nobody fills the disk.
func TestBodiesOfStrangers(t *testing.T) {
	t.Parallel()
	c, _ := startOnboarding(t, zohosim.Options{}, "ZOHO_CONNECT_OPTIONS=callers 127.0.0.2")
	tmp := t.TempDir()
	c.setenv("TMPDIR=" + tmp)
	c.stop()
	c.start()
	body := "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" + strings.Repeat("x", 40<<20) + "\r\n--x--\r\n"
	for _, request := range []string{"POST confirm", "POST invite", "POST start", "GET result", "GET invite", "GET ", "GET callback"} {
		method, page, _ := strings.Cut(request, " ")
		a, err := c.try(method, "/zoho-connect/"+page, strings.NewReader(body), "Content-Type", "multipart/form-data; boundary=x")
		if err == nil && a.Header.Get("Zoho-Connect-Error") == "" {
			t.Errorf("%s: %s", request, a.Status)
		}
		if files, _ := os.ReadDir(tmp); len(files) != 0 {
			t.Errorf("%s leaves %d files", request, len(files))
		}
	}
	long := url.Values{"id": {strings.Repeat("x", 20<<10)}}.Encode()
	if a, err := c.try(http.MethodPost, "/zoho-connect/confirm", strings.NewReader(long), "Content-Type", "application/x-www-form-urlencoded"); err == nil && a.StatusCode != http.StatusBadRequest {
		t.Errorf("a long form: %s", a.Status)
	}
}

// TestStrayAnswers, S-16: an answer of Zoho's that comes to another address than the
// callback's is not used, and not in the log either. Nor does a browser that guesses use one up.
func TestStrayAnswers(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	b := newBrowser(t)
	callback := c.consent(b, "default")
	for _, page := range []string{"callback/", "Callback", "callback;x", "callback%20", "", "connect"} {
		a := b.get(strings.Replace(callback, "/callback?", "/"+page+"?", 1))
		wantPage(t, a, http.StatusBadRequest, "must end in")
	}
	req, err := http.NewRequest(http.MethodGet, callback, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Purpose", "prefetch;prerender")
	if a, err := readAnswer(b.Do(req)); err != nil || a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a prefetch: %v %v", a.Status, err)
	}
	if n := server.Stats().TokenRequests; n != 0 {
		t.Errorf("%d token requests", n)
	}
	wantPage(t, b.get(callback), http.StatusOK, "The account is connected")
	if code := valueOf(callback, "code"); strings.Contains(c.output.String(), code) {
		t.Error("the log has the code")
	}
	if state := valueOf(callback, "state"); strings.Contains(c.output.String(), state) {
		t.Error("the log has the state")
	}
	for host, status := range map[string]int{"evil": 403, "evilpc:8080": 403, "evil.example": 403, "localhost": 200, "localhost.:8080": 200, "[::ffff:127.0.0.1]": 200, "127.0.0.1:1": 200} {
		if a := c.get("/zoho-connect/", "Host", host); a.StatusCode != status {
			t.Errorf("by the name %s: %s, want %d", host, a.Status, status)
		}
	}
}

// TestManyAccounts: with a thousand accounts in the store the pages show some of them,
// lead to the others, and find one.
func TestManyAccounts(t *testing.T) {
	t.Parallel()
	const many = 1000
	server := zohosim.New(zohosim.Options{})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret})
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	c := newCaddy(t, onboarding, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_CONNECT_OPTIONS=")
	store := boltstore.New(c.storeDir())
	for i := range many {
		user := fmt.Sprintf("user%04d@example.com", i)
		err := store.SaveGrant(tokencache.Key{Client: "main", Account: fmt.Sprintf("account-%04d", i)}, [][]byte{[]byte(clientSecret)},
			tokencache.Grant{RefreshToken: server.Grant(clientID, user, "us"), AccountsServer: baseURL, User: user})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	c.start()
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "account-0234"); a.StatusCode >= 300 {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	server.Revoke("user0777@example.com")
	wantProblem(t, c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "account-0777"), "grant-dead", http.StatusServiceUnavailable)
	for _, test := range []struct {
		query     string
		has, lack []string
	}{
		{"", []string{"1 to 50 of 1,000 accounts", "<b>1</b> dead", "<b>999</b> ok", "Connect account-0777 again", "account-0000", "account-0048", "Page 1 of 20", "./?page=2"}, []string{"account-0049", "Previous"}},
		{"?page=20", []string{"account-0999", "Page 20 of 20", "./?page=19"}, []string{"Next", "account-0948<"}},
		{"?page=4000", []string{"account-0999"}, nil},
		{"?page=-1", []string{"account-0000"}, nil},
		{"?show=dead", []string{"1 account, dead", "account-0777", "<b>1,000</b> all"}, []string{"account-0000", "Page "}},
		{"?show=ok&page=2", []string{"51 to 100 of 999 accounts, ok", "account-0050", "./?page=3&amp;show=ok"}, []string{"account-0777<"}},
		{"?show=contended", []string{"No account is contended", "<b>0</b> contended"}, []string{"account-0000"}},
		{"?show=dead&q=0778", []string{"No account with “0778” is dead", "<b>1</b> ok"}, []string{"account-0777<"}},
		{"?account=account-0777", []string{"connect it again", "user0777@example.com"}, []string{"account-0000", "Manage"}},
		{"?account=nobody", []string{"no stored grant of an account nobody"}, nil},
		{"?q=account-02", []string{"100 accounts", "account-0234", "Page 1 of 2", "q=account-02"}, []string{"account-0000"}},
		{"?q=USER0234@", []string{"1 account,", "account-0234"}, []string{"account-0235", "Page "}},
		{"?q=nobody", []string{"No account with"}, []string{"account-"}},
	} {
		page := string(newBrowser(t).get(c.pages() + test.query).body)
		for _, text := range test.has {
			if !strings.Contains(page, text) {
				t.Errorf("%s: there is no %q", test.query, text)
			}
		}
		for _, text := range test.lack {
			if strings.Contains(page, text) {
				t.Errorf("%s: there is %q", test.query, text)
			}
		}
	}
}

// startChromium starts a real browser; flags holds names and values of its own in turn.
func startChromium(t *testing.T, flags ...string) *rod.Browser {
	t.Helper()
	l := launcher.New().Bin(tool(t, "chromium")).Leakless(false).NoSandbox(true).UserDataDir(t.TempDir()).Set("disable-dev-shm-usage")
	for i := 0; i+1 < len(flags); i += 2 {
		l.Set(rodflags.Flag(flags[i]), flags[i+1])
	}
	control, err := l.Launch()
	if err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	t.Cleanup(l.Kill)
	return rod.New().ControlURL(control).MustConnect()
}

// window is one of a browser, used as a person does.
type window struct {
	t *testing.T
	*rod.Page
}

func newWindow(t *testing.T, b *rod.Browser) *window {
	page := b.MustPage().Timeout(2 * patience) // for all that is done in it
	page.MustSetViewport(800, 900, 1, false)
	return &window{t, page}
}

func (w *window) open(url string) *window {
	w.MustNavigate(url)
	w.find("body", anything)
	return w
}

// anything is a text for find.
const anything = "^"

// find waits for an element that has a text, which is a regular expression. On its way from one page to the
// next the browser says that what was looked at is gone: then it is looked for anew.
func (w *window) find(selector, text string) *rod.Element {
	w.t.Helper()
	for {
		element, err := w.ElementR(selector, text)
		if err == nil {
			err = w.WaitLoad()
		}
		if gone := new(cdp.Error); errors.As(err, &gone) {
			continue
		}
		if err != nil {
			w.t.Fatalf("%s %q: %v", selector, text, err)
		}
		return element
	}
}

// press presses the button with that text.
func (w *window) press(text string) *window {
	w.find("button", text).MustClick()
	return w
}

// heading waits for the page with that heading.
func (w *window) heading(text string) *window {
	w.find("h1", text)
	return w
}

func (w *window) says(text string) *window {
	w.find("main", text)
	return w
}

// accept consents on Zoho's page, as the user given or the one it knows.
func (w *window) accept(user string) *window {
	w.find("#accept", anything)
	if user != "" {
		w.find("input[name=user]", anything).MustSelectAllText().MustInput(user)
	}
	w.find("#accept", anything).MustClick()
	return w
}

// keep makes a picture of the page. Those in docs/ are made by
// `SCREENSHOTS=docs/screenshots go test ./tests -run TestInTheBrowser`.
func (w *window) keep(name string) *window {
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		picture, err := w.Screenshot(true, &proto.PageCaptureScreenshot{Format: proto.PageCaptureScreenshotFormatPng})
		if err == nil {
			err = os.WriteFile(filepath.Join("..", dir, name+".png"), picture, 0o644)
		}
		if err != nil {
			w.t.Error(err)
		}
	}
	return w
}

// noCode looks at the address that the browser shows.
func (w *window) noCode() *window {
	w.t.Helper()
	if at := w.MustInfo().URL; strings.Contains(at, "code=") || strings.Contains(at, "state=") {
		w.t.Errorf("the browser stays at %s", at)
	}
	return w
}

// dark has the window prefer dark colors.
func (w *window) dark(on bool) *window {
	scheme := "light"
	if on {
		scheme = "dark"
	}
	err := proto.EmulationSetEmulatedMedia{Features: []*proto.EmulationMediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}.Call(w)
	if err != nil {
		w.t.Fatal(err)
	}
	return w
}

// TestInTheBrowser drives Chromium from the empty page through the simulator's consent
// to the first call through the proxy.
func TestInTheBrowser(t *testing.T) {
	t.Parallel()
	browser := startChromium(t)
	c, server := startOnboarding(t, zohosim.Options{})
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri " + c.pages() + "callback")
	c.stop()
	c.start()
	works := func(account string) {
		t.Helper()
		if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", account); a.StatusCode >= 300 {
			t.Errorf("account %s: %s %s", account, a.Status, a.body)
		}
	}
	w := newWindow(t, browser)
	w.MustSetViewport(1000, 900, 1, false)
	begin := func(account string) *window {
		w.open(c.pages()).heading("Accounts of main")
		w.find("#account", anything).MustSelectAllText().MustInput(account)
		return w.press("Continue").heading("Connect " + account)
	}

	w.open(c.pages()).heading("Accounts of main").keep("empty")
	w.press("Continue").heading("Connect default").keep("before-consent").press("Continue to Zoho")
	w.find("#accept", anything)
	consent := w.MustInfo().URL
	w.accept("").heading("Connected").keep("connected")
	w.noCode()
	works("default")

	// A second account, by a double click.
	begin("second")
	if err := w.find("button", "Continue to Zoho").Click(proto.InputMouseButtonLeft, 2); err != nil {
		t.Fatal(err)
	}
	w.accept("").heading("Connected")
	works("second")

	// A stale tab: Zoho's page of the first consent, whose answer was used.
	w.open(consent).accept("").heading("Already connected").says("used already").keep("used").noCode()

	// Zoho's answer comes to another browser, as by a link that was copied.
	newWindow(t, browser.MustIncognito()).open(consent).accept("").heading("That didn’t work").says("another browser").noCode()

	// Consent is refused; what was connected stays.
	begin("default").press("Continue to Zoho")
	w.find("#reject", anything).MustClick()
	w.heading("That didn’t work").says("Consent was refused").keep("refused")
	works("default")

	// Somebody else consents: the page asks.
	begin("default").press("Continue to Zoho").accept("ben@example.com").heading("A different user than before").keep("somebody-else")
	w.press("Keep the one before").heading("Nothing was changed").says("connected as before").keep("nothing-changed")
	if info := c.connections("?account=default").Connections[0]; info.User != "user@example.com" {
		t.Errorf("%s holds it", info.User)
	}

	// A customer, in a browser of his own.
	link := c.invite("main", "acme")
	customer := newWindow(t, browser.MustIncognito())
	customer.open(link).heading("Connect your Zoho account").keep("invitation")
	customer.press("Continue to Zoho").accept("ann@customer.example").heading("Connected").keep("invited")
	works("acme")
	customer.open(link).heading("Already connected").says("the account is connected").keep("used-link")

	// An answer to a consent that is gone with the Caddy that began it.
	begin("third").press("Continue to Zoho")
	w.find("#accept", anything)
	c.stop()
	c.start()
	w.accept("").heading("That didn’t work").says("was forgotten").keep("forgotten").noCode()

	server.Revoke("ann@customer.example")
	server.RevokeAccess("ann@customer.example")
	wantProblem(t, c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "acme"), "grant-dead", http.StatusServiceUnavailable)
	w.open(c.pages()).heading("Accounts of main").says("no longer accepts the refresh token").keep("connections")
	w.dark(true).open(c.pages()).heading("Accounts of main").keep("connections-dark").dark(false)
	w.open(c.pages() + "?account=default").says("Connected by").keep("account")
	w.MustSetViewport(360, 740, 2, true)
	w.open(c.pages() + "?account=acme").says("connect it again").says("refused by Zoho")
	w.open(c.pages()).heading("Accounts of main").keep("connections-phone")
	if width := w.MustEval("() => document.documentElement.scrollWidth").Int(); width > 360 {
		t.Errorf("the page is %d wide on a phone of 360", width)
	}
	if n := server.Stats().TokenResults["throttled"]; n != 0 {
		t.Errorf("%d token calls were throttled", n)
	}
}

// TestExpiredInTheBrowser: whoever has taken more than ten minutes for Zoho's page is told so,
// and nothing is exchanged. TestExpiredPage of internal/onboard shows the same by a clock of its own.
func TestExpiredInTheBrowser(t *testing.T) {
	t.Parallel()
	if os.Getenv("WAIT_FOR_EXPIRY") == "" {
		t.Skip("it takes more than ten minutes: set WAIT_FOR_EXPIRY=1")
	}
	browser := startChromium(t)
	c, server := startOnboarding(t, zohosim.Options{})
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri " + c.pages() + "callback")
	c.stop()
	c.start()
	w := newWindow(t, browser)
	w.open(c.pages()).press("Continue").heading("Connect default").press("Continue to Zoho")
	w.find("#accept", anything)
	w = &window{t, w.CancelTimeout()}
	time.Sleep(10*time.Minute + time.Second) // a consent's life: nothing else is to happen
	w = &window{t, w.Timeout(patience)}
	w.accept("").heading("That didn’t work").says("more than 10 minutes ago").keep("expired")
	wantTokenCalls(t, server, 0)
	if list := c.connections("").Connections; len(list) != 0 {
		t.Errorf("there is %v", list)
	}
}
