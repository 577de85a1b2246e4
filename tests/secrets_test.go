// No secret is seen anywhere: not in logs, answers, metrics, files, arguments or Caddy's own
// variables, and none stands in a configuration.

package tests

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// loud logs all that can be logged, and shows on error pages all that can be shown.
const loud = `{
	debug
	metrics
	log {
		output file {$LOUD_DIR}/main.log
		level DEBUG
	}
	servers {
		trace
		metrics
	}
	zoho {
		store bolt {$ZOHO_STORE}
		encryption_key {env.SEALING_KEY}
		client main {
			data_center   {$ZOHO_DATA_CENTER}
			client_id     {env.ZOHO_CLIENT_ID}
			client_secret {env.ZOHO_CLIENT_SECRET}
			refresh_token {env.ZOHO_REFRESH_TOKEN}
			token_budget  1000 10m
			account unreachable {
				refresh_token {env.ZOHO_REFRESH_TOKEN}
			}
		}
	}
}
http://:{$ZOHO_PORT} {
	bind 127.0.0.1
	log {
		output file {$LOUD_DIR}/access.log
		format console
	}
	log_append before {http.request.header.Authorization}
	log_append session {http.vars.zoho.session}
	log_append uri {http.request.uri}
	log_append error {http.error}
	log_append upstream {http.reverse_proxy.header.*}
	handle_errors {
		respond "{err.message} {err.trace} {http.request.header.Authorization} {http.vars.zoho.session} {http.reverse_proxy.upstream.hostport}"
	}
	zoho_health
	handle /down/* {
		zoho_proxy {
			upstream {$NOBODY}
		}
	}
	zoho_proxy {
		account {http.request.header.Zoho-Proxy-Account}
	}
}
`

// forms are the ways in which a secret could be written somewhere.
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret)
	escaped := string(quoted[1 : len(quoted)-1])
	var spelled strings.Builder
	for _, b := range []byte(secret) {
		fmt.Fprintf(&spelled, `\u%04x`, b)
	}
	all := []string{
		secret, escaped, spelled.String(), url.QueryEscape(secret), url.PathEscape(secret),
		hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
		secret[:min(12, len(secret))],
	}
	if len(secret) < 16 {
		return all // the inner part below would be too short to be found by no accident
	}
	// In base64 a secret amid other text has three looks; its inner part stands fast.
	for offset := range 3 {
		padded := append(make([]byte, offset), secret...)
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			text := encoding.EncodeToString(padded)
			all = append(all, text[4:len(text)-4])
		}
	}
	return all
}

