package caddyzoho

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-zoho/caddy-zoho/internal/apikeys"
	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/policy"
	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// parseProxy sets up the route of `zoho_proxy`: the handler `zoho` and a stock
// reverse_proxy with the upstream source and the transport `zoho`. Syntax, after an
// optional matcher:
//
//	zoho_proxy [<client>] {
//	    account         <name|placeholder>
//	    callers         <loopback|private_ranges|any|cidr|uid <number...>|user <name...>...>
//	    allowed_hosts   <name...>
//	    allow_browsers
//	    upstream        <url>
//	    services        <name...>
//	    any_data_center
//	    answer_token_calls
//	    replay_buffer   <memory> <file>
//	    api_keys        <file...> [in <header|query...>]
//	    principal       <placeholder>
//	    policy <name> {
//	        principals <name...>
//	        services   <name...>
//	        methods    <method...>
//	        paths      <path...>
//	    }
//	    dry_run
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
	l := syntax.NewLine(h.Dispenser)
	p := &proxyBlock{handler: new(Handler), proxy: new(reverseproxy.Handler), lines: make(syntax.Lines)}
	if p.handler.Client, err = readClient(h, l); err != nil {
		return nil, err
	}
	app, err := globalOption(h, l)
	if err != nil {
		return nil, err
	}
	if p.handler.catalog, err = zoho.NewCatalog(app.CustomServices); err != nil {
		return nil, l.Errorf("%w", err)
	}
	seen, err := syntax.ReadBlock(l.Rest, p, lookupProxy)
	if err != nil {
		return nil, err
	}
	maps.Copy(seen, p.lines)
	if err := p.handler.check(seen); err != nil {
		return nil, err
	}
	if err := p.ParsePassed(h, l, p.proxy); err != nil {
		return nil, err
	}
	route := caddyhttp.Route{HandlersRaw: p.handlers()}
	if h.IsNamedRoute() {
		// Of a named route that is all there is, Caddy 2.11 keeps the first handler alone.
		both := &caddyhttp.Subroute{Routes: caddyhttp.RouteList{route}}
		route = caddyhttp.Route{HandlersRaw: []json.RawMessage{syntax.Module(both, "handler", "subroute")}}
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
	lines     syntax.Lines // of policies and what is in them, by their names as well
	syntax.Passed
}

// handlers are our handler and the reverse_proxy behind it.
func (p *proxyBlock) handlers() []json.RawMessage {
	if p.transport == nil {
		p.transport = defaultTransport(nil)
	}
	p.transport.Client, p.transport.KeepHeaders = p.handler.Client, p.Keep
	p.proxy.TransportRaw = syntax.Module(p.transport, "protocol", "zoho")
	p.proxy.DynamicUpstreamsRaw = syntax.Module(Upstreams{}, "source", "zoho")
	return []json.RawMessage{
		syntax.Module(p.handler, "handler", "zoho"),
		syntax.Module(p.proxy, "handler", "reverse_proxy"),
	}
}

