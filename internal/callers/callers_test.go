package callers

import (
	"os/user"
	"strings"
	"testing"
)

func TestCallers(t *testing.T) {
	tests := []struct {
		rules  []string
		remote string
		want   bool
	}{
		{nil, "127.0.0.1:5", true},
		{nil, "127.9.9.9:5", true},
		{nil, "[::1]:5", true},
		{nil, "[::ffff:127.0.0.1]:5", true},
		{nil, "192.168.1.2:5", false},
		{nil, "garbage", false},
		{[]string{"127.0.0.1/32"}, "127.0.0.1:5", true},
		{[]string{"127.0.0.1/32"}, "127.0.0.2:5", false},
		{[]string{"10.0.0.0/8", "192.168.1.2"}, "192.168.1.2:5", true},
		{[]string{"10.0.0.0/8", "192.168.1.2"}, "192.168.1.3:5", false},
		{[]string{"private_ranges"}, "172.16.0.9:5", true},
		{[]string{"private_ranges"}, "8.8.8.8:5", false},
		{[]string{"fe80::/10"}, "[fe80::1%eth0]:5", true},
		{[]string{"any"}, "8.8.8.8:5", true},
		// IPv4 in IPv6
		{[]string{"::ffff:127.0.0.1"}, "127.0.0.1:5", true},
		{[]string{"::ffff:127.0.0.1"}, "[::ffff:127.0.0.1]:5", true},
		{[]string{"::ffff:127.0.0.1"}, "127.0.0.2:5", false},
		{[]string{"::FFFF:7f00:1"}, "127.0.0.1:5", true},
		{[]string{"::ffff:10.0.0.0/104"}, "10.9.9.9:5", true},
		{[]string{"::ffff:10.0.0.0/104"}, "11.0.0.1:5", false},
		{[]string{"::ffff:10.1.2.3/104"}, "10.9.9.9:5", true},
		{[]string{"::ffff:0.0.0.0/96"}, "8.8.8.8:5", true},
		{[]string{"::ffff:0.0.0.0/96"}, "[2001:db8::1]:5", false},
		// bits beyond the length
		{[]string{"10.1.2.3/8"}, "10.9.9.9:5", true},
		{[]string{"2001:db8::5/64"}, "[2001:db8::9]:5", true},
		// users are peers of Unix sockets alone
		{[]string{"uid", "1000"}, "127.0.0.1:5", false},
		{[]string{"uid", "1000", "1001", "loopback"}, "127.0.0.1:5", true},
		{[]string{"uid", "1000", "10.0.0.1"}, "10.0.0.1:5", true},
		{[]string{"user", "root", "10.0.0.0/8", "uid", "7"}, "10.0.0.1:5", true},
	}
	for _, tt := range tests {
		c, err := Parse(tt.rules)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Admit(Peer{Address: tt.remote}); got != tt.want {
			t.Errorf("callers %v, peer %s: got %v", tt.rules, tt.remote, got)
		}
	}
}

