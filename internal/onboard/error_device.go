package onboard

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// What ends a device flow, and what to do about it.

const deviceAgain = "Run `caddy zoho connect --device` again."

// errDeviceStart explains why Zoho gave no code.
func errDeviceStart(ctx context.Context, cl *Client, accounts *zoho.Accounts, err error) error {
	switch {
	case zoho.IsWrongClientType(err):
		return errDeviceClient(ctx, cl, accounts)
	case zoho.IsUnknownScope(err):
		unknown, _ := accounts.UnknownScopes(ctx, cl.Scopes)
		return errUnknownScopes(ctx, accounts, unknown)
	}
	e := asError(errDevice(cl, accounts.DataCenter, err))
	if e.Code == codeExchange {
		e.Text = "Zoho gave no device code: " + err.Error() + "."
	}
	return e
}

func errNoClientSecret(cl *Client, center zoho.DataCenter) error {
	return &Error{
		Status: http.StatusConflict,
		Code:   codeNoSecret,
		Text:   fmt.Sprintf("No client_secret of client %s has a value for the data center %s.", cl.Name, center.Code),
		Remedy: "Set the variable or file that `client_secret` names.",
	}
}

// errDeviceClient explains invalid_client: only one type of client may ask for device codes, and Zoho says the same
// of a client that it does not know.
func errDeviceClient(ctx context.Context, cl *Client, accounts *zoho.Accounts) error {
	e := &Error{
		Status: http.StatusConflict,
		Code:   "device-client",
		Text:   fmt.Sprintf("Zoho gives client %s no device code: it says invalid_client.", cl.Name),
	}
	const kind = "Device codes are for clients of the type Non-browser Applications"
	home := accounts.DataCenter
	switch {
	case home.Custom:
		e.Remedy = kind + ". See that " + home.Accounts + " knows this client as one."
	case strings.HasPrefix(accounts.ClientID, zoho.DeviceClientPrefix):
		e.Remedy = fmt.Sprintf("%s, and this client id begins with %s as theirs do. So it is unknown at %s (%s): "+
			"compare client_id with the API console, and put the data center that it was registered in first in `data_center`.%s",
			kind, zoho.DeviceClientPrefix, home.Code, home.Accounts, cl.knownAt(ctx))
	default:
		e.Remedy = fmt.Sprintf("%s, whose ids begin with %s; a self client or server-based client may not have one. "+
			"Add a client of that type in Zoho's API console, and to the Caddyfile a `client` of its own with its "+
			"client_id and client_secret. Or connect this client in a browser, by `caddy zoho connect` without --device.",
			kind, zoho.DeviceClientPrefix)
	}
	return e
}

// errUnknownScopes names scopes that do not exist, and those that are probably meant.
func errUnknownScopes(ctx context.Context, accounts *zoho.Accounts, unknown []string) error {
	e := &Error{
		Status: http.StatusConflict,
		Code:   "unknown-scope",
		Text:   "Zoho does not know one of the scopes.",
		Remedy: compareScopes,
	}
	if len(unknown) == 0 {
		return e
	}
	near := accounts.NearestScopes(ctx, unknown)
	var named []string
	for _, scope := range unknown {
		text := quoted(scope)
		if near[scope] != "" {
			text += " (did you mean " + near[scope] + "?)"
		}
		named = append(named, text)
	}
	e.Text = "Zoho does not know these scopes: " + strings.Join(named, ", ") + "."
	if len(named) == 1 {
		e.Text = "Zoho does not know the scope " + named[0] + "."
	}
	return e
}

const compareScopes = "Compare `scopes` with the documentation of the API, letter by letter."

// errDevice explains what Zoho said instead of giving tokens, and will say again.
func errDevice(cl *Client, center zoho.DataCenter, err error) error {
	e, failure := errExchange(err)
	if failure == nil {
		return e
	}
	e.Text = "Zoho gave no tokens for the device code: " + err.Error() + "."
	e.Remedy = deviceAgain
	switch {
	case failure.Code == noOrg:
		return errNoOrg(cl)
	case zoho.IsUnknownScope(err):
		e.Remedy = compareScopes
	case failure.Kind == zoho.FailureClientRejected && !center.Custom && center != cl.Centers[0]:
		e.Remedy = fmt.Sprintf("The person's account is in the data center %[1]s. Enable %[1]s for the client in "+
			"Zoho's API console, and give its secret by `client_secret %[1]s {env.…}` if it has one of its own.", center.Code)
	case failure.Kind == zoho.FailureClientRejected, failure.Kind == zoho.FailureThrottled:
		e.Remedy = cause.Sentence(failure.Hint())
	case failure.Kind == zoho.FailureTemporary && failure.Status == 0:
		e.Remedy = cause.Sentence(cause.Of(cause.Unreachable, cause.Facts{}).Do)
	}
	return e
}

func errDeviceDenied() error {
	return &Error{
		Status: http.StatusForbidden,
		Code:   codeDenied,
		Text:   "Consent was refused: whoever typed the code in has not accepted.",
		Remedy: "If that was not meant, run the command again and accept.",
	}
}

// errDeviceExpired is for a code that nobody has used in time; trouble is what Zoho could not be asked for at last.
func errDeviceExpired(trouble error) error {
	e := &Error{
		Status: http.StatusForbidden,
		Code:   "expired",
		Text:   "The code has expired before anybody accepted.",
		Remedy: deviceAgain,
	}
	if trouble != nil {
		e.Text = "The code has expired, and Zoho could not be asked at last: " + trouble.Error() + "."
		e.Quota = ""
	}
	return e
}

// errDeviceLeft is for a flow whose command has ended. Only the audit log reads it.
func errDeviceLeft() error {
	return &Error{
		Status: http.StatusServiceUnavailable,
		Code:   "interrupted",
		Text:   "The command ended before anybody accepted, so Zoho is not asked any more.",
		Remedy: deviceAgain,
	}
}

func errDeviceClientGone(cl *Client) error {
	return &Error{
		Status: http.StatusConflict,
		Code:   "client-changed",
		Text:   fmt.Sprintf("A new configuration has taken client %s out, or has changed its client_id.", cl.Name),
		Remedy: deviceAgain,
	}
}

// errLocation is for an account in a data center that the client does not have.
func errLocation(cl *Client, location string) error {
	e := &Error{
		Status: http.StatusBadRequest,
		Code:   "data-center-not-configured",
		Text:   fmt.Sprintf("Zoho says that this account is in the data center %s, which is not known.", quoted(location)),
		Remedy: "See whether the client's `data_center` is that of the API console.",
	}
	center, known := zoho.LookupLocation(location)
	switch {
	case cl.Centers[0].Custom:
		e.Text = fmt.Sprintf("The server says that this account is in the data center %s, and client %s has only the one of its URLs.",
			quoted(location), cl.Name)
		e.Remedy = "Connect an account of that server."
	case known && (center.Isolated() || cl.Centers[0].Isolated()):
		e.Text = fmt.Sprintf("This account is in the data center %s, which shares no client with %s.", center.Code, cl.Centers[0].Code)
		e.Remedy = "China stands alone: it needs a client of its own, registered in its own API console."
	case known:
		e.Text = fmt.Sprintf("This account is in the data center %s, which client %s does not have.", center.Code, cl.Name)
		e.Remedy = fmt.Sprintf("Enable %[1]s for the client in Zoho's API console, write `data_center %[2]s` in the Caddyfile, "+
			"with `client_secret %[1]s {env.…}` if it has a secret of its own there, reload, and run the command again.",
			center.Code, strings.Join(append(cl.codes(), center.Code), " "))
	}
	return e
}
