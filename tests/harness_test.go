// Package tests runs the built binary end to end: a real Caddy process with real
// bbolt files, called by real HTTP clients; only Zoho is simulated.
package tests

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// binary is the Caddy under test, built once; scratch is gone when the tests are over.
var binary, scratch string

// parallel is how many tests run at once that say they may: they wait more than they
// work.
const parallel = "8"

// patience is how long a test waits for what must come: only a hang takes that long, however
// busy the machine is.
const patience = 3 * time.Minute

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", parallel); err != nil { // -parallel counts all the same
		panic(err)
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "caddy-zoho-tests-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	if binary = os.Getenv("CADDY_ZOHO_BINARY"); binary != "" {
		return m.Run()
	}
	binary = filepath.Join(scratch, "caddy")
	build := exec.Command("go", "build", "-o", binary, "../cmd/caddy")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the binary under test:", err)
		return 1
	}
	return m.Run()
}

// The secrets of every test, long enough that finding one is no accident.
const (
	clientID     = "1000.TESTCLIENT7Q2WX"
	clientSecret = "testsecret4f1c9e22b7aa08d35510"
)

// oneClient is the usual configuration; %s takes subdirectives of zoho_proxy.
const oneClient = `{
	zoho {
		store bolt {$ZOHO_STORE}
		client main {
			data_center   {$ZOHO_DATA_CENTER}
			client_id     {env.ZOHO_CLIENT_ID}
			client_secret {env.ZOHO_CLIENT_SECRET}
			refresh_token {env.ZOHO_REFRESH_TOKEN}
			{$ZOHO_CLIENT_OPTIONS}
		}
	}
}
http://:{$ZOHO_PORT} {
	bind 127.0.0.1
	zoho_health
	zoho_proxy {
		{$ZOHO_PROXY_OPTIONS}
	}
}
`

// sim starts a simulator with one client and one grant; its limits are Zoho's own
// unless o says otherwise.
func sim(t testing.TB, o zohosim.Options) (server *zohosim.Server, baseURL, refreshToken string) {
	t.Helper()
	server = zohosim.New(o)
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret})
	refreshToken = server.Grant(clientID, "owner@example.com", "us",
		"ZohoCRM.modules.ALL", "ZohoCRM.coql.READ", "ZohoBooks.fullaccess.all", "Desk.tickets.ALL", "Desk.contacts.ALL", "Desk.basic.READ")
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	return server, baseURL, refreshToken
}

// proxy is a running Caddy under test.
type proxy struct {
	t       testing.TB
	url     string // of the site
	admin   string
	dir     string
	config  string // path of the Caddyfile
	env     []string
	secrets []string // must not be seen anywhere
	binary  string   // that is run
	wrap    []string // a command that runs it as its child
	panics  bool     // are in order

	searched []string // of the admin endpoint, for secrets in the end

	failpoints string // where those of the binary are told of

	cmd    *exec.Cmd
	exited chan error
	output *output
}

// newCaddy prepares a Caddy with a configuration and variables of the form
// "NAME=value"; ports, store and the client's secrets are set.
func newCaddy(t testing.TB, config string, env ...string) *proxy {
	t.Helper()
	c := &proxy{t: t, binary: binary, dir: t.TempDir(), output: new(output), secrets: []string{clientSecret},
		searched: []string{"/config/", "/metrics", "/zoho/connections"}}
	site, admin := freePort(t), freePort(t)
	c.url, c.admin = "http://127.0.0.1:"+site, "127.0.0.1:"+admin
	c.config = filepath.Join(c.dir, "Caddyfile")
	c.writeConfig(config)
	c.env = append(cleanEnvironment(), "CADDY_ADMIN="+c.admin,
		"XDG_DATA_HOME="+c.dir, "XDG_CONFIG_HOME="+c.dir, "HOME="+c.dir,
		"ZOHO_PORT="+site, "ZOHO_STORE="+c.storeDir(),
		"ZOHO_CLIENT_ID="+clientID, "ZOHO_CLIENT_SECRET="+clientSecret,
		"ZOHO_CLIENT_OPTIONS=", "ZOHO_PROXY_OPTIONS=")
	c.setenv(env...)
	return c
}

// startCaddy is newCaddy and start.
func startCaddy(t testing.TB, config string, env ...string) *proxy {
	t.Helper()
	c := newCaddy(t, config, env...)
	c.start()
	return c
}

