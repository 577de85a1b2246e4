// Scopes are added to a grant that is there: in the browser, in a terminal, for a configured grant, in a fleet,
// while calls run; against strangers, answers that come twice, and a Zoho that refuses.

package tests

import (
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// narrow are fewer scopes than the configuration asks for, and addedScopes those that it lacks.
var (
	addedScopes = []string{"ZohoCRM.org.READ", "Desk.tickets.ALL"}
	narrow      = []string{"ZohoCRM.modules.ALL", "AaaServer.profile.READ"}
)

// startNarrow has the account default connected with fewer scopes than the configuration asks for. The redirect
// URI is registered at Zoho, which compares it to the letter.
func startNarrow(t *testing.T, o zohosim.Options, env ...string) (c *proxy, server *zohosim.Server, refreshToken string) {
	t.Helper()
	c, server = startOnboarding(t, o, env...)
	webApplication(server, c.pages()+"callback")
	refreshToken = server.Grant(clientID, "", "", narrow...)
	c.runInput(refreshToken, 0, "zoho", "import", "main", "default")
	return c, server, refreshToken
}

// webApplication makes the client one whose grants scopes can be added to.
func webApplication(server *zohosim.Server, redirectURIs ...string) {
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, RedirectURIs: redirectURIs})
}

func (c *proxy) addScopes(b *browser, account string) answer {
	return b.post(c.pages()+"add-scopes", url.Values{"account": {account}})
}

// answerOf begins to add scopes in b and gives the address that Zoho sends the browser to.
func (c *proxy) answerOf(b *browser, account string) string {
	return b.stopAt("/callback", func() answer { return c.addScopes(b, account) })
}

func (c *proxy) account(name string) connection {
	c.t.Helper()
	list := c.connections("?account=" + name).Connections
	if len(list) != 1 {
		c.t.Fatalf("account %s: %+v", name, list)
	}
	return list[0]
}

func (c *proxy) desk(account string) int {
	return c.get("/desk/api/v1/tickets", "Zoho-Proxy-Account", account).StatusCode
}

// TestAddScopes: from what is missing to a call that needs it, by the same refresh token, and by the same
// access token where Zoho has added the scopes to that as well.
func TestAddScopes(t *testing.T) {
	t.Parallel()
	for variant, renewals := range map[string]int{"": 0, "enhance-new-tokens": 1} {
		t.Run("variant "+variant, func(t *testing.T) {
			t.Parallel()
			o := zohosim.Options{Consent: zohosim.ConsentAuto}
			if variant != "" {
				o.Variants = []string{variant}
			}
			c, server, refreshToken := startNarrow(t, o)
			before := c.account("default")
			if !slices.Equal(before.MissingScopes, addedScopes) || !slices.Equal(before.Scopes, narrow) {
				t.Fatalf("before: %+v", before)
			}
			c.wantCLI(cli{"status", 0, "main/default lacks scopes of the configuration: ZohoCRM.org.READ, Desk.tickets.ALL; " +
				"`caddy zoho connect main default --add-scopes` adds them", ""})
			b := newBrowser(t)
			wantPage(t, b.get(c.pages()), 200, "Missing: ZohoCRM.org.READ, Desk.tickets.ALL.")
			page := b.get(c.pages() + "add-scopes?account=default")
			wantPage(t, page, 200, "Zoho will ask user@example.com to allow these scopes too")
			if status := c.desk("default"); status < 400 {
				t.Errorf("Desk takes calls before: %d", status)
			}
			spent := server.Stats().TokenRequests
			wantPage(t, c.addScopes(b, "default"), 200, "The account has these scopes now.")
			if b.at.Path != "/zoho-connect/result" {
				t.Errorf("the browser ended at %s", b.at)
			}
			wantTokenCalls(t, server, spent+renewals)
			check := func(when string) {
				t.Helper()
				now := c.account("default")
				if len(now.MissingScopes) > 0 || len(now.Scopes) != 4 || now.Generation != before.Generation+renewals || now.RefreshTokensKnown != before.RefreshTokensKnown {
					t.Errorf("%s: %+v", when, now)
				}
				if status := c.desk("default"); status >= 300 {
					t.Errorf("%s: Desk answers %d", when, status)
				}
			}
			check("afterwards")
			c.doctor(0)
			c.stop()
			c.start()
			check("after a restart")
			st := server.Stats()
			if st.Grants != 1 || len(st.ByRefreshToken) != 1 || st.ByRefreshToken[refreshToken] == 0 || st.Revocations != 0 {
				t.Errorf("Zoho has seen %+v", st)
			}
			wantPage(t, c.addScopes(b, "default"), http.StatusConflict, "has all scopes of the configuration")
			c.logs("scopes added")
			if log := c.output.String(); strings.Contains(log, "enhance_token") || strings.Contains(log, "scope_enhanced") {
				t.Error("the log has an address of the way")
			}
		})
	}
}

