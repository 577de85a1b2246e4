package egress

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// lingerTime is how long an answer is waited for that has come already.
const lingerTime = time.Second

// Linger makes connections on which a server can answer and hang up before it has read all of
// a request. To net/http a write that fails is the end, even with the answer at hand. Such a
// write fails only when the connection is closed, or after a moment: until then net/http goes
// on reading. It does not use a connection again while it writes to it.
func Linger(next DialFunc) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &lingering{Conn: conn, closed: make(chan struct{})}, nil
	}
}

type lingering struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *lingering) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	timeout := time.NewTimer(lingerTime)
	defer timeout.Stop()
	select {
	case <-c.closed:
	case <-timeout.C:
	}
	return n, err
}

func (c *lingering) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
