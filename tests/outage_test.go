// What Accounts may do: be out of reach, throttle, answer nonsense, call a grant dead. Calls are
// served as long as the token lives, and are told the truth afterwards.

package tests

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// outage is something that keeps Accounts from giving a token.
type outage struct {
	name  string
	fault zohosim.Fault // at the authorization server, or else
	toxic string        // between it and the proxy, as toxiproxy's JSON; "down" cuts the way
}

var outages = []outage{
	{name: "hangs", fault: zohosim.Fault{Kind: zohosim.FaultHang}},
	{name: "resets", fault: zohosim.Fault{Kind: zohosim.FaultReset}},
	{name: "drips a byte a second", fault: zohosim.Fault{Kind: zohosim.FaultDrip}},
	{name: "answers a page", fault: zohosim.Fault{Kind: zohosim.FaultHTML}},
	{name: "answers 500", fault: zohosim.Fault{Kind: zohosim.FaultStatus}},
	{name: "answers 503", fault: zohosim.Fault{Kind: zohosim.FaultStatus, Status: 503, Body: "<html>maintenance</html>"}},
	{name: "answers 200 with nothing", fault: zohosim.Fault{Kind: zohosim.FaultEmpty}},
	{name: "answers 10 GiB", fault: zohosim.Fault{Kind: zohosim.FaultHuge}},
	{name: "answers a decompression bomb", fault: zohosim.Fault{Kind: zohosim.FaultBomb}},
	{name: "cuts its answer", fault: zohosim.Fault{Kind: zohosim.FaultTruncated}},
	{name: "redirects", fault: zohosim.Fault{Kind: zohosim.FaultRedirect, Body: "http://127.0.0.1:1/"}},
	{name: "cannot be reached", toxic: "down"},
	{name: "is a black hole", toxic: `{"name":"t","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`},
	{name: "is cut off amid its answer", toxic: `{"name":"t","type":"limit_data","stream":"downstream","attributes":{"bytes":100}}`},
	{name: "resets on the way", toxic: `{"name":"t","type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`},
}

// startBehindToxiproxy is the usual pair with a faulty way to the authorization server.
func startBehindToxiproxy(t *testing.T) (*proxy, *zohosim.Server, *toxiproxy.Proxy) {
	t.Helper()
	server, baseURL, grant := sim(t, zohosim.Options{TokenLife: tokenLife, MaxTokens: -1, MaxLive: -1})
	metrics := toxiproxy.NewMetricsContainer(nil)
	way := toxiproxy.NewProxy(toxiproxy.NewServer(metrics, zerolog.Nop()), "accounts", "127.0.0.1:"+freePort(t), strings.TrimPrefix(baseURL, "http://"))
	if err := way.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(way.Stop)
	c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER=http://"+way.Listen+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant,
		"ZOHO_CLIENT_OPTIONS=token_budget 1000 10m")
	return c, server, way
}

func (o outage) begin(t *testing.T, server *zohosim.Server, way *toxiproxy.Proxy) {
	t.Helper()
	switch {
	case o.toxic == "down":
		way.Stop()
	case o.toxic != "":
		if _, err := way.Toxics.AddToxicJson(strings.NewReader(o.toxic)); err != nil {
			t.Fatal(err)
		}
	default:
		o.fault.Where = "accounts"
		server.AddFault(o.fault)
	}
}

func (o outage) end(t *testing.T, server *zohosim.Server, way *toxiproxy.Proxy) {
	t.Helper()
	switch {
	case o.toxic == "down":
		if err := way.Start(); err != nil {
			t.Fatal(err)
		}
	case o.toxic != "":
		if err := way.Toxics.RemoveToxic(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
	default:
		server.ClearFaults("")
	}
}

// TestOutages, S-30 and S-33: whatever befalls Accounts, no call fails as long as the
// token lives. Then calls get a 503 that says when to come back, which is true, and
// all is well as soon as Accounts is. Memory stays bounded.
func TestOutages(t *testing.T) {
	t.Parallel()
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			c, server, way := startBehindToxiproxy(t)
			end := time.Now().Add(tokenLife) // the token, which is asked for after this, lives longer
			c.succeed(http.MethodGet, "/crm/v8/Leads", "")
			memory := c.residentPeak()
			o.begin(t, server, way)
			c.serveUntil(end)
			refused := c.firstRefusal()
			wantProblem(t, refused, "accounts-unreachable", http.StatusServiceUnavailable)
			wantRetryAfter(t, refused, true)
			c.wantSmall("by the answer", memory, 64<<20)
			if text := c.connections("").Connections[0].LastError; text == "" {
				t.Error("the status does not say what is wrong")
			}
			writes := server.Stats().Writes["crm/Leads"]
			o.end(t, server, way)
			c.waitFor("recovery", func() bool {
				a := c.get("/crm/v8/Leads")
				return a.StatusCode < 300
			})
			if state := c.connections("").Connections[0].State; state != "ok" {
				t.Errorf("state %s", state)
			}
			if got := server.Stats().Writes["crm/Leads"]; got != writes {
				t.Errorf("%d calls that were refused were executed later", got-writes)
			}
		})
	}
}

