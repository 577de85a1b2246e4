// Targets: no spelling of one leads a token to a stranger, or past a guard that goes by the path.

package tests

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// rooms are the paths that guards in front of the proxy know and that nginx behind it
// serves: what one of them takes for a room, the other has to take for the same one.
var rooms = []string{"/crm/v8/Leads", "/crm", "/books/v3/contacts", "/books", "/desk/api/v1/tickets", "/desk", ""}

// judge is a Caddy that says by which room its guards know a request, and nginx behind
// it, which says in which one it ends.
type judge struct {
	sites []string // where Caddy listens: one for each way to Zoho
	conns map[string]*judged
}

type judged struct {
	net.Conn
	in *bufio.Reader
}

// judgeSites lets the processes of a fuzz run share one judge.
const judgeSites = "JUDGE_SITES"

func newJudge(tb testing.TB) *judge {
	tb.Helper()
	j := &judge{sites: strings.Fields(os.Getenv(judgeSites)), conns: map[string]*judged{}}
	if len(j.sites) == 0 {
		j.start(tb)
	}
	tb.Cleanup(func() {
		for _, conn := range j.conns {
			conn.Close()
		}
	})
	return j
}

// start runs nginx and Caddy. There is a site with all of it behind `upstream`, one with a
// data center of our own, and one with Zoho's host names, where a service has a host to itself.
func (j *judge) start(tb testing.TB) {
	tb.Helper()
	plain, simulator, ca := startNginx(tb)
	var config strings.Builder
	config.WriteString(`{
	servers {
		protocols h1 h2c
	}
	zoho {
		store bolt {$ZOHO_STORE}
		client own {
			data_center   ` + plain + ` ` + plain + `
			client_id     {env.ZOHO_CLIENT_ID}
			client_secret {env.ZOHO_CLIENT_SECRET}
			refresh_token {env.ZOHO_REFRESH_TOKEN}
		}
		client zoho {
			data_center   eu
			client_id     {env.ZOHO_CLIENT_ID}
			client_secret {env.ZOHO_CLIENT_SECRET}
			refresh_token {env.ZOHO_REFRESH_TOKEN}
			simulator     ` + simulator + ` ` + ca + `
		}
	}
}
`)
	c := newCaddy(tb, "", "ZOHO_REFRESH_TOKEN=1000.55555555555555555555555555555555.55555555555555555555555555555555")
	for _, directive := range []string{"zoho_proxy own {\n\t\t\tupstream " + plain + "\n\t\t}", "zoho_proxy own", "zoho_proxy zoho"} {
		port := freePort(tb)
		j.sites = append(j.sites, "127.0.0.1:"+port)
		config.WriteString("http://:" + port + " {\n\tbind 127.0.0.1\n")
		for i, room := range rooms {
			fmt.Fprintf(&config, "\t@%d path %s %s/*\n\thandle @%d {\n\t\theader Guard at:%s\n\t\t%s\n\t}\n", i, room, room, i, room, directive)
		}
		config.WriteString("}\n")
	}
	c.writeConfig(config.String())
	c.start()
}