// TestNoSecretAnywhere is S-15. It drives every flow with everything logged, and then searches
// all that came out of Caddy.
func TestNoSecretAnywhere(t *testing.T) {
	t.Parallel()
	const wrongSecret, sealingKey = "quitewrong7719ee0342aa61bd", "sealingkey0e55c1a9983f27d6b4"
	server, baseURL, grant := sim(t, zohosim.Options{MaxTokens: -1})
	c := newCaddy(t, loud, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant,
		"NOBODY=http://127.0.0.1:"+freePort(t), "SEALING_KEY="+sealingKey)
	c.setenv("LOUD_DIR=" + c.dir)
	secrets := []string{clientSecret, sealingKey, grant}
	seen := map[string][]byte{}
	collect := func(what string, content []byte) { seen[what] = append(seen[what], content...) }
	app := func(a answer) {
		collect("answers to the app", a.body)
		collect("answers to the app", headerText(a.Header))
	}
	tool := func(args ...string) {
		stdout, stderr, _ := c.run(append(args, "--address", c.admin)...)
		collect("caddy "+strings.Join(args, " "), []byte(stdout+stderr))
	}
	account := []string{"Zoho-Proxy-Account", "default", "Authorization", "Zoho-oauthtoken caller", "Cookie", "a=b"}

	c.startLoggingElsewhere()
	for _, path := range threeServices {
		app(c.get(path, account...))
	}
	tokens := func() { // what the proxy attaches, told by the simulator alone
		var echo struct{ Headers http.Header }
		c.get("/crm/_echo", account...).decode(t, &echo)
		if token, ok := strings.CutPrefix(echo.Headers.Get("Authorization"), "Zoho-oauthtoken "); ok {
			secrets = append(secrets, token)
		}
	}
	tokens()
	app(c.get("/down/crm", account...))
	app(c.get("/nothing?x=1", account...))
	app(c.get("/crm/v8/Leads"))
	server.RevokeAccess(grant)
	app(c.call(http.MethodPost, "/desk/api/v1/tickets", strings.NewReader(`{"subject":"x"}`), account...))
	tokens()
	for _, f := range []zohosim.Fault{
		{Kind: zohosim.FaultReply, Body: `{"access_token":"{{token}}","expires_in":`},
		{Kind: zohosim.FaultReply, Body: `{"access_token":"{{token}}\r\nX: y"}`},
		{Kind: zohosim.FaultReply, Body: `{"error":"{{token}}","error_description":"` + grant + `\n\u001b[31m` + clientSecret + `"}`},
		{Kind: zohosim.FaultHTML, Body: "<html><title>" + clientSecret + " " + grant + "</title></html>"},
		{Kind: zohosim.FaultTruncated, Mode: "cut"},
		{Kind: zohosim.FaultReset}, {Kind: zohosim.FaultEmpty}, {Kind: zohosim.FaultStatus},
		{Kind: zohosim.FaultRedirect, Body: "http://127.0.0.1:1/?code=" + grant},
		{Kind: zohosim.FaultError, Body: "invalid_client_secret"},
		{Kind: zohosim.FaultError, Body: "invalid_code"},
		{Kind: zohosim.FaultLocalized},
	} {
		f.Where, f.Count = "accounts", 1
		server.AddFault(f)
		tool("zoho", "refresh", "main", "default")
		server.ClearFaults("")
	}
	for _, f := range []zohosim.Fault{
		{Kind: zohosim.FaultReset}, {Kind: zohosim.FaultTruncated, Mode: "cut"}, {Kind: zohosim.FaultRefuse, Body: zohosim.CaseScope},
		{Kind: zohosim.FaultRefuse}, {Kind: zohosim.FaultStatus}, {Kind: zohosim.FaultRedirect, Body: "https://evil.example/"},
	} {
		f.Where, f.Count = "crm", 1
		server.AddFault(f)
		if a, err := c.try(http.MethodGet, "/crm/v8/Leads", nil, account...); err == nil {
			app(a)
		}
		server.ClearFaults("")
	}
	for _, args := range [][]string{{"zoho", "status"}, {"zoho", "status", "--json"}, {"zoho", "refresh"}, {"zoho", "refresh", "nobody"}} {
		tool(args...)
	}
	for _, path := range []string{"/config/", "/config/apps/zoho", "/metrics", "/zoho/connections", "/zoho/nothing", "/reverse_proxy/upstreams",
		"/debug/vars", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/pprof/"} {
		collect("admin "+path, c.adminCall(http.MethodGet, path, "").body)
	}
	collect("admin refresh", c.adminCall(http.MethodPost, "/zoho/connections/main/default/refresh", "").body)
	if err := c.load(strings.Replace(loud, "{env.ZOHO_CLIENT_SECRET}", "{env.WRONG_SECRET}", 1)); err != nil {
		collect("failed load", []byte(err.Error()))
	}
	adapted, adaptErr, _ := c.run("adapt", "--config", c.config, "--adapter", "caddyfile")
	collect("caddy adapt", []byte(adapted+adaptErr))
	c.stop()

	// The same store with a wrong secret, and with another key.
	c.setenv("ZOHO_CLIENT_SECRET=" + wrongSecret)
	secrets = append(secrets, wrongSecret)
	server.RevokeAccess(grant)
	c.startLoggingElsewhere()
	app(c.get("/crm/v8/Leads", account...))
	tool("zoho", "status")
	collect("admin /metrics", c.adminCall(http.MethodGet, "/metrics", "").body)
	c.stop()
	c.setenv("SEALING_KEY=another11223344556677889900")
	c.startLoggingElsewhere()
	app(c.get("/crm/v8/Leads", account...))
	c.stop()

	collect("stdout and stderr", []byte(c.output.String()))
	_ = filepath.WalkDir(c.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			content, _ := os.ReadFile(path)
			collect("file "+filepath.Base(path), content)
		}
		return nil
	})
	for _, must := range []string{"file autosave.json", "file main.log", "file access.log", "file tokens.db", "admin /config/", "caddy adapt"} {
		if len(seen[must]) == 0 {
			t.Errorf("nothing was collected of %s", must)
		}
	}
	if n := bytes.Count(seen["file main.log"], []byte("access token")); n < 10 {
		t.Errorf("the log has %d lines on access tokens: were the flows driven?", n)
	}
	if len(secrets) < 6 {
		t.Errorf("%d secrets to look for", len(secrets))
	}
	for what, content := range seen {
		for _, secret := range secrets {
			for _, form := range forms(secret) {
				if i := bytes.Index(content, []byte(form)); i >= 0 {
					t.Errorf("%s shows a secret (%.6s…): %.200q", what, secret, content[max(0, i-100):])
					break
				}
			}
		}
	}
}

