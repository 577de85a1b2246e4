// A store that fails: whatever bbolt cannot do, and whenever, a token that is in use and that a
// restart forgets stands in the ledger as a call.

package tests

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// fails has a failpoint of the running binary follow terms of gofail from now on.
func (c *proxy) fails(point, terms string) {
	c.t.Helper()
	method, body := http.MethodPut, strings.NewReader(terms)
	if terms == "" {
		method = http.MethodDelete
	}
	req, err := http.NewRequest(method, "http://"+c.failpoints+"/"+point, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if a, err := readAnswer(http.DefaultClient.Do(req)); err != nil || a.StatusCode >= 300 {
		c.t.Fatalf("%s=%s: %v %s", point, terms, err, a.body)
	}
}

// wantKnown starts Caddy anew and checks that it knows of each token call that Zoho has counted.
func (c *proxy) wantKnown(server *zohosim.Server) {
	c.t.Helper()
	c.setenv("GOFAIL_FAILPOINTS=")
	c.start()
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	if calls, left := server.Stats().TokenRequests, c.connections("").Connections[0].BudgetLeft; left > 10-calls {
		c.t.Errorf("%d calls are left after %d", left, calls)
	}
}

// commitErrors are the ways in which bbolt does not commit a change. If the disk does not say
// that it has what was written, that is one: who does not wait for the disk never comes there.
var commitErrors = []string{"beforeSyncDataPagesError", "beforeWriteMetaError", "beforeSyncMetaPageError"}

// TestStoreErrors, S-37 and S-38: a write that fails costs no call, and is told of. Of those
// before and after the token call one is enough for the next process to know of it, also if this
// one is killed as soon as the token is in use.
func TestStoreErrors(t *testing.T) {
	t.Parallel()
	for _, point := range commitErrors {
		for name, test := range map[string]struct {
			terms string
			end   func(*proxy)
		}{
			"before the call":     {`1*return("the disk is on fire")`, (*proxy).kill},
			"after the call":      {`1*off->1*return("the disk is on fire")`, (*proxy).kill},
			"before and after it": {`3*return("the disk is on fire")`, (*proxy).stop}, // the end writes once more
			"until it is mended":  {`return("the disk is on fire")`, func(c *proxy) { c.fails(point, ""); c.stop() }},
		} {
			t.Run(point+" "+name, func(t *testing.T) {
				t.Parallel()
				c, server := startFailing(t, "")
				c.succeed(http.MethodGet, "/crm/v8/Leads", "")
				c.stop() // now it is written
				c.start()
				c.succeed(http.MethodGet, "/crm/v8/Leads", "")
				server.RevokeAccess("")
				c.fails(point, test.terms)
				c.succeed(http.MethodGet, "/crm/v8/Leads", "")
				wantTokenCalls(t, server, 2)
				if name != "before the call" { // is told as soon as it is written
					c.waitFor("the error to be counted", func() bool { return c.metric("zoho_store_errors_total", `operation="save"`) >= 1 })
					c.logs("the disk is on fire")
				}
				test.end(c)
				c.wantKnown(server)
			})
		}
	}
}

// TestStoreThatCannotBegin, S-38: where the file cannot grow or be mapped, no token is asked for
// that nobody could keep count of; when it can be, calls go on without a restart.
func TestStoreThatCannotBegin(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"mapError", "resizeFileError", "lackOfDiskSpace"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			c, server := startFailing(t, point+`=return("the disk is on fire")`)
			wantProblem(t, c.get("/crm/v8/Leads"), "store", http.StatusServiceUnavailable)
			wantTokenCalls(t, server, 0)
			c.fails(point, "")
			c.waitFor("the store to be well", func() bool { return c.get("/crm/v8/Leads").StatusCode < 300 })
			c.kill()
			c.wantKnown(server)
		})
	}
}

// TestReplyLost, S-38: a token that Zoho has made and that never came counts as a call.
func TestReplyLost(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultLost, Count: 1})
	_, _ = c.try(http.MethodGet, "/crm/v8/Leads", nil)
	if n := server.Stats().TokenRequests; n == 0 {
		t.Fatal("no token was asked for")
	}
	c.kill()
	c.start()
	c.waitFor("a token", func() bool { return c.get("/crm/v8/Leads").StatusCode < 300 })
	calls := server.Stats().TokenRequests
	if left := c.connections("").Connections[0].BudgetLeft; left > 10-calls || calls < 2 {
		t.Errorf("%d calls are left after %d", left, calls)
	}
}
