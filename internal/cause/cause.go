// Package cause says in one place what people are told of a failure: what happened, why, and
// what to do about it. The answers to apps, the pages of onboarding, doctor, notifications and
// Zoho's own refusals take their texts from its table, so that one cause reads alike wherever
// it shows.
//
// It knows texts and placeholders and nothing else: not which failure is which cause, not how
// it is answered.
package cause

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// Cause names a reason. The first ones are the words of tokencache.Kind.
type Cause string

// Why a connection has no token to give.
const (
	NoGrant   Cause = "no_grant"        // nobody has consented
	Dead      Cause = "grant_dead"      // the refresh token is not accepted
	Rejected  Cause = "client_rejected" // the client's id, secret or data center is wrong
	Throttled Cause = "throttled"       // Zoho wants silence
	Budget    Cause = "budget_spent"    // our own limit, short of Zoho's
	Temporary Cause = "temporary"       // not reachable, or an answer that says nothing
	Store     Cause = "store"           // the store cannot be used
)

// What else is told of a connection.
const (
	Unnamed    Cause = "unnamed"    // the request names no account
	Unreadable Cause = "unreadable" // there is a grant, and it cannot be read
	Unwritten  Cause = "unwritten"  // the store takes nothing
	Contended  Cause = "contended"  // another program uses the grant
	Loop       Cause = "loop"       // Zoho's name leads back here
)

// What Zoho's accounts servers refuse.
const (
	ClientUnknown Cause = "client_unknown"
	WrongSecret   Cause = "wrong_secret"
	RedirectURI   Cause = "redirect_uri"
	OrgNeeded     Cause = "org_needed"
	OrgRefused    Cause = "org_refused"
	ScopeRefused  Cause = "scope_refused"
	GrantType     Cause = "grant_type"
	CodeRefused   Cause = "code_refused"
	NotRevocable  Cause = "not_revocable" // a grant that is gone already
	TooManyCalls  Cause = "too_many_calls"
	Unreachable   Cause = "unreachable"
	Trouble       Cause = "trouble"     // of Zoho's, by a 5xx
	NoAccounts    Cause = "no_accounts" // what answers is no accounts server
	Nonsense      Cause = "nonsense"
)

// Explanation is what people are told. Each part is a piece of a sentence: it begins in lower
// case and ends without a stop.
type Explanation struct {
	What string // happened
	Why  string // as far as it is known; "" where only the failure itself tells
	Do   string // about it
}

