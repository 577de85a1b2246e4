// What comes after a body and before an answer, trailers and interim answers, carries nothing
// that headers may not: of an app for Zoho, and of Zoho's for an app.

package tests

import (
	"bufio"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// refusedTrailers are no business of Zoho's, or of no app's to say after a body; the spellings are
// such that some servers read as one name.
var refusedTrailers = []string{
	"Authorization", "authorization", "AUTHORIZATION", "Authorization_", "authorization_", "Authorization.", "Authorization-",
	"Proxy-Authorization", "proxy_authorization", "Proxy.Authorization", "Proxy-Authenticate", "Proxy-Connection",
	"Www-Authenticate", "Authentication-Info", "Cookie", "Cookie_", "Cookie2", "Set-Cookie", "set_cookie",
	"Host", "host", "Host_", "Connection", "Keep-Alive", "keep_alive", "Te", "Upgrade", "Http2-Settings", "Expect",
	"Cache-Control", "Max-Forwards", "Pragma", "Range", "If-Match", "If-None-Match", "if_modified_since",
	"Content-Type", "content_type", "Content-Encoding", "Content-Range", "Content_Length", "Transfer_Encoding", "Transfer.Encoding",
	"X-Forwarded-For", "x_forwarded_for", "X.Forwarded.Host", "Forwarded", "Via", "Zoho-Proxy-Account", "zoho_proxy_account",
	"X_Sum", "X.Sum", "X-Http-Method-Override",
}

// TestTrailersOfTheApp is S-72 for requests: announced or not.
func TestTrailersOfTheApp(t *testing.T) {
	t.Parallel()
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		for _, name := range refusedTrailers {
			for _, announced := range []string{"X-Check, " + name, "X-Check", name} {
				a := c.send(t, "POST "+prefix+"/x HTTP/1.1\r\nHost: x\r\nTrailer: "+announced+"\r\nTransfer-Encoding: chunked\r\n\r\n"+
					"3\r\nabc\r\n0\r\nX-Check: sum\r\n"+name+": EVIL\r\n\r\n")
				arrived := r.take()
				if a.StatusCode >= 400 && a.StatusCode < 500 && len(arrived) == 0 {
					continue // Caddy's server takes no such thing
				}
				if len(arrived) != 1 {
					t.Errorf("%s, announced %s: %s, %d requests arrived", name, announced, a.Status, len(arrived))
					continue
				}
				got := arrived[0]
				got.checkToken(t)
				for _, f := range append(got.trailer, got.fields...) {
					if strings.Contains(f.value, "EVIL") || f.name == "Trailer" && strings.Contains(strings.ToLower(f.value), strings.ToLower(name)) {
						t.Errorf("%s, announced %s: %s: %s arrived", name, announced, f.name, f.value)
					}
				}
				if strings.HasPrefix(announced, "X-Check") && !slices.Equal(valuesOf(got.trailer, "X-Check"), []string{"sum"}) {
					t.Errorf("%s, announced %s: trailers %q", name, announced, got.trailer)
				}
			}
		}
	})
}

// startHTTP2 starts a server that speaks HTTP/2 in Zoho's place, and Caddy in front of it.
func startHTTP2(t *testing.T, serve http.HandlerFunc) *proxy {
	t.Helper()
	server := httptest.NewUnstartedServer(serve)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, _ := startSimulated(t, zohosim.Options{}, "ZOHO_CLIENT_OPTIONS=trusted_ca "+ca, "ZOHO_PROXY_OPTIONS=upstream "+server.URL)
	return c
}

// TestTrailersOfTheAppOverHTTP2 is the same where Zoho speaks HTTP/2.
func TestTrailersOfTheAppOverHTTP2(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got http.Header
	c := startHTTP2(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = r.Trailer.Clone()
		if r.ProtoMajor != 2 {
			t.Errorf("spoken: %s", r.Proto)
		}
	})
	for _, name := range refusedTrailers {
		a := c.send(t, "POST /x HTTP/1.1\r\nHost: x\r\nTrailer: X-Check, "+name+"\r\nTransfer-Encoding: chunked\r\n\r\n"+
			"3\r\nabc\r\n0\r\nX-Check: sum\r\n"+name+": EVIL\r\n\r\n")
		if a.StatusCode >= 400 && a.StatusCode < 500 {
			continue
		}
		mu.Lock()
		if a.StatusCode != http.StatusOK || got.Get("X-Check") != "sum" || len(got) != 1 {
			t.Errorf("%s: %s, trailers %v", name, a.Status, got)
		}
		mu.Unlock()
	}
}

