package body

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/fault"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

const (
	prefixLimit = 64 << 10 // of a body that may be a refusal

	// For it to arrive; whoever drips is passed on as it is. A refusal that is not understood fails a
	// call, so it is waited for even where this process gets no time to read it; nothing else is held up.
	refusalWait = 10 * time.Second
	prefixWait  = 2 * time.Second
)

// Prefix looks at the beginning of a body and puts it back, so that the app gets the
// bytes as they came. It returns them decoded.
func Prefix(res *http.Response) []byte {
	if res.Body == nil || res.Body == http.NoBody {
		return nil
	}
	wait := prefixWait
	if res.StatusCode >= http.StatusBadRequest {
		wait = refusalWait
	}
	return decoders.decode(res, ahead(res, wait).seen)
}

// Measure gives a short answer its length, which it came without, so that its end does not wait
// for that of the request.
func Measure(res *http.Response) {
	if res.ContentLength >= 0 || res.Body == nil || len(res.Trailer) > 0 {
		return
	}
	if p := ahead(res, prefixWait); p.ahead && p.end == io.EOF {
		res.ContentLength, res.TransferEncoding = int64(len(p.seen)), nil
		res.Header.Set("Content-Length", strconv.Itoa(len(p.seen)))
	}
}

// places are for the answers that are being decoded.
type places chan struct{}

// decoders are the places of the whole process. A decoder takes less than 1 MiB and an answer
// three of them at most, so what is in use is small; what they leave is more, until it is
// collected. Each is done within milliseconds, and two are enough to keep a small machine busy.
var decoders = make(places, 4)

const placeWait = 5 * time.Second // of an answer for its turn, before it is passed on unread

// decode gives the beginning of a body, of which raw has come, nil if it cannot be read.
func (p places) decode(res *http.Response, raw []byte) []byte {
	encoding := strings.Join(res.Header.Values("Content-Encoding"), ",")
	if encoding != "" {
		if !p.take(res.Request.Context()) {
			return nil
		}
		defer func() { <-p }()
	}
	decoded, ok := zoho.DecodePrefix(encoding, raw, prefixLimit)
	if !ok {
		return nil
	}
	return decoded
}

// take waits for a place; who has come first is first.
func (p places) take(ctx context.Context) bool {
	select {
	case p <- struct{}{}:
		return true
	default:
	}
	timeout := time.NewTimer(placeWait)
	defer timeout.Stop()
	select {
	case p <- struct{}{}:
		return true
	case <-timeout.C:
	case <-ctx.Done():
	}
	return false
}

// readAhead is a response body whose beginning was read ahead.
type readAhead struct {
	seen   []byte // collected, not yet given out
	length int64  // as announced, -1 if it was not
	chunks chan []byte
	stop   chan struct{}
	rest   io.ReadCloser
	end    error // set before chunks is closed
	ahead  bool  // chunks is used up
	closed bool
}

// ahead reads the beginning of an answer's body ahead, and puts it back.
func ahead(res *http.Response, wait time.Duration) *readAhead {
	p := &readAhead{chunks: make(chan []byte), stop: make(chan struct{}), rest: res.Body, length: res.ContentLength}
	go p.read()
	p.seen = p.collect(wait)
	res.Body = p
	return p
}

// read reads ahead until the limit, the end or Close.
func (p *readAhead) read() {
	defer close(p.chunks)
	defer func() {
		if recovered := recover(); recovered != nil {
			p.end = fault.Error(recovered)
		}
	}()
	for total := 0; total < prefixLimit && p.end == nil; {
		chunk := make([]byte, 8<<10)
		n, err := p.rest.Read(chunk)
		p.end = err
		total += n
		if p.end == nil && int64(total) == p.length {
			// All is there. Over HTTP/2 the end of the stream may wait for the end of an
			// upload that net/http gave up when the refusal came.
			p.end = io.EOF
		}
		if n == 0 {
			continue
		}
		select {
		case p.chunks <- chunk[:n]:
		case <-p.stop:
			return
		}
	}
}

func (p *readAhead) collect(wait time.Duration) []byte {
	var seen []byte
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		select {
		case chunk, ok := <-p.chunks:
			if !ok {
				p.ahead = true
				return seen
			}
			seen = append(seen, chunk...)
		case <-timeout.C:
			return seen
		}
	}
}

// Read gives out what was read ahead, then the rest.
func (p *readAhead) Read(b []byte) (int, error) {
	for len(p.seen) == 0 && !p.ahead {
		chunk, ok := <-p.chunks
		p.seen, p.ahead = chunk, !ok
	}
	if len(p.seen) > 0 {
		n := copy(b, p.seen)
		p.seen = p.seen[n:]
		return n, nil
	}
	if p.end != nil {
		return 0, p.end
	}
	return p.rest.Read(b)
}

// Close ends the reading ahead as well.
func (p *readAhead) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	close(p.stop)
	return p.rest.Close()
}
