// Onboarding by command: connect, import, revoke and forget, with what people paste and type.

package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestCallbackAddress: where the browser comes back to is known from the configuration,
// unless redirect_uri says otherwise.
func TestCallbackAddress(t *testing.T) {
	t.Parallel()
	c, _ := startOnboarding(t, zohosim.Options{})
	address := func() (uri string) {
		t.Helper()
		var started struct {
			RedirectURI string `json:"redirect_uri"`
		}
		c.adminCall(http.MethodPost, "/zoho/connections/main/default/connect", "").decode(t, &started)
		return started.RedirectURI
	}
	if got := address(); got != c.pages()+"callback" {
		t.Errorf("the redirect URI is by default %s", got)
	}
	c.setenv("ZOHO_CLIENT_OPTIONS=redirect_uri http://localhost:1/callback")
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	if got := address(); got != "http://localhost:1/callback" {
		t.Errorf("the redirect URI is %s", got)
	}
}

// TestImport: existing refresh tokens are proved by one renewal; a batch goes on where
// it was.
func TestImport(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{})
	first := server.Grant(clientID, "ann@example.com", "us", "ZohoCRM.modules.ALL", "AaaServer.profile.READ")
	c.secrets = append(c.secrets, first)
	if stdout, _ := c.runInput("\ufeff"+first+"\r\n", 0, "zoho", "import"); !strings.Contains(stdout, "main/default") || !strings.Contains(stdout, "ann@example.com") {
		t.Errorf("it says %s", stdout)
	}
	wantTokenCalls(t, server, 1)
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"); a.StatusCode >= 300 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	wantTokenCalls(t, server, 1)
	if left := c.connections("").Connections[0].BudgetLeft; left != 9 {
		t.Errorf("%d token calls are left, want 9", left)
	}
	for input, says := range map[string]string{
		"1000.unknown.token\n": "made for another client", "\n": "nothing came", "two words\n": "no refresh token",
	} {
		if _, stderr := c.runInput(input, 1, "zoho", "import", "main", "default"); !strings.Contains(stderr, says) {
			t.Errorf("%q: %s", input, stderr)
		}
	}
	if _, stderr := c.runInput(first, 1, "zoho", "import", "--data-center", "eu"); !strings.Contains(stderr, "data_center") {
		t.Errorf("a data center that the client does not have: %s", stderr)
	}
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"); a.StatusCode >= 300 || c.connections("").Connections[0].State != "ok" {
		t.Errorf("failed imports did harm: %s %s", a.Status, a.body)
	}

	var batch strings.Builder
	for i := range 5 {
		token := server.Grant(clientID, fmt.Sprintf("user%d@example.com", i), "us", "ZohoCRM.modules.ALL")
		c.secrets = append(c.secrets, token)
		if i == 3 {
			token = "1000.unknown.token"
		}
		fmt.Fprintf(&batch, "{\"account\": \"batch-%d\", \"refresh_token\": %q}\n\n", i, token)
	}
	batch.WriteString("nonsense\n")
	stdout, stderr := c.runInput(batch.String(), 1, "zoho", "import", "main", "--batch")
	if strings.Count(stdout, "connected\n") != 4 || strings.Count(stdout, "failed: ") != 2 || !strings.Contains(stderr, "2 of the accounts") {
		t.Errorf("%s\n%s", stdout, stderr)
	}
	calls := server.Stats().TokenRequests
	if stdout, _ := c.runInput(batch.String(), 1, "zoho", "import", "main", "--batch", "--json"); strings.Count(stdout, `"skipped"`) != 4 {
		t.Errorf("again: %s", stdout)
	}
	wantTokenCalls(t, server, calls+1) // the unknown one
}

// TestInputWithoutEnd: who pastes without a terminal, as by ssh or docker exec, needs not
// end the input.
func TestInputWithoutEnd(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	token := server.Grant(clientID, "ann@example.com", "us", "ZohoCRM.modules.ALL")
	code := server.SelfClientCode(clientID, "ZohoCRM.modules.ALL")
	c.secrets = append(c.secrets, token, code)
	for what, run := range map[string]struct {
		input string
		args  []string
	}{
		"a refresh token": {"\n" + token + "\n", []string{"import", "main", "one"}},
		"a code":          {code[:20] + "\n" + code[20:] + "\n", []string{"connect", "main", "two", "--self-client"}},
	} {
		cmd := exec.Command(binary, append([]string{"zoho"}, run.args...)...)
		cmd.Env, cmd.Dir = c.env, c.dir
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		var output []byte
		go func() {
			output, err = cmd.CombinedOutput()
			ended <- err
		}()
		if _, err := io.WriteString(stdin, run.input); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if err != nil || !strings.Contains(string(output), "connected") {
				t.Errorf("%s: %v\n%s", what, err, output)
			}
		case <-time.After(patience):
			t.Fatalf("%s: it still waits", what)
		}
	}
}

