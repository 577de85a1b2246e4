package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestCommandLine: what an operator types, with the exit codes that scripts go by.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	c, server, grants := startTwoAccounts(t, zohosim.Options{})
	c.wantCLI(
		cli{"status", 0, "second", ""},
		cli{"refresh main default", 0, "default", ""},
		cli{"refresh second", 0, "second", ""},
		cli{"status main", 0, "left", ""},
		cli{"status main second", 0, "second", ""},
		cli{"status second", 0, "second", ""},
		cli{"status --state ok", 0, "default", ""},
		cli{"status --state dead", 0, "no connection", ""},
		cli{"version", 0, "caddy-zoho ", ""},
		cli{"", 0, "Available Commands", ""},
		cli{"--help", 0, "Exit codes", ""},
		cli{"status --address " + c.admin, 0, "default", ""},

		cli{"status nobody", 1, "", "nobody"},
		cli{"status main nobody", 1, "", "nobody"},
		cli{"refresh main nobody", 1, "", "nobody"},
		cli{"refresh nobody", 1, "", "nobody"},

		cli{"stauts", 2, "", "did you mean status?"},
		cli{"refesh", 2, "", "did you mean refresh?"},
		cli{"status a b c", 2, "", "usage: "},
		cli{"refresh a b c", 2, "", "usage: "},
		cli{"version x", 2, "", "usage: "},
		cli{"status --jsno", 2, "", "usage: "},
		cli{"status --state daed", 2, "", "did you mean dead?"},

		cli{"status --address 127.0.0.1:1", 4, "", "hint: "},
		cli{"refresh --address unix//" + filepath.Join(c.dir, "nothing.sock"), 4, "", "hint: "},
	)
	wantTokenCalls(t, server, 2)

	stdout, _, _ := c.run("zoho", "status", "--json")
	var list connectionList
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || list.Total != 2 || list.Connections[0].Generation != 1 || list.Connections[0].Expires == nil {
		t.Errorf("status --json: %v %s", err, stdout)
	}
	stdout, _, _ = c.run("zoho", "refresh", "default", "--json")
	var one connection
	if err := json.Unmarshal([]byte(stdout), &one); err != nil || one.Account != "default" || one.Generation != 2 || one.BudgetLeft != 998 {
		t.Errorf("refresh --json: %v %s", err, stdout)
	}

	server.Revoke(grants[1])
	wantProblem(t, c.get(threeServices[0], "Zoho-Proxy-Account", "second"), "grant-dead", http.StatusServiceUnavailable)
	c.wantCLI(
		cli{"status", 3, "dead, needs consent", ""},
		cli{"status main default", 0, "", ""},
		cli{"status main second --json", 3, `"needs_consent": true`, ""},
		cli{"status --state dead", 3, "second", ""},
		cli{"refresh second", 3, "", "second"},
	)
	c.stop()
	c.wantCLI(cli{"status", 4, "", "hint: "}, cli{"refresh", 4, "", "hint: "})
}

// TestCommandLineBudget: an operator's wish does not go beyond the budget.
func TestCommandLineBudget(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	for range 10 {
		c.wantCLI(cli{"refresh", 0, "", ""})
	}
	c.wantCLI(cli{"refresh", 1, "", "budget"})
	wantTokenCalls(t, server, 10)
	c.succeed(http.MethodGet, threeServices[0], "")
}

// TestCommandLineWithoutGrant: an account that waits for consent is told from one that
// there is not, by every command in the same way.
func TestCommandLineWithoutGrant(t *testing.T) {
	t.Parallel()
	_, baseURL, _ := sim(t, zohosim.Options{})
	c := newCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN=")
	c.start()
	for _, command := range []string{"status", "refresh", "doctor"} {
		c.wantCLI(
			cli{command, 3, "", ""},
			cli{command + " main default", 3, "", ""},
			cli{command + " main nobody", 1, "", "client main has no account nobody; it has default"},
			cli{command + " mian default", 1, "", "did you mean main?"},
		)
	}
}

// TestBatchPace: what fails is asked no faster than what succeeds.
func TestBatchPace(t *testing.T) {
	t.Parallel()
	c, _ := startOnboarding(t, zohosim.Options{})
	var lines strings.Builder
	for i := range 6 {
		fmt.Fprintf(&lines, "{\"account\": \"a%d\", \"refresh_token\": \"1000.un.known\"}\n", i)
	}
	begun := time.Now()
	c.runInput(lines.String(), 1, "zoho", "import", "main", "--batch")
	if took := time.Since(begun); took < 1200*time.Millisecond {
		t.Errorf("6 tokens were tried in %s", took)
	}
}

