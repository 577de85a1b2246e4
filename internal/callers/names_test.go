package callers

import (
	"net/http"
	"strings"
	"testing"
)

func names(t *testing.T, rules string, allowed ...string) *Names {
	t.Helper()
	c, err := Parse(strings.Fields(rules))
	if err != nil {
		t.Fatal(err)
	}
	n, err := NewNames(allowed, c)
	if err != nil {
		t.Fatal(err)
	}
	n.Sites = func() []string { return []string{"crm.site.example", "xn--bro-hoa.example"} }
	return n
}

// hosts are how a Host may be written, and whether it names the proxy: always, only where callers
// admits a network, only by allowed_hosts, or never.
var hosts = map[string]string{
	// addresses, in any way of writing them: what ends in a number is no name
	"127.0.0.1": "always", "127.0.0.1:8080": "always", "127.0.0.1.": "always", "10.1.2.3:80": "always",
	"[::1]": "always", "[::1]:8080": "always", "::1": "always", "[::ffff:127.0.0.1]:80": "always",
	"[fe80::1%25eth0]:80": "always", "[fe80::1%eth0]": "always", "[::FFFF:7F00:1]": "always",
	"127.1": "always", "127.1:8080": "always", "0x7f.1": "always", "0x7f000001": "always", "2130706433": "always",
	"0X7F.0X1": "always", "evil.example.0x": "always", "999.999.999.999": "always",
	// names that lead to this machine by themselves
	"localhost": "always", "localhost:8080": "always", "LOCALHOST": "always", "localhost.": "always", "localhost:": "always",
	"zoho.localhost": "always", "a.b.LocalHost.:80": "always", "host.docker.internal:8080": "always",
	// of the sites
	"crm.site.example": "always", "CRM.Site.Example.:443": "always", "xn--bro-hoa.example": "always",
	// Zoho's, to which a hosts file leads
	"www.zohoapis.com": "always", "www.zohoapis.com.": "always", "desk.zoho.eu.:9000": "always", "DESK.ZOHO.COM": "always",
	// nobody's: no browser sends that
	"": "always",
	// of containers and clusters
	"caddy-zoho": "network", "caddy_zoho:8080": "network", "evilpc:8080": "network", "EVILPC.": "network",
	"caddy-zoho.default.svc": "network", "caddy-zoho.default.svc.cluster.local:8080": "network", "zoho.x.SVC.": "network",
	// allowed
	"zoho.corp.example": "allowed", "Zoho.Corp.Example.:8080": "allowed", "my_proxy.test": "allowed", "zoho.home.arpa": "allowed",
	"xn--mnchen-3ya.example": "allowed",
	// anybody's
	"evil.example": "never", "evil.example.:80": "never", "evilzoho.com": "never", "zoho.com.evil.example": "never",
	"localhost.evil.example": "never", "notlocalhost.com": "never", "127.0.0.1.evil.example": "never", "127.0.0.1.nip.io": "never",
	"x.crm.site.example": "never", "site.example": "never", "x.zoho.corp.example": "never", "corp.example": "never",
	"printer.local": "never", "x.lan": "never", "x.home.arpa": "never", "x.test": "never", "x.internal": "never",
	"docker.internal": "never", "x.host.docker.internal": "never", "cluster.local": "never", "svc.cluster.local.evil.example": "never",
	"evilsvc.example": "never", "x_y.example": "never", "xn--evil-0qa.example": "never", "localhost..": "never", ".": "never", ":8080": "never",
	"user@localhost.example": "never", "%6cocalhost.example": "never", "a b.example": "never", "localhost,evil.example": "never",
	"0x7g.example": "never", "evil.0xg": "never", "[evil.example]": "never",
}

// TestOwnNames: a stranger can have a name lead here that is none of the proxy's, however that
// is written.
func TestOwnNames(t *testing.T) {
	machine := names(t, "loopback uid 1000")
	network := names(t, "loopback 10.0.0.0/8")
	allowed := names(t, "loopback", "zoho.corp.example", "MY_proxy.test", "zoho.home.arpa.", "münchen.example")
	for host, whose := range hosts {
		if got := machine.own(host); got != (whose == "always") {
			t.Errorf("%s, which is %s its own: got %v on one machine", host, whose, got)
		}
		if got := network.own(host); got != (whose == "always" || whose == "network") {
			t.Errorf("%s, which is %s its own: got %v on a network", host, whose, got)
		}
		if got := allowed.own(host); got != (whose == "always" || whose == "allowed") {
			t.Errorf("%s, which is %s its own: got %v with allowed_hosts", host, whose, got)
		}
	}
}