// proxyOptions are our own and those that reverse_proxy gets.
var proxyOptions = map[string]syntax.Option[proxyBlock]{
	"account":            {Usage: "<name|placeholder>", Min: 1, Max: 1, Parse: (*proxyBlock).parseAccount},
	"callers":            {Usage: callersUsage, Min: 1, Max: -1, Parse: (*proxyBlock).parseCallers},
	"allowed_hosts":      {Usage: "<name...>", Min: 1, Max: -1, Parse: (*proxyBlock).parseAllowedHosts},
	"allow_browsers":     {Parse: flag(func(h *Handler) *bool { return &h.AllowBrowsers })},
	"upstream":           {Usage: "<url>", Min: 1, Max: 1, Parse: (*proxyBlock).parseUpstream},
	"services":           {Usage: "<name...>", Min: 1, Max: -1, Parse: (*proxyBlock).parseServices},
	"any_data_center":    {Parse: flag(func(h *Handler) *bool { return &h.AnyDataCenter })},
	"answer_token_calls": {Parse: flag(func(h *Handler) *bool { return &h.AnswerTokenCalls })},
	"replay_buffer":      {Usage: "<memory> <file>", Min: 2, Max: 2, Parse: (*proxyBlock).parseReplayBuffer},
	"api_keys":           {Usage: "<file...> [in <header|query...>]", Min: 1, Max: -1, Parse: (*proxyBlock).parseAPIKeys},
	"principal":          {Usage: "<placeholder>", Min: 1, Max: 1, Parse: (*proxyBlock).parsePrincipal},
	"policy":             {Usage: "<name> { … }", Min: 1, Max: 1, Block: true, Repeat: true, Parse: (*proxyBlock).parsePolicy},
	"dry_run":            {Parse: flag(func(h *Handler) *bool { return &h.DryRun })},
	"header_up":          {Usage: syntax.HeaderUsage, Min: 1, Max: 3, Repeat: true, Parse: (*proxyBlock).PassHeaderUp},
	"header_down":        {Usage: syntax.HeaderUsage, Min: 1, Max: 3, Repeat: true, Parse: (*proxyBlock).Pass},
	"flush_interval":     {Usage: "<duration>", Min: 1, Max: 1, Parse: (*proxyBlock).PassFlushInterval},
	"stream_timeout":     {Usage: "<duration>", Min: 1, Max: 1, Parse: (*proxyBlock).PassDuration},
	"stream_close_delay": {Usage: "<duration>", Min: 1, Max: 1, Parse: (*proxyBlock).PassDuration},
	"stream_buffer_size": {Usage: "<size>", Min: 1, Max: 1, Parse: (*proxyBlock).PassSize},
	"lb_retries":         {Usage: "<number>", Min: 1, Max: 1, Parse: (*proxyBlock).PassNumber},
	"lb_try_duration":    {Usage: "<duration>", Min: 1, Max: 1, Parse: (*proxyBlock).PassDuration},
	"lb_try_interval":    {Usage: "<duration>", Min: 1, Max: 1, Parse: (*proxyBlock).PassDuration},
	"fail_duration":      {Usage: "<duration>", Min: 1, Max: 1, Parse: (*proxyBlock).PassDuration},
	"max_fails":          {Usage: "<number>", Min: 1, Max: 1, Parse: (*proxyBlock).PassNumber},
	"replace_status":     {Usage: "[<@name>] <status>", Min: 1, Max: 2, Repeat: true, Parse: (*proxyBlock).Pass},
	"handle_response":    {Usage: "[<@name>] { … }", Max: 1, Block: true, Repeat: true, Parse: (*proxyBlock).Pass},
	"transport":          {Usage: "http { … }", Min: 1, Max: 1, Block: true, Parse: (*proxyBlock).parseTransport},
}

// responseMatcher is a named matcher for replace_status and handle_response.
var responseMatcher = syntax.Option[proxyBlock]{Max: -1, Block: true, Parse: (*proxyBlock).Pass}

// flag parses an option that is said by its word alone.
func flag(field func(*Handler) *bool) func(*proxyBlock, *syntax.Line) error {
	return func(p *proxyBlock, _ *syntax.Line) error {
		*field(p.handler) = true
		return nil
	}
}

func lookupProxy(l *syntax.Line) (syntax.Option[proxyBlock], error) {
	o, ok := proxyOptions[l.Word]
	if ok {
		return o, nil
	}
	if len(l.Word) > 1 && l.Word[0] == '@' {
		return responseMatcher, nil
	}
	if reason, ok := syntax.Refused[l.Word]; ok {
		return o, l.Errorf("zoho_proxy does not take %s of reverse_proxy: %s", l.Word, reason)
	}
	if _, ok := syntax.TransportOptions[l.Word]; ok {
		return o, l.Errorf("%s belongs into `transport http { … }`", l.Word)
	}
	if reason, ok := syntax.RefusedOfTransport[l.Word]; ok {
		return o, l.Errorf("zoho_proxy does not take %s: %s", l.Word, reason)
	}
	switch syntax.PlaceOf(l.Word) {
	case syntax.PlaceGlobal, syntax.PlaceClient:
		return o, l.Errorf("%s belongs to the global option zoho, at the top of the Caddyfile", l.Word)
	}
	return o, syntax.Unknown(l, "zoho_proxy", syntax.Available(proxyOptions))
}

func (p *proxyBlock) parseAccount(l *syntax.Line) error {
	p.handler.Account = l.Args[0]
	return nil
}

func (p *proxyBlock) parseCallers(l *syntax.Line) error {
	return readCallers(l, &p.handler.Callers)
}

