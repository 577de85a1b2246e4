// The main job: one token serves all calls, is renewed in time and after a refusal, once, in any
// storm of callers, and none of them sees anything of it.

package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	oauthserver "github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestCallsSucceedWithOneToken is the main job: an app that knows no token lists,
// creates, reads, changes and deletes, and one token serves it all.
func TestCallsSucceedWithOneToken(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	created := c.call(http.MethodPost, "/crm/v8/Leads", strings.NewReader(`{"data":[{"Last_Name":"Lind"}]}`))
	if created.StatusCode != http.StatusCreated && created.StatusCode != http.StatusOK {
		t.Fatalf("create: %s %s", created.Status, created.body)
	}
	for _, path := range threeServices {
		if a := c.get(path); a.StatusCode >= 300 || a.problem() != "" {
			t.Errorf("GET %s: %s %s", path, a.Status, a.body)
		}
	}
	wantTokenCalls(t, server, 1)
}

// TestTenThousandCallsOneToken: 64 callers, three services, one token call.
func TestTenThousandCallsOneToken(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	calls := 10_000
	if testing.Short() {
		calls = 1000
	}
	spread(calls, 64, func(i int) { c.succeed(http.MethodGet, threeServices[i%3], "") })
	wantTokenCalls(t, server, 1)
	if got := int(c.metric("zoho_requests_total", `code_class="2xx"`)); got != calls {
		t.Errorf("zoho_requests_total counts %d of %d", got, calls)
	}
}

// TestShortLivedTokenUnderLoad: tokens that live for seconds are renewed in the
// background, once each, and nobody waits for it.
func TestShortLivedTokenUnderLoad(t *testing.T) {
	t.Parallel()
	const life = 12 * time.Second
	c, server, _ := startSimulated(t, zohosim.Options{TokenLife: life, MaxTokens: -1, MaxLive: -1},
		"ZOHO_CLIENT_OPTIONS=token_budget 1000 10m")
	c.succeed(http.MethodGet, threeServices[0], "")
	stop := make(chan struct{})
	var callers sync.WaitGroup
	var longest atomic.Int64 // that a call has taken
	for i := range 16 {
		callers.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
					begun := time.Now()
					c.succeed(http.MethodGet, threeServices[n%3], "")
					longest.Store(max(longest.Load(), int64(time.Since(begun))))
				}
			}
		})
	}
	c.waitFor("two renewals", func() bool { return server.Stats().TokenRequests >= 3 })
	close(stop)
	callers.Wait()
	generation := c.connections("").Connections[0].Generation
	if calls := server.Stats().TokenRequests; calls != generation {
		t.Errorf("%d token calls for %d generations", calls, generation)
	}
	// A renewal has a quarter of the life. Where calls take as long as that, so may it.
	if n := c.metric("zoho_token_wait_seconds_count"); n != 1 && longest.Load() < int64(life/8) {
		t.Errorf("%v calls waited for a token, only the first may", n)
	}
}

// TestEverythingRevokedUnderLoad: while 500 callers read and write, Zoho revokes
// every access token. They see nothing of it, and nothing is written twice.
func TestEverythingRevokedUnderLoad(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	var done atomic.Int64
	revoke := sync.OnceFunc(func() { server.RevokeAccess(grant) })
	var callers sync.WaitGroup
	for i := range 500 {
		callers.Go(func() {
			for n := range 2 {
				switch id := fmt.Sprintf("%d-%d", i, n); i % 4 {
				case 0:
					c.succeed(http.MethodGet, "/crm/v8/Leads", "", "X-Test-Id", id)
				case 1:
					c.succeed(http.MethodPost, "/crm/v8/Leads", `{"data":[{"Last_Name":"Lind"}]}`, "X-Test-Id", id)
				case 2:
					c.succeed(http.MethodGet, "/desk/api/v1/tickets", "", "X-Test-Id", id)
				case 3:
					c.succeed(http.MethodPost, "/desk/api/v1/tickets", `{"subject":"x"}`, "X-Test-Id", id)
				}
				if done.Add(1) == 250 {
					revoke()
				}
			}
		})
	}
	callers.Wait()
	wantTokenCalls(t, server, 2)
	stats := server.Stats()
	for i := range 500 {
		for n := range 2 {
			if id := fmt.Sprintf("%d-%d", i, n); stats.Executed[id] != 1 {
				t.Errorf("request %s was executed %d times", id, stats.Executed[id])
			}
		}
	}
	if stats.Refusals["crm/dead"]+stats.Refusals["desk/dead"] == 0 {
		t.Error("the revocation hit no call: the test proves nothing")
	}
	if replayed := c.metric("zoho_replays_total", `result="ok"`); replayed == 0 {
		t.Error("zoho_replays_total counts no replay")
	}
}

