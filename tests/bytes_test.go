// What apps and Zoho say to each other passes byte for byte, short of what is the proxy's to say.

package tests

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestTargetsArriveByteForByte: the request line is the app's.
func TestTargetsArriveByteForByte(t *testing.T) {
	t.Parallel()
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		for _, target := range oddTargets {
			target = prefix + target
			a := c.send(t, "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if a.StatusCode != http.StatusOK {
				t.Errorf("%.80s: %s %.200s", target, a.Status, a.body)
				r.take()
				continue
			}
			if got := r.one(t); got.target != target {
				t.Errorf("target %.80q arrived as %.80q", target, got.target)
			}
		}
	})
}

// TestHeadersArriveByteForByte: values are the app's, in their order; what names us
// or the caller is not sent (S-06).
func TestHeadersArriveByteForByte(t *testing.T) {
	t.Parallel()
	sent := []field{
		{"X-Odd", "\xff\x80 é \"quoted\" a=b;c, d"}, {"X-Empty", ""}, {"X-Repeat", "1"}, {"X-Repeat", "2"}, {"X-Repeat", "1"},
		{"X-Tab", "a\tb"}, {"Accept", "application/json,"}, {"Orgid", "123"}, {"X-Zoho-Sdk", "Linux/go/3,4"}, {"User-Agent", "legacy/0.1 (x)"},
		{"Content-Type", "text/plain; charset"}, {"If-Modified-Since", "2024-01-01T00:00:00+05:30"}, {"Accept-Encoding", "gzip;q=0, identity"},
		{"Range", "bytes=0-"}, {"Referer", "x"}, {"X-Long", strings.Repeat("v", 32<<10)}, {"X-Com-Zoho-Books-Organizationid", "7"},
	}
	for i := range 100 {
		sent = append(sent, field{fmt.Sprintf("X-Many-%d", i), strconv.Itoa(i)})
	}
	var text strings.Builder
	for _, f := range sent {
		fmt.Fprintf(&text, "%s: %s\r\n", f.name, f.value)
	}
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		c.send(t, "GET "+prefix+"/ HTTP/1.1\r\nHost: x\r\n"+text.String()+
			"Cookie: a=b\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Evil: 1\r\nForwarded: for=9.9.9.9\r\nVia: 1.0 x\r\n"+
			"Zoho-Proxy-Account-Hint: 1\r\nzoho-proxy-key: k\r\nProxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\nKeep-Alive: 5\r\n\r\n")
		got := r.one(t)
		got.checkToken(t)
		if host := got.values("Host"); !slices.Equal(host, []string{r.addr}) {
			t.Errorf("Host %q, want %q", host, r.addr)
		}
		var rest []field
		for _, f := range got.fields {
			if f.name != "Authorization" && f.name != "Host" {
				rest = append(rest, f)
			}
		}
		for _, f := range sent {
			want, have := valuesOf(sent, f.name), valuesOf(rest, f.name)
			if !slices.Equal(have, want) {
				t.Errorf("%s arrived as %.80q, want %.80q", f.name, have, want)
			}
		}
		for _, f := range rest {
			if valuesOf(sent, f.name) == nil {
				t.Errorf("%s: %s arrived, and was not to", f.name, f.value)
			}
		}
	})
}

// TestNothingIsAdded: an app that sends the least gets no header of ours sent along.
func TestNothingIsAdded(t *testing.T) {
	t.Parallel()
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		c.send(t, "GET "+prefix+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
		got := r.one(t)
		if len(got.fields) != 2 || got.values("Host") == nil || got.values("Authorization") == nil {
			t.Errorf("arrived %.40q, want Host and Authorization alone", got.fields)
		}
	})
}

