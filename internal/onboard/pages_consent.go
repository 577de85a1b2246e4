package onboard

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func (v *visit) start() {
	v.begin(Start{
		Account:     strings.TrimSpace(v.form("account")),
		RedirectURI: v.redirectURI(),
		RevokeOld:   v.form("revoke") != "",
		ReplaceLost: v.form("lost") != "",
	})
}

// begin sends the browser to Zoho. It keeps its cookie, so that two tabs can be at it.
func (v *visit) begin(s Start) {
	s.Caller = v.Caller(v.r)
	s.Browser = v.browser()
	if s.Browser == "" {
		s.Browser = rand.Text()
	}
	to, _, err := v.Flow.Begin(v.Client, s)
	if err != nil {
		v.fail(err)
		return
	}
	v.leave(to, s.Browser)
}

// leave sends the browser to Zoho, with its cookie.
func (v *visit) leave(to, browser string) {
	v.setCookie(cookieName, browser)
	v.w.Header().Set("Location", to)
	v.w.WriteHeader(http.StatusSeeOther)
}

// callback exchanges the code and leads to a clean address.
func (v *visit) callback() {
	values, err := url.ParseQuery(v.r.URL.RawQuery)
	if err != nil {
		v.fail(errCallback("This address is damaged, so nothing in it was used.", "Begin the consent anew."))
		return
	}
	cb := parseCallback(values)
	if cb.answersWidening() || cb.State == "" && cb.Code == "" && v.cookieValue(scopesCookie) != "" {
		v.scopesAdded(cb)
		return
	}
	browser := v.browser()
	if browser == "" {
		browser = rand.Text() // it has begun nothing, what is pasted included
	}
	result, c, failure := v.Flow.finish(v.r.Context(), v.Client, cb, browser)
	v.invited = c != nil && c.Invitation != nil
	switch {
	case hasCode(failure, codePaste): // as it should be: nothing for the log
		v.failWith(asError(failure), "Go on in the terminal")
		return
	case c == nil, hasCode(failure, codeUsed, codeState), mayComeAgain(failure):
		v.fail(failure)
		return
	}
	s := &pageResult{Result: result, Failure: asError(failure), Invited: v.invited}
	if v.invited {
		s.ReturnTo = c.Invitation.ReturnTo
	}
	v.lead("", s)
}

// lead keeps what is to be seen, and sends the browser there. What cannot be kept is shown here, and
// what needs an answer is not asked then.
func (v *visit) lead(id string, s *pageResult) {
	if s.Failure != nil && !s.asks() {
		v.logFailure(s.Failure)
	}
	id, err := v.Flow.keepResult(v.Client, id, s, v.browser())
	switch {
	case err == nil:
		v.redirectToResult(id)
	case s.asks():
		v.fail(err)
	default:
		v.show("", s)
	}
}

// redirectToResult sends the browser to what was kept.
func (v *visit) redirectToResult(id string) {
	v.w.Header().Set("Location", "result?id="+id)
	v.w.WriteHeader(http.StatusSeeOther)
}

func (v *visit) result() {
	id := query(v.r, "id")
	s, err := v.Flow.resultOf(v.Client, id, v.browser())
	switch {
	case err != nil:
		v.fail(errAgain(err))
	case s == nil:
		v.fail(&Error{
			Status: http.StatusNotFound,
			Code:   "result",
			Text:   "There is nothing to see here any more.",
			Remedy: "The list shows how the connection is.",
		})
	default:
		v.show(id, s)
	}
}

// show shows what came of a consent, or asks.
func (v *visit) show(id string, s *pageResult) {
	v.invited = s.Invited
	data := map[string]any{"Result": s.Result, "Error": s.Failure, "ReturnTo": s.ReturnTo, "ID": id}
	switch {
	case s.asks():
		data["Title"] = "Somebody else than before"
		v.render(http.StatusOK, "confirm", data)
	case s.Failure != nil:
		v.failWith(s.Failure, "That did not work")
	case s.Dropped:
		data["Title"] = "Nothing was changed"
		v.render(http.StatusOK, "dropped", data)
	case len(s.Result.Added) > 0:
		data["Title"] = "Scopes added"
		v.render(http.StatusOK, "added", data)
	default:
		data["Title"] = "Connected"
		page := "done"
		if v.invited {
			page = "invited"
		}
		v.render(http.StatusOK, page, data)
	}
}

// confirm takes what the person has decided about a grant of somebody else. A second click waits, and
// is led to what came of the first.
func (v *visit) confirm() {
	s, err := v.Flow.resultOf(v.Client, v.form("id"), v.browser())
	switch {
	case err != nil:
		v.fail(errAgain(err))
		return
	case s == nil || !s.asks():
		v.fail(errNothingToConfirm())
		return
	}
	accept := v.form("decision") == "replace"
	result, err := v.Flow.Confirm(v.r.Context(), v.Client, s.Failure.Confirm, v.browser(), accept)
	switch {
	case mayComeAgain(err):
		v.fail(err)
	case !hasCode(err, codeState):
		v.lead(s.Outcome, &pageResult{Result: result, Failure: asError(err), Dropped: !accept})
	case v.Flow.awaitOutcome(v.r.Context(), v.Client, s.Outcome, v.browser()):
		v.redirectToResult(s.Outcome)
	default:
		v.fail(err)
	}
}

// invite shows the invited what is asked of them.
func (v *visit) invite() {
	v.invited = true
	inv, err := v.Flow.readInvitation(v.Client, query(v.r, "token"))
	if err != nil {
		v.fail(err)
		return
	}
	v.render(http.StatusOK, "invite", map[string]any{
		"Title":    "Give access to your Zoho account",
		"Account":  inv.Account,
		"Client":   v.Client.Name,
		"Scopes":   v.Client.Scopes,
		"Services": services(v.Client.Scopes),
		"Expires":  inv.Expires.Format("2 January 2006 15:04 MST"),
		"Token":    query(v.r, "token"),
	})
}

func (v *visit) accept() {
	v.invited = true
	inv, err := v.Flow.readInvitation(v.Client, v.form("token"))
	if err != nil {
		v.fail(err)
		return
	}
	v.begin(Start{Account: inv.Account, RedirectURI: v.redirectURI(), invitation: inv})
}

// services are the first parts of scopes.
func services(scopes []string) []string {
	var names []string
	for _, s := range scopes {
		if name := zoho.ParseScope(s).Service; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
