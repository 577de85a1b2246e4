package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/metrics"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// connection tells what is known of a connection, and whether a call is worth a try.
func (e *exam) connection(ctx context.Context, s tokencache.Status) (well bool) {
	next := ""
	if !s.NextTry.IsZero() {
		next = ", tried again at " + s.NextTry.Local().Format(time.TimeOnly)
	}
	switch {
	case !s.HasGrant:
		e.noGrant(s)
		return false
	case s.Waiting == tokencache.KindDead:
		e.deadGrant(ctx, s)
		return false
	case s.Waiting == tokencache.KindRejected:
		why := zoho.Rejection(s.LastError)
		told := e.client.Explain(why, s.Account)
		if why == cause.Rejected { // of which other checks know more
			told.Do = seeCredentials
		}
		e.tell(adminapi.Finding{
			Check:   adminapi.CheckGrant,
			Result:  adminapi.ResultFailed,
			Account: s.Account,
			What:    told.What + " at the renewal" + next,
			Why:     s.LastError,
			Do:      told.Do,
		})
		return false
	}
	if e.otherOrganization(s) {
		return false
	}
	e.waiting(s, next)
	e.contention(s)
	e.unrecognized(s)
	return s.HasToken || s.Waiting == 0 && s.BudgetLeft > 0
}

// otherOrganization tells of a grant that another organization has given than the one that is configured by now.
func (e *exam) otherOrganization(s tokencache.Status) bool {
	soid := e.client.SOIDOf(s.Account)
	if !e.client.Org() || s.Configured || s.Org == "" || s.Org == soid {
		return false
	}
	e.tellConsent(adminapi.Finding{
		Check:   adminapi.CheckGrant,
		Account: s.Account,
		What:    fmt.Sprintf("the grant was given by %s, and soid names %s", s.Org, soid),
		Why:     "what is configured says whom to ask; the grant that is there goes on serving the organization that gave it",
		Do:      e.client.Consent(s.Account) + "; or restore the old soid",
	})
	return true
}

// waiting tells why no token is asked for now; next is when one will be.
func (e *exam) waiting(s tokencache.Status, next string) {
	switch {
	case s.Waiting == tokencache.KindThrottled:
		told := e.client.Explain(cause.Throttled, s.Account)
		e.tell(adminapi.Finding{
			Check:   adminapi.CheckBudget,
			Result:  adminapi.ResultFailed,
			Account: s.Account,
			What:    told.What + next,
			Why:     s.LastError,
			Do:      told.Do,
		})
	case s.BudgetLeft == 0:
		told := e.client.Explain(cause.Budget, s.Account)
		e.tell(adminapi.Finding{
			Check:   adminapi.CheckBudget,
			Result:  adminapi.ResultFailed,
			Account: s.Account,
			What:    told.What + next,
			Why:     told.Why,
			Do:      told.Do,
		})
	case s.Waiting == tokencache.KindTemporary && !slices.Contains(e.down, s.AccountsServer):
		e.tell(adminapi.Finding{
			Check:   adminapi.CheckGrant,
			Result:  adminapi.ResultWarning,
			Account: s.Account,
			What:    "the last renewal failed" + next,
			Why:     s.LastError,
			Do:      "nothing, if the authorization server can be reached now",
		})
	}
}

const seeCredentials = "see what is said of the client's credentials and data centers"

func (e *exam) noGrant(s tokencache.Status) {
	if s.NoGrant != tokencache.KindNoGrant {
		told := e.client.Explain(cause.Unreadable, s.Account)
		e.tell(adminapi.Finding{
			Check:   adminapi.CheckGrant,
			Result:  adminapi.ResultFailed,
			Account: s.Account,
			What:    told.What,
			Why:     s.LastError,
			Do:      e.client.Readable(s.Account),
		})
		return
	}
	told := e.client.Explain(cause.NoGrant, s.Account)
	if ref := e.client.GrantRef(s.Account); ref.IsSet() {
		if _, err := ref.Credential(); err != nil {
			told.Why = err.Error()
		}
	}
	e.tellConsent(adminapi.Finding{
		Check:   adminapi.CheckGrant,
		Account: s.Account,
		What:    told.What,
		Why:     told.Why,
		Do:      told.Do,
	})
}

