// What an operator watches: health, states, metrics, the access log, events and notifications.

package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyevents/eventsconfig" // the global option

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestHealth: of everything, of a client and of an account. It never asks Zoho.
func TestHealth(t *testing.T) {
	t.Parallel()
	server, baseURL, first := sim(t, zohosim.Options{})
	second := server.Grant(clientID, "second@example.com", "us")
	config := strings.Replace(twoAccounts, "\thandle_path /health-second {", "\thandle_path /health-main {\n\t\tzoho_health * main\n\t}\n\thandle_path /health-second {", 1)
	c := startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+first, "SECOND_REFRESH_TOKEN="+second)
	want := func(all, main, second int, counts, secondCounts map[string]int) {
		t.Helper()
		c.wantHealth("/zoho-health", all, counts)
		c.wantHealth("/health-main", main, counts)
		c.wantHealth("/health-second", second, secondCounts)
	}
	want(200, 200, 200, map[string]int{"ok": 2}, map[string]int{"ok": 1})
	wantTokenCalls(t, server, 0)

	server.Revoke(second)
	begun := time.Now()
	wantProblem(t, c.get(threeServices[0], "Zoho-Proxy-Account", "second"), "grant-dead", 503)
	want(200, 200, 503, map[string]int{"ok": 1, "dead": 1}, map[string]int{"dead": 1})

	server.Revoke(first)
	wantProblem(t, c.get(threeServices[0], "Zoho-Proxy-Account", "default"), "grant-dead", 503)
	want(503, 503, 503, map[string]int{"dead": 2}, map[string]int{"dead": 1})
	if n, most := server.Stats().TokenRequests, 2*mostTries(time.Since(begun), handTries); n > most {
		t.Errorf("%d token calls, want at most %d", n, most)
	}
}

// TestHealthWithExpiredToken: a usable grant is enough.
func TestHealthWithExpiredToken(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{TokenLife: tokenLife}, "ZOHO_CLIENT_OPTIONS=keep_warm 0")
	c.succeed(http.MethodGet, threeServices[0], "")
	c.waitFor("the token to expire", func() bool { return !c.connections("").Connections[0].HasToken })
	c.wantHealth("/zoho-health", 200, map[string]int{"ok": 1})
	wantTokenCalls(t, server, 1)
	c.succeed(http.MethodGet, threeServices[0], "")
	wantTokenCalls(t, server, 2)
}

// TestHealthWithoutGrant: nothing can be served before somebody consents.
func TestHealthWithoutGrant(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{}, "ZOHO_REFRESH_TOKEN=")
	c.wantHealth("/zoho-health", 503, map[string]int{"not_connected": 1})
	wantTokenCalls(t, server, 0)
}

// TestConnectionStates: degraded after two failures, ok after a success, contended
// when tokens are lost early three times.
func TestConnectionStates(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{MaxTokens: -1}, "ZOHO_CLIENT_OPTIONS=token_budget 1000 10m")
	state := func(want string) {
		t.Helper()
		if got := c.connections("").Connections[0].State; got != want {
			t.Errorf("state %s, want %s", got, want)
		}
		if n := c.metric("zoho_connection_state", `state="`+want+`"`); n != 1 {
			t.Errorf("zoho_connection_state says %v of %s", n, want)
		}
		if n := c.metric("zoho_connections", `state="`+want+`"`); n != 1 {
			t.Errorf("zoho_connections says %v of %s", n, want)
		}
		c.wantHealth("/zoho-health", 200, map[string]int{want: 1})
	}
	c.succeed(http.MethodGet, threeServices[0], "")
	state("ok")
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHTML})
	for _, want := range []string{"ok", "degraded"} {
		c.wantCLI(cli{"refresh", 1, "", ""})
		state(want)
	}
	c.succeed(http.MethodGet, threeServices[0], "")
	server.ClearFaults("")
	c.wantCLI(cli{"refresh", 0, "", ""})
	state("ok")
	for i := range 3 {
		state("ok")
		server.RevokeAccess(grant)
		c.succeed(http.MethodGet, threeServices[0], "")
		if n := int(c.metric("zoho_tokens_lost_early_total")); n != i+1 {
			t.Errorf("zoho_tokens_lost_early_total %d, want %d", n, i+1)
		}
	}
	state("contended")
	c.wantCLI(cli{"status --state contended", 0, "contended", ""})
	c.logs("lost early")
}

