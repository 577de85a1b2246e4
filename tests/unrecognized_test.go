package tests

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

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
			if !strings.Contains(c.output.String(), "refused a call in a way that is not known") {
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
	if n := strings.Count(c.output.String(), "refused a call in a way that is not known"); n != 1 {
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
