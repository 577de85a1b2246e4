// A disk that hangs: calls with a live token do not notice, those that need one get it, or are told
// of the store in time, and all goes on when the disk answers.

package tests

import (
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// TestDiskHangs, S-41: bbolt waits for the disk as long as the test lasts. A token that was revoked
// is renewed all the same, the failure names the store and not Zoho, and Caddy ends in time.
func TestDiskHangs(t *testing.T) {
	t.Parallel()
	c, server := startFailing(t, "")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.fails("beforeSyncDataPagesError", "sleep(600000)")
	server.RevokeAccess("")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	wantTokenCalls(t, server, 2)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "") // with the live token
	c.waitFor("the error to be counted", func() bool { return c.metric("zoho_store_errors_total", `operation="save"`) >= 1 })
	c.logs("its disk has not answered for 2s", "tokens.db")
	if text := c.output.String(); strings.Contains(text, "accounts-unreachable") {
		t.Errorf("Zoho is blamed:\n%s", text)
	}
	info := c.connections("").Connections[0]
	if !strings.Contains(info.LastError, "tokens.db") || info.BudgetLeft != 8 {
		t.Errorf("status says %q, %d calls are left, want the file and 8", info.LastError, info.BudgetLeft)
	}
	c.endsByItself()
}

// TestDiskAnswersAgain, S-41: what counted in memory while the disk hung is written without a restart.
func TestDiskAnswersAgain(t *testing.T) {
	t.Parallel()
	c, server := startFailing(t, "")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.fails("beforeSyncDataPagesError", "1*sleep(5000)")
	server.RevokeAccess("")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.waitFor("the store to be well", func() bool { return c.connections("").Connections[0].LastError == "" })
	c.kill()
	c.wantKnown(server)
	wantTokenCalls(t, server, 2) // the one before the hang, the one in it; its token was written
}

// TestStoredGrantWhileTheDiskHangs: a grant that was read before serves on; one that was not is told
// of in time, by the name of its file.
func TestStoredGrantWhileTheDiskHangs(t *testing.T) {
	t.Parallel()
	built, err := withFailpoints()
	if err != nil {
		t.Fatal(err)
	}
	c, server, grant := newStored(t)
	store := boltstore.New(c.storeDir())
	err = store.SaveGrant(tokencache.Key{Client: "main", Account: "unused"}, [][]byte{[]byte(clientSecret)},
		tokencache.Grant{RefreshToken: grant, AccountsServer: "https://accounts.zoho.com"})
	if err != nil {
		t.Fatal(err)
	}
	_ = store.Close()
	c.binary, c.failpoints = built, "127.0.0.1:"+freePort(t)
	c.setenv("GOFAIL_HTTP="+c.failpoints, "GOFAIL_FAILPOINTS=")
	c.start()
	if a := c.shop(); a.StatusCode >= 300 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	c.fails("beforeSyncDataPagesError", "sleep(600000)")
	server.RevokeAccess("")
	if a := c.shop(); a.StatusCode >= 300 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	answered := make(chan answer, 1)
	go func() { answered <- c.get(threeServices[0], "Zoho-Proxy-Account", "unused") }()
	select {
	case a := <-answered:
		wantProblem(t, a, "store", http.StatusServiceUnavailable)
		if !strings.Contains(string(a.body), "tokens.db") {
			t.Errorf("the file is not named: %s", a.body)
		}
	case <-time.After(patience):
		t.Error("no answer")
	}
	c.othersServe()
	c.endsByItself()
}

// endsByItself stops a Caddy whose disk hangs. It ends with an error, if it does: what it could not
// write is lost.
func (c *proxy) endsByItself() {
	c.t.Helper()
	err := c.cmd.Stop()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || !exit.Exited()) {
		c.t.Errorf("Caddy ended with %v\n%s", err, c.output)
	}
	c.cmd = nil
}
