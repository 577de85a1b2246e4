package client

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// Organization OAuth: an organization consents instead of a user. Zoho Payments takes nothing else
// (zoho.com payments/developerdocs/web-integration/org-oauth).

// SOIDOf is the organization of an account, as Zoho names it, "" if none is configured.
func (c *Config) SOIDOf(account string) string {
	if a := c.Accounts[account]; a != nil && a.SOID != "" {
		return a.SOID
	}
	return c.SOID
}

// orgServices are those whose organizations consent, with the service that their scopes begin with.
var orgServices = map[string]string{"zohopay": "ZohoPay", "zohopaysandbox": "ZohoPaySandbox"}

func (c *Config) checkOrganization(lines syntax.Lines) error {
	if !c.Org() && (c.ClientType != "" || lines["client_type"] != nil) {
		return lines.Errorf("client_type", "client_type: %s is unknown%s: write `client_type org`, "+
			"or leave it out where users consent", syntax.Show("the type", c.ClientType),
			words.DidYouMean(c.ClientType, []string{clientTypeOrg}))
	}
	if !c.Org() {
		return nil
	}
	given := c.SOID != ""
	if err := c.checkOrg(lines, "", &Account{GrantType: c.GrantType, SOID: c.SOID}); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		if account := c.Accounts[name]; account != nil {
			if err := c.checkOrg(lines, "account "+name, account); err != nil {
				return err
			}
			given = given || account.SOID != ""
		}
	}
	if !given {
		return lines.Errorf("client_type", "client_type org needs the organization that consents: "+
			"add `soid zohopay.ACCOUNT_ID` to the client, or to its accounts")
	}
	return nil
}

// checkOrg looks at the organization of an account that consents; its options stand at place, "" for the
// client's own.
func (c *Config) checkOrg(lines syntax.Lines, place string, a *Account) error {
	if a.GrantType != "" {
		return optionErrorf(lines, place, "grant_type", "grant_type and client_type org%s cannot be used together: "+
			"either nobody consents, or an organization does", lines.At("client_type", " (at %s)"))
	}
	if a.SOID == "" && lines[at(place, "soid")] == nil {
		return nil
	}
	parts := soidShape.FindStringSubmatch(a.SOID)
	if parts == nil {
		return optionErrorf(lines, place, "soid", "%w", errSOID(a.SOID, "zohopay.1234567890"))
	}
	if orgServices[parts[1]] == "" {
		known := slices.Sorted(maps.Keys(orgServices))
		return optionErrorf(lines, place, "soid", "soid: organizations of %s cannot consent%s; those of %s can",
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
