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
		if p, ok := zoho.ProbeOf(scope); ok && (p.Service() != zoho.ProfileService || e.asks(s.AccountsServer)) {
			add(p)
		}
	}
	for _, service := range slices.Concat(e.services(), used) {
		if !e.Catalog.Has(service) || services[service] {
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

// missing tells which services a data center lacks that the scopes ask for, sites name or apps
// have used, and gives them.
func (e *exam) missing(s tokencache.Status, center *zoho.DataCenter, used []string) map[string]bool {
	wanted := slices.Concat(e.services(), used)
	for _, scope := range slices.Concat(e.client.ScopesOf(s.Account), s.Scopes) {
		wanted = append(wanted, zoho.ServiceOfScope(scope))
	}
	missing := make(map[string]bool)
	for _, service := range wanted {
		if !e.Catalog.Has(service) || missing[service] {
			continue
		}
		path := "/" + service
		if service == zoho.ProfileService {
			path = zoho.ProfilePath
		}
		if _, err := center.RoutePath(path, zoho.RouteOptions{Catalog: e.Catalog}); err != nil {
			missing[service] = true
			e.cannotCall(s.Account, service, center, err)
		}
	}
	return missing
}

func (e *exam) cannotCall(account, service string, center *zoho.DataCenter, why error) {
	e.tell(adminapi.Finding{
		Check:   adminapi.CheckCall,
		Result:  adminapi.ResultFailed,
		Account: account,
		What:    service + " cannot be called in the data center " + center.Code,
		Why:     strings.TrimPrefix(why.Error(), zoho.ErrServiceUnknown.Error()+": "),
		Do:      "if `scopes` or `services` name it, take it out; or connect an account of a data center that has it",
	})
}

// unchecked names the scopes that nothing is known of: Zoho did not name those that it
// granted, and none of the calls stands for them.
func (e *exam) unchecked(account string, probes []zoho.Probe) {
	var uncalled, unknown []string
	for _, scope := range e.client.ScopesOf(account) {
		p, ok := zoho.ProbeOf(scope)
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
