// HTTP in every form that clients and Caddy speak: 1.0, 1.1, 2, TLS, Unix sockets, WebSocket, event
// streams, and what is smuggled in them.

package tests

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// startTLSSite starts Caddy with an https site and gives the HTTP client that trusts
// it, which speaks the protocols set in p.
func startTLSSite(t *testing.T, p *http.Protocols, site string, roots func(c *proxy) *x509.CertPool) (*proxy, *http.Client, *zohosim.Server) {
	t.Helper()
	server, baseURL, grant := sim(t, zohosim.Options{})
	config := strings.Replace(oneClient, "{\n\tzoho {", "{\n\tskip_install_trust\n\tauto_https disable_redirects\n\tzoho {", 1)
	config = strings.Replace(config, "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n", site, 1)
	c := startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	c.url = strings.Replace(c.url, "http://127.0.0.1", "https://localhost", 1)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots(c)}, Protocols: p}
	t.Cleanup(transport.CloseIdleConnections)
	return c, &http.Client{Transport: transport}, server
}

func http1() *http.Protocols { return only(func(p *http.Protocols) { p.SetHTTP1(true) }) }

func http2() *http.Protocols { return only(func(p *http.Protocols) { p.SetHTTP2(true) }) }

// TestTLSSites: an app that insists on https reaches Zoho through a certificate of
// the operator's or of Caddy's own authority, over HTTP/1.1 and HTTP/2.
func TestTLSSites(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert := ca.issue(t, time.Now().Add(time.Hour), "localhost", "127.0.0.1")
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	own := "https://localhost:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\ttls " + writePEM(t, "CERTIFICATE", cert.Certificate[0]) + " " + writePEM(t, "PRIVATE KEY", key) + "\n"
	internal := "https://localhost:{$ZOHO_PORT} {\n\tbind 127.0.0.1\n\ttls internal\n"
	tests := []struct {
		name, site string
		protocols  *http.Protocols
		roots      func(*proxy) *x509.CertPool
		proto      string
	}{
		{"own certificate, HTTP/1.1", own, http1(), func(*proxy) *x509.CertPool { return ca.pool() }, "HTTP/1.1"},
		{"own certificate, HTTP/2", own, http2(), func(*proxy) *x509.CertPool { return ca.pool() }, "HTTP/2.0"},
		{"tls internal, HTTP/2", internal, http2(), internalRoots, "HTTP/2.0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, client, server := startTLSSite(t, test.protocols, test.site, test.roots)
			if got := exercise(t, client, c.url, server); got != test.proto {
				t.Errorf("spoken: %s, want %s", got, test.proto)
			}
		})
	}
}

