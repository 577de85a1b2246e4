// Package access says who calls, for which accounts, and which calls are admitted: by keys or a
// principal, and by policies.
package access

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/apikeys"
	"github.com/caddy-zoho/caddy-zoho/internal/callers"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/policy"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Config is what is configured of it.
type Config struct {
	Account   string // with placeholders; "" if the option is absent
	Keys      *apikeys.Config
	Principal string
	Policies  []policy.Policy
	DryRun    bool
	Upstream  bool // all calls go to one server
	Services  *zoho.Catalog
}

// Mistake is what is wrong with a Config, and with which option: one of a policy behind its name, as in
// `policy crm methods`.
type Mistake struct {
	Option string
	Err    error
}

// Check says what is wrong, nil if nothing is. It opens no file.
func (c *Config) Check() *Mistake {
	if c.Keys != nil {
		if err := c.Keys.Check(); err != nil {
			return &Mistake{Option: "api_keys", Err: fmt.Errorf("api_keys: %w", err)}
		}
	}
	if err := c.checkPrincipal(); err != nil {
		return &Mistake{Option: "principal", Err: err}
	}
	if c.DryRun && len(c.Policies) == 0 {
		return &Mistake{Option: "dry_run", Err: errors.New(
			"dry_run needs a policy: add `policy NAME { … }`, or remove dry_run")}
	}
	for i := range c.Policies {
		if m := c.checkPolicy(i); m != nil {
			return m
		}
	}
	return nil
}

func (c *Config) checkPrincipal() error {
	switch {
	case c.Principal == "":
		return nil
	case c.Keys != nil:
		return errors.New("use either principal or api_keys, not both: a key already gives the caller a name")
	case len(callers.Placeholders(c.Principal)) == 0:
		return errors.New("principal needs a placeholder, or all callers would have the same name: " +
			"write {http.auth.user.id} or {http.request.tls.client.subject}")
	case callers.SourceOf(c.Principal) == callers.ByCaller:
		return errors.New("principal: callers can set that placeholder themselves: " +
			"write one that Caddy sets, such as {http.auth.user.id} or {http.request.tls.client.subject}")
	}
	return nil
}

func (c *Config) checkPolicy(i int) *Mistake {
	p := &c.Policies[i]
	if option, err := p.Check(c.Upstream, c.Services); err != nil {
		return &Mistake{place(p.Name, option), fmt.Errorf("policy %.64q: %w", p.Name, err)}
	}
	if slices.ContainsFunc(c.Policies[:i], func(other policy.Policy) bool { return other.Name == p.Name }) {
		return &Mistake{place(p.Name, "policy"), fmt.Errorf("policy %s is given twice", p.Name)}
	}
	if len(p.Principals) > 0 && !c.names() {
		return &Mistake{place(p.Name, "principals"), fmt.Errorf(
			"policy %s: principals: callers have no names here: add api_keys or principal to zoho_proxy", p.Name)}
	}
	return nil
}

// place is where an option of a policy stands.
func place(policy, option string) string {
	if option == "policy" {
		return "policy " + policy
	}
	return "policy " + policy + " " + option
}

// names reports whether callers have names.
func (c *Config) names() bool { return c.Keys != nil || c.Principal != "" }

// Control is a Config at work.
type Control struct {
	*Config
	gate         *apikeys.Gate
	placeholders []string // of the principal
	chosen       bool     // callers choose the account
}

// New opens the files of keys.
func New(c *Config, keys *apikeys.Store, tries *apikeys.Tries) (*Control, error) {
	control := &Control{Config: c, placeholders: callers.Placeholders(c.Principal),
		chosen: callers.SourceOf(c.Account) != callers.ByOperator}
	if c.Keys == nil {
		return control, nil
	}
	var err error
	if control.gate, err = c.Keys.Open(keys, tries); err != nil {
		return nil, fmt.Errorf("api_keys: %w", err)
	}
	return control, nil
}

// Active reports whether callers have names, or not all is admitted: then calls are audited.
func (c *Control) Active() bool { return c.names() || len(c.Policies) > 0 }

// Serves is the account that is served, or a placeholder where callers bring theirs.
func (c *Control) Serves() string {
	if c.Account == "" && c.gate != nil && c.gate.Keys.Bound() {
		return "{http.zoho.account}"
	}
	return cmp.Or(c.Account, onboard.DefaultAccount)
}

