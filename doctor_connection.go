package caddyzoho

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/metrics"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/secret"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// maxCalled is how many connections of a client calls are made for.
const maxCalled = 20

// connections looks at all of the client's, and makes calls for some of those that look well.
func (e *exam) connections(ctx context.Context, statuses []tokencache.Status, account string) {
	if len(statuses) == 0 {
		what, why := "no account is connected", e.client.explain(cause.NoGrant, account).Why
		if account != "" {
			what = "there is no account " + printable(account)
			why = noAccount(e.client.name, account, e.client.shared.cache.Accounts(e.client.cache)).Error()
		}
		e.tellConsent(checkGrant, "", what, why, e.client.consent(cmp.Or(account, defaultAccount)))
		return
	}
	for _, text := range onboard.CountQuota(e.client.shared.cache.Status(e.client.cache)).Warnings() {
		e.tell(checkGrant, resultWarning, "", text, "each consent takes one, and what is only forgotten here keeps it at Zoho", "`caddy zoho revoke` gives back those that are not needed, `connect --revoke-old` the one that it replaces")
	}
	called := 0
	for i, s := range statuses {
		if ctx.Err() != nil {
			e.tell(checkCall, resultSkipped, "", words.Plural(len(statuses)-i, "connection")+" not looked at: there was no time left", "", "name one: caddy zoho doctor "+e.client.name+" ACCOUNT")
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
		e.tell(checkCall, resultSkipped, "", fmt.Sprintf("%s look well, calls were made for %d of them", words.Plural(called, "connection"), maxCalled), "",
			"name one: caddy zoho doctor "+e.client.name+" ACCOUNT")
	}
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
	served := make(map[string][]string) // addresses by account
	for h, listen := range e.handlers() {
		if !strings.Contains(h.Account, "{") && !slices.Contains(known, h.Account) {
			served[h.Account] = append(served[h.Account], listen...)
		}
	}
	for _, account := range slices.Sorted(maps.Keys(served)) {
		addresses := slices.Compact(slices.Sorted(slices.Values(served[account])))
		e.tellConsent(checkGrant, account, fmt.Sprintf("zoho_proxy at %s serves %s/%s, which is not connected", strings.Join(addresses, ", "), e.client.name, account),
			someConnected(connected), e.client.consent(account)+"; if another account is meant, name it by `account` in zoho_proxy")
	}
}

// someConnected names accounts among which the one that is meant may be.
func someConnected(accounts []string) string {
	const some = 10
	if len(accounts) == 0 {
		return "no account of the client is connected"
	}
	text := "connected are: " + strings.Join(accounts[:min(len(accounts), some)], ", ")
	if len(accounts) > some {
		text += fmt.Sprintf(" and %d more", len(accounts)-some)
	}
	return text
}

// consent is how to get another grant. What is configured has to go first.
func (c *Client) consent(account string) string {
	do := "give consent: " + c.connectCommand(account) + ", or the pages of zoho_connect"
	if len(c.Scopes) == 0 {
		do = "generate a code in Zoho's API console (self client) and give it to " + c.connectCommand(account) + "; with `scopes` in the client a browser serves as well"
	}
	if _, configured, err := c.grant(account); configured || err != nil {
		return "put another refresh_token in place of the configured one, or take that out and " + do
	}
	return do
}

// connectCommand brings a grant in. Without scopes there is nothing to ask consent for.
func (c *Client) connectCommand(account string) string {
	command := "caddy zoho connect " + c.name
	if onboard.AccountName.MatchString(account) {
		command += " " + account
	}
	if len(c.Scopes) == 0 {
		command += " --self-client"
	}
	return command
}

const seeCredentials = "see what is said of the client's credentials and data centers"

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
		told := e.client.explain(cause.Rejected, s.Account)
		e.tell(checkGrant, resultFailed, s.Account, told.What+" at the renewal"+next, s.LastError, seeCredentials)
		return false
	case s.Waiting == tokencache.KindThrottled:
		told := e.client.explain(cause.Throttled, s.Account)
		e.tell(checkBudget, resultFailed, s.Account, told.What+next, s.LastError, told.Do)
	case s.BudgetLeft == 0:
		told := e.client.explain(cause.Budget, s.Account)
		e.tell(checkBudget, resultFailed, s.Account, told.What+next, told.Why, told.Do)
	case s.Waiting == tokencache.KindTemporary && !slices.Contains(e.down, s.AccountsServer):
		e.tell(checkGrant, resultWarning, s.Account, "the last renewal failed"+next, s.LastError, "nothing, if the authorization server can be reached now")
	}
	e.contention(s)
	e.unrecognized(s)
	return s.HasToken || s.Waiting == 0 && s.BudgetLeft > 0
}

