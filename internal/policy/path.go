package policy

import (
	"net/url"
	"slices"
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
		return "", "the path has a broken % escape"
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
		return "the path has a broken % escape"
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
// names what it is about: there the path says nothing of what is done. With true, each has a method of
// its own.
var bodies = map[string]bool{
	"__composite_requests": true, "composite": true, "batch": true, "$batch": true, "graphql": true,
	"bulk": false, "coql": false,
}

// mixed are those of a path that have methods of their own.
func mixed(path string) []string {
	return slices.DeleteFunc(unnamed(path, ""), func(name string) bool { return !bodies[name] })
}

// unnamed are such segments of a path that a pattern does not name.
func unnamed(path, pattern string) (names []string) {
	for segment := range strings.SplitSeq(path, "/") {
		for name := range bodies {
			if strings.EqualFold(segment, name) && !slices.Contains(strings.Split(pattern, "/"), segment) {
				names = append(names, name)
			}
		}
	}
	return names
}

// overriding are headers and parameters by which some servers take another method or path than that of
// the request, by their letters: servers differ in the signs that they take for a dash.
var overriding = []string{
	"xhttpmethodoverride", "xhttpmethod", "xmethodoverride", "xmethod", "httpmethodoverride", "methodoverride",
	"xoriginalmethod", "xoriginalurl", "xoriginaluri", "xrewriteurl",
}

// Overrides reports whether a header or a parameter of a request asks for another method or path.
func Overrides(header map[string][]string, query string) bool {
	for name := range header {
		if overrides(name) {
			return true
		}
	}
	for parameter := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(parameter, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if name == "_method" || overrides(name) {
			return true
		}
	}
	return false
}

func overrides(name string) bool {
	if len(name) < len("xmethod") || !mayOverride(name) {
		return false
	}
	letters := strings.Map(func(r rune) rune {
		if r |= 0x20; r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, name)
	return slices.Contains(overriding, letters)
}

// mayOverride rules most names out by their first letter.
func mayOverride(name string) bool {
	switch name[0] | 0x20 {
	case 'x', 'h', 'm':
		return true
	}
	return false
}
