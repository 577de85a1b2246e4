package onboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// What Zoho did not want, and what to do about it.

// errDenied explains why Zoho brought no code.
func errDenied(cl *Client, code string) error {
	e := &Error{
		Status: http.StatusForbidden,
		Code:   codeDenied,
		Text:   "Zoho says " + quoted(code) + " instead of giving a code.",
		Remedy: "Start over.",
	}
	switch code {
	case "access_denied":
		e.Text = "Consent was refused, or codes were asked for too often: Zoho says access_denied for both."
		e.Remedy = "Start over, and accept it. If you did accept, wait ten minutes first."
		e.ToInvited = "If that was not meant, open the link again and accept. " +
			"If you did accept, wait ten minutes first."
	case "invalid_scope":
		e.Text = "Zoho does not know one of the scopes."
		e.Remedy = compareScopes
	case "invalid_client", "unauthorized_client":
		e.explain(cause.ClientUnknown)
	case "invalid_redirect_uri":
		e.explain(cause.RedirectURI)
	case noOrg:
		return errNoOrg(cl)
	}
	return e
}

// noOrg is what Zoho says, since February 2025, of a user who has no account in a product whose scope is asked for
// (help.zoho.com).
const noOrg = "no_org"

// errNoOrg explains no_org. Zoho does not say which product it is.
func errNoOrg(cl *Client) error {
	e := &Error{
		Status: http.StatusForbidden,
		Code:   "no-org",
		Text:   "This user has no account in one of the products whose scopes are asked for. Zoho says no_org, and not which one.",
		Remedy: "Sign in to the product once and set it up, or have its administrator add this user; then start over. " +
			"Or take its scopes out of `scopes`.",
	}
	products := zoho.OrgProducts(cl.Scopes)
	switch len(products) {
	case 0:
	case 1:
		e.Text = fmt.Sprintf("This user has no account in Zoho %s, whose scopes are asked for: Zoho says no_org.", products[0])
	default:
		e.Text = fmt.Sprintf("This user has no account in one of these products of Zoho, whose scopes are asked for: %s. "+
			"Zoho says no_org, and not which one.", strings.Join(products, ", "))
	}
	e.ToInvited = "Sign in to that product at Zoho once, or ask your administrator to add you there. Then open the link again."
	if len(products) > 1 {
		e.ToInvited = "Sign in to each of them at Zoho once, or ask your administrator to add you there. Then open the link again."
	}
	return e
}

// explain has an error say what is said of a cause everywhere.
func (e *Error) explain(c cause.Cause) {
	told := cause.Of(c, cause.Facts{})
	e.Text, e.Remedy = cause.Sentence(told.What), cause.Sentence(told.Do)
}

// errServer is S-21's: a callback that names an accounts server which is none of ours.
func errServer(cl *Client, server string) error {
	e := &Error{
		Status: http.StatusBadRequest,
		Code:   "accounts-server",
		Text:   "The answer names an accounts server that is none of this client's, so the code was not sent there.",
		Remedy: "If you did not write that link yourself, somebody may be after the code. Start over.",
	}
	center, ok := zoho.LookupAccountsServer(server)
	if ok && !cl.Centers[0].Custom && !slices.Contains(cl.Centers, center) {
		e.Text = fmt.Sprintf("This user's account is in the data center %s, which client %s does not have.",
			center.Code, cl.Name)
		e.Remedy = fmt.Sprintf("Enable %[1]s for the client in Zoho's API console, add %[1]s to its data_center "+
			"in the Caddyfile, with its client_secret if it has one of its own, and start over.", center.Code)
	}
	return e
}

func errNoRefreshToken() error {
	return &Error{
		Status: http.StatusBadGateway,
		Code:   "no-refresh-token",
		Text:   "Zoho gave an access token, but no refresh token, so there is nothing to keep.",
		Remedy: "Start over. For a self client's code, make a new one.",
	}
}

// errExchange explains why a code was not taken. The failure is Zoho's, if there is one.
func errExchange(err error) (e *Error, failure *zoho.Failure) {
	if errors.As(err, &e) {
		return e, nil
	}
	e = &Error{
		Status: http.StatusBadGateway,
		Code:   codeExchange,
		Text:   "Zoho did not accept the code: " + err.Error() + ".",
		Remedy: "Start over.",
	}
	if !errors.As(err, &failure) {
		return e, nil
	}
	if failure.Kind != zoho.FailureTemporary && failure.Code != "" {
		e.Text = fmt.Sprintf("%s (Zoho says %s).", failure.What(), failure.Said())
	}
	if failure.Kind != zoho.FailureTemporary { // of which the hint says that it is tried again
		e.Remedy, e.RetryAfter = cause.Sentence(failure.Hint()), retryAfter(failure)
	}
	if failure.Kind == zoho.FailureThrottled {
		e.Kind = tokencache.KindThrottled
	}
	if !failure.NoToken {
		e.Quota = "Whether it took one of the 20 refresh tokens that Zoho keeps for a user is not known: " +
			"an answer may have been lost."
	}
	return e, failure
}

