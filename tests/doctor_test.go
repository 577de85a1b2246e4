// What is wrong is found and said: by doctor, and by warnings when a configuration is loaded.

package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

func (c *proxy) clientIDFile(text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, "client-id"), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// TestDoctorOfTheHealthy: nothing is wrong, and the calls that show it cost one token.
func TestDoctorOfTheHealthy(t *testing.T) {
	t.Parallel()
	c, server, _ := newDoctored(t, zohosim.Options{}, asItIs, threeScopes...)
	c.start()
	found := found(c.doctor(0))
	for check, words := range map[string]string{
		"store": "can be written", "sites": "", "credentials": "look right", "data-center": "takes its secret", "clock": "within", "grant": "live access token",
	} {
		found.want(t, check, "ok", words)
	}
	for _, call := range []string{"/crm/v8/Leads", "/books/v3/contacts", "/desk/api/v1/tickets", "/desk/api/v1/organizations"} {
		found.want(t, "call", "ok", "GET "+call+": Zoho answers 20")
	}
	for _, x := range found {
		if x.Result != "ok" {
			t.Errorf("%+v", x)
		}
	}
	found = c.doctor(0, "main", "default")
	found.want(t, "call", "ok", "accepted")
	if ok := server.Stats().TokenResults["ok"]; ok != 1 {
		t.Errorf("%d access tokens", ok)
	}
	if left := c.connections("").Connections[0].BudgetLeft; left != 9 {
		t.Errorf("a budget of %d is left", left)
	}
	stdout, _, _ := c.run("zoho", "doctor")
	if !strings.Contains(stdout, "nothing is wrong") {
		t.Errorf("it says %s", stdout)
	}
	c.wantCLI(cli{"doctor nobody", 1, "", "nobody"}, cli{"doctor main nobody", 1, "no account nobody", "has no account nobody"}, cli{"doctor a b c", 2, "", "usage"})
	if a := c.adminCall(http.MethodGet, "/zoho/doctor", ""); a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %s", a.Status)
	}
}