// Confines reports whether every policy says to which services or paths it admits.
func (c *Control) Confines() bool {
	return len(c.Policies) > 0 && !c.DryRun && !slices.ContainsFunc(c.Policies, func(p policy.Policy) bool {
		return len(p.Services)+len(p.Paths) == 0
	})
}

// Known reports whether a caller's name is of a closed set: on a line of a file of keys, or
// written out in a policy.
func (c *Control) Known(name string) bool {
	return c.gate != nil || slices.ContainsFunc(c.Policies, func(p policy.Policy) bool {
		return slices.Contains(p.Principals, name) && !strings.Contains(name, "*")
	})
}

// Warnings are what is likely not meant.
func (c *Control) Warnings() (warnings []string) {
	if c.gate != nil && c.gate.Keys.Empty() {
		warnings = append(warnings, "api_keys: the files have no keys, so every caller is refused; "+
			"make one with `caddy zoho api-key new NAME`")
	}
	if c.gate != nil && c.chosen {
		if names := c.gate.Keys.Unbound(); len(names) > 0 {
			warnings = append(warnings, "api_keys: callers choose the account here, but the lines of these callers list none: "+
				strings.Join(names, ", ")+"; they are refused. Write their accounts after the digest, or * for all")
		}
	}
	if names := c.strangers(); len(names) > 0 {
		warnings = append(warnings, "policies name callers that api_keys does not list: "+strings.Join(names, ", "))
	}
	if callers.SourceOf(c.Principal) == callers.ByUnknown {
		warnings = append(warnings, "principal: it is not known who sets "+c.Principal+"; if it comes from a request, "+
			"callers can name themselves")
	}
	if c.gate == nil && c.chosen && c.Active() {
		warnings = append(warnings, "every caller can choose any account: "+
			"list accounts on the lines of api_keys, or set `account {http.zoho.caller}`")
	}
	return warnings
}

// strangers are the principals of policies that have no key.
func (c *Control) strangers() (names []string) {
	for _, p := range c.Policies {
		for _, name := range p.Principals {
			if c.gate != nil && !c.gate.Keys.Has(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// Who is a caller as it is known by its key or as the principal.
type Who struct {
	Name  string
	Key   string // that it has shown
	owner *apikeys.Owner
}

// Identify says who calls. Others are keys that a request shows in its body. The errors are those
// of apikeys.Gate.
func (c *Control) Identify(r *http.Request, repl *caddy.Replacer, peer func() string, others ...string) (Who, error) {
	if c.gate != nil {
		owner, key, err := c.gate.Admit(r, peer, others...)
		c.gate.Hide(r)
		if err != nil {
			return Who{}, err
		}
		return Who{owner.Name, key, owner}, nil
	}
	return Who{Name: c.principal(repl)}, nil
}

// principal is the name that the configuration makes. What is missing in it makes none of the rest.
func (c *Control) principal(repl *caddy.Replacer) string {
	for _, placeholder := range c.placeholders {
		if value, _ := repl.GetString(placeholder); value == "" {
			return ""
		}
	}
	return repl.ReplaceAll(c.Principal, "")
}

// AccountOf is whose token a caller gets, "" if the request does not say. It is not admitted
// where it is none of the caller's own; whether there is one of that name does not matter.
func (c *Control) AccountOf(who Who, repl *caddy.Replacer) (account string, admitted bool) {
	account = c.Account
	switch {
	case account == "" && who.owner != nil:
		account = cmp.Or(who.owner.Only(), onboard.DefaultAccount)
	case account == "":
		account = onboard.DefaultAccount
	case strings.Contains(account, "{"):
		account = repl.ReplaceAll(account, "")
	}
	switch {
	case who.owner == nil, account == "":
		return account, true
	case who.owner.Bound():
		return account, who.owner.Has(account)
	}
	return account, !c.chosen
}

// Permit says why a call is not admitted, nil if it is.
func (c *Control) Permit(call *policy.Call) *policy.Refusal {
	switch {
	case len(c.Policies) == 0:
		return nil
	case c.names() && call.Caller == "":
		return &policy.Refusal{Why: "the caller has no name"}
	}
	return policy.Judge(c.Policies, call)
}
