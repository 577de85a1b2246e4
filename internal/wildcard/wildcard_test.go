package wildcard

import "testing"

func TestName(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"erp", "erp", true},
		{"erp", "erp2", false},
		{"erp", "ERP", false},
		{"*", "", true},
		{"*", "any thing/at all", true},
		{"customer-*", "customer-", true},
		{"customer-*", "customer-17", true},
		{"customer-*", "other-17", false},
		{"*-eu", "acme-eu", true},
		{"*-eu", "acme-eu2", false},
		{"a*b*c", "abc", true},
		{"a*b*c", "a1b2b3c", true},
		{"a*b*c", "acb", false},
		{"a*a", "a", false},
		{"CN=*,O=Acme", "CN=erp,O=Acme", true},
		{"CN=*,O=Acme", "CN=erp,O=Acme2", false},
		{"", "", true},
		{"", "x", false},
	} {
		if got := Name(test.pattern, test.name); got != test.want {
			t.Errorf("Name(%q, %q) = %v", test.pattern, test.name, got)
		}
	}
}

func TestPath(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		want          bool
	}{
		{"/crm/v8/Leads", "/crm/v8/Leads", true},
		{"/crm/v8/Leads", "/crm/v8/Leads/1", false},
		{"/crm/v8/Leads", "/crm/v8/leads", false},
		{"/crm/v8/Leads/*", "/crm/v8/Leads/1/Notes", true},
		{"/crm/v8/Leads/*", "/crm/v8/Leads", false},
		{"/crm/v8/Leads*", "/crm/v8/Leads", true},
		{"/crm/*/Leads", "/crm/v8/Leads", true},
		{"/crm/*/Leads", "/crm/v8/x/Leads", false},
		{"/crm/*/Leads", "/crm/v8/Leads/1", false},
		{"/crm/*/Leads/*", "/crm/v8/Leads/1/2", true},
		{"/crm/v*/Leads", "/crm/v8/Leads", true},
		{"/crm/v*.1/Leads", "/crm/v2.1/Leads", true},
		{"/crm/v*.1/Leads", "/crm/v2.2/Leads", false},
		{"/x/*.json", "/x/a.json", true},
		{"/x/*.json", "/x/a/b.json", false},
		{"/*", "/", true},
		{"*", "/anything/at/all", true},
		{"/a/*/", "/a/b/", true},
		{"/a/*/", "/a/b", false},
	} {
		if got := Path(test.pattern, test.path); got != test.want {
			t.Errorf("Path(%q, %q) = %v", test.pattern, test.path, got)
		}
	}
}