// internalRoots are those of `tls internal`, made when Caddy starts.
func internalRoots(c *proxy) *x509.CertPool {
	pool := x509.NewCertPool()
	c.waitFor("the internal authority", func() bool {
		root, err := os.ReadFile(filepath.Join(c.dir, "caddy", "pki", "authorities", "local", "root.crt"))
		return err == nil && pool.AppendCertsFromPEM(root)
	})
	c.waitFor("the site's certificate", func() bool {
		conn, err := tls.Dial("tcp", c.hostport(), &tls.Config{RootCAs: pool, ServerName: "localhost"})
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	return pool
}

// TestH2C: HTTP/2 without TLS, where the operator allows it.
func TestH2C(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	c := startCaddy(t, withServers("protocols h1 h2c"), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	transport := &http.Transport{Protocols: h2c()}
	t.Cleanup(transport.CloseIdleConnections)
	if got := exercise(t, &http.Client{Transport: transport}, c.url, server); got != "HTTP/2.0" {
		t.Errorf("spoken: %s", got)
	}
}

// exercise makes the calls of an app and gives the protocol that was spoken.
func exercise(t *testing.T, client *http.Client, base string, server *zohosim.Server) string {
	t.Helper()
	proto := ""
	for _, path := range []string{"/crm/v8/Leads", "/books/v3/contacts?organization_id=60001234567", "/desk/api/v1/tickets"} {
		res, err := client.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode >= 300 || res.Header.Get("X-Sim-Request-Id") == "" {
			t.Errorf("%s: %s %s", path, res.Status, body)
		}
		proto = res.Proto
	}
	upload := newPattern(5 << 20)
	res, err := client.Post(base+"/crm/_echo?a,b&", "application/octet-stream", upload)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var echo struct {
		URI    string `json:"uri"`
		SHA256 string `json:"sha256"`
	}
	if err := json.NewDecoder(res.Body).Decode(&echo); err != nil || echo.SHA256 != upload.sum() || !strings.HasSuffix(echo.URI, "_echo?a,b&") {
		t.Errorf("%s %v %+v", res.Status, err, echo)
	}
	if n := server.Stats().Malformed; n != 0 {
		t.Errorf("%d requests with more than one Authorization", n)
	}
	return proto
}

// TestUpgradeOffers: many HTTP clients offer h2c to a plain http server. Zoho is
// spoken to by HTTP/2 already, and an Upgrade header would be an error there.
func TestUpgradeOffers(t *testing.T) {
	t.Parallel()
	c, _ := startZoho(t, zohosim.GrantSpec{})
	offers := []string{
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
		"Connection: upgrade\r\nUpgrade: TLS/1.0\r\n", "Connection: Upgrade\r\nUpgrade: foo, h2c\r\n", "Upgrade: h2c\r\n",
	}
	for _, offer := range offers {
		for _, path := range []string{"/crm/v8/Leads", "/desk/api/v1/tickets"} {
			a := c.send(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\n"+offer+"\r\n")
			if a.StatusCode >= 300 || a.Header.Get("X-Sim-Request-Id") == "" {
				t.Errorf("%q: %s %s", offer, a.Status, a.body)
			}
		}
	}
}

// TestWebSocket: an upgrade passes, bytes flow both ways, and the request for it
// bears the token.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	plain, _, _ := startSimulated(t, zohosim.Options{})
	secure, _ := startZoho(t, zohosim.GrantSpec{})
	for name, c := range map[string]*proxy{"http": plain, "https": secure} {
		conn := c.dial(t)
		defer conn.Close()
		fmt.Fprint(conn, "GET /crm/_ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		in := bufio.NewReader(conn)
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
			t.Fatalf("%s: %v %+v", name, err, res)
		}
		for _, word := range []string{"first", "second"} {
			frame := append([]byte{0x81, 0x80 | byte(len(word)), 0, 0, 0, 0}, word...)
			if _, err := conn.Write(frame); err != nil {
				t.Fatal(err)
			}
			back := make([]byte, 2+len(word))
			if _, err := io.ReadFull(in, back); err != nil || string(back[2:]) != word {
				t.Errorf("%s: %v %q", name, err, back)
			}
		}
	}
}

// TestWebSocketAfterRevocation: the handshake is what meets the dead token.
func TestWebSocketAfterRevocation(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{})
	c.get("/crm/v8/Leads")
	server.RevokeAccess(grant)
	conn := c.dial(t)
	defer conn.Close()
	fmt.Fprint(conn, "GET /crm/_ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("%v %+v", err, res)
	}
}

// TestRawUpgrade: after the 101 the proxy adds and takes nothing.
func TestRawUpgrade(t *testing.T) {
	t.Parallel()
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		r.handle(func(conn net.Conn, in *bufio.Reader, _ rawRequest) {
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-From: zoho\r\n\r\nhello")
			_, _ = io.Copy(conn, in)
		})
		conn := c.dial(t)
		defer conn.Close()
		fmt.Fprint(conn, "GET "+prefix+"/ws?a,b& HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n")
		in := bufio.NewReader(conn)
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("X-From") != "zoho" {
			t.Fatalf("%v %+v", err, res)
		}
		fmt.Fprint(conn, "\x00\xffraw")
		got := make([]byte, len("hello\x00\xffraw"))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != "hello\x00\xffraw" {
			t.Errorf("%v %q", err, got)
		}
		request := r.one(t)
		request.checkToken(t)
		if request.target != prefix+"/ws?a,b&" || !slices.Equal(request.values("Upgrade"), []string{"websocket"}) || request.values("Sec-WebSocket-Key") == nil {
			t.Errorf("arrived %s %q", request.target, request.fields)
		}
	})
}

