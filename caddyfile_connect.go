package caddyzoho

import "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

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
	if _, err := readBlock(l.d, connect, lookupConnect); err != nil {
		return nil, err
	}
	return h.NewRoute(matcher, connect), nil
}

var connectOptions = map[string]option[Connect]{
	"callers": {usage: "<loopback|private_ranges|any|cidr...>", min: 1, max: -1, parse: func(c *Connect, l *line) error {
		return readCallers(l, &c.Callers)
	}},
}

func lookupConnect(l *line) (option[Connect], error) {
	if o, ok := connectOptions[l.word]; ok {
		return o, nil
	}
	return option[Connect]{}, unknownOption(l, "zoho_connect", available(connectOptions))
}
