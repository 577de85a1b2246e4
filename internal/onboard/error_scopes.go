package onboard

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// What stands against scopes that are to be added to a grant.

// CodeNothingMissing is that of a grant which has all scopes of the configuration.
const CodeNothingMissing = "nothing-missing"

func errNothingMissing(cl *Client, account string) error {
	return &Error{
		Status: http.StatusConflict,
		Code:   CodeNothingMissing,
		Text:   fmt.Sprintf("The grant of account %s of client %s has all scopes of the configuration.", account, cl.Name),
		Remedy: "To add others, write them to `scopes` of the client first.",
	}
}

// errNotWidened explains why Zoho does not let scopes be added, and names the other way.
func errNotWidened(cl *Client, account string, err error) error {
	e := &Error{
		Status: http.StatusBadGateway,
		Code:   "scopes-not-added",
		Text:   "Zoho does not let scopes be added to this grant: " + err.Error() + ".",
		Remedy: "Zoho allows that for clients of the type Server-based Applications. " + otherWay(cl, account),
	}
	var failure *zoho.Failure
	if !errors.As(err, &failure) {
		return e
	}
	switch failure.Kind {
	case zoho.FailureTemporary, zoho.FailureThrottled:
		e.Text = "Scopes cannot be added now: " + failure.Error() + "."
		e.Remedy, e.RetryAfter = "The grant is as it was: try again in a moment.", retryAfter(failure)
	case zoho.FailureGrantDead:
		e.Remedy = cause.Sentence(failure.Hint())
	}
	if failure.Code == "invalid_client_secret" {
		e.Remedy = cause.Sentence(failure.Hint())
	}
	return e
}

// otherWay is how a grant with more scopes is had without adding them.
func otherWay(cl *Client, account string) string {
	if cl.configured(account) {
		return "For a grant of another kind, such as that of a self client, make a new refresh token with all scopes, " +
			"and put it in place of the configured one."
	}
	if strings.HasPrefix(cl.ID(), zoho.DeviceClientPrefix) {
		return fmt.Sprintf("For a grant of another kind, give a new consent, which asks for all scopes: "+
			"`caddy zoho connect %s %s --device --revoke-old`.", cl.Name, account)
	}
	return fmt.Sprintf("For a grant of another kind, give a new consent, which asks for all scopes: "+
		"`caddy zoho connect %[1]s %[2]s --revoke-old`, or with the code of a self client "+
		"`caddy zoho connect %[1]s %[2]s --self-client --revoke-old`.", cl.Name, account)
}

// errNotAllowed is for a person who did not accept.
func errNotAllowed(code string) error {
	e := &Error{
		Status: http.StatusForbidden,
		Code:   codeDenied,
		Text:   "Zoho says " + quoted(code) + " instead of adding the scopes.",
		Remedy: "Nothing was changed. Start over, and accept.",
	}
	if code == "access_denied" {
		e.Text = "The scopes were not accepted at Zoho."
		e.Remedy = "Nothing was changed: the grant serves on with the scopes that it has. " +
			"If that was not meant, start over, and accept."
	}
	return e
}

func errNoWidening() error {
	return &Error{
		Status: http.StatusForbidden,
		Code:   codePaste,
		Title:  "No scopes were added",
		Text:   "This browser is not adding scopes here.",
		Remedy: "If that was started in a terminal, by `caddy zoho connect --add-scopes`, copy the whole address of this " +
			"page and paste it there. Otherwise it was started in another browser, under another name of this server, " +
			"or more than 10 minutes ago: start over.",
	}
}

func errWideningExpired() error {
	return &Error{
		Status: http.StatusForbidden,
		Code:   codeState,
		Text:   "Adding these scopes was started more than 10 minutes ago.",
		Remedy: "See in the list whether they are missing still, and start over if they are.",
	}
}

func errWideningUsed() error {
	return &Error{
		Status: http.StatusConflict,
		Code:   codeUsed,
		Text:   "This answer from Zoho was used already.",
		Remedy: "See in the list of accounts which scopes are missing, if any.",
	}
}

func errGrantChanged(cl *Client, account string) error {
	return &Error{
		Status: http.StatusConflict,
		Code:   "grant-changed",
		Text: fmt.Sprintf("Account %s of client %s got another grant meanwhile, so the scopes are not those of the one "+
			"that it has now.", account, cl.Name),
		Remedy: "See in the list which ones are missing, and start over if they are.",
	}
}

// errStillMissing is for scopes that Zoho has not added, whatever the browser brought.
func errStillMissing(cl *Client, account string, missing []string) error {
	return &Error{
		Status: http.StatusBadGateway,
		Code:   "still-missing",
		Text: fmt.Sprintf("The grant of account %s of client %s still lacks %s: Zoho says so when it is asked.",
			account, cl.Name, strings.Join(missing, ", ")),
		Remedy: "The grant serves on as it was. Start over, one account at a time in a browser, " +
			"signed in to Zoho as the user who gave the grant. " + otherWay(cl, account),
	}
}

// errNoToken is for a grant of which nothing is known, and that brings no token to tell.
func errNoToken(err error) error {
	e := &Error{
		Status: http.StatusBadGateway,
		Code:   "no-token",
		Text:   "Which scopes the grant has is not known, and there is no access token to tell: " + err.Error() + ".",
		Remedy: "See `caddy zoho doctor`, and start over when the account has a token.",
	}
	return e.waiting(err)
}

// errNotAsked is for scopes that may have been added.
func errNotAsked(err error) error {
	e := &Error{
		Status: http.StatusBadGateway,
		Code:   "not-asked",
		Text: "Zoho says that the scopes were added, but which ones the grant has now could not be asked: " +
			err.Error() + ".",
		Remedy: "Nothing needs to be done: the next access token tells, and the list shows it.",
	}
	return e.waiting(err)
}

// waiting adds why there is no token, and how long that lasts.
func (e *Error) waiting(err error) *Error {
	var known *tokencache.Error
	if errors.As(err, &known) {
		e.Kind, e.RetryAfter = known.Kind, known.RetryAfter
	}
	return e
}
