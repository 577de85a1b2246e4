package zoho_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func TestParseScope(t *testing.T) {
	tests := []struct{ scope, service, name, operation string }{
		{"ZohoCRM.modules.ALL", "ZohoCRM", "modules", "ALL"},
		{"ZohoCRM.modules.leads.READ", "ZohoCRM", "modules.leads", "READ"},
		{"ZohoCRM.mass_convert.SalesOrders.CREATE", "ZohoCRM", "mass_convert.SalesOrders", "CREATE"},
		{"ZohoCRM.settings.territories", "ZohoCRM", "settings.territories", ""},
		{"PhoneBridge.call.log", "PhoneBridge", "call.log", ""},
		{"ZohoBooks.fullaccess.all", "ZohoBooks", "fullaccess", "all"},
		{"ZohoCampaigns.contact.CREATE-UPDATE", "ZohoCampaigns", "contact", "CREATE-UPDATE"},
		{"Desk.tickets.WRITE", "Desk", "tickets", "WRITE"},
		{"aaaserver.profile.Read", "aaaserver", "profile", "Read"},
		{"zohobookings", "zohobookings", "", ""},
		{"ZohoX.READ", "ZohoX", "", "READ"},
		{"", "", "", ""},
		{"..", "", ".", ""},
	}
	for _, test := range tests {
		got := zoho.ParseScope(test.scope)
		if got.Service != test.service || got.Name != test.name || got.Operation != test.operation ||
			got.String() != test.scope {
			t.Errorf("%q: got %q %q %q, %q", test.scope, got.Service, got.Name, got.Operation, got)
		}
	}
}

func TestSplitScopes(t *testing.T) {
	want := []string{"ZohoCRM.modules.ALL", "ZohoBooks.fullaccess.all"}
	for _, list := range []string{
		"ZohoCRM.modules.ALL,ZohoBooks.fullaccess.all", "ZohoCRM.modules.ALL ZohoBooks.fullaccess.all",
		" ZohoCRM.modules.ALL ,, ZohoBooks.fullaccess.all,\n", "ZohoCRM.modules.ALL\r\n\tZohoBooks.fullaccess.all\u00a0",
	} {
		if got := zoho.SplitScopes(list); !slices.Equal(got, want) {
			t.Errorf("%q: got %q", list, got)
		}
	}
	for _, list := range []string{"", " ", ",", " , \n"} {
		if got := zoho.SplitScopes(list); len(got) != 0 {
			t.Errorf("%q: got %q", list, got)
		}
	}
}

func TestScopeWarnings(t *testing.T) {
	fine := []string{
		"ZohoCRM.modules.ALL", "ZohoCRM.settings.territories", "ZohoCRM.settings.map_dependency.ALL", "PhoneBridge.call.log", "PhoneBridge.zohoone.search",
		"zohobookings", "zohobookings.data.CREATE", "ZOHOPEOPLE.forms.ALL", "ZohoSign.documents.all", "ZohoCampaigns.contact.CREATE-UPDATE", "ZohoMail.messages.ALL",
		"ZohoSearch.securesearch.READ", "AaaServer.profile.Read", "Desk.basic.READ", "ZohoSheet.dataAPI.UPDATE", "X.y.call", "X.y.mail",
	}
	if got := zoho.ScopeWarnings(fine); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	tests := map[string]string{
		"ZohoCRM.modules.READD":      `scope "ZohoCRM.modules.READD": there is no operation "READD"; did you mean READ?`,
		"ZohoCRM.modules.leads.raed": `scope "ZohoCRM.modules.leads.raed": there is no operation "raed"; did you mean READ?`,
		"ZohoCRM.modules.CREAT":      `scope "ZohoCRM.modules.CREAT": there is no operation "CREAT"; did you mean CREATE?`,
		"ZohoCRM.modules.DELET":      `scope "ZohoCRM.modules.DELET": there is no operation "DELET"; did you mean DELETE?`,
		"ZohoCRM.modules.ALLL":       `scope "ZohoCRM.modules.ALLL": there is no operation "ALLL"; did you mean ALL?`,
		"ZohoCRM..ALL":               `scope "ZohoCRM..ALL": has an empty part; the form is Service.scope.OPERATION`,
		"":                           `scope "": has an empty part; the form is Service.scope.OPERATION`,
		"READ":                       `scope "READ": begins with an operation; the form is Service.scope.OPERATION`,
		"ZohoCRM.modules.ALL;ZohoBooks.settings.ALL": `scope "ZohoCRM.modules.ALL;ZohoBooks.settings.ALL": has a character that no scope has; separate scopes with blanks or commas`,
		`"ZohoCRM.modules.ALL"`:                      `scope "\"ZohoCRM.modules.ALL\"": has a character that no scope has; separate scopes with blanks or commas`,
	}
	for scope, want := range tests {
		if got := zoho.ScopeWarnings([]string{scope}); len(got) != 1 || got[0] != want {
			t.Errorf("%q: got  %q\nwant %q", scope, got, want)
		}
	}
	twice := zoho.ScopeWarnings([]string{"ZohoCRM.modules.ALL", "zohocrm.modules.all"})
	if len(twice) != 1 || !strings.Contains(twice[0], "twice") {
		t.Errorf("got %q", twice)
	}
}

