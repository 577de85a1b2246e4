// Package syntax reads blocks of a Caddyfile whose options stand in a table, and says what is
// wrong with one: what, where, why and what to write instead. No error shows an argument of an
// option that takes secrets.
package syntax

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// Option is a subdirective: how it is written, and what becomes of it.
type Option[T any] struct {
	Usage    string // arguments and block, for messages
	Min, Max int    // number of arguments; max < 0: any number
	Block    bool   // may have a block
	Repeat   bool   // may be given several times
	Parse    func(*T, *Line) error
}

// Line is an option as given: its word, its arguments and its block.
type Line struct {
	Word   string
	Args   []string
	after  string               // the option before it
	Tokens []caddyfile.Token    // all of it
	Rest   *caddyfile.Dispenser // after the arguments, before the block
}

// NewLine takes the segment that begins at d's cursor.
func NewLine(d *caddyfile.Dispenser) *Line {
	l := &Line{Tokens: d.NextSegment()}
	l.Rest = caddyfile.NewDispenser(l.Tokens)
	l.Rest.Next()
	l.Word, l.Args = l.Rest.Val(), l.Rest.RemainingArgs()
	return l
}

// HasBlock reports whether a brace follows the arguments.
func (l *Line) HasBlock() bool { return len(l.Tokens) > 1+len(l.Args) }

// Errorf makes an error of the line on which the option begins.
func (l *Line) Errorf(format string, args ...any) error {
	d := caddyfile.NewDispenser(l.Tokens[:1])
	d.Next()
	return d.Errf(format, args...)
}

// Where is the place of the line, as errors give it.
func (l *Line) Where() string { return fmt.Sprintf("%s:%d", l.Tokens[0].File, l.Tokens[0].Line) }

// Lines are where options stand, by their words; an option that stands several times, by its
// word and its name. A configuration that was read from JSON has none.
type Lines map[string]*Line

// Errorf makes an error of an option, with its place if it has one.
func (ls Lines) Errorf(option, format string, args ...any) error {
	if l := ls[option]; l != nil {
		return l.Errorf(format, args...)
	}
	return fmt.Errorf(format, args...)
}

// At puts the place of an option into words, if it has one.
func (ls Lines) At(option, format string) string {
	if l := ls[option]; l != nil {
		return fmt.Sprintf(format, l.Where())
	}
	return ""
}

// ReadBlock parses the block that d stands before. lookup finds an option, or says
// why there is none. It returns the first line of each option.
func ReadBlock[T any](
	d *caddyfile.Dispenser,
	target *T,
	lookup func(*Line) (Option[T], error),
) (Lines, error) {
	seen := make(Lines)
	after := ""
	for d.NextBlock(0) {
		l := NewLine(d)
		l.after, after = after, l.Word
		o, err := lookup(l)
		if err != nil {
			return nil, err
		}
		if first := seen[l.Word]; first == nil {
			seen[l.Word] = l
		} else if !o.Repeat {
			return nil, l.Errorf("%s is given twice, first at %s", l.Word, first.Where())
		}
		if err := o.check(l); err != nil {
			return nil, err
		}
		if err := o.Parse(target, l); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// check compares the number of arguments. It shows none of them.
func (o *Option[T]) check(l *Line) error {
	n := len(l.Args)
	usage := strings.TrimSpace(l.Word + " " + o.Usage)
	switch {
	case n < o.Min && n == 0:
		return l.Errorf("%s has no argument: write `%s` (an unset {$NAME} becomes nothing)", l.Word, usage)
	case n < o.Min || (o.Max >= 0 && n > o.Max):
		return l.Errorf("%s has %s: write `%s`", l.Word, words.Plural(n, "argument"), usage)
	case l.HasBlock() && !o.Block:
		return l.Errorf("%s takes no block: write `%s`", l.Word, usage)
	}
	return nil
}

// Available lists the options of a table.
func Available[T any](options map[string]Option[T]) []string {
	return slices.Sorted(maps.Keys(options))
}

// OptionShape is what an option looks like. Most secrets do not.
var OptionShape = regexp.MustCompile(`^[a-z][a-z_]{0,30}$`)

// secretOptions are those whose arguments may have slipped to the next line.
var secretOptions = []string{"client_id", "client_secret", "refresh_token", "encryption_key", "password"}

// Unknown proposes the option that was meant. It shows the word only if that
// cannot be a secret.
func Unknown(l *Line, place string, valid []string) error {
	list := strings.Join(valid, ", ")
	hint := words.DidYouMean(l.Word, valid)
	switch {
	case OptionShape.MatchString(l.Word) && !slices.Contains(secretOptions, l.after):
		return l.Errorf("there is no option %q in %s%s; it takes %s", l.Word, place, hint, list)
	case hint == "":
		hint = " (does it belong to the line before?)"
	}
	return l.Errorf("this line does not begin with an option of %s%s; it takes %s", place, hint, list)
}

// Show quotes what the operator wrote, unless it is so long or so odd that it was
// hardly meant to stand here.
func Show(noun, value string) string {
	if len(value) > 64 || strings.ContainsAny(value, "\r\n") {
		return noun + " of " + words.Plural(len(value), "byte")
	}
	return fmt.Sprintf("%s %q", noun, value)
}

// ParseDuration wants a unit, as everything in a Caddyfile does.
func ParseDuration(l *Line, text string) (time.Duration, error) {
	d, err := caddy.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if digits.MatchString(text) {
		return 0, l.Errorf("%s: %s has no unit: for seconds write %ss", l.Word, text, text)
	}
	return 0, l.Errorf(
		"%s: %s is not a duration: write a number and a unit, as in 30s, 5m or 24h",
		l.Word,
		Show("the value", text),
	)
}

var digits = regexp.MustCompile(`^[0-9]{1,9}$`)

// NoPlaceholder refuses placeholders where they are not resolved.
func NoPlaceholder(l *Line, values ...string) error {
	for _, value := range values {
		if strings.Contains(value, "{") {
			return l.Errorf(
				"%s takes no placeholders: write {$NAME}, which Caddy replaces when it reads the file",
				l.Word,
			)
		}
	}
	return nil
}

// Module is a module's JSON with its name in it.
func Module(value any, key, name string) json.RawMessage {
	return caddyconfig.JSONModuleObject(value, key, name, nil)
}