// retryAfter is how long nothing should be asked for, 0 if that does not help: Zoho throttles
// by what was asked for in ten minutes, mostly without saying for how long.
func retryAfter(failure *zoho.Failure) time.Duration {
	if failure.Kind == zoho.FailureThrottled {
		return cmp.Or(failure.RetryAfter, 10*time.Minute)
	}
	return failure.RetryAfter
}

// errCallbackCode is errExchange for the code of a callback, which should say where the
// code is good.
func errCallbackCode(err error, cb Callback, center zoho.DataCenter) error {
	e, failure := errExchange(err)
	if failure != nil && failure.NoToken { // somebody has consented, and may fear for it
		e.Quota = quotaUntouched
	}
	if cb.AccountsServer == "" && e.Code == codeExchange && !center.Custom {
		e.Text += " The answer named no accounts-server, so the code was tried at " + center.Accounts +
			", the client's home."
	}
	return e
}

// errSelfClientCode is errExchange for a code that was made in an API console, of which
// each data center has one.
func errSelfClientCode(ctx context.Context, err error, cl *Client, center zoho.DataCenter) error {
	e, failure := errExchange(err)
	const anew = "Generate a new code in the API console and use it at once: " +
		"it works once, for the time chosen there (10 minutes at most)"
	switch {
	case failure == nil:
	case failure.Kind == zoho.FailureGrantDead && center.Custom:
		e.Remedy = anew + ". This one was tried at " + center.Accounts + "."
	case failure.Kind == zoho.FailureGrantDead:
		e.Remedy = fmt.Sprintf("%s, and only in that console's data center. This one was tried at %s (%s); %s.",
			anew, center.Code, center.Accounts, cl.otherConsole(center))
	case failure.Code == "invalid_client" && !center.Custom:
		e.Remedy = fmt.Sprintf("The client id is unknown at %s (%s): a self client is known in the data center "+
			"of the API console that it was made in; %s.%s",
			center.Code, center.Accounts, cl.otherConsole(center), cl.knownAt(ctx))
	}
	return e
}

// otherConsole is what to do if the console is that of another data center.
func (cl *Client) otherConsole(center zoho.DataCenter) string {
	if len(cl.Centers) > 1 {
		return fmt.Sprintf("if the console is not the one of %s, "+
			"name its data center with --data-center: one of %s",
			center.Code, strings.Join(cl.codes(), ", "))
	}
	return fmt.Sprintf("if the console is not the one of %s, put its data center first in the client's `data_center`",
		center.Code)
}

// knownAt is a sentence on the data centers that know the client's id, "" if none does.
func (cl *Client) knownAt(ctx context.Context) string {
	if known := cl.KnownAt(ctx); len(known) > 0 {
		return " It is known at " + strings.Join(known, ", ") + "."
	}
	return ""
}

// errProof explains why a refresh token brings no access token.
func errProof(err error, p *pendingGrant) error {
	e := &Error{
		Status: http.StatusBadGateway,
		Code:   "not-proved",
		Text:   "The refresh token brings no access token, so it was not stored: " + err.Error() + ".",
		Remedy: "What was stored before is untouched.",
	}
	var failure *zoho.Failure
	if errors.As(err, &failure) {
		e.Text = "The refresh token brings no access token, so it was not stored: " + failure.Error() + "."
		e.Remedy, e.RetryAfter = cause.Sentence(failure.Hint()), retryAfter(failure)
		if failure.Kind == zoho.FailureGrantDead && !p.fresh {
			e.Text = fmt.Sprintf("Zoho does not accept this refresh token (it says %s), so it was not stored.", failure.Said())
			e.Remedy = "It was revoked, copied incompletely, or made for another client or data center (--data-center); " +
				"or it is a self client's code, which is for `caddy zoho connect --self-client`."
		}
	}
	var known *tokencache.Error
	if errors.As(err, &known) {
		e.Kind, e.RetryAfter = known.Kind, max(known.RetryAfter, e.RetryAfter)
	}
	return e
}
