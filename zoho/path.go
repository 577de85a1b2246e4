package zoho

import (
	gopath "path"
	"strings"
	"unicode"

	"github.com/caddy-zoho/caddy-zoho/internal/spelling"
)

// firstSegment of "/crm/v8", "/crm" or "/crm?x" is "crm".
func firstSegment(path string) string {
	if path == "" || path[0] != '/' {
		return ""
	}
	path = path[1:]
	if i := strings.IndexAny(path, "/?#"); i >= 0 {
		path = path[:i]
	}
	return path
}

// isVersion reports whether a segment is one, as v1 or v2.1.
func isVersion(segment string) bool {
	return len(segment) > 1 && segment[0] == 'v' && '0' <= segment[1] && segment[1] <= '9'
}

// HasDotSegment reports whether some server may read a dot segment in a path: written plainly,
// percent-encoded, behind a backslash, or with parameters.
func HasDotSegment(path string) bool {
	if strings.IndexByte(path, '.') < 0 && strings.IndexByte(path, '%') < 0 {
		return false // most paths
	}
	for segment := range strings.SplitSeq(plainSegments.Replace(path), "/") {
		if segment, _, _ = strings.Cut(segment, ";"); segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// plainSegments writes a path as servers may read it.
var plainSegments = strings.NewReplacer(
	"%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", "/", "%5C", "/", `\`, "/")

// loosely writes a path as some server may read it: decoded however often, in any letter case, without empty
// segments, dot segments and parameters, and without what no name has. What a path leads to is not decided by it, but
// what it may lead to.
func loosely(path string) string {
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	if isPlain(path) {
		return path
	}
	path = strings.ToLower(strings.ToValidUTF8(spelling.Plain(path), ""))
	var segments []string
	for segment := range strings.SplitSeq(path, "/") {
		segment, _, _ = strings.Cut(strings.TrimLeftFunc(segment, isInvisible), ";")
		segment, _, _ = strings.Cut(segment, "\x00")
		if segment = strings.Map(visible, strings.TrimSpace(segment)); segment != "" {
			segments = append(segments, segment)
		}
	}
	return gopath.Clean("/" + strings.Join(segments, "/"))
}

// isInvisible reports what servers may leave out.
func isInvisible(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }

func visible(r rune) rune {
	if unicode.IsControl(r) {
		return -1
	}
	return r
}

// isPlain reports whether every server reads the names of a path alike, which are in its first two segments.
func isPlain(path string) bool {
	slashes := 0
	for i := range len(path) {
		c := path[i]
		if c == '/' {
			slashes++
		}
		switch {
		case c <= ' ' || c > '~' || c == '%' || c == '\\' || c == ';' || 'A' <= c && c <= 'Z' && slashes <= 2:
			return false
		case c == '/' && i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.'):
			return false
		}
	}
	return strings.HasPrefix(path, "/")
}

// notInNames reports what no host name has.
func notInNames(r rune) bool {
	return r != '-' && r != '.' && r != '_' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
}
