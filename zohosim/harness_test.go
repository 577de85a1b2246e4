package zohosim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

const (
	clientID = "1000.TESTCLIENT"
	secret   = "test-secret"
	callback = "https://app.example/callback"
)

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// newSim makes a simulator with the test client.
func newSim(o zohosim.Options) *zohosim.Server {
	sim := zohosim.New(o)
	sim.AddClient(zohosim.Client{ID: clientID, Secret: secret, SelfClient: true})
	return sim
}

// start serves a simulator over plain HTTP until the test ends.
func start(t *testing.T, sim *zohosim.Server) (base string) {
	t.Helper()
	base, stop := sim.StartHTTP()
	t.Cleanup(stop)
	return base
}

// request makes a request to a URL, as a server receives it.
func request(method, target, body string, header ...string) *http.Request {
	u, err := url.Parse(target)
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(method, u.RequestURI(), strings.NewReader(body))
	r.Host = u.Host
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// do serves one request without a network.
func do(sim http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return string(b)
}

func decode(t *testing.T, body string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("answer is no JSON: %v: %q", err, body)
	}
	return m
}

// at gives what is found in JSON under names and indexes.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

const usAccounts = "https://accounts.zoho.com"

// tokenReply asks an accounts server for a token and gives the reply, whatever it is.
func tokenReply(t *testing.T, sim http.Handler, accounts string, form url.Values) map[string]any {
	t.Helper()
	res := do(sim, request("POST", accounts+"/oauth/v2/token", form.Encode(),
		"Content-Type", "application/x-www-form-urlencoded"))
	return decode(t, bodyOf(t, res))
}

func refreshForm(refreshToken string) url.Values {
	return url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {refreshToken},
		"client_id": {clientID}, "client_secret": {secret},
	}
}

// refresh gets an access token or fails the test.
func refresh(t *testing.T, sim http.Handler, refreshToken string) string {
	t.Helper()
	reply := tokenReply(t, sim, usAccounts, refreshForm(refreshToken))
	access, _ := reply["access_token"].(string)
	if access == "" {
		t.Fatalf("refresh: got %v, want an access token", reply)
	}
	return access
}

// call sends a request with a token.
func call(sim http.Handler, method, target, access, body string, header ...string) *http.Response {
	return do(sim, request(method, target, body, append(header, "Authorization", "Zoho-oauthtoken "+access)...))
}

func wantStatus(t *testing.T, res *http.Response, want int) {
	t.Helper()
	if res.StatusCode != want {
		t.Fatalf("status: got %d, want %d; body %q", res.StatusCode, want, bodyOf(t, res))
	}
}
