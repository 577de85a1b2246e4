// One caller against another: what provokes refusals neither spends the tokens that all share nor
// keeps dead ones from being renewed for others.

package tests

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// as is the same proxy, called from another address of this machine.
func (c *proxy) as(ip string) *proxy {
	other := *c
	other.client = newClient()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	other.client.Transport.(*http.Transport).DialContext = dialer.DialContext
	c.t.Cleanup(other.client.CloseIdleConnections)
	return &other
}

// twelveServices are those that a grant of everything admits to, none of them in threeServices' crm.
var twelveServices = []string{"analytics", "assist", "bigin", "calendar", "cliq", "contracts", "creator", "mail",
	"people", "projects", "recruit", "sign"}

const (
	crmLeads      = "/crm/v8/Leads"
	recordsInTurn = "records that are good and bad in turn"
)

// provoke makes a call that is to be refused.
func (c *proxy) provoke(method, path string) {
	c.t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("{}")
	}
	if a, err := c.try(method, path, body); err != nil || a.StatusCode < 400 {
		c.t.Errorf("%s %s: %v %v", method, path, err, a.Response)
	}
}

// refuseLive has services answer a live token as if it were dead.
func refuseLive(server *zohosim.Server, path string, services ...string) {
	for _, service := range services {
		server.AddFault(zohosim.Fault{Where: service, Path: path, Kind: zohosim.FaultRefuse})
	}
}

// barrages are what a hostile caller does while an honest one goes on using CRM.
var barrages = map[string]func(hostile, honest *proxy, server *zohosim.Server){
	"one call to each of twelve services": func(hostile, _ *proxy, server *zohosim.Server) {
		refuseLive(server, "", twelveServices...)
		for _, service := range twelveServices {
			hostile.provoke(http.MethodGet, "/"+service+"/x")
		}
	},
	"all at once, again and again": func(hostile, honest *proxy, server *zohosim.Server) {
		refuseLive(server, "", twelveServices...)
		spread(200, 16, func(i int) {
			if i%10 == 0 {
				honest.succeed(http.MethodGet, crmLeads, "")
				return
			}
			method := []string{http.MethodGet, http.MethodPost, http.MethodHead}[i%3]
			hostile.provoke(method, "/"+twelveServices[i%len(twelveServices)]+"/x")
		})
	},
	"between the calls of others": func(hostile, honest *proxy, server *zohosim.Server) {
		refuseLive(server, "", twelveServices...)
		for range 3 {
			for _, service := range twelveServices {
				hostile.provoke(http.MethodGet, "/"+service+"/x")
				hostile.provoke(http.MethodPost, "/"+service+"/y")
				honest.succeed(http.MethodGet, crmLeads, "")
			}
		}
	},
	"services that have accepted tokens": func(hostile, honest *proxy, server *zohosim.Server) {
		for _, service := range twelveServices {
			hostile.succeed(http.MethodGet, "/"+service+"/x", "")
		}
		refuseLive(server, "", twelveServices...)
		for range 3 {
			for _, service := range twelveServices {
				hostile.provoke(http.MethodGet, "/"+service+"/x")
				honest.succeed(http.MethodGet, crmLeads, "")
			}
		}
	},
	"good calls and bad ones in turn": func(hostile, honest *proxy, server *zohosim.Server) {
		services := append([]string{"crm", "desk", "workdrive"}, twelveServices...)
		refuseLive(server, "/bad", services...)
		for range 3 {
			for _, service := range services {
				hostile.succeed(http.MethodGet, "/"+service+"/_echo", "")
				hostile.provoke(http.MethodGet, "/"+service+"/bad")
				honest.succeed(http.MethodGet, crmLeads, "")
			}
		}
	},
	recordsInTurn: func(hostile, honest *proxy, server *zohosim.Server) {
		services := append([]string{"crm", "desk"}, twelveServices...)
		refuseLive(server, "/_echo/6666", services...)
		for range 3 {
			for _, service := range services {
				hostile.succeed(http.MethodGet, "/"+service+"/_echo/1111", "")
				hostile.provoke(http.MethodGet, "/"+service+"/_echo/6666")
				honest.succeed(http.MethodGet, crmLeads, "")
			}
		}
	},
}

// TestOneCallerLeavesTheTokens, S-67: whatever one caller has refused costs two tokens at most, and
// a real revocation heals for all afterwards, also for who shares an address with it.
func TestOneCallerLeavesTheTokens(t *testing.T) {
	t.Parallel()
	for name, barrage := range barrages {
		for _, from := range []string{"127.0.0.1", "127.0.0.2"} {
			if from == "127.0.0.1" && name == recordsInTurn {
				continue // two calls of the same kind have shown what they are: this caller has no third
			}
			t.Run(name+", from "+from, func(t *testing.T) {
				t.Parallel()
				c, server := startZoho(t, zohosim.GrantSpec{})
				c.succeed(http.MethodGet, crmLeads, "")
				barrage(c.as(from), c, server)
				forced := server.Stats().TokenRequests - 1
				if forced > 2 {
					t.Errorf("one caller had %d tokens renewed", forced)
				}
				server.ClearFaults("")
				for range 3 {
					server.RevokeAccess("")
					c.succeed(http.MethodGet, crmLeads, "")
				}
				server.RevokeAccess("")
				c.succeed(http.MethodGet, crmLeads, "")
				c.succeed(http.MethodGet, "/desk/api/v1/tickets", "")
			})
		}
	}
}

