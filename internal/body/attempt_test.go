package body

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func bodyRequest(body io.Reader, length int64) *http.Request {
	return &http.Request{Body: io.NopCloser(body), ContentLength: length}
}

// TestRecorderBoundaries: a body at every limit is sent twice byte for byte, or not at all.
func TestRecorderBoundaries(t *testing.T) {
	limits := Limits{Memory: 100_000, File: 500_000}
	for _, size := range []int64{0, 1, 65535, 65536, 65537, 99_999, 100_000, 100_001, 131_072, 499_999, 500_000, 500_001, 900_000} {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d bytes, length known %v", size, known), func(t *testing.T) {
				want := randomBytes(size)
				length := int64(-1)
				if known {
					length = size
				}
				r := NewRecorder(bodyRequest(bytes.NewReader(want), length), limits, NewRoom(), "")
				defer r.Close()
				first, err := r.newAttempt(nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := readAll(t, first); !bytes.Equal(got, want) {
					t.Fatalf("first attempt sent %d bytes that are not the body's", len(got))
				}
				second, err := r.newAttempt(nil)
				if size > limits.File {
					if err == nil || r.lost != lostTooLarge {
						t.Fatalf("a body of %d bytes may be sent again: %v, %q", size, err, r.lost)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := readAll(t, second); !bytes.Equal(got, want) {
					t.Fatalf("second attempt sent %d bytes that are not the body's", len(got))
				}
			})
		}
	}
}

// TestRecorderTakesOverMidway: an attempt that was given up in the middle, even
// while it reads, takes nothing from its successor.
func TestRecorderTakesOverMidway(t *testing.T) {
	for range 200 {
		want := randomBytes(rand.Int64N(200_000))
		r := NewRecorder(bodyRequest(slowReader{bytes.NewReader(want)}, -1), Limits{Memory: 50_000, File: 1 << 20}, NewRoom(), "")
		first, _ := r.newAttempt(nil)
		stop := rand.IntN(len(want) + 1)
		var reading sync.WaitGroup
		reading.Go(func() { _, _ = io.CopyN(io.Discard, first, int64(stop)); _, _ = io.Copy(io.Discard, first) })
		second, err := r.newAttempt(nil)
		if err != nil {
			t.Fatal(err)
		}
		got := readAll(t, second)
		reading.Wait()
		if sha256.Sum256(got) != sha256.Sum256(want) {
			t.Fatalf("got %d bytes, want %d, or others", len(got), len(want))
		}
		if _, err := first.Read(make([]byte, 1)); !errors.Is(err, errAttemptOver) {
			t.Fatalf("the first attempt reads on: %v", err)
		}
		r.Close()
	}
}