// TestUnderscoreHeaders: Caddy drops names with an underscore unless the site's
// server is told to expect them.
func TestUnderscoreHeaders(t *testing.T) {
	t.Parallel()
	r := startRecorder(t)
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := startCaddy(t, withServers("expected_underscore_headers PROJECT_ID"), "ZOHO_DATA_CENTER="+baseURL+" "+r.url, "ZOHO_REFRESH_TOKEN="+grant)
	c.send(t, "GET /crm HTTP/1.1\r\nHost: x\r\nPROJECT_ID: 7\r\nAuthorization_: x\r\nX_Other: 1\r\n\r\n")
	got := r.one(t)
	got.checkToken(t)
	if !slices.Equal(got.values("PROJECT_ID"), []string{"7"}) || got.values("X_Other") != nil || got.values("Authorization_") != nil {
		t.Errorf("arrived %.200q", got.fields)
	}
}

// TestBodiesArriveByteForByte: with a length, chunked, empty, without a type, with
// trailers, with methods that seldom have one.
func TestBodiesArriveByteForByte(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("\x00\xff\r\nbody", 40000)
	tests := []struct {
		name, text, body string
		check            func(t *testing.T, got rawRequest)
	}{
		{"GET with Content-Length: 0", "GET %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "", func(t *testing.T, got rawRequest) {
			if got.chunked {
				t.Error("it became chunked")
			}
		}},
		{"GET with a body", "GET %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "abc", nil},
		{"DELETE with a body", "DELETE %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "abc", nil},
		{"POST without a type", "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", "{}", func(t *testing.T, got rawRequest) {
			if v := got.values("Content-Type"); v != nil {
				t.Errorf("Content-Type %q was added", v)
			}
			if v := got.values("Content-Length"); !slices.Equal(v, []string{"2"}) {
				t.Errorf("Content-Length %q", v)
			}
		}},
		{"POST without a body", "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "", func(t *testing.T, got rawRequest) {
			if v := got.values("Content-Length"); !slices.Equal(v, []string{"0"}) {
				t.Errorf("Content-Length %q", v)
			}
		}},
		{"PUT with a large body", "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(len(big)) + "\r\n\r\n" + big, big, nil},
		{"chunked", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", func(t *testing.T, got rawRequest) {
			if !got.chunked {
				t.Error("it is not chunked")
			}
		}},
		{"chunked and empty", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", nil},
		{"trailers", "POST %s HTTP/1.1\r\nHost: x\r\nTrailer: X-Check, Authorization, Cookie\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" +
			"X-Check: \xffsum\r\nAuthorization: EVIL\r\nCookie: a=b\r\nX-Unannounced: 1\r\n\r\n", "abc", func(t *testing.T, got rawRequest) {
			if v := valuesOf(got.trailer, "X-Check"); !slices.Equal(v, []string{"\xffsum"}) {
				t.Errorf("trailer X-Check %q", v)
			}
			if v := append(valuesOf(got.trailer, "Cookie"), got.values("Cookie")...); v != nil {
				t.Errorf("Cookie %q", v)
			}
		}},
		{"only a trailer that is not sent on", "POST %s HTTP/1.1\r\nHost: x\r\nTrailer: Authorization\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nAuthorization: EVIL\r\n\r\n", "a", nil},
		{"a trailer nobody announced", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nauthorization: EVIL\r\n\r\n", "a", nil},
		{"HTTP/1.0", "POST %s HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "abc", nil},
	}
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				if a := c.send(t, fmt.Sprintf(test.text, prefix+"/x")); a.StatusCode != http.StatusOK {
					t.Fatalf("%s %s", a.Status, a.body)
				}
				got := r.one(t)
				got.checkToken(t)
				if method, _, _ := strings.Cut(test.text, " "); got.method != method {
					t.Errorf("method %s, want %s", got.method, method)
				}
				if string(got.body) != test.body {
					t.Errorf("the body arrived as %d bytes %.40q, want %d", len(got.body), got.body, len(test.body))
				}
				if test.check != nil {
					test.check(t, got)
				}
			})
		}
	})
}