// serveUntil makes calls until a token ends; none may fail before. An answer that comes later,
// since calls take their time, says nothing.
func (c *proxy) serveUntil(end time.Time) {
	c.t.Helper()
	served := 0
	for range time.Tick(20 * time.Millisecond) {
		a := c.call(http.MethodPost, "/crm/v8/Leads", strings.NewReader(`{"data":[{"Last_Name":"Lind"}]}`))
		if time.Now().After(end) {
			break
		}
		if served++; a.StatusCode >= 300 || a.problem() != "" {
			c.t.Errorf("while the token lives: %s %s %.300s", a.Status, a.problem(), a.body)
		}
	}
	if served == 0 {
		c.t.Skip("the machine is too slow: no call was answered while the token lived")
	}
}

// firstRefusal calls until there is no live token any more.
func (c *proxy) firstRefusal() (refused answer) {
	c.t.Helper()
	c.waitFor("the token's end to be felt", func() bool {
		refused = c.get("/crm/v8/Leads")
		return refused.StatusCode >= 300
	})
	return refused
}

// TestRetryAfterIsTrue, S-33: who comes back when told to is served, if Accounts is
// well by then.
func TestRetryAfterIsTrue(t *testing.T) {
	t.Parallel()
	c, server, way := startBehindToxiproxy(t)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	o := outage{toxic: "down"}
	for over := false; !over; {
		o.begin(t, server, way)
		asked, told := c.refusedFor(2 * time.Second)
		o.end(t, server, way)
		if over = time.Since(asked) < told-time.Second; over { // no try came before the end; what is told is rounded up
			<-time.After(told)
			c.succeed(http.MethodGet, "/crm/v8/Leads", "")
		}
	}
}

// refusedFor calls until it is told to come back in so long a time, and when it asked for that.
func (c *proxy) refusedFor(least time.Duration) (asked time.Time, told time.Duration) {
	c.t.Helper()
	c.waitFor("a refusal for "+least.String(), func() bool {
		asked = time.Now()
		a := c.get("/crm/v8/Leads")
		seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if a.StatusCode >= 300 && (err != nil || seconds < 1 || seconds > 60) {
			c.t.Fatalf("Retry-After: %q", a.Header.Get("Retry-After"))
		}
		told = time.Duration(seconds) * time.Second
		return told >= least
	})
	return asked, told
}

// TestThrottleWhileTheTokenLives: a renewal that is throttled costs no call as long as
// the old token lives, and no second token call.
func TestThrottleWhileTheTokenLives(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{TokenLife: tokenLife})
	end := time.Now().Add(tokenLife)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultThrottle})
	c.serveUntil(end)
	c.waitFor("the renewal that is throttled", func() bool { return server.Stats().TokenRequests == 2 })
	wantProblem(t, c.firstRefusal(), "throttled", http.StatusServiceUnavailable)
	wantTokenCalls(t, server, 2)
}

// TestThrottleIsMetWithSilence: while Accounts throttles, it is not asked again, however
// many calls come.
func TestThrottleIsMetWithSilence(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultThrottle})
	spread(500, 32, func(int) {
		a, err := c.try(http.MethodGet, "/crm/v8/Leads", nil)
		if err != nil || a.problem() != "throttled" {
			t.Errorf("%v %v", err, a)
			return
		}
		if seconds, _ := strconv.Atoi(a.Header.Get("Retry-After")); seconds < 10 || seconds > 60 {
			t.Errorf("Retry-After: %q", a.Header.Get("Retry-After"))
		}
	})
	wantTokenCalls(t, server, 1)
}

