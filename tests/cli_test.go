// Commands: what an operator types, what is said, and the exit codes that scripts go by; and the
// admin API behind them.

package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
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

// TestCommandLineWithoutZoho: a Caddy that runs something else.
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
		wantPage(t, newBrowser(t).get(c.pages()), 200, "Accounts of main")
	}
	works()
	c.writeConfig(strings.Replace(config, "\tzoho_health\n", "\tzoho_health\n\trespond /reloaded yes\n", 1))
	c.signal(sigReload)
	// Nobody can ask whether the server of before is gone: it would get half of new connections.
	c.waitFor("the file to be read again", func() bool {
		for range 20 {
			c.client.CloseIdleConnections()
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
	cmd.SysProcAttr = asUser(nobody)
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

// TestScripts, S-19, plays tests/script/*.txtar: what an operator types, and what comes of it.
// In each a Caddy with the archive's Caddyfile (or that of onboarding) runs in front of a
// simulator. Beside testscript's own commands there are:
//
//	zoho [EXIT] ARG… [<FILE]       caddy zoho ARG…, which must exit with EXIT (0)
//	consent [EXIT] FORM ARG…       caddy zoho connect ARG…, with consent given, and what the
//	                               browser ended at pasted in one of the pasteForms
//	call STATUS PATH [ACCOUNT]     a call of an app's
//	grant NAME USER [SCOPE…]       has $NAME be a refresh token
//	code NAME [SCOPE…]             has $NAME be a self client's code
//	sim WHAT [JSON]                the simulator's control endpoint
//	write FILE TEXT…               a file with a line for each TEXT
//	caddy start|stop|reload        the Caddy in front
//	caddy second                   another one with the same store, which must not start
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("script/*.txtar")
	if err != nil || len(files) < 10 {
		t.Fatal("where are the scripts?", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			testscript.Run(t, testscript.Params{Files: []string{file}, Setup: s.setup, Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"zoho": s.zoho, "consent": s.consent, "call": s.call, "grant": s.grant, "code": s.code, "sim": s.sim, "write": write, "caddy": s.caddy,
			}})
		})
	}
}

// stage is a Caddy in front of a simulator, for one script.
type stage struct {
	*proxy
	server  *zohosim.Server
	zohoURL string
}

func newStage(t *testing.T) *stage {
	server := zohosim.New(zohosim.Options{Consent: zohosim.ConsentAuto})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true})
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	c := newCaddy(t, onboarding, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_CONNECT_OPTIONS=")
	return &stage{proxy: c, server: server, zohoURL: baseURL}
}

func (s *stage) setup(env *testscript.Env) error {
	if config, err := os.ReadFile(filepath.Join(env.WorkDir, "Caddyfile")); err == nil {
		s.writeConfig(string(config))
	}
	s.start()
	env.Setenv("ADMIN", s.admin)
	env.Setenv("CLIENT_ID", clientID)
	env.Setenv("PAGES", s.pages())
	env.Setenv("PROXY", strings.TrimPrefix(s.url, "http://"))
	env.Setenv("SIMULATOR", strings.TrimPrefix(s.zohoURL, "http://"))
	env.Setenv("CONFIG", s.config)
	env.Setenv("STORE", s.storeDir())
	env.Setenv("PID", strconv.Itoa(s.cmd.Process.Pid))
	return nil
}

// exitCode takes the exit code that is expected off the front of a command's arguments.
func exitCode(args []string) (code int, rest []string) {
	if len(args) > 0 {
		if n, err := strconv.Atoi(args[0]); err == nil {
			return n, args[1:]
		}
	}
	return 0, args
}

func (s *stage) zoho(ts *testscript.TestScript, neg bool, args []string) {
	want, args := exitCode(args)
	var input io.Reader
	if n := len(args) - 1; n >= 0 && strings.HasPrefix(args[n], "<") {
		input, args = strings.NewReader(ts.ReadFile(args[n][1:])), args[:n]
	}
	stdout, stderr, code := s.runWith(input, append([]string{"zoho"}, args...)...)
	s.said(ts, stdout, stderr, code, want)
}

func (s *stage) said(ts *testscript.TestScript, stdout, stderr string, code, want int) {
	fmt.Fprint(ts.Stdout(), stdout)
	fmt.Fprint(ts.Stderr(), stderr)
	if code != want {
		ts.Fatalf("exit code %d, want %d\n%s%s", code, want, stdout, stderr)
	}
}

