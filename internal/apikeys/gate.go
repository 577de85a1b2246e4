package apikeys

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/forward"
)

// HeaderName is where a key may stand beside Authorization, with `in header`.
const HeaderName = "Zoho-Proxy-Key"

// What a Gate has against a request.
var (
	ErrMissing = errors.New("no key is shown")
	ErrWrong   = errors.New("the key belongs to nobody")
	// ErrTries is ErrWrong for an address that has tried too often.
	ErrTries = errors.New("too many wrong keys")
)

// Gate lets those in who show a key.
type Gate struct {
	Keys   *Keys
	Tries  *Tries
	Header bool // a key may stand in HeaderName
	Query  bool // a key may stand in the parameter authtoken
}

// Admit finds whose key a request shows. Others are keys that it shows in its body. The key itself
// is returned for who has to be told it again.
func (g *Gate) Admit(r *http.Request, peer func() string, others ...string) (owner *Owner, key string, err error) {
	shown := append(g.shown(r), others...)
	for _, key := range shown {
		if owner := g.Keys.Find(key); owner != nil {
			return owner, key, nil
		}
	}
	switch {
	case !slices.ContainsFunc(shown, func(key string) bool { return key != "" }):
		return nil, "", ErrMissing
	case g.Tries.Wrong(peer()):
		return nil, "", ErrTries
	}
	return nil, "", ErrWrong
}

// RetryAfter is when one more wrong key is answered by ErrWrong again.
const RetryAfter = triesEvery

// shown are the keys that may stand in a request, "" where there is none. Of a header that
// stands there several times the first one counts.
func (g *Gate) shown(r *http.Request) []string {
	keys := make([]string, 0, 4)
	keys = append(keys, fromAuthorization(r.Header.Get("Authorization")))
	if g.Header {
		keys = append(keys, r.Header.Get(HeaderName))
	}
	if g.Query && r.URL.RawQuery != "" {
		keys = append(keys, forward.AuthToken(r.URL.RawQuery))
	}
	return keys
}

// fromAuthorization takes a key as basic-auth's password, behind a scheme, or alone.
func fromAuthorization(value string) string {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(value), " ")
	if !ok {
		return scheme
	}
	rest = strings.TrimSpace(rest)
	if !strings.EqualFold(scheme, "Basic") {
		return rest
	}
	plain, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		return rest
	}
	_, password, _ := strings.Cut(string(plain), ":")
	if unescaped, err := url.QueryUnescape(password); err == nil {
		return unescaped // RFC 6749, 2.3.1, has clients encode it; nothing in a key changes by it
	}
	return password
}

// Hide takes the key out of the headers of a request that goes on: what comes after may log them.
func (g *Gate) Hide(r *http.Request) { delete(r.Header, HeaderName) }
