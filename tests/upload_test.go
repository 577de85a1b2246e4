// Uploads that are answered before they have ended: expectations of ours, refusals and other
// answers amid the body, and what all bodies together may take.

package tests

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// early is a server that answers when it has read the head of a request.
type early struct {
	serve func(*exchange)

	mu       sync.Mutex
	expected []bool // by upload: Expect came with it
}

// exchange is a request at such a server.
type exchange struct {
	conn net.Conn
	in   *bufio.Reader
	rawRequest
	expects, over bool
}

// startEarly starts a proxy in front of such a server.
func startEarly(t *testing.T, serve func(*exchange), options ...string) (*proxy, *early) {
	t.Helper()
	return startEarlyWith(t, "", serve, options...)
}

// startEarlyWith does so with an option of the global option zoho.
func startEarlyWith(t *testing.T, global string, serve func(*exchange), options ...string) (*proxy, *early) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	e := &early{serve: serve}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go e.read(conn)
		}
	}()
	_, baseURL, grant := sim(t, zohosim.Options{MaxTokens: -1})
	config := strings.Replace(oneClient, "store bolt {$ZOHO_STORE}", "store bolt {$ZOHO_STORE}\n"+global, 1)
	c := startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" http://"+l.Addr().String(), "ZOHO_REFRESH_TOKEN="+grant,
		"ZOHO_CLIENT_OPTIONS=token_budget 1000 10m", "ZOHO_PROXY_OPTIONS="+strings.Join(options, "\n"))
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	return c, e
}

func (e *early) read(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		head, err := readRawHead(in)
		if err != nil {
			return
		}
		x := &exchange{conn: conn, in: in, rawRequest: head, expects: len(head.values("Expect")) > 0}
		if x.method == http.MethodGet {
			x.answer(http.StatusOK, "{}")
			continue
		}
		e.mu.Lock()
		e.expected = append(e.expected, x.expects)
		e.mu.Unlock()
		if e.serve(x); x.over {
			return
		}
	}
}

// uploads tells of each upload whether it came with an expectation.
func (e *early) uploads() []bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]bool(nil), e.expected...)
}

// answer has fields of the head, each with its line break.
func (x *exchange) answer(status int, text string, fields ...string) {
	fmt.Fprintf(x.conn, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s",
		status, http.StatusText(status), len(text), strings.Join(fields, ""), text)
}

// bodyReader is the body. Whoever waits for consent sends none before accept gives it.
func (x *exchange) bodyReader() io.Reader {
	if x.chunked {
		return httputil.NewChunkedReader(x.in)
	}
	return io.LimitReader(x.in, x.length())
}

// accept takes the body and tells its digest.
func (x *exchange) accept() {
	if x.expects {
		_, _ = io.WriteString(x.conn, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	sum := sha256.New()
	n, _ := io.Copy(sum, x.bodyReader())
	x.answer(http.StatusOK, fmt.Sprintf(`{"length":%d,"sha256":%q}`, n, hex.EncodeToString(sum.Sum(nil))))
}

const deadToken = `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`

// once refuses each upload the first time.
type once struct{ refused sync.Map }

func (o *once) refuses(x *exchange) bool {
	_, again := o.refused.LoadOrStore(x.values("X-Test-Id")[0], true)
	return !again
}

// TestRefusedBeforeTheBody: of an upload that is not kept no byte leaves before the server has
// agreed, whatever it does with its connection, so that a refusal costs nothing: each upload
// succeeds.
func TestRefusedBeforeTheBody(t *testing.T) {
	t.Parallel()
	body := patterned(3 << 20)
	for _, way := range []string{"keeps the connection", "closes"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			var o once
			var wasted atomic.Int64
			c, e := startEarly(t, func(x *exchange) {
				if !o.refuses(x) {
					x.accept()
					return
				}
				if way == "closes" {
					x.answer(http.StatusUnauthorized, deadToken, "Connection: close\r\n")
					x.over = true
					return
				}
				x.answer(http.StatusUnauthorized, deadToken)
				n, _ := io.Copy(io.Discard, x.bodyReader())
				wasted.Add(n)
			}, "replay_buffer 64KiB 0")
			for i := range 5 {
				wantEcho(t, c.upload(t, body, "known", fmt.Sprint(way, i)), body)
			}
			if wasted.Load() > 0 {
				t.Errorf("%d bytes of refused bodies were sent", wasted.Load())
			}
			for _, expected := range e.uploads() {
				if !expected {
					t.Errorf("expectations: %v", e.uploads())
					break
				}
			}
		})
	}
}

