package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// calls calls Zoho as the apps of the connection do. A grant whose end comes out by that is
// not told to be well in the line before.
func (e *exam) calls(ctx context.Context, s tokencache.Status) {
	before := len(e.found)
	e.callAll(ctx, s)
	bad := func(f adminapi.Finding) bool {
		return f.Check == adminapi.CheckGrant && f.Result == adminapi.ResultFailed
	}
	if told := e.found[before:]; told.Has(bad) {
		told = slices.DeleteFunc(told, func(f adminapi.Finding) bool {
			return f.Check == adminapi.CheckGrant && f.Result == adminapi.ResultOK
		})
		e.found = e.found[:before+len(told)]
	}
}

func (e *exam) callAll(ctx context.Context, s tokencache.Status) {
	conn, err := e.client.Shared.Cache.Conn(e.client.Cache, s.Account)
	if err != nil {
		return // the status has told why
	}
	token, err := conn.Token(ctx, e.client.Cache)
	if err != nil {
		e.noToken(ctx, s.Account, err)
		return
	}
	e.tell(adminapi.Finding{
		Check:   adminapi.CheckGrant,
		Result:  adminapi.ResultOK,
		Account: s.Account,
		What:    "there is a live access token",
	})
	s.TokenScope = token.Scope
	s.Scopes = onboard.GrantedScopes(s)
	refused := e.missing(s, e.client.CenterOf(s.Account, conn.AccountsServer()), conn.Services()) // services
	probes, unknown := e.probes(s, conn.Services())
	unknown = slices.DeleteFunc(unknown, func(service string) bool { return refused[service] })
	e.uncalled(s.Account, unknown, len(probes))
	var shown []string // scopes of which it is known by now
	for _, p := range probes {
		if refused[p.Service()] || ctx.Err() != nil {
			continue
		}
		c := &doctorCall{exam: e, account: s.Account, conn: conn, probe: p}
		outcome := c.run(ctx)
		if outcome == callNoToken {
			return
		}
		refused[p.Service()] = outcome == callUseless
		if outcome == callTold {
			shown = append(shown, p.Scope)
		}
	}
	e.scopes(s.Account, append(shown, s.Scopes...), len(s.Scopes) > 0)
	if len(s.Scopes) == 0 {
		e.unchecked(s.Account, probes)
	}
}

// uncalled tells of services for which no call is known, and that nothing was called at all.
func (e *exam) uncalled(account string, unknown []string, calls int) {
	if len(unknown) > 0 {
		e.tell(adminapi.Finding{
			Check:   adminapi.CheckCall,
			Result:  adminapi.ResultSkipped,
			Account: account,
			What:    "no harmless call is known for " + strings.Join(unknown, ", "),
			Do:      "try one of the app's own",
		})
	}
	if calls == 0 && len(unknown) == 0 {
		e.tell(adminapi.Finding{
			Check:   adminapi.CheckCall,
			Result:  adminapi.ResultSkipped,
			Account: account,
			What:    "no call was made to any service",
			Why:     "which ones the apps use is not known",
			Do:      "name them: `scopes` in the client, or `services` in zoho_proxy",
		})
	}
}

// noToken tells why there is no access token.
func (e *exam) noToken(ctx context.Context, account string, err error) {
	for _, s := range e.client.Shared.Cache.Status(e.client.Cache, account) {
		if s.Waiting == tokencache.KindDead { // as has just come out
			e.deadGrant(ctx, s)
			return
		}
	}
	p := problem.Token(err, e.client, account)
	server := e.client.CenterNow(account).Accounts
	if p.Code == problem.CodeAccountsUnreachable && slices.Contains(e.down, server) {
		e.tell(adminapi.Finding{
			Check:   adminapi.CheckGrant,
			Result:  adminapi.ResultSkipped,
			Account: account,
			What:    "whether the grant is good is not known",
			Why:     server + " cannot be reached, and there is no access token",
		})
		return
	}
	do := p.Detail
	if p.Code == problem.CodeClientRejected && zoho.Rejection(err.Error()) == cause.Rejected {
		do = seeCredentials // which know more of it
	}
	e.tell(adminapi.Finding{
		Check:   adminapi.CheckGrant,
		Result:  adminapi.ResultFailed,
		Account: account,
		What:    "no access token: " + p.Title,
		Why:     err.Error(),
		Do:      do,
	})
}

