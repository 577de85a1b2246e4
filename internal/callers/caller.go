package callers

import (
	"net/netip"
	"strings"
)

// Caller is who sends a request.
type Caller struct {
	Name string // "" where callers have no names
	Peer string // address of the connection without the port, or "uid 1000" of a Unix socket
}

// uidPrefix begins the Peer of a Unix socket, and no address.
const uidPrefix = "uid "

// ID tells callers apart: by name, or else by where they call from. Whoever has an address of IPv6
// has all of its /64. Peers of a Unix socket whose user is not known are one.
func (c Caller) ID() string {
	if c.Name != "" {
		return "name " + c.Name
	}
	if ip := c.address(); ip.IsValid() {
		return network(ip).String()
	}
	return "local " + c.Peer
}

// address is that of the peer, none for one of a Unix socket.
func (c Caller) address() netip.Addr {
	ip, _ := netip.ParseAddr(strings.Trim(c.Peer, "[]"))
	return ip.Unmap().WithZone("")
}

// network is what one caller has.
func network(ip netip.Addr) netip.Prefix {
	bits := ip.BitLen()
	if ip.Is6() {
		bits /= 2
	}
	prefix, _ := ip.Prefix(bits)
	return prefix
}

// Share is ID where callers can be told apart. All processes of this machine have one address.
func (c Caller) Share() string {
	if c.Name != "" || c.UID() != "" {
		return c.ID()
	}
	if ip := c.address(); !ip.IsValid() || ip.IsLoopback() {
		return ""
	}
	return c.ID()
}

// UID is the user id of the process at the other end of a Unix socket, "" if that is not known.
func (c Caller) UID() string {
	if uid, ok := strings.CutPrefix(c.Peer, uidPrefix); ok {
		return uid
	}
	return ""
}
