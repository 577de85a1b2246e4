// Package tests runs the built binary end to end: a real Caddy process with real
// bbolt files, called by real HTTP clients; only Zoho is simulated.
package tests

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// binary is the Caddy under test, built once; scratch is gone when the tests are over.
var binary, scratch string

// parallel is how many tests run at once that say they may: they wait more than they
// work.
const parallel = "8"

const patience = testbed.Patience // with what must come

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

var usualClient = zohosim.Client{ID: clientID, Secret: clientSecret}

// oneSite is a configuration of one client and one site. Global options, what the client has
// beside its credentials, and what the site does begin with a line break each, if there are any.
func oneSite(global, client, site string) string {
	return `{` + global + `
	zoho {
		store bolt {$ZOHO_STORE}
		client main {
			data_center   {$ZOHO_DATA_CENTER}
			client_id     {env.ZOHO_CLIENT_ID}
			client_secret {env.ZOHO_CLIENT_SECRET}` + client + `
		}
	}
}
http://:{$ZOHO_PORT} {
	bind 127.0.0.1` + site + `
}
`
}

// oneClient is the usual configuration; tests add to the client and to zoho_proxy by variables.
var oneClient = oneSite("", `
			refresh_token {env.ZOHO_REFRESH_TOKEN}
			{$ZOHO_CLIENT_OPTIONS}`, `
	zoho_health
	zoho_proxy {
		{$ZOHO_PROXY_OPTIONS}
	}`)

// sim starts a simulator with one client and one grant; its limits are Zoho's own
// unless o says otherwise.
func sim(t testing.TB, o zohosim.Options) (server *zohosim.Server, baseURL, refreshToken string) {
	t.Helper()
	server, baseURL, refreshToken, stop := testbed.StartZoho(o, usualClient, "owner@example.com",
		"ZohoCRM.modules.ALL", "ZohoCRM.coql.READ", "ZohoBooks.fullaccess.all",
		"Desk.tickets.ALL", "Desk.contacts.ALL", "Desk.basic.READ")
	t.Cleanup(stop)
	return server, baseURL, refreshToken
}

// proxy is a running Caddy under test.
type proxy struct {
	t       testing.TB
	client  *http.Client // its own: tests beside each other close idle connections
	url     string       // of the site
	admin   string
	dir     string
	config  string // path of the Caddyfile
	env     []string
	secrets []string        // must not be seen anywhere
	zoho    *zohosim.Server // what it has issued must not be seen either, nil if that is not looked for
	binary  string          // that is run
	wrap    []string        // a command that runs it as its child
	panics  bool            // are in order

	searched []string // of the admin endpoint, for secrets in the end

	failpoints string // where those of the binary are told of

	cmd    *testbed.Process // nil if none runs
	output *testbed.Output
}

// newCaddy prepares a Caddy with a configuration and variables of the form
// "NAME=value"; ports, store and the client's secrets are set.
func newCaddy(t testing.TB, config string, env ...string) *proxy {
	t.Helper()
	c := &proxy{t: t, client: newClient(), binary: binary, dir: t.TempDir(), output: new(testbed.Output), secrets: []string{clientSecret},
		searched: []string{"/config/", "/metrics", "/zoho/connections"}}
	site, admin := freePort(t), freePort(t)
	c.url, c.admin = "http://127.0.0.1:"+site, "127.0.0.1:"+admin
	c.config = filepath.Join(c.dir, "Caddyfile")
	c.writeConfig(config)
	c.env = append(testbed.Environment(c.dir, site, c.admin, usualClient),
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
	caddy := testbed.Caddy{Command: append(slices.Clone(c.wrap), c.binary), Config: c.config, Dir: c.dir, Env: c.env}
	var err error
	if c.cmd, err = caddy.Start(context.Background(), c.output); err != nil {
		c.t.Fatal(err)
	}
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
	if err := c.cmd.Await(context.Background(), ok); err != nil {
		c.t.Fatalf("waiting for %s: %v\n%s", what, err, c.output)
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
	if err := c.cmd.Stop(); err != nil {
		c.t.Errorf("Caddy ended with %v\n%s", err, c.output)
	}
	c.cmd = nil
	c.client.CloseIdleConnections() // one may lead to a server that is gone, or was to be
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
	if err := sendSignal(pid, s); err != nil {
		c.t.Fatal(err)
	}
}

// kill ends Caddy with SIGKILL.
func (c *proxy) kill() {
	c.t.Helper()
	c.cmd.Kill()
	c.cmd = nil
	c.client.CloseIdleConnections() // one may lead to a server that is gone, or was to be
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
	c.checkStates("the log", []byte(c.output.String()))
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
	for _, secret := range append(c.issued(), c.secrets...) {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)),
			url.QueryEscape(secret), secret[:min(12, len(secret))]} {
			if form != clientID[:12] && bytes.Contains(content, []byte(form)) {
				c.t.Errorf("%s shows a secret in the form %.8s…", where, form)
			}
		}
	}
}

