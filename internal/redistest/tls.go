package redistest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// StartTLS starts a server that speaks TLS alone, by a certificate of an authority of its own,
// and returns the file of that authority.
func StartTLS(tb testing.TB, settings ...string) (s *Server, ca string) {
	tb.Helper()
	Need(tb)
	needTLS(tb)
	ca, cert, key := certificate(tb)
	s = newServer(tb)
	s.tls = []string{"--tls", "--cacert", ca}
	s.start(append([]string{
		"port", "0", "tls-port", s.Port, "tls-cert-file", cert, "tls-key-file", key, "tls-ca-cert-file", ca,
		"tls-auth-clients", "no",
	}, settings...))
	return s, ca
}

// needTLS skips the test where Redis was built without TLS; with CI=true it fails.
func needTLS(tb testing.TB) {
	tb.Helper()
	help, _ := exec.Command("redis-cli", "--help").CombinedOutput() // some versions end it with 1
	if bytes.Contains(help, []byte("--tls")) {
		return
	}
	if os.Getenv("CI") == "true" {
		tb.Fatal("this Redis was built without TLS")
	}
	tb.Skip("this Redis was built without TLS")
}

// certificate makes an authority, and a certificate for 127.0.0.1 by it.
func certificate(tb testing.TB) (ca, cert, key string) {
	tb.Helper()
	dir := tb.TempDir()
	write := func(name, kind string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			tb.Fatal(err)
		}
		return file
	}
	issue := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			tb.Fatal(err)
		}
		if signer == nil {
			signer = private
		}
		data, err := x509.CreateCertificate(rand.Reader, template, parent, &private.PublicKey, signer)
		if err != nil {
			tb.Fatal(err)
		}
		return data, private
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityData, authorityKey := issue(authority, authority, nil)
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "redis"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
	}
	serverData, serverKey := issue(server, authority, authorityKey)
	keyData, err := x509.MarshalECPrivateKey(serverKey)
	if err != nil {
		tb.Fatal(err)
	}
	return write("ca.pem", "CERTIFICATE", authorityData), write("cert.pem", "CERTIFICATE", serverData),
		write("key.pem", "EC PRIVATE KEY", keyData)
}
