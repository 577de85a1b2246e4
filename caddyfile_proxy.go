package caddyzoho

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// parseProxy sets up the route of `zoho_proxy`: the handler `zoho` and a stock
// reverse_proxy with the upstream source and the transport `zoho`. Syntax, after an
// optional matcher:
//
//	zoho_proxy [<client>] {
//	    account         <name|placeholder>
//	    callers         <loopback|private_ranges|any|cidr...>
//	    allow_browsers
//	    upstream        <url>
//	    services        <name...>
//	    any_data_center
//	    answer_token_calls
//	    replay_buffer   <memory> <file>
//
//	    # of reverse_proxy
//	    header_up          [+|-]<field> [<value|regexp> [<replacement>]]
//	    header_down        [+|-]<field> [<value|regexp> [<replacement>]]
//	    flush_interval     <duration>
//	    stream_timeout     <duration>
//	    stream_close_delay <duration>
//	    stream_buffer_size <size>
//	    lb_retries         <number>
//	    lb_try_duration    <duration>
//	    lb_try_interval    <duration>
//	    fail_duration      <duration>
//	    max_fails          <number>
//	    @name              <response matcher>
//	    replace_status     [<@name>] <status>
//	    handle_response    [<@name>] {
//	        <directives...>
//	    }
//	    transport http {
//	        dial_timeout                  <duration>
//	        dial_fallback_delay           <duration>
//	        response_header_timeout       <duration>
//	        expect_continue_timeout       <duration>
//	        read_timeout                  <duration>
//	        write_timeout                 <duration>
//	        keepalive                     off|<duration>
//	        keepalive_interval            <duration>
//	        keepalive_idle_conns          <number>
//	        keepalive_idle_conns_per_host <number>
//	        max_conns_per_host            <number>
//	        max_response_header           <size>
//	        read_buffer                   <size>
//	        write_buffer                  <size>
//	        compression                   off
//	    }
//	}
func parseProxy(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next()
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	h.Next()
	l := newLine(h.Dispenser)
	p := &proxyBlock{handler: new(Handler), proxy: new(reverseproxy.Handler)}
	if p.handler.Client, err = readClient(h, l); err != nil {
		return nil, err
	}
	seen, err := readBlock(l.d, p, lookupProxy)
	if err != nil {
		return nil, err
	}
	if services, upstream := seen["services"], seen["upstream"]; services != nil && upstream != nil {
		return nil, services.errorf("services and upstream (at %s) exclude each other: with upstream everything goes to that one origin", upstream.where())
	}
	if err := p.parsePassed(h, l); err != nil {
		return nil, err
	}
	route := caddyhttp.Route{HandlersRaw: p.handlers()}
	if h.IsNamedRoute() {
		// Of a named route that is all there is, Caddy 2.11 keeps the first handler alone.
		both := &caddyhttp.Subroute{Routes: caddyhttp.RouteList{route}}
		route = caddyhttp.Route{HandlersRaw: []json.RawMessage{module(both, "handler", "subroute")}}
	}
	if matcher != nil {
		route.MatcherSetsRaw = caddyhttp.RawMatcherSets{matcher}
	}
	return []httpcaddyfile.ConfigValue{{Class: "route", Value: route}}, nil
}

// proxyBlock is a zoho_proxy while it is being parsed.
type proxyBlock struct {
	handler   *Handler
	proxy     *reverseproxy.Handler
	transport *Transport
	passed    []caddyfile.Token // lines that reverse_proxy parses itself
	keep      []string          // private headers that the operator sets
}

// parsePassed has reverse_proxy parse the lines that are its own.
func (p *proxyBlock) parsePassed(h httpcaddyfile.Helper, l *line) error {
	if len(p.passed) == 0 {
		return nil
	}
	open, end := l.tokens[1+len(l.args)], l.tokens[len(l.tokens)-1]
	tokens := slices.Concat([]caddyfile.Token{l.tokens[0], open}, p.passed, []caddyfile.Token{end})
	if err := p.proxy.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
		return err
	}
	return p.proxy.FinalizeUnmarshalCaddyfile(h)
}

// handlers are our handler and the reverse_proxy behind it.
func (p *proxyBlock) handlers() []json.RawMessage {
	if p.transport == nil {
		p.transport = defaultTransport(nil)
	}
	p.transport.Client, p.transport.KeepHeaders = p.handler.Client, p.keep
	p.proxy.TransportRaw = module(p.transport, "protocol", "zoho")
	p.proxy.DynamicUpstreamsRaw = module(Upstreams{}, "source", "zoho")
	return []json.RawMessage{module(p.handler, "handler", "zoho"), module(p.proxy, "handler", "reverse_proxy")}
}

// proxyOptions are our own and those that reverse_proxy gets.
var proxyOptions map[string]option[proxyBlock]

