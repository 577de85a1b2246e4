package zoho

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// DataCenter is one of Zoho's regions: its accounts server, API gateway and
// product hosts. It is a comparable value; the zero value means unknown.
type DataCenter struct {
	// Code is Zoho's own word in the callback's location: "us", "eu", ...; "custom" for
	// CustomDataCenter.
	Code string
	// Accounts is the base URL of the authorization server, without a final slash; a path
	// is possible only for a custom one.
	Accounts string
	// API is the origin of the shared gateway; "" where none is established (inec).
	API string
	// Suffix is what product hosts end in: "zoho.com"; "" for a custom one.
	Suffix string
	Custom bool
}

// customCode is the Code of every DataCenter that CustomDataCenter makes.
const customCode = "custom"

// dataCenters is the accounts page's multi-DC list
// (zoho.com/accounts/protocol/oauth/multi-dc.html) joined with `serverinfo`
// (accounts.zoho.com/oauth/serverinfo): product pages list only five to eight each.
//
//   - Canada is the irregular one: accounts.zoho.ca does not connect, yet the gateway
//     is zohoapis.ca.
//   - ae is from WorkDrive's multi-DC page and serverinfo, sg and inec (India
//     enterprise) from serverinfo alone. No source shows a gateway of inec; sg's
//     follows the pattern.
//   - China is in neither list, but in CRM's and Bigin's.
//   - Catalyst's page prints accounts.zoho.au for Australia; no other source has it.
var dataCenters = [...]DataCenter{
	{Code: "us", Accounts: "https://accounts.zoho.com", API: "https://www.zohoapis.com", Suffix: "zoho.com"},
	{Code: "eu", Accounts: "https://accounts.zoho.eu", API: "https://www.zohoapis.eu", Suffix: "zoho.eu"},
	{Code: "in", Accounts: "https://accounts.zoho.in", API: "https://www.zohoapis.in", Suffix: "zoho.in"},
	{Code: "au", Accounts: "https://accounts.zoho.com.au", API: "https://www.zohoapis.com.au", Suffix: "zoho.com.au"},
	{Code: "jp", Accounts: "https://accounts.zoho.jp", API: "https://www.zohoapis.jp", Suffix: "zoho.jp"},
	{Code: "ca", Accounts: "https://accounts.zohocloud.ca", API: "https://www.zohoapis.ca", Suffix: "zohocloud.ca"},
	{Code: "sa", Accounts: "https://accounts.zoho.sa", API: "https://www.zohoapis.sa", Suffix: "zoho.sa"},
	{Code: "uk", Accounts: "https://accounts.zoho.uk", API: "https://www.zohoapis.uk", Suffix: "zoho.uk"},
	{Code: "ae", Accounts: "https://accounts.zoho.ae", API: "https://www.zohoapis.ae", Suffix: "zoho.ae"},
	{Code: "sg", Accounts: "https://accounts.zoho.sg", API: "https://www.zohoapis.sg", Suffix: "zoho.sg"},
	{Code: "inec", Accounts: "https://accounts.zohohq.in", Suffix: "zohohq.in"},
	{Code: "cn", Accounts: "https://accounts.zoho.com.cn", API: "https://www.zohoapis.com.cn", Suffix: "zoho.com.cn"},
}

// DataCenters returns Zoho's own data centers, in a fixed order, us first.
func DataCenters() []DataCenter { return slices.Clone(dataCenters[:]) }

// LookupDataCenter finds a data center by its exact, lower-case code.
func LookupDataCenter(code string) (DataCenter, bool) {
	i := slices.IndexFunc(dataCenters[:], func(dc DataCenter) bool { return dc.Code == code })
	if i < 0 {
		return DataCenter{}, false
	}
	return dataCenters[i], true
}

// LookupAccountsServer finds Zoho's own data center by the base URL of its
// accounts server, as the callback's accounts-server parameter or a stored
// grant names it. Anything but exactly an https origin of the table is unknown.
func LookupAccountsServer(accountsURL string) (DataCenter, bool) {
	accountsURL = strings.TrimSuffix(accountsURL, "/")
	for _, dc := range dataCenters {
		if equalFold(dc.Accounts, accountsURL) {
			return dc, true
		}
	}
	return DataCenter{}, false
}

// Isolated reports whether the data center shares no clients with the others:
// China is run apart, consent has to start at its own accounts server.
func (dc DataCenter) Isolated() bool { return dc.Code == "cn" }

// CustomDataCenter describes any server that speaks the protocol: a simulator,
// a portal, an installation on premises. Plain http is for this machine only,
// since both the client secret and the tokens would travel in clear.
func CustomDataCenter(accountsURL, apiURL string) (DataCenter, error) {
	accounts, err := baseURL("accounts URL", accountsURL)
	if err != nil {
		return DataCenter{}, err
	}
	api, err := originURL("API URL", apiURL)
	if err != nil {
		return DataCenter{}, err
	}
	return DataCenter{Code: customCode, Accounts: accounts.String(), API: api.String(), Custom: true}, nil
}

