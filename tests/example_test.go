package tests

import (
	"context"
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
	// The README's table is what the scenarios give, line by line.
	if table := play("-compare"); !strings.Contains(readDoc(t, "README.md"), "\n\n"+table+"\n") {
		t.Errorf("README.md has another table than this:\n%s", table)
	}
}

// startDemo starts a demo that is there for people until the test ends.
func startDemo(t *testing.T, demo string, flags ...string) *proxy {
	t.Helper()
	c := &proxy{t: t, output: new(output), exited: make(chan error, 1)}
	cmd := exec.Command(demo, flags...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "..", c.output, c.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.exited <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-c.exited
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
	wantPage(t, page, http.StatusOK, "Good:")
	if strings.Contains(string(page.body), "Look:") {
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
		wantPage(t, b.get(consent), http.StatusOK, "The grant is stored")
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
