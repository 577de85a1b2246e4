package client

import (
	"maps"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// clientBlock is a client while it is being parsed.
type clientBlock struct {
	*Config
	lines syntax.Lines // of accounts and client secrets, by their names as well
}

// Parse parses the block of a client with that name.
func Parse(l *syntax.Line, name string) (*Config, error) {
	if err := checkName(name); err != nil {
		return nil, l.Errorf("%w", err)
	}
	if !l.HasBlock() {
		return nil, l.Errorf("client %s needs a block with options: write `client %s {`, "+
			"then each option on its own line, then `}`", name, name)
	}
	c := &clientBlock{Config: new(Config), lines: make(syntax.Lines)}
	seen, err := syntax.ReadBlock(l.Rest, c, func(l *syntax.Line) (syntax.Option[clientBlock], error) {
		return lookupClient(l, name)
	})
	if err != nil {
		return nil, err
	}
	for _, required := range []string{"data_center", "client_id", "client_secret"} {
		if seen[required] == nil {
			return nil, l.Errorf("client %s has no %s: add `%s %s`", name, required, required, Options[required].Usage)
		}
	}
	maps.Copy(seen, c.lines)
	return c.Config, c.check(seen)
}

// Options are those of a client's block.
var Options = map[string]syntax.Option[clientBlock]{
	"data_center": {
		Usage: "<code...> | <accounts_url> <api_url>", Min: 1, Max: -1,
		Parse: (*clientBlock).parseDataCenter,
	},
	"client_id": {
		Usage: "<secret>", Min: 1, Max: 2,
		Parse: oneSecret(func(c *clientBlock) *secret.Ref { return &c.ClientID }),
	},
	"client_secret": {
		Usage: "[<code>] <secret...>", Min: 1, Max: -1, Repeat: true,
		Parse: (*clientBlock).parseClientSecret,
	},
	"refresh_token": {
		Usage: "<secret>", Min: 1, Max: 2,
		Parse: oneSecret(func(c *clientBlock) *secret.Ref { return &c.RefreshToken }),
	},
	"grant_type": {Usage: "client_credentials", Min: 1, Max: 1, Parse: word(func(c *clientBlock) *string { return &c.GrantType })},
	"soid":       {Usage: "<service.org>", Min: 1, Max: 1, Parse: word(func(c *clientBlock) *string { return &c.SOID })},
	"account": {
		Usage: "<name> { … }", Min: 1, Max: 1, Block: true, Repeat: true,
		Parse: (*clientBlock).parseAccount,
	},
	"scopes": {
		Usage: "<scope...>", Max: -1, Block: true, Repeat: true,
		Parse: scopes(func(c *clientBlock) *[]string { return &c.Scopes }),
	},
	"display_name":         {Usage: "<text>", Min: 1, Max: -1, Parse: (*clientBlock).parseDisplayName},
	"client_type":          {Usage: "org", Min: 1, Max: 1, Parse: (*clientBlock).parseClientType},
	"redirect_uri":         {Usage: "<url>", Min: 1, Max: 1, Parse: (*clientBlock).parseRedirectURI},
	"authorization_scheme": {Usage: "<scheme>", Min: 1, Max: 1, Parse: (*clientBlock).parseAuthorizationScheme},
	"refresh_before":       {Usage: "<duration>", Min: 1, Max: 1, Parse: (*clientBlock).parseRefreshBefore},
	"keep_warm":            {Usage: "<duration>", Min: 1, Max: 1, Parse: (*clientBlock).parseKeepWarm},
	"token_wait":           {Usage: "<duration>", Min: 1, Max: 1, Parse: (*clientBlock).parseTokenWait},
	"token_budget":         {Usage: "<number> <duration>", Min: 2, Max: 2, Parse: (*clientBlock).parseTokenBudget},
	"trusted_ca":           {Usage: "<file>", Min: 1, Max: 1, Parse: (*clientBlock).parseTrustedCA},
	"network_proxy":        {Usage: "<url>", Min: 1, Max: 1, Parse: (*clientBlock).parseNetworkProxy},
	"simulator":            {Usage: "<address> <ca_file>", Min: 2, Max: 2, Parse: (*clientBlock).parseSimulator},
}

func lookupClient(l *syntax.Line, name string) (syntax.Option[clientBlock], error) {
	o, ok := Options[l.Word]
	if ok {
		return o, nil
	}
	switch syntax.PlaceOf(l.Word) {
	case syntax.PlaceGlobal:
		return o, l.Errorf("%s belongs to the global option zoho: put it before `client %s {` "+
			"or after its closing brace", l.Word, name)
	case syntax.PlaceProxy:
		return o, l.Errorf("%s belongs to the directive zoho_proxy, in a site", l.Word)
	}
	return o, syntax.Unknown(l, "client "+name, syntax.Available(Options))
}

func (c *clientBlock) parseDataCenter(l *syntax.Line) error {
	if err := syntax.NoPlaceholder(l, l.Args...); err != nil {
		return err
	}
	c.DataCenter = centerCodes(l.Args)
	return c.checkDataCenter(syntax.Lines{l.Word: l}) // before what is missing is told
}

func (c *clientBlock) parseClientSecret(l *syntax.Line) error {
	code, args := "", l.Args
	if center, ok := zoho.LookupDataCenter(zoho.NormalCode(args[0])); ok {
		code, args = center.Code, args[1:]
	} else if len(args) > 1 && args[0] != "" && !beginsSecret(args[0]) && beginsSecret(args[1]) {
		return l.Errorf("client_secret: the word before the secret is not a data center code; the codes are %s",
			strings.Join(zoho.DataCenterCodes(), " "))
	}
	if len(args) == 0 {
		return l.Errorf("client_secret %s has no secret: write `client_secret %s {env.NAME}`", code, code)
	}
	option := strings.TrimSpace("client_secret " + code)
	if first := c.lines[option]; first != nil {
		return l.Errorf("%s is given twice, first at %s; write several secrets on one line, they are tried in order",
			option, first.Where())
	}
	c.lines[option] = l
	secrets, err := ParseSecrets(l, args)
	if err != nil {
		return err
	}
	if code == "" {
		c.ClientSecret = secrets
		return nil
	}
	if c.DataCenterSecret == nil {
		c.DataCenterSecret = make(map[string][]secret.Ref)
	}
	c.DataCenterSecret[code] = secrets
	return nil
}

// beginsSecret reports whether a word stands at the beginning of a secret.
func beginsSecret(word string) bool { return word == literalWord || strings.HasPrefix(word, "{") }

// AccountOptions are those of an account's block.
var AccountOptions = map[string]syntax.Option[Account]{
	"data_center": {Usage: "<code>", Min: 1, Max: 1, Parse: (*Account).parseDataCenter},
	"refresh_token": {
		Usage: "<secret>", Min: 1, Max: 2,
		Parse: oneSecret(func(a *Account) *secret.Ref { return &a.RefreshToken }),
	},
	"grant_type": {Usage: "client_credentials", Min: 1, Max: 1, Parse: word(func(a *Account) *string { return &a.GrantType })},
	"soid":       {Usage: "<service.org>", Min: 1, Max: 1, Parse: word(func(a *Account) *string { return &a.SOID })},
	"scopes": {
		Usage: "<scope...>", Max: -1, Block: true, Repeat: true,
		Parse: scopes(func(a *Account) *[]string { return &a.Scopes }),
	},
}

// word parses an option that takes one word.
func word[T any](field func(*T) *string) func(*T, *syntax.Line) error {
	return func(target *T, l *syntax.Line) error {
		*field(target) = l.Args[0]
		return syntax.NoPlaceholder(l, l.Args...)
	}
}

func (c *clientBlock) parseAccount(l *syntax.Line) error {
	name := l.Args[0]
	option := "account " + name
	if first := c.lines[option]; first != nil {
		return l.Errorf("account %s is given twice, first at %s", name, first.Where())
	}
	account := new(Account)
	seen, err := syntax.ReadBlock(l.Rest, account, func(l *syntax.Line) (syntax.Option[Account], error) {
		o, ok := AccountOptions[l.Word]
		if ok {
			return o, nil
		}
		return o, syntax.Unknown(l, option, syntax.Available(AccountOptions))
	})
	if err != nil {
		return err
	}
	if c.Accounts == nil {
		c.Accounts = make(map[string]*Account)
	}
	c.Accounts[name], c.lines[option] = account, l
	for word, line := range seen {
		c.lines[option+" "+word] = line
	}
	return nil
}

func (a *Account) parseDataCenter(l *syntax.Line) error {
	if strings.Contains(l.Args[0], "://") {
		return l.Errorf("data_center of an account takes a code such as eu; only the client's takes URLs")
	}
	if err := syntax.NoPlaceholder(l, l.Args[0]); err != nil {
		return err
	}
	a.DataCenter = zoho.NormalCode(l.Args[0])
	return nil
}

// scopes parses scopes as Zoho prints them: with blanks or commas between, over
// several lines (in a block, in quotes, or by repeating the option).
func scopes[T any](field func(*T) *[]string) func(*T, *syntax.Line) error {
	return func(target *T, l *syntax.Line) error {
		listed := l.Args
		for l.Rest.NextBlock(0) {
			listed = append(listed, l.Rest.Val())
		}
		if err := syntax.NoPlaceholder(l, listed...); err != nil {
			return err
		}
		named := zoho.SplitScopes(strings.Join(listed, " "))
		if len(named) == 0 {
			return l.Errorf("scopes lists none: write them as Zoho prints them, " +
				"as in `scopes ZohoCRM.modules.ALL ZohoBooks.invoices.READ`")
		}
		*field(target) = append(*field(target), named...)
		return nil
	}
}

func (c *clientBlock) parseClientType(l *syntax.Line) error {
	c.ClientType = strings.ToLower(l.Args[0])
	return syntax.NoPlaceholder(l, l.Args[0])
}

func (c *clientBlock) parseDisplayName(l *syntax.Line) error {
	c.DisplayName = strings.Join(l.Args, " ")
	return syntax.NoPlaceholder(l, l.Args...)
}

func (c *clientBlock) parseRedirectURI(l *syntax.Line) error {
	if err := syntax.NoPlaceholder(l, l.Args...); err != nil {
		return err
	}
	c.RedirectURI = l.Args[0]
	return nil
}

func (c *clientBlock) parseAuthorizationScheme(l *syntax.Line) error {
	c.AuthorizationScheme = l.Args[0]
	return nil
}

func (c *clientBlock) parseRefreshBefore(l *syntax.Line) error {
	d, err := syntax.ParseDuration(l, l.Args[0])
	c.RefreshBefore = caddy.Duration(d)
	return err
}

func (c *clientBlock) parseKeepWarm(l *syntax.Line) error {
	d, err := syntax.ParseDuration(l, l.Args[0])
	warm := caddy.Duration(d)
	c.KeepWarm = &warm
	return err
}

func (c *clientBlock) parseTokenWait(l *syntax.Line) error {
	d, err := syntax.ParseDuration(l, l.Args[0])
	wait := caddy.Duration(d)
	c.TokenWait = &wait
	return err
}

func (c *clientBlock) parseTokenBudget(l *syntax.Line) error {
	n, err := strconv.Atoi(l.Args[0])
	if err != nil {
		return l.Errorf(badTokens, syntax.Show("the first argument", l.Args[0]))
	}
	window, err := syntax.ParseDuration(l, l.Args[1])
	c.TokenBudget = &TokenBudget{Tokens: n, Window: caddy.Duration(window)}
	return err
}

func (c *clientBlock) parseTrustedCA(l *syntax.Line) error {
	c.TrustedCA = l.Args[0]
	return syntax.NoPlaceholder(l, l.Args...)
}

func (c *clientBlock) parseNetworkProxy(l *syntax.Line) error {
	c.NetworkProxy = l.Args[0]
	return nil
}

func (c *clientBlock) parseSimulator(l *syntax.Line) error {
	if err := syntax.NoPlaceholder(l, l.Args...); err != nil {
		return err
	}
	c.Simulator = &egress.Simulator{Address: l.Args[0], CA: l.Args[1]}
	return nil
}