// TestEventStream: an event arrives before the next one is sent, over HTTP/1.1 and h2c.
func TestEventStream(t *testing.T) {
	t.Parallel()
	r := startRecorder(t)
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := startCaddy(t, withServers("protocols h1 h2c"), "ZOHO_DATA_CENTER="+baseURL+" "+r.url, "ZOHO_REFRESH_TOKEN="+grant)
	for name, p := range map[string]*http.Protocols{"HTTP/1.1": http1(), "h2c": h2c()} {
		seen := make(chan bool)
		r.handle(func(conn net.Conn, _ *bufio.Reader, _ rawRequest) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
			for range 3 {
				_, _ = io.WriteString(conn, "9\r\ndata: x\n\n\r\n")
				<-seen
			}
			_, _ = io.WriteString(conn, "0\r\n\r\n")
		})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/crm/stream", nil)
		transport := &http.Transport{Protocols: p}
		defer transport.CloseIdleConnections()
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		event := make([]byte, len("data: x\n\n"))
		for i := range 3 {
			if _, err := io.ReadFull(res.Body, event); err != nil {
				t.Fatalf("%s: event %d: %v", name, i, err)
			}
			seen <- true
		}
		if rest, err := io.ReadAll(res.Body); err != nil || len(rest) != 0 {
			t.Errorf("%s: %v %q", name, err, rest)
		}
	}
}

// TestConnectionHeader is S-01: whatever Connection names, exactly one Authorization
// arrives, and no token is spent on it.
func TestConnectionHeader(t *testing.T) {
	t.Parallel()
	spellings := []string{
		"Connection: Authorization\r\n", "Connection: authorization\r\n", "connection: AUTHORIZATION\r\n", "Connection: keep-alive, aUTHORIZATION\r\n",
		"Connection: keep-alive\r\nConnection: authorization\r\n", "Connection: Authorization,Host,Content-Length\r\n",
		"Connection: Zoho-Proxy-Account, authorization\r\n", "Connection: ,authorization,,\r\n", "Connection:\tauthorization \r\n",
		"Connection: close, authorization\r\n", "Connection: Authorization\r\nAuthorization: Bearer EVIL\r\n", "Proxy-Connection: authorization\r\n",
		"Connection: Upgrade, Authorization\r\nUpgrade: websocket\r\n", "Connection: TE, Authorization\r\nTE: trailers\r\n", "Keep-Alive: authorization\r\nConnection: keep-alive\r\n",
	}
	for _, account := range []string{"account default", "account {http.request.header.Zoho-Proxy-Account}"} {
		startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
			for _, spelling := range spellings {
				a := c.send(t, "GET "+prefix+"/ HTTP/1.1\r\nHost: x\r\nZoho-Proxy-Account: default\r\n"+spelling+"\r\n")
				if a.StatusCode != http.StatusOK {
					t.Errorf("%q: %s %s", spelling, a.Status, a.body)
					continue
				}
				got := r.one(t)
				got.checkToken(t)
			}
			if n := c.metric("zoho_token_requests_total"); n != 1 {
				t.Errorf("%v token requests, want 1", n)
			}
		}, account)
	}
}