// TestAbsurdLives, S-30: whatever is said of a token's life, the token serves, for an
// hour at the most or until Zoho refuses it. Where the server is not Zoho's own, tokens may live for
// days, and 3600000 is no slip of the unit.
func TestAbsurdLives(t *testing.T) {
	t.Parallel()
	o := zohosim.Options{MaxTokens: -1, MaxLive: -1}
	own, zoho := startZohoAs(t, o, zohosim.GrantSpec{})
	wantLives(t, own, zoho, time.Hour, "3600000", "1e308")
	c, server, _ := startSimulated(t, o, "ZOHO_CLIENT_OPTIONS=token_budget 1000 10m")
	wantLives(t, c, server, time.Hour, "", "0", "-1", `"3600"`, "1e308", "null", `"soon"`, "[]", "true")
	wantLives(t, c, server, 1000*time.Hour, "3600000")
}

// wantLives has a server say something of each token's life, and looks how long it is believed.
func wantLives(t *testing.T, c *proxy, server *zohosim.Server, longest time.Duration, all ...string) {
	t.Helper()
	for _, said := range all {
		server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultExpiresIn, Body: said, Count: 1})
		server.RevokeAccess("")
		a := c.get("/crm/v8/Leads")
		if a.StatusCode >= 300 && a.problem() != "accounts-unreachable" {
			t.Errorf("expires_in %s: %s %s", said, a.Status, a.body)
		}
		c.waitFor("a token", func() bool { return c.get("/crm/v8/Leads").StatusCode < 300 })
		if left := time.Until(*c.connections("").Connections[0].Expires); left > longest {
			t.Errorf("expires_in %s: %s are left", said, left)
		}
	}
}

// TestOneFailureOfAccounts: with no token at hand, one failure of Accounts fails no call. All wait
// for the next try, and each is executed once.
func TestOneFailureOfAccounts(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]zohosim.Fault{
		"500":   {Kind: zohosim.FaultStatus},
		"HTML":  {Kind: zohosim.FaultHTML},
		"reset": {Kind: zohosim.FaultReset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, server, _ := startSimulated(t, zohosim.Options{}, "ZOHO_CLIENT_OPTIONS=token_wait 30s")
			f.Where, f.Count = "accounts", 1
			server.AddFault(f)
			spread(50, 16, func(int) {
				a, err := c.try(http.MethodPost, "/crm/v8/Leads", strings.NewReader(`{"data":[{"Last_Name":"Lind"}]}`))
				if err != nil || a.StatusCode >= 300 {
					t.Errorf("%v %s %.300s", err, a.Status, a.body)
				}
			})
			if n := server.Stats().Writes["crm/Leads"]; n != 50 {
				t.Errorf("%d of 50 calls were executed", n)
			}
			wantTokenCalls(t, server, 2)
			if n := c.metric("zoho_token_wait_seconds_count"); n < 1 {
				t.Error("nobody is known to have waited")
			}
		})
	}
}

// TestHangingUpWhileWaiting: a call whose app hangs up while it waits for the next try is not
// sent to Zoho later.
func TestHangingUpWhileWaiting(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{}, "ZOHO_CLIENT_OPTIONS=token_wait 1h")
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultStatus})
	gone, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(gone, http.MethodGet, c.url+"/crm/v8/Leads", nil)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(req)
		told <- err
	}()
	c.waitFor("two tries", func() bool { return server.Stats().TokenRequests >= 2 })
	hangUp()
	if err := <-told; !errors.Is(err, context.Canceled) {
		t.Errorf("who hung up got %v", err)
	}
	c.waitFor("the call to be let go", func() bool { return c.metric("zoho_token_wait_seconds_count") == 1 })
	server.ClearFaults("")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	if n := server.Stats().APIRequests["crm"]; n != 1 {
		t.Errorf("%d calls reached Zoho, want the one that waited", n)
	}
}