// TestMetrics: every metric that operators may rely on is there, with its labels.
func TestMetrics(t *testing.T) {
	t.Parallel()
	c, server, grants := startTwoAccounts(t, zohosim.Options{})
	account := []string{"Zoho-Proxy-Account", "default"}
	before := time.Now()
	for _, path := range threeServices {
		c.succeed(http.MethodGet, path, "", account...)
	}
	c.get("/crm/_status/404", account...)
	c.get("/crm/_status/500", account...)
	server.RevokeAccess(grants[0])
	c.succeed(http.MethodPost, "/crm/v8/Leads", `{"data":[{"Last_Name":"Lind"}]}`, account...)
	wantRefusal(t, c.get("/mail/api/accounts", account...), 401, "scope")
	c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "nobody")
	wants := []struct {
		name   string
		labels []string
		want   float64
	}{
		{"zoho_requests_total", []string{`service="crm"`, `code_class="2xx"`}, 2},
		{"zoho_requests_total", []string{`service="crm"`, `code_class="4xx"`}, 1},
		{"zoho_requests_total", []string{`service="crm"`, `code_class="5xx"`}, 1},
		{"zoho_requests_total", []string{`service="mail"`, `code_class="4xx"`}, 1},
		{"zoho_proxy_errors_total", []string{`code="no-grant"`}, 1},
		{"zoho_token_requests_total", []string{`result="ok"`}, 2},
		{"zoho_token_request_duration_seconds_count", nil, 2},
		{"zoho_token_wait_seconds_count", nil, 2},
		{"zoho_token_generation", []string{`account="default"`}, 2},
		{"zoho_token_generation", []string{`account="second"`}, 0},
		{"zoho_token_budget_remaining", []string{`account="default"`}, 998},
		{"zoho_token_budget_remaining", []string{`account="second"`}, 1000},
		{"zoho_refresh_tokens_issued", []string{`account="default"`}, 1},
		{"zoho_tokens_lost_early_total", nil, 1},
		{"zoho_connection_state", []string{`account="second"`, `state="ok"`}, 1},
		{"zoho_connection_state", []string{`state="dead"`}, 0},
		{"zoho_connections", []string{`state="ok"`}, 2},
		{"zoho_upstream_auth_failures_total", []string{`service="crm"`, `verdict="renew"`}, 1},
		{"zoho_upstream_auth_failures_total", []string{`service="mail"`, `verdict="scope"`}, 1},
		{"zoho_replays_total", []string{`result="ok"`}, 1},
	}
	for _, test := range wants {
		if got := c.metric(test.name, append(test.labels, `client="main"`)...); got != test.want {
			t.Errorf("%s%v is %v, want %v", test.name, test.labels, got, test.want)
		}
	}
	expiry := c.metric("zoho_token_expiry_timestamp_seconds", `account="default"`)
	if expiry < float64(before.Add(50*time.Minute).Unix()) || expiry > float64(time.Now().Add(time.Hour+time.Second).Unix()) {
		t.Errorf("zoho_token_expiry_timestamp_seconds %v", expiry)
	}
	content := c.adminCall(http.MethodGet, "/metrics", "").body
	for line := range bytes.Lines(content) {
		if bytes.HasPrefix(line, []byte("zoho_")) && !bytes.HasPrefix(line, []byte("zoho_replay_buffer_bytes")) && !bytes.HasPrefix(line, []byte("zoho_build_info")) && !bytes.Contains(line, []byte(`client="main"`)) {
			t.Errorf("without a client: %s", line)
		}
	}
}

