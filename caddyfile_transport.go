package caddyzoho

import (
	"math"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// transportOptions are options of reverse_proxy's transport http.
var transportOptions = map[string]option[transportBlock]{
	"dial_timeout":                  {usage: "<duration>", min: 1, max: 1, parse: transportDuration},
	"dial_fallback_delay":           {usage: "<duration>", min: 1, max: 1, parse: transportDuration},
	"response_header_timeout":       {usage: "<duration>", min: 1, max: 1, parse: transportDuration},
	"expect_continue_timeout":       {usage: "<duration>", min: 1, max: 1, parse: transportDuration},
	"read_timeout":                  {usage: "<duration>", min: 1, max: 1, parse: transportDuration},
	"write_timeout":                 {usage: "<duration>", min: 1, max: 1, parse: transportDuration},
	"keepalive":                     {usage: "off|<duration>", min: 1, max: 1, parse: transportDuration},
	"keepalive_interval":            {usage: "<duration>", min: 1, max: 1, parse: transportDuration},
	"keepalive_idle_conns":          {usage: "<number>", min: 1, max: 1, parse: transportNumber},
	"keepalive_idle_conns_per_host": {usage: "<number>", min: 1, max: 1, parse: transportNumber},
	"max_conns_per_host":            {usage: "<number>", min: 1, max: 1, parse: transportNumber},
	"max_response_header":           {usage: "<size>", min: 1, max: 1, parse: transportSize},
	"read_buffer":                   {usage: "<size>", min: 1, max: 1, parse: transportSize},
	"write_buffer":                  {usage: "<size>", min: 1, max: 1, parse: transportSize},
	"compression":                   {usage: "off", max: 1, parse: transportCompression},
}

// transportBlock only checks: Caddy's own parser does the rest.
type transportBlock struct{}

func transportDuration(_ *transportBlock, l *line) error {
	if l.word == "keepalive" && l.args[0] == "off" {
		return nil
	}
	d, err := parseDuration(l, l.args[0])
	if err == nil && d < 0 {
		err = l.errorf("%s must not be negative", l.word)
	}
	return err
}

func transportNumber(_ *transportBlock, l *line) error { return checkNumber(l) }

func transportSize(_ *transportBlock, l *line) error {
	_, err := parseSize(l, l.args[0], math.MaxInt32)
	return err
}

func transportCompression(_ *transportBlock, l *line) error {
	if len(l.args) == 1 && l.args[0] == "off" {
		return nil
	}
	return l.errorf("compression is always off: apps get the bytes that Zoho sent, in the encoding that they asked for")
}

func (p *proxyBlock) parseTransport(l *line) error {
	if l.args[0] != "http" {
		return l.errorf("transport: only `transport http { … }` is taken: zoho_proxy's own transport is built on it")
	}
	seen, err := readBlock(l.d, new(transportBlock), lookupTransport)
	if err != nil {
		return err
	}
	http := new(reverseproxy.HTTPTransport)
	if err := http.UnmarshalCaddyfile(caddyfile.NewDispenser(l.tokens[1:])); err != nil {
		return err
	}
	p.transport = &Transport{HTTPTransport: http}
	p.transport.setDefaults(seen)
	return nil
}

func lookupTransport(l *line) (option[transportBlock], error) {
	o, ok := transportOptions[l.word]
	if ok {
		return o, nil
	}
	if reason, ok := refusedTransportOptions[l.word]; ok {
		return o, l.errorf("zoho_proxy does not take %s of transport http: %s", l.word, reason)
	}
	return o, unknownOption(l, "transport http", available(transportOptions))
}

func defaultTransport(seen map[string]*line) *Transport {
	t := &Transport{HTTPTransport: new(reverseproxy.HTTPTransport)}
	t.setDefaults(seen)
	return t
}

// setDefaults fills in what the operator left open. Zoho's exports are slow to begin,
// hence five minutes.
func (t *Transport) setDefaults(seen map[string]*line) {
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
