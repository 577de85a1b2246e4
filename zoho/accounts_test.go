package zoho_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

const (
	clientID     = "1000.ABCDEFGHIJKLMNOPQRSTUVWXYZ0123"
	clientSecret = "5ec4e7c11e0000000000000000000000000000beef"
	refreshToken = "1000.aaaaaaaabbbbbbbbccccccccdddddddd.eeeeeeeeffffffff0000000011111111"
	accessToken  = "1000.0123456789abcdef0123456789abcdef.fedcba9876543210fedcba9876543210"
	okReply      = `{"access_token":"` + accessToken + `","api_domain":"https://www.zohoapis.eu","token_type":"Bearer","expires_in":3600}`
)

// dataCenterAt makes a data center of a server on this machine.
func dataCenterAt(t testing.TB, base string) zoho.DataCenter {
	t.Helper()
	dc, err := zoho.CustomDataCenter(base, "http://localhost:1")
	if err != nil {
		t.Fatal(err)
	}
	return dc
}

// accountsAt is a client of the server that h serves.
func accountsAt(t testing.TB, h http.HandlerFunc) *zoho.Accounts {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &zoho.Accounts{
		HTTP:         srv.Client(),
		DataCenter:   dataCenterAt(t, srv.URL),
		ClientID:     clientID,
		ClientSecret: clientSecret,
	}
}

// roundTripper answers without a socket.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering is a client whose server always gives that answer.
func answering(status int, contentType string, body io.Reader) *zoho.Accounts {
	eu, _ := zoho.LookupDataCenter("eu")
	return &zoho.Accounts{
		HTTP: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status,
				Header:     http.Header{"Content-Type": {contentType}},
				Body:       io.NopCloser(body),
			}, nil
		})},
		DataCenter: eu, ClientID: clientID, ClientSecret: clientSecret,
	}
}

func mustFail(t *testing.T, err error) *zoho.Failure {
	t.Helper()
	f, ok := errors.AsType[*zoho.Failure](err)
	if !ok {
		t.Fatalf("got error %v, want a Failure", err)
	}
	checkError(t, f)
	return f
}

// checkError holds for every error of this package: one printable line, short,
// without secrets.
func checkError(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	checkLine(t, text)
	for _, secret := range []string{clientSecret, refreshToken, accessToken} {
		if strings.Contains(text, secret[:12]) {
			t.Errorf("error holds a secret: %s", text)
		}
	}
}

// checkLine is checkError for texts that may begin like a secret by chance.
func checkLine(t *testing.T, text string) {
	t.Helper()
	if len(text) > 512 {
		t.Errorf("error of %d bytes: %s", len(text), text)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("error is not one printable line: %q", text)
	}
	for _, secret := range []string{clientSecret, refreshToken, accessToken} {
		if strings.Contains(text, secret) {
			t.Errorf("error holds a secret: %s", text)
		}
	}
}

func TestRefreshSendsForm(t *testing.T) {
	var got *http.Request
	a := accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		got = r
		w.Header().Set("Date", "Mon, 02 Jan 2006 15:04:05 GMT")
		io.WriteString(w, okReply)
	})
	r, err := a.Refresh(t.Context(), refreshToken)
	if err != nil {
		t.Fatal(err)
	}
	want := zoho.Reply{
		AccessToken: accessToken, APIDomain: "https://www.zohoapis.eu", TokenType: "Bearer",
		ExpiresIn: time.Hour, Date: time.Date(2006, 1, 2, 15, 4, 5, 0, time.UTC),
	}
	if r != want {
		t.Error("got another reply than was sent")
	}
	form := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {refreshToken},
		"client_id": {clientID}, "client_secret": {clientSecret},
	}
	if got.Method != "POST" || got.URL.RequestURI() != "/oauth/v2/token" || got.PostForm.Encode() != form.Encode() {
		t.Errorf("got %s %s with %d form fields, want POST /oauth/v2/token with 4", got.Method,
			got.URL.RequestURI(), len(got.PostForm))
	}
	for name, want := range map[string]string{
		"Accept": "application/json", "Accept-Encoding": "identity",
		"Content-Type": "application/x-www-form-urlencoded", "Authorization": "", "Cookie": "",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s: got %q, want %q", name, v, want)
		}
	}
}