// TestDoctor: whatever can be wrong with a connection is found, and nothing else.
func TestDoctor(t *testing.T) {
	t.Parallel()
	oneHourAhead := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			h.ServeHTTP(w, r)
		})
	}
	refusesCodes := func(answer string) func(http.Handler) http.Handler { // with an error that is not about the client
		return func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if !strings.Contains(string(body), "authorization_code") {
					h.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, answer)
			})
		}
	}
	tests := []struct {
		name                 string
		wrap                 func(http.Handler) http.Handler
		scopes               []string
		options              zohosim.Options
		before               func(c *proxy, server *zohosim.Server, grant string) // Caddy starts
		after                func(c *proxy, server *zohosim.Server, grant string)
		code                 int
		check, result, words string
	}{
		{name: "a server that is not Zoho's wants more", wrap: refusesCodes(`{"error":"invalid_request","error_description":"redirect_uri is missing"}`),
			check: "data-center", result: "ok", words: "answers as an authorization server does (invalid_request)"},
		{name: "a server that is not Zoho's takes no codes", wrap: refusesCodes(`{"error":"unsupported_grant_type"}`),
			check: "data-center", result: "ok", words: "answers as an authorization server does (unsupported_grant_type)"},
		{name: "no authorization server", wrap: refusesCodes(`{"error":"Bad Request"}`),
			code: 1, check: "data-center", result: "failed", words: "does not answer like an authorization server"},
		{name: "the clock is off", wrap: oneHourAhead, code: 1, check: "clock", result: "failed", words: "machine's clock is 1 hour ahead of Zoho's"},
		{name: "the store is too open", after: func(c *proxy, _ *zohosim.Server, _ string) {
			c.succeed(http.MethodGet, threeServices[0], "")
			chmod(c.t, filepath.Join(c.storeDir(), "tokens.db"), 0o644)
			c.t.Cleanup(func() { chmod(c.t, filepath.Join(c.storeDir(), "tokens.db"), 0o600) })
		}, code: 1, check: "store", result: "failed", words: "mode 0644"},
		{name: "the disk is full", after: func(c *proxy, _ *zohosim.Server, _ string) {
			c.succeed(http.MethodGet, threeServices[0], "")
			c.limitFiles(64 << 10)
		}, code: 1, check: "store", result: "failed", words: "free space on its disk"},
		{name: "the stored grants are damaged", after: func(c *proxy, _ *zohosim.Server, _ string) {
			if err := os.WriteFile(filepath.Join(c.storeDir(), "grants.db"), []byte(strings.Repeat("garbage ", 4096)), 0o600); err != nil {
				c.t.Fatal(err)
			}
			c.t.Cleanup(func() { _ = os.Remove(filepath.Join(c.storeDir(), "grants.db")) })
		}, code: 1, check: "store", result: "failed", words: "grants.db"},
		{name: "the stored tokens were damaged", before: func(c *proxy, _ *zohosim.Server, _ string) {
			if err := errors.Join(os.MkdirAll(c.storeDir(), 0o700), os.WriteFile(filepath.Join(c.storeDir(), "tokens.db"), []byte(strings.Repeat("garbage ", 4096)), 0o600)); err != nil {
				c.t.Fatal(err)
			}
		}, check: "store", result: "warning", words: "was started over"},
		{name: "the stored tokens are of another key", before: func(c *proxy, _ *zohosim.Server, _ string) {
			c.start()
			c.succeed(http.MethodGet, threeServices[0], "")
			c.stop()
			c.writeConfig(strings.Replace(doctorConfig, "\tzoho {\n", "\tzoho {\n\t\tencryption_key {env.ZOHO_KEY}\n", 1))
			c.setenv("ZOHO_KEY=0123456789abcdef0123456789abcdef")
		}, after: func(c *proxy, _ *zohosim.Server, _ string) {
			c.succeed(http.MethodGet, threeServices[0], "")
		}, check: "store", result: "warning", words: "it was sealed by another key"},
		{name: "the encryption key can be guessed", before: func(c *proxy, _ *zohosim.Server, _ string) {
			c.writeConfig(strings.Replace(doctorConfig, "\tzoho {\n", "\tzoho {\n\t\tencryption_key {env.ZOHO_KEY} {env.ZOHO_OLD_KEY}\n", 1))
			c.setenv("ZOHO_KEY=0123456789abcdef", "ZOHO_OLD_KEY=0123456789abcde")
		}, after: func(c *proxy, _ *zohosim.Server, _ string) {
			c.logs("serving Zoho connections") // what follows the warnings
			if n := strings.Count(c.output.String(), "an encryption_key is short enough"); n != 1 {
				c.t.Errorf("the log warns %d times of one short key", n)
			}
		}, check: "store", result: "warning", words: "short enough to be guessed"},
		{name: "the encryption key is in quotes", before: func(c *proxy, _ *zohosim.Server, _ string) {
			c.writeConfig(strings.Replace(doctorConfig, "\tzoho {\n", "\tzoho {\n\t\tencryption_key {env.ZOHO_KEY}\n", 1))
			c.setenv(`ZOHO_KEY="0123456789abcdef0123456789abcdef"`)
		}, after: func(c *proxy, _ *zohosim.Server, _ string) {
			c.logs("serving Zoho connections", "an encryption_key has quotes around it")
		}, check: "store", result: "warning", words: "an encryption_key has quotes around it"},
		{name: "the secret gets quotes", after: func(c *proxy, _ *zohosim.Server, _ string) { c.secretFile(`"` + clientSecret + `"`) },
			code: 1, check: "credentials", result: "failed", words: "has quotes around its value"},
		{name: "the client id is gone", before: func(c *proxy, _ *zohosim.Server, _ string) {
			c.writeConfig(strings.Replace(doctorConfig, "{env.ZOHO_CLIENT_ID}", "{file."+filepath.Join(c.dir, "client-id")+"}", 1))
			c.clientIDFile(clientID)
		}, after: func(c *proxy, _ *zohosim.Server, _ string) { c.clientIDFile("") },
			code: 1, check: "credentials", result: "failed", words: "client-id is empty"},
		{name: "the secret is gone", after: func(c *proxy, _ *zohosim.Server, _ string) { c.secretFile("") },
			code: 1, check: "credentials", result: "failed", words: "client-secret is empty"},
		{name: "the secret can be read by others", after: func(c *proxy, _ *zohosim.Server, _ string) { chmod(c.t, filepath.Join(c.dir, "client-secret"), 0o644) },
			code: 1, check: "credentials", result: "failed", words: "chmod 600"},
		{name: "id and secret are swapped", after: func(c *proxy, _ *zohosim.Server, _ string) { c.secretFile(clientID) },
			code: 1, check: "credentials", result: "failed", words: "swapped"},
		{name: "the secret was rolled over", before: func(_ *proxy, server *zohosim.Server, _ string) {
			server.AddClient(zohosim.Client{ID: clientID, Secret: "another secret"})
		}, code: 1, check: "credentials", result: "failed", words: "(status 200) compare client_secret with Zoho's API console; it may have been replaced there"},
		{name: "the client is unknown", before: func(c *proxy, _ *zohosim.Server, _ string) { c.setenv("ZOHO_CLIENT_ID=1000.SOMEBODYELSE") },
			code: 1, check: "credentials", result: "failed", words: "(status 200) see whether client_id is mistyped"},
		{name: "the grant is dead", after: func(c *proxy, server *zohosim.Server, grant string) {
			server.Revoke(grant)
			c.get(threeServices[0])
		}, code: 3, check: "grant", result: "failed", words: "dead grant"},
		{name: "the grant is dead, and nobody knows yet", after: func(_ *proxy, server *zohosim.Server, grant string) { server.Revoke(grant) },
			code: 3, check: "grant", result: "failed", words: "dead grant"},
		{name: "the grant ends under a token that lives", after: func(c *proxy, server *zohosim.Server, grant string) {
			c.succeed(http.MethodGet, threeServices[0], "")
			server.Revoke(grant)
		}, code: 3, check: "grant", result: "failed", words: "dead grant"},
		{name: "nobody has consented, and there is nothing to ask for", before: func(c *proxy, _ *zohosim.Server, _ string) {
			c.writeConfig(regexp.MustCompile(`(?m)^\s*scopes .*$`).ReplaceAllString(doctorConfig, ""))
			c.setenv("ZOHO_REFRESH_TOKEN=")
		}, code: 3, check: "grant", result: "failed", words: "caddy zoho connect main default --self-client"},
		{name: "nobody has consented", before: func(c *proxy, _ *zohosim.Server, _ string) { c.setenv("ZOHO_REFRESH_TOKEN=") },
			code: 3, check: "grant", result: "failed", words: "caddy zoho connect main default"},
		{name: "another program", options: zohosim.Options{MaxTokens: -1}, after: func(c *proxy, server *zohosim.Server, grant string) {
			c.succeed(http.MethodGet, threeServices[0], "")
			for range 3 {
				server.RevokeAccess(grant)
				c.succeed(http.MethodGet, threeServices[0], "")
			}
		}, code: 1, check: "contention", result: "failed", words: "another program seems to use this grant"},
		{name: "the budget is spent", after: func(c *proxy, _ *zohosim.Server, _ string) {
			for range 10 {
				c.wantCLI(cli{"refresh", 0, "", ""})
			}
		}, code: 1, check: "budget", result: "failed", words: "restart loop"},
		{name: "Zoho throttles", after: func(c *proxy, server *zohosim.Server, _ string) {
			server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultThrottle})
			c.get(threeServices[0])
		}, code: 1, check: "budget", result: "failed", words: "Zoho is throttling"},
		{name: "a scope was not granted", scopes: threeScopes[:4], code: 3, check: "scopes", result: "failed", words: "missing scopes: Desk.search.READ"},
		{name: "a service was not granted, and nobody says", options: zohosim.Options{OmitScope: true}, scopes: threeScopes[:2],
			code: 3, check: "scopes", result: "failed", words: "the grant lacks Desk.tickets.ALL"},
		{name: "Books does not say why", options: zohosim.Options{OmitScope: true}, scopes: []string{"ZohoCRM.modules.ALL", "Desk.tickets.ALL", "Desk.basic.READ"},
			code: 3, check: "scopes", result: "failed", words: "ZohoBooks.contacts.READ is missing"},
		{name: "a path that is not there", after: func(_ *proxy, server *zohosim.Server, _ string) {
			server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultStatus, Status: 404, Body: "{}"})
		}, check: "call", result: "skipped", words: "Zoho answers 404 which says nothing about the token"},
		{name: "a refusal that nobody knows", after: func(_ *proxy, server *zohosim.Server, _ string) {
			server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultStatus, Status: 401, Body: "{}"})
		}, check: "call", result: "warning", words: "Zoho answers 401"},
		{name: "a token arrives nowhere", after: func(_ *proxy, server *zohosim.Server, _ string) {
			server.AddFault(zohosim.Fault{Where: "books", Kind: zohosim.FaultRefuse, Body: "no-header"})
		}, code: 1, check: "call", result: "failed", words: "takes the Authorization header away"},
		{name: "fresh tokens are refused", after: func(_ *proxy, server *zohosim.Server, _ string) {
			server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultRefuse, Body: "dead"})
		}, code: 1, check: "data-center", result: "failed", words: "a fresh access token is refused as well"},
		{name: "Accounts is down", wrap: func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
		}, code: 1, check: "data-center", result: "failed", words: "cannot be reached"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.wrap == nil {
				test.wrap = asItIs
			}
			if test.scopes == nil {
				test.scopes = threeScopes
			}
			c, server, grant := newDoctored(t, test.options, test.wrap, test.scopes...)
			if test.before != nil {
				test.before(c, server, grant)
			}
			c.start()
			if test.after != nil {
				test.after(c, server, grant)
			}
			asked := server.Stats().TokenRequests
			found := found(c.doctor(test.code))
			switch test.name {
			case "the client is unknown", "the client id is gone", "the secret was rolled over", "the secret is gone", "id and secret are swapped", "the secret gets quotes":
				found = found.without("grant") // which cannot be renewed either
			case "Books does not say why":
				if ok := server.Stats().TokenResults["ok"]; ok != 1 {
					t.Errorf("%d access tokens for a refusal that none cures", ok)
				}
			case "the stored tokens are of another key":
				if slices.ContainsFunc(found, func(x finding) bool { return strings.Contains(x.Why+x.Do, "disk") }) {
					t.Errorf("it suspects the disk: %+v", found)
				}
			case "Zoho throttles":
				if now := server.Stats().TokenRequests; now != asked {
					t.Errorf("%d token calls in the silence", now-asked)
				}
			}
			found.want(t, test.check, test.result, test.words)
			if slices.ContainsFunc(found, func(x finding) bool { return strings.Contains(x.Do, "each data center has its own") }) {
				t.Errorf("it speaks of several data centers: %+v", found)
			}
		})
	}
}

