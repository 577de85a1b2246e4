package tests

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestPlainlyNoCode: Zoho is not asked about what can be neither a code nor a refresh token of
// its own. What other servers call a code is theirs to judge.
func TestPlainlyNoCode(t *testing.T) {
	server := zohosim.New(zohosim.Options{Consent: zohosim.ConsentAuto})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true})
	addr, ca, stop := server.StartTLS(t.TempDir())
	t.Cleanup(stop)
	c := newCaddy(t, onboarding, "ZOHO_DATA_CENTER=us", "ZOHO_CONNECT_OPTIONS=", "ZOHO_CLIENT_OPTIONS=simulator "+addr+" "+ca)
	c.start()
	for _, pasted := range []string{"hello", clientID, strings.Repeat("0123456789abcdef", 2)} {
		_, stderr := c.runInput(pasted, 1, "zoho", "connect", "shop", "--self-client")
		wantSaid(t, stderr, "caddy zoho: main/shop: This is no code of Zoho's, and was not sent there.", pasted)
		_, stderr = c.runInput(pasted, 1, "zoho", "import", "shop")
		wantSaid(t, stderr, "caddy zoho: main/shop: This is no refresh token of Zoho's, and was not sent there.", pasted)
		stdout, _ := c.runInput(`{"account": "shop", "refresh_token": "`+pasted+`"}`, 1, "zoho", "import", "--batch")
		wantSaid(t, stdout, "line 1: shop failed: This is no refresh token of Zoho's", pasted)
	}
	wantTokenCalls(t, server, 0)

	// The consent goes on after a wrong paste.
	var started struct{ URL, State string }
	c.adminCall(http.MethodPost, "/zoho/connections/main/shop/connect", "").decode(t, &started)
	finish := func(callback string) answer {
		body, _ := json.Marshal(map[string]string{"state": started.State, "callback": callback})
		return c.adminCall(http.MethodPost, "/zoho/connections/main/shop/connect", string(body))
	}
	if a := finish("hello"); a.StatusCode != http.StatusBadRequest || !strings.Contains(string(a.body), `"code":"callback"`) {
		t.Errorf("%s %s", a.Status, a.body)
	}
	wantTokenCalls(t, server, 0)
	consent, err := readAnswer(tlsClient(t, addr, ca).Get(started.URL))
	if err != nil {
		t.Fatal(err)
	}
	if a := finish(consent.Header.Get("Location")); a.StatusCode != http.StatusOK {
		t.Errorf("%s %s", a.Status, a.body)
	}

	other, server := startOnboarding(t, zohosim.Options{})
	_, stderr := other.runInput("hello", 1, "zoho", "connect", "shop", "--self-client")
	wantSaid(t, stderr, "caddy zoho: main/shop: Zoho did not take the code", "hello")
	_, stderr = other.runInput("hello", 1, "zoho", "import", "shop")
	wantSaid(t, stderr, "caddy zoho: main/shop: The refresh token brings no access token", "hello")
	wantTokenCalls(t, server, 2)
}

func wantSaid(t *testing.T, said, want, never string) {
	t.Helper()
	if !strings.Contains(said, want) || strings.Contains(said, never) {
		t.Errorf("want %q, and never %q:\n%s", want, never, said)
	}
}
