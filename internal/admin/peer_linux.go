package admin

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// peerUIDs are the users that may be at the other end. Caddy's admin endpoint does not hand out the
// connection: so the kernel's tables are asked for it.
func peerUIDs(local net.Addr, remote string) []string {
	switch local := local.(type) {
	case *net.TCPAddr:
		return ownerOfTCP(remote, local.AddrPort())
	case *net.UnixAddr:
		return peersOfUnix(local.Name)
	}
	return nil
}

// ownerOfTCP finds a connection of this machine from its other end.
func ownerOfTCP(remote string, local netip.AddrPort) []string {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return nil
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(content)) {
			fields := strings.Fields(line) // sl local remote st queues tr retransmits uid …
			if len(fields) > 7 && isAt(fields[1], peer) && isAt(fields[2], local) {
				return []string{fields[7]}
			}
		}
	}
	return nil
}

// isAt reports whether a table means an address: words of four bytes in the machine's order, a colon
// and the port.
func isAt(text string, at netip.AddrPort) bool {
	words, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(words)
	if err != nil || len(raw)%4 != 0 || fmt.Sprintf("%04X", at.Port()) != port {
		return false
	}
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	ip, ok := netip.AddrFromSlice(raw)
	return ok && ip.Unmap() == at.Addr().Unmap()
}

// peersOfUnix are the users that are connected to a socket of ours. That is one, unless several
// are at work at once.
func peersOfUnix(path string) (uids []string) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		at, err := unix.Getsockname(fd)
		if socket, ok := at.(*unix.SockaddrUnix); err != nil || !ok || socket.Name != path {
			continue
		}
		if _, err := unix.Getpeername(fd); err != nil { // the listener
			continue
		}
		if peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uids = append(uids, strconv.Itoa(int(peer.Uid)))
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids)
}