// FuzzScopes: parts never hold a separator, a scope comes back as it was, and a
// token pasted into the list does not show in the warnings.
func FuzzScopes(f *testing.F) {
	f.Add("ZohoCRM.modules.ALL,ZohoBooks.fullaccess.all zohobookings")
	f.Add("ZohoCRM.modules.READD\n" + accessToken + "\x1b[2J;" + clientSecret)
	f.Fuzz(func(t *testing.T, list string) {
		scopes := zoho.SplitScopes(list)
		for _, s := range scopes {
			if s == "" || strings.ContainsAny(s, ", \t\r\n") || !strings.Contains(list, s) {
				t.Errorf("%q: got scope %q", list, s)
			}
			parsed := zoho.ParseScope(s)
			if parsed.String() != s || strings.Contains(parsed.Service, ".") ||
				strings.Contains(parsed.Operation, ".") {
				t.Errorf("%q: got %+v", s, parsed)
			}
		}
		for _, w := range zoho.ScopeWarnings(scopes) {
			if strings.ContainsAny(w, "\r\n\x1b") || len(w) > 1024 {
				t.Errorf("warning %q", w)
			}
			for _, secret := range []string{clientSecret, accessToken} {
				if strings.Contains(w, secret) {
					t.Errorf("a secret in %q", w)
				}
			}
		}
	})
}

func TestCovers(t *testing.T) {
	for _, test := range []struct {
		granted, wanted string
		want            bool
	}{
		{"ZohoCRM.modules.ALL", "ZohoCRM.modules.ALL", true},
		{"zohocrm.Modules.all", "ZohoCRM.modules.READ", true},
		{"ZohoCRM.modules.ALL", "ZohoCRM.modules.leads.READ", true},
		{"ZohoCRM.modules.READ", "ZohoCRM.modules.leads.ALL", false},
		{"ZohoCRM.modules.leads.ALL", "ZohoCRM.modules.ALL", false},
		{"ZohoCRM.settings.ALL", "ZohoCRM.settings.modules.READ", true},
		{"ZohoBooks.fullaccess.all", "ZohoBooks.contacts.READ", true},
		{"ZohoCRM.module.ALL", "ZohoCRM.modules.ALL", false},
		{"ZohoBooks.contacts.ALL", "ZohoInvoice.contacts.ALL", false},
		{"PhoneBridge.call.log", "PhoneBridge.call.log", true},
		{"Desk.tickets.READ,Desk.basic.READ", "Desk.basic.READ", true},
		{"", "Desk.basic.READ", false},
	} {
		if got := zoho.Covers(zoho.SplitScopes(test.granted), test.wanted); got != test.want {
			t.Errorf("%s covers %s: %v", test.granted, test.wanted, got)
		}
	}
}

func TestServiceOfScope(t *testing.T) {
	for scope, want := range map[string]string{
		"ZohoCRM.modules.ALL": "crm", "ZOHOPEOPLE.forms.READ": "people", "Desk.tickets.ALL": "desk",
		"ZohoBooks.fullaccess.all": "books", "ZohoSubscriptions.fullaccess.all": "billing", "zohobookings": "bookings",
		"PhoneBridge.call.log": "phonebridge", "WorkDrive.files.ALL": "workdrive", "AaaServer.profile.READ": "profile",
		"": "", "ZohoNothing.x.READ": "", "offline": "",
	} {
		if got := zoho.ServiceOfScope(scope); got != want {
			t.Errorf("%q: got %q, want %q", scope, got, want)
		}
	}
}