// TestRevokeAndForget: at once, without a reload; what is configured is left alone.
func TestRevokeAndForget(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{})
	for _, account := range []string{"one", "two"} {
		c.runInput(server.Grant(clientID, account+"@example.com", "us", "ZohoCRM.modules.ALL"), 0, "zoho", "import", "main", account)
		c.get("/crm/v8/Leads", "Zoho-Proxy-Account", account)
	}
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultStatus, Status: 503})
	c.wantCLI(cli{"revoke main one", 1, "", "not forgotten"})
	server.ClearFaults("")
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "one"); a.StatusCode >= 300 {
		t.Errorf("%s", a.Status)
	}
	c.wantCLI(cli{"revoke main one", 0, "forgotten", ""}, cli{"forget two", 0, "forgotten", ""}, cli{"forget main nobody", 1, "", "has no account nobody"})
	if n := server.Stats().Grants; n != 1 {
		t.Errorf("%d grants live at Zoho, want that which was only forgotten", n)
	}
	for _, account := range []string{"one", "two"} {
		wantProblem(t, c.get("/crm/v8/Leads", "Zoho-Proxy-Account", account), "no-grant", http.StatusServiceUnavailable)
	}
	if list := c.connections("").Connections; len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

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
	if term := connect("ben@example.com", "no", 1); !strings.Contains(term.out.String(), "The old grant stays") {
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

// TestSecretsAtATerminal: tokens that are pasted there are asked for, and not shown.
func TestSecretsAtATerminal(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{})
	var tokens []string
	for _, user := range []string{"ann@example.com", "ben@example.com", "cleo@example.com"} {
		tokens = append(tokens, server.Grant(clientID, user, "us", "ZohoCRM.modules.ALL"))
	}
	c.secrets = append(c.secrets, tokens...)
	hidden := func(term *terminal, keys string) {
		term.waitsFor("(not shown), then press Enter")
		term.types(keys)
		term.ends(t, 0)
		for _, token := range tokens {
			if strings.Contains(term.out.String(), token) {
				t.Errorf("a token is shown: %s", term.out.String())
			}
		}
	}
	hidden(c.atTerminal(t, "zoho", "import", "main", "one"), tokens[0]+"x\x7f\r")
	batch := c.atTerminal(t, "zoho", "import", "main", "--batch")
	hidden(batch, fmt.Sprintf("{\"account\": \"two\", \"refresh_token\": %q}\r\n{\"account\": \"three\", \"refresh_token\": %q}\r\x04", tokens[1], tokens[2]))
	for _, line := range []string{"line 1: two connected", "line 3: three connected"} {
		if !strings.Contains(batch.out.String(), line) {
			t.Errorf("no %q: %s", line, batch.out.String())
		}
	}
}

// TestPasteInBrowser: the browser in which a consent of `caddy zoho connect` ends says
// where to go on, and uses nothing up.
func TestPasteInBrowser(t *testing.T) {
	t.Parallel()
	c, server := startOnboarding(t, zohosim.Options{Consent: zohosim.ConsentAuto})
	var started struct{ URL, State string }
	c.adminCall(http.MethodPost, "/zoho/connections/main/default/connect", "").decode(t, &started)
	other := newBrowser(t)
	c.consent(other, "default") // has a cookie, of its own
	callback := ""
	for _, b := range []*browser{newBrowser(t), other} {
		callback = b.stopAt("/callback", func() answer { return b.get(started.URL) })
		a := b.get(callback)
		wantPage(t, a, http.StatusForbidden, "Go back to the terminal")
		wantPage(t, a, http.StatusForbidden, "Copy the whole address of this page and paste it there")
		if b.at.String() != callback {
			t.Errorf("the address to copy became %s", b.at)
		}
	}
	if n := server.Stats().TokenRequests; n != 0 || strings.Contains(c.output.String(), "onboarding failed") {
		t.Errorf("%d token requests, or the log has a failure", n)
	}
	body, _ := json.Marshal(map[string]string{"state": started.State, "callback": callback})
	if a := c.adminCall(http.MethodPost, "/zoho/connections/main/default/connect", string(body)); a.StatusCode != http.StatusOK {
		t.Errorf("%s %s", a.Status, a.body)
	}
}
