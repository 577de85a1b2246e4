package caddyzoho

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Codes of the admin API that are compared somewhere; docs/operations.md lists all.
const (
	codeUnknownClient  = "unknown-client"
	codeUnknownAccount = "unknown-account"
	codeAccountName    = "account-name" // onboarding's
)

// adminError is an error as the admin API answers it, with what a program needs to go
// on. It is never with a secret in it.
type adminError struct {
	Text       string `json:"error"`
	Code       string `json:"code"` // stable
	Hint       string `json:"hint,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"` // seconds; 0 = waiting does not help
	Confirm    string `json:"confirm,omitempty"`     // see connectRequest

	status int
}

// Error is the text, and the hint on a line of its own.
func (e *adminError) Error() string {
	if e.Hint != "" {
		return e.Text + "\nhint: " + e.Hint
	}
	return e.Text
}

func (e *adminError) write(w http.ResponseWriter) error {
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	return json.NewEncoder(w).Encode(e)
}

// refuse makes an adminError of a message, which may begin with the module's name.
func refuse(status int, code, format string, args ...any) *adminError {
	text := strings.TrimPrefix(fmt.Sprintf(format, args...), "zoho: ")
	return &adminError{Text: text, Code: code, status: status}
}

// refused is what onboarding has against a wish.
func refused(failure *onboard.Error) *adminError {
	return &adminError{
		Text: failure.Text, Code: failure.Code, Hint: failure.Remedy, Confirm: failure.Confirm,
		RetryAfter: seconds(retryAfter(failure)), status: failure.Status,
	}
}

// throttled is in the text of every failure by which Zoho asks for silence, mostly
// without saying for how long.
var throttled = (&zoho.Failure{Kind: zoho.FailureThrottled}).Error()

// throttleWindow is how long Zoho counts token calls.
const throttleWindow = 10 * time.Minute

func retryAfter(failure *onboard.Error) time.Duration {
	if failure.RetryAfter == 0 && strings.Contains(failure.Text, throttled) {
		return throttleWindow
	}
	return failure.RetryAfter
}

// seconds rounds up: who comes back too early has waited for nothing.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// apiError is for refusals that need no code of their own.
func apiError(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

// statusCodes are the codes of refusals without one of their own.
var statusCodes = map[int]string{
	http.StatusBadRequest:       "bad-body",
	http.StatusNotFound:         codeUnknownClient,
	http.StatusMethodNotAllowed: "method",
}

// answered has refusals answered in one form here. Caddy would log each as an error of
// its admin endpoint, which a mistyped command is not.
func answered(handle caddy.AdminHandlerFunc) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := handle(w, r)
		var known *adminError
		var plain caddy.APIError
		switch {
		case errors.As(err, &known):
			return known.write(w)
		case errors.As(err, &plain) && statusCodes[plain.HTTPStatus] != "":
			return refuse(plain.HTTPStatus, statusCodes[plain.HTTPStatus], "%v", plain.Err).write(w)
		}
		return err
	}
}
