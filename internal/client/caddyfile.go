package client

import (
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// clientName has no @ in front, where zoho_proxy would take it for a matcher.
var clientName = regexp.MustCompile(`^[A-Za-z0-9._-][A-Za-z0-9._@-]{0,127}$`)

// clientBlock is a client while it is being parsed.
type clientBlock struct {
	*Config
	accountLines map[string]*syntax.Line // by account
	secretLines  map[string]*syntax.Line // of client_secret, by code
}

// Parse parses the block of a client with that name.
func Parse(l *syntax.Line, name string) (*Config, error) {
	if !clientName.MatchString(name) {
		return nil, l.Errorf("%s: 1 to 128 of letters, digits and ._@- are allowed, @ not at the beginning",
			syntax.Show("client name", name))
	}
	if !l.HasBlock() {
		return nil, l.Errorf("client %s needs a block with options: write `client %s {`, "+
			"then its options on lines of their own, then `}`", name, name)
	}
	c := &clientBlock{
		Config:       new(Config),
		accountLines: make(map[string]*syntax.Line),
		secretLines:  make(map[string]*syntax.Line),
	}
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
	return c.Config, c.conflicts(seen)
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
	"account": {
		Usage: "<name> { … }", Min: 1, Max: 1, Block: true, Repeat: true,
		Parse: (*clientBlock).parseAccount,
	},
	"scopes": {
		Usage: "<scope...>", Max: -1, Block: true, Repeat: true,
		Parse: (*clientBlock).parseScopes,
	},
	"redirect_uri":         {Usage: "<url>", Min: 1, Max: 1, Parse: (*clientBlock).parseRedirectURI},
	"authorization_scheme": {Usage: "<scheme>", Min: 1, Max: 1, Parse: (*clientBlock).parseAuthorizationScheme},
	"refresh_before":       {Usage: "<duration>", Min: 1, Max: 1, Parse: (*clientBlock).parseRefreshBefore},
	"keep_warm":            {Usage: "<duration>", Min: 1, Max: 1, Parse: (*clientBlock).parseKeepWarm},
	"token_budget":         {Usage: "<number> <duration>", Min: 2, Max: 2, Parse: (*clientBlock).parseTokenBudget},
	"trusted_ca":           {Usage: "<file>", Min: 1, Max: 1, Parse: (*clientBlock).parseTrustedCA},
	"network_proxy":        {Usage: "<url>", Min: 1, Max: 1, Parse: (*clientBlock).parseNetworkProxy},
	"simulator":            {Usage: "<address> <ca_file>", Min: 2, Max: 2, Parse: (*clientBlock).parseSimulator},
	"resolvers": {
		Max:   -1,
		Parse: syntax.NotAvailable[clientBlock]("Zoho's hosts are looked up as this machine does"),
	},
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

// conflicts finds options that exclude each other, whatever their order.
func (c *clientBlock) conflicts(seen map[string]*syntax.Line) error {
	custom := strings.Contains(c.DataCenter[0], "://")
	if l := c.accountLines[onboard.DefaultAccount]; l != nil && c.RefreshToken.IsSet() {
		return l.Errorf("account default is given twice: the client's own refresh_token at %s is that account's",
			seen["refresh_token"].Where())
	}
	if l := seen["simulator"]; l != nil {
		if ca := seen["trusted_ca"]; ca != nil {
			return l.Errorf("simulator and trusted_ca (at %s) exclude each other: "+
				"the simulator's CA is its second argument", ca.Where())
		}
		if custom {
			return l.Errorf("simulator stands in for Zoho's host names, and data_center at %s gives URLs instead: "+
				"leave one of them out", seen["data_center"].Where())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		if custom && c.Accounts[name].DataCenter != "" {
			return c.accountLines[name].Errorf("account %s: data_center: this client's data center "+
				"is given by URLs, at %s, and is that of all its accounts", name, seen["data_center"].Where())
		}
	}
	for _, code := range slices.Sorted(maps.Keys(c.DataCenterSecret)) {
		if custom {
			return c.secretLines[code].Errorf("client_secret %s: this client's data center is given by URLs, at %s: "+
				"leave the code out", code, seen["data_center"].Where())
		}
	}
	for _, code := range c.DataCenter {
		if len(c.ClientSecret) == 0 && len(c.DataCenterSecret[code]) == 0 {
			return seen["data_center"].Errorf("there is no client_secret for the data center %s: "+
				"add `client_secret %s <secret>`, or one without a code for all", code, code)
		}
	}
	return nil
}

func (c *clientBlock) parseDataCenter(l *syntax.Line) error {
	if err := syntax.NoPlaceholder(l, l.Args...); err != nil {
		return err
	}
	args := centerCodes(l.Args)
	if _, err := parseDataCenters(args); err != nil {
		return l.Errorf("%w", err)
	}
	c.DataCenter = args
	return nil
}

func (c *clientBlock) parseClientSecret(l *syntax.Line) error {
	code, args := "", l.Args
	if center, ok := zoho.LookupDataCenter(zoho.NormalCode(args[0])); ok {
		code, args = center.Code, args[1:]
	} else if len(args) > 1 && args[0] != "" && !beginsSecret(args[0]) && beginsSecret(args[1]) {
		return l.Errorf("client_secret: what stands before the secret is no data center code; known are %s",
			strings.Join(dataCenterCodes(), " "))
	}
	if len(args) == 0 {
		return l.Errorf("client_secret %s has no secret: write `client_secret %s {env.NAME}`", code, code)
	}
	if first := c.secretLines[code]; first != nil {
		return l.Errorf("%s is given twice, first at %s; several secrets stand on one line and are tried in order",
			strings.TrimSpace("client_secret "+code), first.Where())
	}
	c.secretLines[code] = l
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

func dataCenterCodes() []string {
	var codes []string
	for _, center := range zoho.DataCenters() {
		codes = append(codes, center.Code)
	}
	return codes
}

// AccountOptions are those of an account's block.
var AccountOptions = map[string]syntax.Option[Account]{
	"data_center": {Usage: "<code>", Min: 1, Max: 1, Parse: (*Account).parseDataCenter},
	"refresh_token": {
		Usage: "<secret>", Min: 1, Max: 2,
		Parse: oneSecret(func(a *Account) *secret.Ref { return &a.RefreshToken }),
	},
}

func (c *clientBlock) parseAccount(l *syntax.Line) error {
	name := l.Args[0]
	if !onboard.AccountName.MatchString(name) {
		return l.Errorf("%s: 1 to 128 of letters, digits and ._@- are allowed", syntax.Show("account name", name))
	}
	if first := c.accountLines[name]; first != nil {
		return l.Errorf("account %s is given twice, first at %s", name, first.Where())
	}
	account := new(Account)
	_, err := syntax.ReadBlock(l.Rest, account, func(l *syntax.Line) (syntax.Option[Account], error) {
		o, ok := AccountOptions[l.Word]
		if ok {
			return o, nil
		}
		return o, syntax.Unknown(l, "account "+name, syntax.Available(AccountOptions))
	})
	if err != nil {
		return err
	}
	if !account.RefreshToken.IsSet() {
		return l.Errorf("account %s has no refresh_token: add `refresh_token {env.NAME}` to its block; "+
			"accounts that give consent later are not listed here", name)
	}
	if c.Accounts == nil {
		c.Accounts = make(map[string]*Account)
	}
	c.Accounts[name], c.accountLines[name] = account, l
	return nil
}

func (a *Account) parseDataCenter(l *syntax.Line) error {
	if strings.Contains(l.Args[0], "://") {
		return l.Errorf("data_center of an account takes a code such as eu; URLs are the client's")
	}
	if err := syntax.NoPlaceholder(l, l.Args[0]); err != nil {
		return err
	}
	code := zoho.NormalCode(l.Args[0])
	if _, ok := zoho.LookupDataCenter(code); !ok {
		return l.Errorf("data_center: %w", zoho.UnknownDataCenter(code))
	}
	a.DataCenter = code
	return nil
}

// parseScopes takes scopes as Zoho prints them: with blanks or commas between, over
// several lines (in a block, in quotes, or by repeating the option).
func (c *clientBlock) parseScopes(l *syntax.Line) error {
	listed := l.Args
	for l.Rest.NextBlock(0) {
		listed = append(listed, l.Rest.Val())
	}
	if err := syntax.NoPlaceholder(l, listed...); err != nil {
		return err
	}
	scopes := zoho.SplitScopes(strings.Join(listed, " "))
	if len(scopes) == 0 {
		return l.Errorf("scopes names none: write them as Zoho prints them, " +
			"as in `scopes ZohoCRM.modules.ALL ZohoBooks.invoices.READ`")
	}
	c.Scopes = append(c.Scopes, scopes...)
	return nil
}

func (c *clientBlock) parseRedirectURI(l *syntax.Line) error {
	if err := syntax.NoPlaceholder(l, l.Args...); err != nil {
		return err
	}
	u, err := url.Parse(l.Args[0])
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return l.Errorf("redirect_uri: %s is no URL that begins with https://: "+
			"give it as it is registered in Zoho's API console", syntax.Show("the value", l.Args[0]))
	case u.Fragment != "" || u.User != nil:
		return l.Errorf("redirect_uri holds a user name or a fragment: " +
			"give it as it is registered in Zoho's API console")
	case u.Scheme == "http" && !onboard.IsLoopback(u.Hostname()):
		return l.Errorf("redirect_uri: plain http is for localhost and loopback addresses only, " +
			"since the authorization code travels by it: use https")
	}
	c.RedirectURI = l.Args[0]
	return nil
}

// schemeShape is a token of RFC 9110.
var schemeShape = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")

func (c *clientBlock) parseAuthorizationScheme(l *syntax.Line) error {
	if !schemeShape.MatchString(l.Args[0]) {
		return l.Errorf("authorization_scheme takes one word such as Zoho-oauthtoken or Bearer")
	}
	c.AuthorizationScheme = l.Args[0]
	return nil
}

func (c *clientBlock) parseRefreshBefore(l *syntax.Line) error {
	d, err := syntax.ParseDuration(l, l.Args[0])
	if err == nil && d <= 0 {
		err = l.Errorf("refresh_before must be more than 0: a token renewed only after its end makes apps wait")
	}
	c.RefreshBefore = caddy.Duration(d)
	return err
}

func (c *clientBlock) parseKeepWarm(l *syntax.Line) error {
	d, err := syntax.ParseDuration(l, l.Args[0])
	if err == nil && d < 0 {
		err = l.Errorf("keep_warm must not be negative; 0 turns it off")
	}
	warm := caddy.Duration(d)
	c.KeepWarm = &warm
	return err
}

func (c *clientBlock) parseTokenBudget(l *syntax.Line) error {
	n, err := strconv.Atoi(l.Args[0])
	if err != nil || n < 1 {
		return l.Errorf("token_budget: %s must be a number of at least 1, as in `token_budget 10 10m`",
			syntax.Show("the first argument", l.Args[0]))
	}
	window, err := syntax.ParseDuration(l, l.Args[1])
	if err == nil && window <= 0 {
		err = l.Errorf("token_budget: the duration must be more than 0, as in `token_budget 10 10m`")
	}
	c.TokenBudget = &TokenBudget{Tokens: n, Window: caddy.Duration(window)}
	return err
}

func (c *clientBlock) parseTrustedCA(l *syntax.Line) error {
	c.TrustedCA = l.Args[0]
	if c.TrustedCA == "" {
		return l.Errorf("trusted_ca names no file: leave it out to trust what this machine trusts")
	}
	return syntax.NoPlaceholder(l, l.Args...)
}

// ParseProxy never shows the URL: it may hold a password.
func (c *clientBlock) parseNetworkProxy(l *syntax.Line) error {
	if _, err := egress.ParseProxy(l.Args[0]); err != nil {
		return l.Errorf("%w", err)
	}
	c.NetworkProxy = l.Args[0]
	return nil
}

func (c *clientBlock) parseSimulator(l *syntax.Line) error {
	if err := syntax.NoPlaceholder(l, l.Args...); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(l.Args[0])
	if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || host == "" {
		return l.Errorf("simulator: %s must be host:port, as in `simulator 127.0.0.1:9443 ca.pem`",
			syntax.Show("the address", l.Args[0]))
	}
	if l.Args[1] == "" {
		return l.Errorf("simulator: the file of its certificate authority is missing: write `simulator %s <ca_file>`",
			l.Args[0])
	}
	c.Simulator = &egress.Simulator{Address: l.Args[0], CA: l.Args[1]}
	return nil
}
