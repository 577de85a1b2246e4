package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// TestBooksRefusalIsAmbiguous: code 57 is a dead token, a missing scope or a missing
// permission. It is worth a token once per generation, and only where that can help.
func TestBooksRefusalIsAmbiguous(t *testing.T) {
	t.Parallel()
	const books = "/books/v3/contacts?organization_id=60001234567"
	c, server, grant := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, books, "")
	server.RevokeAccess(grant)
	passed := func(what string) {
		t.Helper()
		if a := c.get(books); a.StatusCode != http.StatusUnauthorized || a.Header.Get("Zoho-Proxy-Verdict") != "ambiguous" {
			t.Errorf("%s: %s, verdict %q", what, a.Status, a.Header.Get("Zoho-Proxy-Verdict"))
		}
	}
	passed("just minted, just accepted")
	wantTokenCalls(t, server, 1)

	c.stop()
	ageToken(t, c, 2*time.Minute)
	c.start()
	spread(100, 16, func(i int) {
		c.succeed(http.MethodPost, books, `{"contact_name":"Lind"}`, "X-Test-Id", strconv.Itoa(i))
	})
	wantTokenCalls(t, server, 2)
	for i := 1; i <= 100; i++ {
		if n := server.Stats().Executed[strconv.Itoa(i)]; n != 1 {
			t.Errorf("request %d was executed %d times", i, n)
		}
	}
	server.AddFault(zohosim.Fault{Where: "books", Kind: zohosim.FaultRefuse, Body: zohosim.CasePermission})
	for range 20 {
		passed("no permission")
	}
	wantTokenCalls(t, server, 2)
}

// TestRefusalAmidUpload: Zoho refuses while the body is still on its way, and gets
// all of it again, wherever it was kept.
func TestRefusalAmidUpload(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{MaxTokens: -1, MaxLive: -1},
		"ZOHO_CLIENT_OPTIONS=token_budget 1000 10m", "ZOHO_PROXY_OPTIONS=replay_buffer 256KiB 8MiB")
	for _, mode := range []string{"discard", "close"} {
		for _, size := range []int{1, 200 << 10, 3 << 20} {
			for _, known := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s %d known=%v", mode, size, known), func(t *testing.T) {
					body := patterned(size)
					id := t.Name()
					server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultMidUpload, Mode: mode, Bytes: int64(min(size, 64<<10)), Count: 1})
					var reader io.Reader = bytes.NewReader(body)
					if !known {
						reader = unknownLength{reader}
					}
					a := c.call(http.MethodPost, "/crm/_echo", reader, "X-Test-Id", id)
					wantEcho(t, a, body)
					if n := server.Stats().Executed[id]; n != 1 {
						t.Errorf("executed %d times", n)
					}
				})
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(c.dir, "caddy-zoho-body-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestReplayLimits: what is too large to keep is passed on as a refusal and said so,
// but for a body that Zoho refused before it was sent.
func TestReplayLimits(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{MaxTokens: -1, MaxLive: -1},
		"ZOHO_CLIENT_OPTIONS=token_budget 1000 10m", "ZOHO_PROXY_OPTIONS=replay_buffer 64KiB 1MiB")
	body := patterned(4 << 20)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")

	server.RevokeAccess(grant)
	wantEcho(t, c.call(http.MethodPost, "/crm/_echo", bytes.NewReader(body)), body)

	for i, reader := range []io.Reader{bytes.NewReader(body), unknownLength{bytes.NewReader(body)}} {
		server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultMidUpload, Mode: "discard", Bytes: 3 << 20, Count: 1})
		a := c.call(http.MethodPost, "/crm/_echo", reader, "X-Test-Id", "too-large")
		if a.StatusCode != http.StatusUnauthorized || a.Header.Get("Zoho-Proxy-Verdict") == "" || a.problem() != "" {
			t.Errorf("a body above FILE: %s, verdict %q: %.200s", a.Status, a.Header.Get("Zoho-Proxy-Verdict"), a.body)
		}
		if n := c.metric("zoho_replays_total", `result="too_large"`); int(n) != i+1 {
			t.Errorf("zoho_replays_total counts %v too large ones, want %d", n, i+1)
		}
	}
	if n := server.Stats().Executed["too-large"]; n != 0 {
		t.Errorf("a refused request was executed %d times", n)
	}
}

// TestReplayOff: with `replay_buffer 0 0` a request with a body is never repeated,
// others are.
func TestReplayOff(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=replay_buffer 0 0")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	for i, reader := range []io.Reader{strings.NewReader("{}"), unknownLength{strings.NewReader("{}")}} {
		server.RevokeAccess(grant)
		a := c.call(http.MethodPost, "/crm/_echo", reader)
		if a.StatusCode != http.StatusUnauthorized || a.Header.Get("Zoho-Proxy-Verdict") == "" {
			t.Errorf("body %d: %s, verdict %q", i, a.Status, a.Header.Get("Zoho-Proxy-Verdict"))
		}
	}
	server.RevokeAccess(grant)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.succeed(http.MethodPost, "/crm/_echo", "{}")
}

// wantEcho compares what the simulator received with what was sent.
func wantEcho(t *testing.T, a answer, body []byte) {
	t.Helper()
	if a.StatusCode != http.StatusOK {
		t.Errorf("%s %.300s", a.Status, a.body)
		return
	}
	var echo struct {
		Length int
		SHA256 string `json:"sha256"`
	}
	a.decode(t, &echo)
	sum := sha256.Sum256(body)
	if echo.Length != len(body) || echo.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%d bytes arrived, %d were sent, or they differ", echo.Length, len(body))
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