// TestCommandLineWithoutModule: a Caddy that runs something else.
func TestCommandLineWithoutZoho(t *testing.T) {
	t.Parallel()
	c := newCaddy(t, "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\trespond ok\n}\n")
	c.startLoggingElsewhere()
	c.wantCLI(cli{"status", 1, "", "zoho"}, cli{"refresh", 1, "", "zoho"})
}

// TestAdminSocket: the admin endpoint on a Unix socket, by --address and by --config.
func TestAdminSocket(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	dir, err := os.MkdirTemp("", "zoho") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	config := strings.Replace(oneClient, "{\n\tzoho {", "{\n\tadmin unix/{$ADMIN_SOCKET}\n\tzoho {", 1)
	socket := filepath.Join(dir, "admin.sock")
	c := newCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant, "ADMIN_SOCKET="+socket)
	c.searched = nil // it is a socket, which is gone by then
	c.startLoggingElsewhere()
	c.wantCLI(
		cli{"status --address unix/" + socket, 0, "default", ""},
		cli{"refresh --address unix/" + socket, 0, "default", ""},
		cli{"status --config " + c.config + " --adapter caddyfile", 0, "default", ""},
		cli{"status -c " + c.config, 0, "default", ""},
		cli{"status", 4, "", "hint: "},
	)
	wantTokenCalls(t, server, 1)
	if os.Getuid() == 0 {
		c.wantNoRights(dir, "unix/"+socket)
	}
}

// TestAdminOff: what docs/security.md says that it costs, and what it leaves.
func TestAdminOff(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	config := strings.NewReplacer("{$CADDY_ADMIN}", "off", "\tzoho_connect", "\tzoho_health\n\tmetrics /metrics\n\tzoho_connect",
		"account {http.request.header.Zoho-Proxy-Account}", "").Replace(onboarding)
	c := newCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_CONNECT_OPTIONS=", "ZOHO_CLIENT_OPTIONS=refresh_token {env.GRANT}", "GRANT="+grant)
	c.searched = nil // its admin endpoint is not there
	c.startLoggingElsewhere()
	for _, command := range []string{"status", "refresh", "connect", "forget default", "doctor --config " + c.config} {
		c.wantCLI(cli{command, 4, "", "no answer from Caddy"})
	}
	works := func() {
		t.Helper()
		c.succeed(http.MethodGet, threeServices[0], "")
		c.wantHealth("/zoho-health", 200, map[string]int{"ok": 1})
		if a := c.get("/metrics"); !strings.Contains(string(a.body), "zoho_requests_total") {
			t.Errorf("/metrics: %s", a.Status)
		}
		wantPage(t, newBrowser(t).get(c.pages()), 200, "Connections of main")
	}
	works()
	c.writeConfig(strings.Replace(config, "\tzoho_health\n", "\tzoho_health\n\trespond /reloaded yes\n", 1))
	c.signal(syscall.SIGUSR1)
	// Nobody can ask whether the server of before is gone: it would get half of new connections.
	c.waitFor("the file to be read again", func() bool {
		for range 20 {
			closeIdle()
			if a, err := c.try(http.MethodGet, "/reloaded", nil); err != nil || string(a.body) != "yes" {
				return false
			}
		}
		return true
	})
	works()
	wantTokenCalls(t, server, 1)
}

// wantNoRights: another user cannot open the socket, and is told so.
func (c *proxy) wantNoRights(dir, socket string) {
	c.t.Helper()
	program, err := os.ReadFile(binary)
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(dir, "caddy"), program, 0o755), os.Chmod(dir, 0o755))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "caddy"), "zoho", "status", "--address", socket)
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	said, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 4 || !strings.Contains(string(said), "permission denied\nhint: run this as a user who may open that socket") {
		c.t.Errorf("exit code %d: %s", code, said)
	}
}