func (e *exam) noGrant(s tokencache.Status) {
	if s.NoGrant != tokencache.KindNoGrant {
		told := e.client.explain(cause.Unreadable, s.Account)
		e.tell(checkGrant, resultFailed, s.Account, told.What, s.LastError, e.client.readable(s.Account))
		return
	}
	told := e.client.explain(cause.NoGrant, s.Account)
	if ref := e.client.refreshToken(s.Account); ref.IsSet() {
		if _, err := ref.Resolve(); err != nil {
			told.Why = err.Error()
		}
	}
	e.tellConsent(checkGrant, s.Account, told.What, told.Why, told.Do)
}

// readable is how to get at a grant that cannot be had: the line to write, if a key is missing.
func (c *Client) readable(account string) string {
	key := tokencache.Key{Client: c.name, Account: account}
	opens := func(secrets [][]byte) error {
		_, _, err := c.shared.store.LoadGrant(key, secrets)
		return err
	}
	err := opens(c.cache.Secrets())
	var known *tokencache.StoreError
	do := "mend that; see what is said of the store"
	if errors.Is(err, tokencache.ErrWrongKey) {
		do = c.keyLine(opens)
	}
	if errors.As(err, &known) && known.Replaceable {
		do += "; or connect the account anew, which asks whether to replace the grant: " + c.connectCommand(account)
	}
	return do
}

// keyLine is what to write so that a grant opens, which none of the configured secrets does.
func (c *Client) keyLine(opens func(secrets [][]byte) error) string {
	if c.shared.sealing.ByMasterKey() {
		return c.secretLine()
	}
	first := c.shared.sealing.Keys()[0]
	for _, ref := range append(c.allSecrets(), c.shared.sealing.MasterKeyRef()) {
		if opens(secret.ResolveAll([]secret.Ref{ref})) == nil {
			return fmt.Sprintf("the store was begun without encryption_key, so add what opens it as a further key: encryption_key %s %s", first, ref)
		}
	}
	return fmt.Sprintf("add the key that it was sealed by as a further one: encryption_key %s {env.OLD_ENCRYPTION_KEY}; "+
		"if the store was begun without encryption_key, that is the client secret of then, or its zoho-master.key: {file./path/to/zoho-master.key}", first)
}

// secretLine is keyLine for a store that client secrets seal.
func (c *Client) secretLine() string {
	option, secrets := "client_secret", c.ClientSecret
	if len(secrets) == 0 {
		code := slices.Sorted(maps.Keys(c.DataCenterSecret))[0]
		option, secrets = option+" "+code, c.DataCenterSecret[code]
	}
	return fmt.Sprintf("add the secret of before behind that of now: %s %s {env.OLD_CLIENT_SECRET}; "+
		"if the store had its zoho-master.key elsewhere than at %s, name that place: master_key_file /path/to/zoho-master.key; "+
		"if it had an encryption_key, write that again: encryption_key {env.ZOHO_ENCRYPTION_KEY}", option, secrets[0], c.shared.sealing.MasterKeyFile())
}

