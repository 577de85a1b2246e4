package zoho_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func TestProbeOf(t *testing.T) {
	for scope, want := range map[string]string{
		"ZohoCRM.modules.ALL":           "/crm/v8/Leads?fields=id&per_page=1",
		"ZohoCRM.modules.contacts.READ": "/crm/v8/contacts?fields=id&per_page=1",
		"zohocrm.MODULES.all":           "/crm/v8/Leads?fields=id&per_page=1",
		"ZohoCRM.settings.ALL":          "/crm/v8/settings/modules",
		"ZohoCRM.settings.roles.READ":   "/crm/v8/settings/roles",
		"ZohoCRM.modules.a/../b.READ":   "", // escaped
		"ZohoCRM.modules.CREATE":        "none",
		"ZohoCRM.bulk.ALL":              "none",
		"ZohoBooks.fullaccess.all":      "/books/v3/organizations?per_page=1",
		"ZohoInventory.items.READ":      "/inventory/v1/items?per_page=1",
		"ZohoSubscriptions.items.READ":  "/billing/v1/items?per_page=1",
		"Desk.basic.READ":               "/desk/api/v1/organizations",
		"PhoneBridge.call.log":          "none",
		"zohobookings":                  "none",
		"":                              "none",
	} {
		p, ok := zoho.ProbeOf(scope)
		if ok == (want == "none") || ok && want != "" && p.Path != want {
			t.Errorf("%s: %v %q, want %q", scope, ok, p.Path, want)
		}
		if ok && (strings.Contains(p.Path, "..") && !strings.Contains(p.Path, "%2F") || p.Service() == "") {
			t.Errorf("%s: %q", scope, p.Path)
		}
	}
}

// Every probe leads to a service that exists, in every data center that has it.
func TestServiceProbes(t *testing.T) {
	us, _ := zoho.LookupDataCenter("us")
	found := 0
	for _, s := range zoho.Services() {
		p, ok := zoho.ServiceProbe(s.Name)
		if !ok {
			continue
		}
		found++
		target, err := us.RoutePath(p.Path, zoho.RouteOptions{})
		if err != nil || target.Service != s.Name || !strings.HasPrefix(p.Path[target.Strip:], "/") {
			t.Errorf("%s: %+v %q %v", s.Name, target, p.Path, err)
		}
	}
	if found < 15 {
		t.Errorf("only %d services have a probe", found)
	}
	if _, ok := zoho.ServiceProbe("nothing"); ok {
		t.Error("a service that does not exist")
	}
}

// TestCheckClient: the answers to a code that was given to nobody tell whether id and
// secret are right, and a secret is not sent where only the id is asked about.
func TestCheckClient(t *testing.T) {
	reply := ""
	var sent string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		sent = r.Form.Encode()
		w.Header().Set("Date", time.Now().Add(-2*time.Hour).UTC().Format(http.TimeFormat))
		_, _ = w.Write([]byte(reply))
	}))
	defer server.Close()
	dc, err := zoho.CustomDataCenter(server.URL, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	a := zoho.Accounts{HTTP: server.Client(), DataCenter: dc, ClientID: "1000.X", ClientSecret: "the-secret"}
	for _, test := range []struct {
		reply           string
		fails, knows, e bool
	}{
		{`{"error":"invalid_code"}`, false, true, false},
		{`{"error":"invalid_redirect_uri"}`, false, true, false},
		{`{"error":"invalid_client_secret"}`, true, true, false},
		{`{"error":"invalid_client"}`, true, false, false},
		{`<html>`, true, false, true},
		{`{"error":"Access Denied","status":"failure"}`, true, false, true},
	} {
		reply = test.reply
		if err := a.CheckClient(context.Background()); (err != nil) != test.fails {
			t.Errorf("%s: %v", reply, err)
		}
		knows, err := a.KnowsClient(context.Background())
		if knows != test.knows || (err != nil) != test.e {
			t.Errorf("%s: knows %v, %v", reply, knows, err)
		}
		if strings.Contains(sent, "the-secret") {
			t.Errorf("a secret was sent: %s", sent)
		}
	}
	ahead, err := a.Reach(context.Background())
	if err != nil || ahead == nil || *ahead < 119*time.Minute || *ahead > 121*time.Minute {
		t.Errorf("%v ahead, %v", ahead, err)
	}
	server.Close()
	if _, err := a.Reach(context.Background()); err == nil {
		t.Error("a server that is gone was reached")
	}
}

func TestProbeCall(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Zoho-oauthtoken t" || r.URL.Path != "/api/v1/organizations" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"errorCode":"SCOPE_MISMATCH"}`))
	}))
	defer server.Close()
	p, _ := zoho.ProbeOf("Desk.basic.READ")
	target := zoho.Target{Service: "desk", Scheme: "http", Host: strings.TrimPrefix(server.URL, "http://"),
		Strip: len("/desk")}
	status, verdict, err := p.Call(context.Background(), server.Client(), target, "Zoho-oauthtoken t")
	if status != 403 || verdict != zoho.VerdictScope || err != nil {
		t.Error(status, verdict, err)
	}
	status, verdict, err = p.Call(context.Background(), server.Client(), target, "Zoho-oauthtoken x")
	if status != 302 || verdict != zoho.VerdictNone || err != nil {
		t.Error("a redirect was followed", status, verdict, err)
	}
}
