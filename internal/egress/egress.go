// Package egress is the way to Zoho: whom to trust, through which proxy, and which addresses
// Zoho cannot be at.
package egress

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

// Network is how a client reaches Zoho: whom it trusts, through which proxy, and
// which addresses it refuses to talk to.
type Network struct {
	Roots     *x509.CertPool // nil: the system's
	caFile    string         // where roots came from
	proxy     *url.URL
	Simulator string // host:port that every Zoho host name leads to, "" in real life
	guarded   bool   // refuse private and own addresses
}

// ErrLoop is a Zoho host that resolves to an address where Zoho cannot be.
var ErrLoop = errors.New("resolves to a private or local address, where Zoho cannot be")

// Simulator is where Zoho's host names lead instead of to Zoho.
type Simulator struct {
	// host:port
	Address string `json:"address"`

	// PEM file of the certificate authority to trust.
	CA string `json:"ca"`
}

// Options are what a client says of the way to Zoho.
type Options struct {
	TrustedCA string     // a file; "" is what the system trusts
	Proxy     string     // a URL, with placeholders
	Simulator *Simulator // nil in real life
	Custom    bool       // the servers are the operator's choice, and may be anywhere
}

// New reads the files and variables that the options name. The options were checked before.
func New(o Options) (*Network, error) {
	n := &Network{caFile: o.TrustedCA}
	if s := o.Simulator; s != nil {
		n.Simulator, n.caFile = s.Address, s.CA
	}
	if n.caFile != "" {
		pem, err := os.ReadFile(n.caFile)
		if err != nil {
			return nil, fmt.Errorf("certificate authorities: %w", err)
		}
		n.Roots = x509.NewCertPool()
		if !n.Roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM format", n.caFile)
		}
	}
	if o.Proxy != "" {
		proxy, err := secret.ResolveURL(o.Proxy)
		if err != nil {
			return nil, fmt.Errorf("network_proxy: %w", err)
		}
		n.proxy = proxy
	}
	// Through a proxy or the simulator the address that is dialled is not Zoho's.
	n.guarded = n.Simulator == "" && n.proxy == nil && !o.Custom
	return n, nil
}

var proxySchemes = []string{"http", "https", "socks5", "socks5h"}

// CheckProxy reads the URL as it is configured. Its errors never show it: it may hold
// a password, which has to be a placeholder as other secrets have.
func CheckProxy(text string) error {
	proxy, err := url.Parse(secret.Placeholder.ReplaceAllString(text, "placeholder"))
	if err != nil || proxy.Host == "" || !slices.Contains(proxySchemes, proxy.Scheme) {
		return errors.New(
			"network_proxy takes a URL that begins with http, https, socks5 or socks5h, as in http://proxy.example:3128",
		)
	}
	if password, ok := proxy.User.Password(); ok && password != "placeholder" {
		return errors.New(
			"network_proxy: give the password as a placeholder, because Caddy's admin API shows the configuration, as in http://user:{env.PROXY_PASSWORD}@proxy.example:3128",
		)
	}
	return nil
}

// AccountsClient is the HTTP client for the authorization server.
func (n *Network) AccountsClient() *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		Proxy:                  n.proxyFunc(),
		DialContext:            n.Guard(n.lead(dialer.DialContext)),
		TLSClientConfig:        &tls.Config{RootCAs: n.Roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    5 * time.Second,
		IdleConnTimeout:        time.Minute,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &http.Client{Transport: transport}
}

func (n *Network) proxyFunc() func(*http.Request) (*url.URL, error) {
	if n.proxy == nil {
		return nil
	}
	return http.ProxyURL(n.proxy)
}

// DialFunc makes a connection, as net.Dialer does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Guard refuses connections that ended at an address where Zoho cannot be, before a
// byte is sent.
func (n *Network) Guard(next DialFunc) DialFunc {
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
		return nil, fmt.Errorf("%s %w", address, ErrLoop)
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
func (n *Network) lead(next DialFunc) DialFunc {
	if n.Simulator == "" {
		return next
	}
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return next(ctx, network, n.Simulator)
	}
}

// isLocal reports whether an address is of this machine or a private network.
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

// ProxyModule makes Caddy's transport ignore the proxies of the environment.
func (n *Network) ProxyModule() json.RawMessage {
	if n.proxy == nil {
		return caddyconfig.JSON(map[string]string{"from": "none"}, nil)
	}
	return caddyconfig.JSON(map[string]string{"from": "url", "url": n.proxy.String()}, nil)
}
