// Package body keeps the body of a request while it is being sent, so that it can be sent
// again, and looks at the beginning of the body of an answer.
package body

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
)

// Limits is how much of a request body is kept to be sent again: up to
// Memory bytes in memory (default 1 MiB), up to File bytes in an unlinked temporary
// file (default 0, none: writing it takes a third of an upload's throughput on a fast
// network). Larger bodies are sent with `Expect: 100-continue`, so that a refusal
// comes before the body, but not replayed once they are on their way.
type Limits struct {
	Memory int64 `json:"memory"`
	File   int64 `json:"file"`
}

// ExceededBy reports whether a body of that length is too large to keep.
func (b *Limits) ExceededBy(length int64) bool { return length > max(b.Memory, b.File) }

// Recorder keeps a request body while it is being sent, so that it can be sent
// again: in memory, then in an unlinked temporary file, then not at all.
//
// A refusal may come while net/http still reads the body. Each attempt therefore
// reads through the recorder: what any attempt takes from the app lands in the record,
// and an attempt that was given up gets nothing more.
type Recorder struct {
	limits   Limits
	tooLarge bool        // known from the start: nothing is recorded
	declared http.Header // the app's trailers; net/http fills them in at the end of the body

	source  io.Reader
	reading sync.Mutex // held by the one attempt that reads the source

	mu      sync.Mutex
	ended   error // what the source ended with, nil while it lasts
	current *attempt
	chunks  []*chunk // in memory: all, or what is not yet in the file
	file    *os.File // nil as long as memory is enough
	filed   int64    // bytes in the file
	size    int64    // bytes read from the source
	settled bool     // no further attempt is wanted
	lost    string   // why the beginning cannot be sent again, "" while it can
}

// Cut tells why the app's body did not come to its end, nil if it did or may yet.
func (r *Recorder) Cut() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(r.ended, io.EOF) {
		return nil
	}
	return r.ended
}

// Why a body cannot be sent again; values of a metric's label.
const (
	lostTooLarge = "too_large"
	lostNotKept  = "not_kept" // the temporary file could not be written
	lostSettled  = "settled"
)

// NewRecorder wraps a request's body. One that is known to be too large is not
// recorded at all.
func NewRecorder(req *http.Request, limits Limits) *Recorder {
	r := &Recorder{source: req.Body, limits: limits, declared: req.Trailer}
	r.tooLarge = limits.ExceededBy(req.ContentLength)
	return r
}

// chunk is a piece of a body. They are used again: large ones would be cleared and
// collected for every upload.
type chunk [64 << 10]byte

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// Rewind ends the running attempt, so that nothing is lost any more until the next
// one begins. If the beginning is lost already the attempt goes on, and why is told.
// A request without a body has no recorder and can always be repeated.
func (r *Recorder) Rewind() (lost string) {
	if r == nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.lost != "":
		return r.lost
	case r.limits == (Limits{}):
		return lostTooLarge // not even what was refused before it was sent
	}
	r.current = nil
	return ""
}

// Settle ends the recording once an answer was taken; the attempt goes on.
func (r *Recorder) Settle() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = true
	if r.current != nil && r.current.offset == r.size && r.size > 0 {
		r.drop(lostSettled)
	}
}

// Close gives the file back when the request is over.
func (r *Recorder) Close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(lostSettled)
}

// inherit keeps what an attempt read that was given up: the next one relies on it, so
// no limit applies.
func (r *Recorder) inherit(p []byte) {
	r.size += int64(len(p))
	switch {
	case len(p) == 0 || r.lost != "":
	case r.file == nil:
		r.keep(p)
	default:
		if err := r.keepInFile(p); err != nil {
			r.drop(lostNotKept)
		}
	}
}

// record keeps what was just read, as long as it fits and is wanted.
func (r *Recorder) record(p []byte) {
	r.size += int64(len(p))
	switch {
	case len(p) == 0 || r.lost != "":
	case r.settled:
		r.drop(lostSettled)
	case r.tooLarge:
		r.drop(lostTooLarge)
	case r.size <= r.limits.Memory:
		r.keep(p)
	case r.size <= r.limits.File:
		if err := r.keepInFile(p); err != nil {
			r.drop(lostNotKept)
		}
	default:
		r.drop(lostTooLarge)
	}
}

// keep copies into memory.
func (r *Recorder) keep(p []byte) {
	used := int(r.size-r.filed) - len(p)
	for len(p) > 0 {
		in := used % len(chunk{})
		if in == 0 {
			r.chunks = append(r.chunks, chunks.Get().(*chunk))
		}
		n := copy(r.chunks[len(r.chunks)-1][in:], p)
		p, used = p[n:], used+n
	}
}

// keepInFile copies into memory and moves full chunks on to a file that no name
// leads to, so that a killed process leaves nothing behind.
func (r *Recorder) keepInFile(p []byte) error {
	if r.file == nil {
		file, err := os.CreateTemp("", "caddy-zoho-body-")
		if err != nil {
			return err
		}
		r.file = file
		if err := os.Remove(file.Name()); err != nil {
			return err
		}
	}
	r.keep(p)
	for r.size-r.filed >= int64(len(chunk{})) {
		if _, err := r.file.Write(r.chunks[0][:]); err != nil {
			return err
		}
		r.filed += int64(len(chunk{}))
		chunks.Put(r.chunks[0])
		r.chunks = r.chunks[1:]
	}
	return nil
}

// drop gives up what is kept. Everybody reads under the lock, so the chunks are free.
func (r *Recorder) drop(why string) {
	for _, c := range r.chunks {
		chunks.Put(c)
	}
	r.lost, r.chunks = why, nil
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
}
