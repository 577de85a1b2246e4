// Services: each is reached where it lives, and who calls it elsewhere is told where that is.

package tests

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// servedBy is what the simulator says of a call to a service without resources of its own.
type servedBy struct {
	Service    string
	DataCenter string `json:"data_center"`
	Path       string
	Host       string
}

// TestServicesOfBothTables: the table of services and the simulator, which has its own reading of the
// facts, agree on every host of every data center, and on what scopes begin with.
func TestServicesOfBothTables(t *testing.T) {
	t.Parallel()
	server := zohosim.New(zohosim.Options{})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret})
	for _, dc := range zoho.DataCenters() {
		for _, s := range zoho.Services() {
			scopes := []string{""}
			for _, scope := range s.Scopes() {
				scopes = append(scopes, scope+".x.ALL")
			}
			path := "/" + s.Name + s.Base + "/_echo"
			if s.Gateway {
				path = s.Base + "/_echo"
			}
			target, err := dc.RoutePath(path, zoho.RouteOptions{})
			if err != nil {
				continue // said by the tests of zoho
			}
			for _, scope := range scopes {
				if scope == "ZohoPC.x.ALL" || scope == "TeamDrive.x.ALL" || scope == "ZohoBugs.x.ALL" {
					continue // of old; the simulator does not know them
				}
				grant := server.Grant(clientID, "", dc.Code, strings.Fields(scope)...)
				r := httptest.NewRequest("GET", "https://"+target.Host+path[target.Strip:], nil)
				r.Header.Set("Authorization", "Zoho-oauthtoken "+server.AccessToken(grant))
				w := httptest.NewRecorder()
				server.ServeHTTP(w, r)
				var got servedBy
				if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || got.Service != s.Name || got.DataCenter != dc.Code {
					t.Errorf("%s at %s with %q: %d %s", s.Name, r.URL, scope, w.Code, w.Body)
				}
			}
		}
	}
}

// TestServices makes one call to each service by path, one by each host it has, and one by those for files.
func TestServices(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"us", "in", "ca"} {
		c, _ := startZoho(t, zohosim.GrantSpec{DataCenter: code})
		dc, _ := zoho.LookupDataCenter(code)
		reach := func(s zoho.Service, path string, header ...string) {
			t.Helper()
			var got servedBy
			a := c.call("GET", path+"/_echo", nil, header...)
			a.decode(t, &got)
			if a.StatusCode != 200 || got.Service != s.Name || got.DataCenter != code {
				t.Errorf("%s at %s, %s %v: %d %s", s.Name, code, path, header, a.StatusCode, a.body)
			}
		}
		for _, s := range zoho.Services() {
			switch {
			case s.Name == zoho.ProfileService:
				continue // one path, see TestProfile
			case s.AbsentAt(code):
				wantProblem(t, c.get("/"+s.Name+"/x"), "service-unknown", 404)
			case s.Gateway:
				reach(s, s.Base)
				reach(s, s.Base, "Host", "zohoapis.com")
			case s.HostAt(dc) != "":
				reach(s, "/"+s.Name+s.Base)
			default:
				wantProblem(t, c.get("/"+s.Name+"/x"), "service-unknown", 404)
			}
			if host := s.HostAt(dc); host != "" && s.Name != "erp" && s.Name != "phonebridge" { // no source knows theirs
				reach(s, s.Base, "Host", host)
			}
		}
		crm, _ := zoho.LookupService("crm")
		workdrive, _ := zoho.LookupService("workdrive")
		reach(crm, "/v2/crm/1000/bulk-write/2000/2000.zip", "Host", "download-accl.zoho.com")
		reach(crm, "/v2/crm/1000/backup/3000/Data_001.zip", "Host", "download-accl."+dc.Suffix)
		reach(workdrive, "/v1/workdrive/download/abc", "Host", "download-accl.zoho.com")
		reach(workdrive, "/v1/workdrive/download/abc", "Host", "download.zoho.com")
	}
}

// TestServiceElsewhere: the answer says where a service lives, or what to do about one that is not known.
func TestServiceElsewhere(t *testing.T) {
	t.Parallel()
	c, _ := startZoho(t, zohosim.GrantSpec{DataCenter: "ca"})
	for _, test := range []struct{ host, path, says string }{
		{"www.zohoapis.com", "/people/api/forms", "people has its own host: people.zohocloud.ca/people/api, or by path /people/people/api"},
		{"www.zohoapis.ca", "/desk/api/v1/tickets", "desk.zohocloud.ca/api/v1, or by path /desk/api/v1"},
		{"zohoapis.com", "/voice/rest/json/v1", "voice has its own host"},
		{"", "/payments/api/v1", "known only in the data centers us, in"},
		{"", "/sheet/api/v2", "sheet is not offered in the data center ca"},
		{"sheet.zoho.com", "/api/v2", "sheet is not offered in the data center ca"},
		{"", "/forms/v1", "`upstream https://HOST`"},
		{"directory.zoho.com", "/api/v1/users", "`upstream https://HOST`"},
	} {
		var header []string
		if test.host != "" {
			header = []string{"Host", test.host}
		}
		a := c.get(test.path, header...)
		wantProblem(t, a, "service-unknown", 404)
		if !strings.Contains(string(a.body), test.says) || strings.Contains(string(a.body), "did you mean") {
			t.Errorf("%s%s: got %s, want %q", test.host, test.path, a.body, test.says)
		}
	}
}

// TestDoctorKnowsDataCenters: services that the scopes ask for and the data center does not have.
func TestDoctorKnowsDataCenters(t *testing.T) {
	t.Parallel()
	c, _ := startZoho(t, zohosim.GrantSpec{DataCenter: "ca",
		Scopes: []string{"ZohoSheet.dataAPI.READ", "ZohoPay.payments.READ", "ZohoCRM.modules.ALL"}})
	for _, says := range []string{
		"sheet cannot be called in the data center ca sheet is not offered", "payments cannot be called in the data center ca",
	} {
		found(c.doctor(1)).want(t, "call", "failed", says)
	}
}
