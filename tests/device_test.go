// Consent on another device: `caddy zoho connect --device`, at a terminal, by a program, and what is left when it
// ends early.

package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// startDevices is startOnboarding for a client that may ask for device codes, at a quick pace.
func startDevices(t *testing.T, o zohosim.Options, env ...string) (*proxy, *zohosim.Server) {
	t.Helper()
	o.DeviceInterval = time.Second
	c, server := startOnboarding(t, o, env...)
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, Device: true})
	return c, server
}

// startDevicesOf is startDevices at data centers of Zoho's, by their names.
func startDevicesOf(t *testing.T, codes string) (*proxy, *zohosim.Server) {
	t.Helper()
	server := zohosim.New(zohosim.Options{DeviceInterval: time.Second})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, Device: true})
	address, ca, stop := server.StartTLS(t.TempDir())
	t.Cleanup(stop)
	c := newCaddy(t, onboarding, "ZOHO_DATA_CENTER="+codes, "ZOHO_CONNECT_OPTIONS=", "ZOHO_CLIENT_OPTIONS=simulator "+address+" "+ca)
	c.zoho = server
	c.start()
	return c, server
}

var (
	userCode = regexp.MustCompile(`Type in this code:   (\S+)`)
	codeLink = regexp.MustCompile(`http\S+/oauth/v3/device\?user_code=\S+`)
)

// deviceAtTerminal runs the command at a terminal until it shows the code.
func (c *proxy) deviceAtTerminal(t *testing.T, args ...string) (term *terminal, code string) {
	t.Helper()
	term = c.atTerminal(t, append([]string{"zoho", "connect", "--device"}, args...)...)
	term.waitsFor("Press Ctrl-C")
	return term, userCode.FindStringSubmatch(term.out.String())[1]
}

// polled waits until the simulator was polled once more.
func (c *proxy) polled(server *zohosim.Server) {
	c.t.Helper()
	before := server.Stats().DevicePolls
	c.waitFor("a poll", func() bool { return server.Stats().DevicePolls > before })
}

// wantNoGrant says that nothing came in, here or at Zoho.
func (c *proxy) wantNoGrant(server *zohosim.Server) {
	c.t.Helper()
	if list := c.connections("").Connections; len(list) != 0 {
		c.t.Errorf("%+v", list)
	}
	if n := server.Stats().Grants; n != 0 {
		c.t.Errorf("%d grants live at Zoho", n)
	}
}

// wantNoPolls says that Zoho is not asked any more: a flow that went on would ask every second.
func (c *proxy) wantNoPolls(server *zohosim.Server) {
	c.t.Helper()
	before := server.Stats().DevicePolls
	c.waitFor("the end of the polls", func() bool {
		now := server.Stats().DevicePolls
		ended := now == before
		before = now
		if !ended {
			time.Sleep(2 * time.Second)
		}
		return ended
	})
}

// TestConnectDevice: what the command shows is all that a person needs; it ends by itself when they have accepted,
// and the grant serves calls.
func TestConnectDevice(t *testing.T) {
	t.Parallel()
	c, server := startDevices(t, zohosim.Options{})
	term, code := c.deviceAtTerminal(t, "main", "shop")
	for _, want := range []string{"Connecting main/shop, a new account", "Open on any device:  " + c.zohoURL() + "/oauth/v3/device"} {
		if !strings.Contains(term.out.String(), want) {
			t.Errorf("it does not say %q: %s", want, term.out.String())
		}
	}
	c.polled(server)
	phone := newBrowser(t)
	if a := phone.get(codeLink.FindString(term.out.String())); !strings.Contains(string(a.body), "ZohoCRM.modules.ALL") {
		t.Errorf("%s %s", a.Status, a.body)
	}
	phone.post(c.zohoURL()+"/oauth/v3/device", url.Values{"user_code": {strings.ToLower(code)}, "decision": {"accept"}, "user": {"ann@example.com"}})
	term.ends(t, 0)
	for _, want := range []string{"connected     main/shop", "ann@example.com", "new account"} {
		if !strings.Contains(term.out.String(), want) {
			t.Errorf("it does not say %q: %s", want, term.out.String())
		}
	}
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "shop"); a.StatusCode >= 300 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	c.logs(`"connected"`, `"action":"device"`)
	// What was acknowledged is still there after a crash.
	c.kill()
	c.start()
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "shop"); a.StatusCode >= 300 {
		t.Errorf("after a crash: %s %s", a.Status, a.body)
	}
}

