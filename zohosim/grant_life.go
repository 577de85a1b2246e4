package zohosim

// How grants, codes and access tokens begin and end.

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// completeLocked fills in what a spec leaves open.
func (s *Server) completeLocked(spec GrantSpec) GrantSpec {
	if len(s.clients) == 1 {
		for only := range s.clients {
			spec.ClientID = cmp.Or(spec.ClientID, only)
		}
	}
	spec.User = cmp.Or(spec.User, s.o.User)
	spec.DataCenter = cmp.Or(spec.DataCenter, s.o.DataCenter)
	spec.Org = cmp.Or(spec.Org, s.o.Org)
	var scopes []string
	for _, given := range spec.Scopes {
		scopes = append(scopes, splitScopes(given)...)
	}
	spec.Scopes = scopes
	return spec
}

// checkSpecLocked completes a spec and refuses one that cannot be.
func (s *Server) checkSpecLocked(spec GrantSpec) (GrantSpec, error) {
	spec = s.completeLocked(spec)
	switch {
	case spec.ClientID == "":
		return spec, fmt.Errorf("client_id is missing: %d clients are registered", len(s.clients))
	case s.clients[spec.ClientID] == nil:
		return spec, fmt.Errorf("client %q is not registered", spec.ClientID)
	}
	if _, ok := lookupDataCenter(spec.DataCenter); !ok {
		return spec, fmt.Errorf("data center %q is not one of Zoho's", spec.DataCenter)
	}
	if spec.Environment != "" && environments[spec.Environment] == "" {
		return spec, fmt.Errorf("environment %q: want sandbox or developer", spec.Environment)
	}
	return spec, nil
}

// grantLocked makes a grant. One too many removes the holder's first, even if it is in use.
func (s *Server) grantLocked(spec GrantSpec) *grant {
	g := &grant{GrantSpec: spec}
	g.RefreshToken = cmp.Or(g.RefreshToken, newToken())
	if old := s.grants[g.RefreshToken]; old != nil {
		s.removeLocked(old)
	}
	s.grants[g.RefreshToken] = g
	noteLocked(&s.issued.RefreshTokens, g.RefreshToken)
	h := g.holder()
	s.holders[h] = append(s.holders[h], g)
	for s.o.MaxGrants > 0 && len(s.holders[h]) > s.o.MaxGrants {
		s.stats.Evicted++
		s.removeLocked(s.holders[h][0])
	}
	return g
}

// onlineLocked makes what access tokens without a refresh token belong to: those of access_type
// online, and of client_credentials.
func (s *Server) onlineLocked(spec GrantSpec) *grant {
	spec.RefreshToken = newToken() // never told
	g := &grant{GrantSpec: spec, online: true}
	s.grants[g.RefreshToken] = g
	return g
}

// removeLocked takes a grant and its access tokens out of the world.
func (s *Server) removeLocked(g *grant) {
	s.killTokensLocked(g)
	delete(s.grants, g.RefreshToken)
	h := g.holder()
	s.holders[h] = slices.DeleteFunc(s.holders[h], func(o *grant) bool { return o == g })
}

// mintLocked makes an access token. One too many kills the grant's oldest.
func (s *Server) mintLocked(g *grant) *token {
	now := s.o.Now()
	s.pruneLocked(g, now)
	g.issued++
	t := &token{value: newToken(), grant: g, number: g.issued, expires: now.Add(s.o.TokenLife), scopes: g.Scopes}
	s.tokens[t.value] = t
	noteLocked(&s.issued.AccessTokens, t.value)
	g.tokens = append(g.tokens, t)
	for s.o.MaxLive > 0 && len(g.tokens) > s.o.MaxLive {
		s.killTokenLocked(g.tokens[0])
	}
	s.stats.TokensIssued++
	return t
}

// liveLocked finds a token that is good for a data center. Another one's is answered like a dead token.
func (s *Server) liveLocked(value, dc string) *token {
	t := s.tokens[value]
	if t == nil || !t.expires.After(s.o.Now()) || t.grant.DataCenter != dc {
		return nil
	}
	return t
}

// pruneLocked forgets what has expired.
func (s *Server) pruneLocked(g *grant, now time.Time) {
	for _, t := range slices.Clone(g.tokens) {
		if !t.expires.After(now) {
			s.killTokenLocked(t)
		}
	}
}

// killTokensLocked ends all access tokens of a grant. The refresh token lives.
func (s *Server) killTokensLocked(g *grant) {
	for _, t := range g.tokens {
		delete(s.tokens, t.value)
	}
	g.tokens = nil
}

// killTokenLocked ends one access token.
func (s *Server) killTokenLocked(t *token) {
	delete(s.tokens, t.value)
	t.grant.tokens = slices.DeleteFunc(t.grant.tokens, func(o *token) bool { return o == t })
}

// throttledLocked counts a token request against the window and reports whether it is one too many. Zoho
// blocks for the rest of the window; here it slides, and one that is refused counts only if Options.Sticky
// says so.
func (s *Server) throttledLocked(g *grant) bool {
	g.requests = s.windowLocked(g.requests)
	over := s.o.MaxTokens >= 0 && len(g.requests) >= s.o.MaxTokens
	if !over || s.o.Sticky {
		g.requests = append(g.requests, s.o.Now())
	}
	return over
}

// tooManyMintsLocked counts a request, and reports whether it is one too many of the client's.
func (s *Server) tooManyMintsLocked(client string) bool {
	calls := s.windowLocked(s.mints[client])
	over := s.o.MaxTokens >= 0 && len(calls) >= s.o.MaxTokens
	if !over || s.o.Sticky {
		calls = append(calls, s.o.Now())
	}
	s.mints[client] = calls
	return over
}

// windowLocked drops the times that are older than the window.
func (s *Server) windowLocked(times []time.Time) []time.Time {
	start := s.o.Now().Add(-s.o.TokenWindow)
	return slices.DeleteFunc(times, func(t time.Time) bool { return !t.After(start) })
}

// codeLocked makes an authorization code.
func (s *Server) codeLocked(c code) string {
	c.expires = s.o.Now().Add(s.o.codeLife(c))
	value := newToken()
	s.codes[value] = c
	noteLocked(&s.issued.Codes, value)
	return value
}

// selfClientCodeLocked makes a code as the API console does.
func (s *Server) selfClientCodeLocked(spec GrantSpec) string {
	return s.codeLocked(code{GrantSpec: spec, offline: true, selfClient: true})
}

// tooManyCodesLocked counts a consent and reports whether the user had too many for this client.
func (s *Server) tooManyCodesLocked(h holder) bool {
	s.consents[h] = s.windowLocked(s.consents[h])
	if s.o.MaxCodes >= 0 && len(s.consents[h]) >= s.o.MaxCodes {
		return true
	}
	s.consents[h] = append(s.consents[h], s.o.Now())
	return false
}
