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
		Why: table[Rejected].Why + "; or the client is not of the type Self Client, which alone gets tokens " +
			"without consent",
		Do: "see in Zoho's API console that it is a Self Client, and compare client_id, client_secret and data_center; " +
			"{doctor} tells more; once it is changed there, {refresh} ends the wait",
	},
	ClientUnknown: {
		What: table[ClientUnknown].What + ", or gives it no token without consent",
		Why:  "the client id is unknown at {server}, or the client is not of the type Self Client",
		Do: "see in Zoho's API console that it is a Self Client; then whether the data center is wrong, or not enabled " +
			"for the client there; once that is changed, {refresh} ends the wait",
	},
	Budget: {
		What: table[Budget].What,
		Why: "{budget} were asked for within {window} by this client, whose accounts with `grant_type client_credentials` " +
			"share them, and Zoho blocks whoever asks for more",
		Do: table[Budget].Do,
	},
	OrgNeeded: {
		What: "Zoho requires an organization",
		Why:  "Zoho wants to know for which organization the token is, and {soid}",
		Do: "write `soid SERVICE.ORG` into {block}, as in `soid ZohoCRM.600…`: the service as scopes begin with it, and the " +
			"organization's id; {otherwise}",
	},
	OrgRefused: {
		What: "Zoho refuses the organization",
		Why:  "{soid}",
		Do: "write `soid SERVICE.ORG` into {block}, as in `soid ZohoCRM.600…`, with the service as scopes begin with it, and " +
			"the id of an organization that the client's owner belongs to; {otherwise}",
	},
	ScopeRefused: {
		What: "Zoho refuses one of the scopes",
		Why:  "one of them does not exist, or Zoho does not grant it to this client",
		Do: "compare the line `scopes {scopes}` of {listed} with the documentation of the API, letter by letter, " +
			"and take out what is not there",
	},
	GrantType: {
		What: "Zoho gives this client no token without consent",
		Why:  "the client is not of the type Self Client, or the product does not take `grant_type client_credentials`",
		Do:   "see that id and secret are a Self Client's; {otherwise}",
	},
	Throttled: {
		What: table[Throttled].What,
		Why:  "too many access tokens were asked for; Zoho gives 10 in 10 minutes, counted for the whole client, it seems",
		Do: "the proxy keeps silent until Zoho answers again; " +
			"see who else asks for tokens with this client, a second copy of this proxy or a script",
	},
	TooManyCalls: {
		What: table[TooManyCalls].What,
		Why:  "Zoho gives 10 access tokens in 10 minutes, counted for the whole client, it seems",
		Do:   "make no token call for at least 10 minutes, and see that no other program uses this client",
	},
	Contended: {
		What: "another program uses this client, it seems",
		Why:  table[Contended].Why,
		Do:   "unless it was you, let that program call through this proxy, or give it another account at Zoho",
	},
}

// filled is what the placeholders of these rows stand for.
func (c *ClientCredentials) filled() []string {
	block, soid, scopes, out := "the client", "none is configured", "SCOPE…", "take `grant_type` and `soid` out of the client"
	switch {
	case strings.HasPrefix(c.Block, "account "):
		block = "the block of `" + c.Block + "`"
		out = "take " + block + " out"
	case c.Block != "":
		block = "the block of `" + c.Block + "`"
		out = "take `grant_type` and `soid` out of " + block
	}
	listed := block
	if c.Inherit != "" {
		listed = "the block of `" + c.Inherit + "`"
	}
	if c.SOID != "" {
		soid = "it does not take `soid " + c.SOID + "` for one"
	}
	if len(c.Scopes) > 0 {
		scopes = strings.Join(c.Scopes, " ")
	}
	return []string{
		"{block}", block,
		"{listed}", listed,
		"{soid}", soid,
		"{scopes}", scopes,
		"{otherwise}", "if the product takes no client credentials, " + out + " and connect the account by a self client's " +
			"code: " + cmp.Or(c.Connect, "caddy zoho connect CLIENT ACCOUNT --self-client"),
	}
}

// rowFor is the row of the account's kind.
func (f Facts) rowFor(c Cause) Explanation {
	if f.ClientCredentials == nil {
		return table[c]
	}
	return cmp.Or(credentialsTable[c], table[c])
}
