package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// lingerTime bounds how long a write that has failed waits for an answer to be read.
const lingerTime = 30 * time.Second

// Linger makes connections on which a server may hang up whenever it likes.
//
// It may answer and hang up before it has read all of a request. To net/http a write that fails is
// the end, even with the answer at hand. Over HTTP/1 such a write fails only when the connection is
// closed: until then net/http goes on reading, and it uses no connection again that is being
// written to.
//
// It may hang up on a connection that is kept for the next request. If that comes before net/http
// has noticed, its first write fails before a byte has left, so that net/http takes another
// connection, for a POST as well.
//
// Both need Watch for each request. Over HTTP/2 neither is done: other requests would be held up,
// and what the server has said of the last one would be lost.
func Linger(next DialFunc) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &Lingering{Conn: conn, closed: make(chan struct{})}
		if s, ok := conn.(syscall.Conn); ok {
			c.raw, _ = s.SyscallConn()
		}
		return c, nil
	}
}

// Watch tells the connection that a request gets that it begins.
func Watch(req *http.Request) {
	trace := httptrace.ContextClientTrace(req.Context())
	if trace == nil {
		return
	}
	begin := begins
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		begin = beginsAgain
	}
	before := trace.GotConn
	if before == nil { // as in each request of Caddy's, which is not to cost an allocation
		trace.GotConn = begin
		return
	}
	trace.GotConn = func(info httptrace.GotConnInfo) {
		begin(info)
		before(info)
	}
}

// begins is for a request that net/http sends again only if nothing of it has left.
func begins(info httptrace.GotConnInfo) {
	if c, ok := Of(info.Conn); ok {
		c.http1.Store(true)
		c.begins.Store(info.Reused)
	}
}

// beginsAgain is for one that net/http sends again in any case. To look whether the server has hung up would
// cost it a system call.
func beginsAgain(info httptrace.GotConnInfo) {
	if c, ok := Of(info.Conn); ok {
		c.http1.Store(true)
	}
}

// Of is the connection of Linger's below one of net/http's that speaks HTTP/1.
func Of(conn net.Conn) (c *Lingering, ok bool) {
	if secure, isTLS := conn.(*tls.Conn); isTLS {
		if secure.ConnectionState().NegotiatedProtocol == "h2" {
			return nil, false
		}
		conn = secure.NetConn()
	}
	c, ok = conn.(*Lingering)
	return c, ok
}

// Lingering is a connection that Linger made.
type Lingering struct {
	net.Conn
	raw     syscall.RawConn // nil if there is none
	http1   atomic.Bool     // it is known to speak HTTP/1
	begins  atomic.Bool     // what is written next is the first of a request, and not of the first one
	ends    atomic.Bool     // it is about to be closed
	retired atomic.Pointer[chan struct{}]
	once    sync.Once
	closed  chan struct{}
}

var errHungUp = errors.New("the server has closed the connection")

func (c *Lingering) Write(p []byte) (int, error) {
	if c.ends.Load() {
		return c.Conn.Write(p)
	}
	if read := c.retired.Load(); read != nil {
		c.wait(*read)
		return 0, errHungUp
	}
	if c.begins.Swap(false) && c.raw != nil && hungUp(c.raw) {
		return 0, errHungUp
	}
	n, err := c.Conn.Write(p)
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.wait(nil)
	}
	return n, err
}

// wait ends with the connection, or when an answer was read.
func (c *Lingering) wait(read chan struct{}) {
	if !c.http1.Load() {
		return
	}
	timeout := time.NewTimer(lingerTime)
	defer timeout.Stop()
	select {
	case <-c.closed:
	case <-read:
	case <-timeout.C:
	}
}

// SetWriteDeadline is what crypto/tls does before its last word, which is not worth waiting for:
// net/http holds locks meanwhile.
func (c *Lingering) SetWriteDeadline(t time.Time) error {
	c.ends.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

// Retire has no further write succeed, so that the connection serves no other request. A write
// fails when read is called, which tells that the answer of this one was read.
func (c *Lingering) Retire() (read func()) {
	done := make(chan struct{})
	if !c.retired.CompareAndSwap(nil, &done) {
		return func() {}
	}
	return sync.OnceFunc(func() { close(done) })
}

// CloseWrite ends what is sent, as a tunnel does that was upgraded to.
func (c *Lingering) CloseWrite() error {
	if conn, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close lets the writes that wait fail.
func (c *Lingering) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
