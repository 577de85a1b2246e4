// What Zoho's services refuse: which refusals a token cures, which are passed on, and with which
// verdict, however they are written.

package tests

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestRefusalsThatNoTokenCures: each is passed on with Zoho's own words and a verdict,
// and costs no token.
func TestRefusalsThatNoTokenCures(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	cases := []struct {
		service, path, refusal, verdict string
	}{
		{"books", "/books/v3/contacts", zohosim.CaseScope, "ambiguous"}, // first: for a minute the token is too young to be renewed for it
		{"crm", "/crm/v8/Leads", zohosim.CaseScope, "scope"},
		{"crm", "/crm/v8/Leads", zohosim.CasePermission, "permission"},
		{"desk", "/desk/api/v1/tickets", zohosim.CaseScope, "scope"},
		{"desk", "/desk/api/v1/tickets", zohosim.CaseOrg, "org"},
		{"desk", "/desk/api/v1/tickets", zohosim.CasePermission, "permission"},
		{"workdrive", "/workdrive/api/v1/files/x", zohosim.CasePermission, "permission"},
	}
	for _, test := range cases {
		server.AddFault(zohosim.Fault{Where: test.service, Kind: zohosim.FaultRefuse, Body: test.refusal})
		want := server.Refusal(test.service, test.refusal)
		spread(30, 8, func(int) {
			a, err := c.try(http.MethodGet, test.path, nil)
			if err != nil {
				t.Error(err)
				return
			}
			wantRefusal(t, a, want.Status, test.verdict)
			if string(a.body) != want.Body {
				t.Errorf("%s %s: Zoho's words were changed: %s", test.service, test.refusal, a.body)
			}
		})
		server.ClearFaults("")
	}
	wantTokenCalls(t, server, 1)
	if n := c.metric("zoho_upstream_auth_failures_total", `service="desk"`, `verdict="org"`); n != 30 {
		t.Errorf("zoho_upstream_auth_failures_total counts %v of 30", n)
	}
}

// TestMissingScopeAndWrongOrg: the same with a real grant that lacks a scope, and a
// call for another organization.
func TestMissingScopeAndWrongOrg(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	wantRefusal(t, c.get("/desk/api/v1/agents", "orgId", "1"), http.StatusForbidden, "org")
	wantRefusal(t, c.get("/inventory/v1/items"), http.StatusUnauthorized, "ambiguous")
	wantRefusal(t, c.get("/mail/api/accounts"), http.StatusUnauthorized, "scope")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	wantTokenCalls(t, server, 1)
}

// TestRefusedForEver: a wrong data center answers INVALID_TOKEN whatever the token.
// That must not become a storm, nor harm the services beside.
func TestRefusedForEver(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultRefuse})
	server.AddFault(zohosim.Fault{Where: "mail", Kind: zohosim.FaultRefuse})
	spread(600, 32, func(i int) {
		path := []string{"/crm/v8/Leads", "/mail/api/accounts", "/desk/api/v1/tickets"}[i%3]
		if i%3 == 2 {
			c.succeed(http.MethodGet, path, "")
			return
		}
		a, err := c.try(http.MethodGet, path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		wantRefusal(t, a, http.StatusUnauthorized, "fresh-token-refused")
	})
	if n := server.Stats().TokenRequests; n > 5 {
		t.Errorf("%d token calls, at most 5 are right", n)
	}
	for range 20 {
		wantRefusal(t, c.get("/crm/v8/Leads"), http.StatusUnauthorized, "fresh-token-refused")
	}
	if n := server.Stats().TokenRequests; n > 5 {
		t.Errorf("%d token calls, at most 5 are right", n)
	}
}

