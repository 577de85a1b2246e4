package caddyzoho

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// maxCalls is how many calls are made for a connection.
const maxCalls = 12

// probes are the calls that show whether the services asked for can be used: those of the
// configured scopes, or of the granted ones, of the services that sites name, or that apps
// have used.
func (e *exam) probes(s tokencache.Status, used []string) (probes []zoho.Probe, unknown []string) {
	scopes := e.client.Scopes
	if len(scopes) == 0 {
		scopes = s.Scopes
	}
	services := make(map[string]bool)
	have := make(map[string]bool)
	add := func(p zoho.Probe) {
		if !have[p.Path] && len(probes) < maxCalls {
			probes = append(probes, p)
		}
		have[p.Path], services[p.Service()] = true, true
	}
	for _, scope := range scopes {
		if p, ok := zoho.ProbeOf(scope); ok {
			add(p)
		}
	}
	for _, service := range slices.Concat(e.services(), used) {
		if _, known := zoho.LookupService(service); !known || services[service] {
			continue
		}
		if p, ok := zoho.ServiceProbe(service); ok {
			add(p)
		} else {
			unknown = append(unknown, service)
		}
	}
	return probes, slices.Compact(slices.Sorted(slices.Values(unknown)))
}

// calls calls Zoho as the apps of the connection do.
func (e *exam) calls(ctx context.Context, s tokencache.Status) {
	conn, err := e.client.app.state.cache.Conn(e.client.cache, s.Account)
	if err != nil {
		return // the status has told why
	}
	token, err := conn.Resource(checkGrant).Get(ctx, e.client.cache)
	if err != nil {
		e.noToken(ctx, s.Account, err)
		return
	}
	e.tell(checkGrant, resultOK, s.Account, "there is a live access token", "", "")
	if len(s.Scopes) == 0 {
		s.Scopes = zoho.SplitScopes(token.Scope)
	}
	probes, unknown := e.probes(s, conn.Services())
	if len(unknown) > 0 {
		e.tell(checkCall, resultSkipped, s.Account, "no harmless call is known for "+list(unknown), "", "try one of the app's own")
	}
	if len(probes) == 0 {
		e.tell(checkCall, resultSkipped, s.Account, "no call was made to any service", "which ones the apps use is not known",
			"name them: `scopes` in the client, or `services` in zoho_proxy")
	}
	refused := make(map[string]bool) // services
	var tried []string
	for _, p := range probes {
		tried = append(tried, p.Scope)
		if !refused[p.Service()] {
			c := &doctorCall{exam: e, account: s.Account, conn: conn, probe: p}
			refused[p.Service()] = !c.make(ctx)
		}
	}
	e.scopes(s.Account, append(tried, s.Scopes...), len(s.Scopes) > 0)
}

func (e *exam) noToken(ctx context.Context, account string, err error) {
	for _, s := range e.client.app.state.cache.Status(e.client.cache, account) {
		if s.Waiting == tokencache.KindDead { // as has just come out
			e.deadGrant(ctx, s)
			return
		}
	}
	p := tokenProblem(err, e.client, account)
	e.tell(checkGrant, resultFailed, account, "no access token: "+p.title, err.Error(), p.detail)
}

// doctorCall is one call to a service.
type doctorCall struct {
	*exam
	account string
	conn    *tokencache.Conn
	probe   zoho.Probe
	target  zoho.Target
}

