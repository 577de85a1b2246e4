package client

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-zoho/caddy-zoho/internal/egress"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// clientName has no @ in front, where zoho_proxy would take it for a matcher.
var clientName = regexp.MustCompile(`^[A-Za-z0-9._-][A-Za-z0-9._@-]{0,127}$`)

// checkName says what is wrong with a client's name.
func checkName(name string) error {
	if clientName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%s: "+words.NameRule+", @ not at the beginning", syntax.Show("client name", name))
}

// check says what is wrong with what is configured, as far as that can be told without
// looking at the environment. Lines are where the options stand; JSON has none.
func (c *Config) check(lines syntax.Lines) error {
	for _, step := range []func(syntax.Lines) error{
		c.checkDataCenter, c.checkDisplayName, c.checkConsent, c.checkOrganization, c.checkTimes, c.checkNetwork, c.checkSecrets, c.checkOwnGrant, c.checkAccounts,
	} {
		if err := step(lines); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) custom() bool { return givenByURLs(c.DataCenter) }

func (c *Config) checkDataCenter(lines syntax.Lines) error {
	if _, err := parseDataCenters(c.DataCenter); err != nil {
		return lines.Errorf("data_center", "%w", err)
	}
	return nil
}

func (c *Config) checkDisplayName(lines syntax.Lines) error {
	if c.DisplayName == "" && lines["display_name"] == nil {
		return nil
	}
	strange := func(r rune) bool { return !unicode.IsPrint(r) }
	if strings.TrimSpace(c.DisplayName) == "" || utf8.RuneCountInString(c.DisplayName) > 100 ||
		strings.ContainsFunc(c.DisplayName, strange) {
		return lines.Errorf("display_name", "display_name takes 1 to 100 printable characters, as in `display_name \"Acme Sync\"`")
	}
	return nil
}

// schemeShape is a token of RFC 9110.
var schemeShape = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")

func (c *Config) checkConsent(lines syntax.Lines) error {
	if s := c.AuthorizationScheme; (s != "" || lines["authorization_scheme"] != nil) && !schemeShape.MatchString(s) {
		return lines.Errorf("authorization_scheme",
			"authorization_scheme takes one word such as Zoho-oauthtoken or Bearer")
	}
	if c.RedirectURI == "" && lines["redirect_uri"] == nil {
		return nil
	}
	u, err := url.Parse(c.RedirectURI)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return lines.Errorf("redirect_uri", "redirect_uri: %s is not a URL that begins with https://: "+
			"write it as it is registered in Zoho's API console", syntax.Show("the value", c.RedirectURI))
	case u.Fragment != "" || u.User != nil:
		return lines.Errorf("redirect_uri", "redirect_uri has a user name or a fragment: "+
			"write it as it is registered in Zoho's API console")
	case u.Scheme == "http" && !onboard.IsLoopback(u.Hostname()):
		return lines.Errorf("redirect_uri", "redirect_uri: plain http is for localhost and loopback addresses only, "+
			"because it carries the authorization code: use https")
	}
	return nil
}

func (c *Config) checkTimes(lines syntax.Lines) error {
	if c.RefreshBefore < 0 || (c.RefreshBefore == 0 && lines["refresh_before"] != nil) {
		return lines.Errorf("refresh_before",
			"refresh_before must be more than 0: if a token is renewed only after it expires, apps wait")
	}
	if c.KeepWarm != nil && *c.KeepWarm < 0 {
		return lines.Errorf("keep_warm", "keep_warm must not be negative; 0 turns it off")
	}
	if c.TokenWait != nil && *c.TokenWait < 0 {
		return lines.Errorf("token_wait", "token_wait must not be negative; 0 turns it off")
	}
	if b := c.TokenBudget; b != nil {
		if b.Tokens < 1 {
			return lines.Errorf("token_budget", badTokens, syntax.Show("the first argument", strconv.Itoa(b.Tokens)))
		}
		if b.Window <= 0 {
			return lines.Errorf("token_budget",
				"token_budget: the duration must be more than 0, as in `token_budget 10 10m`")
		}
	}
	return nil
}

const badTokens = "token_budget: %s must be a number of at least 1, as in `token_budget 10 10m`"