// TestCredentialsOfTheApp is S-06: whatever an app sends for itself, exactly one
// Authorization leaves, and it is ours.
func TestCredentialsOfTheApp(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, target, header, wantTarget string }{
		{"none", "/x", "", "/x"},
		{"stale token", "/x", "Authorization: Zoho-oauthtoken 1000.stale\r\n", "/x"},
		{"bearer, lower case", "/x", "authorization: bearer EVIL\r\n", "/x"},
		{"two", "/x", "Authorization: Basic EVIL\r\nauthorization: Bearer EVIL\r\n", "/x"},
		{"empty", "/x", "Authorization:\r\n", "/x"},
		{"underscore", "/x", "Authorization_: EVIL\r\nAUTHORIZATION_: EVIL\r\n", "/x"},
		{"proxy", "/x", "Proxy-Authorization: Basic EVIL\r\n", "/x"},
		{"nominated", "/x", "Connection: Authorization\r\nAuthorization: Bearer EVIL\r\n", "/x"},
		{"authtoken", "/x?authtoken=EVIL", "", "/x"},
		{"authtoken first", "/x?authtoken=EVIL&a=1,2&b", "", "/x?a=1,2&b"},
		{"authtoken in between", "/x?a=%2F&AuthToken=EVIL&b=&", "", "/x?a=%2F&b=&"},
		{"authtoken twice", "/x?authtoken=EVIL&a&authtoken=EVIL", "", "/x?a"},
		{"authtoken encoded", "/x?%61uthtoken=EVIL&auth%54oken=EVIL&a={}", "", "/x?a={}"},
		{"authtoken alone", "/x?authtoken", "", "/x"},
		{"not authtoken", "/x?xauthtoken=1&authtoken2=2&a=authtoken", "", "/x?xauthtoken=1&authtoken2=2&a=authtoken"},
		{"authtoken in the path", "/authtoken=1/x", "", "/authtoken=1/x"},
	}
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				c.send(t, "GET "+prefix+test.target+" HTTP/1.1\r\nHost: x\r\n"+test.header+"\r\n")
				got := r.one(t)
				got.checkToken(t)
				if got.target != prefix+test.wantTarget {
					t.Errorf("target %q, want %q", got.target, prefix+test.wantTarget)
				}
				for _, f := range got.fields {
					if strings.Contains(f.value, "EVIL") || strings.HasSuffix(f.name, "_") {
						t.Errorf("%s: %s arrived", f.name, f.value)
					}
				}
			})
		}
	})
}

// TestHeadersOfTheOperator: what header_up sets is sent, even where the same header
// of an app is not.
func TestHeadersOfTheOperator(t *testing.T) {
	t.Parallel()
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		a := c.send(t, "GET "+prefix+"/ HTTP/1.1\r\nHost: x\r\nCookie: app=1\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Host: y\r\nX-Drop: 1\r\n\r\n")
		got := r.one(t)
		got.checkToken(t)
		for name, want := range map[string][]string{
			"Cookie": {"operator=1"}, "X-Forwarded-For": {"192.0.2.1"}, "Orgid": {"60001234567"},
			"X-Drop": nil, "X-Forwarded-Host": nil, "X-Forwarded-Proto": nil, "Via": nil,
		} {
			if v := got.values(name); !slices.Equal(v, want) {
				t.Errorf("%s %q, want %q", name, v, want)
			}
		}
		if a.Header.Get("X-Down") != "1" {
			t.Errorf("header_down did nothing: %v", a.Header)
		}
	}, "header_up Cookie operator=1", "header_up X-Forwarded-For 192.0.2.1", "header_up orgId 60001234567", "header_up -X-Drop", "header_down X-Down 1")
}

