// The harness's other servers: one that records requests to the byte, and an authority that
// signs certificates.

package tests

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder stands where Zoho would and notes every byte that arrives. It reads
// HTTP/1.1 by itself, so that nothing is normalised on the way into the record.
type recorder struct {
	t    *testing.T
	url  string
	addr string

	mu       sync.Mutex
	conns    int
	used     int // connections on which a byte arrived
	requests []rawRequest
	serve    func(net.Conn, *bufio.Reader, rawRequest) // nil: 200 "ok"
}

// rawRequest is a request as it came.
type rawRequest struct {
	method, target, proto string
	fields                []field
	body                  []byte // without the chunks' framing
	chunked               bool
	trailer               []field
}

type field struct{ name, value string }

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"

func startRecorder(t *testing.T) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return record(t, l)
}

// record notes what arrives at l until the test ends.
func record(t *testing.T, l net.Listener) *recorder {
	r := &recorder{t: t, url: "http://" + l.Addr().String(), addr: l.Addr().String()}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns++
			r.mu.Unlock()
			go r.read(conn)
		}
	}()
	return r
}

func (r *recorder) read(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	if _, err := in.Peek(1); err != nil {
		return
	}
	r.mu.Lock()
	r.used++
	r.mu.Unlock()
	for {
		request, err := readRawRequest(in)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.requests = append(r.requests, request)
		serve := r.serve
		r.mu.Unlock()
		if serve == nil {
			serve = answering(okAnswer)
		}
		serve(conn, in, request)
	}
}

func answering(text string) func(net.Conn, *bufio.Reader, rawRequest) {
	return func(conn net.Conn, _ *bufio.Reader, _ rawRequest) { _, _ = io.WriteString(conn, text) }
}

// answer makes the recorder answer with text from now on.
func (r *recorder) answer(text string) { r.handle(answering(text)) }

func (r *recorder) handle(serve func(net.Conn, *bufio.Reader, rawRequest)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serve = serve
}

// take gives what arrived since the last call.
func (r *recorder) take() []rawRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.requests
	r.requests = nil
	return taken
}

// one is take where exactly one request must have arrived.
func (r *recorder) one(t *testing.T) rawRequest {
	t.Helper()
	requests := r.take()
	if len(requests) != 1 {
		t.Fatalf("%d requests arrived, want 1: %v", len(requests), requests)
	}
	return requests[0]
}

func (r *recorder) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns
}

// spoken counts the connections on which anything arrived, inside TLS if there is.
func (r *recorder) spoken() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}

func readRawRequest(in *bufio.Reader) (rawRequest, error) {
	r, err := readRawHead(in)
	switch {
	case err != nil:
		return r, err
	case r.chunked:
		return r, r.readChunks(in)
	}
	r.body = make([]byte, r.length())
	_, err = io.ReadFull(in, r.body)
	return r, err
}

// readRawHead reads a request up to its body.
func readRawHead(in *bufio.Reader) (rawRequest, error) {
	var r rawRequest
	line, err := in.ReadString('\n')
	if err != nil {
		return r, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	r.method, line, _ = strings.Cut(line, " ")
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return r, fmt.Errorf("no request line: %s %q", r.method, line)
	}
	r.target, r.proto = line[:i], line[i+1:]
	if r.fields, err = readFields(in); err != nil {
		return r, err
	}
	r.chunked = len(r.values("Transfer-Encoding")) > 0
	return r, nil
}

// length is what Content-Length says, 0 without it.
func (r rawRequest) length() (n int64) {
	for _, value := range r.values("Content-Length") {
		n, _ = strconv.ParseInt(value, 10, 64)
	}
	return n
}

func readFields(in *bufio.Reader) ([]field, error) {
	var fields []field
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		line = strings.TrimSuffix(line, "\r\n")
		if line == "" {
			return fields, nil
		}
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, field{name, strings.TrimPrefix(value, " ")})
	}
}

func (r *rawRequest) readChunks(in *bufio.Reader) error {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
		if err != nil {
			return err
		}
		if size == 0 {
			r.trailer, err = readFields(in)
			return err
		}
		chunk := make([]byte, size+2)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return err
		}
		r.body = append(r.body, chunk[:size]...)
	}
}

// values of a header, in order.
func (r rawRequest) values(name string) []string { return valuesOf(r.fields, name) }

func valuesOf(fields []field, name string) []string {
	var values []string
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			values = append(values, f.value)
		}
	}
	return values
}

// checkToken: exactly one Authorization, of Zoho's scheme, and none in the trailer.
func (r rawRequest) checkToken(t *testing.T) {
	t.Helper()
	values := r.values("Authorization")
	if len(values) != 1 || !strings.HasPrefix(values[0], "Zoho-oauthtoken 1000.") || strings.ContainsAny(values[0], ",;") {
		t.Errorf("Authorization: %d values, want exactly one Zoho-oauthtoken: %.30q", len(values), values)
	}
	if got := valuesOf(r.trailer, "Authorization"); len(got) != 0 {
		t.Errorf("the trailer has Authorization %q", got)
	}
}

// authority signs certificates for the listeners of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key := newKey(t)
	root := certificateUntil(time.Now().Add(time.Hour))
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certificateUntil(end time.Time) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "caddy-zoho test " + serial.String()},
		NotBefore: end.Add(-48 * time.Hour), NotAfter: end,
	}
}

// issue signs a certificate for names and addresses, valid until end.
func (a *authority) issue(t testing.TB, end time.Time, names ...string) tls.Certificate {
	t.Helper()
	key, leaf := newKey(t), certificateUntil(end)
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// file writes the authority's certificate for trusted_ca.
func (a *authority) file(t testing.TB) string {
	t.Helper()
	return writePEM(t, "CERTIFICATE", a.cert.Raw)
}

func writePEM(t testing.TB, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pool trusts the authority alone.
func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}
