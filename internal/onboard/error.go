package onboard

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Error is what went wrong, for a person: what, and what to do about it. Never with a
// secret in it.
type Error struct {
	Status     int
	Code       string // stable
	Title      string // of its page, "" for the usual one
	Text       string
	Remedy     string
	RetryAfter time.Duration
	Kind       tokencache.Kind // why a code or refresh token brought nothing, 0 if that is not what failed
	Log        string          // what those are told who may know it in place of Text, "" if that is no other
	Reference  string          // by which a page and the log speak of it, "" if it was not on a page
	// Quota says what the failure cost of the 20 refresh tokens that Zoho keeps of a user
	// and client, "" if it has nothing to do with them.
	Quota     string
	ToInvited string // remedy for whoever has an invitation and nothing else, "" if they can do nothing
	// Replaceable says that the stored grant cannot be read, and may be replaced by whoever
	// agrees to that.
	Replaceable bool
	// Confirm names a grant that was given by somebody else than the one before. It is
	// stored once that is confirmed.
	Confirm string
	Before  *Result
	After   *Result

	word  string // of an answer that no consent is known of, see errAnswer
	away  bool   // the store that replicas share cannot be reached
	again bool   // nothing was used up, so the very same can be tried again
}

// Error is all of it in one line.
func (e *Error) Error() string { return strings.TrimSpace(e.Text + " " + e.Remedy + " " + e.Quota) }

// asError is what a function of this package has returned, as an Error; nil for nil.
func asError(err error) *Error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return known
	}
	return &Error{
		Status: http.StatusInternalServerError,
		Code:   "internal",
		Text:   "The proxy failed: " + err.Error() + ".",
		Remedy: "See the log, and report it.",
	}
}

// hasCode reports whether an error is one of those codes.
func hasCode(err error, codes ...string) bool {
	return err != nil && slices.Contains(codes, asError(err).Code)
}

const quotaUntouched = "It took none of the 20 refresh tokens that Zoho keeps for a user."

// forInvited is the error for whoever has an invitation and nothing else: what concerns
// the machine stays in its log.
func (e *Error) forInvited() *Error {
	told := &Error{
		Status:     e.Status,
		Code:       e.Code,
		Title:      e.Title,
		Text:       e.Text,
		Remedy:     e.ToInvited,
		RetryAfter: e.RetryAfter,
		Reference:  e.Reference,
	}
	if e.ToInvited == "" {
		told.Text = "Your account could not be connected."
		told.Remedy = "Open the link again later, or ask the person who sent it. They can find the reason by the code below."
	}
	return told
}

// Codes that are asked for, or stand in several places.
const (
	codeState = "state"
	codeStore = "store"
	codeUsed  = "state-used"
	codePaste = "paste"

	codeCallback = "callback"
	codeDenied   = "denied"

	codeExchange   = "exchange"
	codeNoGrant    = "no-grant"
	codeConfigured = "configured"
	codeNoSecret   = "no-secret"

	codeNoRedirectURI = "no-redirect-uri"
	codeInvitation    = "invitation"
)

// titleConnected is that of a page on which nothing came about, since nothing had to.
const (
	titleConnected = "Already connected"
	doneAlready    = "You don’t need to do anything else. You can close this page."
)

func errState(text string) error {
	return &Error{
		Status:    http.StatusForbidden,
		Code:      codeState,
		Text:      text,
		Remedy:    "Nothing was exchanged or stored. Start over.",
		ToInvited: "Nothing was changed. Open the link again.",
	}
}

func errNothingToConfirm() error { return errState("There is nothing left to confirm here.") }

// errPaste is for a browser that has ended where somebody at a terminal waits for it.
func errPaste() error {
	return &Error{
		Status: http.StatusForbidden,
		Code:   codePaste,
		Title:  "Go back to the terminal",
		Text:   "This consent was started in a terminal, by `caddy zoho connect`.",
		Remedy: "Copy the whole address of this page and paste it there, within 10 minutes. It works nowhere else.",
	}
}

func errClosed() error {
	return &Error{
		Status: http.StatusServiceUnavailable,
		Code:   "closed",
		Text:   "The proxy is being stopped, and nothing was changed any more.",
		Remedy: "Start over when it runs again.",
	}
}

func errAccountName() error {
	return &Error{
		Status: http.StatusBadRequest,
		Code:   "account-name",
		Text:   "This is no name for an account.",
		Remedy: words.NameRule + ".",
	}
}

// errConfigured is for what only the configuration can change.
func errConfigured(cl *Client, account, remedy string) error {
	return &Error{
		Status: http.StatusConflict,
		Code:   codeConfigured,
		Text: fmt.Sprintf("The grant of account %s of client %s comes from the configuration, which always wins.",
			account, cl.Name),
		Remedy: remedy,
	}
}

