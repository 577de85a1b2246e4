package caddyzoho

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// Blocks whose options stand in a table, and their errors. An error says what is wrong,
// where, why and what to write instead, and never shows an argument of an option that
// takes secrets.

// option is a subdirective: how it is written, and what becomes of it.
type option[T any] struct {
	usage    string // arguments and block, for messages
	min, max int    // number of arguments; max < 0: any number
	block    bool   // may have a block
	repeat   bool   // may be given several times
	parse    func(*T, *line) error
}

// line is an option as given: its word, its arguments and its block.
type line struct {
	word   string
	args   []string
	after  string               // the option before it
	tokens []caddyfile.Token    // all of it
	d      *caddyfile.Dispenser // after the arguments, before the block
}

// newLine takes the segment that begins at d's cursor.
func newLine(d *caddyfile.Dispenser) *line {
	l := &line{tokens: d.NextSegment()}
	l.d = caddyfile.NewDispenser(l.tokens)
	l.d.Next()
	l.word, l.args = l.d.Val(), l.d.RemainingArgs()
	return l
}

// hasBlock tells whether a brace follows the arguments.
func (l *line) hasBlock() bool { return len(l.tokens) > 1+len(l.args) }

// errorf makes an error of the line on which the option begins.
func (l *line) errorf(format string, args ...any) error {
	d := caddyfile.NewDispenser(l.tokens[:1])
	d.Next()
	return d.Errf(format, args...)
}

// where is the place of the line, as errors give it.
func (l *line) where() string { return fmt.Sprintf("%s:%d", l.tokens[0].File, l.tokens[0].Line) }

// readBlock parses the block that d stands before. lookup finds an option, or says
// why there is none. It returns the first line of each option.
func readBlock[T any](d *caddyfile.Dispenser, target *T, lookup func(*line) (option[T], error)) (map[string]*line, error) {
	seen := make(map[string]*line)
	after := ""
	for d.NextBlock(0) {
		l := newLine(d)
		l.after, after = after, l.word
		o, err := lookup(l)
		if err != nil {
			return nil, err
		}
		if first := seen[l.word]; first == nil {
			seen[l.word] = l
		} else if !o.repeat {
			return nil, l.errorf("%s is given twice, first at %s", l.word, first.where())
		}
		if err := o.check(l); err != nil {
			return nil, err
		}
		if err := o.parse(target, l); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// check compares the number of arguments. It shows none of them.
func (o *option[T]) check(l *line) error {
	n := len(l.args)
	usage := strings.TrimSpace(l.word + " " + o.usage)
	switch {
	case n < o.min && n == 0:
		return l.errorf("%s has no argument: write `%s` (an unset {$NAME} leaves nothing behind)", l.word, usage)
	case n < o.min || (o.max >= 0 && n > o.max):
		return l.errorf("%s has %s: write `%s`", l.word, words.Plural(n, "argument"), usage)
	case l.hasBlock() && !o.block:
		return l.errorf("%s takes no block: write `%s`", l.word, usage)
	}
	return nil
}

// available lists the options that this version has.
func available[T any](options map[string]option[T]) []string {
	var names []string
	for name, o := range options {
		if o.usage != "" || o.max == 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// optionShape is what an option looks like. Most secrets do not.
var optionShape = regexp.MustCompile(`^[a-z][a-z_]{0,30}$`)

// secretOptions are those whose arguments may have slipped to the next line.
var secretOptions = []string{"client_id", "client_secret", "refresh_token", "encryption_key"}

// unknownOption proposes the option that was meant. It shows the word only if that
// cannot be a secret.
func unknownOption(l *line, place string, valid []string) error {
	list := strings.Join(valid, ", ")
	hint := words.DidYouMean(l.word, valid)
	switch {
	case optionShape.MatchString(l.word) && !slices.Contains(secretOptions, l.after):
		return l.errorf("there is no option %q in %s%s; it takes %s", l.word, place, hint, list)
	case hint == "":
		hint = " (does it belong to the line before?)"
	}
	return l.errorf("this line begins with no option of %s%s; it takes %s", place, hint, list)
}

// show quotes what the operator wrote, unless it is so long or so odd that it was
// hardly meant to stand here.
func show(noun, value string) string {
	if len(value) > 64 || strings.ContainsAny(value, "\r\n") {
		return noun + " of " + words.Plural(len(value), "byte")
	}
	return fmt.Sprintf("%s %q", noun, value)
}

// parseDuration wants a unit, as everything in a Caddyfile does.
func parseDuration(l *line, text string) (time.Duration, error) {
	d, err := caddy.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if digits.MatchString(text) {
		return 0, l.errorf("%s: %s has no unit: for seconds write %ss", l.word, text, text)
	}
	return 0, l.errorf("%s: %s is no duration: write a number and a unit, as in 30s, 5m or 24h", l.word, show("the value", text))
}

var digits = regexp.MustCompile(`^[0-9]{1,9}$`)

// noPlaceholder refuses placeholders where they are not resolved.
func noPlaceholder(l *line, values ...string) error {
	for _, value := range values {
		if strings.Contains(value, "{") {
			return l.errorf("%s takes no placeholders: use the form {$NAME}, which Caddy replaces when it reads the file", l.word)
		}
	}
	return nil
}

// module is a module's JSON with its name in it.
func module(value any, key, name string) json.RawMessage {
	return caddyconfig.JSONModuleObject(value, key, name, nil)
}

var errNotInThisVersion = errors.New("is not available in this version of caddy-zoho")
