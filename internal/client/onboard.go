package client

import (
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Onboard is this client as onboarding needs to know it.
func (c *Client) Onboard() *onboard.Client {
	served, _ := c.Served.Load().(string)
	return &onboard.Client{
		Served:      served,
		Name:        c.Name,
		DisplayName: c.DisplayName,
		ID:          c.ID,
		Cache:       c.Cache,
		Centers:     c.Centers,
		Scopes:      c.Scopes,
		RedirectURI: c.RedirectURI,
		Scheme:      c.Scheme,
		Org:         c.Org(),
		SelfClient:  c.isSelfClient(),
		SOID:        c.SOIDOf,
		Accounts:    c.AccountsOf,
		Siblings:    c.siblings,
		KnownAt:     c.KnownAt,
	}
}

// siblings are the other clients with the same client id.
func (c *Client) siblings() (all []*tokencache.Client) {
	for _, other := range c.Shared.All() {
		if other != c && other.ID() == c.ID() {
			all = append(all, other.Cache)
		}
	}
	return all
}
