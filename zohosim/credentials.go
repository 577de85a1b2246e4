package zohosim

import (
	"slices"
	"strings"
)

// What a self client is given by client_credentials, without anybody's consent.

// credentialsLocked makes an access token for the client itself, or names Zoho's error. Zoho's page has
// missing_org_info; the other errors are those that clients were seen to handle. That all of a client's
// requests are counted together is an assumption.
func (c *call) credentialsLocked(client *Client) (*token, string) {
	scope, soid := c.get("scope"), c.get("soid")
	if !client.SelfClient {
		return nil, "invalid_client"
	}
	if wrong := wrongScope(scope); wrong != "" {
		return nil, wrong
	}
	org, wrong := c.orgLocked(client, soid, scope)
	if wrong != "" {
		return nil, wrong
	}
	if c.s.tooManyMintsLocked(client.ID) {
		return nil, "throttled"
	}
	scopes := slices.Compact(slices.Sorted(slices.Values(splitScopes(scope))))
	of := minter{client.ID, c.route.dc, soid, strings.Join(scopes, ",")}
	g := c.s.minters[of]
	if g == nil || c.s.grants[g.RefreshToken] != g {
		g = c.s.onlineLocked(c.s.completeLocked(GrantSpec{
			ClientID: client.ID, DataCenter: c.route.dc, Org: org, Scopes: []string{scope},
		}))
		c.s.minters[of] = g
	}
	return c.s.mintLocked(g), ""
}

// wrongScope refuses blanks, and services that there are not.
func wrongScope(list string) string {
	if list == "" || strings.ContainsAny(list, " \t\n") {
		return "invalid_scope"
	}
	for scope := range strings.SplitSeq(list, ",") {
		service, _, _ := strings.Cut(scope, ".")
		known := strings.EqualFold(service, "AaaServer") ||
			slices.ContainsFunc(products, func(p *product) bool { return named(service, p.scopes) })
		if !known {
			return "invalid_scope"
		}
	}
	return ""
}

// orgLocked is the organization that the token is for. One has to be named, as SERVICE.ORG, where the
// client's owner belongs to several and the product knows organizations; Cliq was seen to need none. Desk
// answered missing_org_info whatever was named.
func (c *call) orgLocked(client *Client, soid, scopes string) (org, wrong string) {
	var services []string
	for _, scope := range splitScopes(scopes) {
		service, _, _ := strings.Cut(scope, ".")
		services = append(services, service)
	}
	orgs := client.Orgs
	if len(orgs) == 0 {
		orgs = []string{c.s.o.Org}
	}
	if slices.ContainsFunc(services, func(s string) bool { return strings.EqualFold(s, "Desk") }) {
		return "", "missing_org_info"
	}
	if soid == "" {
		needs := func(s string) bool { return !strings.EqualFold(s, "ZohoCliq") && !strings.EqualFold(s, "AaaServer") }
		if len(orgs) > 1 && slices.ContainsFunc(services, needs) {
			return "", "missing_org_info"
		}
		return orgs[0], ""
	}
	service, org, found := strings.Cut(soid, ".")
	switch {
	case !found || !slices.ContainsFunc(products, func(p *product) bool { return named(service, p.scopes) }):
		return "", "invalid_soid"
	case !slices.Contains(orgs, org):
		return "", "invalid_org"
	}
	return org, ""
}
