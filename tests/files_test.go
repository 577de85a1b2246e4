// Files: the hosts that take and give them, reached by apps that know only a base URL, and services that
// an operator adds.

package tests

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// fileHosts are a Zoho whose hosts say what reached them. Tokens are those of a simulator.
type fileHosts struct {
	*zohosim.Server
	dead bool // the next call to an API is refused, as of a dead token

	mu    sync.Mutex
	calls []string // method, host, target and body
}

// startFileHosts starts a Caddy in front of it, in the data center eu.
func startFileHosts(t *testing.T, global, options string) (*proxy, *fileHosts) {
	t.Helper()
	z := &fileHosts{Server: zohosim.New(zohosim.Options{})}
	z.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret})
	grant := z.GrantAs(zohosim.GrantSpec{ClientID: clientID, DataCenter: "eu"})
	ca := newAuthority(t)
	front := httptest.NewUnstartedServer(z)
	front.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, time.Now().Add(time.Hour), "accounts.zoho.eu", "www.zohoapis.eu",
		"content.zohoapis.eu", "download-accl.zoho.eu", "download.zoho.eu", "upload.zoho.eu", "workdrive.zoho.eu", "fax.zoho.eu")}}
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	c := newCaddy(t, oneClient, "ZOHO_DATA_CENTER=eu", "ZOHO_REFRESH_TOKEN="+grant, "ZOHO_PROXY_OPTIONS="+options,
		"ZOHO_CLIENT_OPTIONS=simulator "+strings.TrimPrefix(front.URL, "https://")+" "+ca.file(t))
	c.writeConfig(strings.Replace(oneClient, "client main {", global+"\n\t\tclient main {", 1))
	c.start()
	return c, z
}

