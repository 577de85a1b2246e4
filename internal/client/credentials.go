package client

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// What a client proves itself with, and what seals its part of the store.

func (c *Client) provisionSecrets() error {
	var unset []error
	id, err := c.ClientID.Credential()
	if err != nil {
		unset = append(unset, fmt.Errorf("client_id %w", err))
	}
	if err == nil && !zoho.LooksLikeClientID(id) && !c.Centers[0].Custom {
		c.Shared.Logger.Warn("client_id does not look like one of Zoho's, which begin with "+zoho.ClientIDForm+": "+
			"compare it with the API console", zap.String("client", c.Name))
	}
	for _, ref := range c.ClientSecret {
		value, err := ref.Credential()
		if err != nil {
			unset = append(unset, fmt.Errorf("client_secret %w", err))
		} else if zoho.LooksLikeClientID(value) && id != "" && !zoho.LooksLikeClientID(id) {
			return errors.New("client_id and client_secret seem to be swapped: " +
				"the value that begins with " + zoho.ClientIDForm + " is the client_id")
		}
	}
	for _, code := range slices.Sorted(maps.Keys(c.DataCenterSecret)) {
		for _, ref := range c.DataCenterSecret[code] {
			if _, err := ref.Credential(); err != nil {
				unset = append(unset, fmt.Errorf("client_secret %s %w", code, err))
			}
		}
	}
	return errors.Join(unset...)
}

// ID is the client id, "" if it has no value now.
func (c *Client) ID() string {
	id, _ := c.ClientID.Credential()
	return id
}

// secretsFor lists the client secrets that a data center may accept, in order.
func (c *Client) secretsFor(code string) []string {
	var values []string
	for _, ref := range slices.Concat(c.DataCenterSecret[code], c.ClientSecret) {
		if value, err := ref.Credential(); err == nil && !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	return values
}

// AllSecrets are the secrets of every data center.
func (c *Client) AllSecrets() []secret.Ref {
	all := slices.Clone(c.ClientSecret)
	for _, code := range slices.Sorted(maps.Keys(c.DataCenterSecret)) {
		all = append(all, c.DataCenterSecret[code]...)
	}
	return all
}

// SealingSecrets wrap the data keys of the store. The first one signs invitations, too.
func (c *Client) SealingSecrets() [][]byte {
	return c.Shared.Sealing.Secrets(secret.ResolveAll(c.AllSecrets()))
}

// credentials are what the authorization server may reject, and where: a data center that is
// added may be what was missing.
func (c *Client) credentials() [][]byte {
	all := append(secret.ResolveAll(c.AllSecrets()), []byte(c.ID()))
	for _, code := range c.DataCenter {
		all = append(all, []byte(code))
	}
	for _, code := range slices.Sorted(maps.Keys(c.DataCenterSecret)) {
		all = append(all, fmt.Appendf(nil, "%s %d", code, len(c.DataCenterSecret[code])))
	}
	return all
}

// AccountsOf are the ways to speak to a data center, one for each client secret that it
// may accept, beginning with the one that was accepted last.
func (c *Client) AccountsOf(center zoho.DataCenter) []*zoho.Accounts {
	var all []*zoho.Accounts
	secrets := c.secretsFor(center.Code)
	first := 0
	if i, ok := c.accepted.Load(center.Code); ok {
		first = i.(int)
	}
	for i := range secrets {
		ref := secrets[(first+i)%len(secrets)]
		all = append(all, &zoho.Accounts{HTTP: c.HTTP, DataCenter: center, ClientID: c.ID(), ClientSecret: ref})
	}
	return all
}
