package caddyzoho

import (
	"math"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
)

// transportOptions are options of reverse_proxy's transport http.
var transportOptions = map[string]syntax.Option[transportBlock]{
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

func transportDuration(_ *transportBlock, l *syntax.Line) error {
	if l.Word == "keepalive" && l.Args[0] == "off" {
		return nil
	}
	d, err := syntax.ParseDuration(l, l.Args[0])
	if err == nil && d < 0 {
		err = l.Errorf("%s must not be negative", l.Word)
	}
	return err
}

func transportNumber(_ *transportBlock, l *syntax.Line) error { return syntax.CheckNumber(l) }

func transportSize(_ *transportBlock, l *syntax.Line) error {
	_, err := syntax.ParseSize(l, l.Args[0], math.MaxInt32)
	return err
}

func transportCompression(_ *transportBlock, l *syntax.Line) error {
	if len(l.Args) == 1 && l.Args[0] == "off" {
		return nil
	}
	return l.Errorf("compression is always off: apps get the bytes that Zoho sent, in the encoding that they asked for")
}

func (p *proxyBlock) parseTransport(l *syntax.Line) error {
	if l.Args[0] != "http" {
		return l.Errorf("transport: only `transport http { … }` is taken: zoho_proxy's own transport is built on it")
	}
	seen, err := syntax.ReadBlock(l.Rest, new(transportBlock), lookupTransport)
	if err != nil {
		return err
	}
	http := new(reverseproxy.HTTPTransport)
	if err := http.UnmarshalCaddyfile(caddyfile.NewDispenser(l.Tokens[1:])); err != nil {
		return err
	}
	p.transport = &Transport{HTTPTransport: http}
	p.transport.setDefaults(seen)
	return nil
}

func lookupTransport(l *syntax.Line) (syntax.Option[transportBlock], error) {
	o, ok := transportOptions[l.Word]
	if ok {
		return o, nil
	}
	if reason, ok := refusedTransportOptions[l.Word]; ok {
		return o, l.Errorf("zoho_proxy does not take %s of transport http: %s", l.Word, reason)
	}
	return o, syntax.Unknown(l, "transport http", syntax.Available(transportOptions))
}

func defaultTransport(seen map[string]*syntax.Line) *Transport {
	t := &Transport{HTTPTransport: new(reverseproxy.HTTPTransport)}
	t.setDefaults(seen)
	return t
}

// setDefaults fills in what the operator left open. Zoho's exports are slow to begin,
// hence five minutes.
func (t *Transport) setDefaults(seen map[string]*syntax.Line) {
	if t.KeepAlive == nil {
		t.KeepAlive = new(reverseproxy.KeepAlive)
	}
	if seen["keepalive_idle_conns_per_host"] == nil {
		t.KeepAlive.MaxIdleConnsPerHost = idleConnections
	}
	if seen["response_header_timeout"] == nil {
		t.ResponseHeaderTimeout = caddy.Duration(5 * time.Minute)
	}
	t.fillDefaults()
}
