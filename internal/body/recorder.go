// Package body keeps the body of a request while it is being sent, so that it can be sent
// again, and looks at the beginning of the body of an answer.
package body

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"sync"
)

// Recorder keeps a request body while it is being sent, so that it can be sent
// again: in memory, then in a temporary file, then not at all.
//
// A refusal may come while net/http still reads the body. Each attempt therefore
// reads through the recorder: what any attempt takes from the app lands in the record,
// and an attempt that was given up gets nothing more.
type Recorder struct {
	limits   Limits
	waits    bool        // the app sends nothing before it has consent
	unkept   error       // why nothing is kept from the start, so that the server is asked for a refusal first
	declared http.Header // the app's trailers; net/http fills them in at the end of the body
	expect   expectation

	source  io.Reader
	reading sync.Mutex // held by the one attempt that reads the source

	over chan struct{} // closed with the request

	mu      sync.Mutex
	ended   error // what the source ended with, nil while it lasts
	current *attempt
	kept    record
	size    int64  // bytes read from the source
	settled bool   // no further attempt is wanted
	stopped bool   // nor that the one that runs goes on
	holds   bool   // that one waits for the end of the request
	lost    string // why the beginning cannot be sent again, "" while it can
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
	LostNoRoom   = "no_room" // all bodies together are more than is to be kept
)

// lostTo is the word for what keeps a body from being kept.
func lostTo(err error) string {
	switch err {
	case errTooLarge:
		return lostTooLarge
	case errNoRoom:
		return LostNoRoom
	}
	return lostNotKept
}

// NewRecorder wraps a request's body. The room for one of a known length is taken at once, of the
// share of a caller: half of the room, or all of it where "" names no caller in particular.
func NewRecorder(req *http.Request, limits Limits, room *Room, caller string) *Recorder {
	r := &Recorder{source: req.Body, limits: limits, declared: req.Trailer, kept: record{share: room.open(caller)},
		waits: req.Header["Expect"] != nil, over: make(chan struct{})}
	if limits != (Limits{}) && req.ContentLength != 0 {
		r.unkept = r.kept.reserve(req.ContentLength, &limits)
	}
	return r
}

// AsksFirst reports whether nothing is kept of the body from the start.
func (r *Recorder) AsksFirst() bool { return r != nil && r.unkept != nil }

// NoRoom reports whether the body was not kept, or not to its end, for want of room.
func (r *Recorder) NoRoom() bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unkept == errNoRoom || r.lost == LostNoRoom
}

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

// pipeSize is how much may be on its way: of more, a server that answers may not have read all.
const pipeSize = 64 << 10

// Stop ends the sending of a body whose answer has come, nil if that is not the server's. It
// reports whether the app is still sending: one that waits for consent is not. net/http may be
// writing to the connection still, and must not notice before the answer was read: over HTTP/1 it
// would drop the answer, over HTTP/2 Close waits for the app's next byte. A connection on which a
// large body was answered is not used again: the server may have hung up on it.
func (r *Recorder) Stop(res *http.Response) (unread bool) {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = r.ended == nil
	switch {
	case res == nil || res.Body == http.NoBody:
	case res.ProtoMajor != 1:
		res.Body = detached{res.Body}
	default:
		r.holds = true
		if conn := r.expect.conn.Load(); conn != nil && r.size > pipeSize {
			res.Body = &lastAnswer{res.Body, conn.Retire()}
		}
	}
	return r.stopped && (r.size > 0 || !r.waits)
}

// lastAnswer is the body of the last answer on a connection.
type lastAnswer struct {
	io.ReadCloser
	read func()
}

func (a *lastAnswer) Close() error {
	defer a.read()
	return a.ReadCloser.Close()
}

// detached is the body of an answer whose Close nobody waits for.
type detached struct{ io.ReadCloser }

func (d detached) Close() error {
	go func() { _ = d.ReadCloser.Close() }()
	return nil
}

// Discard closes an answer that nobody gets.
func Discard(res *http.Response) {
	if res.ProtoMajor != 1 {
		res.Body = detached{res.Body}
	}
	_ = res.Body.Close()
}

// Drain reads what is left of a body that was stopped.
func (r *Recorder) Drain(p []byte) (int, error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	return r.source.Read(p)
}

// Close gives back what was kept when the request is over.
func (r *Recorder) Close() {
	if r == nil {
		return
	}
	close(r.over)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(lostSettled)
	r.kept.share.close()
}

// inherit keeps what an attempt read that was given up: the next one relies on it, so
// no limit applies.
func (r *Recorder) inherit(p []byte) {
	r.size += int64(len(p))
	if len(p) == 0 || r.lost != "" {
		return
	}
	if err := r.kept.inherit(p); err != nil {
		r.drop(lostNotKept)
	}
}

// record keeps what was just read, as long as it fits and is wanted.
func (r *Recorder) record(p []byte) {
	r.size += int64(len(p))
	switch {
	case len(p) == 0 || r.lost != "":
	case r.settled:
		r.drop(lostSettled)
	case r.unkept != nil:
		r.drop(lostTo(r.unkept))
	default:
		if err := r.kept.add(p, &r.limits); err != nil {
			r.drop(lostTo(err))
		}
	}
}

// drop gives up what is kept; the first reason stands. Everybody reads under the lock, so it is
// free.
func (r *Recorder) drop(why string) {
	r.lost = cmp.Or(r.lost, why)
	r.kept.free()
}
