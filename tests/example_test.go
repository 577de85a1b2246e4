// What is handed out runs: Caddyfile.example, deploy/Caddyfile and the demo.

package tests

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// newExample prepares a Caddy with Caddyfile.example, which takes all from variables.
func newExample(t *testing.T, env ...string) *proxy {
	t.Helper()
	example, err := os.ReadFile(filepath.Join("..", "Caddyfile.example"))
	if err != nil {
		t.Fatal(err)
	}
	return newCaddy(t, string(example), env...)
}

// TestExampleRuns runs Caddyfile.example against the simulator, with the variables that
// the README names and nothing else.
func TestExampleRuns(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	c := newExample(t, "ZOHO_BIND=127.0.0.1", "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	c.start()
	for _, path := range threeServices {
		c.succeed(http.MethodGet, path, "")
	}
	c.succeed(http.MethodGet, "/crm/v8/Leads?data="+strings.Repeat("a", 200<<10), "") // more than Caddy takes by itself
	c.wantHealth("/zoho-health", 200, map[string]int{"ok": 1})
	for _, word := range []string{`"level":"warn"`, `"level":"error"`} {
		for line := range strings.Lines(c.output.String()) {
			// Caddy itself warns of these.
			if strings.Contains(line, word) && strings.Contains(line, `"logger":"zoho`) {
				t.Errorf("the example is warned about: %s", line)
			}
		}
	}
	server.RevokeAccess(grant)
	c.succeed(http.MethodPost, "/desk/api/v1/tickets", `{"subject":"x"}`)
	wantTokenCalls(t, server, 2)
	if _, err := os.Stat(filepath.Join(c.storeDir(), "tokens.db")); err != nil {
		t.Errorf("ZOHO_STORE is not where the store is: %v", err)
	}
}

// TestExampleValidates: what a person leaves out or mistypes is named.
func TestExampleValidates(t *testing.T) {
	t.Parallel()
	c := newExample(t, "ZOHO_REFRESH_TOKEN=1000.0123456789abcdef.fedcba9876543210")
	validate := func(wantCode int, want string, env ...string) {
		t.Helper()
		kept := c.env
		defer func() { c.env = kept }()
		c.setenv(env...)
		_, stderr, code := c.run("validate", "--config", c.config, "--adapter", "caddyfile")
		if code != wantCode || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, want %d and %q in\n%s", env, code, wantCode, want, stderr)
		}
	}
	validate(0, "")
	validate(0, "", "ZOHO_DATA_CENTER=eu")
	validate(0, "", "ZOHO_DATA_CENTER=us eu in")
	validate(0, "caddy zoho connect", "ZOHO_REFRESH_TOKEN=")
	validate(1, "did you mean", "ZOHO_DATA_CENTER=usa")
	validate(1, "loopback", "ZOHO_DATA_CENTER=http://accounts.example http://api.example")
	validate(1, "ZOHO_CLIENT_ID", "ZOHO_CLIENT_ID=")
	validate(1, "ZOHO_CLIENT_SECRET", "ZOHO_CLIENT_SECRET=")
}

// TestExampleWithoutBind: an empty ZOHO_BIND makes the site vanish, and is said.
func TestExampleWithoutBind(t *testing.T) {
	t.Parallel()
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := newExample(t, "ZOHO_BIND=", "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	c.start()
	c.logs(`"logger":"zoho"`, "bind")
}

// TestDemo: the README's first command, with the usual ports taken.
func TestDemo(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds another binary")
	}
	for _, port := range []string{"8080", "2019"} {
		if held, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil { // otherwise somebody else holds it
			defer held.Close()
		}
	}
	demo := filepath.Join(t.TempDir(), "demo")
	build := exec.Command("go", "build", "-o", demo, "./cmd/demo")
	build.Dir = ".."
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	play := func(flag string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, demo, flag)
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "ZOHO_PORT=8080", "ZOHO_DATA_CENTER=nowhere", "ZOHO_CLIENT_ID=", "CADDY_ADMIN=127.0.0.1:2019")
		output, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("demo %s: %v\n%s", flag, err, output)
		}
		return string(output)
	}
	t.Run("refuses arguments", func(t *testing.T) {
		output, err := exec.Command(demo, "connect").CombinedOutput()
		if err == nil || !strings.Contains(string(output), `"connect" is an argument`) || !strings.Contains(string(output), "-connect") {
			t.Errorf("%v\n%s", err, output)
		}
	})
	t.Run("goes on by hand", func(t *testing.T) { demoGoesOn(t, demo) })
	t.Run("connects accounts", func(t *testing.T) { demoConnects(t, demo) })
	if output := play("-once"); !strings.Contains(output, "0 failures seen") {
		t.Errorf("the demo says nothing of what the app saw:\n%s", output)
	}
	// The table of the documents is what the scenarios give, line by line.
	if table := play("-compare"); !strings.Contains(readDoc(t, "docs/how-it-works.md"), "\n\n"+table+"\n") {
		t.Errorf("docs/how-it-works.md has another table than this:\n%s", table)
	}
}

