package tests

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestMistakenForACode: the client's id or secret that was pasted in place of a code or a
// refresh token is not sent.
func TestMistakenForACode(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	for what, pasted := range map[string]string{"client id": clientID, "client secret": clientSecret} {
		_, stderr := c.runInput(pasted, 1, "zoho", "connect", "shop", "--self-client")
		wantSaid(t, stderr, "caddy zoho: main/shop: This is the "+what+", not a code, and was not sent to Zoho.", pasted)
		_, stderr = c.runInput(pasted, 1, "zoho", "import", "shop")
		wantSaid(t, stderr, "caddy zoho: main/shop: This is the "+what+", not a refresh token", pasted)
		stdout, _ := c.runInput(`{"account": "shop", "refresh_token": "`+pasted+`"}`, 1, "zoho", "import", "--batch")
		wantSaid(t, stdout, "line 1: shop failed: This is the "+what, pasted)
	}
	wantTokenCalls(t, server, 0)

	// The consent goes on after a wrong paste.
	var started struct{ URL, State string }
	c.adminCall(http.MethodPost, "/zoho/connections/main/shop/connect", "").decode(t, &started)
	finish := func(callback string) answer {
		body, _ := json.Marshal(map[string]string{"state": started.State, "callback": callback})
		return c.adminCall(http.MethodPost, "/zoho/connections/main/shop/connect", string(body))
	}
	if a := finish(clientSecret); a.StatusCode != http.StatusBadRequest || !strings.Contains(string(a.body), `"code":"callback"`) {
		t.Errorf("%s %s", a.Status, a.body)
	}
	wantTokenCalls(t, server, 0)
	b := newBrowser(t)
	if a := finish(b.stopAt("/callback", func() answer { return b.get(started.URL) })); a.StatusCode != http.StatusOK {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

func wantSaid(t *testing.T, said, want, never string) {
	t.Helper()
	if !strings.Contains(said, want) || strings.Contains(said, never) {
		t.Errorf("want %q, and never %q:\n%s", want, never, said)
	}
}