// TestSmuggling is S-07: odd framing is refused or normalised; Zoho sees one request
// for each that was answered, and never one that hid in another.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	hidden := "GET /crm/HIDDEN HTTP/1.1\r\nHost: x\r\n\r\n"
	tests := []struct{ name, text string }{
		{"CL and TE", "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden},
		{"TE and CL", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n0\r\n\r\n" + hidden},
		{"two CL", "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n" + hidden},
		{"CL list", "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 44\r\n\r\n" + hidden},
		{"CL signed", "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: +44\r\n\r\n" + hidden},
		{"CL negative", "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n" + hidden},
		{"CL hexadecimal", "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0x2c\r\n\r\n" + hidden},
		{"CL and blank", "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length : 44\r\n\r\n" + hidden},
		{"TE and blank", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden},
		{"TE odd", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden},
		{"TE list", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + hidden},
		{"TE twice", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden},
		{"TE vertical tab", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + hidden},
		{"bare LF chunks", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n" + hidden},
		{"chunk size too large", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff0\r\na\r\n0\r\n\r\n" + hidden},
		{"chunk size signed", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n" + hidden},
		{"chunk extension with LF", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n" + hidden},
		{"chunk longer than said", "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n" + hidden},
		{"obs-fold", "GET %s HTTP/1.1\r\nHost: x\r\nX-Fold: a\r\n Content-Length: 44\r\n\r\n" + hidden},
		{"first line folded", "GET %s HTTP/1.1\r\n Host: y\r\nHost: x\r\n\r\n" + hidden},
		{"NUL in a value", "GET %s HTTP/1.1\r\nHost: x\r\nX-Nul: a\x00b\r\n\r\n" + hidden},
		{"NUL in a name", "GET %s HTTP/1.1\r\nHost: x\r\nX\x00: a\r\n\r\n" + hidden},
		{"CR in a value", "GET %s HTTP/1.1\r\nHost: x\r\nX-Cr: a\rAuthorization: EVIL\r\n\r\n" + hidden},
		{"blank in a name", "GET %s HTTP/1.1\r\nHost: x\r\nX Y: a\r\n\r\n" + hidden},
		{"no name", "GET %s HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n" + hidden},
		{"pseudo header", "GET %s HTTP/1.1\r\nHost: x\r\n:authority: evil\r\n\r\n" + hidden},
		{"two Hosts", "GET %s HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + hidden},
		{"no Host", "GET %s HTTP/1.1\r\n\r\n" + hidden},
		{"bare LF", "GET %s HTTP/1.1\nHost: x\n\n" + hidden},
		{"HTTP/1.0 and TE", "POST %s HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden},
		{"HTTP/0.9", "GET %s\r\n\r\n" + hidden},
		{"blanks in the target", "GET %s HIDDEN HTTP/1.1\r\nHost: x\r\n\r\n" + hidden},
		{"tab in the target", "GET %s\tx HTTP/1.1\r\nHost: x\r\n\r\n" + hidden},
		{"Trailer of a length", "POST %s HTTP/1.1\r\nHost: x\r\nTrailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 44\r\n\r\n" + hidden},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden},
	}
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				text := strings.ReplaceAll(strings.Replace(test.text, "%s", prefix+"/FIRST", 1), "/crm/HIDDEN", prefix+"/HIDDEN")
				passed := 0
				for _, status := range c.statuses(t, text+"GET "+prefix+"/LAST HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") {
					if status == http.StatusOK {
						passed++
					} else if status < 400 {
						t.Errorf("status %d", status)
					}
				}
				arrived := r.take()
				if len(arrived) > passed {
					t.Errorf("%d requests arrived, %d were answered with 200", len(arrived), passed)
				}
				for _, request := range arrived {
					request.checkToken(t)
					if strings.Contains(request.target, " ") || strings.Contains(string(request.body), "HIDDEN") {
						t.Errorf("arrived %s %q", request.target, request.body)
					}
				}
			})
		}
	})
}

// statuses sends text and gives the status of each answer until the server hangs up.
func (c *proxy) statuses(t *testing.T, text string) []int {
	t.Helper()
	conn := c.dial(t)
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return nil
	}
	var statuses []int
	in := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(in, nil)
		if os.IsTimeout(err) {
			t.Error("the server neither answers nor hangs up")
		}
		if err != nil {
			return statuses
		}
		statuses = append(statuses, res.StatusCode)
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return statuses
		}
	}
}

