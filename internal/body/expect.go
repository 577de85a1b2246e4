package body

import (
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/egress"
)

// Hosts are what is known of servers that bodies are sent to, by host. Those are the hosts of the
// table of services and of an `upstream`, so there are a few hundred at most.
type Hosts struct {
	known sync.Map // to *host
}

type host struct {
	http2 atomic.Bool
	deaf  atomic.Int64 // in Unix seconds, until when it is not asked first
}

// deafFor is how long a server that has not heeded an expectation is asked for nothing.
const deafFor = time.Hour

func (h *Hosts) of(name string) *host {
	if known, ok := h.known.Load(name); ok {
		return known.(*host)
	}
	known, _ := h.known.LoadOrStore(name, new(host))
	return known.(*host)
}

// ignores notes that the host did not heed an expectation.
func (h *host) ignores() { h.deaf.Store(time.Now().Add(deafFor).Unix()) }

func (h *host) listens() bool { return time.Now().Unix() >= h.deaf.Load() }

// expectation is what becomes of `Expect: 100-continue` where that is ours: it is between Zoho
// and us. The app, which may speak HTTP/1.0, did not ask for an interim answer.
type expectation struct {
	host     *host
	ours     atomic.Bool                      // as all below, of the running attempt
	waited   atomic.Bool                      // the head was sent
	answered atomic.Bool                      // something came
	conn     atomic.Pointer[egress.Lingering] // nil over HTTP/2
	watched  *httptrace.ClientTrace
}

// ask makes the body wait for the server's consent. Over HTTP/1.1 net/http sends the body even
// after a final answer if it wants to use the connection again, so it must not want to; over
// HTTP/2 the request would get a connection of its own for that.
func (e *expectation) ask(out *http.Request) {
	own := out.Header["Expect"] == nil
	e.ours.Store(own && e.host.listens())
	e.waited.Store(false)
	e.answered.Store(false)
	switch {
	case e.ours.Load():
		out.Header["Expect"] = []string{"100-continue"}
	case own:
		return
	}
	out.Close = !e.host.http2.Load()
}

// watch follows the attempts of a request, which share a trace.
func (e *expectation) watch(out *http.Request, hosts *Hosts) {
	if e.host == nil {
		e.host = hosts.of(out.Host)
	}
	e.conn.Store(nil)
	trace := httptrace.ContextClientTrace(out.Context())
	if trace == nil {
		trace = new(httptrace.ClientTrace)
		*out = *out.WithContext(httptrace.WithClientTrace(out.Context(), trace))
	}
	if e.watched == trace {
		return
	}
	e.watched = trace
	before := *trace
	trace.Got1xxResponse = func(code int, header textproto.MIMEHeader) error {
		if before.Got1xxResponse == nil || code == http.StatusContinue && e.ours.Load() {
			return nil
		}
		return before.Got1xxResponse(code, header)
	}
	trace.Wait100Continue = func() {
		e.waited.Store(true)
		if before.Wait100Continue != nil {
			before.Wait100Continue()
		}
	}
	trace.GotFirstResponseByte = func() {
		e.answered.Store(true)
		if before.GotFirstResponseByte != nil {
			before.GotFirstResponseByte()
		}
	}
	trace.GotConn = func(info httptrace.GotConnInfo) {
		conn, http1 := egress.Of(info.Conn)
		e.host.http2.Store(!http1)
		e.conn.Store(conn)
		if before.GotConn != nil {
			before.GotConn(info)
		}
	}
}

// over is told that the body is begun. Before the head net/http looks whether there is a body.
func (e *expectation) over() {
	if e.ours.Load() && e.waited.Load() && !e.answered.Load() {
		e.host.ignores()
	}
}
