package tests

import (
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// wrapped breaks a text into lines.
func wrapped(text string, width int) string {
	var lines []string
	for ; len(text) > width; text = text[width:] {
		lines = append(lines, text[:width])
	}
	return strings.Join(append(lines, text), "\n")
}

// TestPasteAtATerminal: what is pasted there may have line breaks, wherever they are, and nothing
// of it is left to the shell.
func TestPasteAtATerminal(t *testing.T) {
	t.Parallel()
	c, _ := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto}, "ZOHO_CLIENT_OPTIONS=redirect_uri http://localhost:9/callback")
	address := regexp.MustCompile(`http\S+/oauth/v2/auth\?\S+`)
	for width, end := range map[int]string{60: "\n", 70: "\r", 80: "\r\n", 100: "\r", 120: "\n", 4000: "\r"} {
		term := c.atTerminal(t, "zoho", "connect", "main", "shop")
		term.waitsFor("then press Enter: ")
		b := newBrowser(t)
		callback := b.stopAt("/callback", func() answer { return b.get(address.FindString(term.out.String())) })
		term.types(wrapped(callback, width) + end)
		term.ends(t, 0)
		if !strings.Contains(term.out.String(), "connected     main/shop") {
			t.Errorf("in lines of %d: %s", width, term.out.String())
		}
	}
}

// TestAnswerAtATerminal: who is asked may answer in full, and what was mistyped is erased.
func TestAnswerAtATerminal(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{})
	connect := func(user, answer string, code int) *terminal {
		term := c.atTerminal(t, "zoho", "connect", "main", "shop", "--self-client")
		term.waitsFor("then press Enter: ")
		term.types("x\x7f" + server.Code(zohosim.GrantSpec{ClientID: clientID, User: user, Scopes: []string{"AaaServer.profile.READ", "ZohoCRM.modules.ALL"}}) + "\r")
		if answer != "" {
			term.waitsFor("[y/N]")
			term.types(answer + "\r")
		}
		term.ends(t, code)
		return term
	}
	connect("ann@example.com", "", 0)
	if term := connect("ben@example.com", "no", 1); !strings.Contains(term.out.String(), "the grant of before stays") {
		t.Error(term.out.String())
	}
	connect("ben@example.com", "yes", 0)
	if info := c.connections("?account=shop").Connections[0]; info.User != "ben@example.com" {
		t.Errorf("%s holds it", info.User)
	}
	term := c.atTerminal(t, "zoho", "connect", "main", "shop", "--self-client")
	term.waitsFor("then press Enter: ")
	term.types("\x03")
	term.ends(t, 1)
}