// TestWrongRefusal: a service that refuses a good token once gets it again, as soon as it was
// accepted anywhere, while the budget is spent. Bodies that cannot be kept are not risked.
func TestWrongRefusal(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{}, "ZOHO_CLIENT_OPTIONS=token_budget 1 1h")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultRefuse, Count: 1})
	wantProblem(t, c.get("/crm/v8/Leads"), "budget-spent", http.StatusServiceUnavailable)
	wantProblem(t, c.get("/crm/v8/Leads"), "budget-spent", http.StatusServiceUnavailable)
	c.succeed(http.MethodGet, "/books/v3/contacts", "")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.succeed(http.MethodPost, "/crm/v8/Leads", `{"data":[{"Last_Name":"Lind"}]}`)
	large := c.call(http.MethodPost, "/crm/v8/Leads", bytes.NewReader(make([]byte, 65<<20)))
	wantProblem(t, large, "budget-spent", http.StatusServiceUnavailable)
	wantTokenCalls(t, server, 1)
}

// TestProblemsOfTheGrant: what Accounts may answer, and what the app is told.
func TestProblemsOfTheGrant(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name       string
		break_     func(*zohosim.Server)
		env        string
		code       string
		retryAfter bool
		tokenCalls int
	}{
		{"revoked", func(s *zohosim.Server) { s.Revoke("") }, "", "grant-dead", false, 1},
		{"wrong secret", nil, "ZOHO_CLIENT_SECRET=anothersecret00000000000000", "client-rejected", false, 1},
		{"wrong id", nil, "ZOHO_CLIENT_ID=1000.NOBODYATALL", "client-rejected", false, 1},
		{"organization wanted", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultReply,
			Body: `{"error":"missing_org_info"}`}), "", "client-rejected", false, 1},
		{"throttled", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultThrottle}), "", "throttled", true, 1},
		{"throttled in Chinese", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultLocalized}), "", "throttled", true, 1},
		{"HTML", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHTML}), "", "accounts-unreachable", true, 1},
		{"empty", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultEmpty}), "", "accounts-unreachable", true, 1},
		{"500", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultStatus}), "", "accounts-unreachable", true, 1},
		{"reset", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultReset}), "", "accounts-unreachable", true, 1},
		{"redirect", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultRedirect, Body: "https://evil.example/"}), "", "accounts-unreachable", true, 1},
		{"huge", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHuge}), "", "accounts-unreachable", true, 1},
		{"bomb", fault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultBomb}), "", "accounts-unreachable", true, 1},
		{"nobody listens", nil, "ZOHO_DATA_CENTER=http://127.0.0.1:1 http://127.0.0.1:1", "accounts-unreachable", true, 0},
		{"no grant", nil, "ZOHO_REFRESH_TOKEN=", "no-grant", false, 0},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			c, server, _ := startSimulated(t, zohosim.Options{}, test.env)
			if test.break_ != nil {
				test.break_(server)
			}
			begun := time.Now()
			// The first caller asks, the others are answered from what is known.
			spread(50, 16, func(int) {
				a, err := c.try(http.MethodPost, "/crm/v8/Leads", strings.NewReader("{}"))
				if err != nil {
					t.Error(err)
					return
				}
				wantProblem(t, a, test.code, http.StatusServiceUnavailable)
				wantRetryAfter(t, a, test.retryAfter)
			})
			if n, most := server.Stats().TokenRequests, test.tokenCalls*mostTries(time.Since(begun), temporaryTries); n > most {
				t.Errorf("%d token calls, want at most %d", n, most)
			}
			if n := c.metric("zoho_proxy_errors_total", `code="`+test.code+`"`); n != 50 {
				t.Errorf("zoho_proxy_errors_total counts %v of 50", n)
			}
			if n := len(server.Stats().APIRequests); n != 0 {
				t.Error("a request went to Zoho without a token")
			}
		})
	}
}

func fault(f zohosim.Fault) func(*zohosim.Server) {
	return func(s *zohosim.Server) { s.AddFault(f) }
}

// TestAccountsDownWithLiveToken: an error reply never replaces a token that lives.
func TestAccountsDownWithLiveToken(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	for _, kind := range []string{zohosim.FaultHTML, zohosim.FaultThrottle} {
		server.AddFault(zohosim.Fault{Where: "accounts", Kind: kind})
		_, _, code := c.run("zoho", "refresh", "--address", c.admin)
		if code == 0 {
			t.Error("refresh succeeded with Accounts down")
		}
		for _, path := range threeServices {
			c.succeed(http.MethodGet, path, "")
		}
		server.ClearFaults("")
	}
	// Zoho refuses the token as well: now there is none, and the cause is told.
	server.RevokeAccess(grant)
	wantProblem(t, c.get("/crm/v8/Leads"), "throttled", http.StatusServiceUnavailable)
}

