package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// runInput runs the binary with something on its standard input.
func (c *proxy) runInput(input string, code int, args ...string) (stdout, stderr string) {
	c.t.Helper()
	stdout, stderr, got := c.runWith(strings.NewReader(input), args...)
	if got != code {
		c.t.Errorf("caddy %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout, stderr
}

// TestConnectCommand, S-19: consent without a browser on this machine, as it is pasted
// by people. Nothing secret is an argument.
func TestConnectCommand(t *testing.T) {
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto, MaxTokens: -1, MaxCodes: -1, MaxGrants: -1})
	var started struct {
		RedirectURI string `json:"redirect_uri"`
	}
	c.adminCall(http.MethodPost, "/zoho/connections/main/default/connect", "").decode(t, &started)
	if started.RedirectURI != c.pages()+"callback" {
		t.Errorf("the redirect URI is by default %s", started.RedirectURI)
	}
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri http://localhost:1/callback")
	c.stop()
	c.start()
	forms := map[string]func(callback string) string{
		"as it is":       func(s string) string { return s },
		"a line end":     func(s string) string { return s + "\r\n" },
		"broken lines":   func(s string) string { return "  " + s[:40] + "\n   " + s[40:90] + "\r\n" + s[90:] + "\n" },
		"quotes":         func(s string) string { return `"` + s + `"` },
		"the query":      func(s string) string { _, query, _ := strings.Cut(s, "?"); return query },
		"the code alone": func(s string) string { u, _ := url.Parse(s); return u.Query().Get("code") },
		"encoded twice": func(s string) string {
			base, query, _ := strings.Cut(s, "?")
			return base + "?" + url.QueryEscape(query)
		},
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			account := strings.ReplaceAll(name, " ", "-")
			stdout, _ := c.connectWith(t, 0, account, form)
			if !strings.Contains(stdout, "main/"+account) || !strings.Contains(stdout, "user@example.com") || !strings.Contains(stdout, "modules") {
				t.Errorf("it says %s", stdout)
			}
			if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", account); a.StatusCode >= 300 {
				t.Errorf("%s %s", a.Status, a.body)
			}
		})
	}
	bad := map[string]struct {
		form func(string) string
		says string
	}{
		"nothing": {func(string) string { return "\n" }, "nothing came from standard input"},
		"refused": {func(s string) string {
			return regexp.MustCompile(`code=[^&]*`).ReplaceAllString(s, "error=access_denied")
		}, "Consent was refused"},
		"no code":         {func(s string) string { return "https://accounts.zoho.com/oauth/v2/auth" }, "holds no code"},
		"another consent": {func(s string) string { return strings.Replace(s, "state=", "state=X", 1) }, "another consent"},
		"a dead code":     {func(s string) string { return regexp.MustCompile(`code=[^&]*`).ReplaceAllString(s, "code=1000.a.b") }, "start consent again"},
		"a foreign server": {func(s string) string {
			return regexp.MustCompile(`accounts-server=[^&]*`).ReplaceAllString(s, "accounts-server=https%3A%2F%2Faccounts.zoho.eu")
		}, "was not sent there"},
	}
	for name, test := range bad {
		t.Run(name, func(t *testing.T) {
			if _, stderr := c.connectWith(t, 1, "bad", test.form); !strings.Contains(stderr, test.says) {
				t.Errorf("it says %s, want %q", stderr, test.says)
			}
		})
	}
	for _, info := range c.connections("").Connections {
		if info.Account == "bad" {
			t.Error("something was stored")
		}
	}

	code := server.SelfClientCode(clientID, "ZohoCRM.modules.ALL")
	if stdout, _ := c.runInput(code+"\n", 0, "zoho", "connect", "main", "self", "--self-client", "--json"); !json.Valid([]byte(stdout)) || !strings.Contains(stdout, `"account": "self"`) {
		t.Errorf("it says %s", stdout)
	}
	if _, stderr := c.runInput(code+"\n", 1, "zoho", "connect", "main", "self", "--self-client"); !strings.Contains(stderr, "used before") {
		t.Errorf("a code twice: %s", stderr)
	}
}

// connectWith runs `connect`, consents as a person would, and pastes a form of what the
// browser ended at.
func (c *proxy) connectWith(t *testing.T, code int, account string, form func(callback string) string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(binary, "zoho", "connect", "main", account)
	var out, said output
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.env, c.dir, &out, &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`http\S+/oauth/v2/auth\?\S+`)
	c.waitFor("the address", func() bool { return address.MatchString(out.String()) })
	b := newBrowser(t)
	callback := b.stopAt("/callback", func() answer { return b.get(address.FindString(out.String())) })
	_, _ = io.WriteString(stdin, form(callback))
	_ = stdin.Close()
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != code {
		t.Errorf("exit code %d, want %d\n%s%s", cmd.ProcessState.ExitCode(), code, out.String(), said.String())
	}
	return out.String(), said.String()
}