// startSimulated is the usual pair: a simulator on plain HTTP and Caddy in front.
func startSimulated(t *testing.T, o zohosim.Options, env ...string) (*proxy, *zohosim.Server, string) {
	t.Helper()
	server, baseURL, grant := sim(t, o)
	c := startCaddy(t, oneClient, append([]string{"ZOHO_DATA_CENTER=" + baseURL + " " + baseURL, "ZOHO_REFRESH_TOKEN=" + grant}, env...)...)
	return c, server, grant
}

func (c *proxy) storeDir() string { return filepath.Join(c.dir, "store") }

func (c *proxy) writeConfig(config string) {
	c.t.Helper()
	if err := os.WriteFile(c.config, []byte(config), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// setenv changes variables for the next start; refresh tokens become secrets that
// must not be seen.
func (c *proxy) setenv(env ...string) {
	c.env = append(c.env, env...)
	for _, v := range env {
		if name, value, _ := strings.Cut(v, "="); strings.Contains(name, "REFRESH_TOKEN") && value != "" {
			c.secrets = append(c.secrets, value)
		}
	}
}

// spawn runs Caddy and waits for nothing.
func (c *proxy) spawn() {
	c.t.Helper()
	line := append(slices.Clone(c.wrap), c.binary, "run", "--config", c.config, "--adapter", "caddyfile")
	c.cmd = exec.Command(line[0], line[1:]...)
	c.cmd.Env, c.cmd.Dir = c.env, c.dir
	c.cmd.Stdout, c.cmd.Stderr = c.output, c.output
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	exited := make(chan error, 1)
	c.exited = exited
	go func(cmd *exec.Cmd) { exited <- cmd.Wait() }(c.cmd)
	c.t.Cleanup(c.stopAndCheck)
}

// start runs Caddy and waits until its admin endpoint has the configuration.
func (c *proxy) start() {
	c.t.Helper()
	c.spawn()
	c.waitFor("the configuration to be served", func() bool {
		a, err := c.tryAdmin(http.MethodGet, "/config/", "")
		return err == nil && bytes.Contains(a.body, []byte(`"apps"`)) && strings.Contains(c.output.String(), "serving initial configuration")
	})
}

// waitFor polls until ok, or fails the test with the log.
func (c *proxy) waitFor(what string, ok func() bool) {
	c.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(patience)
	for !ok() {
		select {
		case <-ticker.C:
		case err := <-c.exited:
			c.exited <- err
			c.t.Fatalf("waiting for %s: Caddy exited: %v\n%s", what, err, c.output)
		case <-timeout:
			c.t.Fatalf("waited too long for %s\n%s", what, c.output)
		}
	}
}

// logs waits until the log says all of these. A line may come a moment after the answer to
// the call that caused it.
func (c *proxy) logs(texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		c.waitFor("the log to say "+text, func() bool { return strings.Contains(c.output.String(), text) })
	}
}

// stop ends Caddy as an operator would.
func (c *proxy) stop() {
	c.t.Helper()
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-c.exited:
		if err != nil {
			c.t.Errorf("Caddy ended with %v\n%s", err, c.output)
		}
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		c.t.Errorf("Caddy does not end\n%s", c.output)
	}
	c.cmd = nil
	closeIdle()
}

// signal reaches Caddy, not what runs it.
func (c *proxy) signal(s syscall.Signal) {
	c.t.Helper()
	pid := c.cmd.Process.Pid
	if c.wrap != nil {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if err != nil {
			c.t.Fatal(err)
		}
		if pid, err = strconv.Atoi(strings.TrimSpace(string(children))); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := syscall.Kill(pid, s); err != nil {
		c.t.Fatal(err)
	}
}

// kill ends Caddy with SIGKILL.
func (c *proxy) kill() {
	c.t.Helper()
	_ = c.cmd.Process.Kill()
	<-c.exited
	c.cmd = nil
	closeIdle()
}

// stopAndCheck is the end of every test: what must never be seen was not seen, and
// the store is sound.
func (c *proxy) stopAndCheck() {
	if c.cmd != nil {
		for _, path := range c.searched {
			a, err := c.persistAdmin(http.MethodGet, path, "")
			if err != nil || len(a.body) == 0 {
				c.t.Errorf("admin %s could not be searched for secrets: %d bytes, %v", path, len(a.body), err)
			}
			c.checkSecrets("admin "+path, a.body)
		}
		c.stop()
	}
	c.checkSecrets("the log", []byte(c.output.String()))
	if strings.Contains(c.output.String(), "DATA RACE") || strings.Contains(c.output.String(), "panic:") && !c.panics {
		c.t.Errorf("Caddy panicked or raced\n%s", c.output)
	}
	for _, name := range []string{"tokens.db", "grants.db"} {
		checkStore(c.t, filepath.Join(c.storeDir(), name))
	}
	if c.t.Failed() {
		c.t.Logf("log of Caddy:\n%s", c.output)
	}
}

// checkSecrets looks for secrets in the forms in which they could leak.
func (c *proxy) checkSecrets(where string, content []byte) {
	c.t.Helper()
	if strings.Contains(string(content), "Zoho-oauthtoken 1000.") {
		c.t.Errorf("%s shows an access token", where)
	}
	for _, secret := range c.secrets {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)),
			url.QueryEscape(secret), secret[:min(12, len(secret))]} {
			if form != clientID[:12] && bytes.Contains(content, []byte(form)) {
				c.t.Errorf("%s shows a secret in the form %.8s…", where, form)
			}
		}
	}
}

