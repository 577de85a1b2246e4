package onboard

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// prepare shows, before consent, what can be checked and what the API console must hold.
func (v *visit) prepare() {
	account := strings.TrimSpace(query(v.r, "account"))
	v.account = account
	if err := v.Client.mayReplace(account); err != nil {
		v.fail(err)
		return
	}
	v.render(http.StatusOK, "connect", map[string]any{
		"Title":       "Connect " + account,
		"Client":      v.Client.Name,
		"Account":     account,
		"ClientID":    v.Client.ID(),
		"Scopes":      v.Client.Scopes,
		"RedirectURI": v.redirectURI(),
		"ClientType":  v.Client.consoleType(),
		"SOID":        v.Client.soid(account),
		"Home":        v.Client.Centers[0],
		"Centers":     v.Client.Centers,
		"Checks":      v.preflight(account),
		"Before":      v.statusOf(account),
		"Lost":        v.Flow.Unreadable(v.Client, account),
		"Warnings":    append(v.Client.BrowserWarnings(account), v.Flow.QuotaWarnings(v.Client, account)...),
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

// forwarded reports whether a request says of itself that another server has passed it on.
func forwarded(r *http.Request) bool {
	names := []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"}
	return slices.ContainsFunc(names, func(name string) bool { return r.Header[name] != nil })
}

// preflightCheck is something that was looked at before consent.
type preflightCheck struct {
	OK     bool
	Text   string
	Remedy string // in place of Text, if that is not so
}

// redirectMismatch says what to do where redirect_uri leads to another address than this one.
func (v *visit) redirectMismatch() string {
	text := "redirect_uri is " + v.redirectURI() + ", but these pages are at " + v.origin() + v.base + ": "
	to, toErr := url.Parse(v.redirectURI())
	here, err := url.Parse(v.origin() + v.base + "callback")
	if toErr == nil && err == nil && IsLoopback(to.Hostname()) && IsLoopback(here.Hostname()) &&
		!strings.EqualFold(to.Hostname(), here.Hostname()) && to.Path == here.Path {
		return text + "open " + strings.TrimSuffix(v.redirectURI(), "callback") +
			" instead: the cookie of this address is not sent there."
	}
	return text + "if something in between does not map the one to the other, the answer gets lost."
}

// checkRedirect looks whether the browser will come back here.
func (v *visit) checkRedirect() preflightCheck {
	return preflightCheck{
		OK:     v.redirectURI() == v.origin()+v.base+"callback",
		Text:   "The redirect URI leads to these pages, as this browser sees them.",
		Remedy: v.redirectMismatch(),
	}
}

func (v *visit) preflight(account string) []preflightCheck {
	checks := []preflightCheck{
		v.checkRedirect(),
		{
			OK:     zoho.LooksLikeClientID(v.Client.ID()),
			Text:   "The client id looks like one of Zoho's.",
			Remedy: "Zoho's client ids begin with " + zoho.ClientIDForm + ": compare client_id with the API console.",
		},
		{
			OK:     len(v.Client.Scopes) > 0,
			Text:   "Scopes are configured.",
			Remedy: addScopes,
		},
	}
	for _, warning := range zoho.ScopeWarnings(v.Client.Scopes) {
		checks = append(checks, preflightCheck{Remedy: warning})
	}
	if forwarded(v.r) {
		checks = append(checks, preflightCheck{
			Remedy: "This browser came by another web server, and to these pages all who do are callers " +
				"from its address: that server has to ask who they are.",
		})
	}
	if len(v.Client.Scopes) > 0 && !v.Client.Org { // an organization is known by its soid
		checks = append(checks, preflightCheck{
			OK:   zoho.TellsUser(v.Client.Scopes),
			Text: "The scopes let Zoho say who has consented.",
			Remedy: zoho.ScopeProfile + " is not among the scopes: that somebody else consents than before " +
				"is not noticed then, and replaces the grant.",
		})
	}
	if err := v.Flow.checkStore(v.Client, account, false); err != nil {
		why := asError(err)
		checks = append(checks, preflightCheck{Remedy: why.Text + " " + why.Remedy})
	}
	return append(checks, v.reach())
}

// reach looks whether the client's home can be reached.
func (v *visit) reach() preflightCheck {
	ctx, cancel := context.WithTimeout(v.r.Context(), 3*time.Second)
	defer cancel()
	server := v.Client.Centers[0].Accounts
	accounts, err := v.Client.accounts(tokencache.Grant{AccountsServer: server})
	if err == nil {
		_, err = accounts.Reach(ctx)
	}
	if err != nil {
		e := cause.Of(cause.Unreachable, cause.Facts{Server: server})
		return preflightCheck{Remedy: e.What + ": " + err.Error() + ". " + cause.Sentence(e.Do)}
	}
	return preflightCheck{OK: true, Text: server + " can be reached."}
}