// TestWrongDataCenterIsNamed: Zoho names another API gateway than the configured
// data center's, and refuses its token there.
func TestWrongDataCenterIsNamed(t *testing.T) {
	t.Parallel()
	c, server, _ := startRealNames(t, "us", "")
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultReply,
		Body: `{"access_token":"{{token}}","api_domain":"https://www.zohoapis.eu","token_type":"Bearer","expires_in":3600}`})
	server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultRefuse})
	for range 10 {
		wantRefusal(t, c.get("/crm/v8/Leads"), http.StatusUnauthorized, "data-center")
	}
	if n := server.Stats().TokenRequests; n > 2 {
		t.Errorf("%d token calls", n)
	}
}

// encoded is a body as Zoho's front servers may compress it.
func encoded(t *testing.T, coding, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w, err = flate.NewWriter(&b, flate.DefaultCompression)
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	default:
		return []byte(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRefusalsAreReadInAnyCoding, S-35: what Zoho says is understood however it is
// compressed, and reaches the app byte for byte as it came.
func TestRefusalsAreReadInAnyCoding(t *testing.T) {
	t.Parallel()
	api := startRecorder(t)
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+api.url, "ZOHO_REFRESH_TOKEN="+grant)
	for coding, verdict := range map[string]string{"": "scope", "gzip": "scope", "deflate": "scope", "br": "scope", "zstd": "scope", "x-own": "ambiguous"} {
		body := encoded(t, coding, `{"code":"OAUTH_SCOPE_MISMATCH","details":{},"message":"Unauthorized","status":"error"}`)
		if coding == "x-own" {
			body = []byte("\x00\x01\x02 nobody knows")
		}
		api.answer(fmt.Sprintf("HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", coding, len(body), body))
		a := c.get("/crm/v8/Leads", "Accept-Encoding", "gzip, br")
		if a.StatusCode != http.StatusUnauthorized || a.Header.Get("Zoho-Proxy-Verdict") != verdict || a.Header.Get("Content-Encoding") != coding || !bytes.Equal(a.body, body) {
			t.Errorf("%q: %s, verdict %q, coding %q, %d of %d bytes", coding, a.Status, a.Header.Get("Zoho-Proxy-Verdict"), a.Header.Get("Content-Encoding"), len(a.body), len(body))
		}
	}
}

// TestEndlessRefusals, S-35: of a refusal without an end, or one that unpacks to 10 GiB,
// a little is looked at; the app gets it as it comes, and memory stays bounded.
func TestEndlessRefusals(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	memory := c.residentPeak()
	for _, fault := range []zohosim.Fault{{Kind: zohosim.FaultHuge, Status: http.StatusUnauthorized}, {Kind: zohosim.FaultBomb}} {
		fault.Where = "crm"
		server.AddFault(fault)
		res, err := c.client.Get(c.url + "/crm/v8/Leads")
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.CopyN(io.Discard, res.Body, 1<<20)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized || err != nil {
			t.Errorf("%s: %s, %d bytes, %v", fault.Kind, res.Status, n, err)
		}
		server.ClearFaults("")
	}
	c.wantSmall("by the answers", memory, 64<<20)
	for _, path := range threeServices {
		c.succeed(http.MethodGet, path, "")
	}
	wantTokenCalls(t, server, 1)
	if strings.Contains(c.output.String(), "fault of the proxy's own") {
		t.Error("a fault of the proxy's own")
	}
}

// bombs are refusals of a few bytes that cost what reads them the most, by their codings.
func bombs(t *testing.T) map[string][]byte {
	t.Helper()
	pack := func(into func(io.Writer) io.WriteCloser, content []byte) []byte {
		var b bytes.Buffer
		w := into(&b)
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	br := func(window int) func(io.Writer) io.WriteCloser {
		return func(w io.Writer) io.WriteCloser {
			return brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: 9, LGWin: window})
		}
	}
	zst := func(window int) func(io.Writer) io.WriteCloser {
		return func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w, zstd.WithWindowSize(window)); return z }
	}
	flat := func(w io.Writer) io.WriteCloser { z, _ := flate.NewWriter(w, flate.DefaultCompression); return z }
	gz := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	frames := func(n int, window func(i int) byte) (raw []byte) { // of zstd, each of ten bytes
		for i := range n {
			raw = append(raw, 0x28, 0xb5, 0x2f, 0xfd, 0x00, window(i), 10<<3|1<<1|1, 0, 0, 'x')
		}
		return raw
	}
	content := make([]byte, 17<<20)
	repeated := func(part string) []byte { return []byte(strings.Repeat(part, (64<<10)/len(part))) }
	return map[string][]byte{
		"identity": repeated("<a b=''/>"), "Identity": repeated("[1,2,[3]],"), "IDENTITY": append([]byte("<html>"), repeated("A_B <a>")...),
		"gzip": pack(gz, content), "deflate": pack(flat, content), "br": pack(br(24), content), "BR": pack(br(22), content),
		"zstd": pack(zst(8<<20), content), "ZSTD": pack(zst(4<<20), content), "gzip, gzip": pack(gz, pack(gz, content)),
		"zstd, identity": frames(6500, func(int) byte { return 0x60 }), "zstd, identity, identity": frames(0x61, func(i int) byte { return byte(i) }),
		"br, br, br": pack(br(22), pack(br(22), pack(br(22), content))), "zstd, zstd, zstd": pack(zst(4<<20), pack(zst(4<<20), pack(zst(4<<20), content))),
	}
}

