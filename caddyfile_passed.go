package caddyzoho

import (
	"math"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/caddy-zoho/caddy-zoho/internal/forward"
)

// Options of reverse_proxy that zoho_proxy takes: checked here, so that the message
// says what to write, and parsed by reverse_proxy itself.

// pass leaves the line to reverse_proxy.
func (p *proxyBlock) pass(l *line) error {
	p.passed = append(p.passed, l.tokens...)
	return nil
}

func passDuration(p *proxyBlock, l *line) error {
	// reverse_proxy takes a bare number for nanoseconds.
	d, err := parseDuration(l, l.args[0])
	if err == nil && d < 0 {
		err = l.errorf("%s must not be negative", l.word)
	}
	if err != nil {
		return err
	}
	return p.pass(l)
}

// parseFlushInterval takes -1 as well: flush after each write.
func (p *proxyBlock) parseFlushInterval(l *line) error {
	if l.args[0] == "-1" {
		return p.pass(l)
	}
	return passDuration(p, l)
}

func passNumber(p *proxyBlock, l *line) error {
	if err := checkNumber(l); err != nil {
		return err
	}
	return p.pass(l)
}

func passSize(p *proxyBlock, l *line) error {
	if _, err := parseSize(l, l.args[0], math.MaxInt32); err != nil {
		return err
	}
	return p.pass(l)
}

func checkNumber(l *line) error {
	if n, err := strconv.Atoi(l.args[0]); err != nil || n < 0 {
		return l.errorf("%s: %s must be a whole number of at least 0", l.word, show("the value", l.args[0]))
	}
	return nil
}

// parseSize reads sizes as Caddy does: 1MiB, 64KB, or bytes without a unit.
func parseSize(l *line, text string, most uint64) (int64, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil {
		return 0, l.errorf("%s: %s is no size: write a number and a unit, as in 64KiB or 1MiB", l.word, show("the value", text))
	}
	if n > most {
		return 0, l.errorf("%s: %s is more than %s, the most that makes sense here", l.word, text, humanize.IBytes(most))
	}
	return int64(n), nil
}

// parseHeaderUp keeps what the operator sets, and the token the only Authorization.
func (p *proxyBlock) parseHeaderUp(l *line) error {
	field := strings.TrimSuffix(strings.TrimLeft(l.args[0], "+-?>"), ":")
	name := textproto.CanonicalMIMEHeaderKey(field)
	switch {
	case name == "":
		return l.errorf("header_up names no header: write `header_up %s`", proxyOptions["header_up"].usage)
	case name == "Authorization" && l.args[0][0] != '-':
		return l.errorf("header_up Authorization is not taken: the access token is the only Authorization that reaches Zoho; another scheme is set by authorization_scheme in the client")
	case name == "Host":
		return l.errorf("header_up Host is not taken: Host names the server that the token is for; `upstream <url>` sends everything to another one")
	}
	if !forward.Private(name) || l.args[0][0] == '-' {
		return p.pass(l)
	}
	if len(l.args) != 2 || l.args[0][0] == '+' {
		return l.errorf("header_up: %s of an app never reaches Zoho, so there is nothing to change or add to: write `header_up %s <value>`", name, name)
	}
	if !slices.Contains(p.keep, name) {
		p.keep = append(p.keep, name)
	}
	return p.pass(l)
}
