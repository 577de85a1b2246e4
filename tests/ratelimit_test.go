package tests

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestRateLimits: a limit of an API is none of the token's business. The answer is
// passed on as it is, counted, and costs no token.
func TestRateLimits(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	throttles := `{"error":{"code":6504,"message":"URL_ROLLING_THROTTLES_LIMIT_EXCEEDED"}}`
	cases := []struct {
		service, path string
		answer        zohosim.Answer // zero: the simulator's own
	}{
		{"crm", "/crm/v8/Leads", zohosim.Answer{}},
		{"crm", "/crm/v8/Leads", zohosim.Answer{Status: 429, Header: map[string]string{"Retry-After": "17"}}}, // no body at all
		{"books", "/books/v3/contacts", zohosim.Answer{}},
		{"desk", "/desk/api/v1/tickets", zohosim.Answer{}},
		{"workdrive", "/workdrive/api/v1/files/x", zohosim.Answer{}},
		{"cliq", "/cliq/api/v2/channels", zohosim.Answer{}},
		{"creator", "/creator/v2.1/data/x", zohosim.Answer{}},
		{"creator", "/creator/custom/x", zohosim.Answer{Status: 403, Body: `{"code":4000,"description":"limit"}`}},
		{"projects", "/projects/restapi/portals", zohosim.Answer{Status: 400, Body: throttles}},
		{"projects", "/projects/restapi/portals", zohosim.Answer{Status: 200, Body: throttles}},
		{"people", "/people/people/api/forms", zohosim.Answer{Status: 200, Body: `{"response":{"errors":{"code":7209,"message":"limit"},"status":1}}`}},
		{"salesiq", "/salesiq/api/v2/x", zohosim.Answer{Status: 200, Body: `{"error":{"code":1023,"message":"locked"}}`}},
	}
	counted := make(map[string]float64)
	for _, test := range cases {
		want := test.answer
		if want.Status == 0 {
			want = server.Refusal(test.service, zohosim.CaseLimit)
		} else {
			want.ContentType = "application/json"
			server.SetAnswer(test.service, zohosim.CaseLimit, want)
		}
		server.AddFault(zohosim.Fault{Where: test.service, Kind: zohosim.FaultThrottle})
		for range 3 {
			counted[test.service]++
			a := c.get(test.path)
			if a.StatusCode != want.Status || string(a.body) != want.Body || a.problem() != "" || a.Header.Get("Zoho-Proxy-Verdict") != "" {
				t.Errorf("%s: %s, verdict %q: %s", test.path, a.Status, a.Header.Get("Zoho-Proxy-Verdict"), a.body)
			}
			if got := a.Header.Get("Retry-After"); got != want.Header["Retry-After"] {
				t.Errorf("%s: Retry-After %q, Zoho sent %q", test.path, got, want.Header["Retry-After"])
			}
		}
		server.ClearFaults("")
	}
	for service, want := range counted {
		if got := c.metric("zoho_upstream_rate_limited_total", fmt.Sprintf("service=%q", service)); got != want {
			t.Errorf("%s: %v limited, want %v", service, got, want)
		}
	}
	if got := c.metric("zoho_upstream_auth_failures_total"); got != 0 {
		t.Errorf("%v refusals of the token were counted", got)
	}
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	wantTokenCalls(t, server, 1)
	if state := c.connections("").Connections[0].State; state != "ok" {
		t.Errorf("state %s", state)
	}
}

// TestCreditsRemaining: what Zoho says is left of an account's calls is exported, and
// reaches the app as it came.
func TestCreditsRemaining(t *testing.T) {
	t.Parallel()
	api := startRecorder(t)
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+api.url, "ZOHO_REFRESH_TOKEN="+grant)
	left := func(service string) float64 {
		return c.metric("zoho_upstream_credits_remaining", `client="main"`, `account="default"`, fmt.Sprintf("service=%q", service))
	}
	for _, test := range []struct {
		path, service, header string
		want                  float64
	}{
		{"/crm/v8/Leads", "crm", "X-API-CREDITS-REMAINING: 4711", 4711},
		{"/crm/v2/Leads", "crm", "X-RATELIMIT-REMAINING: 12", 12},
		{"/books/v3/contacts", "books", "X-Rate-Limit-Remaining: 99", 99},
		{"/books/v3/contacts", "books", "X-Rate-Limit-Remaining: many", 99}, // nothing to understand
		{"/books/v3/contacts", "books", "X-Rate-Limit-Limit: 100", 99},
	} {
		api.answer(strings.Replace(okAnswer, "\r\n", "\r\n"+test.header+"\r\n", 1))
		a := c.get(test.path)
		name, value, _ := strings.Cut(test.header, ": ")
		if a.StatusCode != http.StatusOK || a.Header.Get(name) != value {
			t.Errorf("%s: %s, %s: %q", test.path, a.Status, name, a.Header.Get(name))
		}
		if got := left(test.service); got != test.want {
			t.Errorf("after %s: %v are left, want %v", test.header, got, test.want)
		}
	}
}