// ownNames are those by which only the proxy speaks to an app, as others may spell them.
var ownNames = []string{"Zoho-Proxy-Error", "zoho-proxy-verdict", "ZOHO-PROXY-ANYTHING", "Zoho-Proxy-", "Zoho_Proxy_Error", "zoho.proxy.error"}

// wantNothingOfOurs looks for what only the proxy may say.
func wantNothingOfOurs(t *testing.T, where string, h http.Header) {
	t.Helper()
	for name, values := range h {
		plain := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
		if strings.Contains(plain, "zoho-proxy-") || strings.Contains(strings.ToLower(strings.Join(values, " ")), "zoho-proxy") {
			t.Errorf("%s has %s: %q", where, name, values)
		}
	}
}

// TestAnswersCannotPretendAnywhere is S-72 for answers: in headers, in interim answers, in trailers
// that were announced, and in those that were not.
func TestAnswersCannotPretendAnywhere(t *testing.T) {
	t.Parallel()
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		for _, name := range ownNames {
			r.answer("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n" + name + ": grant-dead\r\n\r\n" +
				"HTTP/1.1 102 Processing\r\n" + name + ": grant-dead\r\n\r\n" +
				"HTTP/1.1 200 OK\r\n" + name + ": grant-dead\r\nSet-Cookie: a=b\r\nTrailer: X-Sum, " + name + "\r\nTransfer-Encoding: chunked\r\n\r\n" +
				"3\r\nabc\r\n0\r\nX-Sum: 7\r\n" + name + ": grant-dead\r\nX-Late: 8\r\nConnection: X-Late\r\nTransfer-Encoding: gzip\r\n\r\n")
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				all := c.rawAnswers(t, method+" "+prefix+"/ HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nContent-Length: 1\r\n\r\na", 3, method, method, method)
				for i, a := range all {
					wantNothingOfOurs(t, fmt.Sprintf("%s, answer %d to %s", name, i+1, method), a.Header)
				}
				last := all[2]
				wantNothingOfOurs(t, name+", trailers", last.Trailer)
				if all[0].Header.Get("Link") != "</x>" || last.Header.Get("Set-Cookie") != "a=b" {
					t.Errorf("%s: what Zoho may say is missing: %v %v", name, all[0].Header, last.Header)
				}
				if string(last.body) != "abc" || last.Trailer.Get("X-Sum") != "7" || last.Trailer.Get("X-Late") != "8" {
					t.Errorf("%s: %q, trailers %v", name, last.body, last.Trailer)
				}
				if last.Trailer.Get("Connection")+last.Trailer.Get("Transfer-Encoding") != "" {
					t.Errorf("%s: framing in trailers: %v", name, last.Trailer)
				}
			}
			// A single trailer, which nobody has announced, and one that is the only one announced.
			for _, announced := range []string{"", "Trailer: " + name + "\r\n"} {
				r.answer("HTTP/1.1 200 OK\r\n" + announced + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + name + ": grant-dead\r\n\r\n")
				a := c.send(t, "GET "+prefix+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
				wantNothingOfOurs(t, name+", head", a.Header)
				wantNothingOfOurs(t, name+", the only trailer", a.Trailer)
			}
		}
	})
}

// TestAnswersCannotPretendOverHTTP2 is the same where Zoho speaks HTTP/2.
func TestAnswersCannotPretendOverHTTP2(t *testing.T) {
	t.Parallel()
	c := startHTTP2(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Zoho-Proxy-Error"], h["Zoho-Proxy-Other"], h["Link"] = []string{"grant-dead"}, []string{"x"}, []string{"</x>"}
		w.WriteHeader(http.StatusEarlyHints)
		h["Trailer"] = []string{"X-Sum, Zoho-Proxy-Verdict"}
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "abc")
		w.(http.Flusher).Flush()
		h["X-Sum"], h["Zoho-Proxy-Verdict"], h[http.TrailerPrefix+"Zoho-Proxy-Error"] = []string{"7"}, []string{"scope"}, []string{"grant-dead"}
	})
	conn := c.dial(t)
	defer conn.Close()
	fmt.Fprintf(conn, "GET /x HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n")
	in := bufio.NewReader(conn)
	for _, status := range []int{http.StatusEarlyHints, http.StatusOK} {
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != status {
			t.Fatalf("%v %+v", err, res)
		}
		body, _ := io.ReadAll(res.Body)
		wantNothingOfOurs(t, res.Status, res.Header)
		wantNothingOfOurs(t, res.Status+", trailers", res.Trailer)
		if status == http.StatusOK && (string(body) != "abc" || res.Trailer.Get("X-Sum") != "7") {
			t.Errorf("%q %v", body, res.Trailer)
		}
	}
}