// TestAccountsShareNothing, S-36: two accounts are called in parallel while their tokens
// are revoked; none ever sees the other's token.
func TestAccountsShareNothing(t *testing.T) {
	t.Parallel()
	c, server, grants := startTwoAccounts(t, zohosim.Options{MaxTokens: -1})
	account := func(i int) (name, user string) {
		if i%2 == 0 {
			return "default", "owner@example.com"
		}
		return "second", "second@example.com"
	}
	calls := 20_000
	switch {
	case testing.Short():
		calls = 4000
	case os.Getenv("CADDY_ZOHO_BINARY") != "": // whoever gives one, as CI with the race detector, gives time as well
		calls = 100_000
	}
	spread(calls, 32, func(i int) {
		name, user := account(i)
		if i%1000 == 0 {
			server.RevokeAccess(grants[i/1000%2])
		}
		path := threeServices[0]
		if i%3 == 0 {
			path = threeServices[2]
		}
		if a := c.succeed(http.MethodGet, path, "", "Zoho-Proxy-Account", name); a.Header.Get("X-Sim-User") != user {
			t.Errorf("account %s was served with the token of %q", name, a.Header.Get("X-Sim-User"))
		}
	})
	list := c.connections("")
	if len(list.Connections) != 2 {
		t.Fatalf("connections: %+v", list.Connections)
	}
	for i, connection := range list.Connections {
		if calls := server.Stats().ByRefreshToken[grants[i]]; calls != connection.Generation {
			t.Errorf("account %s: %d token calls for %d generations", connection.Account, calls, connection.Generation)
		}
	}
}

// TestUnknownAccountIsNobody: an account that is not named, or not known, is never
// the default one, and leaves nothing behind.
func TestUnknownAccountIsNobody(t *testing.T) {
	t.Parallel()
	c, server, _ := startTwoAccounts(t, zohosim.Options{})
	names := []string{"", " ", "Default", "DEFAULT", "default ", "default,second", "second/", "../default", "%64efault", "{env.ZOHO_CLIENT_SECRET}", strings.Repeat("x", 200)}
	for i := range 100 {
		names = append(names, "nobody"+strconv.Itoa(i))
	}
	for _, name := range names {
		if name == "default " { // net/http and Caddy trim the blank
			continue
		}
		wantProblem(t, c.get("/crm/v8/Leads", "Zoho-Proxy-Account", name), "no-grant", http.StatusServiceUnavailable)
	}
	wantProblem(t, c.get("/crm/v8/Leads"), "no-grant", http.StatusServiceUnavailable)
	if list := c.connections(""); list.Total != 2 {
		t.Errorf("connections: %+v", list.Connections)
	}
	if metrics := c.adminCall(http.MethodGet, "/metrics", "").body; bytes.Contains(metrics, []byte("nobody")) {
		t.Error("a caller's text became a label")
	}
	wantTokenCalls(t, server, 0)
	if n := len(server.Stats().APIRequests); n != 0 {
		t.Errorf("requests without an account reached %d services", n)
	}
}

