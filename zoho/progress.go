package zoho

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// progress watches how far a request came. Whether a failed one may have made a
// token decides whether it counts against the budget of ten.
type progress struct {
	began     atomic.Bool // the transport reports its steps
	connected atomic.Bool // from here on something may have been written
}

func (p *progress) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { p.began.Store(true) },
		// WroteHeaders would be closer, but comes from another goroutine and so
		// perhaps too late; in doubt a token counts as made.
		GotConn: func(httptrace.GotConnInfo) { p.connected.Store(true) },
	})
}

// neverSent reports whether the server plainly never saw the request: there was
// no connection, or its handshake failed. A transport that reports no steps is
// believed only errors of connecting.
func (p *progress) neverSent(err error) bool {
	if p.connected.Load() {
		return false
	}
	return p.began.Load() || connectFailed(err)
}

// connectFailed recognises errors of name look-up, dialling and TLS handshake.
func connectFailed(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	return is[*net.DNSError](err) || is[*tls.CertificateVerificationError](err) || is[tls.RecordHeaderError](err) ||
		is[x509.UnknownAuthorityError](err) || is[x509.HostnameError](err) || is[x509.CertificateInvalidError](err)
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// shielded prints an error of the network without what could be secret in it;
// servers choose part of those texts. errors.Is and As see the error itself.
type shielded struct {
	text string
	err  error
}

func (e *shielded) Error() string { return e.text }
func (e *shielded) Unwrap() error { return e.err }

// shield also takes off the url.Error, which repeats the URL.
func shield(err error, secrets []string) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &shielded{clean(err.Error(), secrets...), err}
}