func chmod(t testing.TB, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// TestDoctorAndMistypedAccount: an account that zoho_proxy serves and nobody has connected is
// found where others are connected.
func TestDoctorAndMistypedAccount(t *testing.T) {
	t.Parallel()
	c, _, grant := newDoctored(t, zohosim.Options{}, asItIs, threeScopes...)
	config := strings.Replace(doctorConfig, "\t\t\trefresh_token {env.ZOHO_REFRESH_TOKEN}\n", "", 1)
	c.writeConfig(config)
	c.start()
	c.runInput(grant, 0, "zoho", "import", "main", "deafult")
	address := strings.TrimPrefix(c.url, "http://")
	said := found(c.doctor(3))
	for _, words := range []string{
		"zoho_proxy at " + address + " serves main/default, which is not connected connected are: deafult run `caddy zoho connect main default`",
		"`account` in zoho_proxy",
	} {
		said.want(t, "grant", "failed", words)
	}
	c.doctor(0, "main", "deafult") // nobody asked about another one
	c.writeConfig(strings.Replace(config, "\tzoho_proxy\n", "\tzoho_proxy {\n\t\taccount {header.Zoho-Proxy-Account}\n\t}\n", 1))
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	c.doctor(0)
}

// TestDoctorOfUnnamedScopes: where Zoho does not name what it granted, each scope is tried by
// a call, or it is said that it was not.
func TestDoctorOfUnnamedScopes(t *testing.T) {
	t.Parallel()
	const more = "ZohoMail.messages.ALL WorkDrive.files.ALL ZohoCampaigns.contact.CREATE AaaServer.profile.READ"
	const notChecked = "not checked: Desk.search.READ, ZohoMail.messages.ALL, WorkDrive.files.ALL, ZohoCampaigns.contact.CREATE no call is known that needs only this scope"
	for _, test := range []struct {
		omit           bool
		granted        string
		code           int
		result, words  string
		tellsUnchecked bool
	}{
		{true, "AaaServer.profile.READ", 0, "skipped", notChecked, true},
		{true, "", 3, "failed", "the grant lacks AaaServer.profile.READ", true},
		{false, "AaaServer.profile.READ", 3, "failed", "missing scopes: ZohoMail.messages.ALL, WorkDrive.files.ALL, ZohoCampaigns.contact.CREATE", false},
	} {
		c, _, _ := newDoctored(t, zohosim.Options{OmitScope: test.omit}, asItIs, append(strings.Fields(test.granted), threeScopes...)...)
		c.writeConfig(strings.Replace(doctorConfig, "Desk.search.READ", "Desk.search.READ "+more, 1))
		c.start()
		said := found(c.doctor(test.code))
		said.want(t, "scopes", test.result, test.words)
		if test.granted != "" {
			found(said.without("scopes")).want(t, "call", "ok", "GET /oauth/user/info: Zoho answers 200")
		}
		if tells := slices.ContainsFunc(said, func(x finding) bool { return strings.HasPrefix(x.What, "not checked: ") }); tells != test.tellsUnchecked {
			t.Errorf("names omitted %v: %+v", test.omit, said)
		}
		c.stop()
	}
}

// TestDoctorAndProfileInTheSilence: an authorization server that throttles is not asked who has
// consented either.
func TestDoctorAndProfileInTheSilence(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c, server, _ := newDoctored(t, zohosim.Options{OmitScope: true}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/oauth/user/info" {
				asked.Add(1)
			}
			h.ServeHTTP(w, r)
		})
	}, append(threeScopes, "AaaServer.profile.READ")...)
	c.writeConfig(strings.Replace(doctorConfig, "Desk.search.READ", "AaaServer.profile.READ", 1))
	c.start()
	c.succeed(http.MethodGet, threeServices[0], "")
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultThrottle})
	c.wantCLI(cli{"refresh", 1, "", ""})
	before := asked.Load()
	found(c.doctor(1)).want(t, "budget", "failed", "Zoho is throttling")
	found(c.doctor(1)).without("budget").want(t, "scopes", "skipped", "not checked: AaaServer.profile.READ")
	if now := asked.Load(); now != before {
		t.Errorf("%d calls in the silence", now-before)
	}
}

