package notify

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// receiver stands in for the network; it answers with statuses in turn, then 204.
type receiver struct {
	mu       sync.Mutex
	statuses []int
	got      []notification
	at       []time.Time
	urls     []string
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var x notification
	if err := json.NewDecoder(req.Body).Decode(&x); err != nil {
		return nil, err
	}
	r.got, r.at, r.urls = append(r.got, x), append(r.at, time.Now()), append(r.urls, req.URL.String())
	status := http.StatusNoContent
	if len(r.statuses) > 0 {
		status, r.statuses = r.statuses[0], r.statuses[1:]
	}
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

func (r *receiver) events() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var events []string
	for _, x := range r.got {
		events = append(events, x.Event)
	}
	return strings.Join(events, " ")
}

func newTestNotifier(notify string, statuses ...int) (*Notifier, *receiver, *observer.ObservedLogs) {
	core, logs := observer.New(zap.InfoLevel)
	config := &Config{
		Logger: zap.New(core),
		To:     URL(notify),
		Explain: func(why cause.Cause, key tokencache.Key) cause.Explanation {
			return cause.Of(why, cause.Facts{Client: key.Client, Account: key.Account,
				Consent: "give consent: caddy zoho connect main shop"})
		},
	}
	n := New(func() *Config { return config }, nil)
	r := &receiver{statuses: statuses}
	n.http.Transport = r
	return n, r, logs
}

var shop = tokencache.Key{Client: "main", Account: "shop"}

func stateEvent(was, is string, generation uint64) tokencache.Event {
	return tokencache.Event{Type: tokencache.EventState, Key: shop, Was: was, State: is, Generation: generation,
		Err: &tokencache.FetchError{Kind: tokencache.KindDead, Err: errors.New("invalid_code")}}
}

func minted(cause string) tokencache.Event {
	return tokencache.Event{Type: tokencache.EventTokenRequest, Key: shop, Cause: cause}
}

// TestNotifications: what people are told of, and what not.
func TestNotifications(t *testing.T) {
	const ok, degraded, contended, dead = tokencache.StateOK, tokencache.StateDegraded, tokencache.StateContended, tokencache.StateDead
	for _, test := range []struct {
		name   string
		events []tokencache.Event
		want   string
	}{
		{"trouble that passes", []tokencache.Event{stateEvent(ok, degraded, 1), stateEvent(degraded, ok, 2)}, ""},
		{"dead, and back", []tokencache.Event{stateEvent(ok, dead, 0), stateEvent(dead, ok, 2)}, "dead recovered"},
		{"another program, and no more", []tokencache.Event{stateEvent(ok, contended, 3), stateEvent(contended, ok, 4)}, "contended recovered"},
		{"worse and worse", []tokencache.Event{stateEvent(ok, contended, 3), stateEvent(contended, dead, 3)}, "contended dead"},
		{"another grant that gives tokens", []tokencache.Event{stateEvent(ok, dead, 0), stateEvent(dead, ok, 0), minted(tokencache.CauseFirst)}, "dead recovered"},
		{"another grant that does not", []tokencache.Event{stateEvent(ok, dead, 0), stateEvent(dead, ok, 0), stateEvent(ok, dead, 0), minted(tokencache.CauseConsent)}, "dead dead"},
		{"forgotten", []tokencache.Event{stateEvent(ok, dead, 0), stateEvent(dead, ok, 0)}, "dead"},
		{"renewals as ever", []tokencache.Event{minted(tokencache.CauseExpiry), minted(tokencache.CauseFirst)}, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			n, r, _ := newTestNotifier("https://alerts.example.com/zoho")
			defer n.Close()
			for _, e := range test.events {
				n.Observe(e)
			}
			synctest.Wait()
			if got := r.events(); got != test.want {
				t.Errorf("%s: told %q, want %q", test.name, got, test.want)
			}
		})
	}
}

// TestNotificationOfConsent: a new grant for a dead connection is both.
func TestNotificationOfConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r, _ := newTestNotifier("https://alerts.example.com/zoho")
		defer n.Close()
		n.Observe(stateEvent(tokencache.StateOK, tokencache.StateDead, 0))
		n.Observe(stateEvent(tokencache.StateDead, tokencache.StateOK, 0))
		n.Connected(onboard.Result{Client: "main", Account: "shop", User: "ann@example.com", DataCenter: "eu"})
		synctest.Wait()
		if got := r.events(); got != "dead connected recovered" {
			t.Errorf("told %q", got)
		}
		for _, x := range r.got {
			if x.ID == "" || x.Client != "main" || x.Account != "shop" || x.Time.IsZero() ||
				!strings.Contains(x.Text, "main/shop") {
				t.Errorf("%+v", x)
			}
		}
		if x := r.got[0]; !strings.Contains(x.Why, "invalid_code") ||
			!strings.Contains(x.Do, "caddy zoho connect main shop") {
			t.Errorf("%+v", x)
		}
	})
}

