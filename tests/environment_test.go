package tests

import (
	"net/http"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestHostsOfOtherEnvironments, S-65: a caller that names a sandbox or a developer edition
// where the grant is production's gets an answer of ours, spends no token, and takes nothing
// from the others.
func TestHostsOfOtherEnvironments(t *testing.T) {
	t.Parallel()
	c, server := startZoho(t, zohosim.GrantSpec{})
	others := []string{"sandbox.zohoapis.com", "developer.zohoapis.com", "SANDBOX.zohoapis.com:443"}
	wrong := func(calls int) {
		t.Helper()
		for i := range calls {
			a := c.get("/crm/v8/Leads", "Host", others[i%len(others)])
			if a.StatusCode != http.StatusMisdirectedRequest || a.problem() != "data-center" {
				t.Errorf("%s %q %s", a.Status, a.problem(), a.body)
			}
		}
	}
	wrong(1) // before there is a token
	wrong(20)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	wantTokenCalls(t, server, 1)
	server.RevokeAccess("")
	wrong(2)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	wantTokenCalls(t, server, 2)
	for range 14 {
		server.RevokeAccess("")
		wrong(1)
	}
	if n := server.Stats().Refusals["crm/dead"]; n != 1 {
		t.Errorf("%d requests with a dead token reached Zoho, one is right", n)
	}
	if state := c.metric("zoho_connection_state", `state="ok"`); state != 1 {
		t.Errorf("zoho_connection_state of ok is %v", state)
	}
}

// TestGrantOfASandbox: its own host and that of production lead to the sandbox, from the first
// call on and after the grant was replaced; the host of a developer edition does not.
func TestGrantOfASandbox(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"sandbox.zohoapis.com", "www.zohoapis.com"} {
		c, server := startZoho(t, zohosim.GrantSpec{Environment: "sandbox"})
		for _, host := range []string{first, "sandbox.zohoapis.com", "www.zohoapis.com"} {
			c.succeed(http.MethodGet, "/crm/v8/Leads", "", "Host", host)
		}
		if a := c.get("/crm/v8/Leads", "Host", "developer.zohoapis.com"); a.problem() != "data-center" {
			t.Errorf("developer edition: %s %s", a.Status, a.body)
		}
		if n := server.Stats().Refusals["crm/dead"]; n != 0 {
			t.Errorf("%d calls went elsewhere", n)
		}
		c.setenv("ZOHO_REFRESH_TOKEN=" + server.GrantAs(zohosim.GrantSpec{ClientID: clientID, Environment: "developer"}))
		c.stop()
		c.start()
		c.succeed(http.MethodGet, "/crm/v8/Leads", "", "Host", "developer.zohoapis.com")
		if a := c.get("/crm/v8/Leads", "Host", "sandbox.zohoapis.com"); a.problem() != "data-center" {
			t.Errorf("sandbox: %s %s", a.Status, a.body)
		}
	}
}