// issued are the codes and tokens that the simulator has made. Those that people type in are shown by one command alone.
func (c *proxy) issued() []string {
	if c.zoho == nil {
		return nil
	}
	issued := c.zoho.Issued()
	return slices.Concat(issued.Codes, issued.RefreshTokens, issued.AccessTokens, issued.DeviceCodes, issued.UserCodes)
}

// checkStates looks for the states of consents, and for tokens that add scopes. A command that begins one
// shows its own.
func (c *proxy) checkStates(where string, content []byte) {
	c.t.Helper()
	if c.zoho == nil {
		return
	}
	issued := c.zoho.Issued()
	for _, state := range slices.Concat(issued.States, issued.EnhanceTokens) {
		if bytes.Contains(content, []byte(state)) {
			c.t.Errorf("%s shows the state of a consent, or a token that adds scopes", where)
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

// freePort gives a port that nobody listens at, and nobody else is given.
func freePort(tb testing.TB) string {
	tb.Helper()
	port, err := testbed.FreePort()
	if err != nil {
		tb.Fatal(err)
	}
	return port
}

// load loads a Caddyfile through the admin endpoint, as `caddy reload` does.
func (c *proxy) load(config string) error {
	c.t.Helper()
	a := c.adminCall(http.MethodPost, "/load", config, "Content-Type", "text/caddyfile", "Cache-Control", "must-revalidate")
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", a.Status, a.body)
	}
	return nil
}

// settled waits until no server of a configuration before takes a call any more. A reload
// returns earlier: until they have heard that they are to stop, they answer as well.
func (c *proxy) settled() {
	c.t.Helper()
	c.waitFor("the servers of before to stop", func() bool {
		dump := c.adminCall(http.MethodGet, "/debug/pprof/goroutine?debug=2", "")
		return !slices.ContainsFunc(strings.Split(string(dump.body), "\n\n"), stillOpen)
	})
	c.client.CloseIdleConnections() // one may lead to a server that is gone, or was to be
}

// stillOpen tells of a goroutine that it is to stop a server and has not come to the point
// where that one waits for the calls under way.
func stillOpen(goroutine string) bool {
	if !strings.Contains(goroutine, "caddyhttp.(*App).stop.") && !strings.Contains(goroutine, "caddy/v2.replaceLocalAdminServer.func1") {
		return false
	}
	state, _, _ := strings.Cut(goroutine, "\n")
	waits := strings.Contains(state, "[select") && strings.Contains(goroutine, "http.(*Server).Shutdown")
	counts := strings.Contains(goroutine, "sync.(*WaitGroup).Wait") && !strings.Contains(goroutine, "http.(*Server).Shutdown")
	return !waits && !counts
}

// TestSettled: Caddy's functions have the names by which settled knows them, and a call that is
// still under way holds nobody up.
func TestSettled(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultHang})
	var call sync.WaitGroup
	call.Go(func() { c.persist("/crm/v8/Leads") })
	c.waitFor("the call to be with Zoho", func() bool { return server.Stats().Faults["crm/hang"] == 1 })
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	stopping := 0
	for goroutine := range strings.SplitSeq(string(c.adminCall(http.MethodGet, "/debug/pprof/goroutine?debug=2", "").body), "\n\n") {
		begun := goroutine[strings.IndexByte(goroutine, '\n'):] // what it does has an end in sight
		if stillOpen("goroutine 1 [running]:"+begun) && strings.Contains(begun, "caddyhttp.(*App).stop.") && strings.Contains(begun, "http.(*Server).Shutdown") {
			stopping++
		}
	}
	if stopping == 0 {
		t.Error("the server of before, which has a call under way, is not seen")
	}
	server.ClearFaults("")
	call.Wait()
}

