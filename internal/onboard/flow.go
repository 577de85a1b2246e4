// Package onboard brings grants in: by consent in a browser (RFC 6749's authorization
// code), by an invitation to somebody else's browser, by a code or callback that was
// pasted, by a refresh token from elsewhere. It takes them out again as well.
//
// flow.go holds the consents that are under way, grant.go what becomes of a code or a
// refresh token, invite.go the links for customers, pages.go what a browser sees, guard.go
// whether it may, checks.go what is looked at before consent.
package onboard

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Client is an OAuth client as onboarding needs to know it. Immutable.
type Client struct {
	Name        string
	ID          func() string
	Cache       *tokencache.Client
	Centers     []zoho.DataCenter // home first; no other one is trusted with a code
	Scopes      []string          // asked for at consent
	RedirectURI string            // "": where the pages are served
	Served      string            // callback of the pages as far as the configuration tells, for who has no browser here
	// Accounts are the ways to speak to a data center, one for each secret that it may
	// accept, the likeliest first.
	Accounts func(zoho.DataCenter) []*zoho.Accounts
	// Configured tells whether an account's grant comes from the configuration, where
	// nothing may replace it.
	Configured func(account string) bool
}

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

// DataCenter finds one of the client's data centers by its code; the home without one.
func (cl *Client) DataCenter(code string) (zoho.DataCenter, error) {
	var codes []string
	for _, center := range cl.Centers {
		if code == "" || center.Code == code {
			return center, nil
		}
		codes = append(codes, center.Code)
	}
	if _, known := zoho.LookupDataCenter(code); !known {
		return zoho.DataCenter{}, zoho.UnknownDataCenter(code)
	}
	return zoho.DataCenter{}, fmt.Errorf("client %s does not have the data center %s, only %s: add it to data_center", cl.Name, code, strings.Join(codes, ", "))
}

const (
	consentLife = 10 * time.Minute // from the start to the callback
	maxConsents = 10_000           // under way at once, of all clients
	maxStarts   = 10               // of an account in startWindow: Zoho gives no more codes, and each may cost a slot
	startWindow = 10 * time.Minute
)

// Flow holds the consents that are under way. It outlives reloads, holds no
// configuration, and is safe for concurrent use.
type Flow struct {
	cache     *tokencache.Cache
	store     *tokencache.Bolt
	connected func(Result)

	mu       sync.Mutex          // guards all below
	consents map[string]*consent // :: state → consent
	starts   map[tokencache.Key][]time.Time
	held     map[string]*candidate // :: id → a grant of somebody else than before, until confirmed
	results  map[string]*shown     // :: id → what a browser may be shown after its consent
}

// New returns a Flow without a consent. connected is told of each grant that was stored.
func New(cache *tokencache.Cache, store *tokencache.Bolt, connected func(Result)) *Flow {
	return &Flow{
		cache: cache, store: store, connected: connected,
		consents: make(map[string]*consent), starts: make(map[tokencache.Key][]time.Time),
		held: make(map[string]*candidate), results: make(map[string]*shown),
	}
}

// browserID tells browsers apart by their cookie. What is pasted has none.
type browserID [sha256.Size]byte

func identify(cookie string) browserID { return sha256.Sum256([]byte(cookie)) }

// is compares in constant time.
func (id browserID) is(cookie string) bool {
	other := identify(cookie)
	return subtle.ConstantTimeCompare(id[:], other[:]) == 1
}

// Start is what a consent begins with.
type Start struct {
	Account     string
	RedirectURI string // where the browser comes back to
	Browser     string // cookie that the callback must show; "" for a callback that is pasted
	RevokeOld   bool   // revoke the grant that this one replaces
	invitation  *Invitation
}

// consent is a Start that waits for its callback.
type consent struct {
	Start
	client  string
	browser browserID
	expires time.Time
	used    bool // kept until it expires, to tell a second use from an invention
}