// limitFiles lets the running Caddy write no file beyond a size, as a full disk does; -1 takes that back.
func (c *proxy) limitFiles(size int) {
	c.t.Helper()
	set := exec.Command(tool(c.t, "prlimit"), "--pid", strconv.Itoa(c.cmd.Process.Pid), "--fsize="+strconv.Itoa(size)+":")
	if out, err := set.CombinedOutput(); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
}

// TestDoctorAndDataCenters: the wrong data center, and one that is not enabled, are told
// from a wrong id and a dead grant.
func TestDoctorAndDataCenters(t *testing.T) {
	t.Parallel()
	server := zohosim.New(zohosim.Options{})
	client := zohosim.Client{ID: clientID, Secret: clientSecret, DataCenters: []string{"eu", "in"}}
	server.AddClient(client)
	addr, ca, stop := server.StartTLS(t.TempDir())
	t.Cleanup(stop)
	grant := server.Grant(clientID, "owner@example.com", "eu", threeScopes...)
	for _, test := range []struct {
		centers      string
		code         int
		check, words string
	}{
		{"eu", 0, "", ""},
		{"eu in", 0, "", ""},
		{"us", 1, "data-center", "wrong data center: the client id is unknown at us, but known at eu, in"},
		{"eu us", 1, "data-center", "the data center us is not enabled for the client, which is known at eu, in"},
		{"in eu", 1, "grant", "wrong data center: the refresh token is one of eu"},
		{"in", 3, "grant", "the client is known at eu as well"},
	} {
		c := newCaddy(t, doctorConfig, "ZOHO_DATA_CENTER="+test.centers, "ZOHO_REFRESH_TOKEN="+grant, "ZOHO_CLIENT_OPTIONS=simulator "+addr+" "+ca)
		c.secretFile(clientSecret)
		c.start()
		found := found(c.doctor(test.code))
		if test.check == "data-center" {
			found = found.without("grant")
		}
		if test.check != "" {
			found.want(t, test.check, "failed", test.words)
		}
		if before := server.Stats().TokenResults["ok"]; before > 0 {
			c.doctor(test.code)
			if again := server.Stats().TokenResults["ok"]; again != before {
				t.Errorf("%s: looking again costs %d access tokens", test.centers, again-before)
			}
		}
		if !slices.ContainsFunc(found, func(x finding) bool { return x.Result == "warning" && strings.Contains(x.What, "a simulator") }) {
			t.Errorf("%s: nothing is said of the simulator", test.centers)
		}
		c.stop()
	}
}

