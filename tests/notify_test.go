package tests

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

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
