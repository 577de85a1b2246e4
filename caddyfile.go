package caddyzoho

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-zoho/caddy-zoho/internal/callers"
	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// The global option `zoho` is parsed in caddyfile_global.go, its clients in
// internal/client, the directive `zoho_proxy` in caddyfile_proxy.go; internal/syntax
// reads the blocks. Here are the smaller directives, and what all of them have in common.

func init() {
	httpcaddyfile.RegisterGlobalOption("zoho", parseGlobal)
	httpcaddyfile.RegisterDirective("zoho_health", parseHealth)
	httpcaddyfile.RegisterDirective("zoho_connect", parseConnect)
	httpcaddyfile.RegisterDirective("zoho_proxy", parseProxy)
	httpcaddyfile.RegisterDirectiveOrder("zoho_health", httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterDirectiveOrder("zoho_connect", httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterDirectiveOrder("zoho_proxy", httpcaddyfile.Before, "reverse_proxy")
}

// placed takes the matcher off a directive that answers at a path of its own without
// one, and gives the rest.
func placed(h httpcaddyfile.Helper, paths ...string) (caddy.ModuleMap, *syntax.Line, error) {
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
	return matcher, syntax.NewLine(h.Dispenser), nil
}

// globalOption is the app as the global option describes it, which Caddy parses first.
func globalOption(h httpcaddyfile.Helper, l *syntax.Line) (*App, error) {
	option, ok := h.Option("zoho").(httpcaddyfile.App)
	if !ok {
		return nil, l.Errorf(
			"%s needs the global option `zoho`: put `{ zoho { client <name> { … } } }` at the top of the Caddyfile, over several lines",
			l.Word,
		)
	}
	var app App
	if err := json.Unmarshal(option.Value, &app); err != nil {
		return nil, l.Errorf("%s: %w", l.Word, err)
	}
	return &app, nil
}

// configuredClients are the clients of the global option.
func configuredClients(h httpcaddyfile.Helper, l *syntax.Line) ([]string, error) {
	app, err := globalOption(h, l)
	if err != nil {
		return nil, err
	}
	if len(app.Clients) == 0 {
		return nil, l.Errorf("%s needs a client: add `client <name> { … }` to the global option `zoho`", l.Word)
	}
	return slices.Sorted(maps.Keys(app.Clients)), nil
}

// readClient resolves the name of a directive's client, so that nothing depends on which
// clients are added later.
func readClient(h httpcaddyfile.Helper, l *syntax.Line) (string, error) {
	if len(l.Args) > 1 {
		hint := ""
		if slices.ContainsFunc(l.Args, isMatcher) {
			hint = "the matcher comes first: "
		}
		return "", l.Errorf(
			"%[1]s takes one client, got %[2]s: %[3]swrite `%[1]s [<matcher>] [<client>] { … }`",
			l.Word,
			words.Plural(len(l.Args), "argument"),
			hint,
		)
	}
	names, err := configuredClients(h, l)
	if err != nil {
		return "", err
	}
	return pickClient(names, strings.Join(l.Args, ""), l)
}

// callersUsage is how the rules of an option callers are written.
const callersUsage = "<loopback|private_ranges|any|cidr|uid <number...>|user <name...>...>"

// readCallers reads an option callers.
func readCallers(l *syntax.Line, into *[]string) error {
	if err := syntax.NoPlaceholder(l, l.Args...); err != nil {
		return err
	}
	if err := callers.Check(l.Args); err != nil {
		return l.Errorf("%w", err)
	}
	*into = l.Args
	return nil
}

// pickClient finds the client that a directive names; with a single one the name
// may be empty.
func pickClient(names []string, name string, l *syntax.Line) (string, error) {
	switch {
	case name == "" && len(names) == 1:
		return names[0], nil
	case name == "":
		return "", l.Errorf("several clients are configured; name one of them: %s", strings.Join(names, ", "))
	case slices.Contains(names, name):
		return name, nil
	}
	hint := words.DidYouMean(name, names)
	switch {
	case strings.Contains(name, "://"):
		hint = "; to send everything to one origin, write `upstream <url>` in the block"
	case isMatcher(name):
		hint = "; a matcher comes before the client"
	}
	return "", l.Errorf(
		"there is no %s%s; configured: %s",
		syntax.Show("client", name),
		hint,
		strings.Join(names, ", "),
	)
}

func isMatcher(argument string) bool {
	return argument == "*" || strings.HasPrefix(argument, "/") || strings.HasPrefix(argument, "@")
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
	if l.HasBlock() {
		return nil, l.Errorf("zoho_health takes no block: write `zoho_health [<client> [<account>]]`")
	}
	health, err := healthArguments(h, l)
	if err != nil {
		return nil, err
	}
	return h.NewRoute(matcher, health), nil
}

func healthArguments(h httpcaddyfile.Helper, l *syntax.Line) (*Health, error) {
	names, err := configuredClients(h, l)
	if err != nil {
		return nil, err
	}
	health := new(Health)
	switch {
	case len(l.Args) == 0:
		return health, nil
	case len(l.Args) == 1 && len(names) == 1 && l.Args[0] != names[0]:
		health.Client, health.Account = names[0], l.Args[0]
	case len(l.Args) <= 2:
		if health.Client, err = pickClient(names, l.Args[0], l); err != nil {
			return nil, err
		}
		if len(l.Args) == 2 {
			health.Account = l.Args[1]
		}
	default:
		return nil, l.Errorf(
			"zoho_health takes a client and an account, got %d arguments: write `zoho_health [<client> [<account>]]`",
			len(l.Args),
		)
	}
	if health.Account != "" && !words.Name.MatchString(health.Account) {
		return nil, l.Errorf(
			"%s: "+words.NameRule+", and no placeholders",
			syntax.Show("account name", health.Account),
		)
	}
	return health, nil
}

// parseConnect sets up the handler `zoho_connect`. Syntax:
//
//	zoho_connect [<matcher>] [<client>] {
//	    callers <loopback|private_ranges|any|cidr|uid <number...>|user <name...>...>
//	    manage
//	}
//
// Without a matcher it answers at /zoho-connect/.
func parseConnect(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	matcher, l, err := placed(h, "/zoho-connect/*", "/zoho-connect")
	if err != nil {
		return nil, err
	}
	connect := new(Connect)
	if connect.Client, err = readClient(h, l); err != nil {
		return nil, err
	}
	if _, err := syntax.ReadBlock(l.Rest, connect, lookupConnect); err != nil {
		return nil, err
	}
	return h.NewRoute(matcher, connect), nil
}

var connectOptions = map[string]syntax.Option[Connect]{
	"callers": {
		Usage: callersUsage,
		Min:   1,
		Max:   -1,
		Parse: func(c *Connect, l *syntax.Line) error {
			return readCallers(l, &c.Callers)
		},
	},
	"manage": {
		Parse: func(c *Connect, _ *syntax.Line) error {
			c.Manage = true
			return nil
		},
	},
}

func lookupConnect(l *syntax.Line) (syntax.Option[Connect], error) {
	if o, ok := connectOptions[l.Word]; ok {
		return o, nil
	}
	return syntax.Option[Connect]{}, syntax.Unknown(l, "zoho_connect", syntax.Available(connectOptions))
}