// NothingToConnect is for whoever would connect an account that the client itself asks for tokens of.
func NothingToConnect(client, account string) *Error {
	return &Error{
		Status: http.StatusConflict,
		Code:   codeConfigured,
		Text: fmt.Sprintf("Nothing has to be connected for account %s of client %s: with `grant_type client_credentials` "+
			"the proxy asks for its tokens by client id and secret.", account, client),
		Remedy: fmt.Sprintf("See by `caddy zoho doctor %s %s` whether it works. For a grant by consent take grant_type "+
			"out of the configuration.", client, account),
	}
}

func errNothingStored(cl *Client, account string) error {
	return &Error{
		Status: http.StatusConflict,
		Code:   codeConfigured,
		Text: fmt.Sprintf("There is nothing to forget of account %s of client %s: with `grant_type client_credentials` "+
			"it has no refresh token.", account, cl.Name),
		Remedy: fmt.Sprintf("`caddy zoho revoke %s %s` ends its access token; to be rid of the account, "+
			"take it out of the configuration.", cl.Name, account),
	}
}

const addScopes = "Add `scopes ZohoCRM.modules.ALL …` to the client in the Caddyfile, " +
	"as the documentation of the APIs that your app calls names them. " +
	"Or take a self client's code, which brings its own: `caddy zoho connect --self-client`."

func errNoScopes(cl *Client) error {
	return &Error{
		Status: http.StatusConflict,
		Code:   "no-scopes",
		Text:   fmt.Sprintf("Client %s has no scopes to ask consent for.", cl.Name),
		Remedy: addScopes,
	}
}

func errNoSOID(cl *Client, account string) error {
	return &Error{
		Status: http.StatusConflict,
		Code:   "no-soid",
		Text: fmt.Sprintf("Client %s is an organization's, and account %s has no organization to ask for.",
			cl.Name, account),
		Remedy: fmt.Sprintf("Add `soid zohopay.ACCOUNT_ID` to the client in the Caddyfile, or to `account %s { … }` in it.",
			account),
	}
}

func errNoRedirectURI(cl *Client, account string) error {
	if way := cl.otherThanBrowser(account); way != "" {
		return &Error{
			Status: http.StatusConflict,
			Code:   codeNoRedirectURI,
			Text: fmt.Sprintf("Client %s has no redirect_uri, and is of a type for which Zoho has no page of consent in a browser.",
				cl.Name),
			Remedy: cause.Sentence(way),
		}
	}
	return &Error{
		Status: http.StatusConflict,
		Code:   codeNoRedirectURI,
		Text: fmt.Sprintf("Client %s has no redirect_uri, so it is not known where Zoho is to send the browser.",
			cl.Name),
		Remedy: "Serve its pages by `zoho_connect`, or add `redirect_uri URL` to the client in the Caddyfile: " +
			"one that is registered for it in Zoho's API console. " +
			"For a pasted callback nothing needs to answer there. Or use a self client's code.",
	}
}

func errTooManyStarts(wait time.Duration) error {
	again := fmt.Sprintf("Try again in %s.", words.Duration(wait.Round(time.Second)))
	return &Error{
		Status:     http.StatusTooManyRequests,
		Code:       "starts",
		RetryAfter: wait,
		Text: "Consent was started too often in the last 10 minutes. Zoho gives 10 codes in 10 minutes, " +
			"and each consent can take one of the 20 refresh tokens that it keeps for a user.",
		Remedy:    again,
		ToInvited: again,
	}
}

func errTooManyOfCaller(wait time.Duration) error {
	return &Error{
		Status:     http.StatusTooManyRequests,
		Code:       "starts",
		RetryAfter: wait,
		Text:       "Too many consents were started from your address or its network in the last few minutes.",
		Remedy: fmt.Sprintf("Try again in %s. If all callers come through one server, set trusted_proxies "+
			"so that Caddy sees their addresses.", words.Duration(wait.Round(time.Second))),
		Quota: "Zoho was not asked.",
	}
}

func errUsed() *Error {
	return &Error{
		Status:    http.StatusConflict,
		Code:      codeUsed,
		Text:      "This answer from Zoho was used already.",
		Remedy:    "Nothing was done a second time. The list of accounts shows what came of the first time.",
		Quota:     "It took no second one of the 20 refresh tokens that Zoho keeps for a user.",
		ToInvited: "You can close this page.",
	}
}

// errUsedWell is errUsed where the account is connected, so that all is as it should be.
func errUsedWell() *Error {
	e := errUsed()
	e.Title, e.Text = titleConnected, "This answer from Zoho was used already, and the account is connected."
	e.Remedy, e.ToInvited, e.Quota = doneAlready, doneAlready, ""
	return e
}

func errCallback(text, remedy string) error {
	return &Error{
		Status: http.StatusBadRequest,
		Code:   codeCallback,
		Text:   text,
		Remedy: remedy,
	}
}

func errStore(err error) *Error {
	e := &Error{
		Status: http.StatusServiceUnavailable,
		Code:   codeStore,
		Text:   "The store cannot be used: " + err.Error() + ".",
		Remedy: "Mend that and try again.",
		away:   errors.Is(err, tokencache.ErrAway),
	}
	if e.away {
		e.Remedy, e.RetryAfter = "Try again in a moment, or mend that.", awayRetry
	}
	return e
}