// TestHeadAfterRevocation: the answer to HEAD has no body that says why it is refused;
// it is worth a token as other ambiguous refusals are.
func TestHeadAfterRevocation(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/crm/v8/Leads", "/desk/api/v1/tickets"} {
		c, server, grant := startSimulated(t, zohosim.Options{})
		c.get(path)
		c.stop()
		ageToken(t, c, 2*time.Minute)
		server.RevokeAccess(grant)
		c.start()
		if a := c.call(http.MethodHead, path, nil); a.StatusCode >= 300 {
			t.Errorf("HEAD %s: %s %v", path, a.Status, a.Header)
		}
		wantTokenCalls(t, server, 2)
		server.AddFault(zohosim.Fault{Where: "*", Kind: zohosim.FaultRefuse, Body: zohosim.CaseScope})
		for range 5 {
			if a := c.call(http.MethodHead, path, nil); a.StatusCode < 400 {
				t.Errorf("HEAD %s: %s %v", path, a.Status, a.Header)
			}
		}
		wantTokenCalls(t, server, 2)
	}
}

// TestExpect: an app that asks before it sends is answered by Zoho, not by us: with 100
// when Zoho wants the body. When it does not, the body stays here; Caddy's server hands
// on the refusal once the app has lost patience and sent it.
func TestExpect(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, first, final string }{
		{"wanted", "HTTP/1.1 100 Continue\r\n\r\n", okAnswer},
		{"refused", "", "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			arrived := make(chan string, 1)
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				in := bufio.NewReader(conn)
				_, _ = in.ReadString('\n')
				fields, _ := readFields(in)
				body := make([]byte, 5)
				if test.first != "" {
					_, _ = io.WriteString(conn, test.first)
					_, _ = io.ReadFull(in, body)
				}
				arrived <- strings.Join(valuesOf(fields, "Expect"), ",") + " " + string(body)
				_, _ = io.WriteString(conn, test.final)
			}()
			_, baseURL, grant := sim(t, zohosim.Options{})
			c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" http://"+l.Addr().String(), "ZOHO_REFRESH_TOKEN="+grant)
			conn := c.dial(t)
			defer conn.Close()
			in := bufio.NewReader(conn)
			fmt.Fprint(conn, "POST /crm/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
			if test.first != "" {
				line, err := in.ReadString('\n')
				if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
					t.Fatalf("%v %q", err, line)
				}
				_, _ = readFields(in)
				fmt.Fprint(conn, "hello")
			}
			got := <-arrived
			if test.first == "" {
				fmt.Fprint(conn, "hello")
			}
			res, err := http.ReadResponse(in, nil)
			for err == nil && res.StatusCode == http.StatusContinue { // Caddy's server may say it once more by itself
				res, err = http.ReadResponse(in, nil)
			}
			if err != nil || !strings.HasPrefix(test.final, fmt.Sprintf("HTTP/1.1 %d ", res.StatusCode)) {
				t.Fatalf("%v %+v", err, res)
			}
			want := "100-continue hello"
			if test.first == "" {
				want = "100-continue " + strings.Repeat("\x00", 5)
			}
			if got != want {
				t.Errorf("arrived %q, want %q", got, want)
			}
		})
	}
}

