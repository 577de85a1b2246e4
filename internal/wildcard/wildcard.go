// Package wildcard matches names and paths against patterns that operators write.
package wildcard

import "strings"

// Name reports whether a name matches a pattern, in which * stands for any text.
func Name(pattern, name string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, before)
	for ok {
		part, more, wild := strings.Cut(after, "*")
		if !wild {
			return strings.HasSuffix(rest, part)
		}
		_, rest, ok = strings.Cut(rest, part)
		after = more
	}
	return false
}

// Path reports whether a path matches a pattern. A * at its end stands for all that follows,
// any other for what is left of its segment; a segment has one at most.
func Path(pattern, path string) bool {
	for {
		before, after, wild := strings.Cut(pattern, "*")
		if !wild {
			return pattern == path
		}
		rest, ok := strings.CutPrefix(path, before)
		if !ok || after == "" {
			return ok
		}
		end, _, more := strings.Cut(after, "/")
		segment, below, deeper := strings.Cut(rest, "/")
		if !strings.HasSuffix(segment, end) || more != deeper {
			return false
		}
		if !more {
			return true
		}
		pattern, path = after[len(end)+1:], below
	}
}