// table has a row for each Cause. Placeholders stand in braces; Facts fills them.
var table = map[Cause]Explanation{
	NoGrant: {
		What: "the account is not connected",
		Why:  "neither the configuration nor the store has a refresh token",
		Do:   "{consent}",
	},
	Dead: {
		What: "Zoho does not accept the refresh token any more",
		Why:  "the refresh token is revoked, not from {server}, or was evicted by the user's 21st for this client (Zoho keeps 20)",
		Do:   "if it has never worked, check data_center and client_id first; otherwise {consent}",
	},
	Rejected: {
		What: "Zoho rejects the client",
		Why: "client_id, client_secret or data_center is wrong, " +
			"or that data center is not enabled for the client in Zoho's API console",
		Do: "compare client_id, client_secret and data_center with Zoho's API console; {doctor} tells which is wrong",
	},
	Throttled: {
		What: "Zoho throttles: it gives no access token for a while",
		Why:  "too many access tokens were asked for; Zoho gives 10 in 10 minutes for a grant",
		Do: "the proxy keeps silent until Zoho answers again; " +
			"see who else asks for tokens with this grant, a second copy of this proxy or a script",
	},
	Budget: {
		What: "the budget of access tokens is spent",
		Why:  "{budget} were asked for within {window}, and Zoho blocks whoever asks for more",
		Do: "the proxy asks for the next one when the window allows it; see the log's `access token renewed` lines " +
			"for their causes: tokens that are revoked, a restart loop without its store",
	},
	Temporary: {
		What: "Zoho's authorization server gives no token",
		Why:  "{server} could not be reached or did not answer usably",
		Do:   "the proxy tries again; if that keeps failing, check name resolution, firewall, proxy and certificates",
	},
	Store: {
		What: "the token store cannot be used",
		Why:  "see the log for the reason",
		Do:   "mend that; until then only what is in memory is served, and a restart loses it",
	},
	Unnamed: {
		What: "the account is not connected",
		Why:  "the request does not say which account it is for",
		Do:   "`account` of zoho_proxy says where that is read from",
	},
	Unreadable: {
		What: "the grant cannot be read",
		Do:   "mend that; {doctor} tells how",
	},
	Unwritten: {
		What: "the store cannot be written",
		Do:   "mend that; until then only what is in memory is served, and a restart loses it",
	},
	Contended: {
		What: "another program uses this grant, it seems",
		Why: "{lost} lost early: Zoho refused them long before their end and took the next one; " +
			"revoking them by hand looks the same",
		Do: "unless it was you, give that program a client of its own in Zoho's API console, " +
			"or let it call through this proxy",
	},
	Loop: {
		What: "Zoho's host name leads back here",
		Do:   "see the hosts file and the DNS server of this machine",
	},
	ClientUnknown: {
		What: "Zoho does not know this client id in this data center",
		Why:  "the client id is unknown at {server}",
		Do: "see whether the data center is wrong, or not enabled for the client in Zoho's API console, " +
			"where each one is enabled separately",
	},
	WrongSecret: {
		What: "Zoho refuses the client secret",
		Why: "the secret is not the one for {server}; " +
			"each data center has its own, unless the console is told to use one everywhere",
		Do: "compare client_secret with the API console, it may have been rolled over",
	},
	RedirectURI: {
		What: "the redirect URI is not one that is registered for the client",
		Do:   "register it in Zoho's API console, to the letter; a self client's code goes without",
	},
	OrgNeeded: {
		What: "Zoho requires an organization",
		Why: "this grant is of a kind that needs a `soid`, which names an organization, " +
			"and the proxy's token calls have none",
		Do: "use a grant made by consent or with a self client's code; such a grant carries its organization: {consent}",
	},
	OrgRefused: {
		What: "Zoho refuses the organization",
		Why:  "this grant is not good for the organization that it belongs to any more",
		Do:   "use a grant made by consent or with a self client's code; such a grant carries its organization: {consent}",
	},
	ScopeRefused: {
		What: "Zoho refuses one of the scopes",
		Why:  "one of the scopes does not exist, or Zoho does not grant it to this client",
		Do:   "compare the scopes with the documentation of the API, letter by letter; then {consent}",
	},
	GrantType: {
		What: "Zoho does not take this kind of token call from the client",
		Why:  "the client's type in Zoho's API console does not allow it",
		Do:   "use a client of type Server-based Applications or Self Client, then {consent}",
	},
	CodeRefused: {
		What: "Zoho did not accept the code",
		Why:  "the code was used before, is more than a minute or two old, or was made for another server than {server}",
		Do:   "start consent again",
	},
	NotRevocable: {
		What: "Zoho did not revoke the grant",
		Why:  "nothing is left to revoke there",
		Do:   "forget the grant",
	},
	TooManyCalls: {
		What: "Zoho throttles",
		Why:  "Zoho gives 10 access tokens in 10 minutes for a grant",
		Do:   "make no token call for at least 10 minutes, and see that no other program uses this grant",
	},
	Unreachable: {
		What: "{server} cannot be reached",
		Do:   "see name resolution, firewall, proxy and certificates",
	},
	Trouble: {
		What: "Zoho Accounts is in trouble, as its status page may say",
		Do:   "it is tried again",
	},
	NoAccounts: {
		What: "{server} does not answer as an authorization server does",
		Do:   "see that it is the URL of an accounts server; otherwise Zoho is in trouble, it is tried again",
	},
	Nonsense: {
		What: "the answer makes no sense for a token request",
		Do:   "it is tried again",
	},
}

// Facts are what the placeholders stand for. What is not known is left out, and told in
// general words.
type Facts struct {
	Client  string
	Account string
	Server  string // accounts server, as a URL
	Consent string // how to get another grant, as in "give consent: caddy zoho connect main"
	Budget  int    // access tokens in Window
	Window  time.Duration
	Lost    int // access tokens that were lost early
	// ClientCredentials are those of an account that needs no consent; nil = it needs one.
	ClientCredentials *ClientCredentials
}

// Of is the explanation of a cause, "" in all parts for one that has none.
func Of(c Cause, facts Facts) Explanation {
	e := facts.rowFor(c)
	fill := facts.replacer()
	return Explanation{What: fill.Replace(e.What), Why: fill.Replace(e.Why), Do: fill.Replace(e.Do)}
}

func (f Facts) replacer() *strings.Replacer {
	budget, window, lost := "all that are allowed", "its window", "access tokens were"
	if f.Budget > 0 {
		budget = fmt.Sprint(f.Budget)
	}
	if f.Window > 0 {
		window = words.Duration(f.Window)
	}
	if f.Lost == 1 {
		lost = "1 access token was"
	} else if f.Lost > 1 {
		lost = fmt.Sprintf("%d access tokens were", f.Lost)
	}
	doctor := strings.Join(strings.Fields("caddy zoho doctor "+f.Client+" "+f.Account), " ")
	pairs := []string{
		"{server}", cmp.Or(f.Server, "this accounts server"),
		"{consent}", cmp.Or(f.Consent, "grant consent again"),
		"{doctor}", doctor,
		"{refresh}", strings.Replace(doctor, "doctor", "refresh", 1),
		"{budget}", budget,
		"{window}", window,
		"{lost}", lost,
	}
	if f.ClientCredentials != nil {
		pairs = append(pairs, f.ClientCredentials.filled()...)
	}
	return strings.NewReplacer(pairs...)
}

// Hint is the cause and what to do in one piece of a sentence.
func (e Explanation) Hint() string {
	return cmp.Or(e.Why, e.What) + ": " + e.Do
}

// Sentence makes one of a piece: a capital, and a stop.
func Sentence(piece string) string {
	if piece == "" {
		return ""
	}
	return strings.ToUpper(piece[:1]) + piece[1:] + "."
}
