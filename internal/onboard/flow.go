// Package onboard brings grants in: by consent in a browser (RFC 6749's authorization
// code), by an invitation to somebody else's browser, by a code or callback that was
// pasted, by a refresh token from elsewhere. It takes them out again as well.
//
// What is under way: flow.go says what that is. lifecycle.go begins and ends it. keep.go keeps it, in memory.go
// or for all replicas. limits.go says how much of it there may be, and share.go how much of it one caller's.
//
// The way of a grant: consent.go begins a consent and takes its callback. grant.go takes what is brought otherwise,
// and has each grant prove itself. pending.go is the grant until it is stored. store.go makes it the grant of an
// account, and change.go lets one at a time do so. device.go has a person consent on another device. confirm.go is what a person has to confirm, and lapse.go gives
// back what nobody has confirmed. widen.go adds scopes to a grant, and scopes.go asks what it has. revoke.go ends a
// grant. restore.go takes in those of a backup.
//
// The browser: serve.go answers it, and guard.go says whether it may see a page. pages.go makes the pages,
// pages_list.go the list and those of accounts, pages_manage.go what the option manage adds to them, pages_consent.go those
// on the way through a consent, and pages_scopes.go the one for scopes that are added. asks.go says what scopes ask for in
// words. pages_answer.go turns an answer of Zoho's away, and error_answer.go says why. preflight.go is what is looked at before one. invite.go makes
// the links for customers, and invited.go is their use.
package onboard

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// consentLife is how long a person may take: from the start to the callback, and with a question or a result.
const consentLife = 10 * time.Minute

// Flow holds the consents that are under way. It outlives reloads, holds no
// configuration, and is safe for concurrent use.
type Flow struct {
	Hooks
	cache   *tokencache.Cache
	store   Store
	pending Pending // of all replicas, if there are several
	fleet   bool    // there may be

	// A process that is alone holds it while it looks at the stored grant of an account, any of them, and
	// changes it accordingly: Zoho is not asked meanwhile. Taken before mu.
	changing sync.Mutex

	mu          sync.Mutex       // guards all below
	begun       map[string]begun // :: state → a consent that was begun here
	starts      map[tokencache.Key][]time.Time
	unconfirmed map[string]*unconfirmed // :: id → a grant that this process gives back unless somebody confirms it
	closed      bool                    // nothing is held any more

	ctx     context.Context // ends at Close
	end     context.CancelFunc
	looking sync.WaitGroup
}

// Store is the cache's store, and what else onboarding needs of it.
type Store interface {
	tokencache.Store
	Nonces

	// TryWrite says why a grant could not be stored now, nil if it could.
	TryWrite() error

	// Lost reports whether a grant that HasGrant names is not in the store any more, though nobody
	// has deleted it.
	Lost(key tokencache.Key) bool

	// SaveGrants stores many grants of a client, as SaveGrant does each, in as few steps as the
	// store can. With an error it has stored none of them; a Shared one may have stored some. With anew
	// it does as ReplaceGrant where none of the secrets opens what the client has.
	SaveGrants(client string, secrets [][]byte, grants map[string]tokencache.Grant, anew bool) error
	// Deleted says when grants were deleted that were not stored again since, and MarkDeleted
	// notes that of grants that were deleted elsewhere. What is noted already stays.
	Deleted() (map[tokencache.Key]time.Time, error)
	MarkDeleted(deleted map[tokencache.Key]time.Time) error
}

// Nonces are ids that are good once.
type Nonces interface {
	// ConsumeNonce reports whether an id is used the first time, and remembers it until then;
	// ReturnNonce takes that back, NonceConsumed reports whether it is remembered.
	ConsumeNonce(id string, until time.Time) (first bool, err error)
	ReturnNonce(id string) error
	NonceConsumed(id string) (used bool, err error)
}

// Pending keeps what is under way. A value is gone when its life is over.
type Pending interface {
	Nonces

	// Put keeps a value of a client under a name, in place of the one before.
	Put(client, name string, secrets [][]byte, value []byte, life time.Duration) error
	// Get returns a value, Take takes it away as well: one of those who try gets it.
	Get(client, name string, secrets [][]byte) (value []byte, found bool, err error)
	Take(client, name string, secrets [][]byte) (value []byte, found bool, err error)
}

// Shared is a Store of several processes: what begins at one of them may end at another. Values
// are sealed by what seals the client's grants.
type Shared interface {
	Store
	Pending
}

// Hooks are what a Flow tells others, and what they do for it. All are needed.
type Hooks struct {
	Connected func(Result)                           // a grant was stored
	Widened   func(Result)                           // scopes were added to one
	Gone      func(tokencache.Key)                   // an account has no stored grant any more
	Restored  func(client string, accounts []string) // have a grant of a backup
	Guard     func(func())                           // runs what nobody waits for, whose panic is not to end the process
	Clients   func() []*Client                       // those of the configuration that runs
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

// begun is what a consent counts by.
type begun struct {
	origin  netip.Addr // who has begun it, if that counts by its address
	expires time.Time
}

// unconfirmed is a grant that this process gives back, unless somebody confirms it before.
type unconfirmed struct {
	client *Client
	expiry *time.Timer
}