func (s *stage) consent(ts *testscript.TestScript, neg bool, args []string) {
	want, args := exitCode(args)
	form := pasteForms[args[0]]
	if form == nil {
		ts.Fatalf("there is no form %s", args[0])
	}
	cmd := exec.Command(binary, append([]string{"zoho", "connect"}, args[1:]...)...)
	var out, said testbed.Output
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.env, s.dir, &out, &said
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	address := regexp.MustCompile(`http[^\s"]+/oauth/v2/auth\?[^\s"]+`)
	s.waitFor("the address", func() bool { return address.MatchString(out.String() + said.String()) })
	b := newBrowser(s.t)
	callback := b.stopAt("/callback", func() answer { return b.get(address.FindString(out.String() + said.String())) })
	_, _ = io.WriteString(stdin, form(callback))
	_ = stdin.Close()
	_ = cmd.Wait()
	s.checkSecrets("caddy zoho connect", []byte(out.String()+said.String()))
	s.said(ts, out.String(), said.String(), cmd.ProcessState.ExitCode(), want)
}

func (s *stage) call(ts *testscript.TestScript, neg bool, args []string) {
	var header []string
	if len(args) > 2 {
		header = []string{"Zoho-Proxy-Account", args[2]}
	}
	a := s.get(args[1], header...)
	fmt.Fprintf(ts.Stdout(), "%s %s\n%s\n", a.Status, a.problem(), a.body)
	if strconv.Itoa(a.StatusCode) != args[0] {
		ts.Fatalf("%s %s, want %s", a.Status, a.body, args[0])
	}
}

func (s *stage) grant(ts *testscript.TestScript, neg bool, args []string) {
	scopes := args[2:]
	if len(scopes) == 0 {
		scopes = []string{"ZohoCRM.modules.ALL", "ZohoCRM.org.READ", "AaaServer.profile.READ", "Desk.tickets.ALL"}
	}
	token := s.server.Grant(clientID, args[1], "us", scopes...)
	s.secrets = append(s.secrets, token)
	ts.Setenv(args[0], token)
}

func (s *stage) code(ts *testscript.TestScript, neg bool, args []string) {
	code := s.server.SelfClientCode(clientID, append(args[1:], "ZohoCRM.modules.ALL")...)
	s.secrets = append(s.secrets, code)
	ts.Setenv(args[0], code)
}

func (s *stage) sim(ts *testscript.TestScript, neg bool, args []string) {
	body := "{}"
	if len(args) > 1 {
		body = args[1]
	}
	res, err := http.Post(s.zohoURL+"/_sim/"+args[0], "application/json", strings.NewReader(body))
	ts.Check(err)
	defer res.Body.Close()
	var said bytes.Buffer
	_, _ = io.Copy(&said, res.Body)
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %s %s", args[0], res.Status, said.String())
	}
}

func write(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(args[1:], "\n")+"\n"), 0o600))
}

func (s *stage) caddy(ts *testscript.TestScript, neg bool, args []string) {
	switch args[0] {
	case "start":
		s.start()
	case "stop":
		s.stop()
	case "reload":
		ts.Check(s.reload())
	case "second":
		s.second(ts)
	default:
		ts.Fatalf("caddy %s", args[0])
	}
}

// second runs another Caddy with the same store, at addresses of its own.
func (s *stage) second(ts *testscript.TestScript) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "run", "--config", s.config, "--adapter", "caddyfile")
	cmd.Dir, cmd.Env = s.dir, append(slices.Clone(s.env), "CADDY_ADMIN=127.0.0.1:"+freePort(s.t), "ZOHO_PORT="+freePort(s.t))
	said, _ := cmd.CombinedOutput() // the exit code tells
	s.checkSecrets("a second Caddy", said)
	s.said(ts, "", string(said), cmd.ProcessState.ExitCode(), 1)
}

// TestProgress: what takes longer than a second says that it is at it, on standard error.
func TestProgress(t *testing.T) {
	t.Parallel()
	c, server, _ := newDoctored(t, zohosim.Options{}, asItIs, threeScopes...)
	c.start()
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHang})
	cmd := exec.Command(binary, "zoho", "refresh", "--json")
	var stdout, stderr testbed.Output
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.env, c.dir, &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.waitFor("a word of it", func() bool { return strings.Contains(stderr.String(), "1 s\n") })
	server.ClearFaults("accounts")
	if err := cmd.Wait(); err != nil || !json.Valid([]byte(stdout.String())) {
		t.Errorf("%v\n%s\n%s", err, stdout.String(), stderr.String())
	}
	begun := time.Now()
	if _, stderr, _ := c.run("zoho", "status"); stderr != "" && time.Since(begun) < time.Second {
		t.Errorf("it says %q", stderr)
	}
}
