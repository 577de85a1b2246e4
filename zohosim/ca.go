package zohosim

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// certAuthority is a CA that makes a certificate for a host of Zoho's when it is first asked for. Its key
// never leaves memory.
type certAuthority struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	extra []string

	mu     sync.Mutex
	signed map[string]*tls.Certificate // :: host name → certificate
}

// newCertAuthority makes a CA that is good for a year. extra are names beside Zoho's.
func newCertAuthority(extra []string) (*certAuthority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := certificateFor("Zoho simulator CA")
	root.IsCA = true
	root.BasicConstraintsValid = true
	root.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &certAuthority{cert: cert, key: key, extra: extra, signed: map[string]*tls.Certificate{}}, err
}

// certificateFor is what root and leaves have in common. It begins a day ago, for
// machines whose clocks are behind.
func certificateFor(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: []string{"caddy-zoho"}},
		NotBefore:    time.Now().Add(-24 * time.Hour),
		NotAfter:     time.Now().Add(365 * 24 * time.Hour),
	}
}

// pem is what clients have to trust.
func (a *certAuthority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// ofFiles has the hosts for files speak HTTP/1.1 alone: they say why they refuse in its reason phrase.
func (a *certAuthority) ofFiles(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if h, known, _ := lookupHost(strings.ToLower(hello.ServerName)); !known || !h.files {
		return nil, nil
	}
	return &tls.Config{GetCertificate: a.certificate, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}, nil
}

// certificate serves a handshake. Hosts that Zoho does not have get none: accounts.zoho.ca does not
// connect.
func (a *certAuthority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(cmp.Or(hello.ServerName, "localhost"))
	if _, known, _ := lookupHost(name); !known && !slices.Contains(a.extra, name) &&
		name != "localhost" && name != "sim.localhost" {
		return nil, fmt.Errorf("zohosim: %q is not a host of Zoho's", name)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.signed[name]; c != nil {
		return c, nil
	}
	c, err := a.sign(name)
	if err == nil {
		a.signed[name] = c
	}
	return c, err
}

// sign makes a certificate for one name.
func (a *certAuthority) sign(name string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := certificateFor(name)
	leaf.DNSNames = []string{name}
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if name == "localhost" { // also for callers that name an address
		leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
