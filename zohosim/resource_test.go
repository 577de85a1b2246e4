package zohosim_test

import (
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

func TestAuthorizationHeader(t *testing.T) {
	sim := newSim(zohosim.Options{})
	access := sim.AccessToken(sim.Grant(clientID, "", ""))
	crm, mail := "https://www.zohoapis.com/crm/v8/Leads", "https://mail.zoho.com/api/accounts"
	for _, tt := range []struct {
		name, url string
		header    []string
		want      int
		refusal   string
	}{
		{"as documented", crm, []string{"Zoho-oauthtoken " + access}, 204, ""},
		{"Bearer where it was not seen working", crm, []string{"Bearer " + access}, 401, "crm/dead"},
		{"Bearer where it was", mail, []string{"Bearer " + access}, 200, ""},
		{"Bearer at Projects v3", "https://projects.zoho.com/api/v3/portals", []string{"Bearer " + access}, 200, ""},
		{"Bearer at Projects v1", "https://projects.zoho.com/restapi/portals/", []string{"Bearer " + access}, 401, "projects/dead"},
		{"letter case of the scheme", crm, []string{"zoho-oauthtoken " + access}, 401, "crm/no-header"},
		{"no scheme", crm, []string{access}, 401, "crm/no-header"},
		{"Basic", crm, []string{"Basic eDp5"}, 401, "crm/no-header"},
		{"two headers", crm, []string{"Zoho-oauthtoken " + access, "Zoho-oauthtoken " + access}, 401, "crm/no-header"},
		{"blank at the end", crm, []string{"Zoho-oauthtoken " + access + " "}, 401, "crm/dead"},
		{"in the query", crm + "?authtoken=" + access, nil, 401, "crm/no-header"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := sim.Stats().Refusals[tt.refusal]
			r := request("GET", tt.url, "")
			for _, h := range tt.header {
				r.Header.Add("Authorization", h)
			}
			wantStatus(t, do(sim, r), tt.want)
			if after := sim.Stats().Refusals[tt.refusal]; tt.refusal != "" && after != before+1 {
				t.Errorf("refusals %s: got %d, want %d", tt.refusal, after, before+1)
			}
		})
	}
	if got := sim.Stats().Malformed; got != 1 {
		t.Errorf("malformed: got %d, want 1", got)
	}
	sim.Change(func(o *zohosim.Options) { o.AcceptBearer = true })
	wantStatus(t, do(sim, request("GET", crm, "", "Authorization", "Bearer "+access)), 204)
}

func TestScopes(t *testing.T) {
	crm, post := "https://www.zohoapis.com/crm/v8/Deals", `{"data":[{"Deal_Name":"x"}]}`
	for _, tt := range []struct {
		scopes, method, url, body string
		want                      int
	}{
		{"ZohoCRM.modules.ALL", "GET", crm, "", 204},
		{"ZohoCRM.modules.READ", "GET", crm, "", 204},
		{"ZohoCRM.modules.READ", "POST", crm, post, 401},
		{"ZohoCRM.modules.CREATE", "POST", crm, post, 201},
		{"ZohoCRM.modules.CREATE", "PUT", crm, post, 401},
		{"ZohoCRM.modules.WRITE", "POST", crm, post, 201},
		{"ZohoCRM.modules.READ", "DELETE", crm + "/1", "", 401},
		{"ZohoCRM.modules.DELETE", "DELETE", crm + "/1", "", 200},
		{"ZohoCRM.modules.deals.READ", "GET", crm, "", 204},
		{"ZohoCRM.modules.leads.READ", "GET", crm, "", 401},
		{"ZohoCRM.modules.leads.READ,ZohoCRM.modules.deals.ALL", "GET", crm, "", 204},
		{"zohocrm.Modules.all", "GET", crm, "", 204},
		{"ZohoCRM.settings.territories", "GET", crm, "", 204},
		{"ZohoBooks.fullaccess.all", "GET", crm, "", 401},
		{"ZohoCRM", "GET", crm, "", 401},
		{"ZohoCRM.coql.READ", "POST", "https://www.zohoapis.com/crm/v8/coql", `{"select_query":"select id from Deals"}`, 204},
		{"ZohoCampaigns.contact.CREATE-UPDATE", "POST", "https://campaigns.zoho.com/api/v1.1/json/listsubscribe", "", 200},
		{"ZohoCampaigns.contact.CREATE-UPDATE", "GET", "https://campaigns.zoho.com/api/v1.1/getmailinglists", "", 401},
		{"PhoneBridge.call.log", "POST", "https://www.zohoapis.com/phonebridge/v3/calls", "", 200},
		{"VirtualOffice.messages.ALL", "GET", "https://mail.zoho.com/api/accounts", "", 200},
		{"ZohoProjects.projects.ALL", "GET", "https://bugtracker.zoho.com/restapi/portals/", "", 401},
		{"", "DELETE", crm + "/1", "", 200},
	} {
		sim := newSim(zohosim.Options{})
		res := call(sim, tt.method, tt.url, sim.AccessToken(sim.Grant(clientID, "", "", tt.scopes)), tt.body)
		if res.StatusCode != tt.want {
			t.Errorf("%s with %q: got %d %q, want %d", tt.method, tt.scopes, res.StatusCode, bodyOf(t, res), tt.want)
		}
	}
}