// startNginx runs nginx until the test ends. Its answer is the room it has chosen.
func startNginx(tb testing.TB) (baseURL, tlsAddr, caFile string) {
	tb.Helper()
	dir, path := tb.TempDir(), tool(tb, "nginx")
	plain, secure := freePort(tb), freePort(tb)
	ca := newAuthority(tb)
	cert := ca.issue(tb, time.Now().Add(time.Hour), "accounts.zoho.eu", "www.zohoapis.eu", "desk.zoho.eu")
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	var shared, desk strings.Builder
	for _, room := range rooms { // no case, as in Caddy's guards
		const location = "\t\tlocation ~* \"^%s(/|\\z)\" { return 200 at:%s; }\n"
		fmt.Fprintf(&shared, location, room, room)
		if own, ok := strings.CutPrefix(room, "/desk"); ok {
			fmt.Fprintf(&desk, location, own, room)
		}
	}
	config := fmt.Sprintf(`daemon off;
master_process off;
pid nginx.pid;
events {}
http {
	access_log off;
	keepalive_requests 100000000;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	ssl_certificate %s;
	ssl_certificate_key %s;
	server {
		listen 127.0.0.1:%s;
		listen 127.0.0.1:%s ssl;
		location = /oauth/v2/token {
			default_type application/json;
			return 200 '{"access_token":"1000.66666666666666666666666666666666.66666666666666666666666666666666","expires_in":3600,"token_type":"Bearer"}';
		}
%s	}
	server {
		listen 127.0.0.1:%s ssl;
		server_name desk.zoho.eu;
%s	}
}
`, writePEM(tb, "CERTIFICATE", cert.Certificate[0]), writePEM(tb, "PRIVATE KEY", key), plain, secure, shared.String(), secure, desk.String())
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	said := new(testbed.Output)
	nginx, err := testbed.Start(exec.Command(path, "-p", dir, "-c", file, "-e", "stderr"), said)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nginx.Kill)
	err = nginx.Await(context.Background(), func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+secure)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	if err != nil {
		tb.Fatalf("nginx: %v\n%s", err, said)
	}
	return "http://127.0.0.1:" + plain, "127.0.0.1:" + secure, ca.file(tb)
}

