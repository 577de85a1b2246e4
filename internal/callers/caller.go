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

// ID tells callers apart: by name, or else by where they call from.
func (c Caller) ID() string {
	if c.Name != "" {
		return "name " + c.Name
	}
	return c.Peer
}

// Share is ID where callers can be told apart. All processes of this machine have one address.
func (c Caller) Share() string {
	if ip, err := netip.ParseAddr(strings.Trim(c.Peer, "[]")); c.Name == "" && (err != nil || ip.Unmap().IsLoopback()) {
		return ""
	}
	return c.ID()
}

// PeerOf cuts the port off the address of a connection.
func PeerOf(remoteAddr string) string {
	if i := strings.LastIndexByte(remoteAddr, ':'); i >= 0 {
		return remoteAddr[:i]
	}
	return remoteAddr
}