// TestNotificationTexts: each names its cause, why, and what to do.
func TestNotificationTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r, _ := newTestNotifier("https://alerts.example.com/zoho")
		defer n.Close()
		rejected := stateEvent(tokencache.StateOK, tokencache.StateDead, 0)
		rejected.Err = &tokencache.FetchError{Kind: tokencache.KindRejected, Err: errors.New("invalid_client")}
		organization := rejected
		organization.Err = &tokencache.FetchError{Kind: tokencache.KindRejected,
			Err: errors.New("accounts server refuses the token call: missing_org_info (status 200)")}
		n.Observe(stateEvent(tokencache.StateOK, tokencache.StateContended, 3))
		n.Observe(stateEvent(tokencache.StateContended, tokencache.StateDead, 0))
		n.Observe(rejected)
		n.Observe(organization)
		organization.Err = errors.New(organization.Err.Error()) // as another replica has stored it
		n.Observe(organization)
		synctest.Wait()
		for i, want := range []struct{ text, why, do string }{
			{"is contended: another program seems to use this grant", "lost early", "its own client"},
			{"is dead: Zoho no longer accepts the refresh token", "grant_dead: invalid_code", "caddy zoho connect main shop"},
			{"is dead: Zoho rejects the client", "client_rejected: invalid_client", "caddy zoho doctor main shop"},
			{"is dead: Zoho requires an organization", "missing_org_info", "caddy zoho connect main shop"},
			{"is dead: Zoho requires an organization", "missing_org_info", "caddy zoho connect main shop"},
		} {
			x := r.got[i]
			if !strings.Contains(x.Text, want.text) || !strings.Contains(x.Why, want.why) ||
				!strings.Contains(x.Do, want.do) ||
				!strings.HasSuffix(x.Text, "; "+x.Why+"; "+x.Do) {
				t.Errorf("%+v", x)
			}
		}
	})
}

// TestNotificationRetries: what is not taken is sent again after 1, 2, 5, 10, 30 and 60
// seconds, under the same id, and then given up; the next one has its own chance.
func TestNotificationRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r, logs := newTestNotifier("https://alerts.example.com/secret-path", 500, 302, 0, 404, 503, 500, 500)
		defer n.Close()
		n.Observe(stateEvent(tokencache.StateOK, tokencache.StateDead, 0))
		n.Observe(stateEvent(tokencache.StateDead, tokencache.StateOK, 2))
		time.Sleep(10 * time.Minute)
		if got := r.events(); got != strings.Repeat("dead ", 7)+"recovered" {
			t.Errorf("sent %q", got)
		}
		for i, want := range noticeSteps {
			if got := r.at[i+1].Sub(r.at[i]); got != want || r.got[i+1].ID != r.got[0].ID {
				t.Errorf("try %d came after %s, want %s", i+2, got, want)
			}
		}
		if n.Failure("https://alerts.example.com/secret-path") != nil {
			t.Error("the last one was taken")
		}
		given := logs.FilterMessage("a notification was given up").Len()
		if again := logs.FilterMessageSnippet("sent again").Len(); given != 1 || again != 6 {
			t.Errorf("%d lines of giving up, %d of sending again", given, again)
		}
		for _, line := range logs.All() {
			for name, value := range line.ContextMap() {
				if text, ok := value.(string); ok && strings.Contains(text, "secret-path") {
					t.Errorf("the log shows the address in %s", name)
				}
			}
		}
	})
}

// TestNotificationsAreBounded: a receiver that is gone costs neither memory nor an end.
func TestNotificationsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r, logs := newTestNotifier("https://alerts.example.com", 0)
		for range 2 * maxWaiting {
			n.Observe(stateEvent(tokencache.StateOK, tokencache.StateDead, 0))
		}
		synctest.Wait() // one is under way, and waits for its next try
		dropped := logs.FilterMessageSnippet("dropped").Len()
		if waiting := len(n.queue.waiting); waiting > maxWaiting || waiting+dropped != 2*maxWaiting-1 {
			t.Errorf("%d wait, %d were dropped", waiting, dropped)
		}
		n.Close() // while it waits for the next try
		before := len(r.got)
		n.Observe(stateEvent(tokencache.StateOK, tokencache.StateDead, 0))
		time.Sleep(time.Hour)
		if len(r.got) != before {
			t.Error("it goes on after its end")
		}
	})
}

// TestNoHook: without an address nothing is kept.
func TestNoHook(t *testing.T) {
	n, _, _ := newTestNotifier("")
	defer n.Close()
	n.Observe(stateEvent(tokencache.StateOK, tokencache.StateDead, 0))
	if len(n.queue.waiting) != 0 || n.queue.busy {
		t.Error("something is queued")
	}
}

func TestHook(t *testing.T) {
	t.Setenv("HOOK", "https://hooks.example.com/T0/B0/secret")
	t.Setenv("PART", "secret")
	t.Setenv("FTP", "ftp://secret.example")
	t.Setenv("ODD", "12/hunter2@evil.example")
	t.Setenv("NONSENSE", "no-url-but-secret")
	for text, want := range map[string]string{
		"https://a.example/x":             "https://a.example/x",
		"http://127.0.0.1:9/x":            "http://127.0.0.1:9/x",
		"{env.HOOK}":                      "https://hooks.example.com/T0/B0/secret",
		"https://a.example/{env.PART}":    "https://a.example/secret",
		"https://u:{env.ODD}@a.example/":  "https://u:12%2Fhunter2%40evil.example@a.example/",
		"https://u:{env.PART}@a.example/": "https://u:secret@a.example/",
		"":                                "",
	} {
		if err := URL(text).Check(); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		to, err := URL(text).Resolve()
		if err != nil || to == nil && want != "" || to != nil && to.String() != want {
			t.Errorf("%s: %v %v", text, to, err)
		}
	}
	for text, says := range map[string]string{
		"alerts.example.com":          "begins with http or https",
		"ftp://a.example":             "begins with http or https",
		"https://":                    "begins with http or https",
		"{env.NONSENSE}":              "it is not a URL",
		"{env.FTP}":                   "begins with http or https",
		"{env.NOT_SET_ANYWHERE}":      "set the environment variable NOT_SET_ANYWHERE",
		"https://a.example/{env.PART": "begins with http or https",
		"https://u:secret@a.example/": "write the password as a placeholder",
	} {
		err := URL(text).Check()
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret@") ||
			strings.Contains(err.Error(), "no-url-but") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
