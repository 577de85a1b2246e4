// No secret of a consent is seen anywhere: codes, states, cookies, invitations, the tokens that come of
// them. It is S-15 for the ways in which grants come in and go.

package tests

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// loudOnboarding logs all that can be logged of onboarding.
var loudOnboarding = strings.NewReplacer(
	`			refresh_token {env.ZOHO_REFRESH_TOKEN}
			token_budget  1000 10m
			account unreachable {
				refresh_token {env.ZOHO_REFRESH_TOKEN}
			}
`, `			token_budget  1000 10m
			redirect_uri  {$ZOHO_CALLBACK}
			scopes        ZohoCRM.modules.ALL,ZohoCRM.org.READ AaaServer.profile.READ
`,
	"	zoho_health\n", "	zoho_health\n	zoho_connect\n",
).Replace(loud)

// searchable is what came out of Caddy, by where, and the secrets that may be in none of it.
type searchable struct {
	*proxy
	seen    map[string][]byte
	allowed map[string][]string // kinds of secrets that a person is to see there
}

func (s *searchable) collect(what string, content []byte, allowed ...string) {
	s.seen[what] = append(s.seen[what], content...)
	s.allowed[what] = allowed
}

func (s *searchable) page(what string, a answer, allowed ...string) answer {
	s.collect(what, slices.Concat(headerText(a.Header), a.body), allowed...)
	return a
}

func (s *searchable) tool(input string, args ...string) string {
	stdout, stderr, _ := s.runWith(strings.NewReader(input), append(append([]string{"zoho"}, args...), "--address", s.admin)...)
	what, allowed := "caddy zoho "+strings.Join(args, " "), ""
	switch {
	case slices.Contains(args, "--add-scopes"):
		allowed = "enhance token" // as well
	case slices.Contains(args, "--device"):
		allowed = "user code" // to be typed in
	case args[0] == "connect" && !slices.Contains(args, "--self-client"):
		allowed = "state" // in the address that is to be opened
	case args[0] == "invite":
		allowed = "invitation"
	}
	s.collect(what, []byte(stdout+stderr), allowed)
	return stdout
}