// TestAddScopesUnderLoad: 50 calls a second notice nothing of it.
func TestAddScopesUnderLoad(t *testing.T) {
	t.Parallel()
	c, server, refreshToken := startNarrow(t, zohosim.Options{Consent: zohosim.ConsentAuto, Variants: []string{"enhance-new-tokens"}})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "", "Zoho-Proxy-Account", "default")
	spent := server.Stats().TokenRequests
	over := make(chan struct{})
	var calls sync.WaitGroup
	made := 0
	calls.Go(func() {
		pace := time.NewTicker(time.Second / 50)
		defer pace.Stop()
		for {
			select {
			case <-pace.C:
				made++
				calls.Go(func() {
					if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"); a.StatusCode >= 300 {
						t.Errorf("a call: %s %s", a.Status, a.body)
					}
				})
			case <-over:
				return
			}
		}
	})
	b := newBrowser(t)
	wantPage(t, c.addScopes(b, "default"), 200, "The account has these scopes now.")
	for range 25 { // calls that need what was added
		if status := c.desk("default"); status >= 300 {
			t.Errorf("Desk answers %d", status)
		}
	}
	close(over)
	calls.Wait()
	wantTokenCalls(t, server, spent+1)
	if st := server.Stats(); len(st.ByRefreshToken) != 1 || st.ByRefreshToken[refreshToken] == 0 || st.Grants != 1 {
		t.Errorf("Zoho has seen %+v", st)
	}
	t.Logf("%d calls", made)
}

// TestAddScopesRefused: by the person, by Zoho for a self client, by a Zoho in trouble.
func TestAddScopesRefused(t *testing.T) {
	t.Parallel()
	c, server, _ := startNarrow(t, zohosim.Options{Consent: zohosim.ConsentDeny})
	b := newBrowser(t)
	spent := server.Stats().TokenRequests
	a := c.addScopes(b, "default")
	wantPage(t, a, http.StatusForbidden, "The scopes were not accepted at Zoho.")
	c.wantReference(a)
	if info := c.account("default"); !slices.Equal(info.MissingScopes, addedScopes) || info.State != "ok" {
		t.Errorf("a denial has changed something: %+v", info)
	}
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultStatus, Status: 503, Count: 1})
	wantPage(t, c.addScopes(b, "default"), http.StatusBadGateway, "try again in a moment")
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true})
	a = c.addScopes(b, "default")
	wantPage(t, a, http.StatusBadGateway, "Zoho does not let scopes be added to this grant")
	wantPage(t, a, http.StatusBadGateway, "`caddy zoho connect main default --revoke-old`")
	c.wantCLI(cli{"connect main default --add-scopes", 1, "", "caddy zoho connect main default --self-client"})
	wantTokenCalls(t, server, spent)

	// Nothing can be added to nothing.
	wantPage(t, c.addScopes(b, "nobody"), http.StatusNotFound, "no stored grant")
	wantPage(t, b.get(c.pages()+"add-scopes?account=nobody"), http.StatusNotFound, "no stored grant")
	wantPage(t, c.addScopes(b, "<script>"), http.StatusBadRequest, "no name for an account")
	server.Revoke("")
	webApplication(server)
	wantPage(t, c.addScopes(b, "default"), http.StatusBadGateway, "The refresh token was revoked")
}