// deadGrant looks whether the grant is only asked for at the wrong data center.
func (e *exam) deadGrant(ctx context.Context, s tokencache.Status) {
	told := e.client.explain(cause.Dead, s.Account)
	why := cmp.Or(s.LastError, told.Why)
	if s.Configured {
		center, unknown := e.livesAt(ctx, s)
		if center != "" {
			e.tell(checkGrant, resultFailed, s.Account, "wrong data center: the refresh token is one of "+center,
				"it is refused by "+s.AccountsServer+" and accepted there", e.moveTo(s.Account, center))
			return
		}
		if unknown != nil {
			why += "; the client's other data centers were not all asked: " + unknown.Error()
		}
		if known := e.elsewhere(*e.client.centerOf(s.Account, s.AccountsServer)); len(known) > 0 {
			why += "; the client is known at " + strings.Join(known, ", ") + " as well: if the token was made there, that is the data center to configure"
		}
	}
	e.tellConsent(checkGrant, s.Account, "dead grant: "+told.What, why, e.client.consent(s.Account))
}

func (e *exam) moveTo(account, center string) string {
	if account == defaultAccount && e.client.RefreshToken.IsSet() {
		return fmt.Sprintf("make %s the first of `data_center`, or give the token as `account %s { data_center %s; refresh_token … }`", center, account, center)
	}
	return fmt.Sprintf("write `data_center %s` in the block of account %s", center, account)
}

// livesAt is the other data center of the client that accepts a configured refresh token,
// "" if none does; the error says that it is not known of all. Being accepted costs an
// access token, so what came out once is remembered.
func (e *exam) livesAt(ctx context.Context, s tokencache.Status) (code string, unknown error) {
	grant, configured, err := e.client.grant(s.Account)
	if err != nil || !configured {
		return "", err
	}
	if code, ok := e.moved.Load(grant.RefreshToken); ok {
		return code.(string), nil
	}
	for _, center := range e.client.centers {
		if center.Accounts == s.AccountsServer {
			continue
		}
		if ctx.Err() != nil {
			return "", errors.New("there was no time left")
		}
		grant.AccountsServer = center.Accounts
		_, err := e.client.shared.cache.Verify(e.client.cache, s.Key, grant)
		var failure *tokencache.Error
		switch {
		case err == nil:
			e.moved.Store(grant.RefreshToken, center.Code)
			return center.Code, nil
		case !errors.As(err, &failure) || failure.Kind != tokencache.KindDead && failure.Kind != tokencache.KindRejected:
			unknown = err
		}
	}
	return "", unknown
}

func (e *exam) contention(s tokencache.Status) {
	switch {
	case s.State == tokencache.StateContended:
		told := cause.Of(cause.Contended, cause.Facts{Lost: s.LostEarly})
		e.tell(checkContention, resultFailed, s.Account, told.What, told.Why, told.Do)
	case s.LostEarly > 0:
		e.tell(checkContention, resultWarning, s.Account, words.Plural(s.LostEarly, "access token")+" lost early", "Zoho refused it before its end and took the next one: revoked by hand, or another program uses this grant",
			"if it goes on, give that program a client of its own")
	}
}

// unrecognized tells of refusals that the proxy does not know. They may mean anything.
func (e *exam) unrecognized(s tokencache.Status) {
	for _, r := range e.unknown.Of(s.Key) {
		e.tell(checkCall, resultWarning, s.Account, fmt.Sprintf("%s refused calls in a way that is not known, the last one at %s", metrics.ServiceLabel(r.Service), r.At.Local().Format(time.DateTime)),
			fmt.Sprintf("it answered %d with the content type %q, %s; a dead token, a missing scope and a service in trouble can look like that", r.Status, r.ContentType, words.Times(r.Count)),
			"see what the log says of the answer; compare the scopes with those that the service takes, and call it by hand")
	}
}

// scopes compares what is asked for with what is known to be granted, where no call has
// shown it.
func (e *exam) scopes(account string, granted []string, known bool) {
	var missing []string
	for _, scope := range e.client.Scopes {
		if known && !zoho.Covers(granted, scope) {
			missing = append(missing, scope)
		}
	}
	if len(missing) > 0 {
		e.tellConsent(checkScopes, account, "missing scopes: "+strings.Join(missing, ", "), "`scopes` asks for them, the grant was given without", e.client.consent(account))
	}
}
