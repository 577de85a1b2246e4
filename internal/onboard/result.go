package onboard

import "fmt"

// Result says what was connected, without any secret.
type Result struct {
	Client        string   `json:"client"`
	Account       string   `json:"account"`
	DataCenter    string   `json:"data_center"`
	User          string   `json:"user,omitempty"`
	Org           string   `json:"org,omitempty"`
	Scopes        []string `json:"scopes,omitempty"`
	Added         []string `json:"added,omitempty"` // scopes, to the same grant
	RefreshTokens int      `json:"refresh_tokens_known"`
	Replaced      bool     `json:"replaced,omitempty"` // another grant
	Revoked       bool     `json:"revoked,omitempty"`  // the one that was replaced, or is gone
	Warnings      []string `json:"warnings,omitempty"`
	// GrantType is that of an account that nobody has to consent for, "" for others.
	GrantType string `json:"grant_type,omitempty"`
}

func (r *Result) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// who names the user and organization as far as they are known.
func (r Result) who() string {
	switch {
	case r.User != "" && r.Org != "":
		return fmt.Sprintf("%s of organization %s", r.User, r.Org)
	case r.User != "":
		return r.User
	case r.Org != "":
		return "organization " + r.Org
	}
	return "somebody of data center " + r.DataCenter + " whom Zoho does not name"
}