// TestBudgetSpent: the eleventh token call of a grant is not made, whatever happens
// and however often Caddy is started.
func TestBudgetSpent(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{})
	for range 10 {
		c.succeed(http.MethodGet, "/crm/v8/Leads", "")
		server.RevokeAccess(grant)
	}
	a := c.get("/crm/v8/Leads")
	wantProblem(t, a, "budget-spent", http.StatusServiceUnavailable)
	wantRetryAfter(t, a, true)
	for i := range 3 {
		if i%2 == 0 {
			c.kill()
		} else {
			c.stop()
		}
		c.start()
		// The token of the last run is tried once more, and refused.
		wantProblem(t, c.get("/crm/v8/Leads"), "budget-spent", http.StatusServiceUnavailable)
	}
	wantTokenCalls(t, server, 10)
	if left := c.connections("").Connections[0].BudgetLeft; left != 0 {
		t.Errorf("budget left: %d", left)
	}
	if n := c.metric("zoho_token_budget_remaining"); n != 0 {
		t.Errorf("zoho_token_budget_remaining %v", n)
	}
}

// TestDeadGrantHeals, S-32: a rotated file is noticed at the next need, without a reload;
// in between nothing is asked.
func TestDeadGrantHeals(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	file := filepath.Join(t.TempDir(), "grant")
	write := func(value string) {
		if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(grant)
	c := startCaddy(t, strings.Replace(oneClient, "{env.ZOHO_REFRESH_TOKEN}", "{file."+file+"}", 1), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL)
	c.secrets = append(c.secrets, grant)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	server.Revoke(grant)
	begun := time.Now()
	for range 20 {
		wantProblem(t, c.get("/crm/v8/Leads"), "grant-dead", http.StatusServiceUnavailable)
	}
	if n, most := server.Stats().TokenRequests, 1+mostTries(time.Since(begun), handTries); n > most {
		t.Errorf("%d token calls, want at most %d", n, most)
	}
	if state := c.connections("").Connections[0]; state.State != "dead" || !state.NeedsConsent {
		t.Errorf("%+v", state)
	}
	fresh := server.Grant(clientID, "owner@example.com", "us")
	c.secrets = append(c.secrets, fresh)
	write(fresh)
	c.waitFor("the new grant to be found", func() bool { return c.get("/crm/v8/Leads").problem() == "" })
	if n := server.Stats().ByRefreshToken[fresh]; n != 1 {
		t.Errorf("%d token calls with the new grant", n)
	}
	if state := c.connections("").Connections[0]; state.State != "ok" || state.NeedsConsent {
		t.Errorf("%+v", state)
	}
}

// TestSecretRolledOver: of two secrets one is accepted, whichever; a client that was
// rejected heals when its file changes.
func TestSecretRolledOver(t *testing.T) {
	t.Parallel()
	const next = "rolledover5e77b1d09c3f8a6642"
	server, baseURL, grant := sim(t, zohosim.Options{})
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("wrongfromthestart0011223344"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(oneClient, "client_secret {env.ZOHO_CLIENT_SECRET}", "client_secret {env.ZOHO_CLIENT_SECRET} {file."+file+"}", 1)
	c := startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	c.secrets = append(c.secrets, next, "wrongfromthestart0011223344")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")

	server.AddClient(zohosim.Client{ID: clientID, Secret: next})
	server.RevokeAccess(grant)
	wantProblem(t, c.get("/crm/v8/Leads"), "client-rejected", http.StatusServiceUnavailable)
	if err := os.WriteFile(file, []byte(next+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.waitFor("the new secret to be found", func() bool { return c.get("/crm/v8/Leads").problem() == "" })
	server.RevokeAccess(grant)
	before := server.Stats().TokenRequests
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	if n := server.Stats().TokenRequests - before; n != 1 {
		t.Errorf("%d token calls, the accepted secret should be tried first", n)
	}
	c.stop()
	c.start() // the store is sealed with both
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	if n := server.Stats().TokenRequests - before; n != 1 {
		t.Errorf("%d token calls after the restart", n-1)
	}
}