// TestAddScopesStranger: an answer counts in the browser that began, once, for ten minutes, and says nothing by
// itself: what the grant has is Zoho's word.
func TestAddScopesStranger(t *testing.T) {
	t.Parallel()
	c, server, _ := startNarrow(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	answered := c.pages() + "callback?status=success&scope_enhanced=true"
	spent := server.Stats().TokenRequests
	stranger := newBrowser(t)
	wantPage(t, stranger.get(answered), http.StatusForbidden, "This browser is not adding scopes here.")
	b := newBrowser(t)
	callback := c.answerOf(b, "default")
	if callback != answered {
		t.Fatalf("Zoho leads to %s", callback)
	}
	wantPage(t, stranger.get(callback), http.StatusForbidden, "This browser is not adding scopes here.")
	c.consent(stranger, "other") // has a cookie, of its own
	wantPage(t, stranger.get(callback), http.StatusForbidden, "This browser is not adding scopes here.")
	here, _ := url.Parse(c.pages())
	stolen, _ := cookiejar.New(nil)
	for _, cookie := range b.Jar.Cookies(here) {
		if strings.Contains(cookie.Name, "zoho-connect") && !cookie.HttpOnly && cookie.Value == "" {
			t.Errorf("%+v", cookie)
		}
	}
	stolen.SetCookies(here, b.Jar.Cookies(here))
	for query, says := range map[string]string{
		"status=success":                                    "does not say that scopes were added",
		"status=failure&scope_enhanced=true":                "does not say that scopes were added",
		"status=success&scope_enhanced=false":               "does not say that scopes were added",
		"status=success&status=success&scope_enhanced=true": "twice",
		"status=success&scope_enhanced=true&code=1000.a.b":  "answer to a consent",
		"status=success&scope_enhanced=true&state=AAAA":     "answer to a consent",
	} {
		wantPage(t, b.get(c.pages()+"callback?"+query), http.StatusBadRequest, says)
	}
	wantPage(t, b.get(c.pages()+"?status=success&scope_enhanced=true"), http.StatusBadRequest, "must end in")
	wantPage(t, b.with("Sec-Purpose", "prefetch").get(callback), http.StatusServiceUnavailable, "not fetched in advance")
	wantTokenCalls(t, server, spent)
	a := c.call(http.MethodPost, "/zoho-connect/add-scopes", strings.NewReader("account=default"),
		"Content-Type", "application/x-www-form-urlencoded", "Origin", "https://evil.example")
	wantPage(t, a, http.StatusForbidden, "page of another site")

	wantPage(t, b.get(callback), 200, "The account has these scopes now.")
	wantPage(t, b.get(callback), http.StatusForbidden, "This browser is not adding scopes here.")
	thief := newBrowser(t)
	thief.Jar = stolen
	wantPage(t, thief.get(callback), http.StatusConflict, "used already")
	wantTokenCalls(t, server, spent)

	// An answer that is not true, as from a link, costs one renewal and is not believed.
	narrower := server.Grant(clientID, "ben@example.com", "", narrow...)
	c.runInput(narrower, 0, "zoho", "import", "main", "ben")
	spent = server.Stats().TokenRequests
	c.answerOfNothing(b, "ben")
	a = b.get(answered)
	wantPage(t, a, http.StatusBadGateway, "The grant of account ben of client main still lacks ZohoCRM.org.READ, Desk.tickets.ALL")
	wantPage(t, b.get(answered), http.StatusForbidden, "This browser is not adding scopes here.")
	wantTokenCalls(t, server, spent+1)
	if info := c.account("ben"); !slices.Equal(info.MissingScopes, addedScopes) {
		t.Errorf("%+v", info)
	}
}

// answerOfNothing begins to add scopes, and does not go to Zoho.
func (c *proxy) answerOfNothing(b *browser, account string) {
	c.t.Helper()
	b.stopAt("/addextrascope", func() answer { return c.addScopes(b, account) })
}

// TestAddScopesToConfigured: what is configured stays, and what was learnt lasts as long as its token.
func TestAddScopesToConfigured(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	webApplication(server, c.pages()+"callback")
	refreshToken := server.Grant(clientID, "", "", narrow...)
	c.setenv("ZOHO_REFRESH_TOKEN="+refreshToken, "ZOHO_CLIENT_OPTIONS=refresh_token {env.ZOHO_REFRESH_TOKEN}")
	c.stop()
	c.start()
	c.wantCLI(cli{"status", 0, "not known", ""})
	b := newBrowser(t)
	wantPage(t, b.get(c.pages()+"?account=default"), 200, "Zoho has not said which scopes it has")
	wantPage(t, c.addScopes(b, "default"), 200, "The account has these scopes now.")
	wantTokenCalls(t, server, 1) // the first token there is
	for _, when := range []string{"afterwards", "after a restart"} {
		if info := c.account("default"); len(info.MissingScopes) > 0 || len(info.Scopes) != 4 || !info.Configured {
			t.Errorf("%s: %+v", when, info)
		}
		if status := c.desk("default"); status >= 300 {
			t.Errorf("%s: Desk answers %d", when, status)
		}
		c.stop()
		c.start()
	}
	wantTokenCalls(t, server, 1)
	// For a self client another refresh token is the way.
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true})
	narrower := server.Grant(clientID, "ben@example.com", "", narrow...)
	c.setenv("ZOHO_REFRESH_TOKEN=" + narrower)
	c.stop()
	c.start()
	wantPage(t, c.addScopes(b, "default"), http.StatusBadGateway, "put it in place of the configured one")
}

