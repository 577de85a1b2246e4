package zohosim

import (
	"maps"
	"time"
)

type holderTimes map[holder][]time.Time

// Stats counts what arrived and what came of it. Stats of a Server are exact: a request is counted
// before its answer leaves.
type Stats struct {
	TokenRequests  int            `json:"token_requests"`   // POSTs to the token endpoint, whatever came of them
	TokenResults   map[string]int `json:"token_results"`    // by result: "ok", Zoho's error code, "throttled", "bad-request", "fault:KIND"
	ByRefreshToken map[string]int `json:"by_refresh_token"` // token requests by the refresh token they named
	Exchanges      int            `json:"exchanges"`        // token requests of grant_type authorization_code
	Refreshes      int            `json:"refreshes"`        // token requests of grant_type refresh_token
	TokensIssued   int            `json:"tokens_issued"`    // access tokens made, those of Server.AccessToken included
	Evicted        int            `json:"evicted"`          // refresh tokens killed by one too many
	Revocations    int            `json:"revocations"`      // requests to the revoke endpoints
	Authorizations int            `json:"authorizations"`   // requests to the authorization page

	APIRequests  map[string]int `json:"api_requests"`  // by service, refused ones included
	Accepted     map[string]int `json:"accepted"`      // by service: authenticated and executed
	Refusals     map[string]int `json:"refusals"`      // by "service/case"
	Writes       map[string]int `json:"writes"`        // executed requests other than GET and HEAD, by "service/resource"
	Executed     map[string]int `json:"executed"`      // executed requests by their header X-Test-Id
	Malformed    int            `json:"malformed"`     // requests with more than one Authorization header, or one as trailer
	BrokenBodies int            `json:"broken_bodies"` // API requests whose body broke off: not executed
	Faults       map[string]int `json:"faults"`        // by "where/kind"

	LiveTokens         int            `json:"live_tokens"`
	LiveByRefreshToken map[string]int `json:"live_by_refresh_token"`
	Grants             int            `json:"grants"`
}

func newStats() Stats {
	return Stats{
		TokenResults: map[string]int{}, ByRefreshToken: map[string]int{},
		APIRequests: map[string]int{}, Accepted: map[string]int{}, Refusals: map[string]int{},
		Writes: map[string]int{}, Executed: map[string]int{}, Faults: map[string]int{},
	}
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

// count changes the statistics under the lock.
func (s *Server) count(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}