// ask sends a target as it is, on a connection that is kept, and gives the room of the
// guards and that of nginx. Both are empty where the request got no further than Caddy.
func (j *judge) ask(tb testing.TB, site, target string) (guard, served string) {
	tb.Helper()
	for range 2 { // a kept connection may have ended
		conn := j.conns[site]
		if conn == nil {
			dialed, err := net.Dial("tcp", site)
			if err != nil {
				tb.Fatal(err)
			}
			conn = &judged{dialed, bufio.NewReader(dialed)}
			j.conns[site] = conn
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		_, _ = io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n")
		a, err := readAnswer(http.ReadResponse(conn.in, nil))
		if err != nil || a.Close {
			conn.Close()
			delete(j.conns, site)
		}
		if err == nil {
			return a.rooms()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			tb.Fatalf("%q: no answer", target)
		}
	}
	tb.Fatalf("%q: no answer on a connection of its own", target)
	return "", ""
}

// rooms are those of the guards and of nginx.
func (a answer) rooms() (guard, served string) {
	if a.StatusCode != http.StatusOK {
		return "", ""
	}
	return a.Header.Get("Guard"), string(a.body)
}

// pieces are what targets are made of here.
var pieces = []string{
	"/", "/crm/v8/Leads", "/crm/", "/books/v3/contacts", "/books/", "/desk/api/v1/tickets", "/desk/", "/crm", "/v8", "/Leads", "/api",
	"/..", "/../..", "/../../..", "/.", "..", ".", "//", "%2e", "%2E", "%2e%2e", "/%2e%2e", "%2f", "%2F", "%5c", `\`, `\..`, "/..;", ";", ";x=1",
	"#", "%23", "?", "%3f", "%3F", "&", "=", "%25", "%252e", "%252e%252e", "%252f", "%c0%ae", "%c0%ae%c0%ae", "%c0%af", "%e0%80%ae", "%00", "%0a", "%20",
	"%63rm", "/CRM/V8", "/Books", "a", "x", "1", ",", "(", ")", "'", "%27", "+", "*", "@", ":", "://", "http:/", "~", "!", "$", "[", "]", "{", "|", "^", "\"", "<",
	"é", "%c3%a9", "%e9", "\xe9", "\xc0\xae", "%zz", "%", "\x7f",
}

// targetOf reads a target from bytes: each is a piece, or itself.
func targetOf(from []byte) string {
	var b strings.Builder
	for _, n := range from {
		if int(n) < len(pieces) {
			b.WriteString(pieces[n])
		} else {
			b.WriteByte(n)
		}
	}
	return b.String()
}

// hostileTargets aim at a room that the guards are not to see.
var hostileTargets = []string{
	"/books/v3/contacts#/../../../crm/v8/Leads", "/books/v3/contacts?#/../../../crm/v8/Leads", "/crm/v8/Leads#", "/crm/v8/Leads?q=#x", "/books/#?/../../crm/v8/Leads", "/#/../crm/v8/Leads",
	"http://x/books/v3/contacts#/../../../crm/v8/Leads", "http://127.0.0.1/books/#/../../crm/",
	"/books/..;/crm/v8/Leads", `/books/..\crm/v8/Leads`, "/books/..%5ccrm/v8/Leads", "/books/%2e%2e/crm/v8/Leads", "/books%2f..%2fcrm%2fv8/Leads", "/books/%252e%252e/crm/v8/Leads",
	"/books/%c0%ae%c0%ae/crm/v8/Leads", "//crm/v8/Leads", "/books//../crm/v8/Leads", "/desk/../crm/v8/Leads", "/desk/%2e%2e/crm/v8/Leads", "/desk/x/../../crm/v8/Leads", "/crm/../desk/api/v1/tickets",
	"/crm;x/v8/Leads", "/%63rm/v8/Leads", "/CRM/v8/Leads", "/crm/v8/Leads%00/../../../books/", "/desk//api/v1/tickets", "/desk/?/../../crm/v8/Leads",
}

// wantSameRoom: a request ends where the guards took it for. served tells whether it got there.
func (j *judge) wantSameRoom(tb testing.TB, site, target string) (served bool) {
	tb.Helper()
	guard, room := j.ask(tb, site, target)
	if guard != room {
		tb.Errorf("%q: to the guards it is %q, to nginx %q", target, guard, room)
	}
	return room != ""
}

// TestTargetsAreReadAlike is S-66: whatever stands in a target, guards by path in front of
// the proxy see the path that the server behind it serves. nginx is the judge.
func TestTargetsAreReadAlike(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	random := rand.New(rand.NewPCG(66, 2))
	served, n := 0, 0
	for _, site := range j.sites {
		targets := append(hostileTargets, oddTargets[:len(oddTargets)-2]...) // those are too long for nginx
		for range 3000 {
			from := []byte{byte(random.IntN(12))}
			for range random.IntN(9) {
				from = append(from, byte(random.IntN(len(pieces))))
			}
			targets = append(targets, targetOf(from))
		}
		for _, target := range targets {
			if n++; j.wantSameRoom(t, site, target) {
				served++
			}
		}
	}
	t.Logf("%d of %d targets were served", served, n)
	if served < n/5 {
		t.Error("these are too few to tell")
	}
}

// TestTargetsAreReadAlikeOverHTTP2: there a target comes in a header, where more is allowed.
func TestTargetsAreReadAlikeOverHTTP2(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	transport := &http.Transport{Protocols: h2c()}
	t.Cleanup(transport.CloseIdleConnections)
	served := 0
	for _, site := range j.sites {
		for _, target := range append([]string{"/books/v3/contacts HTTP/1.1/../../../../crm/v8/Leads", "/crm/v8/Leads x", "/crm/v8/Leads?a b"}, hostileTargets...) {
			if target[0] != '/' || target[1] == '/' {
				continue // Go's client writes no such target
			}
			req := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: site, Opaque: target}, Host: site, Header: http.Header{}}
			a, err := readAnswer(transport.RoundTrip(req))
			if err != nil {
				t.Fatalf("%q: %v", target, err)
			}
			if guard, room := a.rooms(); guard != room {
				t.Errorf("%q: to the guards it is %q, to nginx %q", target, guard, room)
			} else if room != "" {
				served++
			}
			if strings.ContainsAny(target, "# ") {
				wantProblem(t, a, "request-target", http.StatusBadRequest)
			}
		}
	}
	if served == 0 {
		t.Error("nothing was served")
	}
}

// TestMisreadTargetsAreNamed: who sends a target that is read in several ways is told so,
// whatever the request is for, and nothing goes out.
func TestMisreadTargetsAreNamed(t *testing.T) {
	t.Parallel()
	r := startRecorder(t)
	_, baseURL, grant := sim(t, zohosim.Options{})
	config := strings.Replace(oneClient, "\tzoho_health\n", "\tzoho_health\n\trewrite /rewritten /crm/v8/Leads?{query}\n", 1)
	plain := startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+r.url, "ZOHO_REFRESH_TOKEN="+grant, "ZOHO_PROXY_OPTIONS=answer_token_calls")
	zoho, server := startZoho(t, zohosim.GrantSpec{})
	for _, test := range []struct {
		c      *proxy
		target string
	}{
		{plain, "/crm/v8/Leads#"}, {plain, "/crm/v8/Leads?q=a#b"}, {plain, "/rewritten?q=a#b"}, {plain, "http://" + plain.hostport() + "/crm/v8/Leads#x"}, {plain, "http://www.zohoapis.com/crm?#"},
		{plain, "/crm/..;/books/v3/contacts"}, {plain, "/books/%252e%252e/crm/v8/Leads"}, {plain, "/crm//../books"}, {plain, "/oauth/v2/token?grant_type=refresh_token#x"}, {plain, "/oauth/v2/token#"},
		{zoho, "/desk/../crm/v8/Leads"}, {zoho, "/desk/api/%2e%2e/%2e%2e/crm/v8/Leads"}, {zoho, "/desk/.."}, {zoho, "/desk/api/v1/tickets#"},
	} {
		a := test.c.send(t, "POST "+test.target+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		if a.StatusCode != http.StatusBadRequest || a.problem() != "request-target" {
			t.Errorf("%s: %s %s", test.target, a.Status, a.problem())
		}
	}
	if n := len(r.take()); n != 0 || len(server.Stats().APIRequests) != 0 {
		t.Errorf("%d requests, and %v, went out", n, server.Stats().APIRequests)
	}
	if a := zoho.get("/desk/api/../api/v1/tickets"); !fromZohoOrUs(a) || a.problem() != "" {
		t.Errorf("dot segments within a service: %s %s", a.Status, a.problem())
	}
}

// FuzzTargets is TestTargetsAreReadAlike with targets that nobody has thought of.
func FuzzTargets(f *testing.F) {
	j := newJudge(f)
	f.Setenv(judgeSites, strings.Join(j.sites, " "))
	for i := range pieces {
		f.Add(byte(i), []byte{3, byte(i), 13, 1}) // /books/v3/contacts, the piece, /../../.., /crm/v8/Leads
	}
	f.Fuzz(func(t *testing.T, way byte, from []byte) {
		target := targetOf(from)
		if strings.ContainsAny(target, "\r\n") {
			t.Skip("two lines")
		}
		j.wantSameRoom(t, j.sites[int(way)%len(j.sites)], target)
	})
}

// foreignTargets are requests that aim at another server; %s is its address. Some are
// malformed, and refused before anybody looks at them.
var foreignTargets = []struct{ target, host string }{
	{"http://%s/crm/v8/Leads", "x"}, {"https://%s/crm/v8/Leads", "x"}, {"http://%s", "x"}, {"http://%s?crm", "x"}, {"HTTP://%s/crm/v8/Leads", "www.zohoapis.com"},
	{"http://www.zohoapis.com@%s/crm/v8/Leads", "x"}, {"http://user:pw@%s/crm/v8/Leads", "x"}, {"http://%s/crm/v8/Leads", "www.zohoapis.com"},
	{"http://%s:80/crm/v8/Leads", "x"}, {"//%s/crm/v8/Leads", "x"}, {"//%s/%%2e%%2e/crm", "x"}, {"///%s/crm", "x"}, {"/\\%s/crm", "x"}, {"\\\\%s\\crm", "x"},
	{"/crm/v8/Leads", "%s"}, {"/", "%s"}, {"/crm/v8/Leads", "www.zohoapis.com@%s"}, {"/crm/v8/Leads", "www.zohoapis.com, %s"}, {"/crm/v8/Leads", "%s#.zohoapis.com"},
	{"/crm/v8/Leads", "%s/.zohoapis.com"}, {"/crm/v8/Leads", "%s?.zohoapis.com"}, {"/crm@%s/", "x"}, {"/crm:x@%s/", "x"}, {"@%s/crm", "x"}, {":@%s/crm", "x"}, {".%s/crm", "x"},
	{"/crm/http://%s/", "x"}, {"/crm/v8/Leads?url=http://%s/", "x"}, {"/desk@%s/", "x"}, {"/desk//%s/", "x"}, {"/desk/%%2f%%2f%s/", "x"}, {"/desk/\\%s", "x"}, {"/desk/@%s/", "x"},
	{"/desk?@%s/", "x"}, {"/desk#@%s/", "x"}, {"/mail/:80@%s/", "x"}, {"/mail/../../%s/", "x"}, {"/mail/..;/@%s", "x"}, {"http:%s/crm", "x"}, {"http:/%s/crm", "x"}, {"gopher://%s/crm", "x"},
	{"/crm/v8/Leads HTTP/1.1\\r\\nHost: %s\\r\\n", "x"}, {"*@%s", "x"}, {"%s", "x"},
}

// foreignHosts are names that look like Zoho's.
var foreignHosts = []string{
	"www.zohoapis.com.evil.example", "evil-zohoapis.com", "www.zohoapis.com.", "www.zohoapis.com:8443", "www.zohoapis.com:0", "xn--zohoapis-q2c.com", "www.zohoapis.c\u043em",
	"WWW\u3002zohoapis.com", "zoho.com.evil.tld", "accounts.zoho.com", "accounts.zoho.eu", "www.zohoapis.eu", "desk.zoho.eu", "desk.zoho.com.cn", "www.zoho\u017fapis.com", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]",
	"169.254.169.254", "0x7f000001", "2130706433", "localhost", "metadata.google.internal", "www.zohoapis.com%00.evil.example", "user@www.zohoapis.com",
}

// TestForeignTargets is S-02: no spelling of a target takes a request, and with it
// the token, anywhere but to the connection's own Zoho.
func TestForeignTargets(t *testing.T) {
	t.Parallel()
	plain, plainSim, _ := startSimulated(t, zohosim.Options{})
	zoho, zohoSim := startZoho(t, zohosim.GrantSpec{})
	for name, c := range map[string]*proxy{"own data center": plain, "Zoho's host names": zoho} {
		t.Run(name, func(t *testing.T) {
			foreign := startRecorder(t)
			fill := func(format string) string {
				return strings.ReplaceAll(strings.ReplaceAll(format, "%s", foreign.addr), "%%", "%")
			}
			for _, test := range foreignTargets {
				c.checkNotEmpty(t, "GET "+fill(test.target)+" HTTP/1.1\r\nHost: "+fill(test.host)+"\r\nConnection: close\r\n\r\n")
			}
			for _, host := range foreignHosts {
				for _, target := range []string{"/crm/v8/Leads", "/api/v1/tickets", "http://" + host + "/crm/v8/Leads", "https://" + host + "/desk/api/v1/tickets"} {
					c.checkNotEmpty(t, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
				}
			}
			if n := foreign.connections(); n != 0 {
				t.Errorf("the foreign host saw %d connections: %v", n, foreign.take())
			}
		})
	}
	for _, server := range []*zohosim.Server{plainSim, zohoSim} {
		if n := server.Stats().Malformed; n != 0 {
			t.Errorf("%d malformed requests", n)
		}
	}
}

// checkNotEmpty: an answer of Zoho's or ours, or 400 for what is no HTTP.
func (c *proxy) checkNotEmpty(t *testing.T, text string) {
	t.Helper()
	if a := c.send(t, text); !fromZohoOrUs(a) && a.StatusCode != http.StatusBadRequest {
		t.Errorf("%q: %s %v %.100s", text, a.Status, a.Header, a.body)
	}
}

// TestForeignTargetsAreNamed: absolute targets of others are refused as such, also
// behind a rewrite; our own address in them counts as no host at all.
func TestForeignTargetsAreNamed(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	config := strings.Replace(oneClient, "zoho_proxy {", "handle_path /zoho/* {\n\t\tzoho_proxy\n\t}\n\tzoho_proxy {", 1)
	c := startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	tests := []struct {
		target string
		code   string
	}{
		{"http://www.example.com/crm/v8/Leads", "target"}, {"http://www.example.com/zoho/crm/v8/Leads", "target"}, {"https://127.0.0.1:1/zoho/crm/v8/Leads?x", "target"},
		{"http://accounts.zoho.com/oauth/v2/token", "target"}, {"http://accounts.zoho.com/zoho/crm/v8/Leads", "target"}, {"http://www.zohoapis.eu/zoho/crm/v8/Leads", "data-center"},
		{"http://www.zohoapis.com/crm/v8/Leads", ""}, {"http://www.zohoapis.com/zoho/crm/v8/Leads", ""}, {"http://crm.zoho.com/zoho/crm/v8/Leads", ""},
		{c.url + "/crm/v8/Leads", ""}, {c.url + "/zoho/crm/v8/Leads", ""}, {strings.Replace(c.url, "127.0.0.1", "LOCALhost", 1) + "/zoho/crm/v8/Leads", ""},
	}
	for _, test := range tests {
		a := c.send(t, "GET "+test.target+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if a.problem() != test.code || test.code == "" && (a.StatusCode >= 300 || !fromZohoOrUs(a)) || test.code != "" && a.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: %s %q %s, want %q", test.target, a.Status, a.problem(), a.body, test.code)
		}
	}
	if n := server.Stats().TokenRequests; n != 1 {
		t.Errorf("%d token requests", n)
	}
}

// TestGuardsByPath: what stands in front of the proxy and goes by the path sees the path that
// is asked of Zoho, whatever form the request line has.
func TestGuardsByPath(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	guarded := strings.Replace(oneClient, "\tzoho_proxy", "\t@closed not path /crm/v8/Leads*\n\trespond @closed 451\n\tzoho_proxy", 1)
	c := startCaddy(t, guarded, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	get := func(target string) answer { return c.send(t, "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n") }
	if a := get("/books/v3/contacts"); a.StatusCode != 451 {
		t.Fatalf("there is no guard: %s", a.Status)
	}
	if a := get("http://" + c.hostport() + "/crm/v8/Leads?u=://a/crm/v8/org"); a.StatusCode != http.StatusOK && a.StatusCode != http.StatusNoContent {
		t.Errorf("a whole address: %s", a.Status)
	}
	asked := server.Stats().APIRequests["books"] + server.Stats().APIRequests["desk"]
	for _, target := range []string{
		"x:/crm/v8/Leads?u=://a/books/v3/contacts", "http:/crm/v8/Leads?u=://a/books/v3/contacts", "x://localhost/crm/v8/Leads",
		"x:/crm/v8/Leads://a/desk/api/v1/tickets", "ws://" + c.hostport() + "/crm/v8/Leads", "*",
	} {
		if a := get(target); a.problem() != "request-target" && a.StatusCode != 451 {
			t.Errorf("%s: %s %s", target, a.Status, a.problem())
		}
	}
	get("/crm/v8/Leads?u=://a/books/v3/contacts")
	if n := server.Stats().APIRequests["books"] + server.Stats().APIRequests["desk"]; n != asked {
		t.Errorf("%d requests went round the guard", n-asked)
	}
}
