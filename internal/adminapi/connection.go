// Package adminapi is what the admin endpoint below /zoho/ and the commands say to each other:
// requests, answers, errors, findings. None of it holds a secret.
package adminapi

import (
	"fmt"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Connection is a connection as the admin API shows it.
type Connection struct {
	Client     string `json:"client"`
	Account    string `json:"account"`
	State      string `json:"state"`
	DataCenter string `json:"data_center"`
	Configured bool   `json:"configured"`
	// How tokens are asked for without a refresh token: client_credentials, or "".
	GrantType   string     `json:"grant_type,omitempty"`
	HasGrant    bool       `json:"has_grant"`
	HasToken    bool       `json:"has_token"`
	Expires     *time.Time `json:"expires,omitempty"`
	SecondsLeft int64      `json:"seconds_left"`
	Generation  uint64     `json:"generation"`
	BudgetLeft  int        `json:"budget_left"`
	Scopes      []string   `json:"scopes,omitempty"` // none = Zoho has not said which ones
	// Scopes of the configuration that the grant is known to lack.
	MissingScopes []string `json:"missing_scopes,omitempty"`
	User          string   `json:"user,omitempty"` // who consented
	Org           string   `json:"org,omitempty"`
	// Refresh tokens that we know of; Zoho keeps 20 per user and client.
	RefreshTokensKnown int `json:"refresh_tokens_known"`
	// Zoho refused the current token, and its renewal waits.
	TokenRefused bool       `json:"token_refused,omitempty"`
	NeedsConsent bool       `json:"needs_consent"`
	LostEarly    int        `json:"lost_early"`
	LastError    string     `json:"last_error,omitempty"`
	LastErrorAt  *time.Time `json:"last_error_at,omitempty"`
	NextTry      *time.Time `json:"next_try,omitempty"`
	Simulated    bool       `json:"simulated,omitempty"`
	// Callers with a name that have used it since Caddy was started.
	Callers []string `json:"callers,omitempty"`
}

// Unreadable reports whether there may be a grant, which cannot be had.
func (c Connection) Unreadable() bool { return c.State == tokencache.StateUnreadable }

// List is the answer of GET /zoho/connections.
type List struct {
	Clients     []string     `json:"clients"` // all that are configured
	Connections []Connection `json:"connections"`
	Total       int          `json:"total"` // before the limit
	// How many of all these need consent.
	NeedConsent int    `json:"need_consent"`
	Store       string `json:"store"` // where all of them are kept
	// Why stored grants cannot be read, so that accounts may be missing: the store, the reason, what to do.
	StoreError string `json:"store_error,omitempty"`
	// What should be looked at in the store, as grants in it that were deleted.
	Warnings []string `json:"warnings,omitempty"`
	// By which keys the store is sealed, where encryption_key is configured.
	Keys *Keys `json:"keys,omitempty"`
}

// Accounts is what Status takes: none is all.
func Accounts(account string) []string {
	if account == "" {
		return nil
	}
	return []string{account}
}

// NoAccount says which accounts there are instead, some of them.
func NoAccount(client, account string, names []string) error {
	there := "it has none yet: `caddy zoho connect` brings one in"
	if len(names) > 0 {
		there = "it has " + words.Some(names, 10, len(names))
	}
	return fmt.Errorf(
		"client %s has no account %s%s; %s",
		client,
		onboard.ShowAccount(account),
		words.DidYouMean(account, names),
		there,
	)
}
