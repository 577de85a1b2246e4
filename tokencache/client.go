package tokencache

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/lengthprefix"
)

// Client is what one loaded configuration knows of an OAuth client. The cache
// holds none of it: it is passed along with each call, so that a reload needs
// no word with the cache. Immutable, safe for concurrent use; pass the same
// pointer as long as the configuration is the same.
type Client struct {
	Name string

	RefreshBefore time.Duration // renew in the background with less life left than this; 0 = 5m
	KeepWarm      time.Duration // renew without being asked if used within it; 0 = never
	TokenWait     time.Duration // a call waits for the next try if that is due within it; 0 = it does not
	Budget        int           // token calls of a grant in BudgetWindow; 0 = 10
	BudgetWindow  time.Duration // 0 = 10m
	MaxLife       time.Duration // no token is believed to live longer; 0 = no cap

	// Accounts names the configured accounts; nil = none.
	Accounts func() []string
	// Grant returns the account's configured grant, resolved anew at each call.
	// With configured false the store is asked instead. An error says that the
	// configured value cannot be had now.
	Grant func(account string) (g Grant, configured bool, err error)
	// ClientID is part of the fingerprint of a grant.
	ClientID func() string
	// Secrets wrap the data keys of the store, each of them: any one opens.
	Secrets func() [][]byte
	// Credentials are what the client proves itself with. A rejected client is
	// tried again at once when they change; nil = Secrets.
	Credentials func() [][]byte
	// Fetch asks the authorization server for an access token. Its error is a
	// *FetchError; any other counts as temporary. It must end with ctx.
	Fetch func(ctx context.Context, key Key, g Grant) (Fetched, error)

	id atomic.Uint64 // see identity
}

// Fetched is an access token as the authorization server gave it.
type Fetched struct {
	AccessToken string
	Life        time.Duration // <= 0: not told, an hour
	APIDomain   string
	Scope       string
}

const (
	defaultRefreshBefore = 5 * time.Minute
	defaultBudget        = 10
	defaultWindow        = 10 * time.Minute
	defaultLife          = time.Hour
	longestLife          = 10 * 365 * 24 * time.Hour // keeps sums of nanoseconds within an int64
)

var clientIDs atomic.Uint64

// identity numbers the clients that the process has seen. Connections remember
// the number instead of the client, which would keep an old configuration alive.
func (cl *Client) identity() uint64 {
	if id := cl.id.Load(); id != 0 {
		return id
	}
	cl.id.CompareAndSwap(0, clientIDs.Add(1))
	return cl.id.Load()
}

func (cl *Client) refreshBefore() time.Duration {
	if cl.RefreshBefore > 0 {
		return cl.RefreshBefore
	}
	return defaultRefreshBefore
}

func (cl *Client) budget() int {
	if cl.Budget > 0 {
		return cl.Budget
	}
	return defaultBudget
}

func (cl *Client) window() time.Duration {
	if cl.BudgetWindow > 0 {
		return cl.BudgetWindow
	}
	return defaultWindow
}

// spent is the error of a budget that is, as far as it is there for the request.
func (cl *Client) spent(budget int) error {
	if kept := cl.budget() - budget; kept > 0 {
		return fmt.Errorf("%d token calls in %s are spent, and %d are kept for services that have accepted a token",
			budget, cl.window(), kept)
	}
	return fmt.Errorf("%d token calls in %s are spent", budget, cl.window())
}

// life is how long a token is believed to live that the server says lives d.
func (cl *Client) life(d time.Duration) time.Duration {
	if d <= 0 {
		d = defaultLife
	}
	if cl.MaxLife > 0 {
		d = min(d, cl.MaxLife)
	}
	return min(d, longestLife)
}

func (cl *Client) secrets() [][]byte {
	if cl.Secrets == nil {
		return nil
	}
	return cl.Secrets()
}

// digest tells one set of credentials from another, and nothing of either.
func (cl *Client) digest(fp Fingerprint) [8]byte {
	credentials := cl.Credentials
	if credentials == nil {
		credentials = cl.secrets
	}
	parts := []string{"credentials", string(fp[:])}
	for _, c := range credentials() {
		parts = append(parts, string(c))
	}
	sum := sha256.Sum256(lengthprefix.Join(parts...))
	return [8]byte(sum[:8])
}

// clientID is "" if it has no value now.
func (cl *Client) clientID() string {
	if cl.ClientID == nil {
		return ""
	}
	return cl.ClientID()
}

// fingerprint is MakeFingerprint for a grant of this client.
func (cl *Client) fingerprint(g Grant) Fingerprint { return MakeFingerprint(cl.clientID(), g) }

// ledgerID is makeLedgerID for a grant of this client.
func (cl *Client) ledgerID(g Grant) Fingerprint { return makeLedgerID(cl.clientID(), g) }
