package onboard

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// mayReplace tells why an account cannot be connected here.
func (cl *Client) mayReplace(account string) error {
	if !words.Name.MatchString(account) {
		return errAccountName()
	}
	if cl.byClient(account) {
		return NothingToConnect(cl.Name, account)
	}
	if cl.configured(account) {
		return errConfigured(cl, account,
			"Take its refresh_token out of the configuration first, or connect another account.")
	}
	return nil
}

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

// validateCode looks at a code before it is sent to Zoho.
func (cl *Client) validateCode(center zoho.DataCenter, code string) error {
	what := cl.ownCredential(center, code)
	if what == "" {
		return nil
	}
	return errCallback("This is the "+what+", not a code, and was not sent to Zoho.",
		"A code looks like 1000.….…, and comes with a consent or from Generate Code in the API console.")
}

// validateRefreshToken looks at a refresh token before it is sent to Zoho.
func (cl *Client) validateRefreshToken(center zoho.DataCenter, token string) error {
	strange := func(r rune) bool { return r <= ' ' || r > '~' }
	if token == "" || len(token) > 4096 || strings.ContainsFunc(token, strange) {
		return errRefreshToken("This is no refresh token.",
			"It is printable text without blanks, such as 1000.….…, alone on its line.")
	}
	what := cl.ownCredential(center, token)
	if what == "" {
		return nil
	}
	return errRefreshToken("This is the "+what+", not a refresh token, and was not sent to Zoho.",
		"A refresh token looks like 1000.….…, and comes with a consent; `caddy zoho connect` asks for one.")
}

func errRefreshToken(text, remedy string) error {
	return &Error{
		Status: http.StatusBadRequest,
		Code:   "refresh-token",
		Text:   text,
		Remedy: remedy,
	}
}

// IsLoopback reports whether a name is one of this machine's own, of which each has cookies of its own.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && ip.IsLoopback())
}

// ShowAccount keeps a caller's text from breaking out of a message.
func ShowAccount(text string) string {
	if text == "" || words.Name.MatchString(text) {
		return text
	}
	return fmt.Sprintf("%.64q", text)
}

// DefaultAccount is the account of whoever does not say which.
const DefaultAccount = "default"
