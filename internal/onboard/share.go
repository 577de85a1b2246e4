package onboard

import (
	"net"
	"net/netip"
	"time"
)

// shares are how many consents may be known at once of an address, and of the network that one
// caller can have many addresses of, so that it leaves room for others.
var shares = []struct{ bits4, bits6, most int }{
	{32, 64, 100},
	{24, 48, 1000},
}

// originOf is what a consent counts by beside its account. An invitation has a limit of its own:
// many of the invited can come through one address.
func (s *Start) originOf() netip.Addr {
	if s.Caller == "" || s.invitation != nil {
		return netip.Addr{}
	}
	host, _, err := net.SplitHostPort(s.Caller)
	if err != nil {
		host = s.Caller
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.IPv4Unspecified() // peers of a Unix socket
	}
	return addr.Unmap().WithZone("")
}

// shareTaken tells how long whoever begins a consent has to wait for the end of others of its own,
// 0 if it need not. With mu held.
func (f *Flow) shareTaken(b begun, now time.Time) (wait time.Duration) {
	if !b.origin.IsValid() {
		return 0
	}
	type taken struct {
		netip.Prefix
		known int
		first time.Time
	}
	networks := make([]taken, len(shares))
	for i, share := range shares {
		bits := share.bits4
		if b.origin.Is6() {
			bits = share.bits6
		}
		network, _ := b.origin.Prefix(bits) // fits either family
		networks[i] = taken{Prefix: network, first: b.expires}
	}
	for _, other := range f.begun {
		for i := range networks {
			if n := &networks[i]; n.Contains(other.origin) {
				n.known++
				if other.expires.Before(n.first) {
					n.first = other.expires
				}
			}
		}
	}
	for i, n := range networks {
		if n.known >= shares[i].most {
			wait = max(wait, n.first.Add(consentLife).Sub(now)+time.Second)
		}
	}
	return wait
}