// startDemo starts a demo that is there for people until the test ends.
func startDemo(t *testing.T, demo string, flags ...string) *proxy {
	t.Helper()
	c := &proxy{t: t, client: newClient(), output: new(testbed.Output)}
	cmd := exec.Command(demo, flags...)
	cmd.Dir = ".."
	var err error
	if c.cmd, err = testbed.Start(cmd, c.output); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-c.cmd.Exited
	})
	admin := regexp.MustCompile(`--address (\S+)`)
	c.waitFor("the demo to go on by hand", func() bool { return admin.MatchString(c.output.String()) })
	c.admin = admin.FindStringSubmatch(c.output.String())[1]
	return c
}

// demoConnects: by Caddyfile.connect and a browser, from no account to calls for two.
func demoConnects(t *testing.T, demo string) {
	c := startDemo(t, demo, "-connect")
	c.url = strings.TrimSuffix(regexp.MustCompile(`http://localhost:\d+/zoho-connect/`).FindString(c.output.String()), "/zoho-connect/")
	b := newBrowser(t)
	wantPage(t, b.get(c.pages()), http.StatusOK, "No account of client main is connected yet.")
	page := b.get(c.pages() + "connect?account=default")
	wantPage(t, page, http.StatusOK, "OK:")
	if strings.Contains(string(page.body), "Needs attention:") {
		t.Errorf("not all is well before consent: %s", page.body)
	}
	for _, account := range []string{"default", "acme"} {
		consent := b.stopAt("/auth", func() answer { return b.post(c.pages()+"start", url.Values{"account": {account}}) })
		zoho, err := url.Parse(consent)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := http.Post("http://"+zoho.Host+"/_sim/limits", "application/json", strings.NewReader(`{"consent": "auto"}`)); err != nil {
			t.Fatal(err)
		}
		wantPage(t, b.get(consent), http.StatusOK, "The account is connected")
	}
	if a := c.get("/crm/v8/org"); a.StatusCode != http.StatusOK || len(a.body) > 4096 {
		t.Errorf("default: %s, %d bytes", a.Status, len(a.body))
	}
	if a := c.get("/crm/v8/org", "Zoho-Proxy-Account", "acme"); a.StatusCode != http.StatusOK {
		t.Errorf("acme: %s %s", a.Status, a.body)
	}
	wantProblem(t, c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "nobody"), "no-grant", http.StatusServiceUnavailable)
}

// demoGoesOn: after its walk the demo is there for people, with tokens that live as
// Zoho's do.
func demoGoesOn(t *testing.T, demo string) {
	c := startDemo(t, demo)
	c.waitFor("a token that lives for more than a minute", func() bool {
		expires := c.connections("").Connections[0].Expires
		return expires != nil && time.Until(*expires) > time.Minute
	})
}

// TestDeployedCaddyfileRuns: with the key in a file there is neither a warning nor a key beside
// the store.
func TestDeployedCaddyfileRuns(t *testing.T) {
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, readDoc(t, "deploy/Caddyfile"), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	path := filepath.Join(c.dir, "encryption_key")
	if err := os.WriteFile(path, []byte(deployedKey), 0o600); err != nil {
		t.Fatal(err)
	}
	c.setenv("ZOHO_ENCRYPTION_KEY_FILE=" + path)
	c.start()
	c.succeed(http.MethodGet, threeServices[0], "")
	c.wantNoWarning()
	if _, err := os.Stat(c.masterKey()); err == nil {
		t.Error("a key was made that is not used")
	}
}

