package callers

import "testing"

// TestID: a caller has one address of IPv4, or all of a /64, however a connection writes it.
func TestID(t *testing.T) {
	for name, tt := range map[string]struct {
		a, b string // remote addresses
		same bool
	}{
		"ports":                {"10.0.0.1:5", "10.0.0.1:6", true},
		"neighbors":            {"10.0.0.1:5", "10.0.0.2:5", false},
		"one /64":              {"[2001:db8::1]:5", "[2001:db8::ffff:1]:6", true},
		"two of them":          {"[2001:db8::1]:5", "[2001:db8:0:1::1]:5", false},
		"IPv4 written as IPv6": {"[::ffff:10.0.0.1]:5", "10.0.0.1:5", true},
		"two of them, as IPv6": {"[::ffff:10.0.0.1]:5", "[::ffff:10.0.0.2]:5", false},
		"one zone":             {"[fe80::1%eth0]:5", "[fe80::2%eth0]:5", true},
	} {
		a, b := Peer{Address: tt.a}.Caller().ID(), Peer{Address: tt.b}.Caller().ID()
		if a == "" || b == "" || (a == b) != tt.same {
			t.Errorf("%s: %q, %q", name, a, b)
		}
	}
	socket, root := Peer{Socket: true}.Caller().ID(), Peer{Socket: true, Process: newCredentials(0, 1)}.Caller().ID()
	if user := (Peer{Socket: true, Process: newCredentials(1000, 2)}).Caller().ID(); socket == root || root == user || socket == user {
		t.Errorf("users of a Unix socket: %q %q %q", socket, root, user)
	}
	if (Caller{Name: "10.0.0.1/32"}).ID() == (Caller{Peer: "10.0.0.1"}).ID() {
		t.Error("a name is taken for an address")
	}
}