// TestManyBombs, S-68: two hundred refusals at once, each made to cost memory, cost little
// in all, whatever their coding. The apps get them as they came.
func TestManyBombs(t *testing.T) {
	const many = 200
	api := startRecorder(t)
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+api.url, "ZOHO_REFRESH_TOKEN="+grant)
	wave := func(coding string, body []byte) {
		var arrived atomic.Int64
		all := make(chan struct{})
		api.handle(func(conn net.Conn, _ *bufio.Reader, _ rawRequest) {
			if arrived.Add(1) == many {
				close(all)
			}
			<-all
			fmt.Fprintf(conn, "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", coding, len(body), body)
		})
		var calls sync.WaitGroup
		for range many {
			calls.Go(func() {
				a, err := c.try(http.MethodGet, "/crm/v8/Leads", nil, "Accept-Encoding", "gzip, br")
				if err != nil || a.StatusCode != http.StatusUnauthorized || !bytes.Equal(a.body, body) {
					t.Errorf("%s: %v, %d of %d bytes", coding, err, len(a.body), len(body))
				}
			})
		}
		calls.Wait()
	}
	wave("identity", []byte("{}"))
	memory := c.residentPeak()
	for coding, body := range bombs(t) {
		wave(coding, body)
		c.wantSmall("by "+coding, memory, 64<<20)
	}
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		body := encoded(t, coding, `{"code":"OAUTH_SCOPE_MISMATCH","details":{},"message":"Unauthorized","status":"error"}`)
		api.answer(fmt.Sprintf("HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", coding, len(body), body))
		if a := c.get("/crm/v8/Leads", "Accept-Encoding", "gzip, br"); a.Header.Get("Zoho-Proxy-Verdict") != "scope" {
			t.Errorf("%s: an honest refusal afterwards: verdict %q", coding, a.Header.Get("Zoho-Proxy-Verdict"))
		}
	}
}

// unrecognizable are answers to a dead token in which nothing is recognized.
var unrecognizable = map[string]struct {
	service, path string
	answer        zohosim.Answer
}{
	"a page":                    {"desk", "/desk/api/v1/tickets", zohosim.Answer{Status: 401, ContentType: "text/html;charset=UTF-8", Body: "<html><head><title>Error Page</title></head><body>Something went wrong</body></html>"}},
	"XML":                       {"campaigns", "/campaigns/api/v1.1/getmailinglists?resfmt=XML", zohosim.Answer{Status: 401, ContentType: "text/xml", Body: "<response><status>error</status><code>9</code></response>"}},
	"nothing":                   {"crm", "/crm/v8/Leads", zohosim.Answer{Status: 401}},
	"text":                      {"books", "/books/v3/contacts?organization_id=60001234567", zohosim.Answer{Status: 401, ContentType: "text/plain", Body: "Unauthorized"}},
	"another shape":             {"mail", "/mail/api/accounts", zohosim.Answer{Status: 401, ContentType: "application/json", Body: `{"oops":[{"reason":4711}]}`}},
	"a service that has no row": {"writer", "/writer/api/v1/documents", zohosim.Answer{Status: 401, ContentType: "application/json", Body: `{"code":57,"message":"x"}`}},
}

