package syntax

import (
	"math"
	"net/textproto"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-zoho/caddy-zoho/internal/forward"
)

// Options of reverse_proxy that zoho_proxy takes: checked here, so that the message
// says what to write, and parsed by reverse_proxy itself.

// HeaderUsage is how header_up and header_down are written.
const HeaderUsage = "[+|-]<field> [<value|regexp> [<replacement>]]"

// Passed collects the lines of a zoho_proxy that reverse_proxy parses itself.
type Passed struct {
	Keep  []string // headers of an app's that never reach Zoho, and that the operator sets
	lines []caddyfile.Token
}

// ParsePassed has reverse_proxy parse its lines of the directive l.
func (p *Passed) ParsePassed(h httpcaddyfile.Helper, l *Line, into *reverseproxy.Handler) error {
	if len(p.lines) == 0 {
		return nil
	}
	open, end := l.Tokens[1+len(l.Args)], l.Tokens[len(l.Tokens)-1]
	tokens := slices.Concat([]caddyfile.Token{l.Tokens[0], open}, p.lines, []caddyfile.Token{end})
	if err := into.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
		return err
	}
	return into.FinalizeUnmarshalCaddyfile(h)
}

// Pass leaves the line to reverse_proxy.
func (p *Passed) Pass(l *Line) error {
	p.lines = append(p.lines, l.Tokens...)
	return nil
}

// PassDuration is Pass for an option that takes a duration.
func (p *Passed) PassDuration(l *Line) error {
	// reverse_proxy takes a bare number for nanoseconds.
	d, err := ParseDuration(l, l.Args[0])
	if err == nil && d < 0 {
		err = l.Errorf("%s must not be negative", l.Word)
	}
	if err != nil {
		return err
	}
	return p.Pass(l)
}

// PassFlushInterval takes -1 as well: flush after each write.
func (p *Passed) PassFlushInterval(l *Line) error {
	if l.Args[0] == "-1" {
		return p.Pass(l)
	}
	return p.PassDuration(l)
}

// PassNumber is Pass for an option that takes a number.
func (p *Passed) PassNumber(l *Line) error {
	if err := CheckNumber(l); err != nil {
		return err
	}
	return p.Pass(l)
}

// PassSize is Pass for an option that takes a size.
func (p *Passed) PassSize(l *Line) error {
	if _, err := ParseSize(l, l.Args[0], math.MaxInt32); err != nil {
		return err
	}
	return p.Pass(l)
}

// PassHeaderUp keeps what the operator sets, and the token the only Authorization.
func (p *Passed) PassHeaderUp(l *Line) error {
	field := strings.TrimSuffix(strings.TrimLeft(l.Args[0], "+-?>"), ":")
	name := textproto.CanonicalMIMEHeaderKey(field)
	switch {
	case name == "":
		return l.Errorf("header_up has no header name: write `header_up %s`", HeaderUsage)
	case name == "Authorization" && l.Args[0][0] != '-':
		return l.Errorf(
			"header_up cannot set Authorization: the access token is the only Authorization that reaches Zoho; for another scheme set authorization_scheme in the client",
		)
	case name == "Host":
		return l.Errorf(
			"header_up cannot set Host: Host names the server that the token is for; to send everything to another one, write `upstream <url>`",
		)
	}
	if !forward.Private(name) || l.Args[0][0] == '-' {
		return p.Pass(l)
	}
	if len(l.Args) != 2 || l.Args[0][0] == '+' {
		return l.Errorf(
			"header_up: an app's %s never reaches Zoho, so there is nothing to change or add to: write `header_up %s <value>`",
			name,
			name,
		)
	}
	if !slices.Contains(p.Keep, name) {
		p.Keep = append(p.Keep, name)
	}
	return p.Pass(l)
}
