package tests

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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
// arrive to the byte, once, or the refusal is passed on, said and counted.
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
				case a.StatusCode == http.StatusUnauthorized && executed == 0 && size > replayFile:
					if a.Header.Get("Zoho-Proxy-Verdict") == "" || lost() != before+1 {
						t.Errorf("%s: verdict %q, %d counted as not replayed", name, a.Header.Get("Zoho-Proxy-Verdict"), lost()-before)
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
	res, err := noRedirects.Do(req)
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
			if res, err := noRedirects.Do(req); err == nil {
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
	noRedirects.CloseIdleConnections()
	c.waitFor("the goroutines to end", func() bool { return c.goroutines() <= goroutines+10 })
}

// TestNoRoomForReplays: without a temporary file an upload goes through all the same.
// Only a refusal of it cannot be cured, which is said and counted.
func TestNoRoomForReplays(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, dir string){
		"gone": func(t *testing.T, dir string) {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
		},
		"full": func(t *testing.T, dir string) {
			if err := syscall.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
				t.Skip("nothing may be mounted here:", err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		},
	} {
		t.Run(name, func(t *testing.T) {
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
			if a.StatusCode != http.StatusUnauthorized || a.Header.Get("Zoho-Proxy-Verdict") != "not-replayed" || server.Stats().Executed["refused"] != 0 {
				t.Errorf("%s, verdict %q", a.Status, a.Header.Get("Zoho-Proxy-Verdict"))
			}
			if n := c.metric("zoho_replays_total", `result="not_kept"`); n != 1 {
				t.Errorf("zoho_replays_total counts %v not kept", n)
			}
			small := patterned(replayMemory)
			server.RevokeAccess("")
			wantEcho(t, c.upload(t, small, "unknown", "in memory"), small)
			if left, _ := os.ReadDir(temp); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if strings.Contains(c.output.String(), "panic") {
				t.Error("a panic")
			}
		})
	}
}
