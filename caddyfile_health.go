package caddyzoho

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
)

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
		return nil, l.Errorf("zoho_health takes a client and an account, got %d arguments: write `zoho_health [<client> [<account>]]`", len(l.Args))
	}
	if health.Account != "" && !onboard.AccountName.MatchString(health.Account) {
		return nil, l.Errorf("%s: 1 to 128 of letters, digits and ._@- are allowed, and no placeholders", syntax.Show("account name", health.Account))
	}
	return health, nil
}