// serveHTTP is a server of the test's own.
func serveHTTP(t *testing.T, handle http.HandlerFunc) (url string) {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL
}

// TestUnrecognizedRefusals, S-70: a 401 in which nothing is recognized is marked, counted,
// told of by log and doctor, and cured where a token cures it.
func TestUnrecognizedRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range unrecognizable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, server, _ := startSimulated(t, zohosim.Options{})
			server.SetAnswer(test.service, zohosim.CaseDead, test.answer)
			c.call(http.MethodGet, test.path, nil)
			server.RevokeAccess("")
			a := c.get(test.path)
			wantRefusal(t, a, http.StatusUnauthorized, "ambiguous") // a young token is not doubted
			if string(a.body) != test.answer.Body {
				t.Errorf("the answer was changed: %q", a.body)
			}
			wantTokenCalls(t, server, 1)
			if n := c.metric("zoho_upstream_auth_failures_total", `service="`+test.service+`"`, `verdict="ambiguous"`); n != 1 {
				t.Errorf("zoho_upstream_auth_failures_total counts %v", n)
			}
			if !strings.Contains(c.output.String(), "refused a call in an unknown way") {
				t.Error("the log says nothing")
			}
			report, _, _ := c.run("zoho", "doctor", "--address", c.admin)
			if want := test.service + " refused calls in a way that is not known"; !strings.Contains(report, want) {
				t.Errorf("doctor does not say %q:\n%s", want, report)
			}
			c.stop()
			ageToken(t, c, 2*time.Minute)
			c.start()
			if a := c.get(test.path); a.StatusCode == http.StatusUnauthorized && a.Header.Get("Zoho-Proxy-Verdict") == "ambiguous" {
				t.Errorf("not cured: %s %s", a.Status, a.body)
			}
		})
	}
}

// TestUnrecognizedRefusalElsewhere: where a service has never taken a token and another one
// takes this one, a refusal in which nothing is recognized costs nothing.
func TestUnrecognizedRefusalElsewhere(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.stop()
	ageToken(t, c, 2*time.Minute)
	c.start()
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	server.AddFault(zohosim.Fault{Where: "desk", Kind: zohosim.FaultHTML, Status: http.StatusUnauthorized})
	for range 20 {
		wantRefusal(t, c.get("/desk/api/v1/tickets"), http.StatusUnauthorized, "ambiguous")
	}
	if a := c.call(http.MethodHead, "/desk/api/v1/tickets", nil); a.Header.Get("Zoho-Proxy-Verdict") != "ambiguous" {
		t.Errorf("HEAD: %s %v", a.Status, a.Header)
	}
	wantTokenCalls(t, server, 1)
	if n := strings.Count(c.output.String(), "refused a call in an unknown way"); n != 1 {
		t.Errorf("%d lines in the log, one is enough for a while", n)
	}
}

// TestUnrecognizedRefusalOfAStranger: at a server that is not Zoho's a 401 may mean anything.
// It is marked, and costs a token only if it holds a code that is known.
func TestUnrecognizedRefusalOfAStranger(t *testing.T) {
	t.Parallel()
	var body atomic.Value
	body.Store(`{"error":"log in"}`)
	stranger := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, body.Load().(string))
	})
	c, server, _ := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=upstream "+stranger)
	c.get("/anything")
	c.stop()
	ageToken(t, c, 2*time.Minute)
	c.start()
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		if a := c.call(method, "/anything", nil); a.StatusCode != http.StatusUnauthorized || a.Header.Get("Zoho-Proxy-Verdict") != "ambiguous" {
			t.Errorf("%s: %s %v", method, a.Status, a.Header)
		}
	}
	wantTokenCalls(t, server, 1)
	body.Store(`{"code":"INVALID_TOKEN"}`)
	c.get("/anything")
	wantTokenCalls(t, server, 2)
}

