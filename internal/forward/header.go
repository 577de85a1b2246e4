package forward

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Header copies what may reach Zoho, with exactly one Authorization. Of the names to
// keep nothing is removed.
func Header(in http.Header, authorization, keep []string) http.Header {
	out := maps.Clone(in)
	for name := range in {
		if Private(name) && !slices.Contains(keep, name) {
			delete(out, name)
		}
	}
	if offer, ok := in["Upgrade"]; ok && (len(offer) != 1 || !strings.EqualFold(offer[0], "websocket")) {
		// Many clients offer h2c to a plain http server; HTTP/2 to Zoho fails on it.
		delete(out, "Upgrade")
		delete(out, "Connection")
	}
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if value, ok := out[name]; ok {
			// net/http repeats what bears such a key when a connection breaks, and Zoho does
			// not promise to carry it out once. Spelled like this the key only passes through.
			delete(out, name)
			out[strings.ToLower(name)] = value
		}
	}
	out["Authorization"] = authorization
	return out
}

// Sandbox keeps a browser from taking an answer for a page of the proxy's origin, or for a script: it
// is a file that anybody may have made. What Zoho itself forbids stays forbidden. Connection could name these
// two, and reverse_proxy would take them away.
func Sandbox(h http.Header) {
	if h.Get("Upgrade") == "" {
		h.Del("Connection")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
}

// Unframed reports whether nobody can tell where the body of a request ends. HTTP/1.0 has no
// chunks, and a request cannot end with its connection; net/http takes such a body for none,
// whatever Transfer-Encoding said.
func Unframed(r *http.Request) bool {
	if r.ProtoAtLeast(1, 1) || r.Header["Content-Length"] != nil {
		return false
	}
	return r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch
}

// Private reports whether a header is no business of Zoho's: credentials and cookies could mix
// identities, and the others name internal hosts and addresses. It is also said of spellings
// that a server may take for such a name.
func Private(name string) bool {
	if name == "" { // HTTP/2 lets a trailer announce it
		return true
	}
	switch name[0] {
	case 'A', 'a':
		return spells(name, "Authorization")
	case 'C', 'c':
		return spells(name, "Cookie") || spells(name, "Cookie2")
	case 'F', 'f':
		return spells(name, "Forwarded")
	case 'P', 'p':
		return spells(name, "Proxy-Authorization")
	case 'V', 'v':
		return spells(name, "Via")
	case 'X', 'x':
		return begins(name, "X-Forwarded-")
	case 'Z', 'z':
		return Ours(name)
	}
	return false
}

// Ours reports whether a header is one by which the proxy and apps speak to each other. Zoho neither
// gets it nor says it.
func Ours(name string) bool { return begins(name, "Zoho-Proxy-") }

// spells reports whether a name can be read as another one: in any letter case, with signs of any
// kind for dashes (CGI has but one for all), and more of them at its end.
func spells(name, as string) bool {
	if !begins(name, as) {
		return false
	}
	for i := len(as); i < len(name); i++ {
		if isAlphanumeric(name[i]) {
			return false
		}
	}
	return true
}

// begins reports whether the beginning of a name can be read as that of another one.
func begins(name, as string) bool {
	if len(name) < len(as) {
		return false
	}
	for i := range len(as) {
		if got, want := name[i], as[i]; got != want && got|0x20 != want|0x20 && (want != '-' || isAlphanumeric(got)) {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' }

// BuildURL makes u lead to a target, with the request target as it was received, byte
// for byte, short of the service's name and of an authtoken.
func BuildURL(u *url.URL, to *zoho.Target, received string) {
	target := OriginForm(received)
	target = withoutAuthToken(to.Rewrite(target)) // JSON may rewrite in reverse_proxy
	u.Scheme, u.Host = to.Scheme, to.Host
	if !strings.HasPrefix(target, "//") {
		u.Opaque = target
		return
	}
	// As Opaque it would be sent in absolute form.
	raw, query, hasQuery := strings.Cut(target, "?")
	u.RawPath, u.RawQuery, u.ForceQuery = raw, query, hasQuery && query == ""
	u.Path = raw
	if path, err := url.PathUnescape(raw); err == nil {
		u.Path = path
	}
}

// withoutAuthToken removes that parameter.
func withoutAuthToken(target string) string {
	path, query, ok := strings.Cut(target, "?")
	if !ok || !hasAuthToken(query) {
		return target
	}
	kept := slices.DeleteFunc(strings.Split(query, "&"), isAuthToken)
	if len(kept) == 0 {
		return path
	}
	return path + "?" + strings.Join(kept, "&")
}

// AuthTokenName is the parameter that older Zoho APIs took a credential in.
const AuthTokenName = "authtoken"

// AuthToken is the value of that parameter, "" if there is none.
func AuthToken(query string) string {
	for parameter := range strings.SplitSeq(query, "&") {
		if isAuthToken(parameter) {
			_, value, _ := strings.Cut(parameter, "=")
			value, _ = url.QueryUnescape(value)
			return value
		}
	}
	return ""
}

func hasAuthToken(query string) bool {
	for parameter := range strings.SplitSeq(query, "&") {
		if isAuthToken(parameter) {
			return true
		}
	}
	return false
}

func isAuthToken(parameter string) bool {
	name, _, _ := strings.Cut(parameter, "=")
	if strings.Contains(name, "%") {
		name, _ = url.QueryUnescape(name)
	}
	return strings.EqualFold(name, AuthTokenName)
}