func TestExchange(t *testing.T) {
	for _, redirect := range []string{"", "https://proxy.example/zoho-connect/callback"} {
		var form url.Values
		a := accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			form = r.PostForm
			fmt.Fprintf(w, `{"access_token":%q,"refresh_token":%q,"scope":"ZohoCRM.modules.ALL ZohoBooks.fullaccess.all"}`, accessToken, refreshToken)
		})
		r, err := a.Exchange(t.Context(), "1000.code.code", redirect)
		if err != nil {
			t.Fatal(err)
		}
		if r.RefreshToken != refreshToken || r.Scope != "ZohoCRM.modules.ALL ZohoBooks.fullaccess.all" ||
			!r.Date.After(time.Unix(0, 0)) {
			t.Error("refresh token, scope or date of the reply got lost")
		}
		if form.Has("redirect_uri") != (redirect != "") || form.Get("redirect_uri") != redirect {
			t.Errorf("redirect_uri: got %q, want %q", form["redirect_uri"], redirect)
		}
		if form.Get("grant_type") != "authorization_code" || form.Get("code") != "1000.code.code" {
			t.Errorf("got grant type %q", form.Get("grant_type"))
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	recorder := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the redirect was followed: %s", r.Method)
	}))
	defer recorder.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		a := accountsAt(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, recorder.URL, status) })
		a.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
		a.HTTP.Jar, _ = cookiejar.New(nil)
		_, err := a.Refresh(t.Context(), refreshToken)
		f := mustFail(t, err)
		if f.Kind != zoho.FailureTemporary || !f.NoToken || f.Status != status ||
			!strings.Contains(f.Error(), "redirect") {
			t.Errorf("%d: got %v, no token %v", status, f, f.NoToken)
		}
		if a.HTTP.CheckRedirect == nil || a.HTTP.Jar == nil {
			t.Error("the caller's http.Client was changed")
		}
	}
}

func TestRevoke(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		kind   zoho.FailureKind
		ok     bool
	}{
		{"done", 200, `{"status":"success"}`, 0, true},
		{"unknown token, as measured", 400, "<html><title>Bad</title></html>", zoho.FailureGrantDead, false},
		{"unknown token, as JSON", 400, `{"error":"invalid_token"}`, zoho.FailureGrantDead, false},
		{"refused under 200", 200, `{"error":"invalid_code"}`, zoho.FailureGrantDead, false},
		{"throttled", 400, `{"error":"Access Denied","status":"failure"}`, zoho.FailureThrottled, false},
		{"HTML", 200, "<html></html>", zoho.FailureTemporary, false},
		{"trouble", 502, "", zoho.FailureTemporary, false},
		{"failure without a word", 200, `{"status":"failed"}`, zoho.FailureTemporary, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.RequestURI() != "/oauth/v2/token/revoke" || r.PostFormValue("token") != refreshToken ||
					r.PostForm.Has("client_secret") {
					t.Errorf("got %s with %d fields, want the token alone", r.URL.Path, len(r.PostForm))
				}
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})
			err := a.Revoke(t.Context(), refreshToken)
			if test.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if f := mustFail(t, err); f.Kind != test.kind {
				t.Errorf("got %v, want %v", f.Kind, test.kind)
			}
		})
	}
}