// TestImport: existing refresh tokens are proved by one renewal; a batch goes on where
// it was.
func TestImport(t *testing.T) {
	c, server := startOnboarding(t, zohosim.Options{})
	first := server.Grant(clientID, "ann@example.com", "us", "ZohoCRM.modules.ALL", "AaaServer.profile.READ")
	c.secrets = append(c.secrets, first)
	if stdout, _ := c.runInput("\ufeff"+first+"\r\n", 0, "zoho", "import"); !strings.Contains(stdout, "main/default") || !strings.Contains(stdout, "ann@example.com") {
		t.Errorf("it says %s", stdout)
	}
	wantTokenCalls(t, server, 1)
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"); a.StatusCode >= 300 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	wantTokenCalls(t, server, 1)
	if left := c.connections("").Connections[0].BudgetLeft; left != 9 {
		t.Errorf("%d token calls are left, want 9", left)
	}
	for input, says := range map[string]string{
		"1000.unknown.token\n": "revoked, not from", "\n": "nothing came", "two words\n": "no refresh token",
	} {
		if _, stderr := c.runInput(input, 1, "zoho", "import", "main", "default"); !strings.Contains(stderr, says) {
			t.Errorf("%q: %s", input, stderr)
		}
	}
	if _, stderr := c.runInput(first, 1, "zoho", "import", "--data-center", "eu"); !strings.Contains(stderr, "data_center") {
		t.Errorf("a data center that the client does not have: %s", stderr)
	}
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"); a.StatusCode >= 300 || c.connections("").Connections[0].State != "ok" {
		t.Errorf("failed imports did harm: %s %s", a.Status, a.body)
	}

	var batch strings.Builder
	for i := range 5 {
		token := server.Grant(clientID, fmt.Sprintf("user%d@example.com", i), "us", "ZohoCRM.modules.ALL")
		c.secrets = append(c.secrets, token)
		if i == 3 {
			token = "1000.unknown.token"
		}
		fmt.Fprintf(&batch, "{\"account\": \"batch-%d\", \"refresh_token\": %q}\n\n", i, token)
	}
	batch.WriteString("nonsense\n")
	stdout, stderr := c.runInput(batch.String(), 1, "zoho", "import", "main", "--batch")
	if strings.Count(stdout, "connected\n") != 4 || strings.Count(stdout, "failed: ") != 2 || !strings.Contains(stderr, "2 of the accounts") {
		t.Errorf("%s\n%s", stdout, stderr)
	}
	calls := server.Stats().TokenRequests
	if stdout, _ := c.runInput(batch.String(), 1, "zoho", "import", "main", "--batch", "--json"); strings.Count(stdout, `"skipped"`) != 4 {
		t.Errorf("again: %s", stdout)
	}
	wantTokenCalls(t, server, calls+1) // the unknown one
}

// TestRevokeAndForget: at once, without a reload; what is configured is left alone.
func TestRevokeAndForget(t *testing.T) {
	c, server := startOnboarding(t, zohosim.Options{})
	for _, account := range []string{"one", "two"} {
		c.runInput(server.Grant(clientID, account+"@example.com", "us", "ZohoCRM.modules.ALL"), 0, "zoho", "import", "main", account)
		c.get("/crm/v8/Leads", "Zoho-Proxy-Account", account)
	}
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultStatus, Status: 503})
	c.wantCLI(cli{"revoke main one", 1, "", "not forgotten"})
	server.ClearFaults("")
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "one"); a.StatusCode >= 300 {
		t.Errorf("%s", a.Status)
	}
	c.wantCLI(cli{"revoke main one", 0, "forgotten", ""}, cli{"forget two", 0, "forgotten", ""}, cli{"forget main nobody", 1, "", "no stored grant"})
	if n := server.Stats().Grants; n != 1 {
		t.Errorf("%d grants live at Zoho, want that which was only forgotten", n)
	}
	for _, account := range []string{"one", "two"} {
		wantProblem(t, c.get("/crm/v8/Leads", "Zoho-Proxy-Account", account), "no-grant", http.StatusServiceUnavailable)
	}
	if list := c.connections("").Connections; len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
