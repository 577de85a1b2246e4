package zohosim

// Stats counts what arrived and what came of it. Stats of a Server are exact: a request is counted
// before its answer leaves.
type Stats struct {
	// TokenRequests counts POSTs to the token endpoint, whatever came of them.
	TokenRequests int `json:"token_requests"`
	// TokenResults counts them by result: "ok", Zoho's error code, "throttled", "bad-request", "fault:KIND".
	TokenResults map[string]int `json:"token_results"`
	// ByRefreshToken counts token requests by the refresh token they named.
	ByRefreshToken map[string]int `json:"by_refresh_token"`
	// Exchanges counts token requests of grant_type authorization_code.
	Exchanges int `json:"exchanges"`
	// Refreshes counts token requests of grant_type refresh_token.
	Refreshes int `json:"refreshes"`
	// Mints counts token requests of grant_type client_credentials.
	Mints int `json:"mints"`
	// TokensIssued counts access tokens made, those of Server.AccessToken included.
	TokensIssued int `json:"tokens_issued"`
	// Evicted counts refresh tokens killed by one too many.
	Evicted int `json:"evicted"`
	// Revocations counts requests to the revoke endpoints.
	Revocations int `json:"revocations"`
	// Enhancements counts requests for a token that adds scopes.
	Enhancements int `json:"enhancements"`
	// Authorizations counts requests to the authorization pages.
	// DeviceCodes counts requests for a device code, DevicePolls those for what came of one.
	DeviceCodes int `json:"device_codes"`
	DevicePolls int `json:"device_polls"`
	// Authorizations counts requests to the authorization page.
	Authorizations int `json:"authorizations"`

	// APIRequests counts requests by service, refused ones included.
	APIRequests map[string]int `json:"api_requests"`
	// Accepted counts those that were authenticated and executed, by service.
	Accepted map[string]int `json:"accepted"`
	// Refusals counts refusals by "service/case".
	Refusals map[string]int `json:"refusals"`
	// Writes counts executed requests other than GET and HEAD, by "service/resource".
	Writes map[string]int `json:"writes"`
	// Executed counts executed requests by their header X-Test-Id: a request that was executed twice
	// shows as 2.
	Executed map[string]int `json:"executed"`
	// Bodies are the SHA-256 of the bodies that these brought, by the same header, in hex.
	Bodies map[string][]string `json:"bodies"`
	// Malformed counts requests with more than one Authorization header, or one as trailer.
	Malformed int `json:"malformed"`
	// BrokenBodies counts API requests whose body broke off; they were not executed.
	BrokenBodies int `json:"broken_bodies"`
	// Faults counts the requests that a fault hit, by "where/kind".
	Faults map[string]int `json:"faults"`

	// LiveTokens is how many access tokens live now.
	LiveTokens int `json:"live_tokens"`
	// LiveByRefreshToken is the same by refresh token, for those that are not revoked.
	LiveByRefreshToken map[string]int `json:"live_by_refresh_token"`
	// Grants is how many refresh tokens live now.
	Grants int `json:"grants"`
}

// newStats has maps to count in.
func newStats() Stats {
	return Stats{
		TokenResults: map[string]int{}, ByRefreshToken: map[string]int{},
		APIRequests: map[string]int{}, Accepted: map[string]int{}, Refusals: map[string]int{},
		Writes: map[string]int{}, Executed: map[string]int{}, Bodies: map[string][]string{},
		Faults: map[string]int{},
	}
}