// TestAddScopesUnnamed: where Zoho names no scopes, one renewal asks, and its word is all there is.
func TestAddScopesUnnamed(t *testing.T) {
	t.Parallel()
	c, server, _ := startNarrow(t, zohosim.Options{Consent: zohosim.ConsentAuto, OmitScope: true})
	spent := server.Stats().TokenRequests
	if info := c.account("default"); len(info.MissingScopes) > 0 || len(info.Scopes) > 0 {
		t.Errorf("before: %+v", info)
	}
	b := newBrowser(t)
	wantPage(t, b.get(c.pages()+"add-scopes?account=default"), 200, "asked for all of them")
	wantPage(t, c.addScopes(b, "default"), 200, "Zoho does not say which scopes the grant has")
	wantTokenCalls(t, server, spent+1)
	if info := c.account("default"); len(info.Scopes) != 4 {
		t.Errorf("afterwards: %+v", info)
	}
}

// TestAddScopesInTheTerminal: the address is printed, and what the browser ended at is pasted.
func TestAddScopesInTheTerminal(t *testing.T) {
	t.Parallel()
	c, server, _ := startNarrow(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	address := regexp.MustCompile(`http\S+/oauth/v2/token/addextrascope\?\S+`)
	paste := func(code int, text func(callback string) string) string {
		t.Helper()
		term := c.atTerminal(t, "zoho", "connect", "main", "default", "--add-scopes")
		term.waitsFor("then press Enter: ")
		b := newBrowser(t)
		to := address.FindString(term.out.String())
		callback := b.stopAt("/callback", func() answer { return b.get(to) })
		wantPage(t, b.get(callback), http.StatusForbidden, "copy the whole address of this page and paste it there")
		term.types(text(callback) + "\r")
		term.ends(t, code)
		return term.out.String()
	}
	if out := paste(1, func(string) string { return "http://x/callback?code=1000.a.b&state=AAAA" }); !strings.Contains(out, "answer to a consent") {
		t.Error(out)
	}
	spent := server.Stats().TokenRequests
	out := paste(0, func(callback string) string { return wrapped(callback, 20) })
	for _, says := range []string{"Adding scopes to main/default:", "as the user who gave the grant", "scopes added to", "Desk"} {
		if !strings.Contains(out, says) {
			t.Errorf("no %q in %s", says, out)
		}
	}
	if now := server.Stats().TokenRequests - spent; now > 1 {
		t.Errorf("%d token calls", now)
	}
	if info := c.account("default"); len(info.MissingScopes) > 0 {
		t.Errorf("%+v", info)
	}
	c.wantCLI(
		cli{"connect main default --add-scopes", 0, "nothing to add", ""},
		cli{"connect main default --add-scopes --self-client", 2, "", "does not go with --add-scopes"},
		cli{"connect main nobody --add-scopes", 1, "", "no stored grant"},
	)
}

// TestAddScopesElsewhere: a grant of another data center is widened at its own accounts server.
func TestAddScopesElsewhere(t *testing.T) {
	t.Parallel()
	server := zohosim.New(zohosim.Options{Consent: zohosim.ConsentAuto})
	webApplication(server, "http://localhost:1/callback")
	addr, ca, stop := server.StartTLS(t.TempDir())
	t.Cleanup(stop)
	c := newCaddy(t, onboarding, "ZOHO_DATA_CENTER=us eu", "ZOHO_CONNECT_OPTIONS=",
		"ZOHO_CLIENT_OPTIONS=simulator "+addr+" "+ca+"\nredirect_uri http://localhost:1/callback")
	c.zoho = server
	c.start()
	c.runInput(server.Grant(clientID, "", "eu", narrow...), 0, "zoho", "import", "main", "anna", "--data-center", "eu")
	spent := server.Stats().TokenRequests
	connect := func(body map[string]any) answer {
		text, _ := json.Marshal(body)
		return c.adminCall(http.MethodPost, "/zoho/connections/main/anna/connect", string(text))
	}
	var started struct {
		URL, State string
		Scopes     []string
	}
	connect(map[string]any{"add_scopes": true}).decode(t, &started)
	if !strings.HasPrefix(started.URL, "https://accounts.zoho.eu/oauth/v2/token/addextrascope?") || !slices.Equal(started.Scopes, addedScopes) {
		t.Fatalf("%+v", started)
	}
	consent, err := readAnswer(tlsClient(t, addr, ca).Get(started.URL))
	if err != nil {
		t.Fatal(err)
	}
	finish := map[string]any{"add_scopes": true, "state": started.State, "callback": consent.Header.Get("Location")}
	if a := connect(finish); a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), `"added":["ZohoCRM.org.READ","Desk.tickets.ALL"]`) {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if a := connect(finish); a.StatusCode != http.StatusConflict {
		t.Errorf("once more: %s %s", a.Status, a.body)
	}
	wantTokenCalls(t, server, spent)
	if status := c.desk("anna"); status >= 300 {
		t.Errorf("Desk answers %d", status)
	}
}

