package tests

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
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
		"1000.unknown.token\n": "revoked, not from", "\n": "nothing came", "two words\n": "no refresh token",
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