// TestStorm, S-27: a thousand calls, all of which meet a dead token, in any mix of
// reads, writes and uploads, over either protocol to Zoho: one token call, and a
// thousand successes. What is written is written once, and arrives as it was sent.
func TestStorm(t *testing.T) {
	http1 := func(t *testing.T) (*proxy, *zohosim.Server) {
		c, server, _ := startSimulated(t, zohosim.Options{})
		return c, server
	}
	http2 := func(t *testing.T) (*proxy, *zohosim.Server) { return startZoho(t, zohosim.GrantSpec{}) }
	// HTTP/1.1 within TLS, as to a server that does not offer more.
	tls1 := func(t *testing.T) (*proxy, *zohosim.Server) {
		return startZohoAs(t, zohosim.Options{HTTP1: true}, zohosim.GrantSpec{})
	}
	for _, test := range []struct {
		name    string
		start   func(*testing.T) (*proxy, *zohosim.Server)
		proto   string
		uploads int // of 1000
	}{
		{"reads over HTTP/1.1", http1, "HTTP/1.1", 0},
		{"a mix over HTTP/1.1", http1, "HTTP/1.1", 300},
		{"a mix over TLS and HTTP/1.1", tls1, "HTTP/1.1", 300},
		{"a mix over HTTP/2", http2, "HTTP/2", 300},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, server := test.start(t)
			calls := 1000
			if testing.Short() {
				calls = 200
			}
			if a := c.succeed(http.MethodGet, "/crm/_echo", ""); !strings.Contains(string(a.body), test.proto) {
				t.Fatalf("Zoho is not spoken to by %s: %s", test.proto, a.body)
			}
			for _, where := range []string{"crm", "desk"} {
				server.AddFault(zohosim.Fault{Where: where, Kind: zohosim.FaultHang}) // until cleared
			}
			var all sync.WaitGroup
			for i := range calls {
				all.Go(func() { stormCall(t, c, i, i*1000/calls < test.uploads) })
			}
			c.waitFor("all of them to be with Zoho", func() bool {
				faults := server.Stats().Faults
				return faults["crm/hang"]+faults["desk/hang"] == calls
			})
			server.RevokeAccess("")
			server.ClearFaults("")
			all.Wait()
			wantTokenCalls(t, server, 2)
			stats := server.Stats()
			for i := range calls {
				if n := stats.Executed[strconv.Itoa(i)]; n != 1 {
					t.Errorf("request %d was executed %d times", i, n)
				}
			}
			if n := stats.Refusals["crm/dead"] + stats.Refusals["desk/dead"]; n < calls {
				t.Errorf("only %d calls met the dead token", n)
			}
			if n := c.metric("zoho_replays_total"); n < float64(calls) || n != c.metric("zoho_replays_total", `result="ok"`) {
				t.Errorf("%v replays of %d calls, or not all of them well", n, calls)
			}
		})
	}
}

// stormCall reads, writes or uploads as an app would, and checks what it gets.
func stormCall(t *testing.T, c *proxy, i int, upload bool) {
	id := strconv.Itoa(i)
	switch {
	case upload && i%3 == 0: // chunked
		body := patterned(64<<10 + i)
		a, err := c.try(http.MethodPost, "/crm/_echo", unknownLength{bytes.NewReader(body)}, "X-Test-Id", id)
		wantArrived(t, a, err, body)
	case upload:
		body := patterned(32<<10 + i)
		a, err := c.try(http.MethodPut, "/desk/api/_echo", bytes.NewReader(body), "X-Test-Id", id)
		wantArrived(t, a, err, body)
	case i%2 == 0:
		c.succeed(http.MethodPost, "/crm/v8/Leads", `{"data":[{"Last_Name":"Lind"}]}`, "X-Test-Id", id)
	case i%5 == 0:
		c.succeed(http.MethodGet, "/desk/api/v1/tickets", "", "X-Test-Id", id)
	default:
		c.succeed(http.MethodGet, "/crm/v8/Leads", "", "X-Test-Id", id)
	}
}

// wantArrived is wantEcho for any goroutine.
func wantArrived(t *testing.T, a answer, err error, body []byte) {
	sum := sha256.Sum256(body)
	if err != nil || a.StatusCode != http.StatusOK || !bytes.Contains(a.body, []byte(hex.EncodeToString(sum[:]))) {
		t.Errorf("%d bytes: %v %v", len(body), err, a)
	}
}

