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
		Why:  "there is no refresh token for it in the configuration or in the store",
		Do:   "{consent}",
	},
	Dead: {
		What: "Zoho no longer accepts the refresh token",
		Why: "the refresh token was revoked, was not issued by {server}, " +
			"or was dropped when the user connected this client for the 21st time (Zoho keeps 20)",
		Do: "if it never worked, check data_center and client_id first; otherwise {consent}",
	},
	Rejected: {
		What: "Zoho rejects the client",
		Why: "client_id, client_secret or data_center is wrong, " +
			"or that data center is not enabled for the client in Zoho's API console",
		Do: "compare client_id, client_secret and data_center with Zoho's API console; {doctor} shows which one is wrong",
	},
	Throttled: {
		What: "Zoho is throttling: it issues no access tokens for a while",
		Why:  "too many access tokens were requested; Zoho issues 10 in 10 minutes per grant",
		Do: "find what else requests tokens with this grant, such as a second copy of this proxy or a script; " +
			"the proxy tries again when Zoho allows it",
	},
	Budget: {
		What: "the access token budget is spent",
		Why:  "{budget} were requested within {window}, and Zoho blocks a grant that requests more",
		Do: "look at `cause` in the `access token renewed` lines of the log: revoked tokens, or a restart loop without " +
			"its store, use the budget up; the proxy requests the next token as soon as the window allows",
	},
	Temporary: {
		What: "Zoho's authorization server issued no token",
		Why:  "{server} could not be reached, or its answer was not usable",
		Do:   "wait, the proxy tries again; if this goes on, check name resolution, firewall, proxy and certificates",
	},
	Store: {
		What: "the token store cannot be used",
		Why:  "the log has the reason",
		Do:   "fix that; until then the proxy serves only tokens that it has in memory, and a restart loses those",
	},
	Unnamed: {
		What: "the account is not connected",
		Why:  "the request does not say which account it is for",
		Do:   "have the app name its account where `account` in zoho_proxy reads it",
	},
	Unreadable: {
		What: "the grant cannot be read",
		Do:   "fix that; {doctor} shows how",
	},
	Unwritten: {
		What: "the store cannot be written to",
		Do:   "fix that; until then the proxy serves only tokens that it has in memory, and a restart loses those",
	},
	Contended: {
		What: "another program seems to use this grant",
		Why: "{lost} lost early: Zoho refused an access token long before it expired, and accepted the next one; " +
			"revoking tokens by hand looks the same",
		Do: "unless that was you, give the other program its own client in Zoho's API console, " +
			"or have it call through this proxy",
	},
	Loop: {
		What: "Zoho's host name points to the wrong address",
		Do:   "check the hosts file and the DNS server of this machine",
	},
	ClientUnknown: {
		What: "Zoho does not know this client id in this data center",
		Why:  "the client id is unknown at {server}",
		Do: "check that data_center is right, and that this data center is enabled for the client in Zoho's API console, " +
			"where each one has its own switch",
	},
	WrongSecret: {
		What: "Zoho refuses the client secret",
		Why: "the secret is not the one for {server}; " +
			"each data center has its own, unless the API console is set to use the same one everywhere",
		Do: "compare client_secret with Zoho's API console; it may have been replaced there",
	},
	RedirectURI: {
		What: "the redirect URI is not registered for the client",
		Do:   "register it in Zoho's API console, character for character; a self client's code needs none",
	},
	OrgNeeded: {
		What: "Zoho requires an organization",
		Why: "this kind of grant needs a `soid`, which names an organization, " +
			"and the proxy sends none for it",
		Do: "use a grant from consent or from a self client's code, which carries its organization: {consent}",
	},
	OrgRefused: {
		What: "Zoho refuses the organization",
		Why:  "this grant is no longer valid for its organization",
		Do:   "use a grant from consent or from a self client's code, which carries its organization: {consent}",
	},
	ScopeRefused: {
		What: "Zoho refuses one of the scopes",
		Why:  "one of the scopes does not exist, or Zoho does not grant it to this client",
		Do:   "compare the scopes with the API's documentation, letter by letter; then {consent}",
	},
	GrantType: {
		What: "Zoho does not accept this kind of token call from the client",
		Why:  "the client's type in Zoho's API console does not allow it",
		Do:   "use a client of type Server-based Applications or Self Client, then {consent}",
	},
	CodeRefused: {
		What: "Zoho did not accept the code",
		Why:  "the code was used before, is more than a minute or two old, or was not issued by {server}",
		Do:   "start the consent again",
	},
	NotRevocable: {
		What: "Zoho did not revoke the grant",
		Why:  "there is nothing left to revoke",
		Do:   "forget the grant",
	},
	TooManyCalls: {
		What: "Zoho is throttling",
		Why:  "Zoho issues 10 access tokens in 10 minutes per grant",
		Do:   "make no token calls for at least 10 minutes, and make sure that no other program uses this grant",
	},
	Unreachable: {
		What: "{server} cannot be reached",
		Do:   "check name resolution, firewall, proxy and certificates",
	},
	Trouble: {
		What: "Zoho Accounts is having problems",
		Do:   "wait and try again; Zoho's status page may say more",
	},
	NoAccounts: {
		What: "{server} does not answer like an authorization server",
		Do:   "check that it is the URL of an accounts server; if it is, Zoho is having problems: wait and try again",
	},
	Nonsense: {
		What: "Zoho's answer to the token request makes no sense",
		Do:   "wait and try again; Zoho's status page may say more",
	},
}

// Facts are what the placeholders stand for. What is not known is left out, and told in
// general words.
type Facts struct {
	Client  string
	Account string
	Server  string // accounts server, as a URL
	Consent string // how to get another grant, as in "run `caddy zoho connect main`"
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
	budget, window, lost := "all allowed access tokens", "its window", "access tokens were"
	if f.Budget > 0 {
		budget = fmt.Sprintf("%d access tokens", f.Budget)
	}
	if f.Window > 0 {
		window = words.Duration(f.Window)
	}
	if f.Lost == 1 {
		lost = "1 access token was"
	} else if f.Lost > 1 {
		lost = fmt.Sprintf("%d access tokens were", f.Lost)
	}
	command := func(name string) string {
		return "`" + strings.Join(strings.Fields("caddy zoho "+name+" "+f.Client+" "+f.Account), " ") + "`"
	}
	pairs := []string{
		"{server}", cmp.Or(f.Server, "this accounts server"),
		"{consent}", cmp.Or(f.Consent, "connect the account again"),
		"{doctor}", command("doctor"),
		"{refresh}", command("refresh"),
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
	return strings.ToUpper(piece[:1]) + strings.TrimSuffix(piece[1:], ".") + "."
}
