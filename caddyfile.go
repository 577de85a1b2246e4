package caddyzoho

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-zoho/caddy-zoho/internal/nearest"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
)

// The global option `zoho` is parsed in caddyfile_global.go (and _client, _secret),
// the directive `zoho_proxy` in caddyfile_proxy.go (and _passed, _transport,
// _refused); here is what both are made of: blocks whose options stand in a table,
// and their errors. An error says what is wrong, where, why and what to write
// instead, and never shows an argument of an option that takes secrets.

func init() {
	httpcaddyfile.RegisterGlobalOption("zoho", parseGlobal)
	httpcaddyfile.RegisterDirective("zoho_health", parseHealth)
	httpcaddyfile.RegisterDirective("zoho_connect", parseConnect)
	httpcaddyfile.RegisterDirective("zoho_proxy", parseProxy)
	httpcaddyfile.RegisterDirectiveOrder("zoho_health", httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterDirectiveOrder("zoho_connect", httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterDirectiveOrder("zoho_proxy", httpcaddyfile.Before, "reverse_proxy")
}

// parseHealth sets up the handler `zoho_health`. Syntax:
//
//	zoho_health [<matcher>] [<client> [<account>]]
//
// Without a matcher it answers at /zoho-health. With one client its name may be
// left out; an argument that could be either is the client if there is one of that
// name, and the account otherwise.
func parseHealth(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	matcher, l, err := placed(h, "/zoho-health")
	if err != nil {
		return nil, err
	}
	if l.hasBlock() {
		return nil, l.errorf("zoho_health takes no block: write `zoho_health [<client> [<account>]]`")
	}
	health, err := healthArguments(h, l)
	if err != nil {
		return nil, err
	}
	return h.NewRoute(matcher, health), nil
}

// placed takes the matcher off a directive that answers at a path of its own without
// one, and gives the rest.
func placed(h httpcaddyfile.Helper, paths ...string) (caddy.ModuleMap, *line, error) {
	h.Next()
	matcher, given, err := h.MatcherToken()
	if err != nil {
		return nil, nil, err
	}
	if given {
		h.Delete()
	} else {
		matcher = caddy.ModuleMap{"path": h.JSON(caddyhttp.MatchPath(paths))}
	}
	h.Reset()
	h.Next()
	return matcher, newLine(h.Dispenser), nil
}

func healthArguments(h httpcaddyfile.Helper, l *line) (*Health, error) {
	names, err := configuredClients(h, l)
	if err != nil {
		return nil, err
	}
	health := new(Health)
	switch {
	case len(l.args) == 0:
		return health, nil
	case len(l.args) == 1 && len(names) == 1 && l.args[0] != names[0]:
		health.Client, health.Account = names[0], l.args[0]
	case len(l.args) <= 2:
		if health.Client, err = pickClient(names, l.args[0], l); err != nil {
			return nil, err
		}
		if len(l.args) == 2 {
			health.Account = l.args[1]
		}
	default:
		return nil, l.errorf("zoho_health takes a client and an account, got %d arguments: write `zoho_health [<client> [<account>]]`", len(l.args))
	}
	if health.Account != "" && !onboard.AccountName.MatchString(health.Account) {
		return nil, l.errorf("%s: 1 to 128 of letters, digits and ._@- are allowed, and no placeholders", show("account name", health.Account))
	}
	return health, nil
}

// configuredClients are the clients of the global option, which Caddy parses first.
func configuredClients(h httpcaddyfile.Helper, l *line) ([]string, error) {
	option, ok := h.Option("zoho").(httpcaddyfile.App)
	if !ok {
		return nil, l.errorf("%s needs the global option `zoho`: put `{ zoho { client <name> { … } } }` at the top of the Caddyfile, over several lines", l.word)
	}
	var app App
	if err := json.Unmarshal(option.Value, &app); err != nil {
		return nil, l.errorf("%s: %w", l.word, err)
	}
	if len(app.Clients) == 0 {
		return nil, l.errorf("%s needs a client: add `client <name> { … }` to the global option `zoho`", l.word)
	}
	return slices.Sorted(maps.Keys(app.Clients)), nil
}

// readClient resolves the name of a directive's client, so that nothing depends on which
// clients are added later.
func readClient(h httpcaddyfile.Helper, l *line) (string, error) {
	if len(l.args) > 1 {
		hint := ""
		if slices.ContainsFunc(l.args, isMatcher) {
			hint = "the matcher stands first: "
		}
		return "", l.errorf("%[1]s takes one client, got %[2]s: %[3]swrite `%[1]s [<matcher>] [<client>] { … }`", l.word, plural(len(l.args), "argument"), hint)
	}
	names, err := configuredClients(h, l)
	if err != nil {
		return "", err
	}
	return pickClient(names, strings.Join(l.args, ""), l)
}

// readCallers reads an option callers.
func readCallers(l *line, into *[]string) error {
	if slices.Contains(l.args, "uid") {
		return l.errorf("callers uid %w; peers of a Unix socket count as loopback, and the socket's file mode says who may connect", errNotInThisVersion)
	}
	if err := noPlaceholder(l, l.args...); err != nil {
		return err
	}
	if _, err := parseCallers(l.args); err != nil {
		return l.errorf("%w", err)
	}
	*into = l.args
	return nil
}

// pickClient finds the client that a directive names; with a single one the name
// may be empty.
func pickClient(names []string, name string, l *line) (string, error) {
	switch {
	case name == "" && len(names) == 1:
		return names[0], nil
	case name == "":
		return "", l.errorf("several clients are configured, name one of them: %s", strings.Join(names, ", "))
	case slices.Contains(names, name):
		return name, nil
	}
	hint := didYouMean(name, names)
	switch {
	case strings.Contains(name, "://"):
		hint = "; an origin to send everything to is given by `upstream <url>` in the block"
	case isMatcher(name):
		hint = "; a matcher stands before the client"
	}
	return "", l.errorf("there is no %s%s; configured: %s", show("client", name), hint, strings.Join(names, ", "))
}

func isMatcher(argument string) bool {
	return argument == "*" || strings.HasPrefix(argument, "/") || strings.HasPrefix(argument, "@")
}

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
		return l.errorf("%s has %s: write `%s`", l.word, plural(n, "argument"), usage)
	case l.hasBlock() && !o.block:
		return l.errorf("%s takes no block: write `%s`", l.word, usage)
	}
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
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
	hint := didYouMean(l.word, valid)
	switch {
	case optionShape.MatchString(l.word) && !slices.Contains(secretOptions, l.after):
		return l.errorf("there is no option %q in %s%s; it takes %s", l.word, place, hint, list)
	case hint == "":
		hint = " (does it belong to the line before?)"
	}
	return l.errorf("this line begins with no option of %s%s; it takes %s", place, hint, list)
}

// didYouMean is the part of a message that proposes another word, "" if none is near.
func didYouMean(word string, candidates []string) string {
	if near := nearest.Word(word, candidates); near != "" {
		return " (did you mean " + near + "?)"
	}
	return ""
}

// show quotes what the operator wrote, unless it is so long or so odd that it was
// hardly meant to stand here.
func show(noun, value string) string {
	if len(value) > 64 || strings.ContainsAny(value, "\r\n") {
		return noun + " of " + plural(len(value), "byte")
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
