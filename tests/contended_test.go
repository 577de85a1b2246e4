package tests

import (
	"net/http"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestWrongDataCenterIsNotContention: a server that refuses every token is not another
// program's doing.
func TestWrongDataCenterIsNotContention(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/desk/api/v1/tickets", "")
	server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultRefuse})
	for range 50 {
		c.get("/crm/v8/Leads")
		c.succeed(http.MethodGet, "/desk/api/v1/tickets", "")
	}
	if state := c.connections("").Connections[0].State; state != "ok" {
		t.Errorf("state %s", state)
	}
	if n := c.metric("zoho_tokens_lost_early_total"); n != 0 {
		t.Errorf("%v tokens count as lost early", n)
	}
	if n := server.Stats().TokenRequests; n > 5 {
		t.Errorf("%d token calls", n)
	}
}