func (z *fileHosts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.Host, "accounts.") {
		z.Server.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	z.mu.Lock()
	defer z.mu.Unlock()
	z.calls = append(z.calls, fmt.Sprintf("%s %s%s %s", r.Method, r.Host, r.RequestURI, body))
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	switch {
	case !strings.HasPrefix(r.Header.Get("Authorization"), "Zoho-oauthtoken 1000."):
		w.WriteHeader(http.StatusUnauthorized)
	case z.dead:
		z.dead = false
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`)
	case strings.HasSuffix(r.URL.Path, "/upload"):
		_, _ = io.WriteString(w, `{"status":"success","code":"FILE_UPLOAD_SUCCESS","message":"file uploaded.","details":{"file_id":"1","created_time":"2026-01-01T00:00:00-00:00"}}`)
	case strings.HasSuffix(r.URL.Path, ".zip"):
		w.Header().Set("Content-Type", "application/x-download")
		w.Header().Set("Content-Disposition", "attachment; filename=result.zip")
		_, _ = io.WriteString(w, "PK result")
	case strings.HasSuffix(r.URL.Path, ".html"):
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
		_, _ = io.WriteString(w, "<script>alert(1)</script>")
	default:
		_, _ = io.WriteString(w, "{}")
	}
}

// took gives what reached the hosts since it was last asked.
func (z *fileHosts) took() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	calls := z.calls
	z.calls = nil
	return calls
}

// TestFilesByPath: an app that knows only the proxy uploads and downloads, with what it sends byte for
// byte, and once more if the token was dead.
func TestFilesByPath(t *testing.T) {
	t.Parallel()
	c, z := startFileHosts(t, "", "")
	for _, test := range []struct{ method, path, body, want string }{
		{"POST", "/crm/v8/upload?a", "file", "content.zohoapis.eu/crm/v8/upload?a"},
		{"GET", "/crm/v8/upload", "", "www.zohoapis.eu/crm/v8/upload"},
		{"GET", "/_host/download-accl.zoho.eu/v2/crm/1/bulk-write/2/2.zip?x=%20&", "", "download-accl.zoho.eu/v2/crm/1/bulk-write/2/2.zip?x=%20&"},
		{"GET", "/_host/download.zoho.eu/v1/workdrive/download/a%2Fb", "", "download.zoho.eu/v1/workdrive/download/a%2Fb"},
		{"POST", "/_host/upload.zoho.eu/workdrive-api/v1/stream/upload", "more", "upload.zoho.eu/workdrive-api/v1/stream/upload"},
		{"DELETE", "/_host/workdrive.zoho.eu/api/v1/files/1", "", "workdrive.zoho.eu/api/v1/files/1"},
		{"POST", "/_host/content.zohoapis.eu/crm/v8/upload", "file", "content.zohoapis.eu/crm/v8/upload"},
	} {
		for _, dead := range []bool{false, true} {
			z.dead = dead
			c.succeed(test.method, test.path, test.body)
			want := []string{test.method + " " + test.want + " " + test.body}
			if dead {
				want = append(want, want[0])
			}
			if got := z.took(); !slices.Equal(got, want) {
				t.Errorf("%s, dead %v: %q, want %q", test.path, dead, got, want)
			}
		}
	}
	for _, path := range []string{
		"/_host/download.zoho.com/v1/workdrive/download/1", "/_host/DOWNLOAD.zoho.eu/v1", "/_host/download.zoho.eu./v1", "/_host/download.zoho.eu:443/v1",
		"/_host/www.zohoapis.eu/crm/v8/Leads", "/_host/accounts.zoho.eu/oauth/v2/token", "/_host/desk.zoho.eu/api/v1", "/_host/evil.example/x",
		"/_host//x", "/_host/../crm/v8/Leads", "/_host/download%2ezoho.eu/v1", "/v2/crm/1/bulk-write/2/2.zip",
	} {
		wantProblem(t, c.get(path), "service-unknown", http.StatusNotFound)
	}
	for _, path := range []string{"/_host/download.zoho.eu/../../crm/v8/Leads", "/_host/download.zoho.eu/..;/x", "/_host/download.zoho.eu/%252e%252e/x"} {
		wantProblem(t, c.get(path), "request-target", http.StatusBadRequest)
	}
	wantProblem(t, c.get("/_host/download.zoho.eu/a.html", "Sec-Fetch-Site", "cross-site"), "browser-refused", http.StatusForbidden)
	if got := z.took(); got != nil {
		t.Errorf("it arrived: %q", got)
	}
}

// TestFilesAreNoPages: what somebody has uploaded does not run as a page of the proxy's.
func TestFilesAreNoPages(t *testing.T) {
	t.Parallel()
	c, _ := startFileHosts(t, "", "")
	a := c.get("/_host/download.zoho.eu/v1/workdrive/download/a.html")
	policies := a.Header.Values("Content-Security-Policy")
	if a.Header.Get("X-Content-Type-Options") != "nosniff" || len(policies) != 2 || policies[0] != "frame-ancestors 'none'" ||
		!strings.Contains(policies[1], "sandbox") || !strings.Contains(policies[1], "default-src 'none'") {
		t.Errorf("%v", a.Header)
	}
	for _, direct := range []answer{c.get("/v1/workdrive/download/a.html", "Host", "download.zoho.com"), c.get("/crm/v8/a.html")} {
		if policies := direct.Header.Values("Content-Security-Policy"); len(policies) != 1 {
			t.Errorf("%s: %v", direct.Status, direct.Header)
		}
	}
}

// TestFilesAreBound: services and policies hold as they do by host.
func TestFilesAreBound(t *testing.T) {
	t.Parallel()
	const crm, drive = "/_host/download-accl.zoho.eu/v2/crm/1/a.zip", "/_host/download.zoho.eu/v1/workdrive/download/1"
	for options, want := range map[string][2]int{
		"services crm":                      {200, 404},
		"policy p {\nservices workdrive\n}": {403, 200},
		"policy p {\nservices workdrive\npaths /v1/workdrive/download/*\n}": {403, 200},
		"policy p {\nmethods POST\n}":                                       {403, 403},
	} {
		c, _ := startFileHosts(t, "", options)
		if a, b := c.get(crm), c.get(drive); a.StatusCode != want[0] || b.StatusCode != want[1] {
			t.Errorf("%s: %s, %s", options, a.Status, b.Status)
		}
		c.stop()
	}
}

// TestCustomService: a service that the operator adds is served and counted as any other.
func TestCustomService(t *testing.T) {
	t.Parallel()
	c, z := startFileHosts(t, "custom_service fax {\nhost fax.zoho.com fax.zoho.eu\npath /api/v1\n}", "services crm fax")
	for _, call := range [][2]string{{"/fax/api/v1/jobs?a=%20&", ""}, {"/fax/jobs?a=%20&", ""}, {"/api/v1/jobs?a=%20&", "fax.zoho.com"}, {"/api/v1/jobs?a=%20&", "fax.zoho.eu:8080"}} {
		header := []string{"Host", call[1]}
		if call[1] == "" {
			header = nil
		}
		c.succeed(http.MethodGet, call[0], "", header...)
		if got := z.took(); !slices.Equal(got, []string{"GET fax.zoho.eu/api/v1/jobs?a=%20& "}) {
			t.Errorf("%v: %q", call, got)
		}
	}
	if n := c.metric("zoho_requests_total", "service", "fax"); n != 4 {
		t.Errorf("%v requests are counted", n)
	}
	wantProblem(t, c.get("/login", "Host", "fax.zoho.com"), "service-unknown", http.StatusNotFound)
	wantProblem(t, c.get("/telex/x"), "service-unknown", http.StatusNotFound)
	if a := c.get("/faxx/x"); !strings.Contains(string(a.body), "crm fax") {
		t.Errorf("%s", a.body)
	}
}

// TestSDKFiles: Zoho's own SDKs upload, and download the result, with nothing but the proxy's URL. They
// are looked for where NODE_SDK and JAVA_SDK say.
func TestSDKFiles(t *testing.T) {
	t.Parallel()
	for language, test := range map[string]struct {
		where, wants string
		command      func(t *testing.T, where string) []string
	}{
		"Node": {"NODE_SDK", "a folder where `npm install @zohocrm/nodejs-sdk-8.0@2.0.0` was run", nodeSDK},
		"Java": {"JAVA_SDK", "a class path with zohocrm-java-sdk-8.0 and what that needs", func(t *testing.T, path string) []string {
			source, err := filepath.Abs("clients/Sdk.java")
			if err != nil {
				t.Fatal(err)
			}
			return []string{tool(t, "java"), "-cp", path, source}
		}},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			where := os.Getenv(test.where)
			if where == "" {
				t.Skip(test.where + " does not name " + test.wants)
			}
			c, z := startFileHosts(t, "", "answer_token_calls")
			command := append(test.command(t, where), c.url, "/_host/download-accl.zoho.eu/v2/crm/1/bulk-write/2/2.zip")
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			cmd.Dir, cmd.Env = t.TempDir(), append(testbed.Environ(), "no_proxy=127.0.0.1", "NO_PROXY=127.0.0.1")
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != "upload 200 FILE_UPLOAD_SUCCESS\ndownload 200 PK result\n" {
				t.Errorf("%v: %s", err, out)
			}
			calls := z.took()
			if len(calls) != 2 || !strings.HasPrefix(calls[0], "POST content.zohoapis.eu/crm/v8/upload") ||
				!strings.HasPrefix(calls[1], "GET download-accl.zoho.eu/v2/crm/1/bulk-write/2/2.zip") {
				t.Errorf("%q", calls)
			}
		})
	}
}

// nodeSDK copies the script to its packages: Node looks for them beside it.
func nodeSDK(t *testing.T, where string) []string {
	t.Helper()
	script, err := os.ReadFile("clients/sdk.mjs")
	if err != nil {
		t.Fatal(err)
	}
	where, err = filepath.Abs(where)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(where, "caddy-zoho-test.mjs")
	if err := os.WriteFile(copied, script, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(copied) })
	return []string{tool(t, "node"), copied}
}
