package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// maxCalls is how many calls are made for a connection.
const maxCalls = 12

// probes are the calls that show whether the services asked for can be used: those of the
// configured scopes, or of the granted ones, of the services that sites name, or that apps
// have used.
func (e *exam) probes(s tokencache.Status, used []string) (probes []zoho.Probe, unknown []string) {
	scopes := e.client.ScopesOf(s.Account)
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
		if p, ok := probeOf(scope); ok && (p.Path != profilePath || e.asks(s.AccountsServer)) {
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

// profilePath is what the accounts server says of who has consented.
const profilePath = "/oauth/user/info"

// probeOf knows the one call besides those of services.
func probeOf(scope string) (zoho.Probe, bool) {
	if strings.EqualFold(scope, zoho.ScopeProfile) {
		return zoho.Probe{Scope: scope, Path: profilePath}, true
	}
	return zoho.ProbeOf(scope)
}

// unchecked names the scopes that nothing is known of: Zoho did not name those that it
// granted, and none of the calls stands for them.
func (e *exam) unchecked(account string, probes []zoho.Probe) {
	var uncalled, unknown []string
	for _, scope := range e.client.ScopesOf(account) {
		p, ok := probeOf(scope)
		switch {
		case !ok:
			unknown = append(unknown, scope)
		case !slices.ContainsFunc(probes, func(made zoho.Probe) bool { return made.Path == p.Path }):
			uncalled = append(uncalled, scope)
		}
	}
	skipped := func(scopes []string, why string) {
		if len(scopes) == 0 {
			return
		}
		e.tell(adminapi.Finding{
			Check:   adminapi.CheckScopes,
			Result:  adminapi.ResultSkipped,
			Account: account,
			What:    "not checked: " + strings.Join(scopes, ", "),
			Why:     why,
			Do:      "try a call of the app's own",
		})
	}
	skipped(unknown, "no call is known that needs only this scope, and Zoho has not named what it granted")
	skipped(uncalled, fmt.Sprintf("at most %d calls are made for a connection, "+
		"and none to an authorization server that is down or throttles", maxCalls))
}
