package caddyzoho

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
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// clientName has no @ in front, where zoho_proxy would take it for a matcher.
var clientName = regexp.MustCompile(`^[A-Za-z0-9._-][A-Za-z0-9._@-]{0,127}$`)

// clientBlock is a client while it is being parsed.
type clientBlock struct {
	*Client
	accountLines map[string]*line // by account
	secretLines  map[string]*line // of client_secret, by code
}

func (a *App) parseClient(l *line) error {
	name := l.args[0]
	if !clientName.MatchString(name) {
		return l.errorf("%s: 1 to 128 of letters, digits and ._@- are allowed, @ not at the beginning", show("client name", name))
	}
	if first := a.Clients[name]; first != nil {
		return l.errorf("client %s is given twice, first at %s", name, first.DefinedAt)
	}
	if !l.hasBlock() {
		return l.errorf("client %s needs a block with options: write `client %s {`, then its options on lines of their own, then `}`", name, name)
	}
	c := &clientBlock{Client: &Client{DefinedAt: l.where()}, accountLines: make(map[string]*line), secretLines: make(map[string]*line)}
	seen, err := readBlock(l.d, c, func(l *line) (option[clientBlock], error) { return lookupClient(l, name) })
	if err != nil {
		return err
	}
	for _, required := range []string{"data_center", "client_id", "client_secret"} {
		if seen[required] == nil {
			return l.errorf("client %s has no %s: add `%s %s`", name, required, required, clientOptions[required].usage)
		}
	}
	if err := c.conflicts(seen); err != nil {
		return err
	}
	if a.Clients == nil {
		a.Clients = make(map[string]*Client)
	}
	a.Clients[name] = c.Client
	return nil
}

var clientOptions map[string]option[clientBlock]

func init() {
	clientOptions = map[string]option[clientBlock]{
		"data_center":          {usage: "<code...> | <accounts_url> <api_url>", min: 1, max: -1, parse: (*clientBlock).parseDataCenter},
		"client_id":            {usage: "<secret>", min: 1, max: 2, parse: oneSecret(func(c *clientBlock) *secret.Ref { return &c.ClientID })},
		"client_secret":        {usage: "[<code>] <secret...>", min: 1, max: -1, repeat: true, parse: (*clientBlock).parseClientSecret},
		"refresh_token":        {usage: "<secret>", min: 1, max: 2, parse: oneSecret(func(c *clientBlock) *secret.Ref { return &c.RefreshToken })},
		"account":              {usage: "<name> { … }", min: 1, max: 1, block: true, repeat: true, parse: (*clientBlock).parseAccount},
		"scopes":               {usage: "<scope...>", max: -1, block: true, repeat: true, parse: (*clientBlock).parseScopes},
		"redirect_uri":         {usage: "<url>", min: 1, max: 1, parse: (*clientBlock).parseRedirectURI},
		"authorization_scheme": {usage: "<scheme>", min: 1, max: 1, parse: (*clientBlock).parseAuthorizationScheme},
		"refresh_before":       {usage: "<duration>", min: 1, max: 1, parse: (*clientBlock).parseRefreshBefore},
		"keep_warm":            {usage: "<duration>", min: 1, max: 1, parse: (*clientBlock).parseKeepWarm},
		"token_budget":         {usage: "<number> <duration>", min: 2, max: 2, parse: (*clientBlock).parseTokenBudget},
		"trusted_ca":           {usage: "<file>", min: 1, max: 1, parse: (*clientBlock).parseTrustedCA},
		"network_proxy":        {usage: "<url>", min: 1, max: 1, parse: (*clientBlock).parseNetworkProxy},
		"simulator":            {usage: "<address> <ca_file>", min: 2, max: 2, parse: (*clientBlock).parseSimulator},
		"resolvers":            {max: -1, parse: notAvailable[clientBlock]("Zoho's hosts are looked up as this machine does")},
	}
}

func lookupClient(l *line, name string) (option[clientBlock], error) {
	o, ok := clientOptions[l.word]
	if ok {
		return o, nil
	}
	if _, ok := globalOptions[l.word]; ok {
		return o, l.errorf("%s belongs to the global option zoho: put it before `client %s {` or after its closing brace", l.word, name)
	}
	if _, ok := proxyOptions[l.word]; ok {
		return o, l.errorf("%s belongs to the directive zoho_proxy, in a site", l.word)
	}
	return o, unknownOption(l, "client "+name, available(clientOptions))
}

