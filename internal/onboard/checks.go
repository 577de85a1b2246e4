package onboard

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// prepare shows, before consent, what can be checked and what the API console must hold.
func (v *visit) prepare() {
	account := strings.TrimSpace(query(v.r, "account"))
	if err := v.Client.mayReplace(account); err != nil {
		v.fail(err)
		return
	}
	v.render(http.StatusOK, "connect", map[string]any{
		"Title": "Connect " + account, "Client": v.Client.Name, "Account": account, "ClientID": v.Client.ID(),
		"Scopes": v.Client.Scopes, "RedirectURI": v.redirectURI(), "Home": v.Client.Centers[0],
		"Centers": v.Client.Centers, "Checks": v.checks(account), "Before": v.statusOf(account), "Warnings": v.Flow.PlaceWarnings(v.Client, account),
	})
}

func (v *visit) statusOf(account string) *row {
	for _, s := range v.Flow.cache.Status(v.Client.Cache, account) {
		if s.HasGrant {
			r := v.row(s)
			return &r
		}
	}
	return nil
}

// forwarded tells that a request says of itself that another server has passed it on.
func forwarded(r *http.Request) bool {
	return slices.ContainsFunc([]string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"}, func(name string) bool { return r.Header[name] != nil })
}

// check is something that was looked at before consent.
type check struct {
	OK     bool
	Text   string
	Remedy string // in place of Text, if that is not so
}

func (v *visit) checks(account string) []check {
	checks := []check{
		{v.redirectURI() == v.origin()+v.base+"callback", "The redirect URI leads to these pages, as this browser sees them.",
			"redirect_uri is " + v.redirectURI() + ", but these pages are at " + v.origin() + v.base + ": if something in between does not map the one to the other, the answer gets lost."},
		{zoho.LooksLikeClientID(v.Client.ID()), "The client id looks like one of Zoho's.",
			"Zoho's client ids begin with 1000. or 1004.: compare client_id with the API console."},
		{len(v.Client.Scopes) > 0, "Scopes are configured.", errNoScopes(v.Client).Remedy},
	}
	for _, warning := range zoho.ScopeWarnings(v.Client.Scopes) {
		checks = append(checks, check{Remedy: warning})
	}
	if forwarded(v.r) {
		checks = append(checks, check{Remedy: "This browser came by another web server, and to these pages all who do are callers from its address: that server has to ask who they are."})
	}
	if len(v.Client.Scopes) > 0 {
		checks = append(checks, check{zoho.TellsUser(v.Client.Scopes), "The scopes let Zoho say who has consented.",
			zoho.ScopeProfile + " is not among the scopes: that somebody else consents than before is not noticed then, and replaces the grant."})
	}
	if err := v.Flow.ready(v.Client, account); err != nil {
		checks = append(checks, check{Remedy: err.Text + " " + err.Remedy})
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), 3*time.Second)
	defer cancel()
	server := v.Client.Centers[0].Accounts
	home := check{OK: true, Text: server + " can be reached."}
	accounts, err := v.Client.accounts(tokencache.Grant{AccountsServer: server})
	if err == nil {
		_, err = accounts.Reach(ctx)
	}
	if err != nil {
		home = check{Remedy: server + " cannot be reached: " + err.Error() + ". See name resolution, firewall, proxy and certificates."}
	}
	return append(checks, home)
}
