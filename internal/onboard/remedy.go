package onboard

import (
	"strings"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// remedies say what to do about a failure, by the word that its text begins with.
var remedies = map[string]string{
	tokencache.KindRejected.String():  "Compare client id, secret and data center with Zoho's API console.",
	tokencache.KindThrottled.String(): "Zoho gives no token for a while, and is asked again by itself. See who else asks for tokens with this grant: a second copy of this proxy, or a script.",
	tokencache.KindBudget.String():    "The next token is asked for by itself once that is allowed. See in the log why so many were: revoked ones, another program, restarts without the store.",
	tokencache.KindTemporary.String(): "It is tried again by itself. If that goes on, see name resolution, firewall, proxy and certificates.",
	tokencache.KindStore.String():     "Mend what the last failure says; until then a restart loses what could not be written.",
}

// remedy is what to do about a connection, "" if it needs nothing.
func remedy(s tokencache.Status) string {
	switch {
	case s.Unreadable():
		return "Its grant cannot be read: mend what the last failure says."
	case s.NeedsConsent():
		return "Needs consent: connect it."
	case s.State == tokencache.StateContended:
		return "Another program uses this grant, as it seems: give it a client of its own."
	}
	return remedies[failing(s)]
}

// failing is the word for what goes wrong now, "" for a failure that is over. That of
// the store is told as long as it lasts.
func failing(s tokencache.Status) string {
	word, _, _ := strings.Cut(s.LastError, ":")
	switch {
	case word == tokencache.KindStore.String():
		return word
	case s.Waiting != 0:
		return s.Waiting.String()
	case s.State == tokencache.StateOK && s.NextTry.IsZero():
		return ""
	}
	return word
}