// deadGrant looks whether the grant is only asked for at the wrong data center.
func (e *exam) deadGrant(ctx context.Context, s tokencache.Status) {
	told := e.client.Explain(cause.Dead, s.Account)
	why := cmp.Or(s.LastError, told.Why)
	if s.Configured {
		center, unknown := e.livesAt(ctx, s)
		if center != "" {
			e.tell(adminapi.Finding{
				Check:   adminapi.CheckGrant,
				Result:  adminapi.ResultFailed,
				Account: s.Account,
				What:    "wrong data center: the refresh token is one of " + center,
				Why:     "it is refused by " + s.AccountsServer + " and accepted there",
				Do:      e.moveTo(s.Account, center),
			})
			return
		}
		if unknown != nil {
			why += "; the client's other data centers were not all asked: " + unknown.Error()
		}
		if known := e.elsewhere(*e.client.CenterOf(s.Account, s.AccountsServer)); len(known) > 0 {
			why += "; the client is known at " + strings.Join(known, ", ") +
				" as well: if the token was made there, that is the data center to configure"
		}
	}
	e.tellConsent(adminapi.Finding{
		Check:   adminapi.CheckGrant,
		Account: s.Account,
		What:    "dead grant: " + told.What,
		Why:     why,
		Do:      e.client.Consent(s.Account),
	})
}

func (e *exam) moveTo(account, center string) string {
	if account == onboard.DefaultAccount && e.client.RefreshToken.IsSet() {
		return fmt.Sprintf("make %s the first of `data_center`, "+
			"or give the token as `account %s { data_center %s; refresh_token … }`", center, account, center)
	}
	return fmt.Sprintf("write `data_center %s` in the block of account %s", center, account)
}

// livesAt is the other data center of the client that accepts a configured refresh token,
// "" if none does; the error says that it is not known of all. Being accepted costs an
// access token, so what came out once is remembered.
func (e *exam) livesAt(ctx context.Context, s tokencache.Status) (code string, unknown error) {
	grant, configured, err := e.client.Grant(s.Account)
	if err != nil || !configured {
		return "", err
	}
	if code, ok := e.Moved.Load(grant.RefreshToken); ok {
		return code.(string), nil
	}
	for _, center := range e.client.Centers {
		if center.Accounts == s.AccountsServer {
			continue
		}
		if ctx.Err() != nil {
			return "", errors.New("there was no time left")
		}
		grant.AccountsServer = center.Accounts
		_, err := e.client.Shared.Cache.Verify(e.client.Cache, s.Key, grant)
		var failure *tokencache.Error
		switch {
		case err == nil:
			e.Moved.Store(grant.RefreshToken, center.Code)
			return center.Code, nil
		case !errors.As(err, &failure),
			failure.Kind != tokencache.KindDead && failure.Kind != tokencache.KindRejected:
			unknown = err
		}
	}
	return "", unknown
}

func (e *exam) contention(s tokencache.Status) {
	switch {
	case s.State == tokencache.StateContended:
		told := cause.Of(cause.Contended, cause.Facts{
			Lost:              s.LostEarly,
			ClientCredentials: e.client.ClientCredentials(s.Account),
		})
		e.tell(adminapi.Finding{
			Check:   adminapi.CheckContention,
			Result:  adminapi.ResultFailed,
			Account: s.Account,
			What:    told.What,
			Why:     told.Why,
			Do:      told.Do,
		})
	case s.LostEarly > 0:
		e.tell(adminapi.Finding{
			Check:   adminapi.CheckContention,
			Result:  adminapi.ResultWarning,
			Account: s.Account,
			What:    words.Plural(s.LostEarly, "access token") + " lost early",
			Why: "Zoho refused it before its end and took the next one: revoked by hand, or another " +
				"program uses this grant",
			Do: "if it goes on, give that program a client of its own",
		})
	}
}

// unrecognized tells of refusals that the proxy does not know. They may mean anything.
func (e *exam) unrecognized(s tokencache.Status) {
	for _, r := range e.Unknown.Of(s.Key) {
		e.tell(adminapi.Finding{
			Check:   adminapi.CheckCall,
			Result:  adminapi.ResultWarning,
			Account: s.Account,
			What: fmt.Sprintf("%s refused calls in a way that is not known, the last one at %s",
				metrics.ServiceLabel(r.Service), r.At.Local().Format(time.DateTime)),
			Why: fmt.Sprintf("it answered %d with the content type %q, %s; a dead token, "+
				"a missing scope and a service in trouble can look like that",
				r.Status, r.ContentType, words.Times(r.Count)),
			Do: "see what the log says of the answer; compare the scopes with those that the service " +
				"takes, and call it by hand",
		})
	}
}
