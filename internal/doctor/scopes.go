package doctor

import (
	"context"
	"slices"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// scopesLimit bounds the questions about names of scopes.
const scopesLimit = 20 * time.Second

// allScopes are those of the client and of its accounts.
func (e *exam) allScopes() []string {
	scopes := slices.Clone(e.client.Scopes)
	for _, account := range e.client.AccountNames() {
		scopes = append(scopes, e.client.ScopesOf(account)...)
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// scopeNames asks the client's home whether the configured scopes exist. Only a client that may ask for device
// codes learns that; of others nothing is told.
func (e *exam) scopeNames(ctx context.Context) {
	home := e.client.Centers[0]
	ways := e.client.AccountsOf(home)
	scopes := e.allScopes()
	if len(scopes) == 0 || len(ways) == 0 || !e.asks(home.Accounts) || !e.client.Shared.Asked.Allow() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, scopesLimit)
	defer cancel()
	unknown, err := ways[0].UnknownScopes(ctx, scopes)
	if zoho.IsWrongClientType(err) {
		return
	}
	near := ways[0].NearestScopes(ctx, unknown)
	for _, scope := range unknown {
		e.unknownScope(scope, near[scope])
	}
	switch {
	case err != nil && home.Custom: // not every server has device codes
	case err != nil:
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckScopes,
			Result: adminapi.ResultSkipped,
			What:   "not every scope could be checked",
			Why:    err.Error(),
		})
	case len(unknown) == 0:
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckScopes,
			Result: adminapi.ResultOK,
			What:   "all configured scopes exist",
		})
	}
}

// unknownScope tells of a scope that does not exist, and of the one that it may be meant to be.
func (e *exam) unknownScope(scope, near string) {
	do := "compare it with the documentation of the API, letter by letter"
	if near != "" {
		do = "if " + near + " is meant, which exists, write that in `scopes`; otherwise " + do
	}
	e.tell(adminapi.Finding{
		Check:  adminapi.CheckScopes,
		Result: adminapi.ResultFailed,
		What:   "there is no scope " + zoho.Excerpt(scope, 100),
		Why:    "Zoho says invalid_scope of it, and gives no consent to a list of scopes that has it",
		Do:     do,
	})
}
