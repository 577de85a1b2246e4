// Package words has what messages are put together of.
package words

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/nearest"
)

// NameRule says in words what Name matches.
const NameRule = "1 to 128 of letters, digits and ._@- are allowed"

// Name is what an account, a caller or a policy may be called.
var Name = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,128}$`)

// NamePattern reports whether a text is a name in which * may stand for any text.
func NamePattern(text string) bool { return Name.MatchString(strings.ReplaceAll(text, "*", "x")) }

// Plural counts things.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Some lists names, at most limit of them, and says how many more of total there are.
func Some(names []string, limit, total int) string {
	text := strings.Join(names[:min(len(names), limit)], ", ")
	if total > limit {
		text += fmt.Sprintf(" and %d more", total-limit)
	}
	return text
}

// SomeOf names things, ten of them at most: a message is to be read.
func SomeOf[T fmt.Stringer](things []T) string {
	const some = 10
	var names []string
	for _, thing := range things[:min(len(things), some)] {
		names = append(names, thing.String())
	}
	return Some(names, some, len(things))
}

// DidYouMean is the part of a message that proposes another word, "" if none is near.
func DidYouMean(word string, candidates []string) string {
	return Meant(nearest.Word(word, candidates))
}

// Meant is that part of a message for a word that is near, "" for none.
func Meant(near string) string {
	if near == "" {
		return ""
	}
	return " (did you mean " + near + "?)"
}

// Duration is how people write one: 10 minutes and not 10m0s. One that is not so round stays 1m30s.
func Duration(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		noun   string
	}{{time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if d >= unit.length && d%unit.length == 0 && (unit.length == time.Hour || d/unit.length < 60) {
			return Plural(int(d/unit.length), unit.noun)
		}
	}
	return d.String()
}

// Times counts how often something happened.
func Times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