// TestNoToken walks through the ways in which a request can fail: whether a
// token may have been made decides whether one of ten is spent.
func TestNoToken(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	tests := []struct {
		name string
		a    func(t *testing.T) *zoho.Accounts
		want bool
	}{
		{"refused connection", func(t *testing.T) *zoho.Accounts {
			return &zoho.Accounts{DataCenter: dataCenterAt(t, closed.URL), ClientSecret: clientSecret}
		}, true},
		{"untrusted certificate", func(t *testing.T) *zoho.Accounts {
			srv := httptest.NewUnstartedServer(nil)
			srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
			srv.StartTLS()
			t.Cleanup(srv.Close)
			return &zoho.Accounts{DataCenter: dataCenterAt(t, srv.URL)}
		}, true},
		{"no TLS on the other side", func(t *testing.T) *zoho.Accounts {
			a := accountsAt(t, nil)
			a.DataCenter = dataCenterAt(t, strings.Replace(a.DataCenter.Accounts, "http:", "https:", 1))
			return a
		}, true},
		{"unknown name", func(t *testing.T) *zoho.Accounts {
			return failing(&url.Error{Op: "Post", URL: "https://x/?" + clientSecret,
				Err: &net.DNSError{Err: "no such host", Name: "accounts"}})
		}, true},
		{"a transport that reports no steps", func(t *testing.T) *zoho.Accounts {
			return failing(errors.New("something with " + clientSecret))
		}, false},
		{"cut after the request", func(t *testing.T) *zoho.Accounts {
			return accountsAt(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
		}, false},
		{"cut within the reply", func(t *testing.T) *zoho.Accounts {
			return accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "1000")
				io.WriteString(w, okReply[:40])
			})
		}, false},
		{"cut within a 503", func(t *testing.T) *zoho.Accounts {
			return accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "1000")
				w.WriteHeader(503)
			})
		}, true},
		{"throttle", func(t *testing.T) *zoho.Accounts {
			return answering(400, "application/json", strings.NewReader(`{"error":"Access Denied","status":"failure"}`))
		}, false},
		{"refusal", func(t *testing.T) *zoho.Accounts {
			return answering(200, "application/json", strings.NewReader(`{"error":"invalid_code"}`))
		}, true},
		{"refusal beside a token", func(t *testing.T) *zoho.Accounts {
			return answering(200, "application/json", strings.NewReader(`{"error":"invalid_code","access_token":"x"}`))
		}, false},
		{"HTML", func(t *testing.T) *zoho.Accounts {
			return answering(200, "text/html", strings.NewReader("<html>"))
		}, true},
		{"500", func(t *testing.T) *zoho.Accounts { return answering(500, "", strings.NewReader("")) }, true},
		{"empty", func(t *testing.T) *zoho.Accounts { return answering(200, "", strings.NewReader("")) }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.a(t).Refresh(t.Context(), refreshToken)
			f := mustFail(t, err)
			if f.NoToken != test.want {
				t.Errorf("no token: got %v, want %v: %v", f.NoToken, test.want, f)
			}
			if f.Hint() == "" {
				t.Error("no hint")
			}
		})
	}
}

// TestConnectErrors: without a report of steps, errors of connecting still tell
// that nothing was sent, and none else does.
func TestConnectErrors(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	reset := &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset")}
	tests := []struct {
		err  error
		want bool
	}{
		{refused, true}, {fmt.Errorf("proxy: %w", refused), true},
		{&net.DNSError{Err: "no such host"}, true},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}, true},
		{x509.UnknownAuthorityError{}, true},
		{&tls.CertificateVerificationError{Err: errors.New("x")}, true},
		{tls.RecordHeaderError{Msg: "x"}, true},
		{reset, false}, {io.ErrUnexpectedEOF, false}, {context.DeadlineExceeded, false},
	}
	for _, test := range tests {
		_, err := failing(test.err).Refresh(t.Context(), refreshToken)
		if f := mustFail(t, err); f.NoToken != test.want || f.Status != 0 {
			t.Errorf("%T: got %v, want %v", test.err, f.NoToken, test.want)
		}
	}
}

func failing(err error) *zoho.Accounts {
	a := answering(200, "", nil)
	a.HTTP.Transport = roundTripper(func(*http.Request) (*http.Response, error) { return nil, err })
	return a
}

func TestUnderlyingErrorIsKept(t *testing.T) {
	cause := &net.DNSError{Err: "no such host for " + clientSecret, Name: "accounts.zoho.eu"}
	_, err := failing(cause).Refresh(t.Context(), refreshToken)
	f := mustFail(t, err)
	var dns *net.DNSError
	if !errors.As(err, &dns) {
		t.Error("the cause is lost")
	}
	checkError(t, f.Err)
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	entered := make(chan struct{})
	a := accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(entered)
		<-r.Context().Done()
	})
	go func() { <-entered; cancel() }()
	_, err := a.Refresh(ctx, refreshToken)
	if f := mustFail(t, err); f.NoToken || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, no token %v, want a cancelled request that may have made one", f, f.NoToken)
	}
	_, err = a.Refresh(ctx, refreshToken) // cancelled before it begins
	if f := mustFail(t, err); !f.NoToken {
		t.Errorf("got %v, want plainly no token", f)
	}
}

// pipeServer answers each connection by serve, within the bubble of synctest,
// which wants all that to have ended: wait.
func pipeServer(serve func(net.Conn)) (c *http.Client, wait func()) {
	var serving sync.WaitGroup
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(
		context.Context, string, string,
	) (net.Conn, error) {
		ours, theirs := net.Pipe()
		serving.Go(func() { serve(theirs) })
		return ours, nil
	}}}, serving.Wait
}

