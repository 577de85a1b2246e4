package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyevents/eventsconfig" // the global option

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

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
	port := freePort(t)
	load(t, fmt.Sprintf(subscribed, t.TempDir(), baseURL, clientID, clientSecret, grant, port))
	call := func() answer {
		t.Helper()
		a, err := readAnswer(noRedirects.Get("http://127.0.0.1:" + port + "/crm/v8/Leads"))
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
