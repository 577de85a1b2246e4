package callers

import "testing"

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
		{nil, "@", true},
		{nil, "192.168.1.2:5", false},
		{nil, "garbage", false},
		{[]string{"127.0.0.1/32"}, "127.0.0.1:5", true},
		{[]string{"127.0.0.1/32"}, "127.0.0.2:5", false},
		{[]string{"127.0.0.1/32"}, "@", false},
		{[]string{"10.0.0.0/8", "192.168.1.2"}, "192.168.1.2:5", true},
		{[]string{"10.0.0.0/8", "192.168.1.2"}, "192.168.1.3:5", false},
		{[]string{"private_ranges"}, "172.16.0.9:5", true},
		{[]string{"private_ranges"}, "8.8.8.8:5", false},
		{[]string{"fe80::/10"}, "[fe80::1%eth0]:5", true},
		{[]string{"any"}, "8.8.8.8:5", true},
	}
	for _, tt := range tests {
		c, err := Parse(tt.rules)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Admit(tt.remote); got != tt.want {
			t.Errorf("callers %v, peer %s: got %v", tt.rules, tt.remote, got)
		}
	}
	for _, bad := range []string{"loopbak", "10.0.0.0/99", "example.com", ""} {
		if _, err := Parse([]string{bad}); err == nil {
			t.Errorf("callers %q is accepted", bad)
		}
	}
}

// TestForeignName: a stranger can have a name of their own lead here, not one of Zoho's, however
// that is written.
func TestForeignName(t *testing.T) {
	for host, want := range map[string]bool{
		"evil.example": true, "evil.example.:80": true, "evilzoho.com": true, "zoho.com.evil.example": true,
		"www.zohoapis.com": false, "www.zohoapis.com.": false, "desk.zoho.eu.:9000": false, "localhost": false, "localhost.": false, "erp:8080": false, "127.0.0.1:80": false, "[::1]": false,
	} {
		if got := foreignName(host); got != want {
			t.Errorf("%s: got %v", host, got)
		}
	}
}