// goroutines counts those of Caddy.
func (c *proxy) goroutines() int {
	c.t.Helper()
	line, _, _ := strings.Cut(string(c.adminCall(http.MethodGet, "/debug/pprof/goroutine?debug=1", "").body), "\n")
	n, err := strconv.Atoi(line[strings.LastIndexByte(line, ' ')+1:])
	if err != nil {
		c.t.Fatalf("goroutine profile begins with %q", line)
	}
	return n
}

// descriptors counts the open files of Caddy, 0 where that cannot be told.
func (c *proxy) descriptors() int {
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(c.cmd.Process.Pid) + "/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// startLoggingElsewhere is start for a configuration that does not log to stderr.
func (c *proxy) startLoggingElsewhere() {
	c.t.Helper()
	c.spawn()
	c.waitFor("the site to be served", func() bool {
		a, err := c.try(http.MethodGet, "/zoho-health", nil)
		return err == nil && a.StatusCode == http.StatusOK
	})
}

// tokenLife is what a token lives in the tests of outages.
const tokenLife = 4 * time.Second

// wantSmall checks that Caddy has not grown by more than limit since its peak was before.
// With the race detector it takes several times as much.
func (c *proxy) wantSmall(why string, before, limit int64) {
	c.t.Helper()
	if info, err := buildinfo.ReadFile(c.binary); err == nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		limit *= 8
	}
	peak := c.residentPeak()
	if peak == 0 {
		c.t.Log("memory is not measured: this system does not tell")
	}
	if grown := peak - before; grown > limit {
		c.t.Errorf("the process has grown by %d MiB %s, more than %d", grown>>20, why, limit>>20)
	}
}

