package tests

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestTwoProgramsOneGrant: an old script goes on asking for access tokens with the
// same refresh token, until Zoho, which keeps ten of them, ends ours. The calls see
// nothing of it; the operator is told.
func TestTwoProgramsOneGrant(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{MaxTokens: -1}) // many windows of ten minutes in one
	c := startCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	script := func() {
		res, err := http.PostForm(baseURL+"/oauth/v2/token", url.Values{"grant_type": {"refresh_token"},
			"client_id": {clientID}, "client_secret": {clientSecret}, "refresh_token": {grant}})
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	scripted := 0
	for loss := range 4 {
		for range 3 {
			c.succeed(http.MethodPost, "/crm/v8/Leads", `{"data":[{"Last_Name":"Lind"}]}`)
		}
		want := "ok"
		if loss == 3 {
			want = "contended"
		}
		if state := c.connections("").Connections[0].State; state != want {
			t.Errorf("after %d losses: state %s, want %s", loss, state, want)
		}
		if n := c.metric("zoho_tokens_lost_early_total"); int(n) != loss {
			t.Errorf("zoho_tokens_lost_early_total says %v, want %d", n, loss)
		}
		for range 10 {
			script()
			scripted++
		}
	}
	if n := c.metric("zoho_connection_state", `state="contended"`); n != 1 {
		t.Error("zoho_connection_state does not say contended")
	}
	out, _, _ := c.run("zoho", "status", "--address", c.admin)
	if !strings.Contains(out, "contended") {
		t.Errorf("caddy zoho status: %s", out)
	}
	c.logs("access token lost early", `"state":"contended"`)
	if ours := server.Stats().TokenRequests - scripted; ours != 4 {
		t.Errorf("%d token calls of ours, want one and one for each loss", ours)
	}
}

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
