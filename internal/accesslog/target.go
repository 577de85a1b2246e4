package accesslog

import (
	"net/url"
	"slices"
	"strings"
)

// redacted stands in a logged target where a secret was; Caddy writes the same for headers.
const redacted = "REDACTED"

// Redact gives a request target without the secrets in it, and reports whether there are any: values
// of parameters with such names wherever servers look for parameters, all of them where tokens are
// asked for, and what stands before the host.
func Redact(target string) (shown string, secret bool) {
	if !mayHoldSecret(target) {
		return target, false
	}
	host, path := hostAndPath(target)
	head, rest := target[:path], target[path:]
	if i := strings.LastIndexByte(head[host:], '@'); i >= 0 {
		head, secret = head[:host]+redacted+head[host+i:], true
	}
	if holdsSecret(rest) {
		rest, secret = redactParameters(rest), true
	}
	if !secret {
		return target, false
	}
	return head + rest, true
}

// mayHoldSecret rules most targets out in one pass.
func mayHoldSecret(target string) bool {
	if target == "" || target[0] != '/' {
		return true
	}
	name, inName, query := 1, true, false
	for i := range len(target) {
		switch target[i] {
		case '/':
			if query {
				continue
			}
			if beginsWithOAuth(target[i+1:]) {
				return true
			}
			name, inName = i+1, true
		case '?':
			name, inName, query = i+1, true, true
		case '&', ';', '#':
			name, inName = i+1, true
		case '=':
			if inName && mayBeSecret(target[name:i]) {
				return true
			}
			inName = false
		}
	}
	return false
}

// mayBeSecret looks at the last two letters of a name.
func mayBeSecret(name string) bool {
	last := byte(0)
	for i := len(name) - 1; i >= 0; i-- {
		switch c := name[i] | 0x20; {
		case name[i] == '%':
			return true
		case c < 'a' || c > 'z':
		case last == 0:
			last = c
		default:
			switch string([]byte{c, last}) {
			case "en", "ns", "et", "rd", "wd", "ey", "on", "er", "de", "al", "ls", "te", "wt", "ss", "re":
				return true
			}
			return false
		}
	}
	return false
}

// hostAndPath tells where in a target the host begins, and what stands before it, and where the path.
func hostAndPath(target string) (host, path int) {
	if target == "" || target[0] == '/' {
		return 0, 0
	}
	if i := strings.Index(target, "//"); i >= 0 {
		host = i + len("//")
	}
	if i := strings.IndexAny(target[host:], "/?#"); i >= 0 {
		return host, host + i
	}
	return host, len(target)
}

func holdsSecret(target string) bool {
	all := asksForTokens(target)
	for part := range parts(target) {
		if secretIn(part, all) > 0 {
			return true
		}
	}
	return false
}

func redactParameters(target string) string {
	var b strings.Builder
	all := asksForTokens(target)
	for part := range parts(target) {
		if i := secretIn(part, all); i > 0 {
			part = part[:i] + redacted
		}
		b.WriteString(part)
	}
	return b.String()
}

// parts are what stands between the separators that all servers know, and these.
func parts(target string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		ends := "/?&"
		for target != "" {
			i := strings.IndexAny(target, ends)
			switch {
			case i < 0:
				i = len(target)
			case i == 0:
				if i = 1; target[0] == '?' {
					ends = "&"
				}
			}
			if !yield(target[:i]) {
				return
			}
			target = target[i:]
		}
	}
}

// secretIn tells where in a part a secret begins, 0 if there is none. Some servers take what follows a
// semicolon for a parameter of its own, and others for the rest of the value.
func secretIn(part string, all bool) int {
	for name := 0; name < len(part); {
		i := strings.IndexAny(part[name:], "=;?#")
		if i < 0 {
			break
		}
		end := name + i + 1
		if part[end-1] == '=' {
			if end < len(part) && (all || isSecret(part[name:end-1])) {
				return end
			}
			if i = strings.IndexAny(part[end:], ";?#"); i < 0 {
				break
			}
			end += i + 1
		}
		name = end
	}
	return 0
}

// asksForTokens reports whether a target is one of an authorization server's, as an app calls that was
// told to look for it here.
func asksForTokens(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	for segment := range strings.SplitSeq(path, "/") {
		if beginsWithOAuth(segment) {
			return true
		}
	}
	return false
}

func beginsWithOAuth(segment string) bool {
	const word = "oauth"
	return len(segment) >= len(word) && segment[0]|0x20 == 'o' && strings.EqualFold(segment[:len(word)], word)
}

// Names of secrets, short of their signs; mayBeSecret knows their last letters. What ends in one of secretEndings is one, short of harmless,
// by which services lead through long lists.
var (
	secretNames   = []string{"code", "state", "jwt", "pwd", "pass", "signature"}
	secretEndings = []string{
		"token", "tokens", "secret", "password", "passwd", "apikey", "authkey", "privatekey", "assertion",
		"codeverifier", "devicecode", "usercode", "authcode", "authorization", "credential", "credentials",
	}
	harmless = []string{"pagetoken", "nexttoken", "prevtoken", "previoustoken", "synctoken", "continuationtoken", "cursortoken"}
)

// longestName is more than any name has that means something.
const longestName = 128

// isSecret reports whether a parameter of that name may hold a secret, however it is written.
func isSecret(name string) bool {
	for range 3 { // some servers decode twice
		if strings.IndexByte(name, '%') < 0 {
			break
		}
		decoded, err := url.QueryUnescape(name)
		if err != nil {
			break
		}
		name = decoded
	}
	var buffer [longestName]byte
	plain := buffer[:0]
	for i := range min(len(name), longestName) {
		switch c := name[max(0, len(name)-longestName)+i]; {
		case 'A' <= c && c <= 'Z':
			plain = append(plain, c|0x20)
		case 'a' <= c && c <= 'z':
			plain = append(plain, c)
		}
	}
	return meansSecret(plain)
}

func meansSecret(plain []byte) bool {
	ends := func(ending string) bool {
		return len(plain) >= len(ending) && string(plain[len(plain)-len(ending):]) == ending
	}
	for _, name := range secretNames {
		if string(plain) == name {
			return true
		}
	}
	return slices.ContainsFunc(secretEndings, ends) && !slices.ContainsFunc(harmless, ends)
}
