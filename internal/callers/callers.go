// Package callers says whose connections are admitted, and which requests are those of web
// pages.
package callers

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// FromBrowser reports whether a web page asks. Across origins a browser sends Origin or
// Sec-Fetch-Site; over plain http, to a name that was rebound to this address, neither.
// Then the name gives it away, together with what browsers add and apps hardly ever do.
func FromBrowser(r *http.Request) bool {
	if _, ok := r.Header["Origin"]; ok {
		return true
	}
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "none" { // somebody typed the address
			return true
		}
	}
	return looksLikeBrowser(r.Header) && foreignName(r.Host)
}

func looksLikeBrowser(header http.Header) bool {
	return header["Accept-Language"] != nil || header["Referer"] != nil ||
		strings.HasPrefix(header.Get("User-Agent"), "Mozilla/")
}

// foreignName reports whether a stranger can point a name at this address: not one of a
// single label, which only the local network knows, nor Zoho's.
func foreignName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil ||
		!strings.Contains(strings.Trim(host, "."), ".") {
		return false
	}
	return !zoho.IsHost(strings.TrimSuffix(host, "."))
}

// Rules are the addresses whose connections are admitted.
type Rules struct {
	Any      bool
	loopback bool
	prefixes []netip.Prefix
}

// Parse reads the rules of the option callers.
func Parse(rules []string) (Rules, error) {
	if len(rules) == 0 {
		return Rules{loopback: true}, nil
	}
	var (
		c   Rules
		err error
	)
	for _, rule := range rules {
		switch rule {
		case "any":
			c.Any = true
		case "loopback":
			c.loopback = true
		case "private_ranges":
			err = c.add(caddyhttp.PrivateRangesCIDR()...)
		default:
			err = c.add(rule)
		}
		if err != nil {
			return c, fmt.Errorf(
				"callers: %q is none of loopback, private_ranges, any, an address or a CIDR such as 10.0.0.0/8%s",
				rule,
				words.DidYouMean(rule, []string{"loopback", "private_ranges", "any"}),
			)
		}
	}
	return c, nil
}

func (c *Rules) add(expressions ...string) error {
	for _, expression := range expressions {
		prefix, err := caddyhttp.CIDRExpressionToPrefix(expression)
		if err != nil {
			return err
		}
		c.prefixes = append(c.prefixes, prefix.Masked())
	}
	return nil
}

// Admit looks at the peer's address alone: any caller can write X-Forwarded-For.
func (c Rules) Admit(remoteAddr string) bool {
	if c.Any {
		return true
	}
	peer, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		// A Unix socket's peer has no address; whoever may open the socket is local.
		return c.loopback && (remoteAddr == "" || remoteAddr[0] == '@' || remoteAddr[0] == '/')
	}
	ip := peer.Addr().Unmap().WithZone("")
	if c.loopback && ip.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(c.prefixes, func(p netip.Prefix) bool { return p.Contains(ip) })
}
