package zohosim_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// dial opens a raw connection to a simulator and sends text.
func dial(t *testing.T, base, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	io.WriteString(conn, text)
	return conn, bufio.NewReader(conn)
}

// A dead token is refused before the body is asked for: no 100 Continue is sent.
func TestExpectContinue(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	base := start(t, a.Server)
	head := "POST /desk/api/v1/tickets HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 15\r\nAuthorization: Zoho-oauthtoken %s\r\n\r\n"

	_, in := dial(t, base, fmt.Sprintf(head, "1000.dead"))
	if line, _ := in.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 401") {
		t.Errorf("dead token: got %q, want the refusal at once", line)
	}

	conn, in := dial(t, base, fmt.Sprintf(head, a.access))
	if line, _ := in.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("live token: got %q, want 100 Continue", line)
	}
	in.ReadString('\n')
	io.WriteString(conn, `{"subject":"x"}`)
	if line, _ := in.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 200") {
		t.Errorf("live token: got %q, want 200", line)
	}
}

// A request whose body breaks off has not been executed.
func TestBrokenBody(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	base := start(t, a.Server)
	for i, path := range []string{"/desk/api/v1/tickets", "/crm/v8/Leads/1/Attachments", "/books/v3/items",
		"/cliq/api/v2/x", "/crm/v8/_echo"} {
		conn, _ := dial(t, base, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nX-Test-Id: broken\r\nContent-Length: 100\r\nAuthorization: Zoho-oauthtoken %s\r\n\r\n{}", path, a.access))
		conn.Close()
		waitFor(t, func() bool { return a.Stats().BrokenBodies == i+1 })
	}
	if st := a.Stats(); st.Executed["broken"] != 0 || len(st.Writes) != 0 {
		t.Errorf("got %v, %v, want nothing executed", st.Executed, st.Writes)
	}
}

// The echo shows target, headers and trailer as they came.
func TestEcho(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	base := start(t, a.Server)
	target := "/crm//v8/_echo/a%2Fb/(c,d)'?x=%27+y&&"
	_, in := dial(t, base, "POST "+target+" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n"+
		"X-Odd: a\r\nX-Odd: b\r\norgId: 1\r\nAuthorization: Zoho-oauthtoken "+a.access+"\r\n\r\n5\r\nhello\r\n0\r\nAuthorization: EVIL\r\n\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := decode(t, bodyOf(t, res))
	for name, want := range map[string]any{
		"uri": target, "method": "POST", "service": "crm", "data_center": "us", "length": 5.0,
		"sha256": digest("hello"), "content_length": -1.0, "token": 1.0, "proto": "HTTP/1.1",
	} {
		if got[name] != want {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
	a.want(len(at(got, "headers", "X-Odd").([]any)), 2)
	a.want(at(got, "headers", "Orgid", 0), "1")
	a.want(at(got, "trailer", "Authorization", 0), "EVIL")
	a.want(res.Header.Get("X-Sim-Body-Sha256"), digest("hello"))
	a.want(res.Header.Get("X-Sim-Body-Length"), "5")
	a.want(a.Stats().Malformed, 1)
}

func TestTools(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	const base = "https://mail.zoho.com/api"
	wantStatus(t, call(a.Server, "GET", base+"/_status/418", a.access, ""), 418)
	wantStatus(t, call(a.Server, "GET", base+"/_status/204", a.access, ""), 204)
	wantStatus(t, call(a.Server, "GET", base+"/_status/x", a.access, ""), 404)
	wantStatus(t, call(a.Server, "GET", base+"/_status/200", "1000.dead", ""), 401)
	a.want(a.json(200, "GET", base+"/_slow?ms=1", "")["service"], "mail")
	a.want(a.json(200, "GET", base+"/_unknown", "")["status"], "success")

	res := call(a.Server, "GET", base+"/_bytes?n=100000", a.access, "")
	body := bodyOf(t, res)
	if len(body) != 100000 || body[99999] != byte(99999%251) {
		t.Errorf("bytes: got %d", len(body))
	}
	res = call(a.Server, "GET", base+"/_sse?n=2&ms=1", a.access, "")
	if got := bodyOf(t, res); got != "id: 1\ndata: event 1\n\nid: 2\ndata: event 2\n\n" ||
		res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("events: got %q", got)
	}
	res = call(a.Server, "GET", base+"/_gzip", a.access, "")
	if got := bodyOf(t, res); res.Header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(got, "\x1f\x8b") {
		t.Errorf("gzip: got %q", got)
	}
	wantStatus(t, call(a.Server, "GET", base+"/_ws", a.access, ""), 426)
}

func TestWebSocket(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	base := start(t, a.Server)
	conn, in := dial(t, base, "GET /cliq/_ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Zoho-oauthtoken "+a.access+"\r\n\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // RFC 6455, 1.3
		t.Fatalf("got %d %v, want the upgrade", res.StatusCode, res.Header)
	}
	mask := []byte{1, 2, 3, 4}
	for _, size := range []int{0, 5, 125, 126, 65535, 65536, 200000} {
		payload := bytes.Repeat([]byte("p"), size)
		conn.Write(frame(0x82, payload, mask))
		if first, got := readUnmasked(t, in); first != 0x82 || !bytes.Equal(got, payload) {
			t.Errorf("%d bytes: got %x and %d bytes", size, first, len(got))
		}
	}
	conn.Write(frame(0x89, []byte("ping"), mask))
	if first, got := readUnmasked(t, in); first != 0x8a || string(got) != "ping" {
		t.Errorf("ping: got %x %q", first, got)
	}
	conn.Write(frame(0x88, []byte{3, 232}, mask))
	if first, _ := readUnmasked(t, in); first != 0x88 {
		t.Errorf("close: got %x", first)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("after close: got %v, want EOF", err)
	}
}

// frame writes a masked frame, as a client must.
func frame(first byte, payload, mask []byte) []byte {
	n := len(payload)
	f := []byte{first}
	switch {
	case n > 0xffff:
		f = append(f, 0x80|127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	case n > 125:
		f = append(f, 0x80|126, byte(n>>8), byte(n))
	default:
		f = append(f, 0x80|byte(n))
	}
	f = append(f, mask...)
	for i, b := range payload {
		f = append(f, b^mask[i%4])
	}
	return f
}

func readUnmasked(t *testing.T, in *bufio.Reader) (first byte, payload []byte) {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		t.Fatal(err)
	}
	size := int(head[1])
	if extra := map[int]int{126: 2, 127: 8}[size]; extra > 0 {
		long := make([]byte, extra)
		io.ReadFull(in, long)
		size = 0
		for _, b := range long {
			size = size<<8 | int(b)
		}
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(in, payload); err != nil {
		t.Fatal(err)
	}
	return head[0], payload
}
