// Bodies: they arrive whole, once, and are sent again after a refusal as far as they were kept.

package tests

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

const (
	replayMemory = 64 << 10
	replayFile   = 512 << 10
)

func startReplaying(t *testing.T, env ...string) (*proxy, *zohosim.Server) {
	c, server, _ := startSimulated(t, zohosim.Options{MaxTokens: -1, MaxLive: -1},
		append(env, "ZOHO_CLIENT_OPTIONS=token_budget 10000 10m", "ZOHO_PROXY_OPTIONS=replay_buffer 64KiB 512KiB")...)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	return c, server
}

// TestReplayAtItsLimits, S-34: bodies of every size around the limits, of known and of
// unknown length, with trailers, refused before, within and after the body: they
// arrive to the byte, once, or the app is told that they did not, which is counted.
func TestReplayAtItsLimits(t *testing.T) {
	t.Parallel()
	c, server := startReplaying(t)
	lost := func() int {
		return int(c.metric("zoho_replays_total", `result="too_large"`) + c.metric("zoho_replays_total", `result="settled"`))
	}
	for _, size := range []int{0, 1, replayMemory - 1, replayMemory, replayMemory + 1, replayFile - 1, replayFile, replayFile + 1, 2 * replayFile} {
		for _, shape := range []string{"known", "unknown", "trailer"} {
			for when, at := range map[string]int{"before": -1, "within": size / 2, "after": size} {
				if size == 0 && when != "before" {
					continue
				}
				name := fmt.Sprintf("%d bytes, %s length, refused %s", size, shape, when)
				server.RevokeAccess("")
				if at >= 0 {
					server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultMidUpload, Mode: "discard", Bytes: int64(at), Count: 1})
				}
				body, before := patterned(size), lost()
				a := c.upload(t, body, shape, name)
				executed := server.Stats().Executed[name]
				switch {
				case a.StatusCode == http.StatusOK && executed == 1:
					wantEcho(t, a, body)
					if shape == "trailer" && !bytes.Contains(a.body, []byte("sum-of-it")) {
						t.Errorf("%s: the trailer is missing: %s", name, a.body)
					}
				case a.problem() == "not-replayed" && executed == 0 && size > replayFile:
					if lost() != before+1 {
						t.Errorf("%s: %d counted as not replayed", name, lost()-before)
					}
				default:
					t.Errorf("%s: %s, executed %d times: %.200s", name, a.Status, executed, a.body)
				}
				server.ClearFaults("")
			}
		}
	}
}

func (c *proxy) upload(t *testing.T, body []byte, shape, id string) answer {
	t.Helper()
	var content io.Reader = bytes.NewReader(body)
	if shape != "known" {
		content = unknownLength{content}
	}
	req, err := http.NewRequest(http.MethodPost, c.url+"/crm/_echo", content)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Test-Id", id)
	if shape == "trailer" {
		req.Trailer = http.Header{"X-Checksum": {"sum-of-it"}}
	}
	res, err := c.client.Do(req)
	if err != nil {
		t.Errorf("%s: %v", id, err)
		return answer{Response: &http.Response{Header: http.Header{}}}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("%s: %v", id, err)
	}
	return answer{res, text}
}

// TestCallersHangUp: at each stage of an upload that is refused and sent again. Nobody
// else notices, nothing is executed that did not arrive whole, and nothing stays.
func TestCallersHangUp(t *testing.T) {
	t.Parallel()
	c, server := startReplaying(t)
	body := patterned(32 << 10) // so that a server that does not read holds up nobody
	goroutines := c.goroutines()
	for i, stage := range []struct {
		name  string
		fault zohosim.Fault // where it hangs
		sent  int           // of the body, before the caller hangs up
	}{
		{"within the body", zohosim.Fault{Where: "crm", Kind: zohosim.FaultHang}, len(body) / 2},
		{"before Zoho refuses", zohosim.Fault{Where: "crm", Kind: zohosim.FaultHang}, len(body)},
		{"while the token is renewed", zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHang}, len(body)},
		{"while a refused body is still sent", zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHang}, len(body) / 2},
	} {
		server.RevokeAccess("")
		server.AddFault(stage.fault)
		if stage.fault.Where == "accounts" && stage.sent < len(body) {
			server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultMidUpload, Mode: "discard", Bytes: 1 << 10, Count: 1})
		}
		ctx, hangUp := context.WithCancel(t.Context())
		r, w := io.Pipe()
		var call sync.WaitGroup
		call.Go(func() {
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/crm/_echo", r)
			req.Header.Set("X-Test-Id", stage.name)
			if res, err := c.client.Do(req); err == nil {
				_ = res.Body.Close()
			}
		})
		if _, err := w.Write(body[:stage.sent]); err != nil {
			t.Fatal(err)
		}
		if stage.sent == len(body) {
			_ = w.Close()
		}
		kind := stage.fault.Where + "/" + stage.fault.Kind
		before := i % 2 // of the same kind
		c.waitFor(stage.name, func() bool { return server.Stats().Faults[kind] > before })
		hangUp()
		_ = w.CloseWithError(context.Canceled)
		call.Wait()
		server.ClearFaults("")
		c.waitFor("the next call", func() bool { return c.get("/crm/v8/Leads").StatusCode < 300 })
		if n := server.Stats().Executed[stage.name]; n > 1 || n == 1 && stage.sent < len(body) {
			t.Errorf("hung up %s: executed %d times", stage.name, n)
		}
	}
	c.client.CloseIdleConnections()
	c.waitFor("the goroutines to end", func() bool { return c.goroutines() <= goroutines+10 })
}