// zohoURL is where the simulator of a custom data center is.
func (c *proxy) zohoURL() string {
	for _, entry := range c.env {
		if urls, ok := strings.CutPrefix(entry, "ZOHO_DATA_CENTER="); ok {
			return strings.Fields(urls)[0]
		}
	}
	return ""
}

// TestConnectDeviceLines: with --json each step is a line on standard output, and errors are JSON as those of all
// commands.
func TestConnectDeviceLines(t *testing.T) {
	t.Parallel()
	c, server := startDevices(t, zohosim.Options{})
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultError, Path: "/device/token", Body: "slow_down", Count: 1})
	var out, errs testbed.Output
	run := func(person func(code string)) int {
		out, errs = testbed.Output{}, testbed.Output{}
		cmd := exec.Command(binary, "zoho", "connect", "--device", "--json")
		cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.env, c.dir, &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var first struct {
			Step     string
			UserCode string `json:"user_code"`
			Link     string `json:"verification_url_complete"`
		}
		c.waitFor("the code", func() bool { return strings.Contains(out.String(), "\n") })
		if err := json.Unmarshal([]byte(strings.SplitN(out.String(), "\n", 2)[0]), &first); err != nil || first.Step != "code" || first.Link == "" {
			t.Errorf("%v: %s", err, out.String())
		}
		person(first.UserCode)
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	}
	if exit := run(func(code string) { server.AnswerDevice(code, true, zohosim.GrantSpec{User: "ann@example.com"}) }); exit != 0 {
		t.Errorf("exit code %d: %s%s", exit, out.String(), errs.String())
	}
	var steps []map[string]any
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		var step map[string]any
		if err := json.Unmarshal([]byte(line), &step); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		steps = append(steps, step)
	}
	if len(steps) != 3 || steps[1]["step"] != "slow_down" || steps[1]["seconds"] != 6.0 || steps[2]["step"] != "connected" ||
		steps[2]["account"] != "default" || steps[2]["user"] != "ann@example.com" {
		t.Errorf("%v", steps)
	}
	exit := run(func(code string) { server.AnswerDevice(code, false, zohosim.GrantSpec{}) })
	if exit != 1 || !strings.Contains(errs.String(), `"code":"denied"`) || !strings.Contains(errs.String(), `"account":"default"`) {
		t.Errorf("exit code %d: %s%s", exit, out.String(), errs.String())
	}
}

// TestConnectDeviceRefused: denial and expiry end the command by themselves; what is plain before is said at once.
func TestConnectDeviceRefused(t *testing.T) {
	t.Parallel()
	c, server := startDevices(t, zohosim.Options{DeviceLife: 10 * time.Second})
	term, code := c.deviceAtTerminal(t, "shop")
	server.AnswerDevice(code, false, zohosim.GrantSpec{})
	term.ends(t, 1)
	if !strings.Contains(term.out.String(), "main/shop: Consent was refused") {
		t.Error(term.out.String())
	}
	term, _ = c.deviceAtTerminal(t, "shop")
	term.ends(t, 1)
	if !strings.Contains(term.out.String(), "main/shop: The code has expired before anybody accepted.") {
		t.Error(term.out.String())
	}
	codes := server.Stats().DeviceCodes
	c.wantCLI(
		cli{"connect --device --self-client", 2, "", "two ways to connect"},
		cli{"connect --device --data-center eu", 2, "", "brings its data center along"},
		cli{"connect --device main two words", 2, "", "too many"},
	)
	if n := server.Stats().DeviceCodes; n != codes {
		t.Errorf("Zoho was asked for %d codes", n-codes)
	}
	server.Change(func(o *zohosim.Options) { o.UnknownScopes = []string{"Desk.tickets.ALL"} })
	c.wantCLI(cli{"connect --device shop", 1, "", `Zoho does not know the scope "Desk.tickets.ALL" (did you mean Desk.tickets.`})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true})
	c.wantCLI(cli{"connect --device shop", 1, "", "type Non-browser Applications"})
	c.wantNoGrant(server)
}