func headerText(h http.Header) []byte {
	var b bytes.Buffer
	_ = h.Write(&b)
	return b.Bytes()
}

// TestLiteralSecretIsRefused is S-17: it would be shown by GET /config/. A reference is all
// that ever stands there.
func TestLiteralSecretIsRefused(t *testing.T) {
	t.Parallel()
	const literal = "literal0badc0ffee112233"
	server, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	c.secrets = append(c.secrets, literal)
	for name, config := range map[string]string{
		"client_secret":            strings.Replace(oneClient, "{env.ZOHO_CLIENT_SECRET}", literal, 1),
		"client_secret through $X": strings.Replace(oneClient, "{env.ZOHO_CLIENT_SECRET}", "{$ZOHO_CLIENT_SECRET}", 1),
		"refresh_token":            strings.Replace(oneClient, "{env.ZOHO_REFRESH_TOKEN}", literal, 1),
		"encryption_key":           strings.Replace(oneClient, "client main {", "encryption_key "+literal+"\n\t\tclient main {", 1),
	} {
		c.writeConfig(config)
		for _, command := range []string{"adapt", "validate"} {
			stdout, stderr, code := c.run(command, "--config", c.config, "--adapter", "caddyfile")
			if code == 0 {
				t.Errorf("%s: caddy %s takes a literal", name, command)
			}
			if !strings.Contains(stdout+stderr, "{env.") {
				t.Errorf("%s: caddy %s does not say what to write instead: %s", name, command, stderr)
			}
		}
	}
	c.writeConfig(oneClient)
	c.start()
	config := string(c.adminCall(http.MethodGet, "/config/", "").body)
	for _, want := range []string{"{env.ZOHO_CLIENT_SECRET}", "{env.ZOHO_REFRESH_TOKEN}"} {
		if !strings.Contains(config, want) {
			t.Errorf("/config/ does not show the reference %s", want)
		}
	}
	// JSON has no way around it.
	a := c.adminCall(http.MethodPost, "/load", strings.Replace(config, "{env.ZOHO_CLIENT_SECRET}", literal, 1), "Content-Type", "application/json")
	if a.StatusCode == http.StatusOK {
		t.Error("a literal in JSON was accepted")
	}
	c.checkSecrets("the refusal of a literal in JSON", a.body)
	wantTokenCalls(t, server, 0)
}

// TestSecretsAreNotInherited: no secret is an argument of any process.
func TestSecretsAreNotInherited(t *testing.T) {
	t.Parallel()
	c, _, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, threeServices[0], "")
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.cmd.Process.Pid))
	if err != nil {
		t.Skip("no /proc here")
	}
	c.checkSecrets("the command line", arguments)
}