// residentPeak is the most memory that Caddy has had, in bytes; 0 where that is not told.
func (c *proxy) residentPeak() int64 {
	c.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil && runtime.GOOS != "linux" {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kib int64
	if _, scanErr := fmt.Sscan(rest, &kib); err != nil || scanErr != nil || kib == 0 {
		c.t.Fatalf("how much memory Caddy has had is not told: %v %v\n%s", err, scanErr, text)
	}
	return kib << 10
}

// inFlight is how many requests the handlers have in hand, by Caddy's own count.
func (c *proxy) inFlight() int {
	return strings.Count(string(c.adminCall(http.MethodGet, "/debug/pprof/goroutine?debug=2", "").body), "tokencache.(*Conn).await")
}

// ageToken makes the stored token older, as time would, while Caddy does not run.
func ageToken(t *testing.T, c *proxy, by time.Duration) {
	t.Helper()
	store := boltstore.New(c.storeDir())
	defer store.Close()
	key, secrets := tokencache.Key{Client: "main", Account: "default"}, [][]byte{[]byte(clientSecret)}
	record, found, err := store.Load(key, secrets)
	if err != nil || !found || record.Token == "" {
		t.Fatalf("no token in the store: %v", err)
	}
	record.Issued, record.Expiry = record.Issued.Add(-by), record.Expiry.Add(-by)
	calls, err := store.LoadLedger(record.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range calls.Times {
		record.Ledger = append(record.Ledger, at.Add(-by))
	}
	if err := store.Save(key, secrets, record); err != nil {
		t.Fatal(err)
	}
}

var twoAccounts = oneSite("", `
			refresh_token {env.ZOHO_REFRESH_TOKEN}
			token_budget  1000 10m
			account second {
				refresh_token {env.SECOND_REFRESH_TOKEN}
			}`, `
	zoho_health
	handle_path /health-second {
		zoho_health * main second
	}
	zoho_proxy {
		account {http.request.header.Zoho-Proxy-Account}
	}`)

// startTwoAccounts runs a client with the accounts default and second; the grants
// are given in that order.
func startTwoAccounts(t *testing.T, o zohosim.Options) (*proxy, *zohosim.Server, [2]string) {
	t.Helper()
	server, baseURL, first := sim(t, o)
	second := server.Grant(clientID, "second@example.com", "us")
	c := startCaddy(t, twoAccounts, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+first, "SECOND_REFRESH_TOKEN="+second)
	return c, server, [2]string{first, second}
}

// onboarding is a client without a grant, with pages to get one.
var onboarding = oneSite(`
	admin {$CADDY_ADMIN}
	debug`, `
			scopes        ZohoCRM.modules.ALL,ZohoCRM.org.READ AaaServer.profile.READ Desk.tickets.ALL
			{$ZOHO_CLIENT_OPTIONS}`, `
	log
	zoho_connect {
		{$ZOHO_CONNECT_OPTIONS}
	}
	zoho_proxy {
		account {http.request.header.Zoho-Proxy-Account}
	}`)

// startOnboarding starts the pair; nobody has consented yet.
func startOnboarding(t *testing.T, o zohosim.Options, env ...string) (*proxy, *zohosim.Server) {
	t.Helper()
	server := zohosim.New(o)
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true})
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	c := newCaddy(t, onboarding, append([]string{"ZOHO_DATA_CENTER=" + baseURL + " " + baseURL, "ZOHO_CONNECT_OPTIONS="}, env...)...)
	c.secrets, c.zoho = append(c.secrets, "code=1000."), server
	c.start()
	return c, server
}

// startZoho starts Caddy with real host names of Zoho's, led to a simulator over TLS.
func startZoho(t *testing.T, spec zohosim.GrantSpec, env ...string) (*proxy, *zohosim.Server) {
	t.Helper()
	return startZohoAs(t, zohosim.Options{}, spec, env...)
}

// startZohoAs is startZoho with a simulator of those options.
func startZohoAs(t *testing.T, o zohosim.Options, spec zohosim.GrantSpec, env ...string) (*proxy, *zohosim.Server) {
	t.Helper()
	server := zohosim.New(o)
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret})
	spec.ClientID = clientID
	grant := server.GrantAs(spec)
	addr, ca, stop := server.StartTLS(t.TempDir())
	t.Cleanup(stop)
	code := spec.DataCenter
	if code == "" {
		code = "us"
	}
	c := startCaddy(t, oneClient, append([]string{"ZOHO_DATA_CENTER=" + code, "ZOHO_REFRESH_TOKEN=" + grant,
		"ZOHO_CLIENT_OPTIONS=simulator " + addr + " " + ca}, env...)...)
	return c, server
}

// startExample runs the Caddyfile that we ship against a data center of our own.
func startExample(t *testing.T, api string) (*proxy, *zohosim.Server) {
	t.Helper()
	example, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	server, baseURL, grant := sim(t, zohosim.Options{})
	if api == "" {
		api = baseURL
	}
	return startCaddy(t, string(example), "ZOHO_DATA_CENTER="+baseURL+" "+api, "ZOHO_REFRESH_TOKEN="+grant), server
}

// realNames is a client at Zoho's own data centers that a simulator stands in for.
var realNames = oneSite("", `
			refresh_token {env.ZOHO_REFRESH_TOKEN}
			simulator     {$SIMULATOR}
			account european {
				data_center   eu
				refresh_token {env.EU_REFRESH_TOKEN}
			}`, `
	zoho_health
	@european header Zoho-Proxy-Account european
	handle @european {
		zoho_proxy {
			account european
			any_data_center
		}
	}
	zoho_proxy {
		{$ZOHO_PROXY_OPTIONS}
	}`)

