package problem_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/problem"
)

// TestType: Zoho's SDKs read application/json and nothing else; who names RFC 9457's type gets that. The
// two disagree on the member status.
func TestType(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		accept []string
		want   string
	}{
		{nil, "application/json"},
		{[]string{""}, "application/json"},
		{[]string{"*/*"}, "application/json"},
		{[]string{"application/*"}, "application/json"},
		{[]string{"application/json, text/plain, */*"}, "application/json"},
		{[]string{"application/json,"}, "application/json"},
		{[]string{"text/html", "application/problem+xml"}, "application/json"},
		{[]string{"application/problem+json;q=0"}, "application/json"},
		{[]string{"application/problem+json;q=x"}, "application/json"},
		{[]string{"application/problem+jsonx"}, "application/json"},
		{[]string{"application/problem+json"}, "application/problem+json"},
		{[]string{"Application/Problem+JSON; charset=utf-8"}, "application/problem+json"},
		{[]string{"*/*", "text/plain, application/problem+json ; q=0.1"}, "application/problem+json"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Accept"] = test.accept
		w := httptest.NewRecorder()
		if err := problem.Connect().Write(w, r); err != nil {
			t.Fatal(err)
		}
		for _, res := range []*http.Response{w.Result(), problem.Connect().Response(r)} {
			if got := res.Header.Get("Content-Type"); got != test.want {
				t.Errorf("%q: %q, want %q", test.accept, got, test.want)
			}
			var m map[string]any
			if err := json.NewDecoder(res.Body).Decode(&m); err != nil {
				t.Fatal(err)
			}
			want := any("error")
			if test.want != "application/json" {
				want = float64(http.StatusMethodNotAllowed)
			}
			if m["status"] != want {
				t.Errorf("%q: status %v, want %v", test.accept, m["status"], want)
			}
			if m["code"] != "connect-unsupported" || m["errorCode"] != m["code"] || m["message"] == "" || m["details"] == nil ||
				m["type"] == "" || m["title"] == "" || m["detail"] == "" {
				t.Errorf("%v", m)
			}
		}
	}
}

// TestFor: an answer says whose request it is, and a caller's text for an account does not break out of it.
func TestFor(t *testing.T) {
	t.Parallel()
	for account, want := range map[string]string{
		"shop":      "client main, account shop: send it again",
		"":          "client main: send it again",
		"a: b\r\nc": `client main, account "a: b\r\nc": send it again`,
	} {
		if got := (&problem.Problem{Detail: "send it again"}).For("main", account).Detail; got != want {
			t.Errorf("%q: %q, want %q", account, got, want)
		}
	}
}