// TestExpectationsOfOurs: neither a 417 nor an interim answer of ours reaches the app, and a
// server that does not heed expectations is not asked again.
func TestExpectationsOfOurs(t *testing.T) {
	t.Parallel()
	body := patterned(1 << 20)
	for name, serve := range map[string]func(x *exchange){
		"refused": func(x *exchange) {
			if x.expects {
				x.answer(http.StatusExpectationFailed, "{}")
				return
			}
			x.accept()
		},
		"ignored": func(x *exchange) {
			x.expects = false // no interim answer
			x.accept()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := []string{"replay_buffer 64KiB 0"}
			if name == "ignored" {
				options = append(options, "transport http {\n expect_continue_timeout 50ms\n}")
			}
			c, e := startEarly(t, serve, options...)
			for i := range 4 {
				a := c.upload(t, body, "known", fmt.Sprint(name, i))
				wantEcho(t, a, body)
			}
			asked := 0
			for _, expected := range e.uploads() {
				if expected {
					asked++
				}
			}
			if asked != 1 {
				t.Errorf("asked %d times: %v", asked, e.uploads())
			}
			a := c.call(http.MethodPost, "/crm/x", bytes.NewReader(body), "Expect", "100-continue", "X-Test-Id", "own")
			if name == "refused" && a.StatusCode != http.StatusExpectationFailed {
				t.Errorf("an expectation of the app's own: %s", a.Status)
			}
			if strings.Contains(c.send(t, "POST /crm/x HTTP/1.0\r\nX-Test-Id: old\r\nContent-Length: 65537\r\n\r\n"+string(body[:65537])).Status, "100") {
				t.Error("an app of HTTP/1.0 got an interim answer")
			}
		})
	}
}

// TestAnswerAmidTheBody: an answer that is there goes to the app though the body could not be
// written to its end, and the connection is not used again. After a reset nothing is promised,
// but what has come is seen nearly always.
func TestAnswerAmidTheBody(t *testing.T) {
	t.Parallel()
	for name, hangUp := range map[string]func(conn *net.TCPConn){
		"half-closes and drains": func(conn *net.TCPConn) {
			_ = conn.CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
		},
		"half-closes and waits": func(conn *net.TCPConn) {
			_ = conn.CloseWrite()
			_, _ = io.CopyN(io.Discard, conn, 256<<10)
		},
		"resets": func(conn *net.TCPConn) { _ = conn.Close() },
	} {
		for _, fields := range []string{"", "Connection: close\r\n"} {
			for _, shape := range []string{"known", "unknown"} {
				for _, size := range []int{20, 1 << 20} {
					if size > 20 && name != "half-closes and drains" {
						continue // a reset takes along what is still on its way
					}
					t.Run(fmt.Sprintf("%s %q %s %d", name, fields, shape, size), func(t *testing.T) {
						t.Parallel()
						wantAnswersAmid(t, name == "resets", shape, strings.Repeat("enough ", size/7), fields, hangUp)
					})
				}
			}
		}
	}
}

// wantAnswersAmid uploads to a server that answers amid the body and hangs up.
func wantAnswersAmid(t *testing.T, resets bool, shape, text, fields string, hangUp func(*net.TCPConn)) {
	t.Helper()
	const uploads = 50
	c, _ := startEarly(t, func(x *exchange) {
		_, _ = io.CopyN(io.Discard, x.bodyReader(), 64<<10)
		x.answer(http.StatusRequestEntityTooLarge, text, fields)
		hangUp(x.conn.(*net.TCPConn))
		x.over = true
	}, "replay_buffer 1MiB 0")
	body, told := patterned(4<<20), 0
	for i := range uploads {
		a := c.upload(t, body, shape, fmt.Sprint(i))
		if a.StatusCode == http.StatusRequestEntityTooLarge && string(a.body) == text {
			told++
		}
	}
	if told < uploads && (!resets || told < uploads/2) {
		t.Errorf("%d of %d apps got the answer", told, uploads)
	}
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
}

// TestAnswerToWhoSendsAllFirst: an app that reads nothing before it has sent its whole body
// finds the answer that came amid it, Zoho's and ours.
func TestAnswerToWhoSendsAllFirst(t *testing.T) {
	t.Parallel()
	c, _ := startEarly(t, func(x *exchange) {
		_, _ = io.CopyN(io.Discard, x.bodyReader(), 256<<10) // more than is kept
		status := http.StatusForbidden
		if strings.Contains(x.target, "dead") {
			status = http.StatusUnauthorized
		}
		x.answer(status, deadToken, "Connection: close\r\n")
		x.over = true
	}, "replay_buffer 64KiB 0")
	c.wantAllSent(t, "/crm/x", "403 Forbidden")
	c.wantAllSent(t, "/crm/dead", "503 Service Unavailable")

	c, server, _ := startSimulated(t, zohosim.Options{})
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultStatus})
	c.wantAllSent(t, "/crm/x", "503 Service Unavailable")
}