// TestLateRefusals, S-27: answers that refuse an older token trickle in when the new
// one is there already. They are sent again with that, and cost nothing.
func TestLateRefusals(t *testing.T) {
	t.Parallel()
	const late = 100
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultHang, Path: "/slow"}) // until cleared
	var waiting sync.WaitGroup
	for i := range late {
		waiting.Go(func() {
			c.succeed(http.MethodPost, "/crm/slow/_echo", "body", "X-Test-Id", "late-"+strconv.Itoa(i))
		})
	}
	c.waitFor("all of them to be with Zoho", func() bool { return server.Stats().Faults["crm/hang"] == late })
	server.RevokeAccess("")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	wantTokenCalls(t, server, 2)
	server.ClearFaults("")
	waiting.Wait()
	wantTokenCalls(t, server, 2)
	if n := server.Stats().Refusals["crm/dead"]; n < late {
		t.Errorf("%d refusals, want %d late ones: the test proves nothing", n, late)
	}
	for i := range late {
		if n := server.Stats().Executed["late-"+strconv.Itoa(i)]; n != 1 {
			t.Errorf("late request %d was executed %d times", i, n)
		}
	}
}

// TestLeaderHangsUp, S-31: who began the renewal hangs up; it serves the others all
// the same.
func TestLeaderHangsUp(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHang, Count: 1})
	leader := c.dial(t)
	if _, err := io.WriteString(leader, "GET /crm/v8/Leads HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	c.waitFor("the renewal to begin", func() bool { return server.Stats().Faults["accounts/hang"] == 1 })
	var others sync.WaitGroup
	for range 50 {
		others.Go(func() { c.succeed(http.MethodGet, "/desk/api/v1/tickets", "") })
	}
	_ = leader.Close()
	c.waitFor("the others to wait", func() bool { return c.inFlight() >= 50 })
	server.ClearFaults("")
	others.Wait()
	wantTokenCalls(t, server, 1)
}

// TestTwoProgramsOneGrant: an old script goes on asking for access tokens with the
// same refresh token, until Zoho, which keeps ten of them, ends ours. The calls see
// nothing of it; the operator is told.
func TestTwoProgramsOneGrant(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{MaxTokens: -1}) // many windows of ten minutes in one
	c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	script := func() {
		res, err := http.PostForm(baseURL+"/oauth/v2/token", url.Values{"grant_type": {"refresh_token"},
			"client_id": {clientID}, "client_secret": {clientSecret}, "refresh_token": {grant}})
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	scripted := 0
	for loss := range 4 {
		for range 3 {
			c.succeed(http.MethodPost, "/crm/v8/Leads", `{"data":[{"Last_Name":"Lind"}]}`)
		}
		want := "ok"
		if loss == 3 {
			want = "contended"
		}
		if state := c.connections("").Connections[0].State; state != want {
			t.Errorf("after %d losses: state %s, want %s", loss, state, want)
		}
		if n := c.metric("zoho_tokens_lost_early_total"); int(n) != loss {
			t.Errorf("zoho_tokens_lost_early_total says %v, want %d", n, loss)
		}
		for range 10 {
			script()
			scripted++
		}
	}
	if n := c.metric("zoho_connection_state", `state="contended"`); n != 1 {
		t.Error("zoho_connection_state does not say contended")
	}
	out, _, _ := c.run("zoho", "status", "--address", c.admin)
	if !strings.Contains(out, "contended") {
		t.Errorf("caddy zoho status: %s", out)
	}
	c.logs("access token lost early", `"state":"contended"`)
	if ours := server.Stats().TokenRequests - scripted; ours != 4 {
		t.Errorf("%d token calls of ours, want one and one for each loss", ours)
	}
}

