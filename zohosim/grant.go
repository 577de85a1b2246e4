package zohosim

// What the accounts servers know: clients, and what came of consents.
//
//	Client --< code            good once, for two minutes
//	       --< grant           a refresh token: 20 for a user and client, at one data center
//	             --< token     an access token: 10 live ones, made by at most 10 requests in 10 minutes
//
// A token that is dead in whatever way is gone from Server.tokens; nothing remembers why.

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Client is an OAuth client as Zoho's API console registers it.
type Client struct {
	// ID begins with 1000. at Zoho; here any will do.
	ID string
	// Secret is valid in every data center that has none of its own.
	Secret string
	// Secrets by data center code: once multi-DC is switched on, each has its own by default.
	Secrets map[string]string
	// RedirectURIs are those that are registered, compared to the letter; empty: any.
	RedirectURIs []string
	// SelfClient takes codes made in the console, and client_credentials.
	SelfClient bool
	// DataCenters are those that are enabled for the client; empty: all. Elsewhere it is
	// answered like a stranger.
	DataCenters []string
}

// secretFor gives the secret that is valid at a data center.
func (c *Client) secretFor(dc string) string {
	if s, ok := c.Secrets[dc]; ok {
		return s
	}
	return c.Secret
}

// enabledIn reports whether a data center is switched on for the client in the API console.
func (c *Client) enabledIn(dc string) bool {
	return len(c.DataCenters) == 0 || slices.Contains(c.DataCenters, dc)
}

// GrantSpec says what a consent gives. Only ClientID is needed, and that only where there are
// several clients.
type GrantSpec struct {
	ClientID string `json:"client_id"`
	// User is who consents; that of the Options.
	User string `json:"user"`
	// DataCenter is where the user lives, and the only place where tokens are good.
	DataCenter string `json:"data_center"`
	// Environment is "sandbox" or "developer": CRM answers only there. "" is production.
	Environment string `json:"environment"`
	// Org is the organization that the grant is for; that of the Options.
	Org string `json:"org"`
	// Scopes may stand in one string, separated by commas or blanks; none: everything.
	Scopes []string `json:"scopes"`
	// RefreshToken fixes the refresh token, so that it survives a restart of the simulator.
	RefreshToken string `json:"refresh_token"`
}

// grant is what a consent gave: one refresh token and the access tokens made from it.
type grant struct {
	GrantSpec
	online bool // without a refresh token that anybody knows
	// tokens are the live ones, the oldest first: the one over MaxLive ends it.
	tokens []*token
	issued int // access tokens ever made
	// requests are the times of token requests within the running window.
	requests []time.Time
}

// token is an access token. One that is expired, revoked or evicted is gone from Server.tokens.
type token struct {
	value string
	grant *grant
	// number counts the grant's access tokens, from 1. Answers have it in X-Sim-Token, so that a
	// test sees which token was sent without seeing the token.
	number  int
	expires time.Time
}

// code is an authorization code: good once, for a short time.
type code struct {
	GrantSpec
	redirectURI string
	offline     bool // a refresh token comes with it
	selfClient  bool
	expires     time.Time
}

// holder is whom Zoho counts refresh tokens and codes by.
type holder struct{ client, user, dc string }

func (g *GrantSpec) holder() holder { return holder{g.ClientID, g.User, g.DataCenter} }

// newToken makes a token or code as Zoho's look: 1000.<32 hex>.<32 hex>.
func newToken() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	h := hex.EncodeToString(b[:])
	return "1000." + h[:32] + "." + h[32:]
}

// grantLocked makes a grant. One too many removes the holder's first, even if it is in use.
func (s *Server) grantLocked(spec GrantSpec) *grant {
	g := &grant{GrantSpec: spec}
	g.RefreshToken = cmp.Or(g.RefreshToken, newToken())
	if old := s.grants[g.RefreshToken]; old != nil {
		s.removeLocked(old)
	}
	s.grants[g.RefreshToken] = g
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

// mintLocked makes an access token. One too many kills the grant's oldest.
func (s *Server) mintLocked(g *grant) *token {
	now := s.o.Now()
	s.pruneLocked(g, now)
	g.issued++
	t := &token{value: newToken(), grant: g, number: g.issued, expires: now.Add(s.o.TokenLife)}
	s.tokens[t.value] = t
	g.tokens = append(g.tokens, t)
	for s.o.MaxLive > 0 && len(g.tokens) > s.o.MaxLive {
		s.killTokenLocked(g.tokens[0])
	}
	s.stats.TokensIssued++
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

// liveLocked finds a token that is good for a data center. Another one's is answered like a dead token.
func (s *Server) liveLocked(value, dc string) *token {
	t := s.tokens[value]
	if t == nil || !t.expires.After(s.o.Now()) || t.grant.DataCenter != dc {
		return nil
	}
	return t
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

// windowLocked drops the times that are older than the window.
func (s *Server) windowLocked(times []time.Time) []time.Time {
	start := s.o.Now().Add(-s.o.TokenWindow)
	return slices.DeleteFunc(times, func(t time.Time) bool { return !t.After(start) })
}

// codeLocked makes an authorization code.
func (s *Server) codeLocked(c code) string {
	c.expires = s.o.Now().Add(s.o.codeLife(c.selfClient))
	value := newToken()
	s.codes[value] = c
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

// splitScopes takes scopes apart at commas and blanks.
func splitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
