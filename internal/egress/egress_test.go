package egress

import (
	"net"
	"net/netip"
	"net/url"
	"testing"
)

// TestGuardedClients: the guard is off only where what is dialled is not Zoho.
func TestGuardedClients(t *testing.T) {
	tests := map[string]struct {
		options Options
		guarded bool
	}{
		"direct":        {Options{}, true},
		"network proxy": {Options{Proxy: "http://proxy.example:3128"}, false},
		"custom":        {Options{Custom: true}, false},
	}
	for name, test := range tests {
		n, err := New(test.options)
		if err != nil || n.guarded != test.guarded {
			t.Errorf("%s: guarded %v, want %v; %v", name, n.guarded, test.guarded, err)
		}
	}
	if n := (&Network{proxy: &url.URL{Scheme: "http", Host: "proxy.example:3128"}}); n.proxyFunc() == nil {
		t.Error("the proxy is not used")
	}
}

// TestLocalAddresses: where Zoho cannot be.
func TestLocalAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": true, "127.8.8.8": true, "::1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true,
		"169.254.169.254": true, "fe80::1": true, "fd00::1": true, "0.0.0.0": true, "::": true, "100.64.0.1": true,
		"::ffff:127.0.0.1": true, "224.0.0.1": true,
		"136.143.190.1": false, "8.8.8.8": false, "100.128.0.1": false, "2001:4860:4860::8888": false, "172.32.0.1": false,
	} {
		if got := isLocal(net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 443))); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}

// TestOwnAddresses: this machine has its addresses, public ones as well, and no others.
func TestOwnAddresses(t *testing.T) {
	own, err := net.InterfaceAddrs()
	if err != nil || len(own) == 0 {
		t.Skipf("no addresses: %v", err)
	}
	for _, address := range own {
		if prefix := netip.MustParsePrefix(address.String()); !isOwn(prefix.Addr().Unmap()) {
			t.Errorf("%s is not its own", address)
		}
	}
	if stranger := netip.MustParseAddr("198.51.100.77"); isOwn(stranger) {
		t.Errorf("%s is its own", stranger)
	}
}