// TestNoSecretOfOnboardingAnywhere drives every way in, and searches all that came out of Caddy.
func TestNoSecretOfOnboardingAnywhere(t *testing.T) {
	t.Parallel()
	const sealingKey = "sealingkey9b13aa75c08814e2d9"
	server := zohosim.New(zohosim.Options{Consent: zohosim.ConsentAuto, MaxTokens: -1, MaxCodes: -1, DeviceInterval: time.Second})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true, Device: true})
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	c := newCaddy(t, loudOnboarding, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "NOBODY=http://127.0.0.1:"+freePort(t), "SEALING_KEY="+sealingKey)
	c.setenv("LOUD_DIR="+c.dir, "ZOHO_CALLBACK="+c.pages()+"callback")
	s := &searchable{proxy: c, seen: map[string][]byte{}, allowed: map[string][]string{}}
	secrets := map[string][]string{"client secret": {clientSecret}, "sealing key": {sealingKey}}
	c.spawn()
	c.waitFor("the pages to be served", func() bool {
		a, err := c.try(http.MethodGet, "/zoho-connect/", nil)
		return err == nil && a.StatusCode == http.StatusOK
	})
	admin, _ := url.Parse(c.pages())
	cookies := func(b *browser) {
		for _, cookie := range b.Jar.Cookies(admin) {
			if strings.Contains(cookie.Name, "zoho-connect") { // the simulator has one on the same host
				secrets["cookie"] = append(secrets["cookie"], cookie.Value)
			}
		}
	}
	begin := func(b *browser, account string) (callback string) {
		callback = c.consent(b, account)
		cookies(b)
		return callback
	}

	// By a browser: what is good, what was used, what is somebody else's, and what is damaged.
	b := newBrowser(t)
	callback := begin(b, "default")
	wantPage(t, s.page("pages", b.get(callback)), 200, "Connected")
	s.page("pages", b.get(callback))
	s.page("pages", newBrowser(t).get(begin(b, "other")))
	at, _ := url.Parse(begin(b, "denied"))
	state := at.Query().Get("state")
	s.page("pages", b.get(c.pages()+"callback?error=access_denied&state="+state))
	for i, damage := range []func(string) string{
		func(u string) string { return u + "&code=1000.other.code" },
		func(u string) string { return u + "&x=%zz" },
		func(u string) string {
			return strings.Replace(u, url.QueryEscape(baseURL), "https%3A%2F%2Fevil.example", 1)
		},
		func(u string) string { return strings.Replace(u, "/callback?", "/callback/?", 1) },
		func(u string) string { return strings.Replace(u, "/callback?", "/?", 1) },
		func(u string) string { return strings.Replace(u, "/zoho-connect/callback?", "/crm/callback?", 1) },
		func(u string) string { return strings.Replace(u, "/zoho-connect/callback?", "/callback?", 1) },
		func(u string) string { return strings.Replace(u, "code=", "code=x", 1) },
	} {
		s.page("pages", b.get(damage(begin(b, fmt.Sprint("damaged", i)))))
	}
	// Where the exchange fails, also with an answer that repeats what was sent.
	for i, f := range []zohosim.Fault{
		{Kind: zohosim.FaultReply, Body: `{"access_token":"{{token}}","refresh_token":"{{token}}","expires_in":`},
		{Kind: zohosim.FaultReply, Body: `{"access_token":"{{token}}\r\nX: y","refresh_token":"{{token}}"}`},
		{Kind: zohosim.FaultHTML, Body: "<html><title>{{token}}</title></html>"},
		{Kind: zohosim.FaultTruncated, Mode: "cut"}, {Kind: zohosim.FaultReset}, {Kind: zohosim.FaultStatus},
		{Kind: zohosim.FaultError, Body: "invalid_code"}, {Kind: zohosim.FaultError, Body: "invalid_client_secret"},
	} {
		callback := begin(b, fmt.Sprint("failed", i))
		f.Where, f.Count = "accounts", 1
		server.AddFault(f)
		s.page("pages", b.get(callback))
		server.ClearFaults("")
	}
	echoed, _ := url.Parse(begin(b, "echoed"))
	server.AddFault(zohosim.Fault{Where: "accounts", Count: 1, Kind: zohosim.FaultReply,
		Body: `{"error":"` + echoed.Query().Get("code") + `","error_description":"` + echoed.Query().Get("code") + " " + echoed.Query().Get("state") + `"}`})
	s.page("pages", b.get(echoed.String()))
	server.ClearFaults("")

	// By commands.
	scopes := []string{"ZohoCRM.modules.ALL", "AaaServer.profile.READ"}
	s.tool(server.Grant(clientID, "ann@example.com", "us", scopes...)+"\n", "import", "main", "imported")
	s.tool(server.Grant(clientID, "eve@example.com", "us", scopes...)+"\n", "import", "main", "imported") // somebody else
	s.tool(server.Grant(clientID, "eve@example.com", "us", scopes...)+"\n", "import", "main", "imported", "--replace", "--json")
	dead := server.Grant(clientID, "dead@example.com", "us", scopes...)
	server.Revoke(dead)
	s.tool(dead+"\n", "import", "main", "dead")
	var batch strings.Builder
	for i := range 3 {
		fmt.Fprintf(&batch, "{\"account\": \"batch-%d\", \"refresh_token\": %q}\n", i, server.Grant(clientID, fmt.Sprintf("user%d@example.com", i), "us", scopes...))
	}
	fmt.Fprintf(&batch, "{\"account\": \"<bad>\", \"refresh_token\": %q}\n{\"refresh\": %[1]q\n", server.Grant(clientID, "bad@example.com", "us", scopes...))
	s.tool(batch.String(), "import", "main", "--batch")
	s.tool(batch.String(), "import", "main", "--batch", "--json")
	for _, more := range [][]string{nil, {"--json"}, {"--json"}} {
		code := server.SelfClientCode(clientID, scopes...)
		args := append([]string{"connect", "main", "self", "--self-client"}, more...)
		s.tool(code+"\n", args...)
		s.tool(code+"\n", args...) // used
	}
	s.tool("https://app.example/?code="+server.SelfClientCode(clientID, scopes...)+"&state=\n", "connect", "main", "pasted")
	s.tool("nonsense "+server.SelfClientCode(clientID, scopes...)+"\n", "connect", "main", "pasted", "--json")

	// By scopes that are added: what is good, what was used, what is another browser's, and what Zoho refuses.
	s.tool(server.Grant(clientID, "", "us", scopes[0])+"\n", "import", "main", "narrow")
	add := func() answer { return b.post(c.pages()+"add-scopes", url.Values{"account": {"narrow"}}) }
	s.page("pages", add()) // a self client
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret})
	s.page("pages", b.get(c.pages()+"add-scopes?account=narrow"))
	invented := c.pages() + "callback?status=success&scope_enhanced=true"
	b.stopAt("/addextrascope", add)
	cookies(b)
	s.page("pages", b.get(invented))
	for _, more := range [][]string{nil, {"--json"}} {
		s.tool(invented+"\n", append([]string{"connect", "main", "narrow", "--add-scopes"}, more...)...)
	}
	added := b.stopAt("/callback", add)
	cookies(b)
	s.page("pages", newBrowser(t).get(added))
	s.page("pages", b.get(strings.Replace(added, "/callback?", "/callback/?", 1)))
	s.page("pages", b.get(added+"&x=%zz"))
	wantPage(t, s.page("pages", b.get(added)), 200, "Scopes added")
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true, Device: true})
	// By another device: accepted, refused.
	for i, more := range [][]string{nil, {"--json"}} {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.tool("", append([]string{"connect", "main", "device", "--device"}, more...)...)
		}()
		c.waitFor("a device code", func() bool { return len(server.Issued().UserCodes) > i })
		server.AnswerDevice(server.Issued().UserCodes[i], i == 0, zohosim.GrantSpec{})
		<-ended
	}

	// By invitations: good, damaged, used.
	invite := func(args ...string) *url.URL {
		text := s.tool("", append([]string{"invite", "main"}, args...)...)
		i := strings.Index(text, "http")
		link, err := url.Parse(strings.TrimRight(strings.Fields(text[max(i, 0):])[0], `",`))
		if token := link.Query().Get("token"); err != nil || token == "" {
			t.Fatalf("no link: %s", text)
		} else {
			_, mac, _ := strings.Cut(token, ".")
			secrets["invitation"] = append(secrets["invitation"], token, mac)
		}
		return link
	}
	link := invite("guest")
	invite("another", "--json")
	guest := newBrowser(t)
	s.page("page of an invitation", guest.get(link.String()), "invitation")
	s.page("pages", guest.get(link.String()+"x"))
	s.page("pages", guest.get(strings.Replace(link.String(), "/invite?", "/invited?", 1)))
	s.page("pages", guest.get(strings.Replace(link.String(), "/zoho-connect/invite?", "/nowhere?", 1)))
	accept := func() answer { return guest.post(c.pages()+"invite", url.Values{"token": {link.Query().Get("token")}}) }
	wantPage(t, s.page("pages", accept()), 200, "Connected")
	cookies(guest)
	s.page("pages", accept())
	s.page("pages", guest.get(link.String()))

	// What becomes of grants afterwards.
	s.page("answers to the app", c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"))
	for _, args := range [][]string{
		{"status"}, {"status", "--json"}, {"doctor", "--config", c.config}, {"doctor", "--config", c.config, "--json"}, {"refresh", "main", "default"},
		{"refresh", "main", "guest", "--json"}, {"revoke", "main", "imported"}, {"revoke", "main", "batch-0", "--json"}, {"forget", "main", "batch-1"},
		{"forget", "main", "batch-2", "--json"}, {"refresh", "main", "batch-2"},
	} {
		s.tool("", args...)
	}
	for _, path := range []string{"/config/", "/metrics", "/zoho/connections", "/zoho/nothing", "/reverse_proxy/upstreams", "/debug/vars",
		"/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1", "/debug/pprof/cmdline", "/debug/pprof/"} {
		s.collect("admin "+path, c.adminCall(http.MethodGet, path, "").body)
	}
	for _, action := range []string{"refresh", "revoke", "forget"} {
		s.collect("admin "+action, c.adminCall(http.MethodPost, "/zoho/connections/main/self/"+action, "").body)
	}
	s.page("pages", b.get(c.pages()))
	c.stop()

	s.collect("stdout and stderr", []byte(c.output.String()))
	_ = filepath.WalkDir(c.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			content, _ := os.ReadFile(path)
			s.collect("file "+filepath.Base(path), content)
		}
		return nil
	})
	issued := server.Issued()
	secrets["code"], secrets["state"] = issued.Codes, issued.States
	secrets["device code"], secrets["user code"] = issued.DeviceCodes, issued.UserCodes
	secrets["refresh token"], secrets["access token"] = issued.RefreshTokens, issued.AccessTokens
	secrets["enhance token"] = issued.EnhanceTokens
	s.search(t, secrets)
}

