package onboard

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Invitation is a link for one account. Nothing is stored until it is used up: it is
// signed with a key of the client's, so it ends when all of the client's secrets, or
// encryption keys, have been replaced.
type Invitation struct {
	ID       string    `json:"i"` // says nothing
	Client   string    `json:"c"`
	Account  string    `json:"a"`
	ReturnTo string    `json:"r,omitempty"`
	Replace  bool      `json:"o,omitempty"` // also a working grant of another user or organization
	Issued   time.Time `json:"t"`
	Expires  time.Time `json:"e"`
}

// Bounds of an invitation's life.
const (
	DefaultInvitationLife = 7 * 24 * time.Hour
	maxInvitationLife     = 90 * 24 * time.Hour
)

// Invite makes the link of an invitation: where the pages are served, which is where
// the client's redirect_uri points to, short of its last segment. With replace whoever uses it may put their Zoho
// account in the place of another one's.
func (cl *Client) Invite(
	account string, life time.Duration, returnTo string, replace bool,
) (link string, inv Invitation, _ error) {
	if err := cl.mayReplace(account); err != nil {
		return "", inv, err
	}
	if life <= 0 || life > maxInvitationLife {
		return "", inv, errLife(life)
	}
	if !validReturnTo(returnTo) {
		return "", inv, errReturnTo(returnTo)
	}
	base, ok := strings.CutSuffix(cmp.Or(cl.RedirectURI, cl.Served), "callback")
	if !ok {
		return "", inv, errPagesUnknown()
	}
	keys := cl.Cache.Secrets()
	if len(keys) == 0 {
		return "", inv, errNoKey()
	}
	now := time.Now().UTC().Truncate(time.Second)
	inv = Invitation{
		ID:       rand.Text(),
		Client:   cl.Name,
		Account:  account,
		ReturnTo: returnTo,
		Replace:  replace,
		Issued:   now,
		Expires:  now.Add(life),
	}
	text, err := json.Marshal(inv)
	if err != nil {
		return "", inv, errStore(fmt.Errorf("encoding failed"))
	}
	payload := base64.RawURLEncoding.EncodeToString(text)
	return base + "invite?token=" + payload + "." + sign(keys[0], payload), inv, nil
}

// validReturnTo reports whether a browser may be sent there. Only the operator can name it.
func validReturnTo(text string) bool {
	if text == "" {
		return true
	}
	u, err := url.Parse(text)
	if err != nil || len(text) > 2000 || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f })
}

// LinkWarnings tell of a link that whoever it is sent to cannot open.
func LinkWarnings(link string) []string {
	u, err := url.Parse(link)
	if err != nil || !IsLoopback(u.Hostname()) {
		return nil
	}
	return []string{"this link works only on this machine: set redirect_uri to an address that the customer can reach"}
}

func errReturnTo(text string) error {
	why := "."
	if strings.HasPrefix(strings.ToLower(text), "http://") {
		why = ": https is needed, since over http others can change on the way what your customer is shown."
	}
	return &Error{
		Status: http.StatusBadRequest,
		Code:   "return-to",
		Text:   "This is no address to return to" + why,
		Remedy: "Give an absolute URL that begins with https:// and holds a host name, " +
			"no user and no control characters.",
	}
}

func errLife(life time.Duration) error {
	return &Error{
		Status: http.StatusBadRequest,
		Code:   "expires",
		Text:   "An invitation lives for more than nothing and at most 90 days, which " + life.String() + " is not.",
		Remedy: "Give another --expires, as in 168h or 90d.",
	}
}

func errPagesUnknown() error {
	return &Error{
		Status: http.StatusConflict,
		Code:   codeNoRedirectURI,
		Text:   "It is not known where the pages of zoho_connect are served.",
		Remedy: "Give the client a redirect_uri that ends in callback, " +
			"as in https://connect.example.com/zoho-connect/callback, and register it in Zoho's API console.",
	}
}

func errNoKey() error {
	return &Error{
		Status: http.StatusConflict,
		Code:   codeNoSecret,
		Text:   "The client's secret has no value now, so nothing can be signed.",
		Remedy: "Set it and try again.",
	}
}

func sign(key []byte, payload string) string {
	// A key of its own for this purpose, so that nothing else is signed or sealed by it.
	own := hmac.New(sha256.New, key)
	own.Write([]byte("caddy-zoho invitation"))
	mac := hmac.New(sha256.New, own.Sum(nil))
	mac.Write([]byte(payload))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