// TestNoRoomForReplays: without a temporary file an upload goes through all the same.
// Only a refusal of it cannot be cured, which is said and counted.
func TestNoRoomForReplays(t *testing.T) {
	t.Parallel()
	for word, prepare := range map[string]func(t *testing.T, dir string){
		"not_kept": func(t *testing.T, dir string) {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
		},
		"no_room": func(t *testing.T, dir string) { // full
			mountAt(t, dir, "size=64k")
		},
	} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			temp := filepath.Join(t.TempDir(), "temp")
			if err := os.Mkdir(temp, 0o700); err != nil {
				t.Fatal(err)
			}
			prepare(t, temp)
			c, server := startReplaying(t, "TMPDIR="+temp)
			body := patterned(replayFile)
			wantEcho(t, c.upload(t, body, "unknown", "well"), body)
			server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultMidUpload, Mode: "discard", Bytes: int64(len(body)), Count: 1})
			a := c.upload(t, body, "unknown", "refused")
			if a.problem() != "not-replayed" || server.Stats().Executed["refused"] != 0 {
				t.Errorf("%s %s", a.Status, a.body)
			}
			if n := c.metric("zoho_replays_total", `result="`+word+`"`); n == 0 {
				t.Error("zoho_replays_total does not count it")
			}
			small := patterned(replayMemory)
			server.RevokeAccess("")
			wantEcho(t, c.upload(t, small, "unknown", "in memory"), small)
			if left, _ := filepath.Glob(filepath.Join(temp, "*", "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if strings.Contains(c.output.String(), "panic") {
				t.Error("a panic")
			}
		})
	}
}

// TestRefusalAmidUpload: Zoho refuses while the body is still on its way, and gets
// all of it again, wherever it was kept.
func TestRefusalAmidUpload(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{MaxTokens: -1, MaxLive: -1},
		"ZOHO_CLIENT_OPTIONS=token_budget 1000 10m", "ZOHO_PROXY_OPTIONS=replay_buffer 256KiB 8MiB")
	for _, mode := range []string{"discard", "close"} {
		for _, size := range []int{1, 200 << 10, 3 << 20} {
			for _, known := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s %d known=%v", mode, size, known), func(t *testing.T) {
					body := patterned(size)
					id := t.Name()
					server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultMidUpload, Mode: mode, Bytes: int64(min(size, 64<<10)), Count: 1})
					var reader io.Reader = bytes.NewReader(body)
					if !known {
						reader = unknownLength{reader}
					}
					a := c.call(http.MethodPost, "/crm/_echo", reader, "X-Test-Id", id)
					wantEcho(t, a, body)
					if n := server.Stats().Executed[id]; n != 1 {
						t.Errorf("executed %d times", n)
					}
				})
			}
		}
	}
}

