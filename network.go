package caddyzoho

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-zoho/caddy-zoho/internal/secret"
)

// network is how a client reaches Zoho: whom it trusts, through which proxy, and
// which addresses it refuses to talk to.
type network struct {
	roots     *x509.CertPool // nil: the system's
	caFile    string         // where roots came from
	proxy     *url.URL
	simulator string // host:port that every Zoho host name leads to, "" in real life
	guarded   bool   // refuse private and own addresses
}

// errLoop is a Zoho host that resolves to an address where Zoho cannot be.
var errLoop = errors.New("resolves to a private or local address, where Zoho cannot be")

func newNetwork(c *Client) (*network, error) {
	n := &network{caFile: c.TrustedCA}
	if s := c.Simulator; s != nil {
		if _, port, err := net.SplitHostPort(s.Address); err != nil || port == "" {
			return nil, fmt.Errorf("simulator address %q must be host:port", s.Address)
		}
		if n.caFile != "" {
			return nil, errors.New("simulator and trusted_ca exclude each other: the simulator's CA is its second argument")
		}
		if c.centers[0].Custom {
			return nil, errors.New("simulator stands in for Zoho's host names, and this client's data center is given by URLs: leave one of them out")
		}
		n.simulator, n.caFile = s.Address, s.CA
	}
	if n.caFile != "" {
		pem, err := os.ReadFile(n.caFile)
		if err != nil {
			return nil, fmt.Errorf("certificate authorities: %w", err)
		}
		n.roots = x509.NewCertPool()
		if !n.roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", n.caFile)
		}
	}
	if c.NetworkProxy != "" {
		if n.simulator != "" {
			return nil, errors.New("simulator and network_proxy exclude each other")
		}
		proxy, err := resolveNetworkProxy(c.NetworkProxy)
		if err != nil {
			return nil, err
		}
		n.proxy = proxy
	}
	// Through a proxy or the simulator the address that is dialled is not Zoho's.
	n.guarded = n.simulator == "" && n.proxy == nil && !c.centers[0].Custom
	return n, nil
}

var proxySchemes = []string{"http", "https", "socks5", "socks5h"}

// parseNetworkProxy reads the URL as it is configured. It is never shown: it may hold
// a password, which has to be a placeholder as other secrets have.
func parseNetworkProxy(text string) (*url.URL, error) {
	proxy, err := url.Parse(secret.Placeholder.ReplaceAllString(text, "placeholder"))
	if err != nil || proxy.Host == "" || !slices.Contains(proxySchemes, proxy.Scheme) {
		return nil, errors.New("network_proxy takes a URL that begins with http, https, socks5 or socks5h, as in http://proxy.example:3128")
	}
	if password, ok := proxy.User.Password(); ok && password != "placeholder" {
		return nil, errors.New("network_proxy: Caddy's admin API shows the configuration, so the password is given as a placeholder, as in http://user:{env.PROXY_PASSWORD}@proxy.example:3128")
	}
	return proxy, nil
}

func resolveNetworkProxy(text string) (*url.URL, error) {
	if _, err := parseNetworkProxy(text); err != nil {
		return nil, err
	}
	proxy, err := secret.ResolveURL(text)
	if err != nil {
		return nil, fmt.Errorf("network_proxy: %w", err)
	}
	return proxy, nil
}

// accountsClient is the HTTP client for the authorization server.
func (n *network) accountsClient() *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		Proxy:                  n.proxyFunc(),
		DialContext:            n.guard(n.lead(dialer.DialContext)),
		TLSClientConfig:        &tls.Config{RootCAs: n.roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    5 * time.Second,
		IdleConnTimeout:        time.Minute,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &http.Client{Transport: transport}
}

func (n *network) proxyFunc() func(*http.Request) (*url.URL, error) {
	if n.proxy == nil {
		return nil
	}
	return http.ProxyURL(n.proxy)
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// guard refuses connections that ended at an address where Zoho cannot be, before a
// byte is sent.
func (n *network) guard(next dialFunc) dialFunc {
	if !n.guarded {
		return next
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		if err == nil && !isLocal(conn.RemoteAddr()) {
			return conn, nil
		}
		if err != nil && !leadsHere(ctx, address) {
			return nil, err
		}
		if conn != nil {
			_ = conn.Close()
		}
		return nil, fmt.Errorf("%s %w", address, errLoop)
	}
}

// leadsHere tells why nothing answers at a host: its name leads to where Zoho cannot be.
func leadsHere(ctx context.Context, address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	return err == nil && slices.ContainsFunc(ips, func(ip net.IP) bool { return isLocal(&net.TCPAddr{IP: ip}) })
}

// lead takes Zoho's names to the simulator.
func (n *network) lead(next dialFunc) dialFunc {
	if n.simulator == "" {
		return next
	}
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return next(ctx, network, n.simulator)
	}
}

// isLocal tells addresses of this machine and of private networks.
func isLocal(remote net.Addr) bool {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return true
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	if !ok {
		return true
	}
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() ||
		sharedAddressSpace.Contains(ip) || isOwn(ip)
}

// sharedAddressSpace is RFC 6598's, used inside carriers and clouds.
var sharedAddressSpace = netip.MustParsePrefix("100.64.0.0/10")

func isOwn(ip netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, addr := range addrs {
		if prefix, err := netip.ParsePrefix(addr.String()); err == nil && prefix.Addr().Unmap() == ip {
			return true
		}
	}
	return false
}

// proxyModule makes Caddy's transport ignore the proxies of the environment.
func (n *network) proxyModule() json.RawMessage {
	if n.proxy == nil {
		return caddyconfig.JSON(map[string]string{"from": "none"}, nil)
	}
	return caddyconfig.JSON(map[string]string{"from": "url", "url": n.proxy.String()}, nil)
}
