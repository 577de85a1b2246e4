package zoho

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// What strangers send ends up in logs and on terminals, so it is made one
// line, printable, short and free of anything that could be a secret before it
// becomes part of a message: masked first, cut afterwards, or half a secret
// would remain at the cut.

const (
	maxShown  = 160     // bytes of a stranger's text in a message
	maxSeen   = 4 << 10 // bytes of it that are looked at
	maxError  = 512     // bytes of a Failure's text
	maskedAs  = "[masked]"
	minSecret = 4 // bytes; shorter secrets would mask ordinary words
)

// tokenLike matches Zoho's tokens (1000.<hex>.<hex>) and runs long enough to
// be a key, in hex or base64; mask spares runs without a digit, which are words.
var tokenLike = regexp.MustCompile(`[0-9]{3,5}\.[0-9A-Za-z]{6,}(?:\.[0-9A-Za-z]+)?|[0-9A-Za-z+/_=-]{16,}`)

// mask replaces the given secrets and everything that looks like one.
func mask(s string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		s = strings.ReplaceAll(s, secret, maskedAs)
		s = strings.ReplaceAll(s, url.QueryEscape(secret), maskedAs)
	}
	return tokenLike.ReplaceAllStringFunc(s, func(run string) string {
		if strings.ContainsAny(run, "0123456789") {
			return maskedAs
		}
		return run
	})
}

// clean makes one short printable line of s, without secrets.
func clean(s string, secrets ...string) string { return Excerpt(s, maxShown, secrets...) }

// Excerpt makes one printable line of at most limit bytes of what a stranger has sent. The
// secrets given are masked wherever they stand in it, and so is all that looks like one.
func Excerpt(s string, limit int, secrets ...string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, cut(s, maxSeen))
	return cut(mask(strings.Join(strings.Fields(s), " "), secrets...), limit)
}

// show quotes a stranger's text for a message.
func show(s string, secrets ...string) string { return strconv.Quote(clean(s, secrets...)) }

// cut shortens s to at most n bytes, at the border of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const dots = "..."
	for n -= len(dots); n > 0 && s[n]&0xC0 == 0x80; n-- {
	}
	return s[:n] + dots
}

// redactedError prints an error of the network without what could be secret in it;
// servers choose part of those texts. errors.Is and As see the error itself.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.err }

// redactError also takes off the url.Error, which repeats the URL.
func redactError(err error, secrets []string) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &redactedError{clean(err.Error(), secrets...), err}
}
