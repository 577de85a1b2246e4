package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// TestSecretsOfDataCenters: which secret was accepted is remembered for each data center,
// whose lists differ.
func TestSecretsOfDataCenters(t *testing.T) {
	us, _ := zoho.LookupDataCenter("us")
	eu, _ := zoho.LookupDataCenter("eu")
	client := &Client{Centers: []zoho.DataCenter{us, eu}, Config: &Config{
		ClientID: secret.Literal("1000.ID"), ClientSecret: []secret.Ref{secret.Literal("old"), secret.Literal("new")},
		DataCenterSecret: map[string][]secret.Ref{"eu": {secret.Literal("europe")}},
	}}
	var asked []string
	client.HTTP = &http.Client{Transport: roundTrip(func(req *http.Request) *http.Response {
		_ = req.ParseForm()
		ref := req.Form.Get("client_secret")
		asked = append(asked, ref)
		body := `{"error":"invalid_client_secret"}`
		if ref == "new" || ref == "europe" {
			body = `{"access_token":"1000.a.b","expires_in":3600}`
		}
		return &http.Response{
			StatusCode: http.StatusOK,
			Header:     http.Header{},
			Body:       io.NopCloser(strings.NewReader(body)),
			Request:    req,
		}
	})}
	for _, center := range []zoho.DataCenter{us, us, eu} {
		grant := tokencache.Grant{RefreshToken: "1000.r", AccountsServer: center.Accounts}
		if _, err := client.fetch(t.Context(), tokencache.Key{}, grant); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"old", "new", "new", "europe"}; !slices.Equal(asked, want) {
		t.Errorf("asked with %v, want %v", asked, want)
	}
}

// TestNoOtherSecretWillDo: a refusal that is not about the secret is the last word, and says of
// what kind it is; the secrets behind would be refused for themselves.
func TestNoOtherSecretWillDo(t *testing.T) {
	us, _ := zoho.LookupDataCenter("us")
	for said, want := range map[string]struct {
		calls int
		kind  tokencache.Kind
	}{
		`{"error":"missing_org_info"}`:      {1, tokencache.KindRejected},
		`{"error":"invalid_scope"}`:         {1, tokencache.KindRejected},
		`{"error":"invalid_code"}`:          {1, tokencache.KindDead},
		`{"error":"invalid_client_secret"}`: {2, tokencache.KindRejected},
		`{"error":"new_thing"}`:             {1, tokencache.KindTemporary},
	} {
		calls := 0
		client := &Client{Centers: []zoho.DataCenter{us}, Config: &Config{
			ClientID: secret.Literal("1000.ID"), ClientSecret: []secret.Ref{secret.Literal("one"), secret.Literal("two")}}}
		client.HTTP = &http.Client{Transport: roundTrip(func(req *http.Request) *http.Response {
			calls++
			body := io.NopCloser(strings.NewReader(said))
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: req}
		})}
		grant := tokencache.Grant{RefreshToken: "r", AccountsServer: us.Accounts}
		_, err := client.fetch(t.Context(), tokencache.Key{}, grant)
		var failure *tokencache.FetchError
		if !errors.As(err, &failure) || failure.Kind != want.kind || calls != want.calls {
			t.Errorf("%s: %v after %d calls", said, err, calls)
		}
	}
}

// TestLifeByServer: at Zoho's own servers no token is believed to live for more than an hour,
// also where their URLs are given; elsewhere it lives as long as the server says.
func TestLifeByServer(t *testing.T) {
	for accounts, want := range map[string]time.Duration{
		"": time.Hour, "https://accounts.zoho.eu": time.Hour, "https://accounts.zoho.com/oauth/v2": time.Hour,
		"https://idp.example": 0,
	} {
		center, _ := zoho.LookupDataCenter("eu")
		if accounts != "" {
			var err error
			if center, err = zoho.CustomDataCenter(accounts, "https://api.example"); err != nil {
				t.Fatal(err)
			}
		}
		client := &Client{Config: &Config{}, Centers: []zoho.DataCenter{center}}
		if got := client.cacheClient().MaxLife; got != want {
			t.Errorf("%q: %s", accounts, got)
		}
	}
}

type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req), nil }

// S-52: a clock that is not Zoho's is told of, and not at each renewal.
func TestClockThatIsOff(t *testing.T) {
	for _, test := range []struct {
		off      time.Duration
		warnings int
	}{{0, 0}, {50 * time.Second, 0}, {-2 * time.Minute, 1}, {2 * time.Hour, 1}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(-test.off).UTC().Format(http.TimeFormat))
			_, _ = w.Write([]byte(`{"access_token":"1000.a.b","expires_in":3600}`))
		}))
		defer server.Close()
		center, err := zoho.CustomDataCenter(server.URL, server.URL)
		if err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zap.WarnLevel)
		client := &Client{Name: "main", Centers: []zoho.DataCenter{center}, HTTP: server.Client(),
			Shared: &Shared{Running: func() *zap.Logger { return zap.New(core) }},
			Config: &Config{ClientID: secret.Literal("1000.ID"), ClientSecret: []secret.Ref{secret.Literal("secret")}}}
		for range 3 {
			grant := tokencache.Grant{RefreshToken: "1000.r", AccountsServer: center.Accounts}
			if _, err := client.fetch(t.Context(), tokencache.Key{}, grant); err != nil {
				t.Fatal(err)
			}
		}
		if n := logs.Len(); n != test.warnings {
			t.Errorf("%v off: %d warnings, want %d", test.off, n, test.warnings)
		}
	}
}

// TestWhatIsTriedAtOnce: a client that was rejected is tried at once when what it was rejected
// for is another one: an id, a secret, where a secret is for, or the data centers.
func TestWhatIsTriedAtOnce(t *testing.T) {
	one, two := secret.Literal("one"), secret.Literal("two")
	configs := []Config{
		{DataCenter: []string{"us"}, ClientID: secret.Literal("1000.A"), ClientSecret: []secret.Ref{one}},
		{DataCenter: []string{"us"}, ClientID: secret.Literal("1000.B"), ClientSecret: []secret.Ref{one}},
		{DataCenter: []string{"us"}, ClientID: secret.Literal("1000.A"), ClientSecret: []secret.Ref{two}},
		{DataCenter: []string{"us", "eu"}, ClientID: secret.Literal("1000.A"), ClientSecret: []secret.Ref{one}},
		{DataCenter: []string{"us", "eu"}, ClientID: secret.Literal("1000.A"), ClientSecret: []secret.Ref{one},
			DataCenterSecret: map[string][]secret.Ref{"eu": {two}}},
		{DataCenter: []string{"us", "eu"}, ClientID: secret.Literal("1000.A"), ClientSecret: []secret.Ref{one},
			DataCenterSecret: map[string][]secret.Ref{"us": {two}}},
	}
	seen := make(map[string]int)
	for i := range configs {
		c := &Client{Config: &configs[i]}
		text := fmt.Sprintf("%q", c.credentials())
		if before, ok := seen[text]; ok {
			t.Errorf("%d is as %d: %s", i, before, text)
		}
		seen[text] = i
		if again := fmt.Sprintf("%q", c.credentials()); again != text {
			t.Errorf("%d: %s, and then %s", i, text, again)
		}
	}
}
