package client

import (
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// TestConsentOfClientTypes: what brings a grant in depends on the type of the client: nobody is sent to a page of Zoho's
// that knows no such client.
func TestConsentOfClientTypes(t *testing.T) {
	us, _ := zoho.LookupDataCenter("us")
	scopes := []string{"ZohoCRM.modules.ALL"}
	const browser = "pages of zoho_connect"
	for name, test := range map[string]struct {
		config  Config
		command string
		pages   bool
	}{
		"server-based":   {Config{ClientID: secret.Literal("1000.ID"), Scopes: scopes}, "`caddy zoho connect main shop`,", true},
		"without scopes": {Config{ClientID: secret.Literal("1000.ID")}, "caddy zoho connect main shop --self-client", false},
		"device":         {Config{ClientID: secret.Literal("1004.ID"), Scopes: scopes}, "caddy zoho connect main shop --device", false},
		"self client by its own grant_type": {
			Config{ClientID: secret.Literal("1000.ID"), Scopes: scopes, GrantType: zoho.ClientCredentials},
			"caddy zoho connect main shop --self-client", false,
		},
		"self client by that of an account": {
			Config{ClientID: secret.Literal("1000.ID"), Scopes: scopes, Accounts: map[string]*Account{"east": {GrantType: zoho.ClientCredentials}}},
			"caddy zoho connect main shop --self-client", false,
		},
	} {
		c := &Client{Name: "main", Config: &test.config, Centers: []zoho.DataCenter{us}}
		if got := c.Consent("shop"); !strings.Contains(got, test.command) || strings.Contains(got, browser) != test.pages {
			t.Errorf("%s: %q", name, got)
		}
		if got := c.AddScopes("shop"); strings.Contains(got, "--add-scopes") != test.pages {
			t.Errorf("%s: adding scopes: %q", name, got)
		}
	}
}

// TestScopesOfClientCredentials: a refused scope is looked for where it stands, which may be the client's line for all.
func TestScopesOfClientCredentials(t *testing.T) {
	us, _ := zoho.LookupDataCenter("us")
	own := []string{"ZohoCRM.org.READ"}
	c := &Client{Name: "main", Centers: []zoho.DataCenter{us}, Cache: &tokencache.Client{}, Config: &Config{
		ClientID: secret.Literal("1000.ID"), Scopes: []string{"ZohoCRM.modules.ALL"}, GrantType: zoho.ClientCredentials,
		Accounts: map[string]*Account{"east": {GrantType: zoho.ClientCredentials}, "own": {GrantType: zoho.ClientCredentials, Scopes: own}},
	}}
	for account, says := range map[string]string{
		"default": "`scopes ZohoCRM.modules.ALL` in the block of `client main`",
		"east":    "`scopes ZohoCRM.modules.ALL` in the block of `client main`",
		"own":     "`scopes ZohoCRM.org.READ` in the block of `account own`",
	} {
		if got := c.Explain(cause.ScopeRefused, account).Do; !strings.Contains(got, says) {
			t.Errorf("%s: %q without %q", account, got, says)
		}
		_, block, _ := strings.Cut(says, " in the ")
		if got := c.Consent(account); !strings.Contains(got, block) {
			t.Errorf("%s: %q without %q", account, got, block)
		}
	}
}
