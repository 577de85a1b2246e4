package onboard

import (
	"context"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// GrantedScopes are those that a connection is known to have, none if Zoho has not said: what came with the
// latest access token, or else what was granted.
func GrantedScopes(s tokencache.Status) []string {
	if scopes := zoho.SplitScopes(s.TokenScope); len(scopes) > 0 {
		return scopes
	}
	return s.Scopes
}

// ScopesToAdd are those of the wanted ones that a connection is known to lack, and that can be added: with
// client_credentials each token is asked for with all of them.
func ScopesToAdd(s tokencache.Status, wanted []string) []string {
	granted := GrantedScopes(s)
	if len(granted) == 0 || s.ByClient {
		return nil
	}
	return zoho.MissingScopes(granted, wanted)
}

// askScopes asks Zoho what a grant has now, none if Zoho does not say: the live token by calls that need
// the new scopes, as it should have them, and otherwise a renewal, once.
func (f *Flow) askScopes(ctx context.Context, cl *Client, g tokencache.Grant, w *widening) ([]string, error) {
	conn, err := f.cache.Conn(cl.Cache, w.Account)
	if err != nil {
		return nil, err
	}
	var before uint64
	if last := conn.Peek(); last != nil {
		before = last.Generation
	}
	token, err := conn.Token(ctx, cl.Cache)
	if err != nil {
		return nil, err
	}
	scopes := zoho.SplitScopes(token.Scope)
	switch {
	case token.Generation > before, len(scopes) > 0 && len(zoho.MissingScopes(scopes, w.Scopes)) == 0:
		return scopes, nil
	case cl.tokenHas(ctx, g, token, w):
		scopes = joinScopes(w.Granted, w.Scopes)
		conn.Widened(cl.Cache, token.Generation, strings.Join(scopes, " "))
		return scopes, nil
	}
	if token, err = conn.Refresh(ctx, cl.Cache); err != nil {
		return nil, err
	}
	return zoho.SplitScopes(token.Scope), nil
}

// probesLimit is how long a person waits for calls: the renewal tells as well.
const probesLimit = 5 * time.Second

// tokenHas reports whether calls show that an access token has all of the new scopes. A call shows that
// only if the grant could not make it before.
func (cl *Client) tokenHas(ctx context.Context, g tokencache.Grant, token *tokencache.Token, w *widening) bool {
	center, known := cl.centerOf(g)
	all := cl.Accounts(center)
	if !known || len(all) == 0 || len(w.Granted) == 0 {
		return false
	}
	var probes []zoho.Probe
	for _, scope := range w.Scopes {
		p, ok := zoho.ProbeOf(scope)
		if !ok || zoho.Covers(w.Granted, readingOf(scope)) {
			return false
		}
		probes = append(probes, p)
	}
	ctx, cancel := context.WithTimeout(ctx, probesLimit)
	defer cancel()
	for _, p := range probes {
		target, err := center.RoutePath(p.Path, zoho.RouteOptions{APIDomain: token.APIDomain})
		if err != nil {
			return false
		}
		status, verdict, err := p.Call(ctx, all[0].HTTP, target, cl.Scheme+" "+token.Value)
		if err != nil || verdict != zoho.VerdictNone || !zoho.Accepted(status) {
			return false
		}
	}
	return true
}

// readingOf is the least of a scope that its probe takes.
func readingOf(scope string) string {
	s := zoho.ParseScope(scope)
	if s.Operation == "" {
		return scope
	}
	return strings.TrimSuffix(scope, s.Operation) + "READ"
}
