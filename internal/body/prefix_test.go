package body

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func gzipped(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.Bytes()
}

// coded is an answer to a request that ends with ctx.
func coded(ctx context.Context, codings ...string) *http.Response {
	return &http.Response{Header: http.Header{"Content-Encoding": codings}, Request: new(http.Request).WithContext(ctx)}
}

// TestDecodingHasPlaces, S-68: no more answers are decoded at a time than there are places.
// The others wait their turn, but not for long, and not for a caller that has gone.
func TestDecodingHasPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := make(places, 2)
		p <- struct{}{}
		p <- struct{}{}
		raw := gzipped("refused")
		begin := time.Now()
		if got := p.decode(coded(t.Context(), "gzip"), raw); got != nil || time.Since(begin) != placeWait {
			t.Errorf("without a place: %q after %v", got, time.Since(begin))
		}
		if got := p.decode(coded(t.Context()), raw); !bytes.Equal(got, raw) {
			t.Errorf("what has no coding waits for a place")
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if begin := time.Now(); p.decode(coded(gone, "gzip"), raw) != nil || time.Since(begin) != 0 {
			t.Errorf("for a caller that has gone it waited %v", time.Since(begin))
		}
		var read atomic.Int64
		for range 200 {
			go func() {
				if string(p.decode(coded(t.Context(), "gzip"), raw)) == "refused" {
					read.Add(1)
				}
			}()
		}
		synctest.Wait()
		if n := read.Load(); n != 0 {
			t.Errorf("%d were decoded without a place", n)
		}
		<-p
		synctest.Wait()
		if n := read.Load(); n != 200 || len(p) != 1 {
			t.Errorf("one place after the other served %d of 200, %d are taken", n, len(p))
		}
		if got := p.decode(coded(gone, "gzip"), raw); string(got) != "refused" {
			t.Errorf("with a place there is nothing to wait for: %q", got)
		}
		if got := p.decode(coded(t.Context(), "br"), []byte("damaged")); got != nil || len(p) != 1 {
			t.Errorf("damaged: %q, %d places are taken", got, len(p))
		}
	})
}

// TestDecodersAreFew: the places are those of the whole process.
func TestDecodersAreFew(t *testing.T) {
	if cap(decoders) != 4 {
		t.Errorf("%d answers are decoded at a time: docs/security.md says four", cap(decoders))
	}
	if got := decoders.decode(coded(t.Context(), "identity", "gzip"), gzipped("refused")); string(got) != "refused" || len(decoders) != 0 {
		t.Errorf("got %q, %d places are taken", got, len(decoders))
	}
}

func TestPeekedBodyIsWhole(t *testing.T) {
	for _, size := range []int64{0, 1, 8192, prefixLimit - 1, prefixLimit, prefixLimit + 1, 300_000} {
		want := randomBytes(size)
		recorder := httptest.NewRecorder()
		_, _ = recorder.Write(want)
		res := recorder.Result()
		seen := Prefix(res)
		if int64(len(seen)) != min(size, prefixLimit) {
			t.Errorf("%d bytes: saw %d", size, len(seen))
		}
		if got := readAll(t, res.Body); string(got) != string(want) {
			t.Errorf("%d bytes: %d arrived, or others", size, len(got))
		}
		_ = res.Body.Close()
	}
}

// TestPeekWaits: a refusal that is long under way is read, a success is not held up.
func TestPeekWaits(t *testing.T) {
	for status, want := range map[int]string{http.StatusUnauthorized: "refused", http.StatusOK: ""} {
		synctest.Test(t, func(t *testing.T) {
			slow, writer := io.Pipe()
			go func() {
				time.Sleep(5 * time.Second)
				_, _ = io.WriteString(writer, "refused")
				_ = writer.Close()
			}()
			res := &http.Response{StatusCode: status, Body: slow, ContentLength: -1, Header: http.Header{}}
			if seen := Prefix(res); string(seen) != want {
				t.Errorf("%d: saw %q, want %q", status, seen, want)
			}
			if got := readAll(t, res.Body); string(got) != "refused" {
				t.Errorf("%d: the app gets %q", status, got)
			}
		})
	}
}

// TestMeasureIsBrief: an answer whose end does not come is held up no longer because it is an error.
func TestMeasureIsBrief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, writer := io.Pipe()
		defer writer.Close()
		begin := time.Now()
		res := &http.Response{StatusCode: http.StatusRequestEntityTooLarge, Body: open, ContentLength: -1, Header: http.Header{}}
		if Measure(res); time.Since(begin) > 2*time.Second || res.ContentLength != -1 {
			t.Errorf("held up for %s, length %d", time.Since(begin), res.ContentLength)
		}
	})
}

// TestPeekEndsWithTheLength: an announced length is all there is to wait for. Over
// HTTP/2 the stream of a refusal may stay open until an upload ends that never will.
func TestPeekEndsWithTheLength(t *testing.T) {
	open, writer := io.Pipe() // never closed
	go func() { _, _ = io.WriteString(writer, "refused") }()
	res := &http.Response{Body: open, ContentLength: 7, Header: http.Header{}}
	if seen := Prefix(res); string(seen) != "refused" {
		t.Errorf("saw %q", seen)
	}
	if got := readAll(t, res.Body); string(got) != "refused" {
		t.Errorf("got %q", got)
	}
}
