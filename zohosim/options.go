package zohosim

import (
	"cmp"
	"fmt"
	"time"
)

// Options sets how the simulator behaves. The zero value of every field means what Zoho does.
type Options struct {
	// Now is the clock that tokens, codes and windows go by; nil means time.Now.
	// Delays (the faults slow, hang, drip) always take real time.
	Now func() time.Time

	// TokenLife is the life of an access token and its expires_in; 1h.
	TokenLife time.Duration
	// CodeLife is the life of an authorization code; 2m, a self client's 3m, an organization's 1m.
	CodeLife time.Duration
	// MaxTokens is how many token requests a refresh token has in a TokenWindow; 10, negative:
	// unlimited (zoho.com/accounts/protocol/oauth/token-limits.html).
	MaxTokens int
	// TokenWindow is the time that MaxTokens and MaxCodes count in; 10m.
	TokenWindow time.Duration
	// MaxLive is how many live access tokens a grant has, one more kills the oldest; 10,
	// negative: unlimited. Zoho's pages disagree: 10, 15 and 30.
	MaxLive int
	// MaxGrants is how many refresh tokens a user and client have, one more kills the first,
	// even if it is in use; 20, negative: unlimited.
	MaxGrants int
	// MaxCodes is how many authorization codes a user and client get in a TokenWindow; 10,
	// negative: unlimited.
	MaxCodes int
	// Sticky has throttled requests count too, so that calling on keeps the window closed, as
	// users report of Zoho.
	Sticky bool

	// Consent is what the authorization page does: "page" asks, "auto" consents, "deny"
	// refuses; "page".
	Consent string
	// User is who sits at the browser; "user@example.com".
	User string
	// UserDataCenter is where that user lives; the data center where consent began.
	UserDataCenter string
	// BareDenial has a denied callback carry nothing but the error. What Zoho's carries is
	// not established.
	BareDenial bool

	// DeviceLife and DeviceInterval are those of a device code: 5m and 5s. Who polls sooner is told to slow down,
	// and has to wait 5s longer each time from then on.
	DeviceLife     time.Duration
	DeviceInterval time.Duration
	// UnknownScopes do not exist. Others do if they look like scopes: there is no list of Zoho's that is complete.
	UnknownScopes []string

	// DataCenter is that of the single-origin mode; "us".
	DataCenter string
	// Org is the organization that grants are made for; "60001234567".
	Org string
	// RequireOrg has the Books family and Desk refuse a request that names no organization.
	RequireOrg bool

	// AcceptBearer has every service take Bearer, not only those that were seen doing so.
	AcceptBearer bool
	// OmitScope leaves the scope out of token replies, as many of Zoho's have none.
	OmitScope bool
	// Variants are answers that Zoho was seen giving instead of the usual ones; the function
	// Variants names them.
	Variants []string
	// Answers are answers of your own, by "service/case", for example "books/org".
	Answers map[string]Answer

	// HTTP1 has the TLS listener speak HTTP/1.1 alone, which has reason phrases.
	HTTP1 bool
	// ExtraHosts are names the TLS listener has certificates for, beside Zoho's own and localhost.
	ExtraHosts []string
}

// withDefaults resolves the zero values. Unlimited stays negative.
func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.TokenLife = cmp.Or(o.TokenLife, time.Hour)
	o.TokenWindow = cmp.Or(o.TokenWindow, 10*time.Minute)
	o.MaxTokens = cmp.Or(o.MaxTokens, 10)
	o.MaxLive = cmp.Or(o.MaxLive, 10)
	o.MaxGrants = cmp.Or(o.MaxGrants, 20)
	o.MaxCodes = cmp.Or(o.MaxCodes, 10)
	o.DeviceLife = cmp.Or(o.DeviceLife, 5*time.Minute)
	o.DeviceInterval = cmp.Or(o.DeviceInterval, 5*time.Second)
	o.Consent = cmp.Or(o.Consent, ConsentPage)
	o.User = cmp.Or(o.User, "user@example.com")
	o.DataCenter = cmp.Or(o.DataCenter, "us")
	o.Org = cmp.Or(o.Org, "60001234567")
	return o
}

// The modes of Options.Consent.
const (
	ConsentPage = "page" // shows a page that asks
	ConsentAuto = "auto" // redirects with a code at once
	ConsentDeny = "deny" // redirects with access_denied at once
)

// Check refuses values that do not exist. New and Change panic with its error.
func (o Options) Check() error {
	switch o.Consent {
	case "", ConsentPage, ConsentAuto, ConsentDeny:
	default:
		return fmt.Errorf("consent %q: want page, auto or deny", o.Consent)
	}
	for _, code := range []string{o.DataCenter, o.UserDataCenter} {
		if _, ok := lookupDataCenter(code); code != "" && !ok {
			return fmt.Errorf("data center %q is not one of Zoho's", code)
		}
	}
	for _, name := range o.Variants {
		if _, ok := variants[name]; !ok {
			return fmt.Errorf("variant %q is unknown", name)
		}
	}
	return nil
}

// codeLife is what Zoho's pages say: two minutes, three by default for a self client's code, and one
// for that of an organization.
func (o Options) codeLife(c code) time.Duration {
	switch {
	case o.CodeLife != 0:
		return o.CodeLife
	case c.selfClient:
		return 3 * time.Minute
	case c.org:
		return time.Minute
	default:
		return 2 * time.Minute
	}
}

// must panics with what a test got wrong.
func must(err error) {
	if err != nil {
		panic("zohosim: " + err.Error())
	}
}
