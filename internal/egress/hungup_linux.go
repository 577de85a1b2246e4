package egress

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp reports whether the other side sends no more, without waiting and without reading.
func hungUp(conn syscall.RawConn) (gone bool) {
	_ = conn.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(poll, 0)
		gone = err == nil && n > 0
	})
	return gone
}
