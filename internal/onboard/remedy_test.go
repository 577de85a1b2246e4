package onboard

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// TestRemedies: beside each failure of a token call the list says what to do about it.
func TestRemedies(t *testing.T) {
	for kind, says := range map[tokencache.Kind]string{
		tokencache.KindDead:      "connect it again",
		tokencache.KindRejected:  "Compare client_id, client_secret and data_center",
		tokencache.KindThrottled: "what else requests tokens",
		tokencache.KindTemporary: "check name resolution",
	} {
		pages := testPages(t)
		pages.Client.Cache.Fetch = func(context.Context, tokencache.Key, tokencache.Grant) (tokencache.Fetched, error) {
			return tokencache.Fetched{}, &tokencache.FetchError{Kind: kind, Err: errors.New("as Zoho has said")}
		}
		pages.wantRemedy(t, "as Zoho has said", says)
	}
	pages := testPages(t)
	pages.Client.Cache.Budget = 1
	pages.Client.Cache.Fetch = func(context.Context, tokencache.Key, tokencache.Grant) (tokencache.Fetched, error) {
		return tokencache.Fetched{AccessToken: "1000.access"}, nil
	}
	pages.wantRemedy(t, "budget_spent", "`access token renewed` lines of the log")
}

// told is what the pages say of a connection.
func told(s tokencache.Status, scopes []string) string {
	e := explain(s, scopes)
	return strings.TrimSpace(cause.Sentence(e.What) + " " + cause.Sentence(e.Do))
}

// wantRemedy asks for a token, and looks at what the page of its account says then.
func (p *Pages) wantRemedy(t *testing.T, failure, remedy string) {
	t.Helper()
	conn, err := p.Flow.cache.Conn(p.Client.Cache, "configured")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Token(t.Context(), p.Client.Cache) // the list tells
	w := httptest.NewRecorder()
	p.Serve(w, httptest.NewRequest("GET", "http://localhost/zoho-connect/?account=configured", nil))
	if body := html.UnescapeString(w.Body.String()); !strings.Contains(body, failure) || !strings.Contains(body, remedy) {
		t.Errorf("%q without %q: %s", failure, remedy, body)
	}
}

// TestRemedyOfNow: a failure that is over asks for nothing any more.
func TestRemedyOfNow(t *testing.T) {
	for _, test := range []struct {
		name   string
		status tokencache.Status
		says   string
	}{
		{"over", tokencache.Status{State: tokencache.StateOK, LastError: "throttled: slow down"}, ""},
		{"nothing is asked yet", tokencache.Status{State: tokencache.StateDegraded, LastError: "throttled: slow down"}, "what else requests"},
		{"a token was not written", tokencache.Status{State: tokencache.StateOK, LastError: "store: tokens.db: no space left"}, "Fix that"},
		{"dead, and not written", tokencache.Status{State: tokencache.StateDead, Waiting: tokencache.KindDead, LastError: "store: tokens.db: no space left"}, "connect it again"},
	} {
		test.status.HasGrant = true
		if got := told(test.status, nil); !strings.Contains(got, test.says) || (test.says == "") != (got == "") {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}

// TestRemedyOfMisconfigured: what Zoho refuses of a request for the client's own token is named, with the line to
// write, as doctor and the answers to apps name it.
func TestRemedyOfMisconfigured(t *testing.T) {
	for code, says := range map[string][]string{
		"missing_org_info": {"Zoho requires an organization.", "`soid SERVICE.ORG` to the block of `account east`"},
		"invalid_soid":     {"Zoho refuses the organization.", "`soid SERVICE.ORG`", "caddy zoho connect main east --self-client"},
		"invalid_scope":    {"Zoho refuses one of the scopes.", "`scopes ZohoCRM.modules.ALL` in the block of `client main`"},
		"invalid_client":   {"Zoho rejects the client.", "Self Client"},
	} {
		said := fmt.Sprintf("client_rejected: accounts server refuses the token call: %s (status 200)", code)
		if code == "invalid_client" {
			said = "client_rejected: accounts server refuses the client: invalid_client (status 200)"
		}
		got := told(tokencache.Status{
			Key: tokencache.Key{Client: "main", Account: "east"}, HasGrant: true, Configured: true, ByClient: true, State: tokencache.StateDead,
			Waiting: tokencache.KindRejected, Scopes: []string{"ZohoCRM.modules.ALL"}, LastError: said,
		}, []string{"ZohoCRM.modules.ALL"})
		for _, part := range says {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %q without %q", code, got, part)
			}
		}
	}
}

// TestStateOfNoGrant: an account without a grant is not told to be well.
func TestStateOfNoGrant(t *testing.T) {
	pages := testPages(t)
	pages.Client.Cache.Accounts = func() []string { return []string{"empty"} }
	w := httptest.NewRecorder()
	pages.Serve(w, httptest.NewRequest(http.MethodGet, "http://localhost/zoho-connect/", nil))
	if text := w.Body.String(); !strings.Contains(text, `<span class="state not_connected">not connected</span>`) {
		t.Errorf("%d %s", w.Code, text)
	}
}

// TestCausesOfKinds: each kind of failure that the cache tells of has its row in the table of
// causes, by the word that it goes by.
func TestCausesOfKinds(t *testing.T) {
	for kind := tokencache.KindTemporary; kind.String() != "unknown"; kind++ {
		if e := cause.Of(cause.Cause(kind.String()), cause.Facts{}); e.What == "" {
			t.Errorf("%s has no explanation", kind)
		}
	}
}
