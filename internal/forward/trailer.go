package forward

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
)

// notAfter are fields that have no place after a body (RFC 9110, 6.5.1), since they say how it is to
// be framed, routed, read, cached or carried out, and for whom.
var notAfter = []string{
	"Authentication-Info", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Range",
	"Content-Type", "Date", "Expect", "Expires", "Host", "Http2-Settings", "Keep-Alive", "Location", "Max-Forwards",
	"Pragma", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Connection", "Range", "Retry-After",
	"Set-Cookie", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Vary", "Warning", "Www-Authenticate",
}

// MayFollow reports whether a field of an app may come to Zoho after a body. What a server may read
// as another name does not: Caddy keeps such headers out as well, but no trailers.
func MayFollow(name string) bool {
	return !Private(name) && !strings.ContainsFunc(name, isSign) && !strings.HasSuffix(name, "-") &&
		!begins(name, "If-") && !begins(name, "X-Http-Method") && !begins(name, "X-Method") &&
		!begins(name, "X-Original") && !begins(name, "X-Rewrite") && !slices.Contains(notAfter, name)
}

// isSign reports whether a character is one that servers make a dash of.
func isSign(r rune) bool { return r != '-' && (r >= 0x80 || !isAlphanumeric(byte(r))) }

// hopByHop are fields that concern one connection and its framing alone.
var hopByHop = []string{
	"Connection", "Content-Length", "Host", "Http2-Settings", "Keep-Alive", "Proxy-Authenticate",
	"Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// StripOurs takes out of the header of an answer of Zoho's what only the proxy may say.
func StripOurs(h http.Header) {
	for name := range h {
		if Ours(name) {
			delete(h, name)
		}
	}
}

// StripAnnounced takes out of the trailers that an answer of Zoho's announces what must not follow.
// That has all of them follow unannounced to Caddy, once they have come.
func StripAnnounced(trailer http.Header) {
	for name := range trailer {
		if mustNotReturn(name) {
			delete(trailer, name)
		}
	}
}

// StripTrailers takes it out of the header that is written to an app, where Caddy has put what followed
// without having been announced.
func StripTrailers(h http.Header) {
	for key := range h {
		if name, ok := strings.CutPrefix(key, http.TrailerPrefix); ok && mustNotReturn(name) {
			delete(h, key)
		}
	}
}

// mustNotReturn reports whether a field must not come to an app after a body.
func mustNotReturn(name string) bool { return Ours(name) || slices.Contains(hopByHop, name) }

// WatchInterim takes out of interim answers (1xx) what only the proxy may say, before Caddy hands
// them on. It changes the trace that Caddy makes for each request.
func WatchInterim(ctx context.Context) {
	trace := httptrace.ContextClientTrace(ctx)
	if trace == nil || trace.Got1xxResponse == nil {
		return
	}
	next := trace.Got1xxResponse
	trace.Got1xxResponse = func(code int, header textproto.MIMEHeader) error {
		StripOurs(http.Header(header))
		return next(code, header)
	}
}
