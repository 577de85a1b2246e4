//go:build linux || darwin

package callers

import "net"

// control lets ask look at a socket. What it finds stands in its own variables.
func control(socket *net.UnixConn, ask func(fd int) error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = ask(int(fd)) })
}
