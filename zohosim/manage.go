package zohosim

// What a test does and sees without a request of Zoho's protocol, here or through the control API.

import (
	"maps"
	"slices"
)

// AddClient registers a client, or replaces the one of that ID.
func (s *Server) AddClient(c Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.RedirectURIs, c.Orgs = slices.Clone(c.RedirectURIs), slices.Clone(c.Orgs)
	s.clients[c.ID] = &c
}

// Grant gives a refresh token as if user had consented at data center dc. Empty user and dc mean
// those of the Options; no scopes means everything.
func (s *Server) Grant(clientID, user, dc string, scopes ...string) (refreshToken string) {
	return s.GrantAs(GrantSpec{ClientID: clientID, User: user, DataCenter: dc, Scopes: scopes})
}

// GrantAs is Grant with everything that can be chosen. It panics if the client or data center does
// not exist.
func (s *Server) GrantAs(spec GrantSpec) (refreshToken string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spec, err := s.checkSpecLocked(spec)
	must(err)
	return s.grantLocked(spec).RefreshToken
}

// SelfClientCode makes an authorization code as the API console does for a self client. It needs no
// redirect URI and is good for three minutes. It panics if the client does not exist.
func (s *Server) SelfClientCode(clientID string, scopes ...string) string {
	return s.Code(GrantSpec{ClientID: clientID, Scopes: scopes})
}

// Code is SelfClientCode with everything that can be chosen.
func (s *Server) Code(spec GrantSpec) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	spec, err := s.checkSpecLocked(spec)
	must(err)
	return s.selfClientCodeLocked(spec)
}

// AnswerDevice is what a person does who types a user code in: accepts as who and where spec says, or refuses. It
// reports whether the code is good.
func (s *Server) AnswerDevice(userCode string, accept bool, spec GrantSpec) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.decideLocked(userCode, accept, spec)
}

// AccessToken makes an access token without a token request: none is counted. It is "" if the
// refresh token is dead.
func (s *Server) AccessToken(refreshToken string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.grants[refreshToken]
	if g == nil {
		return ""
	}
	return s.mintLocked(g).value
}

// Expire ends the life of all access tokens of a refresh token or user; "" means of everyone. The
// same for RevokeAccess, Revoke and Evict; each gives the number of tokens or grants it hit.
func (s *Server) Expire(whose string) int { return s.RevokeAccess(whose) }

// RevokeAccess kills access tokens before their time: they look alive to who holds them.
func (s *Server) RevokeAccess(whose string) int {
	return s.eachGrant(whose, func(g *grant) int {
		s.pruneLocked(g, s.o.Now())
		n := len(g.tokens)
		s.killTokensLocked(g)
		return n
	})
}

// Revoke kills refresh tokens and their access tokens.
func (s *Server) Revoke(whose string) int {
	return s.eachGrant(whose, func(g *grant) int {
		s.removeLocked(g)
		return 1
	})
}

// Evict kills the oldest live access token of each grant, as the 11th one does.
func (s *Server) Evict(whose string) int {
	return s.eachGrant(whose, func(g *grant) int {
		s.pruneLocked(g, s.o.Now())
		if len(g.tokens) == 0 {
			return 0
		}
		s.killTokenLocked(g.tokens[0])
		return 1
	})
}

// eachGrant does something to the grants of a refresh token or user, or to all, and adds up what it gives.
func (s *Server) eachGrant(whose string, do func(*grant) int) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for refreshToken, g := range s.grants {
		if whose == "" || whose == refreshToken || whose == g.User {
			n += do(g)
		}
	}
	return n
}

// Stats gives a copy of the counts as they are now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	for _, m := range []*map[string]int{
		&st.TokenResults, &st.ByRefreshToken, &st.APIRequests, &st.Accepted,
		&st.Refusals, &st.Writes, &st.Executed, &st.Faults,
	} {
		*m = maps.Clone(*m)
	}
	st.Bodies = maps.Clone(st.Bodies)
	st.LiveByRefreshToken = map[string]int{}
	for _, g := range s.grants {
		s.pruneLocked(g, s.o.Now())
		if !g.online {
			st.Grants++
			st.LiveByRefreshToken[g.RefreshToken] = len(g.tokens)
		}
	}
	st.LiveTokens = len(s.tokens)
	return st
}
