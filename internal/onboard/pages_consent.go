package onboard

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
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
	s.Caller, v.account = v.Caller(v.r), s.Account
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
	v.redirect(to)
}

// callback exchanges the code and leads to a clean address, whatever comes of it: a code that was not used is good
// for whoever reads it there. Two pages stay, since their address is needed still: the one for a consent that waits
// in a terminal, and the one that is to be loaded again when the store is back.
func (v *visit) callback() {
	values, err := url.ParseQuery(v.r.URL.RawQuery)
	if err != nil {
		v.turnAway(errAnswer(answerDamaged))
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
	if c != nil {
		v.account, v.invited = c.Account, c.Invitation != nil
	}
	s := &pageResult{Result: result, Failure: asError(failure), Account: v.account, Invited: v.invited}
	switch {
	case hasCode(failure, codePaste): // as it should be: nothing for the log
		v.failWith(s.Failure)
		return
	case mayComeAgain(failure):
		v.fail(failure)
		return
	case c == nil:
		v.turnAway(s.Failure)
		return
	case hasCode(failure, codeUsed, codeState): // however often it comes, one result is kept
		begun := c.Expires.Add(-consentLife)
		if now := v.Flow.works(v.Client, c.Account); hasCode(failure, codeUsed) && now != nil && now.GrantedAt.After(begun) {
			s.Failure = errUsedWell()
		}
		v.lead(idOf("refused "+cb.State), s)
		return
	}
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
		if s.Failure != nil {
			v.w.Header().Set(ErrorHeader, s.Failure.Code)
		}
		v.redirectToResult(id)
	case s.asks():
		v.fail(err)
	default:
		v.show("", s)
	}
}

// redirectToResult sends the browser to what was kept.
func (v *visit) redirectToResult(id string) { v.redirect("result?id=" + id) }

func (v *visit) result() {
	if why := query(v.r, "why"); why != "" {
		v.turnedAway(why, query(v.r, "ref"))
		return
	}
	id := query(v.r, "id")
	s, err := v.Flow.resultOf(v.Client, id, v.browser())
	switch {
	case err != nil:
		v.fail(errAgain(err))
	case s == nil:
		v.fail(&Error{
			Status: http.StatusNotFound,
			Code:   "result",
			Text:   "There is nothing left to see here.",
			Remedy: "The list of accounts shows whether the account is connected.",
		})
	default:
		v.show(id, s)
	}
}

// show shows what came of a consent, or asks.
func (v *visit) show(id string, s *pageResult) {
	v.invited, v.account = s.Invited, s.Account
	data := map[string]any{"Result": s.Result, "Error": s.Failure, "ReturnTo": s.ReturnTo, "ID": id, "Client": v.Client.shownName()}
	switch {
	case s.asks():
		data["Title"] = "A different user than before"
		v.render(http.StatusOK, "confirm", data)
	case s.Failure != nil:
		v.failWith(s.Failure)
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
	v.account = s.Account
	accept := v.form("decision") == "replace"
	result, err := v.Flow.Confirm(v.r.Context(), v.Client, s.Failure.Confirm, v.browser(), accept)
	switch {
	case mayComeAgain(err):
		v.fail(err)
	case !hasCode(err, codeState):
		v.lead(s.Outcome, &pageResult{Result: result, Failure: asError(err), Account: s.Account, Dropped: !accept})
	case v.Flow.awaitOutcome(v.r.Context(), v.Client, s.Outcome, v.browser()):
		v.redirectToResult(s.Outcome)
	default:
		v.fail(err)
	}
}

// invite shows the invited what is asked of them.
func (v *visit) invite() {
	token := query(v.r, "token")
	inv := v.invitation(token)
	if inv == nil {
		return
	}
	v.render(http.StatusOK, "invite", map[string]any{
		"Title":   "Connect your Zoho account",
		"Account": inv.Account,
		"Client":  v.Client.shownName(),
		"Asks":    asksOf(v.Client.Scopes),
		"Scopes":  shownScopes(v.Client.Scopes),
		"Expires": inv.Expires.Format(expiryFormat),
		"Token":   token,
	})
}

func (v *visit) accept() {
	if inv := v.invitation(v.form("token")); inv != nil {
		v.begin(Start{Account: inv.Account, RedirectURI: v.redirectURI(), invitation: inv})
	}
}

// invitation is the one that a link holds, nil if it is not good: then the page says so.
func (v *visit) invitation(token string) *Invitation {
	v.invited = true
	inv, err := v.Flow.readInvitation(v.Client, token)
	if inv != nil {
		v.account = inv.Account
	}
	if err != nil {
		v.fail(err)
		return nil
	}
	return inv
}
