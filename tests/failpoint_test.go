package tests

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// withFailpoints builds a Caddy whose failpoints are alive, once. The comments that
// mark them are made code in a copy, which the compiler takes instead of the files: the
// tree stays as it is, and no other binary knows of them.
var withFailpoints = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "failpoints")
	root, err := filepath.Abs("..")
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	folders := map[string]string{"caddyzoho": ".", "doctor": "internal/doctor", "tokencache": "tokencache", "boltstore": "tokencache/boltstore"}
	for name, folder := range folders { // gofail takes the copy's folder for the package's name
		if err := enableFailpoints(filepath.Join(root, folder), filepath.Join(dir, name), replace); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, overlay, 0o600); err != nil {
		return "", err
	}
	built := filepath.Join(dir, "caddy")
	return built, run("go", "build", "-overlay", path, "-o", built, "../cmd/caddy")
})

// enableFailpoints copies the files that have failpoints, and notes what replaces what.
func enableFailpoints(from, to string, replace map[string]string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(from, "*.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(content), "// gofail:") || strings.HasSuffix(file, "_test.go") {
			continue
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(file)), content, 0o600); err != nil {
			return err
		}
	}
	if err := run("go", "tool", "gofail", "enable", to); err != nil {
		return err
	}
	made, err := filepath.Glob(filepath.Join(to, "*.go"))
	for _, file := range made {
		replace[filepath.Join(from, filepath.Base(file))] = file
	}
	return err
}

func run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// startFailing starts a Caddy with failpoints, as terms of gofail separated by ";".
func startFailing(t *testing.T, terms string) (*proxy, *zohosim.Server) {
	t.Helper()
	built, err := withFailpoints()
	if err != nil {
		t.Fatal(err)
	}
	server, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	c.binary, c.failpoints = built, "127.0.0.1:"+freePort(t)
	c.setenv("GOFAIL_HTTP="+c.failpoints, "GOFAIL_FAILPOINTS="+terms)
	c.start()
	return c, server
}

// reached tells whether a failpoint was met so many times.
func (c *proxy) reached(name, times string) bool {
	res, err := http.Get("http://" + c.failpoints + "/" + name + "/count")
	if err != nil {
		return false
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return strings.TrimSpace(string(text)) == times
}

// TestKilledAtFailpoints, S-29 and S-37: wherever the process dies on its way to a token,
// the next one has a token with the fewest calls that the files allow, and knows of
// each that was made.
func TestKilledAtFailpoints(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, point, terms, times string
		calls                     int // made when the process dies, and in the end
		inTheEnd                  int
	}{
		{"before the intent is written", "beforeCommit", "sleep(600000)", "1", 0, 1},
		{"after the intent is written", "afterCommit", "sleep(600000)", "1", 0, 1},
		{"before the token call", "beforeTokenCall", "sleep(600000)", "1", 0, 1},
		{"after its answer", "afterTokenCall", "sleep(600000)", "1", 1, 2},
		{"before the token is written", "beforeCommit", "1*off->sleep(600000)", "2", 1, 2},
		{"after the token is written", "afterCommit", "1*off->sleep(600000)", "2", 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, server := startFailing(t, test.point+"="+test.terms)
			var call sync.WaitGroup
			call.Go(func() { _, _ = c.try(http.MethodGet, "/crm/v8/Leads", nil) })
			c.waitFor(test.point, func() bool { return c.reached(test.point, test.times) })
			wantTokenCalls(t, server, test.calls)
			c.kill()
			call.Wait()
			c.setenv("GOFAIL_FAILPOINTS=")
			c.start()
			c.succeed(http.MethodGet, "/crm/v8/Leads", "")
			wantTokenCalls(t, server, test.inTheEnd)
			if left := c.connections("").Connections[0].BudgetLeft; left > 10-test.inTheEnd {
				t.Errorf("%d calls are left after %d", left, test.inTheEnd)
			}
		})
	}
}

// TestPanicsInside, S-60: a panic in the handler, the transport or the renewal fails one
// request, which is told so and counted; the next one is served.
func TestPanicsInside(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		point, code string
		status      int
	}{
		{"inHandler", "internal", http.StatusInternalServerError},
		{"inTransport", "internal", http.StatusInternalServerError},
		{"beforeTokenCall", "accounts-unreachable", http.StatusServiceUnavailable},
		{"afterTokenCall", "accounts-unreachable", http.StatusServiceUnavailable},
	} {
		t.Run(test.point, func(t *testing.T) {
			t.Parallel()
			c, _ := startFailing(t, test.point+`=1*panic("on purpose")`)
			c.panics = true
			wantProblem(t, c.call(http.MethodPost, "/crm/_echo", strings.NewReader("x")), test.code, test.status)
			if n := c.metric("zoho_proxy_errors_total", `code="`+test.code+`"`); n != 1 {
				t.Errorf("zoho_proxy_errors_total counts %v", n)
			}
			c.waitFor("the next call", func() bool { return c.get("/crm/v8/Leads").StatusCode < 300 })
		})
	}
}

// TestPanicInDoctor, S-60: an examination that broke off does not say that nothing is wrong.
func TestPanicInDoctor(t *testing.T) {
	t.Parallel()
	c, _ := startFailing(t, `inDoctor=1*panic("on purpose")`)
	c.panics = true
	if out, _ := c.runInput("", 1, "zoho", "doctor"); !strings.Contains(out, "the examination broke off") || strings.Contains(out, "on purpose") {
		t.Error(out)
	}
	if out, _ := c.runInput("", 0, "zoho", "doctor"); strings.Contains(out, "broke off") {
		t.Errorf("the next one: %s", out)
	}
}
