package zohosim

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// quiet drops what net/http says of handshakes and connections that a test broke on purpose.
var quiet = log.New(io.Discard, "", 0)

// StartHTTP serves plain HTTP on a free port of the loopback address. It panics if there is none.
func (s *Server) StartHTTP() (baseURL string, close func()) {
	baseURL, close, err := s.ListenHTTP("127.0.0.1:0")
	must(err)
	return baseURL, close
}

// ListenHTTP is StartHTTP at an address of your choice. Who reaches that address controls the simulator.
func (s *Server) ListenHTTP(address string) (baseURL string, close func(), err error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: s, ErrorLog: quiet}
	go srv.Serve(ln)
	return "http://" + ln.Addr().String(), func() { srv.Close() }, nil
}

// StartTLS serves HTTP/2 and HTTP/1.1 over TLS on a free port of the loopback address, with a
// certificate for each of Zoho's host names. The CA that signs them is made anew and written to
// dir/ca.pem. It panics if that cannot be.
func (s *Server) StartTLS(dir string) (addr, caFile string, close func()) {
	addr, caFile, close, err := s.ListenTLS("127.0.0.1:0", filepath.Join(dir, "ca.pem"))
	must(err)
	return addr, caFile, close
}

// ListenTLS is StartTLS at an address and with a CA file of your choice.
func (s *Server) ListenTLS(address, file string) (addr, caFile string, close func(), err error) {
	ca, err := newCertAuthority(s.o.ExtraHosts)
	if err != nil {
		return "", "", nil, err
	}
	if err := os.WriteFile(file, ca.pem(), 0o644); err != nil {
		return "", "", nil, err
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return "", "", nil, err
	}
	srv := &http.Server{Handler: s, ErrorLog: quiet, TLSConfig: &tls.Config{
		GetCertificate:     ca.certificate,
		GetConfigForClient: ca.ofFiles,
		MinVersion:         tls.VersionTLS12,
	}, Protocols: new(http.Protocols)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(!s.o.HTTP1)
	go srv.ServeTLS(ln, "", "")
	return ln.Addr().String(), file, func() { srv.Close() }, nil
}
