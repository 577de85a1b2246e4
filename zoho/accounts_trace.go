package zoho

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
)

// connTrace watches how far a request came. Whether a failed one may have made a
// token decides whether it counts against the budget of ten.
type connTrace struct {
	began     atomic.Bool // the transport reports its steps
	connected atomic.Bool // from here on something may have been written
}

// attach has the request's transport report to t.
func (t *connTrace) attach(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { t.began.Store(true) },
		// WroteHeaders would be closer, but comes from another goroutine and so
		// perhaps too late; in doubt a token counts as made.
		GotConn: func(httptrace.GotConnInfo) { t.connected.Store(true) },
	})
}

// neverSent reports whether the server plainly never saw the request: there was
// no connection, or its handshake failed. A transport that reports no steps is
// believed only errors of connecting.
func (t *connTrace) neverSent(err error) bool {
	if t.connected.Load() {
		return false
	}
	return t.began.Load() || connectFailed(err)
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
