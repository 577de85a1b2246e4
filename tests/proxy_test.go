package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestCallsSucceedWithOneToken is the main job: an app that knows no token lists,
// creates, reads, changes and deletes, and one token serves it all.
func TestCallsSucceedWithOneToken(t *testing.T) {
	c, server, _ := startSimulated(t, zohosim.Options{})
	created := c.call(http.MethodPost, "/crm/v8/Leads", strings.NewReader(`{"data":[{"Last_Name":"Lind"}]}`))
	if created.StatusCode != http.StatusCreated && created.StatusCode != http.StatusOK {
		t.Fatalf("create: %s %s", created.Status, created.body)
	}
	for _, path := range []string{"/crm/v8/Leads", "/books/v3/contacts?organization_id=1", "/desk/api/v1/tickets"} {
		if a := c.get(path); a.StatusCode >= 300 || a.problem() != "" {
			t.Errorf("GET %s: %s %s", path, a.Status, a.body)
		}
	}
	if n := server.Stats().TokenRequests; n != 1 {
		t.Errorf("%d token calls, want 1", n)
	}
}

// TestUploadIsReplayedWhole: Zoho revokes the token, and the body that met the
// refusal arrives once more, byte for byte.
func TestUploadIsReplayedWhole(t *testing.T) {
	c, server, grant := startSimulated(t, zohosim.Options{})
	if a := c.get("/crm/v8/Leads"); a.StatusCode >= 300 {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	server.RevokeAccess(grant)
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	sum := sha256.Sum256(body)
	a := c.call(http.MethodPost, "/crm/_echo", bytes.NewReader(body))
	if a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), hex.EncodeToString(sum[:])) {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if n := server.Stats().TokenRequests; n != 2 {
		t.Errorf("%d token calls, want 2", n)
	}
}

// TestRevokedUnderLoad: 500 callers meet a dead token at once.
func TestRevokedUnderLoad(t *testing.T) {
	c, server, grant := startSimulated(t, zohosim.Options{})
	c.get("/crm/v8/Leads")
	server.RevokeAccess(grant)
	var callers sync.WaitGroup
	for i := range 500 {
		callers.Go(func() {
			method, path := http.MethodGet, "/crm/v8/Leads"
			if i%2 == 0 {
				method, path = http.MethodPost, "/desk/api/v1/tickets"
			}
			a, err := c.try(method, path, strings.NewReader(`{"subject":"x"}`))
			if err != nil || a.StatusCode >= 300 {
				t.Errorf("%v %s", err, a.body)
			}
		})
	}
	callers.Wait()
	if n := server.Stats().TokenRequests; n != 2 {
		t.Errorf("%d token calls, want 2", n)
	}
}

// TestRestartCostsNoToken: what is stored is used again, after SIGTERM and SIGKILL.
func TestRestartCostsNoToken(t *testing.T) {
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.get("/crm/v8/Leads")
	c.stop()
	c.start()
	c.get("/crm/v8/Leads")
	c.kill()
	c.start()
	if a := c.get("/crm/v8/Leads"); a.problem() != "" {
		t.Errorf("%s", a.body)
	}
	if n := server.Stats().TokenRequests; n != 1 {
		t.Errorf("%d token calls, want 1", n)
	}
}