// TestDoctorAndSecrets: where several data centers are configured, each may have a secret of its own.
func TestDoctorAndSecrets(t *testing.T) {
	t.Parallel()
	server := zohosim.New(zohosim.Options{})
	server.AddClient(zohosim.Client{ID: clientID, Secret: "another secret", DataCenters: []string{"eu", "in"}})
	addr, ca, stop := server.StartTLS(t.TempDir())
	t.Cleanup(stop)
	c := newCaddy(t, doctorConfig, "ZOHO_DATA_CENTER=eu in", "ZOHO_REFRESH_TOKEN=", "ZOHO_CLIENT_OPTIONS=simulator "+addr+" "+ca)
	c.secretFile(clientSecret)
	c.start()
	for _, center := range []string{"eu", "in"} {
		found(c.doctor(1)).without("grant").want(t, "credentials", "failed", "replaced there; each data center has its own, unless the console is told to use one everywhere: see `client_secret "+center+" …`")
	}
}

// TestDoctorAndSites: what keeps apps from reaching zoho_proxy, or lets too many.
func TestDoctorAndSites(t *testing.T) {
	t.Parallel()
	c, _, _ := newDoctored(t, zohosim.Options{}, asItIs, threeScopes...)
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri http://localhost:1/zoho-connect/callback/")
	c.start()
	global, _, _ := strings.Cut(doctorConfig, "http://:")
	for _, test := range []struct{ sites, result, words string }{
		{"http://:{$ZOHO_PORT} {\n\tzoho_proxy\n}", "warning", "listens on every interface"},
		{"http://:{$ZOHO_PORT} {\n\tzoho_proxy {\n\t\tcallers any\n\t}\n}", "warning", "`callers any` admits everyone"},
		{"http://proxy.example:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", "warning", "is in a site with a host name"},
		{"http://proxy.example:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\thandle /crm/* {\n\t\tzoho_proxy\n\t}\n\thandle {\n\t\tzoho_proxy\n\t}\n}", "warning", "is in a site with a host name"},
		{"http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\trespond hello\n}", "warning", "no site has a zoho_proxy"},
		{"", "warning", "no server is configured"},
		{"http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy {\n\t\taccount {header.Zoho_Account}\n\t}\n}", "warning", "the request header Zoho_Account, which never arrives"},
		{"http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_connect\n\tzoho_proxy\n}", "warning", "sends browsers to /zoho-connect/callback/"},
		{"http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\trespond /desk/* 403\n\tzoho_proxy\n}", "warning", "list what is served in `services`"},
		{"http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", "ok", "can be reached from where it should"},
	} {
		c.writeConfig(global + test.sites + "\n")
		if err := c.reload(); err != nil {
			t.Errorf("%s: %v", test.sites, err)
			continue
		}
		found(c.doctor(0)).want(t, "sites", test.result, test.words)
	}
	c.writeConfig(strings.Replace(global, "admin {$CADDY_ADMIN}", "admin {$CADDY_ADMIN}\n\tservers {\n\t\texpected_underscore_headers zoho_*\n\t}", 1) +
		"http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy {\n\t\taccount {header.Zoho_Account}\n\t}\n}")
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	for _, x := range c.doctor(0) {
		if x.Check == "sites" && x.Result == "warning" {
			t.Errorf("%+v", x)
		}
	}
}

