// Package onboard brings grants in: by consent in a browser (RFC 6749's authorization
// code), by an invitation to somebody else's browser, by a code or callback that was
// pasted, by a refresh token from elsewhere. It takes them out again as well.
//
// flow.go holds what is under way, share.go says how much of that is one caller's, consent.go begins a consent and takes its callback,
// grant.go takes what is brought otherwise and has it prove itself, store.go makes it the
// grant of an account, pending.go is the grant until then, confirm.go what a person has to
// confirm, revoke.go how a grant ends, invite.go the links for customers and invited.go their
// use. serve.go answers a browser, guard.go says whether it may see a page, pages.go makes
// them, preflight.go is what is looked at before consent, pages_consent.go the way through it.
package onboard

import (
	"net/netip"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
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
	store Store

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

// Store is the cache's store, and what else onboarding needs of it.
type Store interface {
	tokencache.Store

	// TryWrite says why a grant could not be stored now, nil if it could.
	TryWrite() error

	// ConsumeNonce reports whether an id is used the first time, and remembers it until then;
	// ReturnNonce takes that back, NonceConsumed reports whether it is remembered.
	ConsumeNonce(id string, until time.Time) (first bool, err error)
	ReturnNonce(id string) error
	NonceConsumed(id string) (used bool, err error)
}

// Shared is a Store of several processes: what begins at one of them may end at another. Values
// are sealed by what seals the client's grants, and gone when their life is over.
type Shared interface {
	Store

	// Put keeps a value of a client under a name, in place of the one before.
	Put(client, name string, secrets [][]byte, value []byte, life time.Duration) error
	// Get returns a value, Take takes it away as well: one of those who try gets it.
	Get(client, name string, secrets [][]byte) (value []byte, found bool, err error)
	Take(client, name string, secrets [][]byte) (value []byte, found bool, err error)
}

// Hooks are what a Flow tells others, and what they do for it. All are needed.
type Hooks struct {
	Connected func(Result)         // a grant was stored
	Gone      func(tokencache.Key) // an account has no stored grant any more
	Guard     func(func())         // runs what nobody waits for, whose panic is not to end the process
}

// New returns a Flow without a consent.
func New(cache *tokencache.Cache, store Store, hooks Hooks) *Flow {
	return &Flow{
		Hooks: hooks, cache: cache, store: store,
		consents: make(map[string]*consent), starts: make(map[tokencache.Key][]time.Time),
		unconfirmed: make(map[string]*pendingGrant), results: make(map[string]*pageResult),
	}
}

// Start is what a consent begins with.
type Start struct {
	Account     string
	RedirectURI string // where the browser comes back to
	Browser     string // cookie that the callback must show; "" for a callback that is pasted
	Caller      string // address of the browser that begins; "" for a terminal, which only the operator has
	RevokeOld   bool   // revoke the grant that this one replaces
	ReplaceLost bool   // replace a grant that cannot be read
	invitation  *Invitation
}

// consent is a Start that waits for its callback.
type consent struct {
	Start
	client  string
	browser browserID
	origin  netip.Addr // that Caller names, if it counts by its address
	expires time.Time
	used    bool // kept until it expires, to tell a second use from an invention
}

// register notes a consent, unless there are too many.
func (f *Flow) register(key tokencache.Key, state string, c *consent) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.dropExpired(now)
	recent := f.starts[key]
	if len(recent) >= maxStarts {
		return errTooManyStarts(recent[0].Add(startWindow).Sub(now))
	}
	if wait := f.shareTaken(c, now); wait > 0 {
		return errTooManyOfCaller(wait)
	}
	if len(f.consents) >= maxConsents {
		return errTooManyStarts(time.Minute)
	}
	f.starts[key] = append(recent, now)
	f.consents[state] = c
	return nil
}

// unregister takes back what register has noted, for a consent that nobody was sent to.
func (f *Flow) unregister(key tokencache.Key, state string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.consents, state)
	if recent := f.starts[key]; len(recent) > 1 {
		f.starts[key] = recent[:len(recent)-1]
	} else {
		delete(f.starts, key)
	}
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
		return nil, errState("This consent was begun in another browser, or under another name of this server, " +
			"or the browser does not keep cookies.")
	case c.used:
		return c, errUsed()
	case now.After(c.expires):
		return c, errState("This consent was begun more than 10 minutes ago.")
	}
	c.used = true
	return c, nil
}