// doctorCall is one call to a service.
type doctorCall struct {
	*exam
	account string
	conn    *tokencache.Conn
	probe   zoho.Probe
	target  zoho.Target
	renewed bool // for this call
}

// outcome is what a call tells.
type outcome int

const (
	callTold    outcome = iota // whether its scope was granted
	callSilent                 // nothing of its scope
	callUseless                // that others to the service would fail alike
	callNoToken                // that all others would
)

// run calls by the rule that the transport follows: a token that is plainly dead is
// renewed, once. What may be a refusal of the scope as well costs no token here.
func (c *doctorCall) run(ctx context.Context) outcome {
	token, err := c.conn.Token(ctx, c.client.Cache)
	if err != nil {
		c.noToken(ctx, c.account, err)
		return callNoToken
	}
	center := c.client.CenterOf(c.account, c.conn.AccountsServer())
	if c.target, err = center.RoutePath(c.probe.Path, zoho.RouteOptions{APIDomain: token.APIDomain}); err != nil {
		c.tell(adminapi.Finding{
			Check:   adminapi.CheckCall,
			Result:  adminapi.ResultFailed,
			Account: c.account,
			What:    c.probe.Service() + " cannot be called in the data center " + center.Code,
			Why:     err.Error(),
			Do:      "see whether Zoho offers the service there",
		})
		return callUseless
	}
	resource := c.conn.Resource(c.target.Service, c.target.Host)
	sent := resource.Mark()
	status, verdict, err := c.send(ctx, token)
	if err == nil && verdict == zoho.VerdictRenew {
		newer, failed := resource.Refused(ctx, c.client.Cache, token.Generation, tokencache.RefusalDead)
		if failed != nil {
			c.noToken(ctx, c.account, failed)
			return callNoToken
		}
		if newer != nil {
			token, c.renewed = newer, true
			if status, verdict, err = c.send(ctx, token); err == nil && verdict == zoho.VerdictRenew {
				resource.ReplayRefused(token, sent)
			}
		}
	}
	if err != nil {
		c.tell(adminapi.Finding{
			Check:   adminapi.CheckCall,
			Result:  adminapi.ResultFailed,
			Account: c.account,
			What:    c.what() + " got no answer",
			Why:     err.Error(),
			Do:      "see network, firewall and `network_proxy`",
		})
		return callUseless
	}
	if zoho.Accepted(status) {
		resource.Accepted(token.Generation)
	}
	return c.judged(status, verdict, token)
}

func (c *doctorCall) send(ctx context.Context, token *tokencache.Token) (status int, verdict zoho.Verdict, err error) {
	ctx, cancel := context.WithTimeout(ctx, client.ReachLimit)
	defer cancel()
	return c.probe.Call(ctx, c.client.HTTP, c.target, c.client.Scheme+" "+token.Value)
}

func (c *doctorCall) what() string {
	path, _, _ := strings.Cut(c.probe.Path, "?")
	return "GET " + path
}

// regrant is how to get a grant with the scope that was asked for.
func (c *doctorCall) regrant() string {
	do := c.client.AddScopes(c.account)
	if !zoho.Covers(c.client.ScopesOf(c.account), c.probe.Scope) {
		do = "add it to `scopes`, then " + do
	}
	return do
}

// judged tells what an answer means for whoever asked for the scope.
func (c *doctorCall) judged(status int, verdict zoho.Verdict, token *tokencache.Token) outcome {
	refused := func(result, check, why, do string) { c.refused(status, verdict, result, check, why, do) }
	switch verdict {
	case zoho.VerdictScope:
		refused(adminapi.ResultFailed, adminapi.CheckScopes,
			"the grant lacks "+c.probe.Scope+", or one that allows as much", c.regrant())
		return callTold
	case zoho.VerdictAmbiguous:
		refused(adminapi.ResultFailed, adminapi.CheckScopes,
			"this service answers the same to a dead token and to a missing scope; "+
				"if the token serves elsewhere, "+c.probe.Scope+" is missing", c.regrant())
		return callTold
	case zoho.VerdictPermission:
		refused(adminapi.ResultWarning, adminapi.CheckCall,
			"the user who consented may not do this in Zoho", "give that user the profile, role or license")
		return callSilent
	case zoho.VerdictOrg:
		refused(adminapi.ResultWarning, adminapi.CheckCall,
			"the token belongs to another organization or portal", "see the organization id that the app sends")
	case zoho.VerdictNoHeader:
		refused(adminapi.ResultFailed, adminapi.CheckCall,
			"Zoho says that no token came, although one was sent",
			"see whether something between here and Zoho takes the Authorization header away")
	case zoho.VerdictRenew:
		refused(adminapi.ResultFailed, adminapi.CheckDataCenter,
			c.whyRefused(token), "compare data_center with where the organization is")
	case zoho.VerdictLimited:
		refused(adminapi.ResultWarning, adminapi.CheckCall,
			"the limit of the API is reached; the token is good", "call less, or buy more")
	default:
		return c.answered(status)
	}
	return callUseless
}

