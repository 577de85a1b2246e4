package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// maxCalled is how many connections of a client calls are made for.
const maxCalled = 20

// connections looks at all of the client's, and makes calls for some of those that look well.
func (e *exam) connections(ctx context.Context, statuses []tokencache.Status, account string) {
	if len(statuses) == 0 {
		e.noConnection(account)
		return
	}
	for _, text := range onboard.CountQuota(e.client.Shared.Cache.Status(e.client.Cache)).Warnings() {
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckGrant,
			Result: adminapi.ResultWarning,
			What:   text,
			Why:    "each consent takes one, and what is only forgotten here keeps it at Zoho",
			Do: "`caddy zoho revoke` gives back those that are not needed, `connect --revoke-old` the one " +
				"that it replaces",
		})
	}
	called := 0
	for i, s := range statuses {
		if ctx.Err() != nil {
			e.tell(adminapi.Finding{
				Check:  adminapi.CheckCall,
				Result: adminapi.ResultSkipped,
				What:   words.Plural(len(statuses)-i, "connection") + " not looked at: there was no time left",
				Do:     "name one: caddy zoho doctor " + e.client.Name + " ACCOUNT",
			})
			return
		}
		if !e.connection(ctx, s) {
			continue
		}
		if called++; called <= maxCalled {
			e.calls(ctx, s)
		}
	}
	if called > maxCalled {
		e.tell(adminapi.Finding{
			Check:  adminapi.CheckCall,
			Result: adminapi.ResultSkipped,
			What: fmt.Sprintf("%s look well, calls were made for %d of them",
				words.Plural(called, "connection"), maxCalled),
			Do: "name one: caddy zoho doctor " + e.client.Name + " ACCOUNT",
		})
	}
}

// noConnection tells that there is none, or not the one that was asked for. With grants that cannot be
// read, of which the store is told, nobody knows that, and a consent is no remedy.
func (e *exam) noConnection(account string) {
	if e.Store.CheckGrants() != nil {
		return
	}
	what, why := "no account is connected", e.client.Explain(cause.NoGrant, account).Why
	if account != "" {
		what = "there is no account " + onboard.ShowAccount(account)
		why = adminapi.NoAccount(e.client.Name, account, e.client.Shared.Cache.Accounts(e.client.Cache)).Error()
	}
	e.tellConsent(adminapi.Finding{
		Check: adminapi.CheckGrant,
		What:  what,
		Why:   why,
		Do:    e.client.Consent(cmp.Or(account, onboard.DefaultAccount)),
	})
}

// unserved tells of accounts that zoho_proxy names and nobody has connected while others
// are: a slip in a name looks well from everywhere else, and each request gets an error.
func (e *exam) unserved(statuses []tokencache.Status) {
	var known, connected []string
	for _, s := range statuses {
		known = append(known, s.Account)
		if s.HasGrant {
			connected = append(connected, s.Account)
		}
	}
	if e.Store.CheckGrants() != nil { // who is connected is not known
		return
	}
	served := make(map[string][]string) // addresses by account
	for p, listen := range e.proxies() {
		if !strings.Contains(p.Account, "{") && !slices.Contains(known, p.Account) {
			served[p.Account] = append(served[p.Account], listen...)
		}
	}
	for _, account := range slices.Sorted(maps.Keys(served)) {
		addresses := slices.Compact(slices.Sorted(slices.Values(served[account])))
		e.tellConsent(adminapi.Finding{
			Check:   adminapi.CheckGrant,
			Account: account,
			What: fmt.Sprintf("zoho_proxy at %s serves %s/%s, which is not connected",
				strings.Join(addresses, ", "), e.client.Name, account),
			Why: someConnected(connected),
			Do:  e.client.Consent(account) + "; if another account is meant, name it by `account` in zoho_proxy",
		})
	}
}

// someConnected names accounts among which the one that is meant may be.
func someConnected(accounts []string) string {
	if len(accounts) == 0 {
		return "no account of the client is connected"
	}
	return "connected are: " + words.Some(accounts, 10, len(accounts))
}