// search looks for each secret in each form, short of what a person is to see.
func (s *searchable) search(t *testing.T, secrets map[string][]string) {
	t.Helper()
	for kind, least := range map[string]int{"code": 20, "state": 20, "refresh token": 8, "access token": 8, "cookie": 2, "invitation": 4, "device code": 2, "user code": 2, "enhance token": 3} {
		if n := len(secrets[kind]); n < least {
			t.Errorf("%d of the kind %s to look for, want %d: were the flows driven?", n, kind, least)
		}
	}
	for _, must := range []string{"file autosave.json", "file main.log", "file access.log", "file tokens.db", "file grants.db", "admin /config/"} {
		if len(s.seen[must]) == 0 {
			t.Errorf("nothing was collected of %s", must)
		}
	}
	for what, content := range s.seen {
		for kind, values := range secrets {
			if slices.Contains(s.allowed[what], kind) {
				continue
			}
			for _, secret := range values {
				i := slices.IndexFunc(forms(secret), func(form string) bool { return bytes.Contains(content, []byte(form)) })
				if i >= 0 {
					at := bytes.Index(content, []byte(forms(secret)[i]))
					t.Errorf("%s shows a secret, %s %.6s…: %.200q", what, kind, secret, content[max(0, at-100):])
					break
				}
			}
		}
	}
}