func init() {
	number, duration, size := passNumber, passDuration, passSize
	proxyOptions = map[string]option[proxyBlock]{
		"account":            {usage: "<name|placeholder>", min: 1, max: 1, parse: (*proxyBlock).parseAccount},
		"callers":            {usage: "<loopback|private_ranges|any|cidr...>", min: 1, max: -1, parse: (*proxyBlock).parseCallers},
		"allow_browsers":     {parse: func(p *proxyBlock, _ *line) error { p.handler.AllowBrowsers = true; return nil }},
		"upstream":           {usage: "<url>", min: 1, max: 1, parse: (*proxyBlock).parseUpstream},
		"services":           {usage: "<name...>", min: 1, max: -1, parse: (*proxyBlock).parseServices},
		"any_data_center":    {parse: func(p *proxyBlock, _ *line) error { p.handler.AnyDataCenter = true; return nil }},
		"answer_token_calls": {parse: func(p *proxyBlock, _ *line) error { p.handler.AnswerTokenCalls = true; return nil }},
		"replay_buffer":      {usage: "<memory> <file>", min: 2, max: 2, parse: (*proxyBlock).parseReplayBuffer},
		"header_up":          {usage: "[+|-]<field> [<value|regexp> [<replacement>]]", min: 1, max: 3, repeat: true, parse: (*proxyBlock).parseHeaderUp},
		"header_down":        {usage: "[+|-]<field> [<value|regexp> [<replacement>]]", min: 1, max: 3, repeat: true, parse: (*proxyBlock).pass},
		"flush_interval":     {usage: "<duration>", min: 1, max: 1, parse: (*proxyBlock).parseFlushInterval},
		"stream_timeout":     {usage: "<duration>", min: 1, max: 1, parse: duration},
		"stream_close_delay": {usage: "<duration>", min: 1, max: 1, parse: duration},
		"stream_buffer_size": {usage: "<size>", min: 1, max: 1, parse: size},
		"lb_retries":         {usage: "<number>", min: 1, max: 1, parse: number},
		"lb_try_duration":    {usage: "<duration>", min: 1, max: 1, parse: duration},
		"lb_try_interval":    {usage: "<duration>", min: 1, max: 1, parse: duration},
		"fail_duration":      {usage: "<duration>", min: 1, max: 1, parse: duration},
		"max_fails":          {usage: "<number>", min: 1, max: 1, parse: number},
		"replace_status":     {usage: "[<@name>] <status>", min: 1, max: 2, repeat: true, parse: (*proxyBlock).pass},
		"handle_response":    {usage: "[<@name>] { … }", max: 1, block: true, repeat: true, parse: (*proxyBlock).pass},
		"transport":          {usage: "http { … }", min: 1, max: 1, block: true, parse: (*proxyBlock).parseTransport},
		"keys":               {max: -1, parse: notAvailable[proxyBlock]("`callers` says who is admitted")},
	}
}

// responseMatcher is a named matcher for replace_status and handle_response.
var responseMatcher = option[proxyBlock]{max: -1, block: true, parse: (*proxyBlock).pass}

func lookupProxy(l *line) (option[proxyBlock], error) {
	o, ok := proxyOptions[l.word]
	if ok {
		return o, nil
	}
	if len(l.word) > 1 && l.word[0] == '@' {
		return responseMatcher, nil
	}
	if reason, ok := refusedProxyOptions[l.word]; ok {
		return o, l.errorf("zoho_proxy does not take %s of reverse_proxy: %s", l.word, reason)
	}
	if _, ok := transportOptions[l.word]; ok {
		return o, l.errorf("%s belongs into `transport http { … }`", l.word)
	}
	if reason, ok := refusedTransportOptions[l.word]; ok {
		return o, l.errorf("zoho_proxy does not take %s: %s", l.word, reason)
	}
	_, isClients := clientOptions[l.word]
	if _, isGlobal := globalOptions[l.word]; isGlobal || isClients {
		return o, l.errorf("%s belongs to the global option zoho, at the top of the Caddyfile", l.word)
	}
	return o, unknownOption(l, "zoho_proxy", available(proxyOptions))
}

func (p *proxyBlock) parseAccount(l *line) error {
	account := l.args[0]
	if !secret.Placeholder.MatchString(account) && !onboard.AccountName.MatchString(account) {
		return l.errorf("account: %s: 1 to 128 of letters, digits and ._@- are allowed, or a placeholder such as {http.request.header.Zoho-Proxy-Account}", show("the name", account))
	}
	p.handler.Account = account
	return nil
}

// inDirective cuts the name of the directive off, which Caddy puts in front anyway.
func inDirective(err error) string { return strings.TrimPrefix(err.Error(), "zoho_proxy: ") }

func (p *proxyBlock) parseCallers(l *line) error {
	return readCallers(l, &p.handler.Callers)
}

func (p *proxyBlock) parseUpstream(l *line) error {
	if err := noPlaceholder(l, l.args...); err != nil {
		return err
	}
	if _, err := zoho.OriginTarget(l.args[0]); err != nil {
		return l.errorf("upstream: %w", err)
	}
	p.handler.Upstream = l.args[0]
	return nil
}

func (p *proxyBlock) parseServices(l *line) error {
	if err := noPlaceholder(l, l.args...); err != nil {
		return err
	}
	for i, name := range l.args {
		if _, ok := zoho.LookupService(name); !ok {
			return l.errorf("%s", inDirective(unknownService(name)))
		}
		if slices.Contains(l.args[:i], name) {
			return l.errorf("services: %s is named twice", name)
		}
	}
	p.handler.Services = l.args
	return nil
}

func (p *proxyBlock) parseReplayBuffer(l *line) (err error) {
	b := new(body.Limits)
	if b.Memory, err = parseSize(l, l.args[0], 1<<30); err != nil {
		return err
	}
	if b.File, err = parseSize(l, l.args[1], 1<<40); err != nil {
		return err
	}
	if b.File != 0 && b.File < b.Memory {
		return l.errorf("replay_buffer: the file takes over where memory ends: its size must be 0 or at least that of memory, as in `replay_buffer 1MiB 64MiB`")
	}
	p.handler.ReplayBuffer = b
	return nil
}