// make calls by the rules that the transport follows: a token that is refused in a way
// that a new one may cure is renewed, once. It tells whether the service is of use.
func (c *doctorCall) make(ctx context.Context) bool {
	resource := c.conn.Resource(c.probe.Service())
	token, err := resource.Get(ctx, c.client.cache)
	if err != nil {
		c.noToken(ctx, c.account, err)
		return false
	}
	center := c.client.centerOf(c.account, c.conn.AccountsServer())
	if c.target, err = center.RoutePath(c.probe.Path, zoho.RouteOptions{APIDomain: token.APIDomain}); err != nil {
		c.tell(checkCall, resultFailed, c.account, c.probe.Service()+" cannot be called in the data center "+center.Code, err.Error(), "see whether Zoho offers the service there")
		return false
	}
	status, verdict, err := c.send(ctx, token)
	if err == nil && curable(verdict) {
		newer, failed := resource.Refused(ctx, c.client.cache, token.Generation, verdict == zoho.VerdictAmbiguous)
		if failed != nil {
			c.noToken(ctx, c.account, failed)
			return false
		}
		if newer != nil {
			token = newer
			if status, verdict, err = c.send(ctx, token); err == nil && curable(verdict) {
				resource.ReplayRefused(token.Generation)
			}
		}
	}
	if err != nil {
		c.tell(checkCall, resultFailed, c.account, c.what()+" got no answer", err.Error(), "see network, firewall and `network_proxy`")
		return false
	}
	if status < http.StatusBadRequest {
		resource.Accepted(token.Generation)
	}
	return c.judged(status, verdict, token)
}

func (c *doctorCall) send(ctx context.Context, token *tokencache.Token) (status int, verdict zoho.Verdict, err error) {
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	return c.probe.Call(ctx, c.client.http, c.target, c.client.AuthorizationScheme+" "+token.Value)
}

func (c *doctorCall) what() string {
	path, _, _ := strings.Cut(c.probe.Path, "?")
	return "GET " + path
}

// judged tells what an answer means for whoever asked for the scope.
func (c *doctorCall) judged(status int, verdict zoho.Verdict, token *tokencache.Token) bool {
	refused := func(result, check, why, do string) bool {
		c.tell(check, result, c.account, fmt.Sprintf("%s: %s (Zoho answers %d)", refusalWord[verdict], c.what(), status), why, do)
		c.found[len(c.found)-1].NeedsConsent = check == checkScopes
		return verdict == zoho.VerdictScope || verdict == zoho.VerdictPermission
	}
	switch verdict {
	case zoho.VerdictScope:
		return refused(resultFailed, checkScopes, "the grant lacks "+c.probe.Scope+", or one that allows as much", "add it to `scopes`, then "+c.consent(c.account))
	case zoho.VerdictPermission:
		return refused(resultWarning, checkCall, "the user who consented may not do this in Zoho", "give that user the profile, role or licence")
	case zoho.VerdictOrg:
		return refused(resultWarning, checkCall, "the token belongs to another organization or portal", "see the organization id that the app sends")
	case zoho.VerdictNoHeader:
		return refused(resultFailed, checkCall, "Zoho says that no token came, although one was sent", "see whether something between here and Zoho takes the Authorization header away")
	case zoho.VerdictAmbiguous:
		return refused(resultFailed, checkScopes, "this service answers the same to a dead token and to a missing scope; the token is alive, so it is most likely that "+c.probe.Scope+" is missing",
			"add it to `scopes`, then "+c.consent(c.account))
	case zoho.VerdictRenew:
		why, do := "a fresh access token is refused as well, as at the wrong data center or environment", "compare data_center with where the organization is"
		if !c.client.centerNow(c.account).OwnsAPIDomain(token.APIDomain) && token.APIDomain != "" {
			why = "Zoho says that the token is good at " + token.APIDomain + ", which is not of the configured data center"
		}
		return refused(resultFailed, checkDataCenter, why, do)
	case zoho.VerdictLimited:
		return refused(resultWarning, checkCall, "the limit of the API is reached; the token is good", "call less, or buy more")
	}
	if status >= http.StatusInternalServerError {
		c.tell(checkCall, resultWarning, c.account, fmt.Sprintf("%s: Zoho answers %d", c.what(), status), "the service is in trouble", "see Zoho's status page")
		return true
	}
	c.tell(checkCall, resultOK, c.account, fmt.Sprintf("%s: Zoho answers %d, the token is accepted", c.what(), status), "", "")
	return true
}

var refusalWord = map[zoho.Verdict]string{
	zoho.VerdictScope: "missing scope", zoho.VerdictPermission: "no permission", zoho.VerdictOrg: "another organization",
	zoho.VerdictNoHeader: "no token arrived", zoho.VerdictAmbiguous: "refused", zoho.VerdictRenew: "refused", zoho.VerdictLimited: "limited",
}