// TestFleetAddsScopes: begun at one replica and ended at the next; all know of it.
func TestFleetAddsScopes(t *testing.T) {
	t.Parallel()
	f := startOnboardingFleet(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	webApplication(f.zoho, f.pages()+"callback")
	a, b, c := f.all()
	a.runInput(f.zoho.Grant(clientID, "", "", narrow...), 0, "zoho", "import", "main", "default")
	for _, r := range []*proxy{a, b, c} {
		r.forAccount("default")
	}
	spent := f.zoho.Stats().TokenRequests
	person := newBrowser(t)
	f.turn(0)
	callback := person.stopAt("/callback", func() answer {
		return person.post(f.pages()+"add-scopes", url.Values{"account": {"default"}})
	})
	a.kill()
	f.turn(1)
	wantPage(t, person.get(callback), 200, "The account has these scopes now.")
	a.start()
	f.everywhereHas("default", "all scopes", func(s connection) bool { return len(s.Scopes) == 4 && len(s.MissingScopes) == 0 })
	wantTokenCalls(t, f.zoho, spent)
	for _, r := range []*proxy{a, b, c} {
		if status := r.desk("default"); status >= 300 {
			t.Errorf("Desk answers %d", status)
		}
	}
}

// TestAddScopesInTheBrowser drives Chromium from the button in the list to the scopes.
func TestAddScopesInTheBrowser(t *testing.T) {
	t.Parallel()
	browser := startChromium(t)
	c, server, _ := startNarrow(t, zohosim.Options{})
	spent := server.Stats().TokenRequests
	w := newWindow(t, browser)
	add := func() *window {
		w.open(c.pages()).heading("Accounts of main").says("Missing: ZohoCRM.org.READ, Desk.tickets.ALL")
		w.find("a", "Add scopes to default").MustClick()
		return w.heading("Add scopes to default").press("Add them at Zoho")
	}
	add()
	w.find("#reject", anything).MustClick()
	w.heading("That didn’t work").says("not accepted at Zoho")
	add().accept("").heading("Scopes added").says("The refresh token is the same as before")
	if at := w.MustInfo().URL; strings.Contains(at, "scope_enhanced") || strings.Contains(at, "status=") {
		t.Errorf("the browser stays at %s", at)
	}
	w.open(c.pages() + "callback?status=success&scope_enhanced=true").heading("No scopes were added")
	customer := newWindow(t, browser.MustIncognito())
	customer.open(c.pages() + "callback?status=success&scope_enhanced=true").heading("No scopes were added")
	wantTokenCalls(t, server, spent)
	if info := c.account("default"); len(info.MissingScopes) > 0 {
		t.Errorf("%+v", info)
	}
}
