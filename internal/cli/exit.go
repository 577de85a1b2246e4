package cli

import (
	"errors"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
)

// What `caddy zoho` exits with.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2
	exitNeedsConsent = 3
	exitUnreachable  = 4
	exitIncomplete   = 5
)

// exitWords are the codes of errors that are the command's own.
var exitWords = map[int]string{
	exitFailed:       "failed",
	exitUsage:        "usage",
	exitNeedsConsent: "needs-consent",
	exitUnreachable:  "unreachable",
	exitIncomplete:   "incomplete",
}

// toldAs is an error in the form of the admin API.
func toldAs(code int, err error) *adminapi.Error {
	var told *adminapi.Error
	if errors.As(err, &told) {
		return told
	}
	text, hint, _ := strings.Cut(err.Error(), "\n")
	return &adminapi.Error{Text: text, Code: exitWords[code], Hint: strings.TrimPrefix(hint, "hint: ")}
}
