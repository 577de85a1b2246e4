package onboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Client is an OAuth client as onboarding needs to know it. Immutable.
type Client struct {
	Name        string
	DisplayName string // for customers, "" for the name
	ID          func() string
	Cache       *tokencache.Client
	Centers     []zoho.DataCenter // home first; no other one is trusted with a code
	Scopes      []string          // asked for at consent
	RedirectURI string            // "": where the pages are served
	Scheme      string            // of the Authorization header
	Org         bool              // organizations consent, and not users
	SelfClient  bool              // it has accounts with tokens of its own, so it is of the type for which Zoho has no page of consent
	// SOID names the organization of an account, as in zohopay.1234; "" if none is configured.
	SOID func(account string) string
	// Served is the callback of the pages as far as the configuration tells, for who has no
	// browser here.
	Served string
	// Accounts are the ways to speak to a data center, one for each secret that it may
	// accept, the likeliest first.
	Accounts func(zoho.DataCenter) []*zoho.Accounts
	// Siblings are the other clients with the same id, whose accounts may have the same refresh
	// tokens.
	Siblings func() []*tokencache.Client
	// KnownAt asks Zoho's data centers which of them know the client's id, by their codes.
	KnownAt func(context.Context) []string
}

// shownName is what customers read.
func (cl *Client) shownName() string { return cmp.Or(cl.DisplayName, cl.Name) }

func (cl *Client) key(account string) tokencache.Key {
	return tokencache.Key{Client: cl.Name, Account: account}
}

// center finds the data center of an accounts server as a callback names it: exactly
// one of the client's. Whoever makes the link that a browser follows can write any
// address there, and a code sent to it would be his.
func (cl *Client) center(accountsServer string) (zoho.DataCenter, bool) {
	for _, center := range cl.Centers {
		if center.Accounts == accountsServer {
			return center, true
		}
	}
	return zoho.DataCenter{}, false
}

// centerOf finds the data center of a grant. A configured one may be in one that the client is not
// registered for by `data_center`, and is renewed there as well.
func (cl *Client) centerOf(g tokencache.Grant) (zoho.DataCenter, bool) {
	if center, ok := cl.center(g.AccountsServer); ok || cl.Centers[0].Custom {
		return center, ok
	}
	return zoho.LookupAccountsServer(g.AccountsServer)
}

// DataCenter finds one of the client's data centers by its code; the home without one.
func (cl *Client) DataCenter(code string) (zoho.DataCenter, error) {
	for _, center := range cl.Centers {
		if code == "" || center.Code == code {
			return center, nil
		}
	}
	if _, known := zoho.LookupDataCenter(code); !known {
		return zoho.DataCenter{}, zoho.UnknownDataCenter(code)
	}
	return zoho.DataCenter{}, fmt.Errorf("client %s does not have the data center %s, only %s: add it to data_center",
		cl.Name, code, strings.Join(cl.codes(), ", "))
}

// codes are those of the client's data centers.
func (cl *Client) codes() (codes []string) {
	for _, center := range cl.Centers {
		codes = append(codes, center.Code)
	}
	return codes
}

// serverOf is centerOf where nothing can be done without it.
func (cl *Client) serverOf(g tokencache.Grant) (zoho.DataCenter, error) {
	center, ok := cl.centerOf(g)
	if !ok {
		return center, fmt.Errorf("%s is none of the client's data centers", g.AccountsServer)
	}
	return center, nil
}

// eachSecret tries the client's secrets at a data center in order, until one is not refused. A refused one uses
// nothing up.
func (cl *Client) eachSecret(center zoho.DataCenter, try func(*zoho.Accounts) error) error {
	err := errNoSecret(center)
	for _, accounts := range cl.Accounts(center) {
		err = try(accounts)
		var failure *zoho.Failure
		if !errors.As(err, &failure) || failure.Kind != zoho.FailureClientRejected {
			break
		}
	}
	return err
}

// accounts is the likeliest way to speak to the server of a grant.
func (cl *Client) accounts(g tokencache.Grant) (*zoho.Accounts, error) {
	center, err := cl.serverOf(g)
	if err != nil {
		return nil, err
	}
	all := cl.Accounts(center)
	if len(all) == 0 {
		return nil, errNoSecret(center)
	}
	return all[0], nil
}

func errNoSecret(center zoho.DataCenter) error {
	return fmt.Errorf("no client_secret has a value for the data center %s", center.Code)
}

// configured reports whether an account's grant comes from the configuration, where nothing
// may replace it.
func (cl *Client) configured(account string) bool {
	_, configured, _ := cl.Cache.Grant(account)
	return configured
}

// consoleType is what Zoho's API console calls clients of the kind.
func (cl *Client) consoleType() string {
	if cl.Org {
		return "ORG"
	}
	return "Server-based Applications"
}

// soid is the organization that an account is asked for, "" if users consent.
func (cl *Client) soid(account string) string {
	if !cl.Org {
		return ""
	}
	return cl.SOID(account)
}

// byClient reports whether the client itself asks for the tokens of an account: nobody consents, and
// nothing is stored but the access token.
func (cl *Client) byClient(account string) bool {
	g, configured, err := cl.Cache.Grant(account)
	return err == nil && configured && g.GrantType != ""
}

// result is a grant as others may know of it.
func (cl *Client) result(account string, g tokencache.Grant) Result {
	center, _ := cl.centerOf(g)
	code := center.Code
	if code == "" {
		code = g.AccountsServer
	}
	return Result{
		Client:        cl.Name,
		Account:       account,
		DataCenter:    code,
		User:          g.User,
		Org:           g.Org,
		Scopes:        g.Scopes,
		RefreshTokens: g.RefreshTokens,
	}
}

// revoke gives a grant back to Zoho. One that Zoho does not know any more is as good as
// given back.
func (cl *Client) revoke(ctx context.Context, g tokencache.Grant) error {
	accounts, err := cl.accounts(g)
	if err != nil {
		return err
	}
	err = accounts.Revoke(ctx, g.RefreshToken)
	var failure *zoho.Failure
	if errors.As(err, &failure) && failure.Kind == zoho.FailureGrantDead {
		return nil
	}
	return err
}

// BrowserWarnings tell whoever is about to consent in a browser that Zoho has no page for clients of that type, and
// what to do instead.
func (cl *Client) BrowserWarnings(account string) []string {
	way := cl.otherThanBrowser(account)
	if way == "" {
		return nil
	}
	return []string{"Zoho has no page of consent in a browser for a client of this type: " + way}
}

// otherThanBrowser is how an account is connected where Zoho has no page of consent for the client's type, "" elsewhere.
func (cl *Client) otherThanBrowser(account string) string {
	command := "`caddy zoho connect " + cl.Name + " " + ShowAccount(account)
	switch {
	case strings.HasPrefix(cl.ID(), zoho.DeviceClientPrefix):
		return command + " --device` shows a code to type in on any device"
	case cl.SelfClient:
		return command + " --self-client` takes a code that Zoho's API console generates"
	}
	return ""
}
