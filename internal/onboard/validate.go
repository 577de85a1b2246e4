package onboard

import (
	"crypto/subtle"
	"net/http"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// ownCredential names what was given in place of a code or a refresh token: the client's own id or
// secret. No more is judged here: Zoho promises no form of its codes.
func (cl *Client) ownCredential(center zoho.DataCenter, text string) (what string) {
	if text == cl.ID() {
		return "client id"
	}
	for _, accounts := range cl.Accounts(center) {
		if subtle.ConstantTimeCompare([]byte(accounts.ClientSecret), []byte(text)) == 1 {
			return "client secret"
		}
	}
	return ""
}

func (cl *Client) validateCode(center zoho.DataCenter, code string) *Error {
	what := cl.ownCredential(center, code)
	if what == "" {
		return nil
	}
	return errCallback("This is the "+what+", not a code, and was not sent to Zoho.",
		"A code looks like 1000.….…, and comes with a consent or from Generate Code in the API console.")
}

func (cl *Client) validateRefreshToken(center zoho.DataCenter, token string) *Error {
	what := cl.ownCredential(center, token)
	if what == "" {
		return nil
	}
	return &Error{Status: http.StatusBadRequest, Code: "refresh-token", Text: "This is the " + what + ", not a refresh token, and was not sent to Zoho.",
		Remedy: "A refresh token looks like 1000.….…, and comes with a consent; `caddy zoho connect` asks for one."}
}
