package tests

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// browser keeps cookies, follows redirects, and sends what browsers send.
type browser struct {
	t testing.TB
	*http.Client
	at *url.URL // where it is
}

func newBrowser(t testing.TB) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, Client: &http.Client{Jar: jar, CheckRedirect: follow}}
}

// follow minds Referrer-Policy, which Go's client does not.
func follow(req *http.Request, _ []*http.Request) error {
	req.Header.Del("Referer")
	return nil
}

func (b *browser) do(method, url string, body io.Reader) answer {
	b.t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if req.Method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	a, err := readAnswer(b.Do(req))
	if err != nil {
		b.t.Fatal(err)
	}
	b.at = a.Request.URL
	return a
}

func (b *browser) get(url string) answer {
	b.t.Helper()
	return b.do(http.MethodGet, url, nil)
}

func (b *browser) post(url string, form url.Values) answer {
	b.t.Helper()
	return b.do(http.MethodPost, url, strings.NewReader(form.Encode()))
}

// stopAt follows redirects as long as they do not lead to a path that ends so, and
// gives that address.
func (b *browser) stopAt(suffix string, do func() answer) string {
	b.t.Helper()
	b.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(req.URL.Path, suffix) {
			return http.ErrUseLastResponse
		}
		return follow(req, nil)
	}
	defer func() { b.CheckRedirect = follow }()
	a := do()
	to, err := a.Request.URL.Parse(a.Header.Get("Location"))
	if err != nil || a.Header.Get("Location") == "" {
		b.t.Fatalf("no way to %s: %s %s", suffix, a.Status, a.body)
	}
	return to.String()
}