// TestAnswerAmidTheBodyOverHTTP2: the same where Zoho speaks HTTP/2, whether the app goes on to send
// or stops.
func TestAnswerAmidTheBodyOverHTTP2(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 64<<10)
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, r.Proto)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, _ := startSimulated(t, zohosim.Options{}, "ZOHO_CLIENT_OPTIONS=trusted_ca "+ca, "ZOHO_PROXY_OPTIONS=upstream "+server.URL)
	c.wantAllSent(t, "/crm/x", "413 Request Entity Too Large")
	for range 5 {
		conn := c.dial(t)
		fmt.Fprintf(conn, "POST /crm/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n%s", patterned(100<<10))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(res.Body); err != nil || string(text) != "HTTP/2.0" {
			t.Errorf("%s %q, %v", res.Status, text, err)
		}
		_ = conn.Close()
	}
}

// TestNothingIsReadAsAnotherRequest: what an app sends after an answer that came amid its body is
// never taken for a request, however it goes on.
func TestNothingIsReadAsAnotherRequest(t *testing.T) {
	t.Parallel()
	var smuggled atomic.Int32
	c, _ := startEarly(t, func(x *exchange) {
		if x.method == http.MethodDelete {
			smuggled.Add(1)
		}
		_, _ = io.CopyN(io.Discard, x.bodyReader(), 5)
		x.answer(http.StatusForbidden, "{}")
		_, _ = io.Copy(io.Discard, x.in)
		x.over = true
	})
	const next = "DELETE /crm/v8/Leads HTTP/1.1\r\nHost: x\r\nX-Test-Id: x\r\n\r\n"
	for name, request := range map[string][2]string{
		"a broken chunk":   {"POST /crm/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "ZZ\r\n" + next},
		"a whole body":     {"POST /crm/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "0\r\n\r\n" + next},
		"a body by length": {"POST /crm/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello", next},
		"no length":        {"POST /crm/x HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", next},
	} {
		conn := c.dial(t)
		in := bufio.NewReader(conn)
		_, _ = io.WriteString(conn, request[0])
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_, _ = io.WriteString(conn, request[1])
		if more, _ := io.ReadAll(in); len(more) > 0 || !res.Close {
			t.Errorf("%s: after %s, whose connection closes: %v, came %q", name, res.Status, res.Close, more)
		}
		_ = conn.Close()
	}
	if n := smuggled.Load(); n > 0 {
		t.Errorf("%d calls were carried out that were none", n)
	}
}

// wantAllSent sends large bodies to their end, then reads the answers.
func (c *proxy) wantAllSent(t *testing.T, path, status string) {
	t.Helper()
	body := string(patterned(20 << 20))
	for range 5 {
		for _, way := range []struct{ field, begin, end string }{
			{"Content-Length: " + strconv.Itoa(len(body)), "", ""},
			{"Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n", len(body)), "\r\n0\r\n\r\n"},
		} {
			c.get("/crm/v8/Leads") // which shows that the last renewal was of use
			conn := c.dial(t)
			_, err := io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: x\r\nX-Test-Id: 1\r\n"+way.field+"\r\n\r\n"+way.begin+body+way.end)
			if err != nil {
				t.Errorf("%s, %s: %v", path, way.field, err)
			}
			if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.Status != status {
				t.Errorf("%s, %s: %v %v", path, way.field, res, err)
			}
			_ = conn.Close()
		}
	}
}

// TestNotReplayed: a body that was on its way with a dead token, and is not kept, is no matter
// of the app's credentials.
func TestNotReplayed(t *testing.T) {
	t.Parallel()
	var o once
	c, _ := startEarly(t, func(x *exchange) {
		if o.refuses(x) {
			_, _ = io.Copy(io.Discard, x.bodyReader())
			x.answer(http.StatusUnauthorized, deadToken)
			return
		}
		x.accept()
	}, "replay_buffer 64KiB 0")
	body := patterned(256 << 10)
	a := c.upload(t, body, "unknown", "not kept")
	if a.StatusCode != http.StatusServiceUnavailable || a.problem() != "not-replayed" || a.Header.Get("Retry-After") != "0" ||
		a.Header.Get("Zoho-Proxy-Verdict") != "" || !bytes.Contains(a.body, []byte(`"client main, account default: Zoho did not`)) ||
		!bytes.Contains(a.body, []byte("replay_buffer")) {
		t.Errorf("%s %v %s", a.Status, a.Header, a.body)
	}
	wantEcho(t, c.upload(t, body, "unknown", "not kept"), body)
	if n := c.metric("zoho_replays_total", `result="too_large"`); n != 1 {
		t.Errorf("counted %v", n)
	}
}

// TestUploadsAreKeptByDefault: what is larger than the memory for it is kept in a file that
// nobody can see, and sent again.
func TestUploadsAreKeptByDefault(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	c, server, _ := startSimulated(t, zohosim.Options{MaxTokens: -1, MaxLive: -1}, "TMPDIR="+temp,
		"ZOHO_CLIENT_OPTIONS=token_budget 1000 10m")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	body := patterned(20 << 20)
	for _, shape := range []string{"known", "unknown"} {
		for _, at := range []int64{0, 10 << 20, 20 << 20} {
			id := fmt.Sprint(shape, at)
			server.RevokeAccess("")
			server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultMidUpload, Mode: "discard", Bytes: at, Count: 1})
			wantEcho(t, c.upload(t, body, shape, id), body)
			if n := server.Stats().Executed[id]; n != 1 {
				t.Errorf("%s: executed %d times", id, n)
			}
			server.ClearFaults("")
		}
	}
	if left, _ := filepath.Glob(filepath.Join(temp, "*", "*")); len(left) > 0 {
		t.Errorf("files are visible: %v", left)
	}
	c.wantNothingKept()
	c.stop()
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func (c *proxy) wantNothingKept() {
	c.t.Helper()
	c.waitFor("the room to be given back", func() bool {
		return c.metric("zoho_replay_buffer_bytes", `where="memory"`) == 0 && c.metric("zoho_replay_buffer_bytes", `where="file"`) == 0
	})
}