// checkStore opens a file of the store and lets bbolt check it.
func checkStore(t testing.TB, path string) {
	t.Helper()
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return
	}
	if info, _ := os.Stat(path); info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%s has mode %v", path, info.Mode())
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: 5 * time.Second})
	if err != nil {
		t.Errorf("%s does not open: %v", path, err)
		return
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			return err
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s is damaged: %v", path, err)
	}
}

// run runs the binary under test with c's environment and returns what it printed.
func (c *proxy) run(args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	return c.runWith(nil, args...)
}

// runWith is run with something on standard input.
func (c *proxy) runWith(input io.Reader, args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.env, c.dir, input, &out, &errOut
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	c.checkSecrets("caddy "+strings.Join(args, " "), append(out.Bytes(), errOut.Bytes()...))
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// reload loads the configuration file again, and waits until it alone serves.
func (c *proxy) reload() error {
	c.t.Helper()
	_, stderr, code := c.run("reload", "--config", c.config, "--adapter", "caddyfile", "--address", c.admin, "--force")
	if code != 0 {
		return fmt.Errorf("reload exited with %d: %s", code, stderr)
	}
	c.settled()
	return nil
}

// metric sums the samples of a metric whose labels contain all of labels, as they
// stand in the text format, for example `result="ok"`.
func (c *proxy) metric(name string, labels ...string) float64 {
	c.t.Helper()
	if text, err := os.ReadFile("../internal/metrics/metrics.go"); err != nil || !bytes.Contains(text, []byte(`"`+strings.TrimSuffix(name, "_count")+`"`)) {
		c.t.Fatalf("there is no metric %s (%v)", name, err)
	}
	sum := 0.0
	for line := range strings.Lines(string(c.adminCall(http.MethodGet, "/metrics", "").body)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		matches := true
		for _, label := range labels {
			matches = matches && strings.Contains(rest, label)
		}
		var value float64
		if _, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' '):], &value); matches && err == nil {
			sum += value
		}
	}
	return sum
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body []byte
}

// problem is the code of an answer of the proxy's own, "" if it is Zoho's.
func (a answer) problem() string { return a.Header.Get("Zoho-Proxy-Error") }

func (a answer) decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("%s: %v in %.200s", a.Status, err, a.body)
	}
}

// get calls the proxy.
func (c *proxy) get(path string, header ...string) answer {
	c.t.Helper()
	return c.call(http.MethodGet, path, nil, header...)
}

// call calls the proxy; header holds names and values in turn.
func (c *proxy) call(method, path string, body io.Reader, header ...string) answer {
	c.t.Helper()
	a, err := c.try(method, path, body, header...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// try is call for goroutines other than the test's.
func (c *proxy) try(method, path string, body io.Reader, header ...string) (answer, error) {
	req, err := http.NewRequest(method, c.url+path, body)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		if http.CanonicalHeaderKey(header[i]) == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	return readAnswer(noRedirects.Do(req))
}

// readAnswer reads the body of an answer, if there is one.
func readAnswer(res *http.Response, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return answer{res, content}, err
}

var noRedirects = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// tool finds a program that a test drives. Where it is missing the test is skipped, in CI
// it fails.
func tool(t testing.TB, name string) (path string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(name + " is not installed")
	}
	return path
}

// cleanEnvironment is ours without what would configure the proxy.
func cleanEnvironment() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ZOHO_") && !strings.HasPrefix(v, "CADDY_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// output collects what a process prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