// TestDoctorWithoutCaddy: where no Caddy runs, the configuration is what can be looked at.
func TestDoctorWithoutCaddy(t *testing.T) {
	t.Parallel()
	c, _, _ := newDoctored(t, zohosim.Options{}, asItIs, threeScopes...)
	config := strings.Replace(doctorConfig, "{$CADDY_ADMIN}", c.admin, 1)
	c.writeConfig(config)
	c.wantCLI(cli{"doctor", 4, "", "hint: "})
	where := []string{"--config", c.config, "--adapter", "caddyfile"}
	found(c.doctor(4, where...)).want(t, "configuration", "ok", "can be loaded")
	c.secretFile(clientID)
	c.setenv("ZOHO_CLIENT_ID=" + clientSecret)
	found(c.doctor(4, where...)).want(t, "configuration", "failed", "seem to be swapped")
	c.setenv("ZOHO_CLIENT_ID=")
	found(c.doctor(4, where...)).want(t, "configuration", "failed", "set the environment variable ZOHO_CLIENT_ID")
	c.secretFile(clientSecret) // the rest is as `docker --env-file` reads NAME="VALUE"
	c.setenv(`ZOHO_CLIENT_ID="` + clientID + `"`)
	found(c.doctor(4, where...)).want(t, "configuration", "failed", "client_id {env.ZOHO_CLIENT_ID} has quotes around its value")
	c.setenv("ZOHO_CLIENT_ID="+clientID, "ZOHO_REFRESH_TOKEN='hidden'")
	found(c.doctor(4, where...)).want(t, "configuration", "failed", "refresh_token {env.ZOHO_REFRESH_TOKEN} has quotes around its value")
}

