package caddyzoho

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
)

// parseConnect sets up the handler `zoho_connect`. Syntax:
//
//	zoho_connect [<matcher>] [<client>] {
//	    callers <loopback|private_ranges|any|cidr...>
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
	"callers": {Usage: "<loopback|private_ranges|any|cidr...>", Min: 1, Max: -1, Parse: func(c *Connect, l *syntax.Line) error {
		return readCallers(l, &c.Callers)
	}},
}

func lookupConnect(l *syntax.Line) (syntax.Option[Connect], error) {
	if o, ok := connectOptions[l.Word]; ok {
		return o, nil
	}
	return syntax.Option[Connect]{}, syntax.Unknown(l, "zoho_connect", syntax.Available(connectOptions))
}