// TestRecorderSourceError: what the app's body ends with is what each attempt ends with.
func TestRecorderSourceError(t *testing.T) {
	broken := errors.New("request body too large")
	r := NewRecorder(bodyRequest(io.MultiReader(strings.NewReader("half"), errorReader{broken}), -1), Limits{Memory: 100, File: 100}, NewRoom(), "")
	for range 2 {
		a, err := r.newAttempt(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(a)
		if string(got) != "half" || !errors.Is(err, broken) {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// TestRecorderSettles: once an answer is taken nothing is kept, and the body goes on.
func TestRecorderSettles(t *testing.T) {
	r := NewRecorder(bodyRequest(strings.NewReader("hello world"), 11), Limits{Memory: 100, File: 100}, NewRoom(), "")
	a, _ := r.newAttempt(nil)
	head := make([]byte, 5)
	if _, err := io.ReadFull(a, head); err != nil {
		t.Fatal(err)
	}
	r.Settle()
	if rest := readAll(t, a); string(head)+string(rest) != "hello world" {
		t.Errorf("got %q and %q", head, rest)
	}
	if r.kept.chunks != nil || r.lost != lostSettled {
		t.Errorf("%d chunks are kept, lost because of %q", len(r.kept.chunks), r.lost)
	}
}

// TestRecorderLeavesNoFile: the temporary file has no name from the start.
func TestRecorderLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	room := NewRoom()
	r := NewRecorder(bodyRequest(bytes.NewReader(randomBytes(5000)), -1), Limits{Memory: 10, File: 10_000}, room, "")
	a, _ := r.newAttempt(nil)
	readAll(t, a)
	if r.kept.file == nil {
		t.Fatal("nothing was written to a file")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(left) != 0 {
		t.Errorf("files are visible: %v", left)
	}
	folders, _ := filepath.Glob(filepath.Join(dir, "*"))
	if info, err := os.Stat(folders[0]); len(folders) != 1 || err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folders %v, %v: %v", folders, info, err)
	}
	r.Close()
	if memory, files := room.Taken(); r.kept.file != nil || memory != 0 || files != 0 {
		t.Errorf("the file is still open, or %d and %d bytes are taken", memory, files)
	}
	room.Close()
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestRecorderWithoutTemporaryDirectory: what cannot be kept is sent all the same.
func TestRecorderWithoutTemporaryDirectory(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "gone"))
	want := randomBytes(5000)
	r := NewRecorder(bodyRequest(bytes.NewReader(want), -1), Limits{Memory: 10, File: 10_000}, NewRoom(), "")
	a, _ := r.newAttempt(nil)
	if got := readAll(t, a); !bytes.Equal(got, want) {
		t.Error("the body was not sent whole")
	}
	if r.lost != lostNotKept {
		t.Errorf("lost because of %q", r.lost)
	}
}

func TestRecorderTrailers(t *testing.T) {
	req := bodyRequest(nil, -1)
	req.Trailer = http.Header{"X-Sum": nil, "Authorization": nil, "": nil} // HTTP/2 lets an empty name through
	req.Body = io.NopCloser(io.MultiReader(strings.NewReader("body"), readFunc(func([]byte) (int, error) {
		req.Trailer["X-Sum"] = []string{"1"}
		req.Trailer["Authorization"] = []string{"EVIL"}
		return 0, io.EOF
	})))
	r := NewRecorder(req, Limits{Memory: 100, File: 100}, NewRoom(), "")
	for range 2 {
		trailer := r.trailer()
		if _, ok := trailer["Authorization"]; ok {
			t.Error("the trailer Authorization is announced")
		}
		a, _ := r.newAttempt(trailer)
		readAll(t, a)
		if got := trailer.Get("X-Sum"); got != "1" || trailer.Get("Authorization") != "" {
			t.Errorf("trailers %v", trailer)
		}
	}
}

func randomBytes(n int64) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func readAll(t *testing.T, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// slowReader gives a few bytes at a time.
type slowReader struct{ r io.Reader }

func (s slowReader) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), 700)]) }

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// TestRecorderDoesNotWaitForTheApp: an early answer is taken while the app pauses in
// the middle of its body, and what it sends then is not lost to the next attempt.
func TestRecorderDoesNotWaitForTheApp(t *testing.T) {
	app, source := io.Pipe()
	r := NewRecorder(bodyRequest(app, -1), Limits{Memory: 100, File: 100}, NewRoom(), "")
	first, _ := r.newAttempt(nil)
	over := make(chan error)
	go func() {
		_, err := io.Copy(io.Discard, first)
		over <- err
	}()
	if _, err := source.Write([]byte("before, ")); err != nil {
		t.Fatal(err)
	}
	if lost := r.Rewind(); lost != "" { // while the first attempt waits for more
		t.Fatal(lost)
	}
	second, err := r.newAttempt(nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = source.Write([]byte("after"))
		_ = source.Close()
	}()
	if got := readAll(t, second); string(got) != "before, after" {
		t.Errorf("got %q", got)
	}
	if err := <-over; !errors.Is(err, errAttemptOver) {
		t.Errorf("the first attempt ended with %v", err)
	}
}