// AccountName is what an account may be called.
var AccountName = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,128}$`)

// Begin notes a consent and gives the address at Zoho that the browser is sent to, and
// the state that the callback brings back.
func (f *Flow) Begin(cl *Client, s Start) (url, state string, _ *Error) {
	if err := cl.mayReplace(s.Account); err != nil {
		return "", "", err
	}
	switch {
	case len(cl.Scopes) == 0:
		return "", "", errNoScopes(cl)
	case s.RedirectURI == "":
		return "", "", errNoRedirectURI(cl)
	}
	c := &consent{Start: s, client: cl.Name, browser: identify(s.Browser), expires: time.Now().Add(consentLife)}
	state = rand.Text()
	if err := f.note(s.startsOf(cl), state, c); err != nil {
		return "", "", err
	}
	accounts := zoho.Accounts{DataCenter: cl.Centers[0], ClientID: cl.ID()}
	return accounts.AuthorizeURL(zoho.AuthorizeParams{RedirectURI: s.RedirectURI, State: state, Scopes: cl.Scopes}), state, nil
}

// startsOf is what starts are counted by: whoever has an invitation is not to keep the
// operator from the account.
func (s *Start) startsOf(cl *Client) tokencache.Key {
	key := cl.key(s.Account)
	if s.invitation != nil {
		key.Account += " by invitation " + s.invitation.ID
	}
	return key
}

// mayReplace tells why an account cannot be connected here.
func (cl *Client) mayReplace(account string) *Error {
	if !AccountName.MatchString(account) {
		return errAccountName()
	}
	if cl.Configured(account) {
		return errConfigured(cl, account)
	}
	return nil
}

func (f *Flow) note(key tokencache.Key, state string, c *consent) *Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.tidy(now)
	recent := f.starts[key]
	if len(recent) >= maxStarts {
		return errTooManyStarts(recent[0].Add(startWindow).Sub(now))
	}
	if len(f.consents) >= maxConsents {
		return errTooManyStarts(time.Minute)
	}
	f.starts[key] = append(recent, now)
	f.consents[state] = c
	return nil
}

// tidy drops what has expired. With mu held.
func (f *Flow) tidy(now time.Time) {
	for state, c := range f.consents {
		if now.After(c.expires.Add(consentLife)) { // for a while it is told that it has expired
			delete(f.consents, state)
		}
	}
	for key, times := range f.starts {
		for len(times) > 0 && now.Sub(times[0]) >= startWindow {
			times = times[1:]
		}
		if f.starts[key] = times; len(times) == 0 {
			delete(f.starts, key)
		}
	}
	for id, r := range f.results {
		if now.After(r.expires) {
			delete(f.results, id)
		}
	}
}

// take uses a state up. It is good once, for its client, in the browser that it was
// made for.
func (f *Flow) take(cl *Client, state, browser string) (*consent, *Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.tidy(now)
	c := f.consents[state]
	switch {
	case state == "":
		return nil, errState("The answer holds no state, so it does not belong to a consent that was begun here.")
	case c == nil || c.client != cl.Name:
		return nil, errState("This answer belongs to no consent that was begun here, or to one that was forgotten.")
	case c.Browser == "" && browser != "":
		return nil, errPaste()
	case !c.browser.is(browser):
		return nil, errState("This consent was begun in another browser, or the browser does not keep cookies.")
	case c.used:
		return c, errUsed()
	case now.After(c.expires):
		return c, errState("This consent was begun more than 10 minutes ago.")
	}
	c.used = true
	return c, nil
}

// hold keeps a grant until a person has confirmed it; one that nobody confirms is given
// back to Zoho, by the client that has brought it.
func (f *Flow) hold(cl *Client, cand *candidate, before, after Result) *Error {
	id := rand.Text()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[id] = cand
	cand.unwanted = func(ctx context.Context) {
		if cand.fresh() {
			_ = cl.revoke(ctx, cand.grant)
		}
	}
	cand.waits = time.AfterFunc(consentLife, func() {
		if _, err := f.release(cl, id, cand.browser); err == nil {
			cand.unwanted(context.Background())
		}
	})
	return errOther(id, before, after)
}

// closeLimit is how long the process is held up by a Zoho that does not answer.
const closeLimit = 5 * time.Second

// Close gives back what waits to be confirmed. Nothing may be begun afterwards.
func (f *Flow) Close() {
	f.mu.Lock()
	held := f.held
	f.held = make(map[string]*candidate)
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	var running sync.WaitGroup
	for _, cand := range held {
		cand.waits.Stop()
		running.Go(func() { cand.unwanted(ctx) })
	}
	running.Wait()
}

// release gives out a grant that was held, once, in the browser that brought it.
func (f *Flow) release(cl *Client, id string, browser browserID) (*candidate, *Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cand := f.held[id]
	if cand == nil || cand.client != cl.Name || subtle.ConstantTimeCompare(cand.browser[:], browser[:]) != 1 {
		return nil, errState("There is nothing to confirm here any more.")
	}
	cand.waits.Stop()
	delete(f.held, id)
	return cand, nil
}

// shown is what a browser may see after its consent, for a while.
type shown struct {
	browser  browserID
	expires  time.Time
	result   Result
	err      *Error
	dropped  bool // the grant was not wanted after all
	returnTo string
	invited  bool // it sees this and nothing else

	confirming sync.Mutex
	outcome    *shown // of what was to be confirmed, nil until then
}

// keep keeps what a browser is to see.
func (f *Flow) keep(s *shown, browser string) (id string) {
	id = rand.Text()
	s.browser, s.expires = identify(browser), time.Now().Add(consentLife)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tidy(time.Now())
	f.results[id] = s
	return id
}

// kept is what a browser may see, nil if there is nothing.
func (f *Flow) kept(id, browser string) *shown {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tidy(time.Now())
	if s := f.results[id]; s != nil && s.browser.is(browser) {
		return s
	}
	return nil
}