// originURL is baseURL for one that must not have a path.
func originURL(what, s string) (*url.URL, error) {
	u, err := baseURL(what, s)
	if err == nil && u.Path != "" {
		return nil, fmt.Errorf("%s %s has a path; write only the origin: %s://%s", what, show(s), u.Scheme, u.Host)
	}
	return u, err
}

// baseURL parses what the operator wrote as one of the two URLs of a custom
// data center, lower-cases its origin and drops a final slash.
func baseURL(what, s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s is not a URL", what, show(s)) // url.Error would repeat it raw
	case u.Scheme == "" || u.Host == "" || u.Opaque != "":
		return nil, fmt.Errorf("%s %s is not absolute; begin it with https://", what, show(s))
	case u.User != nil:
		return nil, fmt.Errorf("%s has a user name or password; leave out everything before the @", what)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(s, "#"):
		return nil, fmt.Errorf("%s %s has a query or fragment; leave out everything after the path", what, show(s))
	}
	if err := checkOrigin(u); err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, show(s), err)
	}
	u.Host = strings.ToLower(u.Host)
	if port := u.Port(); port != "" && port == defaultPort(u.Scheme) || strings.HasSuffix(u.Host, ":") {
		u.Host = u.Host[:strings.LastIndexByte(u.Host, ':')]
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// checkOrigin refuses schemes and hosts that a token must not be sent to.
func checkOrigin(u *url.URL) error {
	name := u.Hostname()
	if strings.Trim(name, ".") == "" || strings.ContainsAny(name, " \t\\") || strings.HasSuffix(name, ".") {
		return errors.New("it has no usable host name")
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		if isLoopback(name) {
			return nil
		}
		return errors.New("plain http is for localhost and loopback addresses only; use https")
	}
	return errors.New("the scheme must be https")
}

// isLoopback reports whether a host name is this machine, without asking DNS.
func isLoopback(name string) bool {
	ip := net.ParseIP(name)
	return equalFold(name, "localhost") || ip != nil && ip.IsLoopback()
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// TokenURL is where codes are exchanged and access tokens renewed.
func (dc DataCenter) TokenURL() string { return dc.oauthBase() + "/token" }

// AuthURL is where the browser is sent for consent.
func (dc DataCenter) AuthURL() string { return dc.oauthBase() + "/auth" }

// OrgAuthURL is where the browser is sent for the consent of an organization.
func (dc DataCenter) OrgAuthURL() string { return dc.oauthBase() + "/org/auth" }

// EnhanceTokenURL is where a token is had by which scopes can be added to a grant. Zoho's page says
// that its data center is the client's; the grant is known at its own, which is this one.
func (dc DataCenter) EnhanceTokenURL() string { return dc.TokenURL() + "/scopeenhance" }

// EnhanceURL is where the browser is sent with that token.
func (dc DataCenter) EnhanceURL() string { return dc.TokenURL() + "/addextrascope" }

// RevokeURL is where tokens are given back; the older of Zoho's two forms,
// which is the one that products document. It wants no client credentials. Zoho's pages
// disagree on whether it is that of the client's data center or of the user's.
func (dc DataCenter) RevokeURL() string { return dc.TokenURL() + "/revoke" }

// deviceURL is an endpoint of the device flow, which has a version of its own (3): "code", "token", or "" for the page
// where a person types the code in.
func (dc DataCenter) deviceURL(endpoint string) string {
	return strings.TrimSuffix(versionInBase.ReplaceAllString(dc.oauthBase(), "/v3$1")+"/device/"+endpoint, "/")
}

// versionInBase is that of the protocol in a base of oauthBase.
var versionInBase = regexp.MustCompile(`/v[0-9]+(/[^/]+)?$`)

// versioned matches bases that hold the protocol's version already: one that
// ends in it, and a portal's https://{solution}.zohoplatform.com/clientoauth/v2/{portal}.
var versioned = regexp.MustCompile(`/v[0-9]+$|/clientoauth/v[0-9]+/[^/]+$`)

// versionAtEnd is that of a base that ends in it.
var versionAtEnd = regexp.MustCompile(`/v[0-9]+$`)

// oauthBase is what the URLs of the protocol begin with.
func (dc DataCenter) oauthBase() string {
	if dc.Custom && versioned.MatchString(dc.Accounts) {
		return dc.Accounts
	}
	return dc.Accounts + "/oauth/v2"
}

// apiScheme is that of a custom data center's API URL.
func (dc DataCenter) apiScheme() string {
	scheme, _, _ := strings.Cut(dc.API, "://")
	return scheme
}

// apiHost is the API URL's host, with its port if it is not the default one.
func (dc DataCenter) apiHost() string {
	_, host, _ := strings.Cut(dc.API, "://")
	return host
}

// trimPort takes the port off that a custom API URL would have been given
// without.
func (dc DataCenter) trimPort(host string) string {
	if dc.apiScheme() == "http" {
		return strings.TrimSuffix(host, ":80")
	}
	return strings.TrimSuffix(host, ":443")
}

// NormalCode forgives capitals and the dot of a domain in the code of a data center.
func NormalCode(text string) string { return strings.ToLower(strings.TrimPrefix(text, ".")) }