func (c *Config) checkNetwork(lines syntax.Lines) error {
	if c.TrustedCA == "" && lines["trusted_ca"] != nil {
		return lines.Errorf("trusted_ca", "trusted_ca has no file: leave it out to trust what this machine trusts")
	}
	if c.NetworkProxy != "" || lines["network_proxy"] != nil {
		if err := egress.CheckProxy(c.NetworkProxy); err != nil {
			return lines.Errorf("network_proxy", "%w", err)
		}
	}
	s := c.Simulator
	if s == nil {
		return nil
	}
	host, port, err := net.SplitHostPort(s.Address)
	_, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || portErr != nil || host == "":
		return lines.Errorf("simulator", "simulator: %s must be host:port, as in `simulator 127.0.0.1:9443 ca.pem`",
			syntax.Show("the address", s.Address))
	case s.CA == "":
		return lines.Errorf("simulator", "simulator: the file of its certificate authority is missing: "+
			"write `simulator %s <ca_file>`", s.Address)
	case c.TrustedCA != "":
		return lines.Errorf("simulator", "simulator and trusted_ca%s cannot be used together: "+
			"the simulator's CA is its second argument", lines.At("trusted_ca", " (at %s)"))
	case c.NetworkProxy != "":
		return lines.Errorf("simulator", "simulator and network_proxy%s cannot be used together",
			lines.At("network_proxy", " (at %s)"))
	case c.custom():
		return lines.Errorf("simulator", "simulator replaces Zoho's hosts, and data_center%s "+
			"gives URLs for them: leave one of them out", lines.At("data_center", " at %s"))
	}
	return nil
}

func (c *Config) checkSecrets(lines syntax.Lines) error {
	if !c.ClientID.IsSet() {
		return errors.New("client_id is missing")
	}
	if len(c.ClientSecret) == 0 && len(c.DataCenterSecret) == 0 {
		return errors.New("client_secret is missing")
	}
	for _, code := range slices.Sorted(maps.Keys(c.DataCenterSecret)) {
		if c.custom() {
			return lines.Errorf("client_secret "+code, "client_secret %s: this client's data_center is two URLs%s: "+
				"leave the code out", code, lines.At("data_center", ", at %s"))
		}
		if _, ok := zoho.LookupDataCenter(code); !ok {
			return zoho.UnknownDataCenter(code)
		}
	}
	for _, code := range c.DataCenter {
		if len(c.ClientSecret) == 0 && len(c.DataCenterSecret[code]) == 0 {
			return lines.Errorf("data_center", "there is no client_secret for the data center %s: "+
				"add `client_secret %s <secret>`, or one without a code for all data centers", code, code)
		}
	}
	return nil
}

// checkOwnGrant looks at what the client has for the account default.
func (c *Config) checkOwnGrant(lines syntax.Lines) error {
	return c.checkGrantType(&Account{RefreshToken: c.RefreshToken, GrantType: c.GrantType, SOID: c.SOID}, "", lines)
}

func (c *Config) checkAccounts(lines syntax.Lines) error {
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		account, option := c.Accounts[name], "account "+name
		switch {
		case !words.Name.MatchString(name):
			return lines.Errorf(option, "%s: "+words.NameRule,
				syntax.Show("account name", name))
		case account == nil:
			return errNoGrant(lines, name)
		}
		if err := c.checkGrantType(account, option, lines); err != nil {
			return err
		}
		switch {
		case account.GrantType == "" && !account.RefreshToken.IsSet() && !(c.Org() && account.SOID != ""):
			return errNoGrant(lines, name)
		case name == onboard.DefaultAccount && c.RefreshToken.IsSet():
			return lines.Errorf(option, "account default is given twice: the client's own refresh_token%s "+
				"is that account's", lines.At("refresh_token", " at %s"))
		case name == onboard.DefaultAccount && c.GrantType != "":
			return lines.Errorf(option, "account default is given twice: the client's own grant_type%s "+
				"is that account's", lines.At("grant_type", " at %s"))
		case account.DataCenter == "":
			continue
		case c.custom():
			return lines.Errorf(option, "account %s: data_center: this client's data_center is two URLs%s "+
				"and is that of all its accounts", name, lines.At("data_center", ", at %s,"))
		}
		if _, ok := zoho.LookupDataCenter(account.DataCenter); !ok {
			err := fmt.Errorf("data_center: %w", zoho.UnknownDataCenter(account.DataCenter))
			if l := lines[option+" data_center"]; l != nil {
				return l.Errorf("%w", err)
			}
			return fmt.Errorf("%s: %w", option, err)
		}
	}
	return nil
}

func errNoGrant(lines syntax.Lines, account string) error {
	return lines.Errorf("account "+account, "account %[1]s has no refresh_token: add `refresh_token {env.NAME}` to its block, "+
		"or `grant_type client_credentials`; do not list accounts that connect by consent", account)
}
