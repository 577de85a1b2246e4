package callers

import (
	"net/netip"
	"strings"
)

// Caller is who sends a request.
type Caller struct {
	Name string // "" where callers have no names
	Peer string // address of the connection, without the port
}

// ID tells callers apart: by name, or else by where they call from. Whoever has an address of IPv6
// has all of its /64. All who come over Unix sockets are one.
func (c Caller) ID() string {
	if c.Name != "" {
		return "name " + c.Name
	}
	if ip, err := netip.ParseAddr(strings.Trim(c.Peer, "[]")); err == nil {
		return network(ip.Unmap().WithZone("")).String()
	}
	return "local " + c.Peer
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

// PeerOf cuts the port off the address of a connection.
func PeerOf(remoteAddr string) string {
	if i := strings.LastIndexByte(remoteAddr, ':'); i >= 0 {
		return remoteAddr[:i]
	}
	return remoteAddr
}
