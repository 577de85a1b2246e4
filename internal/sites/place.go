package sites

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
)

// place is what leads to a handler.
type place struct {
	host     string   // "" if any will do
	hosts    []string // exact host matchers on the way
	guarded  []string // paths of services that a route before it has kept to itself
	written  []string // request headers that a route before it sets, so that callers cannot
	folders  []string // that its path is in; nil if that may be any
	stripped string   // prefix that is off the path by now
}

// rewritten is the place behind a rewrite. Of those that do more than to strip a prefix, as
// handle_path does, it is not known where they lead.
func (p place) rewritten(r *rewrite.Rewrite) place {
	if r.StripPathPrefix == "" || r.URI != "" || r.StripPathSuffix != "" || r.URISubstring != nil ||
		r.PathRegexp != nil {
		p.folders = nil
		return p
	}
	var folders []string
	for _, folder := range p.folders {
		rest, ok := strings.CutPrefix(folder, r.StripPathPrefix)
		if !ok || !strings.HasPrefix(rest, "/") {
			p.folders = nil
			return p
		}
		folders = append(folders, rest)
	}
	p.folders, p.stripped = folders, p.stripped+r.StripPathPrefix
	return p
}

// foldersOf are the folders that a route's matcher names, as in /zoho-connect/*; nil if it
// names none, or if others match as well.
func foldersOf(sets caddyhttp.MatcherSets) (folders []string) {
	for _, set := range sets {
		paths := matcherOf[caddyhttp.MatchPath](caddyhttp.MatcherSets{set})
		if len(paths) == 0 {
			return nil
		}
		for _, path := range paths {
			if slices.Contains(paths, path+"/*") { // the folder itself, which leads there
				continue
			}
			path, _, _ = strings.Cut(path, "*")
			if !strings.HasPrefix(path, "/") {
				return nil
			}
			folders = append(folders, path[:strings.LastIndexByte(path, '/')+1])
		}
	}
	return folders
}

// matcherOf finds the first matcher of a kind, which Caddy keeps by value or by pointer.
func matcherOf[T any](sets caddyhttp.MatcherSets) (none T) {
	for _, set := range sets {
		for _, matcher := range set {
			switch m := matcher.(type) {
			case T:
				return m
			case *T:
				return *m
			}
		}
	}
	return none
}

// callbackAt is where a browser finds a callback, by the configuration alone: what stands
// in front of Caddy is not known here. "" if no browser can.
func callbackAt(server *caddyhttp.Server, host, folder string) string {
	if len(server.Listen) == 0 {
		return ""
	}
	address, err := caddy.ParseNetworkAddress(server.Listen[0])
	if err != nil || !strings.HasPrefix(address.Network, "tcp") {
		return ""
	}
	if host == "" {
		host = address.Host
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme, usual := "http", uint(80)
	if len(server.TLSConnPolicies) > 0 || address.StartPort == 443 {
		scheme, usual = "https", 443
	}
	if address.StartPort != usual {
		host = net.JoinHostPort(host, strconv.Itoa(int(address.StartPort)))
	}
	return scheme + "://" + host + folder + "callback"
}

// reach is from where a listener can be reached.
type reach int

const (
	thisMachine reach = iota
	otherMachines
	everywhere // by any address of this machine
)

func reachOf(listen string) reach {
	address, err := caddy.ParseNetworkAddress(listen)
	if err != nil || !strings.HasPrefix(address.Network, "tcp") || address.Host == "localhost" {
		return thisMachine
	}
	switch ip, err := netip.ParseAddr(address.Host); {
	case address.Host == "" || err == nil && ip.IsUnspecified():
		return everywhere
	case err == nil && ip.IsLoopback():
		return thisMachine
	}
	return otherMachines
}

// DefaultFolder is where the pages of zoho_connect are unless a site says otherwise.
const DefaultFolder = "/zoho-connect/"

// exactHosts are the names that host matchers give in full: neither patterns nor placeholders.
func exactHosts(sets caddyhttp.MatcherSets) (hosts []string) {
	for _, set := range sets {
		for _, host := range matcherOf[caddyhttp.MatchHost](caddyhttp.MatcherSets{set}) {
			if !strings.ContainsAny(host, "{*") {
				hosts = append(hosts, strings.ToLower(strings.TrimSuffix(host, ".")))
			}
		}
	}
	return hosts
}