// TestBuildInfo: a metric has what `caddy zoho version` says, also after a reload.
func TestBuildInfo(t *testing.T) {
	t.Parallel()
	c, _, _ := startSimulated(t, zohosim.Options{})
	stdout, _, _ := c.run("zoho", "version", "--json")
	var linked map[string]string
	if err := json.Unmarshal([]byte(stdout), &linked); err != nil || len(linked) != 3 || !strings.HasPrefix(linked["caddy"], "v2.") {
		t.Fatalf("%v: %s", err, stdout)
	}
	for range 2 {
		if n := c.metric("zoho_build_info", `version="`+linked["caddy-zoho"]+`"`, `caddy="`+linked["caddy"]+`"`, `go="`+linked["go"]+`"`); n != 1 {
			t.Errorf("zoho_build_info is %v for %v", n, linked)
		}
		if err := c.reload(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAccessLogPlaceholders: log_append tells which connection a request went by.
func TestAccessLogPlaceholders(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	second := server.Grant(clientID, "second@example.com", "us")
	appended := "\tlog {\n\t\toutput file {$ACCESS_LOG}\n\t}\n"
	names := []string{"client", "account", "service", "generation", "replayed"}
	for _, name := range names {
		appended += "\tlog_append zoho_" + name + " {http.zoho." + name + "}\n"
	}
	config := strings.Replace(twoAccounts, "\tzoho_health\n", appended+"\tzoho_health\n", 1)
	c := newCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant, "SECOND_REFRESH_TOKEN="+second)
	file := filepath.Join(c.dir, "access.log")
	c.setenv("ACCESS_LOG=" + file)
	c.start()
	c.succeed(http.MethodGet, threeServices[0], "", "Zoho-Proxy-Account", "second")
	server.RevokeAccess(second)
	c.succeed(http.MethodGet, threeServices[2], "", "Zoho-Proxy-Account", "second")
	var lines []map[string]any
	c.waitFor("two lines in the access log", func() bool {
		lines = nil
		content, _ := os.ReadFile(file)
		for line := range bytes.Lines(content) {
			var entry map[string]any
			if json.Unmarshal(line, &entry) == nil {
				lines = append(lines, entry)
			}
		}
		return len(lines) == 2
	})
	wants := [][]any{
		{"main", "second", "crm", float64(1), false},
		{"main", "second", "desk", float64(2), true},
	}
	for i, want := range wants {
		var got []any
		for _, name := range names {
			got = append(got, lines[i]["zoho_"+name])
		}
		if !slices.Equal(got, want) {
			t.Errorf("request %d: %v, want %v", i, got, want)
		}
	}
	renewals := 0
	c.waitFor("two lines on renewals", func() bool { return strings.Count(c.output.String(), `"access token renewed"`) == 2 })
	for line := range strings.Lines(c.output.String()) {
		var entry struct {
			Logger, Msg, Cause, Result string
			Generation                 int
			Duration                   float64
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "access token renewed" {
			renewals++
			cause := []string{"first", "refused"}[min(renewals, 2)-1]
			if entry.Logger != "zoho" || entry.Cause != cause || entry.Result != "ok" || entry.Generation != renewals || entry.Duration <= 0 {
				t.Errorf("renewal %d: %s", renewals, line)
			}
		}
	}
	if renewals != 2 {
		t.Errorf("%d lines on renewals, want 2", renewals)
	}
}

// TestEvents: Caddy's events app hears of renewals and of dead grants, after a reload as
// well, and of no secret.
func TestEvents(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{})
	c.runInput(server.Grant(clientID, "ann@example.com", "us", "ZohoCRM.modules.ALL"), 0, "zoho", "import")
	heard := func(name string) int {
		n := 0
		for line := range strings.Lines(c.output.String()) {
			if strings.Contains(line, `"logger":"events"`) && strings.Contains(line, `"name":"`+name+`"`) {
				n++
			}
		}
		return n
	}
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	c.wantCLI(cli{"refresh", 0, "default", ""})
	c.waitFor("the event of the renewal", func() bool { return heard("zoho_token_renewed") >= 1 })
	if n := heard("zoho_grant_dead"); n != 0 {
		t.Errorf("%d grants are dead", n)
	}
	server.Revoke("")
	c.wantCLI(cli{"refresh", 3, "", "grant_dead"})
	c.waitFor("the event of the dead grant", func() bool { return heard("zoho_grant_dead") == 1 })
}

func init() { caddy.RegisterModule(subscriber{}) }

// subscriber is a handler of Caddy's events, as an operator would set up one.
type subscriber struct{}

// heard is what subscribers were told.
var heard = make(chan caddy.CloudEvent, 16)

func (subscriber) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.test_subscriber", New: func() caddy.Module { return new(subscriber) }}
}

func (*subscriber) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (*subscriber) Handle(_ context.Context, e caddy.Event) error {
	heard <- e.CloudEvent()
	return nil
}

const subscribed = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	events {
		on zoho_token_renewed test_subscriber
		on zoho_grant_dead test_subscriber
	}
	zoho {
		store bolt %s
		client main {
			data_center %[2]s %[2]s
			client_id insecure_literal %s
			client_secret insecure_literal %s
			refresh_token insecure_literal %s
		}
	}
}
http://:%[6]s {
	bind 127.0.0.1
	zoho_proxy
}
`

// TestSubscriber: a handler of Caddy's events is told what the documentation says, and no
// secret.
func TestSubscriber(t *testing.T) {
	server, baseURL, grant := sim(t, zohosim.Options{})
	port, client := freePort(t), newClient()
	load(t, fmt.Sprintf(subscribed, t.TempDir(), baseURL, clientID, clientSecret, grant, port))
	call := func() answer {
		t.Helper()
		a, err := readAnswer(client.Get("http://127.0.0.1:" + port + "/crm/v8/Leads"))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := call(); a.StatusCode >= 300 {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	renewed := hear(t, "zoho_token_renewed", grant)
	expires, err := time.Parse(time.RFC3339, fmt.Sprint(renewed["expires"]))
	if left := time.Until(expires); err != nil || left < 59*time.Minute || left > time.Hour {
		t.Errorf("it expires at %v", renewed["expires"])
	}
	delete(renewed, "expires")
	if got := fmt.Sprint(renewed); got != "map[account:default cause:first client:main generation:1]" {
		t.Errorf("renewed: %s", got)
	}
	server.Revoke(grant)
	wantProblem(t, call(), "grant-dead", http.StatusServiceUnavailable)
	if got := fmt.Sprint(hear(t, "zoho_grant_dead", grant)); got != "map[account:default client:main]" {
		t.Errorf("dead: %s", got)
	}
}

// hear waits for an event, and looks for secrets in it.
func hear(t *testing.T, name, grant string) (data map[string]any) {
	t.Helper()
	select {
	case e := <-heard:
		all, err := json.Marshal(e)
		if err != nil || e.Type != name || e.Source != "zoho" {
			t.Fatalf("heard of %s, %v", all, err)
		}
		for _, secret := range []string{"1000.", grant, clientSecret} { // access tokens begin like that, too
			if strings.Contains(string(all), secret) {
				t.Errorf("%s holds %s", name, secret)
			}
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatalf("%s was not told", name)
	}
	return data
}

// receiver is a program of the operator's that is told of connections.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	refuse int // how many are not taken at first
	got    []map[string]string
	raw    []byte
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := new(receiver)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.raw = append(r.raw, body...)
		if r.refuse > 0 {
			r.refuse--
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		var x map[string]string
		if err := json.Unmarshal(body, &x); err != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %s: %v", req.Method, req.Header.Get("Content-Type"), body, err)
		}
		r.got = append(r.got, x)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) events() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var events []string
	for _, x := range r.got {
		events = append(events, x["event"]+" "+x["account"])
	}
	return strings.Join(events, ", ")
}

// TestNotify: the operator is told of what takes a person, and when it is over, also
// across a reload that sends it elsewhere, and by a receiver that is down for a moment.
func TestNotify(t *testing.T) {
	t.Parallel()
	server := zohosim.New(zohosim.Options{MaxTokens: -1, MaxGrants: -1})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true})
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	first, second := newReceiver(t), newReceiver(t)
	config := strings.Replace(onboarding, "store bolt {$ZOHO_STORE}", "store bolt {$ZOHO_STORE}\n\t\tnotify {$NOTIFY}/{env.NOTIFY_PATH}", 1)
	c := newCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_CONNECT_OPTIONS=", "NOTIFY="+first.URL, "NOTIFY_PATH=a-secret-path")
	c.secrets = append(c.secrets, "a-secret-path")
	c.start()
	told := func(r *receiver, want string) {
		t.Helper()
		c.waitFor("to be told: "+want, func() bool { return r.events() == want })
	}
	scopes := []string{"ZohoCRM.modules.ALL", "ZohoCRM.org.READ", "AaaServer.profile.READ", "Desk.tickets.ALL"}
	grant := server.Grant(clientID, "ann@example.com", "us", scopes...)
	c.secrets = append(c.secrets, grant)
	first.refuse = 1
	c.runInput(grant, 0, "zoho", "import", "main", "shop")
	told(first, "connected shop")

	call := func() answer { return c.get(threeServices[0], "Zoho-Proxy-Account", "shop") }
	for range 3 {
		server.RevokeAccess(grant)
		call()
	}
	told(first, "connected shop, contended shop")

	c.setenv("NOTIFY=" + second.URL)
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	server.Revoke(grant)
	wantProblem(t, call(), "grant-dead", http.StatusServiceUnavailable)
	told(second, "dead shop")
	another := server.Grant(clientID, "ann@example.com", "us", scopes...)
	c.secrets = append(c.secrets, another)
	c.runInput(another, 0, "zoho", "import", "main", "shop")
	told(second, "dead shop, connected shop, recovered shop")
	if x := second.got[0]; !strings.Contains(x["text"], "main/shop") || !strings.Contains(x["why"], "invalid_code") || !strings.Contains(x["do"], "caddy zoho connect main shop") || x["id"] == "" || x["time"] == "" {
		t.Errorf("%v", x)
	}
	if events := first.events(); events != "connected shop, contended shop" {
		t.Errorf("the first receiver was told %s", events)
	}
	for _, r := range []*receiver{first, second} {
		c.checkSecrets("a notification", r.raw)
	}
	found(c.doctor(0)).want(t, "notify", "ok", "notifications go to 127.0.0.1")
	second.Close()
	server.Revoke(another)
	call()
	c.waitFor("the failure", func() bool {
		return strings.Contains(c.output.String()[len(c.output.String())/2:], "connection refused")
	})
	found(c.doctor(1)).without("grant").want(t, "notify", "failed", "connection refused")
}
