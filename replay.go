package caddyzoho

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"sync"
)

// recorder keeps a request body while it is being sent, so that it can be sent
// once more: in memory, then in an unlinked temporary file, then not at all.
//
// A refusal may come while net/http still reads the body. Each attempt therefore
// reads through the recorder: what any attempt takes from the app lands in the record,
// and an attempt that was given up gets nothing more.
type recorder struct {
	limits   ReplayBuffer
	tooLarge bool        // known from the start: nothing is recorded
	declared http.Header // the app's trailers; net/http fills them in at the end of the body

	source  io.Reader
	reading sync.Mutex // held by the one attempt that reads the source

	mu      sync.Mutex
	ended   error // what the source ended with, nil while it lasts
	current *bodyAttempt
	chunks  []*chunk // in memory: all, or what is not yet in the file
	file    *os.File // nil as long as memory is enough
	filed   int64    // bytes in the file
	size    int64    // bytes read from the source
	settled bool     // no further attempt is wanted
	lost    string   // why the beginning cannot be sent again, "" while it can
}

// bodyAttempt is the body of one attempt.
type bodyAttempt struct {
	r       *recorder
	offset  int64
	trailer http.Header // what the attempt sends after the body
}

// Why a body cannot be sent again; values of a metric's label.
const (
	lostTooLarge = "too_large"
	lostNotKept  = "not_kept" // the temporary file could not be written
	lostSettled  = "settled"
)

var errAttemptOver = errors.New("zoho: this attempt was given up")

// newRecorder wraps a request's body. One that is known to be too large is not
// recorded at all.
func newRecorder(req *http.Request, limits ReplayBuffer) *recorder {
	r := &recorder{source: req.Body, limits: limits, declared: req.Trailer}
	r.tooLarge = limits.exceededBy(req.ContentLength)
	return r
}

// chunk is a piece of a body. They are used again: large ones would be cleared and
// collected for every upload.
type chunk [64 << 10]byte

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// askFirst makes the body wait for the server's consent. That is between Zoho and us:
// the app, which may speak HTTP/1.0, did not ask for an interim answer.
func askFirst(out *http.Request) {
	if out.Header["Expect"] != nil {
		return
	}
	out.Header["Expect"] = []string{"100-continue"}
	trace := httptrace.ContextClientTrace(out.Context())
	if trace == nil || trace.Got1xxResponse == nil {
		return
	}
	forward := trace.Got1xxResponse
	trace.Got1xxResponse = func(code int, header textproto.MIMEHeader) error {
		if code == http.StatusContinue {
			return nil
		}
		return forward(code, header)
	}
}

// trailer is the map for an attempt's trailers, nil if there are none to be had.
func (r *recorder) trailer() http.Header {
	if len(r.declared) == 0 {
		return nil
	}
	trailer := make(http.Header, len(r.declared))
	copyTrailer(trailer, r.declared)
	return trailer
}

func copyTrailer(to, from http.Header) {
	for name, values := range from {
		if !private(name) {
			to[name] = values
		}
	}
}

// attempt starts from the beginning; the attempt before it ends.
func (r *recorder) attempt(trailer http.Header) (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost != "" {
		return nil, fmt.Errorf("zoho: the request body cannot be sent again: %s", r.lost)
	}
	r.current = &bodyAttempt{r: r, trailer: trailer}
	return r.current, nil
}

// takeBack ends the running attempt, so that nothing is lost any more until the next
// one begins. If the beginning is lost already the attempt goes on, and why is told.
// A request without a body has no recorder and can always be repeated.
func (r *recorder) takeBack() (lost string) {
	if r == nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.lost != "":
		return r.lost
	case r.limits == (ReplayBuffer{}):
		return lostTooLarge // not even what was refused before it was sent
	}
	r.current = nil
	return ""
}

// settle ends the recording once an answer was taken; the attempt goes on.
func (r *recorder) settle() {
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

// close gives the file back when the request is over.
func (r *recorder) close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(lostSettled)
}

// Read gives the recorded part first, then goes on with the app's body. The app may
// take its time: the state is not locked meanwhile.
func (a *bodyAttempt) Read(p []byte) (n int, err error) {
	defer func() { // net/http reads in a goroutine of its own
		if recovered := recover(); recovered != nil {
			n, err = 0, fault(recovered)
		}
	}()
	if n, err, done := a.recorded(p); done {
		return n, err
	}
	r := a.r
	r.reading.Lock()
	defer r.reading.Unlock()
	// An attempt that was given up may have read on in the meantime.
	if n, err, done := a.recorded(p); done {
		return n, err
	}
	n, err = r.source.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = err
	if r.current != a {
		r.inherit(p[:n])
		return 0, errAttemptOver
	}
	r.record(p[:n])
	a.offset += int64(n)
	return n, a.finish()
}

// recorded answers from what is known already; done tells whether that was possible.
func (a *bodyAttempt) recorded(p []byte) (n int, err error, done bool) {
	r := a.r
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.current != a:
		return 0, errAttemptOver, true
	case a.offset < r.size:
		n, err = a.reread(p)
		return n, err, true
	case r.ended != nil:
		return 0, a.finish(), true
	}
	return 0, nil, false
}

// finish hands the trailers on once the body has ended.
func (a *bodyAttempt) finish() error {
	if a.r.ended != nil && a.trailer != nil {
		copyTrailer(a.trailer, a.r.declared)
	}
	return a.r.ended
}

func (a *bodyAttempt) reread(p []byte) (int, error) {
	r := a.r
	if r.lost != "" {
		return 0, errAttemptOver
	}
	var (
		n   int
		err error
	)
	if a.offset < r.filed {
		n, err = r.file.ReadAt(p[:min(int64(len(p)), r.filed-a.offset)], a.offset)
	} else {
		at := int(a.offset - r.filed)
		in := at % len(chunk{})
		n = copy(p, r.chunks[at/len(chunk{})][in:min(len(chunk{}), in+int(r.size-a.offset))])
	}
	a.offset += int64(n)
	return n, err
}

// Close does nothing: the server closes the app's body when the request is over.
func (a *bodyAttempt) Close() error { return nil }

// inherit keeps what an attempt read that was given up: the next one relies on it, so
// no limit applies.
func (r *recorder) inherit(p []byte) {
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
func (r *recorder) record(p []byte) {
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
func (r *recorder) keep(p []byte) {
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
func (r *recorder) keepInFile(p []byte) error {
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
func (r *recorder) drop(why string) {
	for _, c := range r.chunks {
		chunks.Put(c)
	}
	r.lost, r.chunks = why, nil
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
}

// attachBody has the body recorded while it is sent. A body too large to keep waits
// for Zoho's consent, so that a refusal comes before it.
func (s *session) attachBody(req, out *http.Request) (err error) {
	if s.body == nil {
		s.body = newRecorder(req, *s.handler.ReplayBuffer)
	}
	out.Trailer = s.body.trailer()
	out.GetBody = func() (io.ReadCloser, error) { return s.body.attempt(out.Trailer) }
	if out.Body, err = out.GetBody(); err != nil {
		return err
	}
	if s.body.tooLarge {
		askFirst(out)
	}
	return nil
}
