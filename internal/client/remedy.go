package client

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Consent is how to get another grant. What is configured has to go first.
func (c *Client) Consent(account string) string {
	if own := c.ClientCredentials(account); own != nil { // nobody consents
		return "compare `scopes` in the block of `" + cmp.Or(own.Inherit, own.Block) + "` with the documentation of the API; " +
			"the next access token is asked for with what stands there"
	}
	do := "give consent: " + c.ConnectCommand(account)
	switch {
	case c.isDeviceClient(): // to Zoho's page of consent for browsers it is no client
	case c.isSelfClient(): // nor is this one
		do = "generate a code in Zoho's API console (self client) and give it to " + c.ConnectCommand(account)
	case len(c.Scopes) > 0:
		do += ", or the pages of zoho_connect"
	default:
		do = "generate a code in Zoho's API console (self client) and give it to " + c.ConnectCommand(account) +
			"; with `scopes` in the client a browser serves as well"
	}
	if _, configured, err := c.Grant(account); configured || err != nil {
		return "put another refresh_token in place of the configured one, or take that out and " + do
	}
	return do
}

// AddScopes is how a grant gets the scopes of the configuration that it lacks. Without any in the
// configuration they come with another grant alone, as they do for what Zoho adds none to.
func (c *Client) AddScopes(account string) string {
	if len(c.Scopes) == 0 || c.isSelfClient() || c.isDeviceClient() {
		return c.Consent(account)
	}
	return "add the missing scopes to this grant: " + c.ConnectCommand(account) + " --add-scopes, " +
		"or the pages of zoho_connect; if Zoho refuses, as for a self client, " + c.Consent(account)
}

// isDeviceClient reports whether the client is of the type that connects accounts by device codes.
func (c *Client) isDeviceClient() bool { return strings.HasPrefix(c.ID(), zoho.DeviceClientPrefix) }

// isSelfClient reports whether the client is of the type that alone gets tokens without consent.
func (c *Client) isSelfClient() bool {
	if c.GrantType != "" {
		return true
	}
	for _, account := range c.Accounts {
		if account != nil && account.GrantType != "" {
			return true
		}
	}
	return false
}

// ConnectCommand brings a grant in. Without scopes there is nothing to ask consent for.
func (c *Client) ConnectCommand(account string) string {
	command := "caddy zoho connect " + c.Name
	if words.Name.MatchString(account) {
		command += " " + account
	}
	switch {
	case c.isDeviceClient():
		command += " --device"
	case len(c.Scopes) == 0, c.isSelfClient():
		command += " --self-client"
	}
	return command
}

// Readable is how to get at a grant that cannot be had: the line to write, if a key is missing.
func (c *Client) Readable(account string) string {
	key := tokencache.Key{Client: c.Name, Account: account}
	opens := func(secrets [][]byte) error {
		_, _, err := c.Shared.Store.LoadGrant(key, secrets)
		return err
	}
	err := opens(c.Cache.Secrets())
	var known *tokencache.StoreError
	do := "mend that; see what is said of the store"
	if errors.Is(err, tokencache.ErrWrongKey) {
		do = c.keyLine(opens)
	}
	if errors.As(err, &known) && known.Replaceable {
		do += "; or connect the account anew, which asks whether to replace the grant: " + c.ConnectCommand(account)
	}
	return do
}

// keyLine is what to write so that a grant opens, which none of the configured secrets does.
func (c *Client) keyLine(opens func(secrets [][]byte) error) string {
	if c.Shared.Sealing.ByMasterKey() {
		return c.secretLine()
	}
	first := c.Shared.Sealing.Keys()[0]
	for _, ref := range append(c.AllSecrets(), c.Shared.Sealing.MasterKeyRef()) {
		if opens(secret.ResolveAll([]secret.Ref{ref})) == nil {
			return fmt.Sprintf("the store was begun without encryption_key, so add what opens it as a further key: "+
				"encryption_key %s %s", first, ref)
		}
	}
	return fmt.Sprintf("add the key that it was sealed by as a further one: "+
		"encryption_key %s {env.OLD_ENCRYPTION_KEY}; "+
		"if the store was begun without encryption_key, that is the client secret that it had then, or its zoho-master.key: "+
		"{file./path/to/zoho-master.key}", first)
}

// secretLine is keyLine for a store that client secrets seal.
func (c *Client) secretLine() string {
	option, secrets := "client_secret", c.ClientSecret
	if len(secrets) == 0 {
		code := slices.Sorted(maps.Keys(c.DataCenterSecret))[0]
		option, secrets = option+" "+code, c.DataCenterSecret[code]
	}
	return fmt.Sprintf("add the old secret after the new one: %s %s {env.OLD_CLIENT_SECRET}; "+
		"if the store had its zoho-master.key elsewhere than at %s, name that place: "+
		"master_key_file /path/to/zoho-master.key; "+
		"if it had an encryption_key, write that again: encryption_key {env.ZOHO_ENCRYPTION_KEY}",
		option, secrets[0], c.Shared.Sealing.MasterKeyFile())
}

// Explain is a cause in the words for one of the client's connections.
func (c *Client) Explain(why cause.Cause, account string) cause.Explanation {
	facts := cause.Facts{
		Client:  c.Name,
		Account: onboard.ShowAccount(account),
		Budget:  c.Cache.Budget,
		Window:  c.Cache.BudgetWindow,

		ClientCredentials: c.ClientCredentials(account),
	}
	switch why {
	case cause.Dead, cause.NoGrant, cause.OrgNeeded, cause.OrgRefused, cause.ScopeRefused, cause.GrantType:
		facts.Consent = c.Consent(account)
	}
	if why == cause.Dead || why == cause.Temporary {
		facts.Server = c.CenterNow(account).Accounts
	}
	return cause.Of(why, facts)
}
