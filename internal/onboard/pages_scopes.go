package onboard

import (
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// prepareScopes shows what is to be added to a grant before the browser goes to Zoho for it.
func (v *visit) prepareScopes() {
	account := strings.TrimSpace(query(v.r, "account"))
	v.account = account
	if !words.Name.MatchString(account) {
		v.fail(errAccountName())
		return
	}
	r := v.statusOf(account)
	switch {
	case r == nil:
		v.fail(errNoGrant(v.Client, account))
	case v.Client.byClient(account):
		v.fail(NothingToConnect(v.Client.Name, account))
	case len(r.Missing) == 0 && len(r.Granted) > 0:
		v.fail(errNothingMissing(v.Client, account))
	default:
		v.render(http.StatusOK, "add-scopes", map[string]any{
			"Title":       "Add scopes to " + account,
			"Account":     account,
			"User":        r.User,
			"Known":       len(r.Granted) > 0,
			"Scopes":      zoho.MissingScopes(r.Granted, v.Client.Scopes),
			"RedirectURI": v.redirectURI(),
			"Other":       otherWay(v.Client, account),
			"Check":       v.checkRedirect(),
		})
	}
}

// addScopes sends the browser to Zoho.
func (v *visit) addScopes() {
	s := Start{Account: strings.TrimSpace(v.form("account")), RedirectURI: v.redirectURI(), Caller: v.Caller(v.r)}
	v.account = s.Account
	if s.Browser = v.browser(); s.Browser == "" {
		s.Browser = rand.Text()
	}
	w, err := v.Flow.Widen(v.r.Context(), v.Client, s)
	if err != nil {
		v.fail(err)
		return
	}
	v.setCookie(scopesCookie, w.ID)
	v.leave(w.URL, s.Browser)
}

// scopesAdded takes Zoho's answer, which brings nothing that was sent along: the browser's cookie says what it
// belongs to, once.
func (v *visit) scopesAdded(cb Callback) {
	browser := v.browser()
	if browser == "" {
		browser = rand.Text() // it has begun nothing, what is pasted included
	}
	id, to := v.cookieValue(scopesCookie), ""
	result, failure := v.Flow.FinishWidening(v.r.Context(), v.Client, cb, id, browser)
	v.account = result.Account
	switch {
	case hasCode(failure, codePaste) && cb.Code != "": // a code must not stay in the address
		v.turnAway(asError(failure))
		return
	case hasCode(failure, codePaste): // nothing for the log
		v.failWith(asError(failure))
		return
	case mayComeAgain(failure):
		v.fail(failure)
		return
	case hasCode(failure, codeDenied, codeState, codeCallback, codeUsed): // however often it comes, one result is kept
		to = idOf("refused " + id)
	}
	if !hasCode(failure, codeDenied, codeState, codeCallback) { // what was begun is over
		v.setCookie(scopesCookie, "")
	}
	v.lead(to, &pageResult{Result: result, Failure: asError(failure), Account: v.account})
}
