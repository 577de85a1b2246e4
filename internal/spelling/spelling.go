// Package spelling undoes what a path may be written with, so that what is looked for in it is found.
package spelling

import (
	"strconv"
	"strings"
)

// Plain writes text as the most careless server may read it: decoded more than once, also where the rest cannot be
// decoded, with backslashes for slashes, and with UTF-8 that is none.
func Plain(text string) string {
	for range 4 {
		text = overlong.Replace(Unescape(text))
	}
	return text
}

// overlong are ways to write a dot and a slash that careless decoders of UTF-8 accept.
var overlong = strings.NewReplacer(
	`\`,
	"/",
	"\xc0\xae",
	".",
	"\xc0\xaf",
	"/",
	"\xc1\x9c",
	"/",
	"\xe0\x80\xae",
	".",
	"\xe0\x80\xaf",
	"/",
	"\xe0\x81\x9c",
	"/",
	"\xf0\x80\x80\xae",
	".",
	"\xf0\x80\x80\xaf",
	"/",
	"\xf0\x80\x81\x9c",
	"/",
)

// Unescape decodes once what is percent-encoded, and leaves what only looks like it.
func Unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