// TestConnectDeviceElsewhere: an account of another data center is polled for there, and stays there; one of a data
// center that the client lacks is refused with the line to write.
func TestConnectDeviceElsewhere(t *testing.T) {
	t.Parallel()
	c, server := startDevicesOf(t, "us eu")
	term, code := c.deviceAtTerminal(t, "main", "shop")
	server.AnswerDevice(code, true, zohosim.GrantSpec{DataCenter: "eu", User: "eva@example.com"})
	term.ends(t, 0)
	if !strings.Contains(term.out.String(), "in the data center eu: going on there") {
		t.Error(term.out.String())
	}
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "shop"); a.StatusCode >= 300 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if info := c.connections("?account=shop").Connections[0]; info.DataCenter != "eu" || info.User != "eva@example.com" {
		t.Errorf("%+v", info)
	}
	term, code = c.deviceAtTerminal(t, "main", "indian")
	server.AnswerDevice(code, true, zohosim.GrantSpec{DataCenter: "in"})
	term.ends(t, 1)
	if !strings.Contains(term.out.String(), "write `data_center us eu in` in the Caddyfile") {
		t.Error(term.out.String())
	}
	if n := server.Stats().Grants; n != 1 {
		t.Errorf("%d grants", n)
	}
}

// TestConnectDeviceInterrupted: Ctrl-C, or the end of the connection, ends the polls in Caddy, and leaves nothing.
func TestConnectDeviceInterrupted(t *testing.T) {
	t.Parallel()
	c, server := startDevices(t, zohosim.Options{})
	end := map[string]func(term *terminal){
		"Ctrl-C": func(term *terminal) { term.types("\x03") },
		"kill":   func(term *terminal) { _ = term.cmd.Process.Kill() },
	}
	for name, end := range end {
		term, code := c.deviceAtTerminal(t, "main", "shop")
		c.polled(server)
		end(term)
		_ = term.cmd.Wait()
		c.logs("The command ended before anybody accepted")
		c.wantNoPolls(server)
		server.AnswerDevice(code, true, zohosim.GrantSpec{}) // too late
		if strings.Contains(term.out.String(), "connected  ") {
			t.Errorf("%s: %s", name, term.out.String())
		}
	}
	c.wantNoGrant(server)
	// Ten seconds are what Caddy gives a request, and less than a person takes.
	term, code := c.deviceAtTerminal(t, "main", "shop")
	for range 12 {
		c.polled(server)
	}
	server.AnswerDevice(code, true, zohosim.GrantSpec{})
	term.ends(t, 0)
}

// TestConnectDeviceAndRestart: a Caddy that stops or dies ends the command, which says so; a reload does not.
func TestConnectDeviceAndRestart(t *testing.T) {
	t.Parallel()
	c, server := startDevices(t, zohosim.Options{})
	term, code := c.deviceAtTerminal(t, "main", "shop")
	c.setenv("ZOHO_CLIENT_OPTIONS=token_budget 9 10m")
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	c.polled(server)
	server.AnswerDevice(code, true, zohosim.GrantSpec{})
	term.ends(t, 0)
	c.runInput("", 0, "zoho", "revoke", "main", "shop")

	term, _ = c.deviceAtTerminal(t, "main", "shop")
	c.polled(server)
	c.stop()
	term.proxy = &proxy{t: t}
	term.ends(t, 1)
	if !strings.Contains(term.out.String(), "The proxy is being stopped") {
		t.Error(term.out.String())
	}
	c.start()
	term, code = c.deviceAtTerminal(t, "main", "shop")
	c.kill()
	term.ends(t, 4)
	if !strings.Contains(term.out.String(), "has ended or cut the connection") {
		t.Error(term.out.String())
	}
	c.start()
	server.AnswerDevice(code, true, zohosim.GrantSpec{}) // nobody fetches it
	c.wantNoPolls(server)
	c.wantNoGrant(server)
}

