package client

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Accounts without a browser: with a grant type, tokens are asked for by the client itself.

// configured is what is configured of an account, nil if nothing is. The client's own options are
// those of the account default.
func (c *Config) configured(account string) *Account {
	if a := c.Accounts[account]; a != nil || account != onboard.DefaultAccount {
		return a
	}
	if c.GrantType == "" && !c.RefreshToken.IsSet() {
		return nil
	}
	return &Account{RefreshToken: c.RefreshToken, GrantType: c.GrantType, SOID: c.SOID}
}

// scopesOf are the account's own, or else the client's.
func (c *Config) scopesOf(a *Account) []string {
	if len(a.Scopes) > 0 {
		return a.Scopes
	}
	return c.Scopes
}

// ScopesOf are those that are asked for an account.
func (c *Config) ScopesOf(account string) []string {
	if a := c.configured(account); a != nil {
		return c.scopesOf(a)
	}
	return c.Scopes
}

// ClientCredentials are those of an account that needs no consent, nil for others.
func (c *Client) ClientCredentials(account string) *cause.ClientCredentials {
	a := c.configured(account)
	if a == nil || a.GrantType == "" {
		return nil
	}
	block, inherit := "client "+c.Name, ""
	if c.Accounts[account] != nil {
		block = "account " + account
		if len(a.Scopes) == 0 {
			inherit = "client " + c.Name
		}
	}
	return &cause.ClientCredentials{Block: block, SOID: a.SOID, Scopes: c.scopesOf(a), Inherit: inherit,
		Connect: "caddy zoho connect " + c.Name + " " + account + " --self-client"}
}

// soidShape is SERVICE.ORG, as in ZohoCRM.60001234567.
var soidShape = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9]{0,63})\.([A-Za-z0-9_-]{1,64})$`)

func errSOID(given, example string) error {
	return fmt.Errorf("soid: %s must be SERVICE.ORG, as in `soid %s`: the service, and the organization's id",
		syntax.Show("the value", given), example)
}

// at is where an option of an account stands, or of the client where place is "".
func at(place, option string) string { return strings.TrimSpace(place + " " + option) }

// optionErrorf is an error about an option of an account, which it names, or of the client.
func optionErrorf(lines syntax.Lines, place, option, format string, args ...any) error {
	if place != "" {
		format, args = "%s: "+format, append([]any{place}, args...)
	}
	return lines.Errorf(at(place, option), format, args...)
}

// checkGrantType says what is wrong with the way in which tokens of an account are asked for. Its
// options stand at place, "" for the client's own.
func (c *Config) checkGrantType(a *Account, place string, lines syntax.Lines) error {
	errorf := func(option, format string, args ...any) error {
		return optionErrorf(lines, place, option, format, args...)
	}
	switch given := lines[at(place, "grant_type")] != nil; {
	case a.GrantType == "" && !given && a.SOID != "" && !c.Org():
		return errorf("soid", "soid needs `grant_type client_credentials`, or `client_type org` in the client: "+
			"add that line, or leave soid out")
	case a.GrantType == "" && !given && len(a.Scopes) > 0:
		return errorf("scopes", "scopes of an account need `grant_type client_credentials`: "+
			"for consent, set scopes in the client")
	case a.GrantType == "" && !given:
		return nil
	case a.GrantType != zoho.ClientCredentials:
		return errorf("grant_type", "%w", unknownGrantType(a.GrantType))
	case a.RefreshToken.IsSet():
		return errorf("grant_type", "grant_type client_credentials and refresh_token%s cannot be used together: "+
			"either the client requests tokens, or a refresh token does", lines.At(at(place, "refresh_token"), " (at %s)"))
	case place == "" && c.RedirectURI != "":
		return errorf("redirect_uri", "redirect_uri is for consent in a browser, and with `grant_type client_credentials`%s "+
			"nobody consents: leave one of them out", lines.At("grant_type", " (at %s)"))
	case (a.SOID != "" || lines[at(place, "soid")] != nil) && !soidShape.MatchString(a.SOID):
		return errorf("soid", "%w", errSOID(a.SOID, "ZohoCRM.60001234567"))
	case len(c.scopesOf(a)) == 0:
		where := "the client"
		if place != "" {
			where = "the account or the client"
		}
		return errorf("grant_type", "grant_type client_credentials needs scopes, because nobody consents to any: "+
			"add `scopes SCOPE…` to %s, as in `scopes ZohoCRM.modules.ALL`", where)
	}
	return nil
}

// unknownGrantType names the word that was meant. Those of other ways are what an account has
// without the option.
func unknownGrantType(word string) error {
	const only = "write `grant_type client_credentials`, or leave the line out"
	switch {
	case word == "":
		return fmt.Errorf("grant_type has no value: %s", only)
	case slices.Contains([]string{"refresh_token", "authorization_code"}, word):
		return fmt.Errorf("grant_type %s is the default: leave the line out", word)
	}
	unknown := "it is unknown"
	if syntax.OptionShape.MatchString(word) { // otherwise it may be a secret
		unknown = fmt.Sprintf("%q is unknown", word)
	}
	return fmt.Errorf("grant_type: %s%s: %s", unknown, words.DidYouMean(word, []string{zoho.ClientCredentials}), only)
}
