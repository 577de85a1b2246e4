// Package forward makes of a request what leaves for Zoho: the target byte for byte, the
// headers without what is no business of Zoho's.
package forward

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/spelling"
)

// Path cuts the path out of a request target as it was received.
func Path(target string) string {
	target = OriginForm(target)
	if i := strings.IndexByte(target, '?'); i >= 0 {
		target = target[:i]
	}
	return target
}

// OriginForm cuts scheme and host off an absolute request target.
func OriginForm(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return target
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		if rest[i] == '?' {
			return "/" + rest[i:]
		}
		return rest[i:]
	}
	return "/"
}

// KnownForm reports whether a target is of the two forms that leave no doubt about which path is asked
// for (RFC 9112, 3.2). In others, such as x:/path, what guards us by paths sees another one.
func KnownForm(r *http.Request) bool {
	return strings.HasPrefix(r.RequestURI, "/") ||
		IsAbsolute(r) && (r.URL.Scheme == "http" || r.URL.Scheme == "https")
}

// IsAbsolute reports whether a target is one such as http://host/path, which an app sends that uses
// us as its HTTP proxy. A rewrite takes the host out of RequestURI, but not from URL.
func IsAbsolute(r *http.Request) bool { return r.URL.Host != "" }

// Misread says what in a target lets others read another path than Caddy's matchers, which
// guard us, "" if nothing does. For these the path goes on to the ?, is decoded once, its dot
// segments are resolved, and a row of slashes is one.
func Misread(target string) string {
	if strings.IndexByte(target, '#') >= 0 {
		return "it has a #, and servers stop reading there: send the # as %23"
	}
	if strings.IndexByte(target, ' ') >= 0 { // HTTP/2 lets it through
		return "it has a space, and servers stop reading there: send the space as %20"
	}
	if hidesDots(Path(target)) {
		return "its path has a dot segment that only some servers see, as in ..;/ or %252e%252e/, or that they resolve differently, as in //../: send the path without dot segments"
	}
	return ""
}

// hidesDots reports whether a path has dot segments other than those that everybody sees and
// resolves alike.
func hidesDots(path string) bool {
	if !mayHaveDots(path) {
		return false
	}
	var unsure []bool // of the segments so far: is it one to everybody?
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		last := len(unsure) - 1
		switch dots(segment) {
		case 0:
			parts := partsOf(segment)
			if slices.Contains(parts, ".") || slices.Contains(parts, "..") {
				return true
			}
			unsure = append(unsure, len(parts) > 1 || parts[0] == "") // slashes may be merged
		case 2:
			if last >= 0 && unsure[last] {
				return true
			}
			unsure = unsure[:max(last, 0)]
		}
	}
	return false
}

// Climbs reports whether dot segments lead a path above its root. Where the name of a service
// is cut off in front of it, that is out of the service to Caddy's matchers.
func Climbs(path string) bool {
	depth := 0
	for segment := range strings.SplitSeq(path, "/") {
		switch dots(segment) {
		case 0:
			if segment != "" {
				depth++
			}
		case 2:
			if depth--; depth < 0 {
				return true
			}
		}
	}
	return false
}

// mayHaveDots rules out most paths at a glance.
func mayHaveDots(path string) bool {
	for i := range len(path) {
		if c := path[i]; c == '.' || c == '%' || c >= 0xc0 {
			return true
		}
	}
	return false
}

// dots is 1 for the segment . and 2 for .., percent-encoded or not, otherwise 0.
func dots(segment string) int {
	switch strings.ReplaceAll(strings.ReplaceAll(segment, "%2e", "."), "%2E", ".") {
	case ".":
		return 1
	case "..":
		return 2
	}
	return 0
}

// partsOf are the segments that some server may see in one: a server that decodes more than
// once, also what is no UTF-8, takes %2F or a backslash for a slash, or cuts off what follows
// a semicolon or NUL.
func partsOf(segment string) []string {
	parts := strings.Split(spelling.Plain(segment), "/")
	for i, part := range parts {
		if end := strings.IndexAny(part, ";\x00"); end >= 0 {
			parts[i] = part[:end]
		}
	}
	return parts
}
