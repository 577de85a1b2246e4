package client

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// Organization OAuth: an organization consents instead of a user. Zoho Payments takes nothing else
// (zoho.com payments/developerdocs/web-integration/org-oauth).

// clientTypeOrg is the one client_type that is written. Without one users consent.
const clientTypeOrg = "org"

// Org reports whether organizations consent.
func (c *Config) Org() bool { return c.ClientType == clientTypeOrg }

// SOIDOf is the organization of an account, as Zoho names it, "" if none is configured.
func (c *Config) SOIDOf(account string) string {
	if a := c.Accounts[account]; a != nil && a.SOID != "" {
		return a.SOID
	}
	return c.SOID
}

// orgServices are those whose organizations consent, with the service that their scopes begin with.
var orgServices = map[string]string{"zohopay": "ZohoPay", "zohopaysandbox": "ZohoPaySandbox"}

// soidShape is SERVICE.ORGANIZATION.
var soidShape = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9]*)\.([A-Za-z0-9_-]{1,64})$`)

func (c *Config) checkOrganization(lines syntax.Lines) error {
	if !c.Org() && (c.ClientType != "" || lines["client_type"] != nil) {
		return lines.Errorf("client_type", "client_type: %s is unknown%s: write `client_type org`, "+
			"or leave it out where users consent", syntax.Show("the type", c.ClientType),
			words.DidYouMean(c.ClientType, []string{clientTypeOrg}))
	}
	if err := c.checkSOID(lines, "", c.SOID); err != nil {
		return err
	}
	given := c.SOID != ""
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		if account := c.Accounts[name]; account != nil {
			if err := c.checkSOID(lines, "account "+name+" ", account.SOID); err != nil {
				return err
			}
			given = given || account.SOID != ""
		}
	}
	if c.Org() && !given {
		return lines.Errorf("client_type", "client_type org needs the organization that consents: "+
			"add `soid zohopay.ACCOUNT_ID` to the client, or to its accounts")
	}
	return nil
}

// checkSOID looks at an organization; place is where it stands, "" for the client.
func (c *Config) checkSOID(lines syntax.Lines, place, soid string) error {
	option := place + "soid"
	fail := func(format string, args ...any) error {
		err := fmt.Errorf(format, args...)
		if lines[option] == nil && place != "" {
			err = fmt.Errorf("%s: %w", strings.TrimSpace(place), err)
		}
		return lines.Errorf(option, "%w", err)
	}
	if soid == "" && lines[option] == nil {
		return nil
	}
	parts := soidShape.FindStringSubmatch(soid)
	switch {
	case parts == nil:
		return fail("soid: %s names no organization: write the service and the organization, as in `soid zohopay.1234567890`",
			syntax.Show("the value", soid))
	case !c.Org():
		return fail("soid goes with `client_type org`: add that, or leave the soid out where users consent")
	case orgServices[parts[1]] == "":
		known := slices.Sorted(maps.Keys(orgServices))
		return fail("soid: no organizations of %s are known to consent%s; known are %s",
			syntax.Show("the service", parts[1]), words.DidYouMean(parts[1], known), strings.Join(known, " "))
	}
	return nil
}

// soidWarnings tell of scopes of another service than the organization's: the sandbox has its own.
func (c *Config) soidWarnings() (warnings []string) {
	if !c.Org() {
		return nil
	}
	for _, account := range append([]string{""}, slices.Sorted(maps.Keys(c.Accounts))...) {
		soid := c.SOIDOf(account)
		service, _, _ := strings.Cut(soid, ".")
		for _, scope := range c.Scopes {
			first, _, _ := strings.Cut(scope, ".")
			if want := orgServices[service]; want != "" && !strings.EqualFold(first, want) {
				warnings = append(warnings, fmt.Sprintf("scope %s: soid %s takes scopes that begin with %s", scope, soid, want))
			}
		}
	}
	slices.Sort(warnings)
	return slices.Compact(warnings)
}

func (c *clientBlock) parseClientType(l *syntax.Line) error {
	c.ClientType = strings.ToLower(l.Args[0])
	return syntax.NoPlaceholder(l, l.Args[0])
}

func (c *clientBlock) parseSOID(l *syntax.Line) error {
	c.SOID = l.Args[0]
	return syntax.NoPlaceholder(l, l.Args[0])
}

func (a *Account) parseSOID(l *syntax.Line) error {
	a.SOID = l.Args[0]
	return syntax.NoPlaceholder(l, l.Args[0])
}
