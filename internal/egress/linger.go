package egress

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// lingerTime is how long an answer is waited for that has come already.
const lingerTime = time.Second

// Linger makes connections on which a server may hang up whenever it likes.
//
// It may answer and hang up before it has read all of a request. To net/http a write that fails is
// the end, even with the answer at hand. Such a write fails only when the connection is closed, or
// after a moment: until then net/http goes on reading. It does not use a connection again while it
// writes to it.
//
// It may hang up on a connection that is kept for the next request. If that comes before net/http
// has noticed, its first write fails before a byte has left, so that net/http takes another
// connection, for a POST as well.
func Linger(next DialFunc) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &lingering{Conn: conn, closed: make(chan struct{})}
		if s, ok := conn.(syscall.Conn); ok {
			c.raw, _ = s.SyscallConn()
		}
		return c, nil
	}
}

type lingering struct {
	net.Conn
	raw      syscall.RawConn // nil if there is none
	answered atomic.Bool     // something was read since the last write
	retired  atomic.Bool
	once     sync.Once
	closed   chan struct{}
}

var errHungUp = errors.New("the server has hung up")

func (c *lingering) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.answered.Store(true)
	}
	return n, err
}

func (c *lingering) Write(p []byte) (int, error) {
	if c.answered.Swap(false) {
		switch {
		case c.retired.Load():
			return 0, errHungUp
		case c.raw != nil && hungUp(c.raw):
			c.linger() // it may be amid a request whose answer was just read
			return 0, errHungUp
		}
	}
	n, err := c.Conn.Write(p)
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.linger()
	}
	return n, err
}

// Retire has the connection serve no other request: that one's first write fails.
func (c *lingering) Retire() { c.retired.Store(true) }

func (c *lingering) linger() {
	timeout := time.NewTimer(lingerTime)
	defer timeout.Stop()
	select {
	case <-c.closed:
	case <-timeout.C:
	}
}

func (c *lingering) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
