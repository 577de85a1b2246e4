package caddyzoho

import (
	"math"
	"net/textproto"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/forward"
	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
)

// Options of reverse_proxy that zoho_proxy takes: checked here, so that the message
// says what to write, and parsed by reverse_proxy itself.

// pass leaves the line to reverse_proxy.
func (p *proxyBlock) pass(l *syntax.Line) error {
	p.passed = append(p.passed, l.Tokens...)
	return nil
}

func passDuration(p *proxyBlock, l *syntax.Line) error {
	// reverse_proxy takes a bare number for nanoseconds.
	d, err := syntax.ParseDuration(l, l.Args[0])
	if err == nil && d < 0 {
		err = l.Errorf("%s must not be negative", l.Word)
	}
	if err != nil {
		return err
	}
	return p.pass(l)
}

// parseFlushInterval takes -1 as well: flush after each write.
func (p *proxyBlock) parseFlushInterval(l *syntax.Line) error {
	if l.Args[0] == "-1" {
		return p.pass(l)
	}
	return passDuration(p, l)
}

func passNumber(p *proxyBlock, l *syntax.Line) error {
	if err := syntax.CheckNumber(l); err != nil {
		return err
	}
	return p.pass(l)
}

func passSize(p *proxyBlock, l *syntax.Line) error {
	if _, err := syntax.ParseSize(l, l.Args[0], math.MaxInt32); err != nil {
		return err
	}
	return p.pass(l)
}

// parseHeaderUp keeps what the operator sets, and the token the only Authorization.
func (p *proxyBlock) parseHeaderUp(l *syntax.Line) error {
	field := strings.TrimSuffix(strings.TrimLeft(l.Args[0], "+-?>"), ":")
	name := textproto.CanonicalMIMEHeaderKey(field)
	switch {
	case name == "":
		return l.Errorf("header_up names no header: write `header_up %s`", proxyOptions["header_up"].Usage)
	case name == "Authorization" && l.Args[0][0] != '-':
		return l.Errorf("header_up Authorization is not taken: the access token is the only Authorization that reaches Zoho; another scheme is set by authorization_scheme in the client")
	case name == "Host":
		return l.Errorf("header_up Host is not taken: Host names the server that the token is for; `upstream <url>` sends everything to another one")
	}
	if !forward.Private(name) || l.Args[0][0] == '-' {
		return p.pass(l)
	}
	if len(l.Args) != 2 || l.Args[0][0] == '+' {
		return l.Errorf("header_up: %s of an app never reaches Zoho, so there is nothing to change or add to: write `header_up %s <value>`", name, name)
	}
	if !slices.Contains(p.keep, name) {
		p.keep = append(p.keep, name)
	}
	return p.pass(l)
}