// TestConnectDeviceTwice: two flows of one account do not hinder each other; a configured account is refused before
// anything is asked.
func TestConnectDeviceTwice(t *testing.T) {
	t.Parallel()
	c, server := startDevices(t, zohosim.Options{})
	first, one := c.deviceAtTerminal(t, "main", "shop")
	second, two := c.deviceAtTerminal(t, "main", "shop")
	server.AnswerDevice(two, true, zohosim.GrantSpec{User: "ann@example.com"})
	second.ends(t, 0)
	server.AnswerDevice(one, true, zohosim.GrantSpec{User: "ben@example.com"})
	first.waitsFor("[y/N]")
	first.types("no\r")
	first.ends(t, 1)
	if !strings.Contains(first.out.String(), "the new one was revoked at Zoho") || c.connections("?account=shop").Connections[0].User != "ann@example.com" {
		t.Error(first.out.String())
	}
	third, code := c.deviceAtTerminal(t, "main", "shop", "--replace", "--revoke-old")
	server.AnswerDevice(code, true, zohosim.GrantSpec{User: "ben@example.com"})
	third.ends(t, 0)
	if n := server.Stats().Grants; n != 1 || c.connections("?account=shop").Connections[0].User != "ben@example.com" {
		t.Errorf("%d grants: %s", n, third.out.String())
	}
	codes := server.Stats().DeviceCodes
	c.setenv("ZOHO_CLIENT_OPTIONS=account shop {\n refresh_token {env.ZOHO_CLIENT_SECRET}\n}")
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	c.wantCLI(cli{"connect --device shop", 1, "", "comes from the configuration"})
	if n := server.Stats().DeviceCodes; n != codes {
		t.Errorf("Zoho was asked for %d codes", n-codes)
	}
}

// TestDeviceAnswerIsCut: a program that speaks to the endpoint itself ends the flow by closing its connection.
func TestDeviceAnswerIsCut(t *testing.T) {
	t.Parallel()
	c, server := startDevices(t, zohosim.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+strings.TrimPrefix(c.admin, "http://")+"/zoho/connections/main/shop/device", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "http://"+c.admin)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var step struct{ Step string }
	if err := json.NewDecoder(res.Body).Decode(&step); err != nil || step.Step != "code" || res.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%v %+v %v", err, step, res.Header)
	}
	c.polled(server)
	cancel()
	c.wantNoPolls(server)
	c.wantNoGrant(server)
	if a := c.adminCall(http.MethodPost, "/zoho/connections/main/shop/device", `{"unknown": 1}`); a.StatusCode != http.StatusBadRequest || !bytes.Contains(a.body, []byte("bad-body")) {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

// TestDoctorAndScopeNames: where the client may ask, doctor names scopes that do not exist, and the one that does.
func TestDoctorAndScopeNames(t *testing.T) {
	t.Parallel()
	const deviceID = "1004.TESTCLIENT7Q2WX"
	c, server := startDevices(t, zohosim.Options{UnknownScopes: []string{"ZohoCRM.org.READ"}}, "ZOHO_CLIENT_ID="+deviceID)
	server.AddClient(zohosim.Client{ID: deviceID, Secret: clientSecret, Device: true})
	found(c.doctor(1)).without("grant").want(t, "scopes", "failed", "there is no scope ZohoCRM.org.READ")
	found(c.doctor(1)).without("grant").want(t, "scopes", "failed", "if ZohoCRM.org.")
	server.Change(func(o *zohosim.Options) { o.UnknownScopes = nil })
	found(c.doctor(3)).without("grant").want(t, "scopes", "ok", "all configured scopes exist")
	found(c.doctor(3)).want(t, "grant", "failed", "caddy zoho connect main default --device")
	server.AddClient(zohosim.Client{ID: deviceID, Secret: clientSecret})
	for _, f := range c.doctor(3) {
		if f.Check == "scopes" {
			t.Errorf("a client that may not ask is told %+v", f)
		}
	}
}

// TestNoOrg: a user without an account in a product is told which it may be, on the page and in the log.
func TestNoOrg(t *testing.T) {
	t.Parallel()
	c, _ := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentDeny})
	b := newBrowser(t)
	callback := b.stopAt("/callback", func() answer { return b.post(c.pages()+"start", url.Values{"account": {"shop"}}) })
	a := b.get(strings.Replace(callback, "access_denied", "no_org", 1))
	wantPage(t, a, http.StatusForbidden, "no account in one of these products of Zoho, whose scopes are asked for: CRM, Desk.")
	wantPage(t, a, http.StatusForbidden, "Sign in to the product once")
	c.wantReference(a)
	c.logs("no account in one of these products of Zoho", `"no-org"`)

	customer := newBrowser(t)
	link := c.invite("main", "acme")
	u, _ := url.Parse(link)
	callback = customer.stopAt("/callback", func() answer {
		return customer.post(link, url.Values{"token": {u.Query().Get("token")}})
	})
	a = customer.get(strings.Replace(callback, "access_denied", "no_org", 1))
	wantPage(t, a, http.StatusForbidden, "CRM, Desk.")
	wantPage(t, a, http.StatusForbidden, "ask your administrator to add you there")
}