// TestUnrecognizedRefusalThatRepeatsTheToken: neither the log nor doctor shows it.
func TestUnrecognizedRefusalThatRepeatsTheToken(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	stranger := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/oauth/") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"short-token","expires_in":3600,"token_type":"Bearer"}`)
			return
		}
		sent.Add(1)
		w.Header().Set("Content-Type", "text/html; token=short-token")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "<p>short-\x00token short-token</p>\n\x1b[31m"+strings.Repeat("x ", 500))
	})
	c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+stranger+" "+stranger, "ZOHO_REFRESH_TOKEN=1000.0123456789abcdef")
	c.get("/crm/v8/Leads")
	report, _, _ := c.run("zoho", "doctor", "--address", c.admin)
	for what, text := range map[string]string{"the log": c.output.String(), "doctor": report} {
		if strings.Contains(text, "short-token") || strings.Contains(text, "\\u001b") {
			t.Errorf("%s repeats what came: %s", what, text)
		}
	}
	if sent.Load() == 0 || !strings.Contains(c.output.String(), "<p>") {
		t.Errorf("%d requests, and no excerpt in the log", sent.Load())
	}
}

// analyticsV1 is a call of the old API of Analytics, which refuses in XML unless it is told otherwise.
const analyticsV1 = "/analytics/api/owner@example.com/Sales/Orders?ZOHO_ACTION=EXPORT&ZOHO_API_VERSION=1.0&ZOHO_OUTPUT_FORMAT="

// TestDeadTokensInAnyForm: a dead token is known, and cured at once, in whatever form a service
// says so.
func TestDeadTokensInAnyForm(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ path, variant string }{
		"Bookings, page":               {"/bookings/v1/json/workspaces", ""},
		"Analytics v1, XML":            {analyticsV1 + "CSV", ""},
		"Analytics v1, JSON":           {analyticsV1 + "JSON", ""},
		"Analytics v1, XML under 400":  {analyticsV1 + "XML", "analytics-v1-xml-400"},
		"Analytics v1, JSON under 400": {analyticsV1 + "JSON", "analytics-v1-400"},
		"Analytics v2":                 {"/analytics/restapi/v2/orgs", ""},
		"Recruit, number":              {"/recruit/recruit/v2/Candidates", "recruit-4834"},
		"Recruit, number under 400":    {"/recruit/recruit/v2/Candidates", "recruit-4834-400"},
		"Recruit, number under 200":    {"/recruit/recruit/v2/Candidates", "recruit-4834-200"},
		"Campaigns, XML":               {"/campaigns/api/v1.1/getmailinglists?resfmt=XML", "campaigns-xml"},
		"Campaigns, JSON":              {"/campaigns/api/v1.1/getmailinglists?resfmt=JSON", ""},
		"WorkDrive":                    {"/workdrive/api/v1/files/x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, server := startZoho(t, zohosim.GrantSpec{})
			if test.variant != "" {
				server.Change(func(o *zohosim.Options) { o.Variants = []string{test.variant} })
			}
			c.succeed(http.MethodGet, test.path, "")
			server.RevokeAccess("")
			spread(20, 8, func(int) {
				if a := c.succeed(http.MethodGet, test.path, ""); bytes.Contains(a.body, []byte("4834")) {
					t.Errorf("not cured: %s %s", a.Status, a.body)
				}
			})
			wantTokenCalls(t, server, 2)
		})
	}
}

