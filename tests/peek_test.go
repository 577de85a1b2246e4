package tests

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
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
