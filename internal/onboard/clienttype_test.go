package onboard

import (
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestNoPageOfConsent: for clients of some types Zoho has no page of consent in a browser. Whoever is about to go
// there is told what to do instead.
func TestNoPageOfConsent(t *testing.T) {
	for command, set := range map[string]func(*Client){
		"caddy zoho connect main shop --device":      func(cl *Client) { cl.ID = func() string { return deviceID } },
		"caddy zoho connect main shop --self-client": func(cl *Client) { cl.SelfClient = true },
	} {
		pages := testPages(t)
		set(pages.Client)
		w := httptest.NewRecorder()
		pages.Serve(w, httptest.NewRequest(http.MethodGet, "http://localhost/zoho-connect/connect?account=shop", nil))
		if body := html.UnescapeString(w.Body.String()); w.Code != http.StatusOK || !strings.Contains(body, command) {
			t.Errorf("%d without %q: %s", w.Code, command, body)
		}
		_, _, began := pages.Flow.Begin(pages.Client, Start{Account: "shop"})
		_, widened := pages.Flow.Widen(t.Context(), pages.Client, Start{Account: "shop"})
		for _, err := range []error{began, widened} {
			if e := asError(err); err == nil || e.Code != codeNoRedirectURI || !strings.Contains(e.Remedy, command) || strings.Contains(e.Remedy, "zoho_connect") {
				t.Errorf("%q is not named: %v", command, err)
			}
		}
	}
	pages := testPages(t)
	if got := pages.Client.BrowserWarnings("shop"); got != nil {
		t.Errorf("a server-based client: %q", got)
	}
}