// TestAdminAPI: metadata for whoever asks, changes by POST alone.
func TestAdminAPI(t *testing.T) {
	t.Parallel()
	c, server, _ := startTwoAccounts(t, zohosim.Options{})
	lists := map[string]int{
		"": 2, "?client=main": 2, "?account=second": 1, "?state=ok": 2, "?state=dead": 0,
		"?client=main&account=nobody": 0, "?limit=1": 1, "?limit=10000": 2,
	}
	for query, want := range lists {
		if list := c.connections(query); len(list.Connections) != want {
			t.Errorf("%s lists %d, want %d", query, len(list.Connections), want)
		}
	}
	if list := c.connections("?limit=1"); list.Total != 2 {
		t.Errorf("total %d with a limit", list.Total)
	}
	wantTokenCalls(t, server, 0)
	refusals := []struct {
		method, path string
		status       int
		code         string
	}{
		{"POST", "/zoho/connections", 405, "method"},
		{"DELETE", "/zoho/connections", 405, "method"},
		{"GET", "/zoho/connections/main/default/refresh", 405, "method"},
		{"PUT", "/zoho/connections/main/default/refresh", 405, "method"},
		{"GET", "/zoho/doctor", 405, "method"},
		{"POST", "/zoho/connections/main/default/nothing", 404, "unknown-action"},
		{"POST", "/zoho/connections/main/default/", 404, "unknown-action"},
		{"POST", "/zoho/connections/main/nobody/refresh", 404, "unknown-account"},
		{"POST", "/zoho/connections/main/nobody/forget", 404, "unknown-account"},
		{"POST", "/zoho/connections/nobody/default/refresh", 404, "unknown-client"},
		{"POST", "/zoho/doctor?client=nobody", 404, "unknown-client"},
		{"POST", "/zoho/connections/main", 404, "path"},
		{"POST", "/zoho/connections/main/default/refresh/more", 404, "path"},
		{"GET", "/zoho/connections?client=nobody", 404, "unknown-client"},
		{"GET", "/zoho/connections?limit=0", 400, "limit"},
		{"GET", "/zoho/connections?limit=x", 400, "limit"},
		{"GET", "/zoho/connections?state=daed", 400, "unknown-state"},
	}
	for _, test := range refusals {
		a := c.adminCall(test.method, test.path, "")
		var body struct{ Error, Code string }
		err := json.Unmarshal(a.body, &body)
		if a.StatusCode != test.status || err != nil || body.Error == "" || strings.HasPrefix(body.Error, "zoho: ") || body.Code != test.code {
			t.Errorf("%s %s: %s %s, want %d %s", test.method, test.path, a.Status, a.body, test.status, test.code)
		}
	}
	bodies := []struct{ path, body, code string }{
		{"main/new/import", "{", "bad-body"},
		{"main/new/import", `{"token": "x"}`, "bad-body"},
		{"main/new/import", `{"refresh_token": "1000.a.b", "data_center": "zz"}`, "data-center"},
		{"main/new/import", `{"refresh_token": "1000.a.b", "data_center": "eu"}`, "data-center-not-configured"},
		{"main/no%20name/import", `{"refresh_token": "1000.a.b"}`, "account-name"},
		{"main/new/invite", `{"expires": "60"}`, "expires"},
		{"main/new/invite", `{"expires": "8760h"}`, "expires"},
		{"main/new/invite", `{"return_to": "http://app.example.com"}`, "return-to"},
	}
	for _, test := range bodies {
		a := c.adminCall(http.MethodPost, "/zoho/connections/"+test.path, test.body)
		var body struct{ Error, Code string }
		if err := json.Unmarshal(a.body, &body); a.StatusCode != http.StatusBadRequest || err != nil || body.Error == "" || body.Code != test.code {
			t.Errorf("%s %s: %s %s, want %s", test.path, test.body, a.Status, a.body, test.code)
		}
	}
	if strings.Contains(c.output.String(), `"msg":"request error"`) {
		t.Errorf("what is mistyped is an error in Caddy's log")
	}
	wantTokenCalls(t, server, 0)
	var info connection
	c.adminCall(http.MethodPost, "/zoho/connections/main/second/refresh", "").decode(t, &info)
	if info.Account != "second" || info.Generation != 1 || !info.HasToken || !info.HasGrant || !info.Configured || info.State != "ok" {
		t.Errorf("%+v", info)
	}
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHTML})
	if a := c.adminCall(http.MethodPost, "/zoho/connections/main/second/refresh", ""); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("refresh with Accounts down: %s %s", a.Status, a.body)
	}
	server.ClearFaults("")
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultThrottle})
	for path, body := range map[string]string{"main/new/import": `{"refresh_token": "1000.a.b"}`, "main/second/refresh": ""} {
		a := c.adminCall(http.MethodPost, "/zoho/connections/"+path, body)
		var told struct {
			RetryAfter int `json:"retry_after"`
		}
		if err := json.Unmarshal(a.body, &told); err != nil || told.RetryAfter < 1 || a.Header.Get("Retry-After") != strconv.Itoa(told.RetryAfter) {
			t.Errorf("%s while Zoho throttles: %s, Retry-After %s: %s", path, a.Status, a.Header.Get("Retry-After"), a.body)
		}
	}
	// A web page has no business there; Caddy sees to that.
	if a := c.adminCall(http.MethodPost, "/zoho/connections/main/second/refresh", "", "Origin", "https://evil.example"); a.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign origin: %s", a.Status)
	}
}
