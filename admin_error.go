package caddyzoho

import (
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
	Reason     string `json:"reason,omitempty"`      // one of waitReasons; stable
	RetryAfter int    `json:"retry_after,omitempty"` // seconds; 0 = waiting does not help
	Confirm    string `json:"confirm,omitempty"`     // see connectRequest
	// The stored grant cannot be read, and replace_unreadable says that it may be replaced.
	Replaceable bool `json:"replaceable,omitempty"`
	// The connection, where a command knows more of it than whoever typed it: both may have
	// been left out.
	Client  string `json:"client,omitempty"`
	Account string `json:"account,omitempty"`

	status int
}

// Error is the connection if it is known, the text, and the hint on a line of its own.
func (e *adminError) Error() string {
	text := e.Text
	if e.Account != "" {
		text = e.Client + "/" + e.Account + ": " + text
	}
	if e.Hint != "" {
		text += "\nhint: " + e.Hint
	}
	return text
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

// waitReasons are those to wait, by codes that apps know.
var waitReasons = map[tokencache.Kind]string{
	tokencache.KindTemporary: problem.CodeAccountsUnreachable,
	tokencache.KindThrottled: problem.CodeThrottled,
	tokencache.KindBudget:    problem.CodeBudgetSpent,
	tokencache.KindStore:     problem.CodeStore,
}

// refused is what onboarding has against a wish.
func refused(failure *onboard.Error) *adminError {
	return &adminError{
		Text: failure.Text, Code: failure.Code, Reason: waitReasons[failure.Kind], Hint: strings.TrimSpace(failure.Remedy + " " + failure.Quota), Confirm: failure.Confirm, Replaceable: failure.Replaceable,
		RetryAfter: problem.Seconds(failure.RetryAfter), status: failure.Status,
	}
}

// answered has refusals answered in one form here. Caddy would log each as an error of
// its admin endpoint, which a mistyped command is not.
func answered(handle caddy.AdminHandlerFunc) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := handle(w, r)
		var refused *adminError
		if errors.As(err, &refused) {
			return refused.write(w)
		}
		return err
	}
}
