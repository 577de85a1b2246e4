package zohosim

import (
	"fmt"
	"time"
)

// Options sets how the simulator behaves. The zero value of every field means what Zoho does.
type Options struct {
	// Now is the clock that tokens, codes and windows go by; nil means time.Now.
	// Delays (the faults slow, hang, drip) always take real time.
	Now func() time.Time

	TokenLife   time.Duration // life of an access token and its expires_in; 1h
	CodeLife    time.Duration // life of an authorization code; 2m, a self client's 3m
	MaxTokens   int           // token requests per refresh token and TokenWindow; 10, negative: unlimited
	TokenWindow time.Duration // 10m
	MaxLive     int           // live access tokens of a grant, one more kills the oldest; 10, negative: unlimited
	MaxGrants   int           // refresh tokens of a user and client, one more kills the first; 20, negative: unlimited
	MaxCodes    int           // authorization codes per user, client and TokenWindow; 10, negative: unlimited
	Sticky      bool          // throttled requests count too, so that calling on keeps the window closed

	Consent        string // what the authorization page does: "page" asks, "auto" consents, "deny" refuses; "page"
	User           string // who sits at the browser; "user@example.com"
	UserDataCenter string // where that user lives; the data center where consent began
	BareDenial     bool   // a denied callback carries nothing but the error

	DataCenter string // data center of the single-origin mode; "us"
	Org        string // organization that grants are made for; "60001234567"
	RequireOrg bool   // Books family and Desk refuse a request that names no organization

	AcceptBearer bool              // every service takes Bearer, not only those that were seen doing so
	OmitScope    bool              // token replies carry no scope
	Variants     []string          // answers that Zoho was seen giving instead of the usual ones, see Variants
	Answers      map[string]Answer // answers of your own, by "service/case", for example "books/org"

	// ExtraHosts are names the TLS listener has certificates for, beside Zoho's own and localhost.
	ExtraHosts []string
}

// withDefaults resolves the zero values. Unlimited stays negative.
func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.TokenLife = either(o.TokenLife, time.Hour)
	o.TokenWindow = either(o.TokenWindow, 10*time.Minute)
	o.MaxTokens = either(o.MaxTokens, 10)
	o.MaxLive = either(o.MaxLive, 10)
	o.MaxGrants = either(o.MaxGrants, 20)
	o.MaxCodes = either(o.MaxCodes, 10)
	o.Consent = either(o.Consent, ConsentPage)
	o.User = either(o.User, "user@example.com")
	o.DataCenter = either(o.DataCenter, "us")
	o.Org = either(o.Org, "60001234567")
	return o
}

// The modes of Options.Consent.
const (
	ConsentPage = "page"
	ConsentAuto = "auto"
	ConsentDeny = "deny"
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
			return fmt.Errorf("data center %q is none of Zoho's", code)
		}
	}
	for _, name := range o.Variants {
		if _, ok := variants[name]; !ok {
			return fmt.Errorf("variant %q is unknown", name)
		}
	}
	return nil
}

// Change alters the Options of a running simulator. Tokens that exist keep their life. It panics if
// an option has a value that does not exist.
func (s *Server) Change(change func(*Options)) {
	must(s.change(change))
}

func (s *Server) change(change func(*Options)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.o
	change(&o)
	if err := o.Check(); err != nil {
		return err
	}
	s.o = o.withDefaults()
	return nil
}

func (o Options) codeLife(selfClient bool) time.Duration {
	switch {
	case o.CodeLife != 0:
		return o.CodeLife
	case selfClient:
		return 3 * time.Minute
	default:
		return 2 * time.Minute
	}
}

// either gives v, or fallback if v is the zero value.
func either[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// must panics with what a test got wrong.
func must(err error) {
	if err != nil {
		panic("zohosim: " + err.Error())
	}
}
