package adminapi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// States are those that people and programs are told.
var States = []string{tokencache.StateOK, tokencache.StateDegraded, tokencache.StateContended, tokencache.StateDead,
	tokencache.StateNotConnected, tokencache.StateUnreadable}

// StateWord is a state as tables show it.
func StateWord(c Connection) string {
	switch {
	case c.State == tokencache.StateUnreadable:
		return "grant unreadable"
	case c.State == tokencache.StateNotConnected:
		return "not connected"
	case c.NeedsConsent:
		return c.State + ", needs consent"
	}
	return c.State
}

// ParseState takes a state as it is told or as tables show it; "" is any.
func ParseState(text string) (string, error) {
	state := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(text))
	state = strings.TrimPrefix(state, "grant_")
	if state != "" && !slices.Contains(States, state) {
		return "", fmt.Errorf(
			"there is no state %.64q%s; known are %s",
			text,
			words.DidYouMean(state, States),
			strings.Join(States, ", "),
		)
	}
	return state, nil
}