// TestRefusalsInAnyForm: what no token cures is passed on as it came, and costs none, in whatever
// form it comes.
func TestRefusalsInAnyForm(t *testing.T) {
	t.Parallel()
	c, server := startZoho(t, zohosim.GrantSpec{})
	for _, test := range []struct{ service, answers, path, refusal, verdict string }{
		{"analytics", "analytics-v1-xml", analyticsV1 + "XML", zohosim.CaseScope, "scope"},
		{"analytics", "analytics-v1", analyticsV1 + "JSON", zohosim.CaseScope, "scope"},
		{"analytics", "analytics-v1", analyticsV1 + "JSON", zohosim.CasePermission, "permission"},
		{"analytics", "analytics-v1-xml", analyticsV1 + "XML", zohosim.CaseLimit, ""},
		{"analytics", "analytics-v1", analyticsV1 + "JSON", zohosim.CaseLimit, ""},
		{"bookings", "bookings", "/bookings/v1/json/workspaces", zohosim.CaseNoHeader, ""},
	} {
		server.AddFault(zohosim.Fault{Where: test.service, Kind: zohosim.FaultRefuse, Body: test.refusal})
		want := server.Refusal(test.answers, test.refusal)
		a := c.get(test.path)
		wantRefusal(t, a, want.Status, test.verdict)
		if string(a.body) != want.Body || a.Header.Get("Content-Type") != want.ContentType {
			t.Errorf("%s %s was changed: %s %s", test.answers, test.refusal, a.Header.Get("Content-Type"), a.body)
		}
		server.ClearFaults("")
	}
	wantTokenCalls(t, server, 1)
	if n := c.metric("zoho_upstream_rate_limited_total", `service="analytics"`); n != 2 {
		t.Errorf("%v limited, want 2", n)
	}
	c.logs("Zoho says that the request came without a token")
}

// TestRefusalsInTheStatusLine: hosts for files say by the reason phrase of HTTP/1.1 what a token cures, also
// where all others speak HTTP/2. No app is told the phrase.
func TestRefusalsInTheStatusLine(t *testing.T) {
	t.Parallel()
	places := []struct{ host, path string }{
		{"download.zoho.com", "/v1/workdrive/download/x"},
		{"upload.zoho.com", "/workdrive-api/v1/stream/upload"},
	}
	for _, place := range places {
		t.Run(place.host, func(t *testing.T) {
			t.Parallel()
			c, server := startZohoAs(t, zohosim.Options{HTTP1: true}, zohosim.GrantSpec{})
			c.succeed(http.MethodGet, place.path, "", "Host", place.host)
			server.RevokeAccess("")
			c.succeed(http.MethodPost, place.path, "a file", "Host", place.host)
			server.RevokeAccess("")
			if a := c.call(http.MethodHead, place.path, nil, "Host", place.host); a.StatusCode != http.StatusOK {
				t.Errorf("HEAD: %s %v", a.Status, a.Header)
			}
			wantTokenCalls(t, server, 3)
			server.AddFault(zohosim.Fault{Where: "workdrive", Kind: zohosim.FaultRefuse, Body: zohosim.CaseScope})
			a := c.get(place.path, "Host", place.host)
			wantRefusal(t, a, http.StatusUnauthorized, "scope")
			if a.Status != "401 Unauthorized" {
				t.Errorf("the app got %q", a.Status)
			}
			wantTokenCalls(t, server, 3)
		})
		t.Run(place.host+" beside HTTP/2", func(t *testing.T) {
			t.Parallel()
			c, server := startZoho(t, zohosim.GrantSpec{})
			c.succeed(http.MethodGet, place.path, "", "Host", place.host)
			server.RevokeAccess("")
			c.succeed(http.MethodGet, place.path, "", "Host", place.host)
			wantTokenCalls(t, server, 2)
		})
	}
}

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

