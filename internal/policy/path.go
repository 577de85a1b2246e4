package policy

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// plain decodes a path that every server reads alike, and says what is odd about any other. An
// odd one is not cleaned: nobody knows how Zoho would.
func plain(path string) (decoded, odd string) {
	for i := 0; i < len(path); i++ {
		if odd := oddAt(path[i:]); odd != "" {
			return "", odd
		}
	}
	decoded, err := url.PathUnescape(path)
	if err != nil || !utf8.ValidString(decoded) {
		return "", "the path is badly encoded"
	}
	return decoded, ""
}

// oddAt says what is odd about the beginning of a path's rest.
func oddAt(rest string) string {
	switch c := rest[0]; {
	case c < ' ' || c == 0x7f:
		return "the path has a control character"
	case c == '\\', c == ';':
		return "the path has a " + rest[:1]
	case c == '%':
		return oddEscape(rest)
	case c == '/' && strings.HasPrefix(rest, "//"):
		return "the path has a //"
	case c == '/' && dotSegment(rest[1:]):
		return "the path has a dot segment"
	}
	return ""
}

// dotSegment reports whether a path begins with one.
func dotSegment(rest string) bool {
	segment, _, _ := strings.Cut(rest, "/")
	return segment == "." || segment == ".."
}

// oddEscape looks at an escape. Those that hide what paths are made of, and an escaped %, may be
// read otherwise by the next server.
func oddEscape(rest string) string {
	if len(rest) < 3 {
		return "the path is badly encoded"
	}
	escape := strings.ToLower(rest[:3])
	switch escape {
	case "%2e", "%2f", "%5c", "%3b", "%23", "%3f", "%25", "%7f":
		return "the path has a " + escape
	}
	if escape[1] == '0' || escape[1] == '1' {
		return "the path has a control character"
	}
	return ""
}

// bodies are segments of paths to which one call brings any number of others, or a query that
// names what it is about: there the path says nothing of what is done.
var bodies = []string{"__composite_requests", "composite", "batch", "$batch", "bulk", "coql", "graphql"}

// severalCalls is such a segment of a path, "" if there is none.
func severalCalls(path string) string {
	for segment := range strings.SplitSeq(path, "/") {
		for _, name := range bodies {
			if strings.EqualFold(segment, name) {
				return name
			}
		}
	}
	return ""
}

// overriding are headers by which some servers take another method than that of the request.
var overriding = []string{"x-http-method-override", "x-http-method", "x-method-override", "x-method"}

// Overrides reports whether a header of a request asks for another method. Some servers take _
// for -.
func Overrides(header map[string][]string) bool {
	for name := range header {
		if len(name) < len("x-method") || name[0]|0x20 != 'x' {
			continue
		}
		name = strings.ReplaceAll(name, "_", "-")
		for _, known := range overriding {
			if strings.EqualFold(name, known) {
				return true
			}
		}
	}
	return false
}