// TestNewServiceHeals: a service that is used for the first time meets a dead token, which another
// one accepted a moment ago.
func TestNewServiceHeals(t *testing.T) {
	t.Parallel()
	c, server := startZoho(t, zohosim.GrantSpec{})
	c.succeed(http.MethodGet, crmLeads, "")
	server.RevokeAccess("")
	c.succeed(http.MethodGet, "/desk/api/v1/tickets", "")
	c.succeed(http.MethodGet, crmLeads, "")
	wantTokenCalls(t, server, 2)
}

// TestRevocationsInARow: what has helped is on nobody's account, though one caller alone calls.
func TestRevocationsInARow(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	paths := append([]string{"/crm/_echo/1", "/desk/_echo/a", "/crm/_status?code=404"}, threeServices...)
	for i := range 8 {
		path := paths[i%len(paths)]
		if a := c.get(path); a.StatusCode == http.StatusUnauthorized {
			t.Errorf("%d, %s: %s, verdict %q", i, path, a.Status, a.Header.Get("Zoho-Proxy-Verdict"))
		}
		c.succeed(http.MethodGet, crmLeads, "")
		server.RevokeAccess("")
		c.succeed(http.MethodGet, crmLeads, "")
	}
	wantTokenCalls(t, server, 9)
}

const (
	booksContacts = "/books/v3/contacts?organization_id=60001234567"
	booksSettings = "/books/v3/settings?organization_id=60001234567"
)

// startBooks is a token that Books has accepted, old enough to be doubted.
func startBooks(t *testing.T) (*proxy, *zohosim.Server) {
	t.Helper()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, crmLeads, "")
	c.stop()
	ageToken(t, c, 2*time.Minute)
	c.start()
	return c, server
}

// TestBadlyScopedCallHoldsNobodyUp, S-67: one call at Books without the scope, whose refusal may be
// a dead token as well, puts the service on hold. Calls that have succeeded are healed all the same.
func TestBadlyScopedCallHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]string{"57": zohosim.CaseScope, "called dead": zohosim.CaseDead} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, server := startBooks(t)
			hostile := c.as("127.0.0.2")
			server.AddFault(zohosim.Fault{Where: "books", Path: "/settings", Kind: zohosim.FaultRefuse, Body: refusal})
			c.succeed(http.MethodGet, booksContacts, "")
			for range 3 {
				for range 5 {
					hostile.provoke(http.MethodGet, booksSettings)
				}
				c.succeed(http.MethodGet, booksContacts+"&page=2", "")
				server.RevokeAccess("")
				c.succeed(http.MethodGet, booksContacts, "")
			}
			if n := server.Stats().TokenRequests; n > 1+3+2 {
				t.Errorf("%d token calls", n)
			}
		})
	}
}

// TestPermissionWithdrawn: calls that have succeeded are refused from now on, for a reason that no
// token cures. That costs two tokens at most.
func TestPermissionWithdrawn(t *testing.T) {
	t.Parallel()
	c, server := startBooks(t)
	c.succeed(http.MethodGet, booksContacts, "")
	server.AddFault(zohosim.Fault{Where: "books", Kind: zohosim.FaultRefuse, Body: zohosim.CasePermission})
	spread(100, 8, func(i int) {
		if i%5 == 0 {
			c.succeed(http.MethodGet, crmLeads, "")
			return
		}
		c.provoke(http.MethodGet, booksContacts)
	})
	if n := server.Stats().TokenRequests; n > 3 {
		t.Errorf("%d token calls", n)
	}
}

// TestOrganizationsAreToldApart: a call for an organization that is not the user's says nothing of
// those for one that is.
func TestOrganizationsAreToldApart(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, booksContacts, "")
	server.AddFault(zohosim.Fault{Where: "books", Kind: zohosim.FaultRefuse, Body: zohosim.CasePermission})
	for range 5 {
		c.provoke(http.MethodGet, "/books/v3/contacts?organization_id=4711")
		if a := c.get(booksContacts, "X-com-zoho-books-organizationid", "4711"); a.StatusCode < 400 {
			t.Error(a.Status)
		}
	}
	wantTokenCalls(t, server, 1)
}

// TestAccountsOfCallers: what one account's tokens are spent on says nothing of another's; a reload
// and another configuration change nothing, and a restart does not make more of it than a start.
func TestAccountsOfCallers(t *testing.T) {
	t.Parallel()
	c, server, grants := startTwoAccounts(t, zohosim.Options{MaxTokens: -1})
	accounts := []string{"default", "second"}
	for _, account := range accounts {
		c.succeed(http.MethodGet, crmLeads, "", "Zoho-Proxy-Account", account)
	}
	refuseLive(server, "", twelveServices...)
	for i, account := range append(accounts, accounts...) {
		if i == 2 {
			if err := c.reload(); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			for _, service := range twelveServices {
				c.get("/"+service+"/x", "Zoho-Proxy-Account", account)
			}
			c.succeed(http.MethodGet, crmLeads, "", "Zoho-Proxy-Account", account)
		}
	}
	if n := server.Stats().TokenRequests; n > 2+2*2 {
		t.Errorf("%d token calls for two accounts", n)
	}
	for i, account := range accounts {
		server.RevokeAccess(grants[i])
		c.succeed(http.MethodGet, crmLeads, "", "Zoho-Proxy-Account", account)
	}
	c.stop()
	c.start()
	server.RevokeAccess("")
	for _, account := range accounts {
		c.succeed(http.MethodGet, crmLeads, "", "Zoho-Proxy-Account", account)
	}
}