// refused tells of an answer that refuses the call.
func (c *doctorCall) refused(status int, verdict zoho.Verdict, result, check, why, do string) {
	c.tell(adminapi.Finding{
		Check:   check,
		Result:  result,
		Account: c.account,
		What:    fmt.Sprintf("%s: %s (Zoho answers %d)", refusalWord[verdict], c.what(), status),
		Why:     why,
		Do:      do,
	})
	c.found[len(c.found)-1].NeedsConsent = check == adminapi.CheckScopes && c.client.ClientCredentials(c.account) == nil
}

func (c *doctorCall) whyRefused(token *tokencache.Token) string {
	switch {
	case token.APIDomain != "" && !c.client.CenterNow(c.account).OwnsAPIDomain(token.APIDomain):
		return "Zoho says that the token is good at " + token.APIDomain + ", which is not of the configured data center"
	case c.renewed:
		return "a fresh access token is refused as well, as at the wrong data center or environment"
	}
	return "the access token is refused, and was not renewed because fresh ones were refused a moment ago, " +
		"as at the wrong data center or environment"
}

// answered tells of an answer that says nothing against the token.
func (c *doctorCall) answered(status int) outcome {
	what := fmt.Sprintf("%s: Zoho answers %d", c.what(), status)
	switch {
	case zoho.Accepted(status):
		c.tell(adminapi.Finding{
			Check:   adminapi.CheckCall,
			Result:  adminapi.ResultOK,
			Account: c.account,
			What:    what + ", the token is accepted",
		})
		return callTold
	case status >= http.StatusInternalServerError:
		c.tell(adminapi.Finding{
			Check:   adminapi.CheckCall,
			Result:  adminapi.ResultWarning,
			Account: c.account,
			What:    what,
			Why:     "the service is in trouble",
			Do:      "see Zoho's status page",
		})
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		c.tell(adminapi.Finding{
			Check:   adminapi.CheckCall,
			Result:  adminapi.ResultWarning,
			Account: c.account,
			What:    what,
			Why:     "it does not say why in a way that is known",
			Do:      "try a call of the app's own",
		})
	default:
		c.tell(adminapi.Finding{
			Check:   adminapi.CheckCall,
			Result:  adminapi.ResultSkipped,
			Account: c.account,
			What:    what,
			Why:     "which says nothing about the token",
			Do:      "try a call of the app's own",
		})
	}
	return callSilent
}

var refusalWord = map[zoho.Verdict]string{
	zoho.VerdictScope:      "missing scope",
	zoho.VerdictPermission: "no permission",
	zoho.VerdictOrg:        "another organization",
	zoho.VerdictNoHeader:   "no token arrived",
	zoho.VerdictAmbiguous:  "refused",
	zoho.VerdictRenew:      "refused",
	zoho.VerdictLimited:    "limited",
}

// scopes compares what is asked for with what is known to be granted, where no call has
// shown it.
func (e *exam) scopes(account string, granted []string, known bool) {
	if missing := zoho.MissingScopes(granted, e.client.ScopesOf(account)); known && len(missing) > 0 {
		e.tellConsent(adminapi.Finding{
			Check:   adminapi.CheckScopes,
			Account: account,
			What:    "missing scopes: " + strings.Join(missing, ", "),
			Why:     "`scopes` asks for them, but Zoho did not grant them",
			Do:      e.client.AddScopes(account),
		})
	}
}