// startRealNames runs Caddy with Zoho's host names in front of a simulator on TLS.
func startRealNames(t *testing.T, dataCenter, options string) (*proxy, *zohosim.Server, string) {
	t.Helper()
	server := zohosim.New(zohosim.Options{})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret})
	address, ca, stop := server.StartTLS(t.TempDir())
	t.Cleanup(stop)
	c := startCaddy(t, realNames, "ZOHO_DATA_CENTER="+dataCenter, "SIMULATOR="+address+" "+ca, "ZOHO_PROXY_OPTIONS="+options,
		"ZOHO_REFRESH_TOKEN="+server.Grant(clientID, "american@example.com", "us"), "EU_REFRESH_TOKEN="+server.Grant(clientID, "european@example.com", "eu"))
	return c, server, ca
}

// doctorConfig asks for scopes of three services.
const doctorConfig = `{
	admin {$CADDY_ADMIN}
	zoho {
		store bolt {$ZOHO_STORE}
		client main {
			data_center   {$ZOHO_DATA_CENTER}
			client_id     {env.ZOHO_CLIENT_ID}
			client_secret {file.{$SECRET_FILE}}
			refresh_token {env.ZOHO_REFRESH_TOKEN}
			scopes        ZohoCRM.modules.ALL ZohoBooks.contacts.READ Desk.tickets.ALL Desk.basic.READ Desk.search.READ
			{$ZOHO_CLIENT_OPTIONS}
		}
	}
}
http://:{$ZOHO_PORT} {
	bind 127.0.0.1
	zoho_proxy
}
`

// newDoctored prepares a Caddy in front of a simulator, behind what wrap makes of it.
func newDoctored(t *testing.T, o zohosim.Options, wrap func(http.Handler) http.Handler, scopes ...string) (c *proxy, server *zohosim.Server, grant string) {
	t.Helper()
	server = zohosim.New(o)
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret})
	grant = server.Grant(clientID, "owner@example.com", "us", scopes...)
	front := httptest.NewServer(wrap(server))
	t.Cleanup(front.Close)
	c = newCaddy(t, doctorConfig, "ZOHO_DATA_CENTER="+front.URL+" "+front.URL, "ZOHO_REFRESH_TOKEN="+grant)
	c.secretFile(clientSecret)
	return c, server, grant
}

func (c *proxy) secretFile(text string) {
	c.t.Helper()
	path := filepath.Join(c.dir, "client-secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.setenv("SECRET_FILE=" + path)
}

func asItIs(h http.Handler) http.Handler { return h }

var threeScopes = []string{"ZohoCRM.modules.ALL", "ZohoBooks.fullaccess.all", "Desk.tickets.ALL", "Desk.basic.READ", "Desk.search.READ"}

// load has this process be a Caddy, until the test ends.
func load(tb testing.TB, config string) {
	tb.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		tb.Fatal(err)
	}
	if err := caddy.Load(adapted, true); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = caddy.Stop() })
}

// startRecorded starts Caddy with everything sent to a recorder, once as `upstream`
// and once as the API of a data center of our own. prefix stands before every path.
func startRecorded(t *testing.T, test func(t *testing.T, c *proxy, r *recorder, prefix string), options ...string) {
	for _, way := range []string{"upstream", "data_center"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := startRecorder(t)
			_, baseURL, grant := sim(t, zohosim.Options{})
			lines, api, prefix := options, r.url, "/crm"
			if way == "upstream" {
				lines, api, prefix = append([]string{"upstream " + r.url}, options...), baseURL, ""
			}
			c := startCaddy(t, withServers("max_header_size 1MiB"), "ZOHO_DATA_CENTER="+baseURL+" "+api, "ZOHO_REFRESH_TOKEN="+grant,
				"ZOHO_PROXY_OPTIONS="+strings.Join(lines, "\n"))
			test(t, c, r, prefix)
		})
	}
}

// withServers is the usual configuration with options of the server.
func withServers(options string) string {
	return strings.Replace(oneClient, "zoho {", "servers {\n\t\t"+options+"\n\t}\n\tzoho {", 1)
}