// TestRefusalsOfAnotherHost: what one host of a service refuses is not held against another.
func TestRefusalsOfAnotherHost(t *testing.T) {
	t.Parallel()
	c, server := startZoho(t, zohosim.GrantSpec{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	server.AddFault(zohosim.Fault{Where: "crm", Path: "/upload", Kind: zohosim.FaultRefuse})
	for range 3 {
		wantRefusal(t, c.get("/crm/v8/upload", "Host", "content.zohoapis.com"), http.StatusUnauthorized, "fresh-token-refused")
	}
	server.RevokeAccess("")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
}

// TestBooksRefusalIsAmbiguous: code 57 is a dead token, a missing scope or a missing
// permission. It is worth a token once per generation, and only where that can help.
func TestBooksRefusalIsAmbiguous(t *testing.T) {
	t.Parallel()
	const books = "/books/v3/contacts?organization_id=60001234567"
	c, server, grant := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodPost, books, `{"contact_name":"Lind"}`) // says nothing of whether reading is allowed
	server.RevokeAccess(grant)
	passed := func(what string) {
		t.Helper()
		if a := c.get(books); a.StatusCode != http.StatusUnauthorized || a.Header.Get("Zoho-Proxy-Verdict") != "ambiguous" {
			t.Errorf("%s: %s, verdict %q", what, a.Status, a.Header.Get("Zoho-Proxy-Verdict"))
		}
	}
	passed("just minted, just accepted")
	wantTokenCalls(t, server, 1)

	c.stop()
	ageToken(t, c, 2*time.Minute)
	c.start()
	spread(100, 16, func(i int) {
		c.succeed(http.MethodPost, books, `{"contact_name":"Lind"}`, "X-Test-Id", strconv.Itoa(i))
	})
	wantTokenCalls(t, server, 2)
	for i := 1; i <= 100; i++ {
		if n := server.Stats().Executed[strconv.Itoa(i)]; n != 1 {
			t.Errorf("request %d was executed %d times", i, n)
		}
	}
	server.AddFault(zohosim.Fault{Where: "books", Kind: zohosim.FaultRefuse, Body: zohosim.CasePermission})
	for range 20 {
		passed("no permission")
	}
	wantTokenCalls(t, server, 2)
}

// TestBadlyScopedApp, S-28: an app without the scope hammers Books, whose refusal may
// be a dead token as well, beside an app that does well. The first one costs at most
// one token per generation; the second one notices nothing.
func TestBadlyScopedApp(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.stop()
	ageToken(t, c, 2*time.Minute) // old enough that a refusal may be about it
	c.start()
	const wellScoped, badlyScoped = "/books/v3/contacts?organization_id=60001234567", "/books/v3/settings?organization_id=60001234567"
	server.AddFault(zohosim.Fault{Where: "books", Path: "/settings", Kind: zohosim.FaultRefuse, Body: zohosim.CaseScope})
	spread(2000, 16, func(i int) {
		if i%2 == 0 {
			c.succeed(http.MethodGet, []string{"/crm/v8/Leads", wellScoped}[i/2%2], "")
			return
		}
		a, err := c.try(http.MethodGet, badlyScoped, nil)
		if err != nil || a.StatusCode != http.StatusUnauthorized || a.Header.Get("Zoho-Proxy-Verdict") != "ambiguous" {
			t.Errorf("%v %v", err, a)
		}
	})
	// The first, and one forced, if the badly scoped app came before the other one had shown the token to be good.
	if n := server.Stats().TokenRequests; n > 2 {
		t.Errorf("%d token calls", n)
	}
	if state := c.connections("").Connections[0].State; state != "ok" {
		t.Errorf("state %s", state)
	}
}

// TestWrongDataCenterIsNotContention: a server that refuses every token is not another
// program's doing.
func TestWrongDataCenterIsNotContention(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/desk/api/v1/tickets", "")
	server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultRefuse})
	for range 50 {
		c.get("/crm/v8/Leads")
		c.succeed(http.MethodGet, "/desk/api/v1/tickets", "")
	}
	if state := c.connections("").Connections[0].State; state != "ok" {
		t.Errorf("state %s", state)
	}
	if n := c.metric("zoho_tokens_lost_early_total"); n != 0 {
		t.Errorf("%v tokens count as lost early", n)
	}
	if n := server.Stats().TokenRequests; n > 5 {
		t.Errorf("%d token calls", n)
	}
}
