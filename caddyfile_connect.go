package caddyzoho

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// parseConnect sets up the handler `zoho_connect`. Syntax:
//
//	zoho_connect [<matcher>] [<client>] {
//	    callers <loopback|private_ranges|any|cidr...>
//	}
//
// Without a matcher it answers at /zoho-connect/.
func parseConnect(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next()
	matcher, given, err := h.MatcherToken()
	if err != nil {
		return nil, err
	}
	if given {
		h.Delete()
	}
	h.Reset()
	h.Next()
	l := newLine(h.Dispenser)
	if len(l.args) > 1 {
		return nil, l.errorf("zoho_connect takes one client, got %s: write `zoho_connect [<matcher>] [<client>] { … }`", plural(len(l.args), "argument"))
	}
	names, err := configuredClients(h, l)
	if err != nil {
		return nil, err
	}
	name := ""
	if len(l.args) == 1 {
		name = l.args[0]
	}
	connect := new(Connect)
	if connect.Client, err = pickClient(names, name, l); err != nil {
		return nil, err
	}
	if _, err := readBlock(l.d, connect, lookupConnect); err != nil {
		return nil, err
	}
	if !given {
		matcher = caddy.ModuleMap{"path": h.JSON(caddyhttp.MatchPath{"/zoho-connect/*"})}
	}
	return h.NewRoute(matcher, connect), nil
}

var connectOptions = map[string]option[Connect]{
	"callers": {usage: "<loopback|private_ranges|any|cidr...>", min: 1, max: -1, parse: func(c *Connect, l *line) error {
		c.Callers = l.args
		return checkCallers(l)
	}},
}

func lookupConnect(l *line) (option[Connect], error) {
	if o, ok := connectOptions[l.word]; ok {
		return o, nil
	}
	return option[Connect]{}, unknownOption(l, "zoho_connect", available(connectOptions))
}