// conflicts finds options that exclude each other, whatever their order.
func (c *clientBlock) conflicts(seen map[string]*line) error {
	custom := strings.Contains(c.DataCenter[0], "://")
	if l := c.accountLines[defaultAccount]; l != nil && c.RefreshToken.IsSet() {
		return l.errorf("account default is given twice: the client's own refresh_token at %s is that account's", seen["refresh_token"].where())
	}
	if l := seen["simulator"]; l != nil {
		if ca := seen["trusted_ca"]; ca != nil {
			return l.errorf("simulator and trusted_ca (at %s) exclude each other: the simulator's CA is its second argument", ca.where())
		}
		if custom {
			return l.errorf("simulator stands in for Zoho's host names, and data_center at %s gives URLs instead: leave one of them out", seen["data_center"].where())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		if custom && c.Accounts[name].DataCenter != "" {
			return c.accountLines[name].errorf("account %s: data_center: this client's data center is given by URLs, at %s, and is that of all its accounts", name, seen["data_center"].where())
		}
	}
	for _, code := range slices.Sorted(maps.Keys(c.DataCenterSecret)) {
		if custom {
			return c.secretLines[code].errorf("client_secret %s: this client's data center is given by URLs, at %s: leave the code out", code, seen["data_center"].where())
		}
	}
	for _, code := range c.DataCenter {
		if len(c.ClientSecret) == 0 && len(c.DataCenterSecret[code]) == 0 {
			return seen["data_center"].errorf("there is no client_secret for the data center %s: add `client_secret %s <secret>`, or one without a code for all", code, code)
		}
	}
	return nil
}

func (c *clientBlock) parseDataCenter(l *line) error {
	if err := noPlaceholder(l, l.args...); err != nil {
		return err
	}
	args := centerCodes(l.args)
	if _, err := parseDataCenters(args); err != nil {
		return l.errorf("%w", err)
	}
	c.DataCenter = args
	return nil
}

var accountOptions = map[string]option[Account]{
	"data_center":   {usage: "<code>", min: 1, max: 1, parse: (*Account).parseDataCenter},
	"refresh_token": {usage: "<secret>", min: 1, max: 2, parse: oneSecret(func(a *Account) *secret.Ref { return &a.RefreshToken })},
}

func (c *clientBlock) parseAccount(l *line) error {
	name := l.args[0]
	if !onboard.AccountName.MatchString(name) {
		return l.errorf("%s: 1 to 128 of letters, digits and ._@- are allowed", show("account name", name))
	}
	if first := c.accountLines[name]; first != nil {
		return l.errorf("account %s is given twice, first at %s", name, first.where())
	}
	account := new(Account)
	_, err := readBlock(l.d, account, func(l *line) (option[Account], error) {
		o, ok := accountOptions[l.word]
		if ok {
			return o, nil
		}
		return o, unknownOption(l, "account "+name, available(accountOptions))
	})
	if err != nil {
		return err
	}
	if !account.RefreshToken.IsSet() {
		return l.errorf("account %s has no refresh_token: add `refresh_token {env.NAME}` to its block; accounts that give consent later are not listed here", name)
	}
	if c.Accounts == nil {
		c.Accounts = make(map[string]*Account)
	}
	c.Accounts[name], c.accountLines[name] = account, l
	return nil
}

func (a *Account) parseDataCenter(l *line) error {
	if strings.Contains(l.args[0], "://") {
		return l.errorf("data_center of an account takes a code such as eu; URLs are the client's")
	}
	if err := noPlaceholder(l, l.args[0]); err != nil {
		return err
	}
	code := centerCode(l.args[0])
	if _, ok := zoho.LookupDataCenter(code); !ok {
		return l.errorf("data_center: %w", zoho.UnknownDataCenter(code))
	}
	a.DataCenter = code
	return nil
}

// parseScopes takes scopes as Zoho prints them: with blanks or commas between, over
// several lines (in a block, in quotes, or by repeating the option).
func (c *clientBlock) parseScopes(l *line) error {
	listed := l.args
	for l.d.NextBlock(0) {
		listed = append(listed, l.d.Val())
	}
	if err := noPlaceholder(l, listed...); err != nil {
		return err
	}
	scopes := zoho.SplitScopes(strings.Join(listed, " "))
	if len(scopes) == 0 {
		return l.errorf("scopes names none: write them as Zoho prints them, as in `scopes ZohoCRM.modules.ALL ZohoBooks.invoices.READ`")
	}
	c.Scopes = append(c.Scopes, scopes...)
	return nil
}

func (c *clientBlock) parseRedirectURI(l *line) error {
	if err := noPlaceholder(l, l.args...); err != nil {
		return err
	}
	u, err := url.Parse(l.args[0])
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return l.errorf("redirect_uri: %s is no URL that begins with https://: give it as it is registered in Zoho's API console", show("the value", l.args[0]))
	case u.Fragment != "" || u.User != nil:
		return l.errorf("redirect_uri holds a user name or a fragment: give it as it is registered in Zoho's API console")
	case u.Scheme == "http" && !onboard.IsLoopback(u.Hostname()):
		return l.errorf("redirect_uri: plain http is for localhost and loopback addresses only, since the authorization code travels by it: use https")
	}
	c.RedirectURI = l.args[0]
	return nil
}

