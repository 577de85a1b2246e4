package zoho_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"io"
	"math/rand/v2"
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
	"zstd":     func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w, zstd.WithWindowSize(4<<20)); return z },
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

// windows are streams for a window of 2 to the power of n.
var windows = map[string]func(w io.Writer, n int) io.WriteCloser{
	"br": func(w io.Writer, n int) io.WriteCloser {
		return brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: 9, LGWin: n})
	},
	"zstd": func(w io.Writer, n int) io.WriteCloser {
		z, _ := zstd.NewWriter(w, zstd.WithWindowSize(1<<n), zstd.WithSingleSegment(false))
		return z
	},
}

func windowed(t testing.TB, coding string, n int, body io.Reader) []byte {
	t.Helper()
	var b bytes.Buffer
	w := windows[coding](&b, n)
	if _, err := io.Copy(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// cost is how much is allocated for a body, and in how many bytes it is read.
func cost(encoding string, raw []byte) (allocated uint64, read int, ok bool) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, ok := zoho.DecodePrefix(encoding, raw, 64<<10)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, len(got), ok
}

// TestDecodeHugeWindow: windows above 4 MiB are not read and cost nothing. Up to there a
// stream costs what is read of it.
func TestDecodeHugeWindow(t *testing.T) {
	for coding := range windows {
		for n := 18; n <= 24; n++ {
			raw := windowed(t, coding, n, io.LimitReader(&endless{}, 5<<20))
			limit, want := uint64(1<<20), 64<<10
			if n > 22 {
				limit, want = 64<<10, 0
			}
			used, read, ok := cost(coding, raw)
			if ok != (n <= 22) || read != want || used > limit {
				t.Errorf("%s, a window of 2^%d: %d bytes are read, %v, at the cost of %d", coding, n, read, ok, used)
			}
			for _, stack := range []string{"gzip", coding} {
				if used, _, _ := cost(coding+","+stack, encode(t, stack, bytes.NewReader(raw))); used > limit+1<<20 {
					t.Errorf("%s in %s, a window of 2^%d: %d bytes", coding, stack, n, used)
				}
			}
		}
	}
	for head := range 0x100 { // brotli with large windows, which no browser reads
		if head&0x7f != 0x11 {
			continue
		}
		if used, _, ok := cost("br", append([]byte{byte(head), 0x9e}, make([]byte, 200)...)); ok || used > 64<<10 {
			t.Errorf("a large window (%#x): %v, %d bytes", head, ok, used)
		}
	}
}

// TestDecodeWindows: what is read of brotli is the beginning of the body, whatever window
// it was made for and however little is kept of it.
func TestDecodeWindows(t *testing.T) {
	random := rand.New(rand.NewPCG(68, 22))
	body := []byte("the time and the other information of this government ")
	for len(body) < 5<<18 { // words, far repetitions, and what cannot be compressed
		switch from := random.IntN(len(body)); random.IntN(3) {
		case 0:
			body = append(body, body[from:min(from+random.IntN(5000), len(body))]...)
		case 1:
			body = append(body, body[:random.IntN(50)]...)
		default:
			body = binary.NativeEndian.AppendUint64(body, random.Uint64())
		}
	}
	for coding := range windows {
		for _, n := range []int{10, 16, 17, 18, 19, 22} {
			raw := windowed(t, coding, n, bytes.NewReader(body))
			for _, limit := range []int{1, 1000, 64 << 10, 200_000, 1<<20 + 1} {
				if got, ok := zoho.DecodePrefix(coding, raw, limit); !ok || !bytes.Equal(got, body[:limit]) {
					t.Errorf("%s, a window of 2^%d, %d bytes: got %d, %v, others", coding, n, limit, len(got), ok)
				}
			}
		}
	}
}

// TestDecodeFrames: zstd may come in several frames, with others between them that are skipped;
// a checksum and the length in front of a frame change nothing.
func TestDecodeFrames(t *testing.T) {
	var raw []byte
	for i, part := range []string{refusal[:7], refusal[7:40], refusal[40:]} {
		z, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(i%2 == 0), zstd.WithSingleSegment(i == 1))
		if err != nil {
			t.Fatal(err)
		}
		raw = z.EncodeAll([]byte(part), raw)
		raw = append(raw, 0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z')
	}
	if got, ok := zoho.DecodePrefix("zstd", raw, 64<<10); !ok || string(got) != refusal {
		t.Errorf("got %q, %v", got, ok)
	}
	damaged := bytes.Clone(raw)
	damaged[15] ^= 1
	if got, _ := zoho.DecodePrefix("zstd", damaged, 64<<10); string(got) == refusal {
		t.Error("a checksum is not looked at")
	}
}

// frames are so many frames of zstd with a repeated byte, each announcing the window that f says.
func frames(n int, f func(i int) byte) []byte {
	var raw []byte
	for i := range n {
		raw = append(raw, 0x28, 0xb5, 0x2f, 0xfd, 0x00, f(i), 10<<3|1<<1|1, 0, 0, 'x')
	}
	return raw
}

// TestDecodeManyFrames: what a body of many frames costs does not go by their number, nor by
// the windows that they announce.
func TestDecodeManyFrames(t *testing.T) {
	for name, raw := range map[string][]byte{
		"equal":   frames(6500, func(int) byte { return 0 }),
		"large":   frames(6500, func(int) byte { return 0x60 }), // 4 MiB
		"growing": frames(0x61, func(i int) byte { return byte(i) }),
	} {
		for _, stack := range []string{"", "zstd", "gzip"} {
			encoding, body := "zstd", raw
			if stack != "" {
				encoding, body = "zstd, "+stack, encode(t, stack, bytes.NewReader(raw))
			}
			if used, read, ok := cost(encoding, body); !ok || read == 0 || used > 2<<20 {
				t.Errorf("%s frames, %s: %d bytes are read, %v, at the cost of %d", name, encoding, read, ok, used)
			}
		}
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
