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
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

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
		res, err := noRedirects.Get(c.url + "/crm/v8/Leads")
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
	content := make([]byte, 17<<20)
	return map[string][]byte{
		"gzip": pack(gz, content), "deflate": pack(flat, content), "br": pack(br(24), content), "BR": pack(br(22), content),
		"zstd": pack(zst(8<<20), content), "ZSTD": pack(zst(4<<20), content), "gzip, gzip": pack(gz, pack(gz, content)),
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
		c.wantSmall("by "+coding, memory, 96<<20)
	}
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		body := encoded(t, coding, `{"code":"OAUTH_SCOPE_MISMATCH","details":{},"message":"Unauthorized","status":"error"}`)
		api.answer(fmt.Sprintf("HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", coding, len(body), body))
		if a := c.get("/crm/v8/Leads", "Accept-Encoding", "gzip, br"); a.Header.Get("Zoho-Proxy-Verdict") != "scope" {
			t.Errorf("%s: an honest refusal afterwards: verdict %q", coding, a.Header.Get("Zoho-Proxy-Verdict"))
		}
	}
}
