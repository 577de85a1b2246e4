package zohosim

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// drainTime is how long a client may go on sending a body that nobody wants.
const drainTime = 5 * time.Second

// writeReason sends an answer with a reason phrase of its own and ends the connection: net/http knows
// none but the usual phrases. It reports false over HTTP/2, which has no phrase, and where the connection
// cannot be had, as for an answer that a fault holds back.
func (c *call) writeReason(a Answer) bool {
	header := c.w.Header()
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		return false
	}
	defer conn.Close()
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	header.Set("Connection", "close")
	fmt.Fprintf(conn, "HTTP/1.1 %03d %s\r\n", a.Status, a.Reason)
	header.Write(conn)
	io.WriteString(conn, "\r\n")
	if c.r.Method != http.MethodHead {
		io.WriteString(conn, a.Body)
	}
	drain(conn)
	return true
}

// drain reads what a client still sends. A connection that is closed before that is reset, and the answer
// may be lost with it.
func drain(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	conn.SetDeadline(time.Now().Add(drainTime))
	io.Copy(io.Discard, conn)
}