// TestAnswersPassUnchanged: status, headers, body and trailers of Zoho's answers are
// the app's, short of what only the proxy may say.
func TestAnswersPassUnchanged(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, strings.Repeat(`{"data":[]}`, 100))
	_ = z.Close()
	length := func(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }
	tests := []struct{ name, method, answer, body string }{
		{"204", "GET", "HTTP/1.1 204 No Content\r\nX-Rate: 1\r\n\r\n", ""},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nLast-Modified: never\r\n\r\n", ""},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", ""},
		{"HEAD of an unknown length", "HEAD", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", ""},
		{"gzip", "GET", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n" + length(packed.String()), packed.String()},
		{"gzip in a refusal", "GET", "HTTP/1.1 401 Unauthorized\r\nContent-Encoding: gzip\r\n" + length(packed.String()), packed.String()},
		{"odd headers", "GET", "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Odd: \xff\x80\r\nX-Empty:\r\nServer: ZGS\r\n" + length("x"), "x"},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "abc"},
		{"to the end of the connection", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", "abc"},
		{"redirect", "GET", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\n" + length(""), ""},
		{"207-like", "POST", "HTTP/1.1 207 Multi-Status\r\n" + length(`{"data":[{"status":"error"}]}`), `{"data":[{"status":"error"}]}`},
		{"429", "GET", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nX-RATELIMIT-RESET: 9\r\n" + length("{}"), "{}"},
		{"500 of Zoho's", "GET", "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/html\r\n" + length("<html>"), "<html>"},
		{"502 of Zoho's", "GET", "HTTP/1.1 502 Bad Gateway\r\n" + length("zoho"), "zoho"},
		{"unknown status", "GET", "HTTP/1.1 799 Odd\r\n" + length("x"), "x"},
		{"early hints", "GET", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n" + length("x"), "x"},
	}
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				r.handle(func(conn net.Conn, _ *bufio.Reader, _ rawRequest) {
					_, _ = io.WriteString(conn, test.answer)
					if strings.Contains(test.answer, "Connection: close") {
						_ = conn.Close()
					}
				})
				answers := 1 + strings.Count(test.answer, " 103 ")
				all := c.rawAnswers(t, test.method+" "+prefix+"/ HTTP/1.1\r\nHost: x\r\n\r\n", answers, test.method, test.method)
				got := all[answers-1]
				final := test.answer[strings.LastIndex(test.answer[:len(test.answer)-len(test.body)], "HTTP/1.1"):]
				want, err := http.ReadResponse(bufio.NewReader(strings.NewReader(final)), &http.Request{Method: test.method})
				if err != nil {
					t.Fatal(err)
				}
				if got.StatusCode != want.StatusCode || string(got.body) != test.body {
					t.Errorf("%s %.60q, want %s %.60q", got.Status, got.body, want.Status, test.body)
				}
				for name, values := range want.Header {
					if name != "Connection" && !slices.Equal(got.Header[name], values) {
						t.Errorf("%s: %q, want %q", name, got.Header[name], values)
					}
				}
				for name := range got.Header {
					mark := name == "Zoho-Proxy-Verdict" && want.StatusCode == http.StatusUnauthorized
					if want.Header[name] == nil && !mark && !slices.Contains([]string{"Via", "Date", "Content-Length"}, name) {
						t.Errorf("%s: %q was added", name, got.Header[name])
					}
				}
			})
		}
	})
}

// TestAnswersCannotPretend: headers with which the proxy marks its own refusals are
// taken off Zoho's answers.
func TestAnswersCannotPretend(t *testing.T) {
	t.Parallel()
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		r.answer("HTTP/1.1 200 OK\r\nZoho-Proxy-Error: grant-dead\r\nzoho-proxy-verdict: scope\r\nContent-Length: 0\r\n\r\n")
		a := c.get(prefix + "/")
		for _, name := range []string{"Zoho-Proxy-Error", "Zoho-Proxy-Verdict"} {
			if v := a.Header.Values(name); v != nil {
				t.Errorf("%s: %q", name, v)
			}
		}
	})
}

// TestAnswerTrailers: what follows a chunked body arrives after it.
func TestAnswerTrailers(t *testing.T) {
	t.Parallel()
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		r.answer("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nX-Late: 8\r\n\r\n")
		a := c.send(t, "GET "+prefix+"/ HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n")
		if string(a.body) != "abc" || a.Trailer.Get("X-Sum") != "7" || a.Trailer.Get("X-Late") != "8" {
			t.Errorf("%q %v", a.body, a.Trailer)
		}
	})
}