// TestSecretFiles, S-18: what can be wrong with a secret's file, each in its own words;
// line ends and marks of editors do not matter. (A file that changes at run time:
// TestDeadGrantHeals.)
func TestSecretFiles(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, strings.Replace(oneClient, "{env.ZOHO_CLIENT_SECRET}", "{file.{$SECRET_FILE}}", 1),
		"ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	path := filepath.Join(c.dir, "secret")
	c.setenv("SECRET_FILE=" + path)
	for _, test := range []struct {
		name, content string
		mode          os.FileMode
		says          string // "" = nothing
		code          int
	}{
		{"as it should be", clientSecret, 0o600, "", 0},
		{"a line end", clientSecret + "\n", 0o600, "", 0},
		{"another line end", clientSecret + "\r\n", 0o600, "", 0},
		{"a byte order mark", "\ufeff" + clientSecret, 0o600, "", 0},
		{"empty", "", 0o600, "is empty", 1},
		{"blanks", " \n", 0o600, "only blanks", 1},
		{"two words", "two words", 0o600, "in the middle", 1},
		{"readable by the group", clientSecret, 0o640, "(mode 0640): chmod 600", 0},
		{"readable by all", clientSecret, 0o604, "(mode 0604): chmod 600", 0},
	} {
		if err := errors.Join(os.WriteFile(path, []byte(test.content), 0o600), os.Chmod(path, test.mode)); err != nil {
			t.Fatal(err)
		}
		_, stderr, code := c.run("validate", "--config", c.config, "--adapter", "caddyfile")
		if code != test.code || !strings.Contains(stderr, test.says) || test.says == "" && strings.Contains(stderr, path) {
			t.Errorf("%s: exit code %d\n%s", test.name, code, stderr)
		}
	}
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := c.run("validate", "--config", c.config, "--adapter", "caddyfile"); code != 1 || !strings.Contains(stderr, "is a directory") {
		t.Errorf("a directory: exit code %d\n%s", code, stderr)
	}
	wantTokenCalls(t, server, 0)
}

// accessToken is what a token looks like in anything that was printed.
var accessToken = regexp.MustCompile(`1000\.[0-9a-f]{32}\.[0-9a-f]{32}`)

// TestTokenNotVisibleToCaddy is S-14: what runs after our handler, error routes, response
// routes, logs and other upstreams, never sees the token.
func TestTokenNotVisibleToCaddy(t *testing.T) {
	t.Parallel()
	other := startRecorder(t)
	const shown = "{http.request.header.Authorization} {http.request.header.authorization} {http.vars.zoho.session} {http.zoho.client} {http.zoho.generation} {http.zoho.token} " +
		"{http.reverse_proxy.header.Authorization} {http.request.orig_uri} {http.error} {http.error.message} {http.error.trace} {http.reverse_proxy.upstream.address}"
	config := oneSite(`
	debug
	servers {
		log_credentials
	}`, `
			refresh_token {env.ZOHO_REFRESH_TOKEN}`, `
	log
	log_append seen "`+shown+`"
	handle /down/* {
		zoho_proxy {
			upstream http://127.0.0.1:{$NOBODY}
		}
	}
	handle /up/* {
		zoho_proxy {
			upstream http://{$OTHER}
			@any status 2xx
			handle_response @any {
				respond "response `+shown+`"
			}
		}
	}
	handle_errors {
		@elsewhere path /down/elsewhere
		handle @elsewhere {
			reverse_proxy {$OTHER}
		}
		handle {
			respond "error `+shown+`"
		}
	}`)
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant, "NOBODY="+freePort(t), "OTHER="+other.addr)
	if a := c.get("/down/x"); !strings.HasPrefix(string(a.body), "error ") || accessToken.Match(a.body) || strings.Contains(string(a.body), "Zoho-oauthtoken") {
		t.Errorf("error route: %s %s", a.Status, a.body)
	}
	a := c.get("/up/x", "Authorization", "Bearer app")
	if !strings.HasPrefix(string(a.body), "response Bearer app ") || accessToken.Match(a.body) || strings.Contains(string(a.body), "Zoho-oauthtoken") {
		t.Errorf("response route: %s %s", a.Status, a.body)
	}
	other.one(t).checkToken(t)
	c.get("/down/elsewhere")
	if v := other.one(t).values("Authorization"); v != nil {
		t.Errorf("another upstream got %.20q", v)
	}
	c.stop()
	if found := accessToken.FindString(c.output.String()); found != "" {
		t.Errorf("the log shows %.12s…", found)
	}
}
