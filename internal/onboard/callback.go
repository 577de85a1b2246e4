package onboard

import (
	"net/url"
	"slices"
	"strings"
)

// Callback is what Zoho says by way of the browser.
type Callback struct {
	State          string
	Code           string
	AccountsServer string // "" as long as only one server is there
	Error          string // "" unless consent was refused
	Status         string // of scopes that were added
	Enhanced       string
	repeated       bool // a parameter came twice
}

// ParsePasted reads what somebody has copied from the browser: the address that it
// ended at, or the code alone. Line breaks, blanks, quotes, a trailing & and a second
// encoding, as mail programs and terminals leave them, of the address or of a part of it, are forgiven.
func ParsePasted(text string) (Callback, error) {
	if isJSON(strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))) {
		return Callback{}, errCallback("This is JSON, and was not sent to Zoho.",
			"Give the JSON of a self client to `caddy zoho connect --self-client`. Here, paste the whole address that the "+
				"browser ended at.")
	}
	words := slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool {
		return len(strings.Fields(line)) > 1
	})
	text = strings.Trim(strings.Join(strings.Fields(text), ""), `"'<>`)
	text = strings.ReplaceAll(text, "&amp;", "&")
	// As by a link checker: https%3A%2F%2F…%3Fcode%3D…
	if whole := unescaped(text); !strings.Contains(text, "=") && strings.Contains(whole, "=") {
		text = whole
	}
	if text == "" {
		return Callback{}, errCallback("Nothing was pasted.",
			"Paste the whole address that the browser ended at, or the code.")
	}
	address, query, isURL := strings.Cut(text, "?")
	if !isURL {
		query = text
	}
	if !isURL && !strings.Contains(text, "=") {
		if strings.Contains(text, "://") || words || len(text) > 2048 {
			return Callback{}, errCallback("What was pasted holds no code.",
				"Paste the whole address that the browser ended at after you accepted, "+
					"which has `code=` in it, or the code alone.")
		}
		return Callback{Code: unescaped(text)}, nil
	}
	query, _, _ = strings.Cut(query, "#")
	values, err := url.ParseQuery(query)
	if err == nil && values.Get("code") == "" && values.Get("error") == "" && values.Get("status") == "" {
		// Everything was encoded once more: code%3D1000.x%26location%3Dus
		if once, unescapeErr := url.QueryUnescape(query); unescapeErr == nil {
			values, err = url.ParseQuery(once)
		}
	}
	if err != nil {
		return Callback{}, errCallback("What was pasted is not a whole address.",
			"Copy it once more from the browser's address bar.")
	}
	if isAddressToOpen(address) && values.Get("code") == "" {
		return Callback{}, errCallback("This is the address to open, not the one that the browser ended at.",
			"Open it in a browser, sign in to Zoho and accept; "+
				"then paste the address that the browser ends at.")
	}
	return parseCallback(values), nil
}

// ParsePastedScopes is ParsePasted for the answer to scopes that are being added. It has no code in it, so nothing but
// the address will do.
func ParsePastedScopes(text string) (Callback, error) {
	if strings.TrimSpace(text) == "" {
		return Callback{}, errCallback("Nothing was pasted.", "Paste the whole address that the browser ended at.")
	}
	if !strings.Contains(unescaped(text), "=") {
		return Callback{}, errCallback("What was pasted does not say that scopes were added.",
			"Paste the whole address that the browser ended at after you accepted, which has `scope_enhanced=` in it.")
	}
	return ParsePasted(text)
}

// isAddressToOpen reports whether an address is one of those at Zoho that a browser is sent to.
func isAddressToOpen(address string) bool {
	return slices.ContainsFunc([]string{"/oauth/v2/auth", "/oauth/v2/org/auth", "/token/addextrascope"},
		func(end string) bool { return strings.HasSuffix(address, end) })
}

func unescaped(code string) string {
	if once, err := url.QueryUnescape(code); err == nil {
		return once
	}
	return code
}

// parseCallback reads the query of a callback.
func parseCallback(values url.Values) Callback {
	cb := Callback{
		State: values.Get("state"), Code: values.Get("code"), Error: values.Get("error"),
		Status: values.Get("status"), Enhanced: values.Get("scope_enhanced"),
		AccountsServer: strings.TrimSuffix(values.Get("accounts-server"), "/"),
	}
	for _, name := range []string{"state", "code", "error", "accounts-server", "status", "scope_enhanced"} {
		cb.repeated = cb.repeated || len(values[name]) > 1
	}
	return cb
}

// answersWidening reports whether it can only be the answer to scopes that are being added. A refusal of those
// looks like that of a consent, but for the state, which is not sent along.
func (cb Callback) answersWidening() bool { return cb.Status != "" || cb.Enhanced != "" }

// checkWidened says what is wrong with an answer to scopes that are being added.
func (cb Callback) checkWidened() error {
	switch {
	case cb.repeated:
		return errCallback(refusedAnswers[answerTwice].text, "Start over.")
	case cb.Code != "" || cb.State != "":
		return errCallback("This is the answer to a consent, not to scopes that are being added. It was not used.",
			"Paste the whole address that the browser ended at after you accepted, which has `scope_enhanced=` in it.")
	case cb.Error == "" && (cb.Status != "success" || cb.Enhanced != "true"):
		return errCallback("The answer does not say that scopes were added.",
			"Paste the whole address that the browser ended at, or start over.")
	}
	return nil
}