// awayRetry is how soon a store that cannot be reached may be back.
const awayRetry = 5 * time.Second

// isAway reports whether an error says that the store cannot be reached.
func isAway(err error) bool { return err != nil && asError(err).away }

// mayComeAgain reports whether an error has used nothing up.
func mayComeAgain(err error) bool { return err != nil && asError(err).again }

// errAgain is an error of the store that has used nothing up. It is shown to strangers, so why the
// store fails is left to the log.
func errAgain(err error) error {
	const remedy = "Nothing was used up: load this page, or paste it, again in a moment."
	return &Error{
		Status:     http.StatusServiceUnavailable,
		Code:       codeStore,
		RetryAfter: awayRetry,
		Text:       "The store cannot be used now.",
		Remedy:     remedy,
		ToInvited:  remedy,
		Log:        asError(err).Text,
		away:       isAway(err),
		again:      true,
	}
}

// errLost is errStore for a grant that cannot be read and may be replaced.
func errLost(err error) error {
	e := errStore(err)
	e.Remedy += " Or replace the grant: it is gone here then, and lives on at Zoho."
	e.Replaceable = true
	return e
}

// errRevokedOnly is for a grant that Zoho has taken back and the store has not.
func errRevokedOnly(cl *Client, account string, err error) error {
	why := asError(err)
	return &Error{
		Status: why.Status,
		Code:   why.Code,
		Text:   "Zoho has taken the grant back, but it is still stored here. " + why.Text,
		Remedy: fmt.Sprintf("Mend that, then take it away by `caddy zoho forget %s %s`.", cl.Name, account),
	}
}

func errNotRevoked(err error) error {
	return &Error{
		Status: http.StatusBadGateway,
		Code:   "not-revoked",
		Text:   "Zoho did not revoke the grant, so it was not forgotten: " + err.Error() + ".",
		Remedy: "Try again, or forget it here and revoke it in the user's account at Zoho (Connected Apps).",
	}
}

func errTokenNotRevoked(err error) error {
	return &Error{
		Status: http.StatusBadGateway,
		Code:   "not-revoked",
		Text:   "Zoho did not revoke the access token: " + err.Error() + ".",
		Remedy: "Try again. It ends by itself within an hour.",
	}
}

func errOther(confirm string, before, after Result) error {
	return &Error{
		Status:  http.StatusConflict,
		Code:    "other-user",
		Confirm: confirm,
		Before:  &before,
		After:   &after,
		Text: fmt.Sprintf("Account %s was connected by %s before, and now by %s.",
			after.Account, before.who(), after.who()),
		Remedy: "Confirm it within 10 minutes to replace the grant; until then the old one stays.",
	}
}

// errTaken tells an invited nothing of who was there before.
func errTaken() error {
	const remedy = "If you have several Zoho accounts, sign in there as the one that was connected before and " +
		"open the link again. Otherwise ask the person who sent the link for one that replaces the other account."
	return &Error{
		Status: http.StatusConflict,
		Code:   "taken",
		Text: "This account is connected to another Zoho account already. " +
			"That connection stays as it is, and your permission was given back.",
		Remedy:    remedy,
		ToInvited: remedy,
	}
}

func errNoGrant(cl *Client, account string) error {
	return &Error{
		Status: http.StatusNotFound,
		Code:   codeNoGrant,
		Text:   fmt.Sprintf("Client %s has no stored grant of an account %s.", cl.Name, account),
		Remedy: "`caddy zoho status` lists those that there are.",
	}
}

func errShared(cl *Client, account string, others []string) error {
	return &Error{
		Status: http.StatusConflict,
		Code:   "shared",
		Text: fmt.Sprintf("Account %s of client %s has the same refresh token as %s, which ends with it.",
			account, cl.Name, accountList(others)),
		Remedy: fmt.Sprintf("Take this one away alone by `caddy zoho forget %s %s`, "+
			"or say by --shared that it is meant for all of them.", cl.Name, account),
	}
}

func errSharer(other string, err error) error {
	return &Error{
		Status: http.StatusServiceUnavailable,
		Code:   codeStore,
		Text:   fmt.Sprintf("Whether account %s has the same refresh token is not known: %v.", other, err),
		Remedy: "Mend that and try again, or say by --shared that all who have it may lose it.",
	}
}

// accountList names accounts, some of them.
func accountList(names []string) string {
	return "account " + words.Some(names, 5, len(names))
}

func errInvitation(text string) error {
	const remedy = "Ask the person who sent it for a new one."
	return &Error{
		Status:    http.StatusForbidden,
		Code:      codeInvitation,
		Text:      text,
		Remedy:    remedy,
		ToInvited: remedy,
	}
}

// quoted quotes what somebody else wrote, a part of it.
func quoted(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
	if runes := []rune(clean); len(runes) > 64 {
		clean = string(runes[:64]) + "…"
	}
	return fmt.Sprintf("%q", clean)
}
