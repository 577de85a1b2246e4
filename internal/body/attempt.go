package body

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/caddy-zoho/caddy-zoho/internal/fault"
	"github.com/caddy-zoho/caddy-zoho/internal/forward"
)

// Attach has an attempt's request send the body, and has it recorded meanwhile. A body that is
// not kept waits for the server's consent, so that a refusal comes before it.
func (r *Recorder) Attach(out *http.Request, hosts *Hosts) (err error) {
	out.Trailer = r.trailer()
	out.GetBody = func() (io.ReadCloser, error) { return r.newAttempt(out.Trailer) }
	if out.Body, err = out.GetBody(); err != nil {
		return err
	}
	if r.AsksFirst() || out.ContentLength < 0 || out.ContentLength > pipeSize {
		r.expect.watch(out, hosts)
	}
	if r.AsksFirst() {
		r.expect.ask(out)
	}
	return nil
}

// ExpectationFailed reports whether an answer refuses an expectation of ours, which that host
// is spared from now on.
func (r *Recorder) ExpectationFailed(res *http.Response) bool {
	if r == nil || res.StatusCode != http.StatusExpectationFailed || !r.expect.ours.Load() {
		return false
	}
	r.expect.host.ignores()
	return true
}

// attempt is the body as it is sent one time.
type attempt struct {
	r       *Recorder
	offset  int64
	trailer http.Header // what the attempt sends after the body
}

var (
	errAttemptOver = errors.New("zoho: this attempt was abandoned")
	errHeld        = errors.New("zoho: the rest of the body is not needed")
)

// stopError ends an attempt whose body was stopped, at once or with the request.
func (r *Recorder) stopError() error {
	if r.holds {
		return errHeld
	}
	return errAttemptOver
}

// trailer is the map for an attempt's trailers, nil if there are none to be had.
func (r *Recorder) trailer() http.Header {
	if len(r.declared) == 0 {
		return nil
	}
	trailer := make(http.Header, len(r.declared))
	copyTrailer(trailer, r.declared)
	return trailer
}

func copyTrailer(to, from http.Header) {
	for name, values := range from {
		if forward.MayFollow(name) {
			to[name] = values
		}
	}
}

// newAttempt starts from the beginning; the attempt before it ends.
func (r *Recorder) newAttempt(trailer http.Header) (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost != "" {
		return nil, fmt.Errorf("zoho: the request body cannot be sent again: %s", r.lost)
	}
	r.current = &attempt{r: r, trailer: trailer}
	return r.current, nil
}

// Read gives the recorded part first, then goes on with the app's body. The app may
// take its time: the state is not locked meanwhile.
func (a *attempt) Read(p []byte) (n int, err error) {
	defer func() { // net/http reads in a goroutine of its own
		if recovered := recover(); recovered != nil {
			n, err = 0, fault.Error(recovered)
		}
	}()
	n, err = a.read(p)
	if err == errHeld {
		<-a.r.over
		err = errAttemptOver
	}
	return n, err
}

func (a *attempt) read(p []byte) (int, error) {
	r := a.r
	if n, err, done := a.recorded(p); done {
		return n, err
	}
	if a.offset == 0 {
		r.expect.over()
	}
	r.reading.Lock()
	defer r.reading.Unlock()
	// An attempt that was given up may have read on in the meantime.
	if n, err, done := a.recorded(p); done {
		return n, err
	}
	n, err := r.source.Read(p)
	return a.take(p[:n], err)
}

// take is told what was read of the source.
func (a *attempt) take(p []byte, end error) (int, error) {
	r := a.r
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = end
	switch {
	case r.current != a:
		r.inherit(p)
		return 0, errAttemptOver
	case r.stopped:
		return 0, r.stopError()
	}
	r.record(p)
	a.offset += int64(len(p))
	return len(p), a.finish()
}

// recorded answers from what is known already; done reports whether that was possible.
func (a *attempt) recorded(p []byte) (n int, err error, done bool) {
	r := a.r
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.current != a:
		return 0, errAttemptOver, true
	case r.stopped:
		return 0, r.stopError(), true
	case a.offset < r.size:
		n, err = a.reread(p)
		return n, err, true
	case r.ended != nil:
		return 0, a.finish(), true
	}
	return 0, nil, false
}

// finish hands the trailers on once the body has ended.
func (a *attempt) finish() error {
	if a.r.ended != nil && a.trailer != nil {
		copyTrailer(a.trailer, a.r.declared)
	}
	return a.r.ended
}

func (a *attempt) reread(p []byte) (int, error) {
	if a.r.lost != "" {
		return 0, errAttemptOver
	}
	n, err := a.r.kept.readAt(p, a.offset)
	a.offset += int64(n)
	return n, err
}

// Close does nothing: the server closes the app's body when the request is over.
func (a *attempt) Close() error { return nil }
