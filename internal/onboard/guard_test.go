package onboard

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestGuards: each refuses what it is there for, and where two could, the first one does.
func TestGuards(t *testing.T) {
	pages := testPages(t)
	pages.Admit = func(r *http.Request) bool { return r.Header.Get("X-Test") == "" }
	for _, test := range []struct {
		name, method, target string
		header, value        string
		code                 string // "" if a page answers
	}{
		{"the list", "GET", "http://localhost/zoho-connect/", "", "", ""},
		{"a form of another site, which is no form of ours", "POST", "http://localhost/zoho-connect/start", "Sec-Fetch-Site", "cross-site", "origin"},
		{"no form of ours for a page that is not there", "POST", "http://localhost/zoho-connect/nothing", "Content-Type", "text/plain", "form"},
		{"a guess at the callback, in vain", "GET", "http://localhost/zoho-connect/callback?code=x&state=y", "Purpose", "prefetch", "prefetch"},
		{"a callback at the folder, without its slash", "GET", "http://localhost/zoho-connect?code=x&state=y", "", "", "callback"},
		{"a callback at a page that is not there", "GET", "http://localhost/zoho-connect/back?code=x&state=y", "", "", "callback"},
		{"a stranger at a page that is not there", "GET", "http://localhost/zoho-connect/nothing", "X-Test", "stranger", "page"},
		{"a stranger under a strange name", "GET", "http://evil.example/zoho-connect/", "X-Test", "stranger", "caller"},
		{"a strange name", "GET", "http://evil.example/zoho-connect/", "", "", "host"},
		{"a page that is open, to a stranger", "GET", "http://evil.example/zoho-connect/style.css", "X-Test", "stranger", ""},
		{"HEAD of what is good once", "HEAD", "http://localhost/zoho-connect/callback", "", "", "page"},
		{"a method that nobody answers", "DELETE", "http://localhost/zoho-connect/", "", "", "page"},
	} {
		r := httptest.NewRequest(test.method, test.target, strings.NewReader(""))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if test.header != "" {
			r.Header.Set(test.header, test.value)
		}
		w := httptest.NewRecorder()
		pages.Serve(w, r)
		if got := w.Header().Get("Zoho-Connect-Error"); got != test.code || (test.code == "") != (w.Code == http.StatusOK) {
			t.Errorf("%s: %d %q, want %q", test.name, w.Code, got, test.code)
		}
	}
}
