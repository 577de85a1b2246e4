package zoho_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// encoders write what Zoho's servers may send, and what bombs are made of.
var encoders = map[string]func(w io.Writer) io.WriteCloser{
	"gzip":     func(w io.Writer) io.WriteCloser { z, _ := gzip.NewWriterLevel(w, flate.BestSpeed); return z },
	"deflate":  func(w io.Writer) io.WriteCloser { z, _ := zlib.NewWriterLevel(w, flate.BestSpeed); return z },
	"br":       func(w io.Writer) io.WriteCloser { return brotli.NewWriterLevel(w, brotli.BestSpeed) },
	"zstd":     func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
	"identity": func(w io.Writer) io.WriteCloser { return nopCloser{w} },
	"raw deflate": func(w io.Writer) io.WriteCloser {
		z, _ := flate.NewWriter(w, flate.BestSpeed)
		return z
	},
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func encode(t testing.TB, coding string, body io.Reader) []byte {
	t.Helper()
	var b bytes.Buffer
	w := encoders[coding](&b)
	if _, err := io.Copy(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// header is the Content-Encoding of a coding: bare deflate streams have no name.
func header(coding string) string { return strings.TrimPrefix(coding, "raw ") }

const refusal = `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`

func TestDecodePrefix(t *testing.T) {
	for coding := range encoders {
		raw := encode(t, coding, strings.NewReader(refusal))
		for _, name := range []string{header(coding), strings.ToUpper(header(coding)), " " + header(coding) + " "} {
			got, ok := zoho.DecodePrefix(name, raw, 64<<10)
			if !ok || string(got) != refusal {
				t.Errorf("%q: got %q, %v", name, got, ok)
			}
		}
		got, ok := zoho.DecodePrefix(header(coding), raw, 10)
		if !ok || string(got) != refusal[:10] {
			t.Errorf("%s, 10 bytes: got %q, %v", coding, got, ok)
		}
		if got, ok := zoho.DecodePrefix(header(coding), raw, 0); !ok || len(got) != 0 {
			t.Errorf("%s, no bytes: got %q, %v", coding, got, ok)
		}
	}
	if got, ok := zoho.DecodePrefix("", []byte(refusal), 64<<10); !ok || string(got) != refusal {
		t.Errorf("no encoding: got %q, %v", got, ok)
	}
	if got, ok := zoho.DecodePrefix("x-gzip", encode(t, "gzip", strings.NewReader(refusal)), 64<<10); !ok || string(got) != refusal {
		t.Errorf("x-gzip: got %q, %v", got, ok)
	}
}

func TestDecodePrefixOfList(t *testing.T) {
	raw := encode(t, "br", bytes.NewReader(encode(t, "gzip", strings.NewReader(refusal))))
	if got, ok := zoho.DecodePrefix("gzip, br", raw, 64<<10); !ok || string(got) != refusal {
		t.Errorf("got %q, %v", got, ok)
	}
	if got, ok := zoho.DecodePrefix("br, gzip", raw, 64<<10); ok {
		t.Errorf("in the wrong order: got %q", got)
	}
	if got, ok := zoho.DecodePrefix("identity,identity,identity,identity", raw, 64<<10); ok {
		t.Errorf("too many: got %d bytes", len(got))
	}
}

func TestDecodePrefixRefuses(t *testing.T) {
	for _, coding := range []string{"rot13", "gzip;q=1", "compress", "gzip rot13", "rot13, gzip", "gzip, rot13"} {
		if got, ok := zoho.DecodePrefix(coding, encode(t, "gzip", strings.NewReader(refusal)), 64<<10); ok {
			t.Errorf("%q: got %q", coding, got)
		}
	}
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		if got, ok := zoho.DecodePrefix(coding, []byte(refusal), 64<<10); ok && string(got) == refusal {
			t.Errorf("%s: got the encoded body back", coding)
		}
	}
}

// TestDecodeCutBody: a prefix of any length gives a prefix of the body, and
// never fails only because it is cut.
func TestDecodeCutBody(t *testing.T) {
	body := strings.Repeat(refusal+"\n", 200)
	for coding := range encoders {
		raw := encode(t, coding, strings.NewReader(body))
		longest := 0
		for n := range raw {
			got, ok := zoho.DecodePrefix(header(coding), raw[:n], 64<<10)
			if !ok || !strings.HasPrefix(body, string(got)) {
				t.Fatalf("%s, %d of %d bytes: got %d bytes, %v", coding, n, len(raw), len(got), ok)
			}
			longest = max(longest, len(got))
		}
		if longest == 0 && coding != "zstd" { // zstd decodes whole blocks
			t.Errorf("%s: nothing of a cut body", coding)
		}
	}
}

// TestDecodeBomb: however much a body unpacks to, memory stays bounded.
func TestDecodeBomb(t *testing.T) {
	for coding := range encoders {
		if coding == "identity" {
			continue
		}
		raw := encode(t, coding, io.LimitReader(&endless{}, 4<<20))
		raw = bytes.Repeat(raw, 16)                   // for gzip and zstd that is one body
		raw = encode(t, coding, bytes.NewReader(raw)) // and once more
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, ok := zoho.DecodePrefix(header(coding)+","+header(coding), raw, 64<<10)
		runtime.ReadMemStats(&after)
		if !ok || len(got) > 64<<10 {
			t.Errorf("%s: got %d bytes, %v", coding, len(got), ok)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: %d bytes for a body of %d", coding, used, len(raw))
		}
	}
}

func TestDecodeHugeWindow(t *testing.T) {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithWindowSize(16<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	io.CopyN(z, &endless{}, 9<<20)
	z.Close()
	if got, ok := zoho.DecodePrefix("zstd", b.Bytes(), 64<<10); ok {
		t.Errorf("got %d bytes through a window of 16 MiB", len(got))
	}
}

// FuzzDecodePrefix: no panic, never more than the limit.
func FuzzDecodePrefix(f *testing.F) {
	for coding := range encoders {
		f.Add(header(coding), encode(f, coding, strings.NewReader(refusal)), 100)
	}
	f.Add("gzip, br", []byte{0x1f, 0x8b}, 1)
	f.Fuzz(func(t *testing.T, encoding string, raw []byte, limit int) {
		limit = max(0, limit%(64<<10))
		got, ok := zoho.DecodePrefix(encoding, raw, limit)
		if len(got) > limit {
			t.Errorf("got %d bytes, want at most %d", len(got), limit)
		}
		if !ok && encoding == "" {
			t.Error("a body without encoding is refused")
		}
	})
}