// TestReplayBufferTotal: all bodies together take no more than they may. The others are sent all
// the same, after the server has agreed, and counted.
func TestReplayBufferTotal(t *testing.T) {
	t.Parallel()
	const uploads = 40
	hold, arrived := make(chan struct{}), make(chan bool, uploads)
	body := patterned(128 << 10)
	c, _ := startEarlyWith(t, "replay_buffer_total 1MiB 2MiB", func(x *exchange) {
		if x.expects {
			_, _ = io.WriteString(x.conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		sum := sha256.New()
		n, _ := io.Copy(sum, x.bodyReader())
		arrived <- x.expects
		<-hold
		x.answer(http.StatusOK, fmt.Sprintf(`{"length":%d,"sha256":%q}`, n, hex.EncodeToString(sum.Sum(nil))))
	}, "replay_buffer 128KiB 256KiB")
	var calls sync.WaitGroup
	for i := range uploads {
		calls.Go(func() {
			wantEcho(t, c.upload(t, body, []string{"known", "known", "known", "unknown"}[i%4], fmt.Sprint(i)), body)
		})
	}
	asked := 0
	for range uploads {
		if <-arrived {
			asked++
		}
	}
	memory, files := c.metric("zoho_replay_buffer_bytes", `where="memory"`), c.metric("zoho_replay_buffer_bytes", `where="file"`)
	if memory == 0 || memory > 1<<20 || files == 0 || files > 2<<20 {
		t.Errorf("%v bytes of memory, %v of files are taken", memory, files)
	}
	close(hold)
	calls.Wait()
	if n := c.metric("zoho_replays_total", `result="no_room"`); int(n) < asked || asked == 0 {
		t.Errorf("%v were counted, %d were sent after the server had agreed", n, asked)
	}
	c.wantNothingKept()
	// What is refused before its body costs nothing, room or not.
	wantEcho(t, c.upload(t, body, "known", "afterwards"), body)
}

// TestUnframed: over HTTP/1.0 nobody can tell where such a body ends, and it would be lost.
func TestUnframed(t *testing.T) {
	t.Parallel()
	startRecorded(t, func(t *testing.T, c *proxy, r *recorder, prefix string) {
		for _, method := range []string{"POST", "PUT", "PATCH"} {
			for _, fields := range []string{"", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n"} {
				a := c.send(t, method+" "+prefix+"/x HTTP/1.0\r\nHost: x\r\n"+fields+"\r\n2\r\n{}\r\n0\r\n\r\n")
				if a.StatusCode != http.StatusBadRequest || a.problem() != "framing" {
					t.Errorf("%s %q: %s %s", method, fields, a.Status, a.body)
				}
			}
			if a := c.send(t, method+" "+prefix+"/x HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); a.StatusCode != http.StatusOK {
				t.Errorf("%s without a body: %s", method, a.Status)
			}
		}
		if a := c.send(t, "GET "+prefix+"/x HTTP/1.0\r\nHost: x\r\n\r\n"); a.StatusCode != http.StatusOK {
			t.Errorf("GET: %s", a.Status)
		}
		if n := len(r.take()); n != 4 {
			t.Errorf("%d requests arrived", n)
		}
	})
}