// TestRevokedRightAfterARenewal: a request is on its way when the token is renewed in time,
// and both tokens are revoked after that. It is sent with the second one, and then with one
// that is good; nothing is put on hold.
func TestRevokedRightAfterARenewal(t *testing.T) {
	t.Parallel()
	const waiting = 20
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultHang, Path: "/slow"}) // until cleared
	done := make(chan struct{})
	go func() {
		defer close(done)
		spread(waiting, waiting, func(i int) {
			c.succeed(http.MethodPost, "/crm/slow/_echo", "body", "X-Test-Id", "twice-"+strconv.Itoa(i))
		})
	}()
	c.waitFor("all of them to be with Zoho", func() bool { return server.Stats().Faults["crm/hang"] == waiting })
	if _, stderr, code := c.run("zoho", "refresh", "--address", c.admin); code != 0 {
		t.Fatalf("refresh: %d %s", code, stderr)
	}
	server.RevokeAccess("")
	server.ClearFaults("")
	<-done
	wantTokenCalls(t, server, 3)
	for i := range waiting {
		if n := server.Stats().Executed["twice-"+strconv.Itoa(i+1)]; n != 1 {
			t.Errorf("request %d was executed %d times", i+1, n)
		}
	}
	server.RevokeAccess("")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	wantTokenCalls(t, server, 4)
}

// TestServerByOthers: the whole way, against an authorization server that others wrote,
// behind Zoho's paths. So it is not only our own reading of the protocol that is tried.
func TestServerByOthers(t *testing.T) {
	t.Parallel()
	manager := manage.NewDefaultManager()
	manager.SetAuthorizeCodeTokenCfg(&manage.Config{AccessTokenExp: time.Hour, RefreshTokenExp: 24 * time.Hour, IsGenerateRefresh: true})
	manager.SetRefreshTokenCfg(&manage.RefreshingConfig{AccessTokenExp: time.Hour, IsRemoveAccess: true}) // Zoho rotates nothing
	tokens, err := store.NewMemoryTokenStore()
	if err != nil {
		t.Fatal(err)
	}
	manager.MapTokenStorage(tokens)
	clients := store.NewClientStore()
	manager.MapClientStorage(clients)
	manager.SetValidateURIHandler(manage.DefaultValidateURI)
	oauth := oauthserver.NewDefaultServer(manager)
	oauth.SetClientInfoHandler(oauthserver.ClientFormHandler)
	oauth.SetAllowedGrantType(oauth2.AuthorizationCode, oauth2.Refreshing)
	oauth.SetUserAuthorizationHandler(func(http.ResponseWriter, *http.Request) (string, error) { return "ann", nil })

	var tokenCalls atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oauth/v2/auth", func(w http.ResponseWriter, r *http.Request) {
		if err := oauth.HandleAuthorizeRequest(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("POST /oauth/v2/token", func(w http.ResponseWriter, r *http.Request) {
		tokenCalls.Add(1)
		_ = oauth.HandleTokenRequest(w, r)
	})
	mux.HandleFunc("/crm/", func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Zoho-oauthtoken ")
		info, err := manager.LoadAccessToken(r.Context(), token)
		if err != nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`))
			return
		}
		_, _ = w.Write([]byte("hello " + info.GetUserID()))
	})
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)

	c := newCaddy(t, onboarding, "ZOHO_DATA_CENTER="+site.URL+" "+site.URL, "ZOHO_CONNECT_OPTIONS=")
	if err := clients.Set(clientID, &models.Client{ID: clientID, Secret: clientSecret, Domain: c.url}); err != nil {
		t.Fatal(err)
	}
	c.start()
	b := newBrowser(t)
	wantPage(t, b.get(c.consent(b, "default")), 200, "The account is connected")
	greet := func() {
		t.Helper()
		if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"); string(a.body) != "hello ann" {
			t.Fatalf("%s %s", a.Status, a.body)
		}
	}
	greet()
	before := tokenCalls.Load()
	token := c.connections("").Connections[0]
	if token.Generation != 1 {
		t.Errorf("generation %d", token.Generation)
	}
	// This server ends the access token of before with each renewal.
	c.wantCLI(cli{"refresh main default", 0, "default", ""})
	greet()
	if n := tokenCalls.Load() - before; n != 1 {
		t.Errorf("%d token calls for a refresh and a call", n)
	}
	callback := c.consent(b, "default")
	wantPage(t, b.get(callback), 200, "The account is connected")
	wantPage(t, b.get(callback), 409, "used already")
	greet()
}