// TestNoAnswerFromCaddyItself: whatever reaches the listener of Caddyfile.example is
// answered by Zoho or says why not; an empty 200 of Caddy's would pass for success.
func TestNoAnswerFromCaddyItself(t *testing.T) {
	t.Parallel()
	c, _ := startExample(t, "")
	hosts := []string{
		"localhost", "LOCALHOST.", "127.0.0.1", c.hostport(), "127.0.0.2", "[::1]", "[::1]:8080", "0", "2130706433", "x", "_", "example.com",
		"www.example.com:80", "zoho.com", "www.zoho.com", "accounts.zoho.com", "accounts.zoho.eu", "www.zohoapis.com", "www.zohoapis.com:443", "www.zohoapis.eu",
		"WWW.ZOHOAPIS.COM", "www.zohoapis.com.", "sandbox.zohoapis.com", "content.zohoapis.com", "desk.zoho.com", "desk.zoho.in", "crm.zoho.com", "books.zoho.com",
		"nothing.zoho.com", "zoho.com.evil.example", "evilzoho.com", "xn--zoho-6ve.com", "sim.localhost", "a.b.c.d.e.f", "999.999.999.999", "host:0", "host:99999",
		"*", "-", "%77ww.zohoapis.com", strings.Repeat("a", 250) + ".example",
	}
	paths := []string{
		"/", "//", "/crm", "/crm/v8/Leads", "/crm/v8/Leads?x", "/desk/api/v1/tickets", "/mail/x", "/nothing", "/CRM/v8", "/%63rm/v8", "/../crm/v8", "/crm/../../x",
		"/.well-known/acme-challenge/token", "/config/", "/metrics", "/zoho/connections", "/zoho-connect/", "/zoho-connect/callback?code=1&state=2",
		"/index.html", "/favicon.ico", "/oauth/v2/token", "/?" + strings.Repeat("q", 4000),
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "get", "X-ODD"}
	conn := c.dial(t)
	defer conn.Close()
	in, n := bufio.NewReader(conn), 0
	check := func(method, target, host string) {
		_ = conn.SetDeadline(time.Now().Add(patience)) // of this call, not of all
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", method, target, host)
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%s %.60s at %.60s: %v", method, target, host, err)
		}
		body, err := io.ReadAll(res.Body)
		if a := (answer{res, body}); err != nil || !fromZohoOrUs(a) || res.Close {
			t.Errorf("%s %.60s at %.60s: %s, close %v: %.100s", method, target, host, res.Status, res.Close, body)
		}
		n++
	}
	for _, host := range hosts {
		for i, path := range paths {
			check(methods[i%len(methods)], path, host)
			check("GET", path, host)
		}
		for _, scheme := range []string{"http", "https", "HTTP", "ws"} {
			if !strings.ContainsAny(host, "%*") {
				check("GET", scheme+"://"+host+"/crm/v8/Leads", "x")
			}
		}
	}
	for _, method := range methods {
		for _, path := range paths {
			check(method, path, c.hostport())
		}
	}
	for _, target := range []string{"*", "http:///crm/v8/Leads", "mailto:crm", "urn:x:y", "http:crm/v8", "file:///etc/passwd"} {
		check("GET", target, "x")
	}
	t.Logf("%d requests", n)
}

// TestExampleUpstreamDown: a Zoho that cannot be reached is said in the form of the
// other refusals, in JSON.
func TestExampleUpstreamDown(t *testing.T) {
	t.Parallel()
	c, _ := startExample(t, "http://127.0.0.1:"+freePort(t))
	a := c.get("/crm/v8/Leads")
	var body struct {
		Status, Code, Detail string
	}
	a.decode(t, &body)
	if a.StatusCode != http.StatusBadGateway || a.problem() != "upstream" || body.Status != "error" || body.Code != "upstream" || body.Detail == "" {
		t.Errorf("%s %v %s", a.Status, a.Header, a.body)
	}
}

// TestExampleElsewhere: a port of a stranger on the same machine gets nothing.
func TestExampleElsewhere(t *testing.T) {
	t.Parallel()
	c, _ := startExample(t, "")
	_, port, _ := net.SplitHostPort(c.hostport())
	for _, host := range append(ownAddresses(), "127.0.0.2", "[::1]") {
		if conn, err := net.DialTimeout("tcp", host+":"+port, time.Second); err == nil {
			conn.Close()
			t.Errorf("it listens on %s too", host)
		}
	}
}

func ownAddresses() []string {
	var own []string
	addrs, _ := net.InterfaceAddrs()
	for _, addr := range addrs {
		if ip, _, err := net.ParseCIDR(addr.String()); err == nil && !ip.IsLoopback() && ip.To4() != nil {
			own = append(own, ip.String())
		}
	}
	return own
}
