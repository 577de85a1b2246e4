package onboard

import (
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// explain says what is wrong with a connection and what to do about it, nothing if it needs nothing. scopes are the
// client's.
func explain(s tokencache.Status, scopes []string) cause.Explanation {
	facts := cause.Facts{
		Client:  s.Client,
		Account: s.Account,
		Server:  s.AccountsServer,
		Consent: "connect it again",
		Lost:    s.LostEarly,
	}
	if s.ByClient {
		facts.ClientCredentials = &cause.ClientCredentials{
			Block:   blockOf(s.Account),
			SOID:    s.Org,
			Scopes:  s.Scopes,
			Connect: "caddy zoho connect " + s.Client + " " + s.Account + " --self-client",
		}
		if slices.Equal(s.Scopes, scopes) {
			facts.ClientCredentials.Inherit = "client " + s.Client
		}
	}
	return cause.Of(causeOf(s), facts)
}

// blockOf is where the options of an account stand: those of default may be the client's own.
func blockOf(account string) string {
	if account == DefaultAccount {
		return ""
	}
	return "account " + account
}

// causeOf is why a connection needs somebody, "" if it does not.
func causeOf(s tokencache.Status) cause.Cause {
	switch {
	case s.Unreadable():
		return cause.Unreadable
	case s.NoGrant == tokencache.KindNoGrant:
		return cause.NoGrant
	case s.NeedsConsent():
		return cause.Dead
	case s.State == tokencache.StateContended:
		return cause.Contended
	}
	why := cause.Cause(failing(s))
	if why == cause.Rejected {
		return zoho.Rejection(s.LastError)
	}
	return why
}

// failing is the word for what goes wrong now, "" for a failure that is over. That of
// the store is told as long as it lasts.
func failing(s tokencache.Status) string {
	word, _, _ := strings.Cut(s.LastError, ":")
	switch {
	case word == tokencache.KindStore.String():
		return word
	case s.Waiting != 0:
		return s.Waiting.String()
	case s.State == tokencache.StateOK && s.NextTry.IsZero():
		return ""
	}
	return word
}