// TestSocketPeers: with loopback whoever may open a Unix socket is admitted, with uid only those
// users; what a peer has bound its end of the socket to admits nobody.
func TestSocketPeers(t *testing.T) {
	root, err := user.LookupId("0")
	if err != nil {
		t.Skip(err)
	}
	tests := []struct {
		rules string
		peer  Peer
		want  bool
	}{
		{"", Peer{Address: "@", Socket: true}, true},
		{"loopback", Peer{Address: "@", Socket: true, Process: newCredentials(4711, 1)}, true},
		{"loopback uid 1", Peer{Address: "@", Socket: true, Process: newCredentials(4711, 1)}, true},
		{"uid 4711", Peer{Address: "@", Socket: true, Process: newCredentials(4711, 1)}, true},
		{"uid 1 4711", Peer{Address: "@", Socket: true, Process: newCredentials(4711, 1)}, true},
		{"uid 1 uid 4711", Peer{Address: "@", Socket: true, Process: newCredentials(4711, 1)}, true},
		{"uid 1 user " + root.Username + " uid 2", Peer{Address: "@", Socket: true, Process: newCredentials(0, 1)}, true},
		{"uid 1", Peer{Address: "@", Socket: true, Process: newCredentials(4711, 1)}, false},
		{"uid 4711", Peer{Address: "@", Socket: true}, false},
		{"uid 0", Peer{Address: "@", Socket: true}, false},
		{"127.0.0.1/32", Peer{Address: "@", Socket: true}, false},
		{"private_ranges", Peer{Address: "@", Socket: true, Process: newCredentials(0, 1)}, false},
		{"10.0.0.0/8", Peer{Address: "10.0.0.1:80", Socket: true, Process: newCredentials(4711, 1)}, false},
		{"uid 1", Peer{Address: "127.0.0.1:80", Socket: true, Process: newCredentials(4711, 1)}, false},
		{"any", Peer{Address: "@", Socket: true}, true},
	}
	for _, tt := range tests {
		c, err := Parse(strings.Fields(tt.rules))
		if err != nil {
			t.Errorf("callers %s: %v", tt.rules, err)
			continue
		}
		if got := c.Admit(tt.peer); got != tt.want {
			t.Errorf("callers %s, %+v: got %v", tt.rules, tt.peer, got)
		}
	}
}

// TestRefusedRules: the message says what to write. What only this machine can know is left to
// the load.
func TestRefusedRules(t *testing.T) {
	for _, tt := range []struct {
		rules, words string
		load         bool
	}{
		{"loopbak", "did you mean loopback?", false},
		{"10.0.0.0/99", "write loopback", false},
		{"example.com", "write loopback", false},
		{"1000", "write `uid 1000`", false},
		{"fe80::1%eth0", "zone", false},
		{"::ffff:0:0/90", "`0.0.0.0/0 ::/0`", false},
		{"uid", "write `uid 1000 1001`", false},
		{"uid www-data", "`user www-data`", false},
		{"uid 1000 www-data", `"www-data" is not a rule`, false},
		{"uid -1", "uid needs a number", false},
		{"uid 4294967295", "not a user id", false},
		{"uid 99999999999", "not a user id", false},
		{"uid 65534", "identifies nobody", false},
		{"user", "write `user www-data`", false},
		{"user 1000", "write `uid 1000`", false},
		{"user any", "write `user www-data`", false},
		{"user no-such-user-here", `no user "no-such-user-here"`, true},
		{"user lopback", "did you mean loopback?", true},
	} {
		rules := strings.Fields(tt.rules)
		if err := Check(rules); (err == nil) != tt.load || err != nil && !strings.Contains(err.Error(), tt.words) {
			t.Errorf("callers %s: %v", tt.rules, err)
		}
		if _, err := Parse(rules); err == nil || !strings.Contains(err.Error(), tt.words) {
			t.Errorf("callers %s, at load: %v", tt.rules, err)
		}
	}
	if err := Check([]string{""}); err == nil {
		t.Error("an empty rule is accepted")
	}
	if nobody, err := user.Lookup("nobody"); err == nil && nobody.Uid == "65534" {
		if _, err := Parse([]string{"user", "nobody"}); err == nil || !strings.Contains(err.Error(), "user nobody: the kernel reports 65534") {
			t.Errorf("user nobody: %v", err)
		}
	}
}

// TestNetwork: which rules admit more than this machine, so that names of a container's network
// are the proxy's own.
func TestNetwork(t *testing.T) {
	for rules, want := range map[string]bool{
		"": false, "loopback": false, "127.0.0.1": false, "127.0.0.1/32 127.3.0.0/16": false, "::1": false,
		"::ffff:127.0.0.1": false, "uid 1000": false, "user root loopback": false,
		"any": true, "private_ranges": true, "loopback 10.0.0.0/8": true, "127.0.0.0/7": true, "0.0.0.0/0": true,
		"::/0": true, "fe80::/10": true, "uid 1000 172.30.0.0/24": true,
	} {
		c, err := Parse(strings.Fields(rules))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.network(); got != want {
			t.Errorf("callers %s: got %v", rules, got)
		}
	}
}