// TestHTTP2Inbound: a target, headers and trailers of an HTTP/2 app arrive as those of
// an HTTP/1.1 app do.
func TestHTTP2Inbound(t *testing.T) {
	t.Parallel()
	r := startRecorder(t)
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := startCaddy(t, withServers("protocols h1 h2c\n\t\tmax_header_size 1MiB"), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant,
		"ZOHO_PROXY_OPTIONS=upstream "+r.url)
	transport := &http.Transport{Protocols: h2c()}
	t.Cleanup(transport.CloseIdleConnections)
	for _, target := range oddTargets {
		if strings.HasPrefix(target, "//") {
			continue // net/http's client cannot send it
		}
		req, _ := http.NewRequest(http.MethodPost, c.url, io.MultiReader(strings.NewReader("abc")))
		req.URL.Opaque = target
		req.Header = http.Header{"Authorization": {"Bearer EVIL", "Basic EVIL"}, "Cookie": {"a=b", "c=d"}, "X-Repeat": {"1", "2"}, "Te": {"trailers"}, "X-Forwarded-For": {"9.9.9.9"}}
		req.Trailer = http.Header{"Cookie": {"EVIL"}, "X-Sum": {"7"}} // Authorization is refused by net/http
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%.80s: %v", target, err)
		}
		_ = res.Body.Close()
		got := r.one(t)
		got.checkToken(t)
		if got.target != target || string(got.body) != "abc" || !slices.Equal(valuesOf(got.trailer, "X-Sum"), []string{"7"}) ||
			!slices.Equal(got.values("X-Repeat"), []string{"1", "2"}) || got.values("Cookie") != nil || got.values("X-Forwarded-For") != nil {
			t.Errorf("%.80q arrived as %.80q, %q, %.200q, trailer %q", target, got.target, got.body, got.fields, got.trailer)
		}
	}
	res, err := transport.RoundTrip(&http.Request{Method: http.MethodConnect, URL: &url.URL{Scheme: "http", Host: c.hostport()}, Host: "www.zohoapis.com:443", Header: http.Header{}})
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Zoho-Proxy-Error") != "connect-unsupported" {
		t.Errorf("CONNECT: %s %v", res.Status, res.Header)
	}
}

// TestTargetsOverHTTP2: the request target is the app's also where Zoho speaks HTTP/2,
// behind the shared gateway and at a host of a service's own.
func TestTargetsOverHTTP2(t *testing.T) {
	t.Parallel()
	c, _ := startZoho(t, zohosim.GrantSpec{}, "ZOHO_PROXY_OPTIONS=")
	for _, service := range []struct{ prefix, strip string }{{"/crm", ""}, {"/desk", "/desk"}} {
		for _, target := range oddTargets {
			if len(target) > 10000 || service.strip != "" && (strings.HasPrefix(target, "//") || strings.HasPrefix(target, "/%2e%2e/")) {
				continue // the last leads out of the service, and is refused
			}
			path, query, hasQuery := strings.Cut(target, "?")
			target = service.prefix + path + "/_echo"
			if hasQuery {
				target += "?" + query
			}
			a := c.send(t, "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n")
			var echo struct{ URI, Proto, Host string }
			if json.Unmarshal(a.body, &echo) != nil || echo.URI != strings.TrimPrefix(target, service.strip) || echo.Proto != "HTTP/2.0" {
				t.Errorf("%.80q arrived as %+v (%s %.80s)", target, echo, a.Status, a.body)
			}
		}
	}
}

// TestUnixSocket: who may open the socket is admitted, and is not told of as a caller.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	r := startRecorder(t)
	_, baseURL, grant := sim(t, zohosim.Options{})
	socket := filepath.Join(t.TempDir(), "s")
	config := strings.Replace(oneClient, "http://:{$ZOHO_PORT} {\n\tbind 127.0.0.1", "http:// {\n\tbind unix/"+socket, 1)
	startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+r.url, "ZOHO_REFRESH_TOKEN="+grant)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://localhost/crm/v8/Leads?a,b")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	got := r.one(t)
	got.checkToken(t)
	if res.StatusCode != http.StatusOK || got.target != "/crm/v8/Leads?a,b" {
		t.Errorf("%s, arrived %+v", res.Status, got)
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