// TestReplayLimits: what is too large to keep is not sent again, and the app told so,
// but for a body that Zoho refused before it was sent.
func TestReplayLimits(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{MaxTokens: -1, MaxLive: -1},
		"ZOHO_CLIENT_OPTIONS=token_budget 1000 10m", "ZOHO_PROXY_OPTIONS=replay_buffer 64KiB 1MiB")
	body := patterned(4 << 20)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")

	server.RevokeAccess(grant)
	wantEcho(t, c.call(http.MethodPost, "/crm/_echo", bytes.NewReader(body)), body)

	for i, reader := range []io.Reader{bytes.NewReader(body), unknownLength{bytes.NewReader(body)}} {
		server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultMidUpload, Mode: "discard", Bytes: 3 << 20, Count: 1})
		a := c.call(http.MethodPost, "/crm/_echo", reader, "X-Test-Id", "too-large")
		if a.StatusCode != http.StatusServiceUnavailable || a.problem() != "not-replayed" {
			t.Errorf("a body above FILE: %s %.200s", a.Status, a.body)
		}
		if n := c.metric("zoho_replays_total", `result="too_large"`); int(n) != i+1 {
			t.Errorf("zoho_replays_total counts %v too large ones, want %d", n, i+1)
		}
	}
	if n := server.Stats().Executed["too-large"]; n != 0 {
		t.Errorf("a refused request was executed %d times", n)
	}
}

// TestReplayOff: with `replay_buffer 0 0` a request with a body is never repeated,
// others are.
func TestReplayOff(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{}, "ZOHO_PROXY_OPTIONS=replay_buffer 0 0")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	for i, reader := range []io.Reader{strings.NewReader("{}"), unknownLength{strings.NewReader("{}")}} {
		server.RevokeAccess(grant)
		a := c.call(http.MethodPost, "/crm/_echo", reader)
		if a.problem() != "not-replayed" {
			t.Errorf("body %d: %s %s", i, a.Status, a.body)
		}
	}
	server.RevokeAccess(grant)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.succeed(http.MethodPost, "/crm/_echo", "{}")
}

// wantEcho compares what the simulator received with what was sent.
func wantEcho(t *testing.T, a answer, body []byte) {
	t.Helper()
	if a.StatusCode != http.StatusOK {
		t.Errorf("%s %.300s", a.Status, a.body)
		return
	}
	var echo struct {
		Length int
		SHA256 string `json:"sha256"`
	}
	a.decode(t, &echo)
	sum := sha256.Sum256(body)
	if echo.Length != len(body) || echo.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%d bytes arrived, %d were sent, or they differ", echo.Length, len(body))
	}
}

// TestServerErrorsAreNotRepeated, S-34: what may have been executed is never sent a
// second time: a 5xx, a reset before, within and after the answer, an answer cut off.
func TestServerErrorsAreNotRepeated(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	for i, fault := range []zohosim.Fault{
		{Kind: zohosim.FaultStatus, Status: 500}, {Kind: zohosim.FaultStatus, Status: 502, Body: "bad gateway"},
		{Kind: zohosim.FaultStatus, Status: 503}, {Kind: zohosim.FaultStatus, Status: 504},
		{Kind: zohosim.FaultReset}, {Kind: zohosim.FaultReset, Bytes: 10}, {Kind: zohosim.FaultLost},
		{Kind: zohosim.FaultTruncated, Mode: "cut"}, {Kind: zohosim.FaultHTML, Status: 502}, {Kind: zohosim.FaultEmpty, Status: 500},
	} {
		fault.Where = "crm"
		server.AddFault(fault)
		before, id := server.Stats(), fmt.Sprint("once-", i)
		requests := []struct {
			method string
			body   io.Reader
			header []string
		}{
			{method: http.MethodPost, body: strings.NewReader("{}")}, {method: http.MethodPost, body: unknownLength{strings.NewReader("{}")}},
			{method: http.MethodPost, body: strings.NewReader("{}"), header: []string{"Idempotency-Key", "1"}}, {method: http.MethodPost, header: []string{"X-Idempotency-Key", "1"}},
			{method: http.MethodPut, body: strings.NewReader("{}")}, {method: http.MethodPatch, body: strings.NewReader("{}")}, {method: http.MethodDelete},
		}
		for j, r := range requests {
			c.succeed(http.MethodGet, "/desk/_echo", "") // so that there is a connection to break
			a, err := c.try(r.method, "/crm/_echo", r.body, append(r.header, "X-Test-Id", id+"-"+strconv.Itoa(j))...)
			if err == nil && a.StatusCode == http.StatusOK && fault.Kind != zohosim.FaultTruncated {
				t.Errorf("%s, %+v: %s", r.method, fault, a.Status)
			}
		}
		after, kind := server.Stats(), "crm/"+fault.Kind
		if n := after.Faults[kind] - before.Faults[kind]; n != len(requests) {
			t.Errorf("%+v: %d calls reached Zoho %d times", fault, len(requests), n)
		}
		for j, r := range requests {
			if n := after.Executed[id+"-"+strconv.Itoa(j)]; n > 1 {
				t.Errorf("%s, %+v: executed %d times", r.method, fault, n)
			}
		}
		server.ClearFaults("")
	}
	wantTokenCalls(t, server, 1)
}

