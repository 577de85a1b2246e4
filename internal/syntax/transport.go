package syntax

import (
	"math"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// TransportOptions are the options of reverse_proxy's transport http.
var TransportOptions = map[string]Option[transportBlock]{
	"dial_timeout":                  {Usage: "<duration>", Min: 1, Max: 1, Parse: transportDuration},
	"dial_fallback_delay":           {Usage: "<duration>", Min: 1, Max: 1, Parse: transportDuration},
	"response_header_timeout":       {Usage: "<duration>", Min: 1, Max: 1, Parse: transportDuration},
	"expect_continue_timeout":       {Usage: "<duration>", Min: 1, Max: 1, Parse: transportDuration},
	"read_timeout":                  {Usage: "<duration>", Min: 1, Max: 1, Parse: transportDuration},
	"write_timeout":                 {Usage: "<duration>", Min: 1, Max: 1, Parse: transportDuration},
	"keepalive":                     {Usage: "off|<duration>", Min: 1, Max: 1, Parse: transportDuration},
	"keepalive_interval":            {Usage: "<duration>", Min: 1, Max: 1, Parse: transportDuration},
	"keepalive_idle_conns":          {Usage: "<number>", Min: 1, Max: 1, Parse: transportNumber},
	"keepalive_idle_conns_per_host": {Usage: "<number>", Min: 1, Max: 1, Parse: transportNumber},
	"max_conns_per_host":            {Usage: "<number>", Min: 1, Max: 1, Parse: transportNumber},
	"max_response_header":           {Usage: "<size>", Min: 1, Max: 1, Parse: transportSize},
	"read_buffer":                   {Usage: "<size>", Min: 1, Max: 1, Parse: transportSize},
	"write_buffer":                  {Usage: "<size>", Min: 1, Max: 1, Parse: transportSize},
	"compression":                   {Usage: "off", Max: 1, Parse: transportCompression},
}

// transportBlock only checks: Caddy's own parser does the rest.
type transportBlock struct{}

func transportDuration(_ *transportBlock, l *Line) error {
	if l.Word == "keepalive" && l.Args[0] == "off" {
		return nil
	}
	d, err := ParseDuration(l, l.Args[0])
	if err == nil && d < 0 {
		err = l.Errorf("%s must not be negative", l.Word)
	}
	return err
}

func transportNumber(_ *transportBlock, l *Line) error { return CheckNumber(l) }

func transportSize(_ *transportBlock, l *Line) error {
	_, err := ParseSize(l, l.Args[0], math.MaxInt32)
	return err
}

func transportCompression(_ *transportBlock, l *Line) error {
	if len(l.Args) == 1 && l.Args[0] == "off" {
		return nil
	}
	return l.Errorf(
		"compression is always off: apps get the bytes that Zoho sent, in the encoding that they requested",
	)
}

// ReadTransport parses `transport http { … }`, and says which options it has.
func ReadTransport(l *Line) (*reverseproxy.HTTPTransport, Lines, error) {
	if l.Args[0] != "http" {
		return nil, nil, l.Errorf(
			"transport: write `transport http { … }`, the only one that zoho_proxy can use",
		)
	}
	seen, err := ReadBlock(l.Rest, new(transportBlock), lookupTransport)
	if err != nil {
		return nil, nil, err
	}
	http := new(reverseproxy.HTTPTransport)
	return http, seen, http.UnmarshalCaddyfile(caddyfile.NewDispenser(l.Tokens[1:]))
}

func lookupTransport(l *Line) (Option[transportBlock], error) {
	o, ok := TransportOptions[l.Word]
	if ok {
		return o, nil
	}
	if reason, ok := RefusedOfTransport[l.Word]; ok {
		return o, l.Errorf("zoho_proxy does not take %s of transport http: %s", l.Word, reason)
	}
	return o, Unknown(l, "transport http", Available(TransportOptions))
}
