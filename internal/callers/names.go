package callers

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Names are those by which the proxy is reached. Any other one a stranger may have pointed here.
type Names struct {
	Sites func() []string // exact host matchers on the way to the handler, asked when they are needed

	allowed []string
	network bool // containers and clusters have names, and call by them
}

// NewNames are the names of a proxy that the rules admit callers to; CheckHost has seen those
// that are allowed.
func NewNames(allowed []string, rules Rules) (*Names, error) {
	hosts, err := ascii(allowed)
	if err != nil {
		return nil, err
	}
	return &Names{
		Sites:   func() []string { return nil },
		allowed: hosts,
		network: rules.network(),
	}, nil
}

// ascii is how names stand in Host: in lower case, without a dot at the end, xn-- for what is
// not ASCII.
func ascii(names []string) ([]string, error) {
	hosts := make(caddyhttp.MatchHost, 0, len(names))
	for _, name := range names {
		hosts = append(hosts, strings.TrimSuffix(name, "."))
	}
	err := hosts.Provision(caddy.Context{})
	return hosts, err
}

// own reports whether a Host names the proxy. Without any it is no browser's.
func (n *Names) own(host string) bool {
	if host == "" {
		return true
	}
	name := nameOf(host)
	switch {
	case name == "":
		return false
	case isAddress(name), name == "localhost", strings.HasSuffix(name, ".localhost"),
		name == "host.docker.internal", zoho.IsHost(name):
		return true
	case n.network && ofNetwork(name):
		return true
	}
	return slices.Contains(n.allowed, name) || slices.Contains(n.Sites(), name)
}

// nameOf is a host as names are compared.
func nameOf(host string) string {
	return strings.ToLower(strings.TrimSuffix(withoutHostPort(host), "."))
}

func withoutHostPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// isAddress reports whether a host is an IP address, in whatever way it is written. What ends in
// a number is one to every browser, or nothing (WHATWG URL, "ends in a number").
func isAddress(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return isNumber(last)
}

// ofNetwork reports whether a name is one of those that only a network of containers knows, or
// so it should be: on the network of an office others give themselves names of one label.
func ofNetwork(name string) bool {
	return !strings.Contains(name, ".") || strings.HasSuffix(name, ".svc") ||
		strings.HasSuffix(name, ".svc.cluster.local")
}

// hostName is a name as DNS has it, and the hosts files of containers.
var hostName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// CheckHost says why a name is none for allowed_hosts.
func CheckHost(name string) error {
	bare := bareName(name)
	why := "is not a host name"
	switch {
	case strings.ContainsAny(name, "{}"):
		return fmt.Errorf("%.100q is a placeholder: write the name itself, or {$NAME}, which Caddy replaces when it "+
			"reads the file", name)
	case strings.Contains(name, "*"):
		return fmt.Errorf("%.100q is a pattern: write each name in full", name)
	case bare != "" && isAddress(bare):
		return fmt.Errorf("%.100q is an address: leave it out, addresses need no entry here", name)
	case isHostName(name):
		return nil
	case !isHostName(bare):
		bare = "zoho.corp.example"
	case strings.Contains(name, "/"):
		why = "is a URL"
	default:
		why = "has a port"
	}
	return fmt.Errorf("%.100q %s: write the name alone, as in `allowed_hosts %s`", name, why, bare)
}

func isHostName(name string) bool {
	hosts, err := ascii([]string{name})
	return err == nil && len(hosts[0]) <= 253 && hostName.MatchString(hosts[0])
}

// bareName is what is left of an URL, or of a host and its port, in lower case.
func bareName(text string) string {
	text = strings.ToLower(text)
	if _, rest, ok := strings.Cut(text, "://"); ok {
		text = rest
	}
	text, _, _ = strings.Cut(text, "/")
	return withoutHostPort(text)
}
