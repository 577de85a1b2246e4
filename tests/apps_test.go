package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

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

// TestHTTP10: the oldest apps there are.
func TestHTTP10(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	body := strings.Repeat("x", 100000)
	a := c.send(t, fmt.Sprintf("POST /crm/_echo HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	sum := sha256.Sum256([]byte(body))
	if a.StatusCode != http.StatusOK || a.Header.Get("X-Sim-Body-Sha256") != hex.EncodeToString(sum[:]) || a.TransferEncoding != nil {
		t.Errorf("%s %v %s", a.Status, a.TransferEncoding, a.body)
	}
	// Two on one connection, with keep-alive as 1.0 knows it; the stream's length is
	// unknown, so the connection's end is its end.
	for _, text := range []string{"GET /crm/_bytes?n=10 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /crm/_sse?n=2 HTTP/1.0\r\n\r\n"} {
		if a := c.send(t, text); a.StatusCode != http.StatusOK || a.TransferEncoding != nil || len(a.body) == 0 {
			t.Errorf("%s %v %q", a.Status, a.TransferEncoding, a.body)
		}
	}
	server.RevokeAccess("")
	if a := c.send(t, "GET /crm/v8/Leads HTTP/1.0\r\n\r\n"); a.StatusCode >= 300 {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

// TestPipelined: requests that do not wait for each other's answers.
func TestPipelined(t *testing.T) {
	t.Parallel()
	c, _, _ := startSimulated(t, zohosim.Options{})
	text := ""
	for i := range 20 {
		text += fmt.Sprintf("POST /crm/_echo?n=%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", i)
	}
	for i, a := range c.rawAnswers(t, text, 20) {
		if !strings.Contains(string(a.body), fmt.Sprintf("_echo?n=%d\"", i)) {
			t.Errorf("answer %d: %s %s", i, a.Status, a.body)
		}
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
			cmd.Env = cleanEnvironment()
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), test.want) {
				t.Errorf("%v: %.600s", err, out)
			}
		})
	}
}