// schemeShape is a token of RFC 9110.
var schemeShape = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")

func (c *clientBlock) parseAuthorizationScheme(l *line) error {
	if !schemeShape.MatchString(l.args[0]) {
		return l.errorf("authorization_scheme takes one word such as Zoho-oauthtoken or Bearer")
	}
	c.AuthorizationScheme = l.args[0]
	return nil
}

func (c *clientBlock) parseRefreshBefore(l *line) error {
	d, err := parseDuration(l, l.args[0])
	if err == nil && d <= 0 {
		err = l.errorf("refresh_before must be more than 0: a token renewed only after its end makes apps wait")
	}
	c.RefreshBefore = caddy.Duration(d)
	return err
}

func (c *clientBlock) parseKeepWarm(l *line) error {
	d, err := parseDuration(l, l.args[0])
	if err == nil && d < 0 {
		err = l.errorf("keep_warm must not be negative; 0 turns it off")
	}
	warm := caddy.Duration(d)
	c.KeepWarm = &warm
	return err
}

func (c *clientBlock) parseTokenBudget(l *line) error {
	n, err := strconv.Atoi(l.args[0])
	if err != nil || n < 1 {
		return l.errorf("token_budget: %s must be a number of at least 1, as in `token_budget 10 10m`", show("the first argument", l.args[0]))
	}
	window, err := parseDuration(l, l.args[1])
	if err == nil && window <= 0 {
		err = l.errorf("token_budget: the duration must be more than 0, as in `token_budget 10 10m`")
	}
	c.TokenBudget = &TokenBudget{Tokens: n, Window: caddy.Duration(window)}
	return err
}

func (c *clientBlock) parseTrustedCA(l *line) error {
	c.TrustedCA = l.args[0]
	if c.TrustedCA == "" {
		return l.errorf("trusted_ca names no file: leave it out to trust what this machine trusts")
	}
	return noPlaceholder(l, l.args...)
}

// ParseProxy never shows the URL: it may hold a password.
func (c *clientBlock) parseNetworkProxy(l *line) error {
	if _, err := egress.ParseProxy(l.args[0]); err != nil {
		return l.errorf("%w", err)
	}
	c.NetworkProxy = l.args[0]
	return nil
}

func (c *clientBlock) parseSimulator(l *line) error {
	if err := noPlaceholder(l, l.args...); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(l.args[0])
	if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || host == "" {
		return l.errorf("simulator: %s must be host:port, as in `simulator 127.0.0.1:9443 ca.pem`", show("the address", l.args[0]))
	}
	if l.args[1] == "" {
		return l.errorf("simulator: the file of its certificate authority is missing: write `simulator %s <ca_file>`", l.args[0])
	}
	c.Simulator = &egress.Simulator{Address: l.args[0], CA: l.args[1]}
	return nil
}