func (p *proxyBlock) parseAllowedHosts(l *syntax.Line) error {
	if err := syntax.NoPlaceholder(l, l.Args...); err != nil {
		return err
	}
	p.handler.AllowedHosts = l.Args
	return nil
}

func (p *proxyBlock) parseUpstream(l *syntax.Line) error {
	if err := syntax.NoPlaceholder(l, l.Args...); err != nil {
		return err
	}
	p.handler.Upstream = l.Args[0]
	return nil
}

func (p *proxyBlock) parseServices(l *syntax.Line) error {
	if err := syntax.NoPlaceholder(l, l.Args...); err != nil {
		return err
	}
	p.handler.Services = l.Args
	return nil
}

func (p *proxyBlock) parseAPIKeys(l *syntax.Line) error {
	if err := syntax.NoPlaceholder(l, l.Args...); err != nil {
		return err
	}
	files, in := l.Args, []string(nil)
	if i := slices.Index(l.Args, "in"); i >= 0 {
		files, in = l.Args[:i], l.Args[i+1:]
		if len(in) == 0 {
			return l.Errorf("api_keys: `in` needs a place: write `in header`, `in query` or `in header query`")
		}
	}
	p.handler.APIKeys = &apikeys.Config{Files: files, In: in}
	return nil
}

func (p *proxyBlock) parsePrincipal(l *syntax.Line) error {
	p.handler.Principal = l.Args[0]
	return nil
}

// policyOptions are those of a policy's block.
var policyOptions = map[string]syntax.Option[policy.Policy]{
	"principals": policyOption("<name...>", func(p *policy.Policy) *[]string { return &p.Principals }),
	"services":   policyOption("<name...>", func(p *policy.Policy) *[]string { return &p.Services }),
	"methods":    policyOption("<method...>", func(p *policy.Policy) *[]string { return &p.Methods }),
	"paths":      policyOption("<path...>", func(p *policy.Policy) *[]string { return &p.Paths }),
}

func policyOption(usage string, field func(*policy.Policy) *[]string) syntax.Option[policy.Policy] {
	return syntax.Option[policy.Policy]{Usage: usage, Min: 1, Max: -1, Repeat: true,
		Parse: func(p *policy.Policy, l *syntax.Line) error {
			*field(p) = append(*field(p), l.Args...)
			return syntax.NoPlaceholder(l, l.Args...)
		}}
}

func (p *proxyBlock) parsePolicy(l *syntax.Line) error {
	name := "policy " + l.Args[0]
	if first := p.lines[name]; first != nil {
		return l.Errorf("%s is given twice, first at %s", name, first.Where())
	}
	made := policy.Policy{Name: l.Args[0]}
	seen, err := syntax.ReadBlock(l.Rest, &made, func(l *syntax.Line) (syntax.Option[policy.Policy], error) {
		o, ok := policyOptions[l.Word]
		if ok {
			return o, nil
		}
		return o, syntax.Unknown(l, name, syntax.Available(policyOptions))
	})
	if err != nil {
		return err
	}
	p.lines[name] = l
	for option, line := range seen {
		p.lines[name+" "+option] = line
	}
	p.handler.Policies = append(p.handler.Policies, made)
	return nil
}

func (p *proxyBlock) parseReplayBuffer(l *syntax.Line) (err error) {
	b := new(body.Limits)
	if b.Memory, err = syntax.ParseSize(l, l.Args[0], 1<<30); err != nil {
		return err
	}
	if b.File, err = syntax.ParseSize(l, l.Args[1], 1<<40); err != nil {
		return err
	}
	p.handler.ReplayBuffer = b
	return nil
}

func (p *proxyBlock) parseTransport(l *syntax.Line) error {
	http, seen, err := syntax.ReadTransport(l)
	if err != nil {
		return err
	}
	p.transport = &Transport{HTTPTransport: http}
	p.transport.setDefaults(seen)
	return nil
}

func defaultTransport(seen syntax.Lines) *Transport {
	t := &Transport{HTTPTransport: new(reverseproxy.HTTPTransport)}
	t.setDefaults(seen)
	return t
}

// setDefaults fills in what the operator left open. Zoho's exports are slow to begin,
// hence five minutes.
func (t *Transport) setDefaults(seen syntax.Lines) {
	if seen["response_header_timeout"] == nil {
		t.ResponseHeaderTimeout = caddy.Duration(5 * time.Minute)
	}
	t.fillDefaults()
}
