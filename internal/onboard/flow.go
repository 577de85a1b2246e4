// Package onboard brings grants in: by consent in a browser (RFC 6749's authorization
// code), by an invitation to somebody else's browser, by a code or callback that was
// pasted, by a refresh token from elsewhere. It takes them out again as well.
//
// flow.go holds the consents that are under way, grant.go what becomes of a code or a
// refresh token, store.go how that becomes the grant of an account, pending.go the grant
// until then, confirm.go what a person has to confirm, revoke.go how a grant ends, invite.go
// the links for customers. serve.go answers a browser, guard.go says whether it may see a
// page, pages.go makes them, preflight.go is what is looked at before consent,
// pages_consent.go the way through it.
package onboard

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

const (
	consentLife = 10 * time.Minute // from the start to the callback
	maxConsents = 10_000           // under way at once, of all clients
	maxStarts   = 10               // of an account in startWindow: Zoho gives no more codes, and each may cost a slot
	startWindow = 10 * time.Minute
)

// Flow holds the consents that are under way. It outlives reloads, holds no
// configuration, and is safe for concurrent use.
type Flow struct {
	Hooks
	cache *tokencache.Cache
	store *tokencache.Bolt

	// Held while the stored grant of an account, any of them, is looked at and changed
	// accordingly: Zoho is not asked meanwhile. Taken before mu.
	changing sync.Mutex

	mu          sync.Mutex          // guards all below
	consents    map[string]*consent // :: state → consent
	starts      map[tokencache.Key][]time.Time
	unconfirmed map[string]*pendingGrant // :: id → a grant of somebody else than before, until confirmed
	results     map[string]*pageResult   // :: id → what a browser may be shown after its consent
	closed      bool                     // nothing is held any more
}

// Hooks are what a Flow tells others, and what they do for it. All are needed.
type Hooks struct {
	Connected func(Result)         // a grant was stored
	Gone      func(tokencache.Key) // an account has no stored grant any more
	Guard     func(func())         // runs what nobody waits for, whose panic is not to end the process
}

// New returns a Flow without a consent.
func New(cache *tokencache.Cache, store *tokencache.Bolt, hooks Hooks) *Flow {
	return &Flow{
		Hooks: hooks, cache: cache, store: store,
		consents: make(map[string]*consent), starts: make(map[tokencache.Key][]time.Time),
		unconfirmed: make(map[string]*pendingGrant), results: make(map[string]*pageResult),
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
	ReplaceLost bool   // replace a grant that cannot be read
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

// Begin notes a consent and gives the address at Zoho that the browser is sent to, and
// the state that the callback brings back.
func (f *Flow) Begin(cl *Client, s Start) (url, state string, _ error) {
	if err := cl.mayReplace(s.Account); err != nil {
		return "", "", err
	}
	switch {
	case len(cl.Scopes) == 0:
		return "", "", errNoScopes(cl)
	case s.RedirectURI == "":
		return "", "", errNoRedirectURI(cl)
	}
	if err := f.checkStore(cl, s.Account, s.ReplaceLost); err != nil {
		return "", "", err
	}
	c := &consent{Start: s, client: cl.Name, browser: identify(s.Browser), expires: time.Now().Add(consentLife)}
	state = rand.Text()
	if err := f.register(s.startsOf(cl), state, c); err != nil {
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

func (f *Flow) register(key tokencache.Key, state string, c *consent) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.dropExpired(now)
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

// dropExpired drops what has expired. With mu held.
func (f *Flow) dropExpired(now time.Time) {
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

// AccountOf is the account of a consent, by its state, or of a grant that waits to be
// confirmed, by its id; "" if there is neither.
func (f *Flow) AccountOf(cl *Client, id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.consents[id]; c != nil && c.client == cl.Name {
		return c.Account
	}
	if p := f.unconfirmed[id]; p != nil && p.client == cl.Name {
		return p.account
	}
	return ""
}

// takeConsent uses a state up. It is good once, for its client, in the browser that it was
// made for.
func (f *Flow) takeConsent(cl *Client, state, browser string) (*consent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.dropExpired(now)
	c := f.consents[state]
	switch {
	case state == "":
		return nil, errState("The answer holds no state, so it does not belong to a consent that was begun here.")
	case c == nil || c.client != cl.Name:
		return nil, errState("This answer belongs to no consent that was begun here, or to one that was forgotten.")
	case c.Browser == "" && browser != "":
		return nil, errPaste()
	case !c.browser.is(browser):
		return nil, errState("This consent was begun in another browser, or under another name of this server, or the browser does not keep cookies.")
	case c.used:
		return c, errUsed()
	case now.After(c.expires):
		return c, errState("This consent was begun more than 10 minutes ago.")
	}
	c.used = true
	return c, nil
}
