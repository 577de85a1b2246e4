package zoho

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Identity is who granted an access token, as far as its scopes let that be asked. Both
// members are "" where they do not. They are printable, and no secrets.
type Identity struct {
	User string // e-mail address, or Zoho's number for the user (ZUID)
	Org  string // number of the CRM organization
}

// ScopeProfile is what lets the authorization server say who a user is. Without it
// /oauth/user/info answers INVALID_OAUTHSCOPE. Zoho's pages and apps write it in several
// letter cases.
const ScopeProfile = "AaaServer.profile.READ"

// TellsUser reports whether Identify can learn the user with these scopes.
func TellsUser(scopes []string) bool { return hasScope(scopes, "aaaserver.profile.") }

// Identify asks the authorization server for the user, which takes the scope
// ScopeProfile, and the CRM for the organization, which takes one of
// ZohoCRM.org or ZohoCRM.settings; without scopes, which then are not known, it asks both.
// What cannot be had stays unknown.
func (a *Accounts) Identify(ctx context.Context, accessToken, apiDomain string, scopes []string) Identity {
	ctx, cancel := context.WithTimeout(ctx, accountsTimeout)
	defer cancel()
	var id Identity
	unknown := len(scopes) == 0 // Zoho names them only at times
	if unknown || TellsUser(scopes) {
		var user struct {
			Email string
			ZUID  json.Number
		}
		a.getJSON(ctx, a.DataCenter.UserInfoURL(), accessToken, &user)
		id.User = user.Email
		if id.User == "" {
			id.User = user.ZUID.String()
		}
	}
	if (unknown || hasScope(scopes, "zohocrm.org.", "zohocrm.settings.")) && a.DataCenter.OwnsAPIDomain(apiDomain) {
		var orgs struct {
			Org []struct {
				ZGID json.Number `json:"zgid"`
			} `json:"org"`
		}
		a.getJSON(ctx, apiDomain+"/crm/v8/org", accessToken, &orgs)
		if len(orgs.Org) == 1 {
			id.Org = orgs.Org[0].ZGID.String()
		}
	}
	return Identity{User: printable(id.User), Org: printable(id.Org)}
}

// maxIdentity is the length of the longest e-mail address (RFC 5321).
const maxIdentity = 254

// printable leaves out of a name what would move the text around it.
func printable(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > maxIdentity {
		name = string(runes[:maxIdentity])
	}
	return name
}

// hasScope reports whether a scope begins with one of the prefixes, in any letter case.
func hasScope(scopes []string, prefixes ...string) bool {
	for _, scope := range scopes {
		for _, prefix := range prefixes {
			if strings.HasPrefix(strings.ToLower(scope), prefix) {
				return true
			}
		}
	}
	return false
}

// getJSON reads an API's answer; where there is none, into stays as it is.
func (a *Accounts) getJSON(ctx context.Context, url, token string, into any) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Zoho-oauthtoken "+token)
	wantPlainJSON(req)
	resp, err := a.client().Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		_ = json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(into)
	}
}
