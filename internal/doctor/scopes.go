package doctor

import (
	"context"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// scopesLimit bounds the questions about names of scopes.
const scopesLimit = 20 * time.Second

// scopeNames asks the client's home whether the configured scopes exist. Only a client that may ask for device
// codes learns that; of others nothing is told.
func (e *exam) scopeNames(ctx context.Context) {
	home := e.client.Centers[0]
	ways := e.client.AccountsOf(home)
	if len(e.client.Scopes) == 0 || len(ways) == 0 || !e.asks(home.Accounts) || !e.client.Shared.Asked.Allow() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, scopesLimit)
	defer cancel()
	unknown, err := ways[0].UnknownScopes(ctx, e.client.Scopes)
	if zoho.IsWrongClientType(err) {
		return
	}
	for _, scope := range unknown {
		e.unknownScope(scope, ways[0].NearestScope(ctx, scope))
	}
	switch {
	case err != nil && home.Custom: // not every server has device codes
	case err != nil:
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckScopes,
			Result: adminapi.ResultSkipped,
			What:   "it was not asked of all scopes whether they exist",
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