// TestUploads: bodies of every size and framing arrive whole, and come back whole.
func TestUploads(t *testing.T) {
	t.Parallel()
	c, _, _ := startSimulated(t, zohosim.Options{})
	for _, size := range []int64{0, 1, 4095, 1 << 20, 1<<20 + 1, 32 << 20} {
		for _, way := range []string{"length", "chunked", "expect"} {
			body := newPattern(size)
			req, err := http.NewRequest(http.MethodPost, c.url+"/crm/_echo", body)
			if err != nil {
				t.Fatal(err)
			}
			if way != "chunked" {
				req.ContentLength = size
				if size == 0 {
					req.Body = http.NoBody
				}
			}
			if way == "expect" {
				req.Header.Set("Expect", "100-continue")
			}
			res, err := c.client.Do(req)
			if err != nil {
				t.Fatalf("%d bytes, %s: %v", size, way, err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if got := res.Header.Get("X-Sim-Body-Sha256"); got != body.sum() || res.Header.Get("X-Sim-Body-Length") != strconv.FormatInt(size, 10) {
				t.Errorf("%d bytes, %s: %s, %s bytes arrived", size, way, res.Status, res.Header.Get("X-Sim-Body-Length"))
			}
		}
	}
}

// TestFilesGoUpAndDown: an attachment of each service is uploaded and downloaded, as a
// whole and in part.
func TestFilesGoUpAndDown(t *testing.T) {
	t.Parallel()
	c, _, _ := startSimulated(t, zohosim.Options{})
	content := new(bytes.Buffer)
	file := newPattern(3 << 20)
	_, _ = io.Copy(content, file)
	tests := []struct{ record, create, id, files, suffix string }{
		{"/crm/v8/Leads", `{"data":[{"Last_Name":"Lind"}]}`, `"id":"`, "Attachments", ""},
		{"/desk/api/v1/tickets", `{"subject":"Lind"}`, `"id":"`, "attachments", "/content"},
	}
	for _, test := range tests {
		created := c.call("POST", test.record, strings.NewReader(test.create))
		path := test.record + "/" + idIn(created, test.id) + "/" + test.files
		form := new(bytes.Buffer)
		writer := multipart.NewWriter(form)
		part, _ := writer.CreateFormFile("file", "a ü.bin")
		_, _ = part.Write(content.Bytes())
		_ = writer.Close()
		uploaded := c.call("POST", path, form, "Content-Type", writer.FormDataContentType())
		if !strings.Contains(string(uploaded.body), file.sum()) {
			t.Fatalf("%s: %s %.300s", path, uploaded.Status, uploaded.body)
		}
		path += "/" + idIn(uploaded, `"id":"`) + test.suffix
		if a := c.get(path); !bytes.Equal(a.body, content.Bytes()) {
			t.Errorf("%s: %s, %d bytes came back", path, a.Status, len(a.body))
		}
		if a := c.get(path, "Range", "bytes=100-199"); a.StatusCode != http.StatusPartialContent || !bytes.Equal(a.body, content.Bytes()[100:200]) {
			t.Errorf("%s: %s, %d bytes", path, a.Status, len(a.body))
		}
	}
	if a := c.get("/crm/_bytes?n=33554432"); len(a.body) != 32<<20 || a.body[32<<20-1] != (32<<20-1)%251 {
		t.Errorf("%s, %d bytes", a.Status, len(a.body))
	}
}

// idIn finds the id that a reply to a creation names.
func idIn(a answer, before string) string {
	_, rest, _ := strings.Cut(string(a.body), before)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// A body that is damaged on its way here is the caller's, and no failure of Zoho's.
func TestDamagedBodyIsNotZohos(t *testing.T) {
	t.Parallel()
	c, _, _ := startSimulated(t, zohosim.Options{})
	c.get("/crm/v8/Leads")
	conn := c.dial(t)
	defer conn.Close()
	fmt.Fprint(conn, "POST /crm/_echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode < 400 {
		t.Errorf("%v, %v", res, err)
	}
	if n := c.metric("zoho_requests_total", `code_class="error"`); n != 0 {
		t.Errorf("%v failures of Zoho's are counted", n)
	}
	if strings.Contains(c.output.String(), "no answer from Zoho") {
		t.Error("Zoho is blamed in the log")
	}
}