func TestTimeIsBounded(t *testing.T) {
	tests := map[string]func(net.Conn){
		"never reads":   func(net.Conn) {},
		"never answers": func(c net.Conn) { io.Copy(io.Discard, c) },
		"a byte a second": func(c net.Conn) {
			defer c.Close()
			if r, err := http.ReadRequest(bufio.NewReader(c)); err != nil || r.ParseForm() != nil {
				t.Error("no request came")
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for range tick.C {
				if _, err := io.WriteString(c, "{"); err != nil {
					return
				}
			}
		},
	}
	for name, serve := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, wait := pipeServer(serve)
				defer wait()
				a := &zoho.Accounts{HTTP: client, DataCenter: dataCenterAt(t, "http://localhost:1"),
					ClientSecret: clientSecret}
				start := time.Now()
				_, err := a.Refresh(t.Context(), refreshToken)
				f := mustFail(t, err)
				if took := time.Since(start); took > 15*time.Second {
					t.Errorf("took %v, want at most 15s", took)
				}
				if f.Kind != zoho.FailureTemporary || f.NoToken || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, no token %v", f, f.NoToken)
				}
			})
		})
	}
}

// endless is a body of 10 GiB that counts what is read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.read >= 10<<30 {
		return 0, io.EOF
	}
	n := copy(p, blanks)
	e.read += int64(n)
	return n, nil
}

var blanks = bytes.Repeat([]byte(" "), 32<<10)

func TestSizeIsBounded(t *testing.T) {
	body := &endless{}
	_, err := answering(200, "application/json", body).Refresh(t.Context(), refreshToken)
	f := mustFail(t, err)
	if !strings.Contains(f.Error(), "longer") || f.NoToken {
		t.Errorf("got %v", f)
	}
	if body.read > 2<<20 {
		t.Errorf("read %d bytes of the reply", body.read)
	}
}

func TestCompressedReply(t *testing.T) {
	packed := func(size int, body string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, body)
		io.CopyN(z, &endless{}, int64(size))
		z.Close()
		return b.String()
	}
	tests := []struct {
		name, encoding, body string
		ok                   bool
	}{
		{"within limits", "gzip", packed(0, okReply), true},
		{"identity", "identity", okReply, true},
		{"bomb", "gzip", packed(4<<20, okReply), false},
		{"unknown", "rot13", okReply, false},
		{"not what it says", "gzip", okReply, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", test.encoding)
				io.WriteString(w, test.body)
			})
			r, err := a.Refresh(t.Context(), refreshToken)
			if test.ok {
				if err != nil || r.AccessToken != accessToken {
					t.Errorf("got error %v", err)
				}
				return
			}
			if f := mustFail(t, err); f.NoToken || !strings.Contains(f.Error(), "compressed") {
				t.Errorf("got %v, no token %v", f, f.NoToken)
			}
		})
	}
}

func TestAuthorizeURL(t *testing.T) {
	eu, _ := zoho.LookupDataCenter("eu")
	a := zoho.Accounts{DataCenter: eu, ClientID: clientID, ClientSecret: clientSecret}
	u, err := url.Parse(a.AuthorizeURL(zoho.AuthorizeParams{
		RedirectURI: "https://proxy.example/zoho-connect/callback",
		State:       "a b&c",
		Scopes:      []string{"ZohoCRM.modules.ALL", "aaaserver.profile.READ"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "access_type": {"offline"}, "prompt": {"consent"},
		"scope": {"ZohoCRM.modules.ALL,aaaserver.profile.READ"}, "state": {"a b&c"},
		"redirect_uri": {"https://proxy.example/zoho-connect/callback"},
	}
	if u.Scheme+u.Host+u.Path != "httpsaccounts.zoho.eu/oauth/v2/auth" || u.RawQuery != want.Encode() {
		t.Errorf("got %s", u)
	}
}

func TestPrintingRedacts(t *testing.T) {
	a := zoho.Accounts{ClientID: clientID, ClientSecret: clientSecret}
	r := zoho.Reply{AccessToken: accessToken, RefreshToken: refreshToken, ExpiresIn: time.Hour}
	var out bytes.Buffer
	for _, v := range []any{a, &a, r, &r, []any{a, r}, struct{ A, R any }{a, r}} {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d\n", v, v, v, v, v, v, v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		json.NewEncoder(&out).Encode(v)
	}
	fmt.Fprintln(&out, a.String(), r.String(), r.GoString())
	for _, secret := range []string{clientSecret, accessToken, refreshToken} {
		if strings.Contains(out.String(), secret[:12]) ||
			strings.Contains(out.String(), fmt.Sprintf("%x", secret[:12])) {
			t.Errorf("a secret is printed:\n%s", out.String())
		}
	}
	if !strings.Contains(out.String(), "redacted") {
		t.Errorf("got %s", out.String())
	}
}