// TestPages: what gives a page away, and what is said of it.
func TestPages(t *testing.T) {
	n := names(t, "loopback")
	for _, tt := range []struct {
		host, name, value string
		mark, at          string
	}{
		{"localhost", "Origin", "http://localhost", "Origin", ""},
		{"localhost", "Origin", "", "Origin", ""},
		{"localhost", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Site", ""},
		{"localhost", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", ""},
		{"localhost", "Sec-Fetch-Site", "none", "", ""},
		{"evil.example", "Sec-Fetch-Site", "none", "", ""},
		{"evil.example", "Sec-Fetch-Mode", "cors", "", ""},
		{"evil.example", "User-Agent", "curl/8", "", ""},
		{"evil.example", "User-Agent", "Mozilla/5.0 (X)", "User-Agent begins with Mozilla/", "evil.example"},
		{"evilpc:8080", "User-Agent", "Mozilla/5.0 (X)", "User-Agent begins with Mozilla/", "evilpc:8080"},
		{"evilpc", "Accept-Language", "", "it has Accept-Language", "evilpc"},
		{"evilpc", "Referer", "http://evil.example/", "it has a Referer of another host", "evilpc"},
		{"evilpc:8080", "Referer", "http://EVILPC.:8080/x", "", ""},
		{"evilpc", "Referer", "x", "", ""},
		{"localhost:8080", "Referer", "http://evil.example/", "", ""},
		{"127.0.0.1", "User-Agent", "Mozilla/5.0 (X)", "", ""},
		{"desk.zoho.com", "User-Agent", "Mozilla/5.0 (X)", "", ""},
	} {
		r := &http.Request{Host: tt.host, Header: http.Header{tt.name: {tt.value}}}
		got := n.PageOf(r)
		switch {
		case got == nil && tt.mark == "":
		case got == nil || got.Mark != tt.mark || got.Host != tt.at:
			t.Errorf("%s with %s: %s: got %+v", tt.host, tt.name, tt.value, got)
		}
	}
	all := http.Header{"User-Agent": {"Mozilla/5.0"}, "Accept-Language": {"en"}, "Referer": {"http://x/"}}
	if got := n.PageOf(&http.Request{Host: "evil.example", Header: all}); got == nil ||
		got.Mark != "User-Agent begins with Mozilla/, it has Accept-Language, it has a Referer of another host" {
		t.Errorf("got %+v", got)
	}
}

// TestCheckHost: the message says what to write instead.
func TestCheckHost(t *testing.T) {
	for _, name := range []string{"zoho.corp.example", "caddy-zoho", "my_proxy", "Zoho.Home.Arpa.", "münchen.example", "xn--mnchen-3ya.example", "localhost", "a.b.svc"} {
		if err := CheckHost(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, words := range map[string]string{
		"http://zoho.corp.example:8080/crm": "`allowed_hosts zoho.corp.example`",
		"HTTPS://Zoho.Corp.Example":         "`allowed_hosts zoho.corp.example`",
		"zoho.corp.example/":                "`allowed_hosts zoho.corp.example`",
		"zoho.corp.example:8080":            "has a port: write the name alone, as in `allowed_hosts zoho.corp.example`",
		":8080":                             "is not a host name",
		"*.corp.example":                    "is a pattern: write each name in full",
		"*":                                 "is a pattern",
		"{env.HOST}":                        "is a placeholder",
		"127.0.0.1":                         "addresses need no entry here",
		"127.0.0.1:8080":                    "addresses need no entry here",
		"[::1]":                             "addresses need no entry here",
		"::1":                               "addresses need no entry here",
		"http://10.0.0.1/":                  "addresses need no entry here",
		"0x7f.1":                            "addresses need no entry here",
		"10.0.0.0/8":                        "addresses need no entry here",
		"":                                  "is not a host name",
		".":                                 "is not a host name",
		"a..b":                              "is not a host name",
		"-a.example":                        "is not a host name",
		"a b":                               "is not a host name",
		"a,b":                               "is not a host name",
		"user@host":                         "is not a host name",
		strings.Repeat("a.", 130) + "b":     "is not a host name",
		strings.Repeat("a", 64):             "is not a host name",
	} {
		if err := CheckHost(name); err == nil || !strings.Contains(err.Error(), words) || len(err.Error()) > 300 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
