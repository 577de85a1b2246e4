// Package callers says whose connections are admitted, and which requests are those of web
// pages.
//
// callers.go has the rules of the option callers, peer.go who is at the other end of a
// connection; page.go what gives a web page away, names.go which names are the proxy's own.
package callers

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// Rules are those whose connections are admitted.
type Rules struct {
	Any      bool
	loopback bool
	prefixes []netip.Prefix
	uids     []uint32
	users    []string // whose ids are not looked up yet
}

// ruleWords begin a rule of the option callers.
var ruleWords = []string{"loopback", "private_ranges", "any", "uid", "user"}

// Check says what is wrong with the form of rules, on whatever machine they are to be used.
func Check(rules []string) error {
	_, err := read(rules)
	return err
}

// Parse reads the rules of the option callers for use on this machine, whose users it looks up.
func Parse(rules []string) (Rules, error) {
	c, err := read(rules)
	if err != nil {
		return c, err
	}
	if len(c.uids)+len(c.users) > 0 && !tellsCredentials {
		return c, errors.New(
			"callers: uid and user work only on Linux and macOS: other systems do not say who opened a Unix socket; " +
				"give the socket a mode, as in `bind unix//run/zoho/api.sock|0660`",
		)
	}
	return c, c.lookUp()
}

// read reads the rules. After uid and user it takes all that follows, to the next rule.
func read(rules []string) (c Rules, err error) {
	if len(rules) == 0 {
		return Rules{loopback: true}, nil
	}
	for len(rules) > 0 && err == nil {
		rule := rules[0]
		rules = rules[1:]
		switch rule {
		case "any":
			c.Any = true
		case "loopback":
			c.loopback = true
		case "private_ranges":
			err = c.add(caddyhttp.PrivateRangesCIDR()...)
		case "uid":
			n := leading(rules, isNumber)
			err = c.addIDs(rules[:n], rules)
			rules = rules[n:]
		case "user":
			n := leading(rules, isUser)
			err = c.addUsers(rules[:n])
			rules = rules[n:]
		default:
			err = c.add(rule)
		}
	}
	return c, err
}

// leading counts the arguments up to the first one that is not ok.
func leading(arguments []string, ok func(string) bool) int {
	if n := slices.IndexFunc(arguments, func(a string) bool { return !ok(a) }); n >= 0 {
		return n
	}
	return len(arguments)
}

func isNumber(argument string) bool {
	return argument != "" && strings.Trim(argument, "0123456789") == ""
}

// isUser reports whether an argument after user is a name of one, and not the next rule.
func isUser(argument string) bool {
	_, err := caddyhttp.CIDRExpressionToPrefix(argument)
	return err != nil && !slices.Contains(ruleWords, argument)
}

func (c *Rules) add(expressions ...string) error {
	for _, expression := range expressions {
		prefix, err := prefixOf(expression)
		if err != nil {
			return err
		}
		c.prefixes = append(c.prefixes, prefix)
	}
	return nil
}

// prefixOf reads an address or a CIDR, whose bits beyond its length do not matter. Of IPv4 in
// IPv6 it makes IPv4, as peers are compared.
func prefixOf(expression string) (none netip.Prefix, err error) {
	if strings.Contains(expression, "%") {
		return none, fmt.Errorf(
			"callers: %q has a zone: remove it, addresses are compared without the zone", expression)
	}
	prefix, err := caddyhttp.CIDRExpressionToPrefix(expression)
	if err != nil {
		hint := words.DidYouMean(expression, ruleWords)
		if strings.EqualFold(expression, "localhost") {
			hint = " (did you mean loopback?)"
		}
		if isNumber(expression) {
			hint = " (for a user id write `uid " + expression + "`)"
		}
		return none, fmt.Errorf(
			"callers: %q is not a rule: write loopback, private_ranges, any, an address, a CIDR such as 10.0.0.0/8, "+
				"uid N… or user NAME…%s",
			expression,
			hint,
		)
	}
	if !prefix.Addr().Is4In6() {
		return prefix.Masked(), nil
	}
	const mapped = 96
	if prefix.Bits() < mapped {
		return none, fmt.Errorf(
			"callers: %q covers all of IPv4 and part of IPv6: write both, as in `0.0.0.0/0 ::/0`", expression)
	}
	return netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mapped).Masked(), nil
}

// addIDs takes the ids that a rule uid begins with; all is what follows it.
func (c *Rules) addIDs(ids, all []string) error {
	if len(ids) == 0 {
		next := cmp.Or(strings.Join(all[:min(len(all), 1)], ""), "NAME")
		return fmt.Errorf(
			"callers: uid needs a number: write `uid 1000 1001`, or `user %s` for a name", next)
	}
	for _, text := range ids {
		uid, err := strconv.ParseUint(text, 10, 32)
		if err != nil || uid == noUID {
			return fmt.Errorf("callers: uid %.20s is not a user id: write a number up to 4294967294", text)
		}
		if err := c.addUID(uint32(uid), "uid "+text); err != nil {
			return err
		}
	}
	return nil
}

const (
	nobody = 65534     // usually also that of users whom a user namespace does not know
	noUID  = 1<<32 - 1 // -1, which leaves things as they are
)

func (c *Rules) addUID(uid uint32, rule string) error {
	if uid == nobody || uid == overflowUID() {
		return fmt.Errorf(
			"callers: %s: the kernel reports %d for each user that is unknown in this user namespace, so it "+
				"identifies nobody: run the caller as its own user",
			rule, uid,
		)
	}
	c.uids = append(c.uids, uid)
	return nil
}

func (c *Rules) addUsers(names []string) error {
	if len(names) == 0 {
		return errors.New("callers: user needs a name: write `user www-data`")
	}
	if i := slices.IndexFunc(names, isNumber); i >= 0 {
		return fmt.Errorf("callers: user %[1]s is a number: write `uid %[1]s`", names[i])
	}
	c.users = append(c.users, names...)
	return nil
}

// lookUp finds the ids of users.
func (c *Rules) lookUp() error {
	for _, name := range c.users {
		found, err := user.Lookup(name)
		if err != nil {
			return fmt.Errorf(
				"callers: there is no user %.64q on this machine%s: correct the name, or write `uid` and the number",
				name, words.DidYouMean(name, []string{"loopback", "private_ranges"}),
			)
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			return fmt.Errorf("callers: the id of user %.64q is not a number: %.64q", name, found.Uid)
		}
		if err := c.addUID(uint32(uid), "user "+name); err != nil {
			return err
		}
	}
	c.users = nil
	return nil
}

// Admit looks at the connection alone: any caller can write X-Forwarded-For.
func (c Rules) Admit(p Peer) bool {
	if c.Any {
		return true
	}
	if p.Socket { // whoever may open it is local
		return c.loopback || p.Process != nil && slices.Contains(c.uids, p.Process.UID)
	}
	peer, err := netip.ParseAddrPort(p.Address)
	if err != nil {
		return false
	}
	ip := peer.Addr().Unmap().WithZone("")
	if c.loopback && ip.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(c.prefixes, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// loopbackRanges are where no other machine calls from.
var loopbackRanges = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// network reports whether other machines are admitted, or containers.
func (c Rules) network() bool {
	return c.Any || slices.ContainsFunc(c.prefixes, func(p netip.Prefix) bool {
		return !slices.ContainsFunc(loopbackRanges, func(l netip.Prefix) bool {
			return l.Bits() <= p.Bits() && l.Contains(p.Addr())
		})
	})
}
