package caddyzoho

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/callers"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// TestTargetsArriveAsTheyCame: what goes into the request line is what came, short
// of the service's name and of an authtoken.
func TestTargetsArriveAsTheyCame(t *testing.T) {
	tests := []struct {
		received string
		strip    int
		want     string
	}{
		{"/crm/v8/Leads", 0, "/crm/v8/Leads"},
		{"/crm?", 0, "/crm?"},
		{"/crm?a&", 0, "/crm?a&"},
		{"/crm/a%2Fb%27,c+d(e)", 0, "/crm/a%2Fb%27,c+d(e)"},
		{`/crm/{}|"<>^` + "`é", 0, `/crm/{}|"<>^` + "`é"},
		{"//x", 0, "//x"},
		{"//x%2Fy?z", 0, "//x%2Fy?z"},
		{"http://www.zohoapis.com/crm/v8?x=%20", 0, "/crm/v8?x=%20"},
		{"http://www.zohoapis.com?x", 0, "/?x"},
		{"/desk/api/v1/tickets?a=1", 5, "/api/v1/tickets?a=1"},
		{"/desk", 5, "/"},
		{"/desk?x", 5, "/?x"},
		{"/desk//api", 5, "//api"},
		{"/crm/v2?authtoken=abc&scope=crmapi", 0, "/crm/v2?scope=crmapi"},
		{"/crm/v2?scope=crmapi&AuthToken=abc", 0, "/crm/v2?scope=crmapi"},
		{"/crm/v2?%61uthtoken=abc", 0, "/crm/v2"},
		{"/crm/v2?x=authtoken&&y", 0, "/crm/v2?x=authtoken&&y"},
	}
	for _, tt := range tests {
		s := &session{target: zoho.Target{Scheme: "https", Host: "www.zohoapis.eu", Strip: tt.strip}}
		var u url.URL
		s.aimAt(&u, tt.received)
		if got := requestLine(u.RequestURI()); got != tt.want {
			t.Errorf("%s, cut by %d: got %s, want %s", tt.received, tt.strip, got, tt.want)
		}
	}
}

// requestLine undoes what net/http itself does: //x is printed with its scheme, which
// its HTTP/1 writer keeps and ours must not see for other targets.
func requestLine(target string) string {
	if len(target) > 6 && target[:6] == "https:" {
		return target[6:]
	}
	return target
}

// TestOnlyOneAuthorizationLeaves, S-06: what the app sent of its own stays here.
func TestOnlyOneAuthorizationLeaves(t *testing.T) {
	in := http.Header{
		"Authorization":     {"Zoho-oauthtoken stale", "Basic abc"},
		"Cookie":            {"iamcsr=1"},
		"Via":               {"1.1 Caddy"},
		"Forwarded":         {"for=10.0.0.1"},
		"X-Forwarded-For":   {"10.0.0.1"},
		"X-Forwarded-Host":  {"erp.internal"},
		"X-Forwarded-Proto": {"http"},
		"Zoho-Proxy-Key":    {"k"},
		"Orgid":             {"42"},
		"X-Zoho-Sdk":        {"php"},
	}
	tr := &Transport{KeepHeaders: []string{"X-Forwarded-Host"}}
	out := tr.header(in, []string{"Zoho-oauthtoken live"})
	want := http.Header{"Authorization": {"Zoho-oauthtoken live"}, "Orgid": {"42"}, "X-Zoho-Sdk": {"php"}, "X-Forwarded-Host": {"erp.internal"}}
	if len(out) != len(want) {
		t.Errorf("got %v", out)
	}
	for name, values := range want {
		if len(out[name]) != 1 || out[name][0] != values[0] {
			t.Errorf("%s: got %q, want %q", name, out[name], values)
		}
	}
	if in.Get("Authorization") != "Zoho-oauthtoken stale" {
		t.Error("the app's request was changed")
	}
}

func TestCallers(t *testing.T) {
	tests := []struct {
		rules  []string
		remote string
		want   bool
	}{
		{nil, "127.0.0.1:5", true},
		{nil, "127.9.9.9:5", true},
		{nil, "[::1]:5", true},
		{nil, "[::ffff:127.0.0.1]:5", true},
		{nil, "@", true},
		{nil, "192.168.1.2:5", false},
		{nil, "garbage", false},
		{[]string{"127.0.0.1/32"}, "127.0.0.1:5", true},
		{[]string{"127.0.0.1/32"}, "127.0.0.2:5", false},
		{[]string{"127.0.0.1/32"}, "@", false},
		{[]string{"10.0.0.0/8", "192.168.1.2"}, "192.168.1.2:5", true},
		{[]string{"10.0.0.0/8", "192.168.1.2"}, "192.168.1.3:5", false},
		{[]string{"private_ranges"}, "172.16.0.9:5", true},
		{[]string{"private_ranges"}, "8.8.8.8:5", false},
		{[]string{"fe80::/10"}, "[fe80::1%eth0]:5", true},
		{[]string{"any"}, "8.8.8.8:5", true},
	}
	for _, tt := range tests {
		c, err := callers.Parse(tt.rules)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Admit(tt.remote); got != tt.want {
			t.Errorf("callers %v, peer %s: got %v", tt.rules, tt.remote, got)
		}
	}
	for _, bad := range []string{"loopbak", "10.0.0.0/99", "example.com", ""} {
		if _, err := callers.Parse([]string{bad}); err == nil {
			t.Errorf("callers %q is accepted", bad)
		}
	}
}

func TestPeekedBodyIsWhole(t *testing.T) {
	for _, size := range []int64{0, 1, 8192, peekLimit - 1, peekLimit, peekLimit + 1, 300_000} {
		want := randomBytes(size)
		recorder := httptest.NewRecorder()
		_, _ = recorder.Write(want)
		res := recorder.Result()
		seen := peek(res)
		if int64(len(seen)) != min(size, peekLimit) {
			t.Errorf("%d bytes: saw %d", size, len(seen))
		}
		if got := readAll(t, res.Body); string(got) != string(want) {
			t.Errorf("%d bytes: %d arrived, or others", size, len(got))
		}
		_ = res.Body.Close()
	}
}

// TestPeekEndsWithTheLength: an announced length is all there is to wait for. Over
// HTTP/2 the stream of a refusal may stay open until an upload ends that never will.
func TestPeekEndsWithTheLength(t *testing.T) {
	body, writer := io.Pipe() // never closed
	go func() { _, _ = io.WriteString(writer, "refused") }()
	res := &http.Response{Body: body, ContentLength: 7, Header: http.Header{}}
	if seen := peek(res); string(seen) != "refused" {
		t.Errorf("saw %q", seen)
	}
	if got := readAll(t, res.Body); string(got) != "refused" {
		t.Errorf("got %q", got)
	}
}
