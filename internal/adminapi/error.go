package adminapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Codes of the admin API that are compared somewhere; docs/operations.md lists all.
const (
	CodeUnknownClient  = "unknown-client"
	CodeUnknownAccount = "unknown-account"
	CodeAccountName    = "account-name" // onboarding's
	CodeBadLine        = "bad-line"     // of a batch; the commands' own
)

// Error is an error as the admin API answers it, with what a program needs to go
// on. It is never with a secret in it.
type Error struct {
	Text       string `json:"error"`
	Code       string `json:"code"` // stable
	Hint       string `json:"hint,omitempty"`
	Reason     string `json:"reason,omitempty"`      // one of waitReasons; stable
	RetryAfter int    `json:"retry_after,omitempty"` // seconds; 0 = waiting does not help
	Confirm    string `json:"confirm,omitempty"`     // see ConnectRequest
	// The stored grant cannot be read, and replace_unreadable says that it may be replaced.
	Replaceable bool `json:"replaceable,omitempty"`
	// The connection, where a command knows more of it than whoever typed it: both may have
	// been left out.
	Client  string `json:"client,omitempty"`
	Account string `json:"account,omitempty"`

	Status int `json:"-"` // of the answer
}

// Error is the connection if it is known, the text, and the hint on a line of its own.
func (e *Error) Error() string {
	text := e.Text
	if e.Account != "" {
		text = e.Client + "/" + e.Account + ": " + text
	}
	if e.Hint != "" {
		text += "\nhint: " + e.Hint
	}
	return text
}

func (e *Error) write(w http.ResponseWriter) error {
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	return json.NewEncoder(w).Encode(e)
}

// Refuse makes an Error of a message, which may begin with the module's name.
func Refuse(status int, code, format string, args ...any) *Error {
	text := strings.TrimPrefix(fmt.Sprintf(format, args...), "zoho: ")
	return &Error{Text: text, Code: code, Status: status}
}

// waitReasons are those to wait, by codes that apps know.
var waitReasons = map[tokencache.Kind]string{
	tokencache.KindTemporary: problem.CodeAccountsUnreachable,
	tokencache.KindThrottled: problem.CodeThrottled,
	tokencache.KindBudget:    problem.CodeBudgetSpent,
	tokencache.KindStore:     problem.CodeStore,
}

// Refused is what onboarding has against a wish.
func Refused(failure *onboard.Error) *Error {
	return &Error{
		Text: cmp.Or(failure.Log, failure.Text), Code: failure.Code, Reason: waitReasons[failure.Kind], Hint: strings.TrimSpace(failure.Remedy + " " + failure.Quota), Confirm: failure.Confirm, Replaceable: failure.Replaceable,
		RetryAfter: problem.Seconds(failure.RetryAfter), Status: failure.Status,
	}
}

// Answered has refusals answered in one form here. Caddy would log each as an error of
// its admin endpoint, which a mistyped command is not.
func Answered(handle caddy.AdminHandlerFunc) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := handle(w, r)
		var refused *Error
		if errors.As(err, &refused) {
			return refused.write(w)
		}
		return err
	}
}

// NeedsConsent reports whether a new grant ends the failure with that code.
func NeedsConsent(code string) bool {
	return code == problem.CodeGrantDead || code == problem.CodeNoGrant
}

// WriteJSON answers with a value.
func WriteJSON(w http.ResponseWriter, value any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(value)
}
