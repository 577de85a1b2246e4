package callers

import (
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const tellsCredentials = true

// credentialsOf asks the kernel who has opened a socket, nil if it does not say.
func credentialsOf(socket *net.UnixConn) *Credentials {
	var found *unix.Ucred
	control(socket, func(fd int) (err error) {
		found, err = unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		return err
	})
	if found == nil {
		return nil
	}
	return newCredentials(found.Uid, int(found.Pid))
}

// overflowUID is what the kernel says of users that this user namespace does not know.
func overflowUID() uint32 {
	text, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err != nil {
		return nobody
	}
	uid, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return nobody
	}
	return uint32(uid)
}