// TestWarningsAtLoad: a site where our handler cannot be reached, or by too many, is
// said at load; one that is in order is not.
func TestWarningsAtLoad(t *testing.T) {
	t.Parallel()
	const (
		behindHost = "is in a site with a host name"
		everywhere = "listens on every interface"
		nowhere    = "no site has a zoho_proxy"
		noServer   = "no server is configured"
		strangers  = "zoho_connect admits every caller"
		goneRound  = "a rule for the path /desk/* stands before a zoho_proxy that serves every service"
		basicAuth  = "\tbasic_auth {\n\t\tann " + hashOfHiccup + "\n\t}\n"
		pages      = "\tzoho_connect {\n\t\tcallers any\n\t}\n"
	)
	tests := []struct {
		name, sites string
		want        []string
	}{
		{"in order", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", nil},
		{"in order, in routes", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\thandle_path /x/* {\n\t\troute {\n\t\t\tzoho_proxy\n\t\t}\n\t}\n}", nil},
		{"in order, Unix socket", "http:// {\n\tbind unix/{$ZOHO_STORE}.sock\n\tzoho_proxy\n}", nil},
		{"in order, localhost", "http://:{$ZOHO_PORT} {\n\tbind localhost\n\tzoho_proxy\n}", nil},
		{"in order, beside another site", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}\nhttp://other.example:{$OTHER} {\n\tbind 127.0.0.1\n\trespond hello\n}", nil},
		{"host in the address", "http://proxy.example:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", []string{behindHost}},
		{"host matcher", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\t@zoho host www.zohoapis.com\n\thandle @zoho {\n\t\tzoho_proxy\n\t}\n}", []string{behindHost}},
		{"host matcher of the directive", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\t@zoho host www.zohoapis.com\n\tzoho_proxy @zoho\n}", []string{behindHost}},
		{"wildcard bind", "http://:{$ZOHO_PORT} {\n\tzoho_proxy\n}", []string{everywhere}},
		{"0.0.0.0", "http://:{$ZOHO_PORT} {\n\tbind 0.0.0.0\n\tzoho_proxy\n}", []string{everywhere}},
		{"[::]", "http://:{$ZOHO_PORT} {\n\tbind [::]\n\tzoho_proxy\n}", []string{everywhere}},
		{"host and wildcard", "http://proxy.example:{$ZOHO_PORT} {\n\tzoho_proxy\n}", []string{behindHost, everywhere}},
		{"site without it", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\trespond hello\n}", []string{nowhere}},
		{"empty bind", "http://:{$ZOHO_PORT} {\n\tbind {$EMPTY}\n\tzoho_proxy\n}", []string{noServer}},
		{"no site", "", []string{noServer}},
		{"pages for everybody", "http://:{$OTHER} {\n" + pages + "}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", []string{strangers}},
		{"pages for everybody on this machine", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n" + pages + "\tzoho_proxy\n}", nil},
		{"pages behind a password", "http://:{$OTHER} {\n" + basicAuth + pages + "}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", nil},
		{"pages behind forward_auth", "http://:{$OTHER} {\n\tforward_auth 127.0.0.1:9 {\n\t\turi /\n\t}\n" + pages + "}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", nil},
		{"pages for operators", "http://:{$OTHER} {\n\tzoho_connect {\n\t\tcallers 10.0.0.0/8\n\t}\n}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tzoho_proxy\n}", nil},
		{"guard by path", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\trespond /desk/* 403\n\tzoho_proxy\n}", []string{goneRound}},
		{"guard by path, in handles", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\thandle /desk/* {\n\t\terror 404\n\t}\n\thandle {\n\t\tzoho_proxy\n\t}\n}", []string{goneRound}},
		{"guard by path, a password", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tbasic_auth /desk/* {\n\t\tann " + hashOfHiccup + "\n\t}\n\tzoho_proxy\n}", []string{goneRound}},
		{"guard by path, of some services", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tabort /desk/*\n\tzoho_proxy {\n\t\tservices crm books\n\t}\n}", nil},
		{"guard of something else", "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\trespond /metrics 403\n\trespond /zoho-connect/* 404\n\tzoho_health\n\treverse_proxy /desk/* 127.0.0.1:9\n\tzoho_proxy\n}", nil},
		{"named route", "&(zoho) {\n\tzoho_proxy\n}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tinvoke zoho\n}", nil},
		{"named route behind a host", "&(zoho) {\n\tzoho_proxy\n}\nhttp://proxy.example:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tinvoke zoho\n}", []string{behindHost}},
		{"named routes in a circle", "&(a) {\n\tinvoke b\n}\n&(b) {\n\tinvoke a\n}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\tinvoke a\n}", []string{nowhere}},
		{"named route that nobody invokes", "&(zoho) {\n\tzoho_proxy\n}\nhttp://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\trespond hello\n}", []string{nowhere}},
	}
	global, _, _ := strings.Cut(oneClient, "http://:")
	global = strings.Replace(global, "\tzoho {\n", "\tzoho {\n\t\tencryption_key {env.ZOHO_KEY}\n", 1)
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant, "OTHER="+freePort(t), "EMPTY=", "ZOHO_KEY=0123456789abcdef")
	c.start()
	c.waitFor("the start", func() bool { return strings.Contains(c.output.String(), "serving Zoho connections") })
	for _, test := range tests {
		before := len(c.output.String())
		c.writeConfig(global + test.sites + "\n")
		if err := c.reload(); err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		c.waitFor("what follows the warnings", func() bool { return strings.Contains(c.output.String()[before:], "serving Zoho connections") })
		var got []string
		for line := range strings.Lines(c.output.String()[before:]) {
			var entry struct{ Level, Logger, Msg string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Level == "warn" && entry.Logger == "zoho" {
				got = append(got, entry.Msg)
			}
		}
		for _, want := range test.want {
			if n := strings.Count(strings.Join(got, "\n"), want); n != 1 {
				t.Errorf("%s: warned %d times that it %q: %q", test.name, n, want, got)
			}
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: %d warnings, want %d: %q", test.name, len(got), len(test.want), got)
		}
	}
}
