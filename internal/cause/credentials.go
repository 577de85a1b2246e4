package cause

import (
	"cmp"
	"strings"
)

// ClientCredentials are those of an account with `grant_type client_credentials`. Nobody consents
// to anything there, so what is refused is mended in the configuration.
type ClientCredentials struct {
	Block   string // where its options stand, as in "client main"
	SOID    string // "" = none is configured
	Scopes  []string
	Inherit string // block that the scopes stand in, if it is another one
	Connect string // command that connects the account by a self client's code
}

// credentialsTable has the rows that read otherwise for such an account.
var credentialsTable = map[Cause]Explanation{
	Rejected: {
		What: table[Rejected].What,
		Why: table[Rejected].Why + "; or the client is not a Self Client, the only type that gets tokens " +
			"without consent",
		Do: "check in Zoho's API console that it is a Self Client, and compare client_id, client_secret and data_center; " +
			"{doctor} shows more; once it is changed there, {refresh} ends the wait",
	},
	ClientUnknown: {
		What: table[ClientUnknown].What + ", or issues no token to it without consent",
		Why:  "the client id is unknown at {server}, or the client is not a Self Client",
		Do: "check in Zoho's API console that it is a Self Client; then that data_center is right, and enabled " +
			"for the client there; once that is changed, {refresh} ends the wait",
	},
	Budget: {
		What: table[Budget].What,
		Why: "this client requested {budget} within {window} for all its accounts with `grant_type client_credentials`, " +
			"and Zoho blocks a client that requests more",
		Do: table[Budget].Do,
	},
	OrgNeeded: {
		What: "Zoho requires an organization",
		Why:  "Zoho wants to know which organization the token is for, and {soid}",
		Do: "add `soid SERVICE.ORG` to {block}, as in `soid ZohoCRM.600…`: the service name that scopes begin with, and the " +
			"organization's id; {otherwise}",
	},
	OrgRefused: {
		What: "Zoho refuses the organization",
		Why:  "{soid}",
		Do: "add `soid SERVICE.ORG` to {block}, as in `soid ZohoCRM.600…`, with the service name that scopes begin with, and " +
			"the id of an organization that the client's owner belongs to; {otherwise}",
	},
	ScopeRefused: {
		What: "Zoho refuses one of the scopes",
		Why:  "one of them does not exist, or Zoho does not grant it to this client",
		Do: "compare the line `scopes {scopes}` in {listed} with the API's documentation, letter by letter, " +
			"and remove what is not there",
	},
	GrantType: {
		What: "Zoho issues no token to this client without consent",
		Why:  "the client is not a Self Client, or the product does not accept `grant_type client_credentials`",
		Do:   "check that client_id and client_secret are those of a Self Client; {otherwise}",
	},
	Throttled: {
		What: table[Throttled].What,
		Why:  "too many access tokens were requested; Zoho issues 10 in 10 minutes, and seems to count them per client",
		Do: "find what else requests tokens with this client, such as a second copy of this proxy or a script; " +
			"the proxy tries again when Zoho allows it",
	},
	TooManyCalls: {
		What: table[TooManyCalls].What,
		Why:  "Zoho issues 10 access tokens in 10 minutes, and seems to count them per client",
		Do:   "make no token calls for at least 10 minutes, and make sure that no other program uses this client",
	},
	Contended: {
		What: "another program seems to use this client",
		Why:  table[Contended].Why,
		Do:   "unless that was you, have the other program call through this proxy, or give it another account at Zoho",
	},
}

// filled is what the placeholders of these rows stand for.
func (c *ClientCredentials) filled() []string {
	block, soid, scopes, out := "the client", "none is configured", "SCOPE…", "remove `grant_type` and `soid` from the client"
	switch {
	case strings.HasPrefix(c.Block, "account "):
		block = "the block of `" + c.Block + "`"
		out = "remove " + block
	case c.Block != "":
		block = "the block of `" + c.Block + "`"
		out = "remove `grant_type` and `soid` from " + block
	}
	listed := block
	if c.Inherit != "" {
		listed = "the block of `" + c.Inherit + "`"
	}
	if c.SOID != "" {
		soid = "it does not accept `soid " + c.SOID + "` as one"
	}
	if len(c.Scopes) > 0 {
		scopes = strings.Join(c.Scopes, " ")
	}
	return []string{
		"{block}", block,
		"{listed}", listed,
		"{soid}", soid,
		"{scopes}", scopes,
		"{otherwise}", "if the product does not accept client credentials, " + out + " and connect the account with a self client's " +
			"code: `" + cmp.Or(c.Connect, "caddy zoho connect CLIENT ACCOUNT --self-client") + "`",
	}
}

// rowFor is the row of the account's kind.
func (f Facts) rowFor(c Cause) Explanation {
	if f.ClientCredentials == nil {
		return table[c]
	}
	return cmp.Or(credentialsTable[c], table[c])
}
