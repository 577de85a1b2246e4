package onboard

import (
	"net/http"
	"regexp"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// zohoShape is what all of Zoho's codes and tokens that are known have in common. It is no
// tighter than it must be to tell them from words, client secrets (no dot) and client ids
// (one): Zoho promises no form. Servers at a data center of one's own have codes of their own.
var zohoShape = regexp.MustCompile(`^\d+\.[^.]+\.[^.]`)

func cannotBe(center zoho.DataCenter, text string) bool {
	return !center.Custom && !zohoShape.MatchString(text)
}

// CheckCode refuses what plainly is no code, so that Zoho need not be asked.
func CheckCode(center zoho.DataCenter, code string) *Error {
	if !cannotBe(center, code) {
		return nil
	}
	return errCallback("This is no code of Zoho's, and was not sent there.",
		"A code looks like 1000.….…: it is neither a word nor the client's id or secret. Copy all of it, or the whole address that the browser ended at.")
}

// CheckRefreshToken is CheckCode for refresh tokens.
func CheckRefreshToken(center zoho.DataCenter, token string) *Error {
	if !cannotBe(center, token) {
		return nil
	}
	return &Error{Status: http.StatusBadRequest, Code: "refresh-token", Text: "This is no refresh token of Zoho's, and was not sent there.",
		Remedy: "One looks like 1000.….…: it is neither a word nor the client's id or secret. Copy all of it, alone on its line."}
}