// TestRecordsOfEveryService: apps list, create, get, update and delete.
func TestRecordsOfEveryService(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	services := []struct{ list, create, update, change, id string }{
		{"/crm/v8/Leads", `{"data":[{"Last_Name":"Lind"}]}`, "PUT", `{"data":[{"Last_Name":"Berg"}]}`, `"id":"`},
		{"/books/v3/contacts?organization_id=60001234567", `{"contact_name":"Lind"}`, "PUT", `{"contact_name":"Berg"}`, `"contact_id":"`},
		{"/desk/api/v1/tickets", `{"subject":"Lind"}`, "PATCH", `{"subject":"Berg"}`, `"id":"`},
	}
	want := func(a answer, what, part string) {
		t.Helper()
		if a.StatusCode >= 300 || !strings.Contains(string(a.body), part) {
			t.Errorf("%s: %s %.300s, want %s in it", what, a.Status, a.body, part)
		}
	}
	for _, s := range services {
		path, query, _ := strings.Cut(s.list, "?")
		if query != "" {
			query = "?" + query
		}
		if a := c.get(s.list); a.StatusCode >= 300 {
			t.Errorf("empty list: %s %s", a.Status, a.body)
		}
		created := c.call("POST", s.list, strings.NewReader(s.create), "Content-Type", "application/json")
		want(created, "create", s.id)
		_, rest, _ := strings.Cut(string(created.body), s.id)
		id, _, _ := strings.Cut(rest, `"`)
		one := path + "/" + id + query
		want(c.get(one), "get", "Lind")
		want(c.call(s.update, one, strings.NewReader(s.change), "Content-Type", "application/json"), "update", "")
		want(c.get(s.list), "list", "Berg")
		want(c.call("DELETE", one, nil), "delete", "")
		if a := c.get(one); a.StatusCode == http.StatusOK && strings.Contains(string(a.body), "Berg") {
			t.Errorf("still there: %s", a.body)
		}
	}
	stats := server.Stats()
	if stats.TokenRequests != 1 || stats.Malformed != 0 {
		t.Errorf("%d token requests, %d malformed", stats.TokenRequests, stats.Malformed)
	}
}

// TestCurl: the client of most scripts, with what it sends by itself.
func TestCurl(t *testing.T) {
	t.Parallel()
	curl := tool(t, "curl")
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := startCaddy(t, withServers("protocols h1 h2c"), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	path := filepath.Join(c.dir, "upload")
	content := new(bytes.Buffer)
	_, _ = io.Copy(content, newPattern(2<<20))
	if err := os.WriteFile(path, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content.Bytes())
	digest := hex.EncodeToString(sum[:])
	echo := c.url + "/crm/_echo"
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"get", []string{c.url + "/desk/api/v1/tickets", "-w", "%{http_code}"}, "204"},
		{"above 1 MiB it expects 100", []string{"--data-binary", "@" + path, echo}, digest},
		{"put", []string{"-T", path, echo}, digest},
		{"chunked", []string{"-H", "Transfer-Encoding: chunked", "--data-binary", "@" + path, echo}, digest},
		{"HTTP/1.0", []string{"--http1.0", "--data-binary", "@" + path, echo}, digest},
		{"offers h2c", []string{"--http2", "--data-binary", "@" + path, echo}, digest},
		{"form", []string{"-F", "file=@" + path, c.url + "/crm/v8/Leads/1/Attachments"}, digest},
		{"own authorization", []string{"-u", "user:password", echo, "-w", "%{http_code}"}, "200"},
		{"as its proxy", []string{"-x", c.url, "http://www.zohoapis.com/crm/_echo", "-w", "%{http_code}"}, "200"},
		{"target as it is", []string{"--path-as-is", "-g", c.url + "/crm/_echo/../a,b{c}?x=[1]&"}, `_echo/../a,b{c}?x=[1]\u0026`},
		{"head", []string{"-I", c.url + "/crm/_bytes?n=7"}, "Content-Length: 7"},
	}
	if out, err := exec.Command(curl, "--version").Output(); err == nil && bytes.Contains(out, []byte("HTTP2")) {
		tests = append(tests, tests[2], tests[3])
		prior := &tests[len(tests)-2]
		prior.name, prior.args = "h2c at once", []string{"--http2-prior-knowledge", "-T", path, echo}
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.Command(curl, append([]string{"-sS", "-q", "-m", "60"}, test.args...)...)
			cmd.Env = testbed.Environ()
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), test.want) {
				t.Errorf("%v: %.600s", err, out)
			}
		})
	}
}