func TestOrganizations(t *testing.T) {
	const org = "60009"
	books, desk := "https://www.zohoapis.com/books/v3/contacts", "https://desk.zoho.com/api/v1/tickets"
	for _, tt := range []struct {
		name, url string
		header    []string
		required  bool
		want      int
	}{
		{"query", books + "?organization_id=" + org, nil, true, 200},
		{"wrong in the query", books + "?organization_id=1", nil, false, 401},
		{"header", "https://www.zohoapis.com/invoice/v3/contacts", []string{"X-com-zoho-invoice-organizationid", org}, true, 200},
		{"wrong in the header", "https://www.zohoapis.com/billing/v1/plans", []string{"X-com-zoho-subscriptions-organizationid", "1"}, false, 401},
		{"none", books, nil, false, 200},
		{"none where one is required", books, nil, true, 401},
		{"none to list them", "https://www.zohoapis.com/books/v3/organizations", nil, true, 200},
		{"Desk", desk, []string{"orgId", org}, true, 204},
		{"Desk, wrong", desk, []string{"orgId", "1"}, false, 403},
		{"Desk, none where one is required", desk, nil, true, 403},
		{"CRM asks for none", "https://www.zohoapis.com/crm/v8/Leads", []string{"orgId", "1"}, true, 204},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sim := newSim(zohosim.Options{Org: org, RequireOrg: tt.required})
			wantStatus(t, call(sim, "GET", tt.url, sim.AccessToken(sim.Grant(clientID, "", "")), "",
				tt.header...), tt.want)
		})
	}
}

func TestPlaces(t *testing.T) {
	for _, tt := range []struct {
		name, dc, url string
		want          int
	}{
		{"gateway", "eu", "https://www.zohoapis.eu/crm/v8/Leads", 204},
		{"gateway with a port", "eu", "https://www.zohoapis.eu:443/crm/v8/Leads", 204},
		{"letter case of a host", "eu", "https://WWW.ZohoAPIs.EU/crm/v8/Leads", 204},
		{"doubled slash", "eu", "https://www.zohoapis.eu//crm/v8/Leads", 204},
		{"Australia", "au", "https://desk.zoho.com.au/api/v1/tickets", 204},
		{"Canada's gateway", "ca", "https://www.zohoapis.ca/crm/v8/Leads", 204},
		{"Canada's products", "ca", "https://desk.zohocloud.ca/api/v1/tickets", 204},
		{"Canada's uploads", "ca", "https://upload.zohocloud.ca/crm/v8/org", 200},
		{"no such Canada", "ca", "https://desk.zoho.ca/api/v1/tickets", 404},
		{"uploads", "us", "https://content.zohoapis.com/crm/v8/org", 200},
		{"files of Saudi Arabia for CRM", "sa", "https://files.zoho.sa/crm/v8/org", 200},
		{"files of Saudi Arabia for WorkDrive", "sa", "https://files.zoho.sa/v1/workdrive/download/1", 200},
		{"Desk is not behind the gateway", "us", "https://www.zohoapis.com/desk/api/v1/tickets", 404},
		{"Recruit neither", "us", "https://www.zohoapis.com/recruit/v2/Candidates", 404},
		{"Projects neither", "us", "https://www.zohoapis.com/api/v3/portals", 404},
		{"old host of Books", "us", "https://books.zoho.com/api/v3/contacts", 200},
		{"old host of Billing", "us", "https://subscriptions.zoho.com/api/v1/plans", 200},
		{"look-alike", "us", "https://www.zohoapis.com.evil.example/crm/v8/Leads", 404},
		{"China", "cn", "https://www.zohoapis.com.cn/crm/v8/Leads", 204},
		{"India enterprise", "inec", "https://desk.zohohq.in/api/v1/tickets", 204},
		{"one origin: gateway service", "us", "http://127.0.0.1:8900/crm/v8/Leads", 204},
		{"one origin: own host", "us", "http://127.0.0.1:8900/desk/api/v1/tickets", 204},
		{"one origin: by label", "us", "http://127.0.0.1:8900/projectsapi/api/v3/portals", 200},
		{"one origin whose name begins like Zoho's", "us", "http://zohosim:8900/crm/v8/Leads", 204},
		{"one origin: repeated name", "us", "http://127.0.0.1:8900/recruit/recruit/v2/Candidates", 204},
		{"one origin: another data center's token", "eu", "http://127.0.0.1:8900/crm/v8/Leads", 401},
		{"one origin: no such service", "us", "http://127.0.0.1:8900/nonesuch", 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sim := newSim(zohosim.Options{})
			wantStatus(t, call(sim, "GET", tt.url, sim.AccessToken(sim.Grant(clientID, "", tt.dc)), ""), tt.want)
		})
	}
}

// A CRM grant is bound to the environment that was chosen on the consent screen.
func TestEnvironments(t *testing.T) {
	sim := newSim(zohosim.Options{})
	refreshToken := sim.GrantAs(zohosim.GrantSpec{ClientID: clientID, Environment: "sandbox"})
	reply := tokenReply(t, sim, usAccounts, refreshForm(refreshToken))
	if got, want := reply["api_domain"], "https://sandbox.zohoapis.com"; got != want {
		t.Errorf("api_domain: got %v, want %v", got, want)
	}
	access := reply["access_token"].(string)
	wantStatus(t, call(sim, "GET", "https://sandbox.zohoapis.com/crm/v8/Leads", access, ""), 204)
	wantStatus(t, call(sim, "GET", "https://www.zohoapis.com/crm/v8/Leads", access, ""), 401)
	wantStatus(t, call(sim, "GET", "https://developer.zohoapis.com/crm/v8/Leads", access, ""), 401)
	wantStatus(t, call(sim, "GET", "http://localhost/crm/v8/Leads", access, ""), 204)
}
