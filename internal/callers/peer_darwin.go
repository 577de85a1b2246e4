package callers

import (
	"net"

	"golang.org/x/sys/unix"
)

const tellsCredentials = true

// credentialsOf asks the kernel who has opened a socket, nil if it does not say.
func credentialsOf(socket *net.UnixConn) *Credentials {
	var (
		found *unix.Xucred
		pid   int
	)
	control(socket, func(fd int) (err error) {
		if found, err = unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED); err != nil {
			return err
		}
		pid, err = unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID)
		return err
	})
	if found == nil {
		return nil
	}
	return newCredentials(found.Uid, pid)
}

func overflowUID() uint32 { return nobody }
