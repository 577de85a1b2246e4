package policy

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

// crmLeads admits the ERP to read leads, and to write them one by one.
var crmLeads = []Policy{
	{Name: "read", Principals: []string{"erp", "shop-*"}, Services: []string{"crm"}, Methods: []string{"GET"},
		Paths: []string{"/crm/*/Leads", "/crm/*/Leads/*"}},
	{Name: "tickets", Principals: []string{"erp"}, Paths: []string{"/desk/api/v1/tickets*"}},
	{Name: "own", Principals: []string{"erp"}, Services: []string{"mail"}, Paths: []string{"/api/accounts/*"}},
	{Name: "books", Principals: []string{"books"}, Services: []string{"books"}},
	{Name: "post", Principals: []string{"poster"}, Methods: []string{"POST"}},
	{Name: "bulk", Principals: []string{"bulk"}, Paths: []string{"/crm/bulk/*", "/crm/coqltest/*"}},
	{Name: "composite", Principals: []string{"sync"}, Paths: []string{"/crm/v8/__composite_requests", "/crm/*"}},
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		call    Call
		nearest string // "" = admitted
		why     string
	}{
		{Call{Caller: "erp", Service: "crm", Method: "GET", Path: "/crm/v8/Leads", AtGateway: true}, "", ""},
		{Call{Caller: "erp", Service: "crm", Method: "GET", Path: "/crm/v8/Leads/17/Notes", AtGateway: true}, "", ""},
		{Call{Caller: "erp", Service: "crm", Method: "GET", Path: "/crm/v8/%4Ceads", AtGateway: true}, "", ""},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads", AtGateway: true}, "", ""},
		{Call{Caller: "shop", Service: "crm", Method: "GET", Path: "/crm/v8/Leads", AtGateway: true}, "read", "principals"},
		{Call{Caller: "ERP", Service: "crm", Method: "GET", Path: "/crm/v8/Leads", AtGateway: true}, "read", "principals"},
		{Call{Caller: "erp", Service: "crm", Method: "POST", Path: "/crm/v8/Leads", AtGateway: true}, "tickets", "paths"},
		{Call{Caller: "shop-1", Service: "crm", Method: "POST", Path: "/crm/v8/Leads", AtGateway: true}, "read", "methods"},
		{Call{Caller: "shop-1", Service: "crm", Method: "HEAD", Path: "/crm/v8/Leads", AtGateway: true}, "read", "methods"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads", AtGateway: true, Overrides: true}, "read", "header"},
		{Call{Caller: "shop-1", Service: "bigin", Method: "GET", Path: "/crm/v8/Leads"}, "read", "services"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Contacts", AtGateway: true}, "read", "paths"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/leads", AtGateway: true}, "read", "paths"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/x/Leads", AtGateway: true}, "read", "paths"},

		// As an app writes it that calls by path, whichever way it came.
		{Call{Caller: "erp", Service: "desk", Method: "PUT", Path: "/api/v1/tickets/1"}, "", ""},
		{Call{Caller: "erp", Service: "desk", Method: "PUT", Path: "/desk/api/v1/tickets/1"}, "tickets", "paths"},
		{Call{Caller: "erp", Service: "sign", Method: "PUT", Path: "/desk/api/v1/tickets/1"}, "tickets", "paths"},
		{Call{Caller: "erp", Service: "mail", Method: "GET", Path: "/api/accounts/1"}, "", ""},
		{Call{Caller: "erp", Service: "desk", Method: "GET", Path: "/api/accounts/1"}, "tickets", "paths"},

		// Where a path is named, none that is read in more than one way.
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads/../Contacts", AtGateway: true}, "read", "dot segment"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads/.", AtGateway: true}, "read", "dot segment"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads/%2E%2e/Contacts", AtGateway: true}, "read", "dot segment"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads/a%2fb", AtGateway: true}, "read", "%2f"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads/a%5Cb", AtGateway: true}, "read", "%5c"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: `/crm/v8/Leads/a\b`, AtGateway: true}, "read", `\`},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads//x", AtGateway: true}, "read", "//"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "//crm/v8/Leads", AtGateway: true}, "read", "//"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads;a=1/x", AtGateway: true}, "read", ";"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads/%3b", AtGateway: true}, "read", "%3b"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads/%252e%252e/x", AtGateway: true}, "read", "%25"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads/%00", AtGateway: true}, "read", "control"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads/%c0%ae", AtGateway: true}, "read", "broken % escape"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads/%zz", AtGateway: true}, "read", "broken % escape"},
		{Call{Caller: "shop-1", Service: "crm", Method: "GET", Path: "/crm/v8/Leads/%4", AtGateway: true}, "read", "broken % escape"},
		// Where none is named they are as admitted as others.
		{Call{Caller: "books", Service: "books", Method: "GET", Path: "/books/v3/a;b//c", AtGateway: true}, "", ""},

		// A method that is named is that of the whole call.
		{Call{Caller: "poster", Service: "crm", Method: "POST", Path: "/crm/v8/Leads", AtGateway: true}, "", ""},
		{Call{Caller: "poster", Service: "crm", Method: "POST", Path: "/crm/v8/coql", AtGateway: true}, "", ""},
		{Call{Caller: "poster", Service: "crm", Method: "POST", Path: "/crm/v8/__composite_requests", AtGateway: true}, "post", "body"},

		// A service that is named is not left.
		{Call{Caller: "books", Service: "books", Method: "GET", Path: "/books/../crm/v8/Leads", AtGateway: true}, "books", "dot segment"},
		{Call{Caller: "books", Service: "books", Method: "GET", Path: "/books/%2E%2e/crm/v8/Leads", AtGateway: true}, "books", "dot segment"},
		{Call{Caller: "books", Service: "books", Method: "GET", Path: "/books/x/..;/..;/crm", AtGateway: true}, "books", "dot segment"},

		// The path says nothing of what is done.
		{Call{Caller: "sync", Service: "crm", Method: "POST", Path: "/crm/v8/__composite_requests", AtGateway: true}, "", ""},
		{Call{Caller: "sync", Service: "crm", Method: "POST", Path: "/crm/v7/__composite_requests", AtGateway: true}, "composite", "__composite_requests"},
		{Call{Caller: "sync", Service: "crm", Method: "POST", Path: "/crm/v8/coql", AtGateway: true}, "composite", "coql"},
		{Call{Caller: "sync", Service: "crm", Method: "POST", Path: "/crm/v8/COQL", AtGateway: true}, "composite", "coql"},
		{Call{Caller: "sync", Service: "crm", Method: "POST", Path: "/crm/bulk/v8/read", AtGateway: true}, "composite", "bulk"},
		{Call{Caller: "sync", Service: "crm", Method: "POST", Path: "/crm/v8/Accounts", AtGateway: true}, "", ""},
		{Call{Caller: "bulk", Service: "crm", Method: "POST", Path: "/crm/bulk/v8/read", AtGateway: true}, "", ""},
		{Call{Caller: "bulk", Service: "crm", Method: "POST", Path: "/crm/bulk/v8/__composite_requests", AtGateway: true}, "bulk", "__composite_requests"},
		{Call{Caller: "bulk", Service: "crm", Method: "POST", Path: "/crm/bulk/coql", AtGateway: true}, "bulk", "coql"},
		{Call{Caller: "bulk", Service: "crm", Method: "POST", Path: "/crm/coqltest/coql", AtGateway: true}, "bulk", "coql"},

		{Call{Caller: "", Service: "crm", Method: "GET", Path: "/crm/v8/Leads", AtGateway: true}, "read", "principals"},
	} {
		refusal := Judge(crmLeads, &test.call)
		switch {
		case refusal == nil && test.nearest == "":
		case refusal == nil:
			t.Errorf("%+v: admitted", test.call)
		case refusal.Nearest != test.nearest || !strings.Contains(refusal.Why, test.why) || test.nearest == "":
			t.Errorf("%+v: %+v", test.call, *refusal)
		}
	}
}

func TestOverrides(t *testing.T) {
	for name, want := range map[string]bool{
		"X-Http-Method-Override": true, "X-Http-Method": true, "X-Method-Override": true, "X_http_method_override": true,
		"X-HTTP_Method-Override": true, "X-Method": true, "x_method": true, "X-HTTP-Method~Override": true, "X'HTTP'Method": true,
		"X-Http-Methodoverride": true, "Http-Method-Override": true, "Method-Override": true,
		"X!HTTP!Method!Override": true, "X-HTTP-Method-Override-": true, "X-Original-Url": true, "X-Rewrite-URL": true,
		"X-Zoho-Sdk": false, "X-Methodology": false, "Method": false, "Accept": false, "": false, "X": false,
	} {
		if Overrides(map[string][]string{"Accept": {"*/*"}, name: {"DELETE"}}, "page=1") != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
	for query, want := range map[string]bool{
		"_method=DELETE": true, "a=1&_method=PUT": true, "%5Fmethod=PUT": true, "X-HTTP-Method-Override=PUT": true,
		"": false, "method=PUT": false, "my_method=x": false, "a=_method": false,
	} {
		if Overrides(nil, query) != want {
			t.Errorf("?%s: %v", query, !want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		p            Policy
		option, says string
	}{
		{Policy{Name: "a b", Methods: []string{"GET"}}, "policy", "1 to 128"},
		{Policy{Name: "a"}, "policy", "principals *"},
		{Policy{Name: "a", Principals: []string{""}}, "principals", "empty"},
		{Policy{Name: "a", Services: []string{"book"}}, "services", "did you mean books"},
		{Policy{Name: "a", Methods: []string{"get"}}, "methods", "did you mean GET"},
		{Policy{Name: "a", Methods: []string{"FETCH"}}, "methods", "the methods are GET"},
		{Policy{Name: "a", Paths: []string{"crm/v8"}}, "paths", "begin with /"},
		{Policy{Name: "a", Paths: []string{"https://www.zohoapis.com/crm"}}, "paths", "is a URL"},
		{Policy{Name: "a", Paths: []string{"/crm/v8?x=1"}}, "paths", "query"},
		{Policy{Name: "a", Paths: []string{"/crm/a%20b"}}, "paths", "escape"},
		{Policy{Name: "a", Paths: []string{"/crm/../x"}}, "paths", "dot segment"},
		{Policy{Name: "a", Paths: []string{"/crm//x"}}, "paths", "//"},
		{Policy{Name: "a", Paths: []string{"/crm/a*b*"}}, "paths", "more than one *"},
		{Policy{Name: "a", Paths: []string{"/cmr/v8/Leads"}}, "paths", "did you mean crm"},
		{Policy{Name: "a", Paths: []string{"/api/v1/tickets"}}, "paths", "begin with a service"},
	} {
		option, err := test.p.Check(false, nil)
		if err == nil || option != test.option || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %s %v", test.p, option, err)
		}
	}
	for _, p := range append(crmLeads,
		Policy{Name: "a", Services: []string{"desk"}, Paths: []string{"/api/v1/tickets"}},
		Policy{Name: "all", Principals: []string{"*"}},
		Policy{Name: "a", Services: []string{"crm"}, Methods: []string{"GET"}},
		Policy{Name: "a", Methods: []string{"GET"}, Paths: []string{"/crm/*"}},
		Policy{Name: "a", Paths: []string{"/*"}}) {
		if option, err := p.Check(false, nil); err != nil {
			t.Errorf("%+v: %s %v", p, option, err)
		}
	}
}

func TestCheckWithUpstream(t *testing.T) {
	p := Policy{Name: "a", Paths: []string{"/api/v1/tickets"}}
	if option, err := p.Check(true, nil); err != nil {
		t.Error(option, err)
	}
}

// FuzzPath: no path that some server reads as another one than ours gets in below a pattern.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/crm/v8/Leads", "/crm/v8/Leads/../Contacts", "/crm/v8/Leads/%2e%2e/Contacts", "/crm/v8/Leads/..;/Contacts",
		"/crm/v8/Leads/%252e%252e%252fContacts", `/crm/v8/Leads/..\Contacts`, "/crm/v8/Leads//..//Contacts", "/crm/v8/Leads/%c0%ae%c0%ae/x",
	} {
		f.Add(seed)
	}
	p := []Policy{{Name: "leads", Paths: []string{"/crm/v8/Leads", "/crm/v8/Leads/*"}}}
	f.Fuzz(func(t *testing.T, received string) {
		if Judge(p, &Call{Service: "crm", Method: "GET", Path: received, AtGateway: true}) != nil {
			return
		}
		read := received
		for range 3 {
			if next, err := url.PathUnescape(read); err == nil {
				read = next
			}
			seen := path.Clean(strings.ReplaceAll(strings.Split(read, ";")[0], `\`, "/"))
			if seen != "/crm/v8/Leads" && !strings.HasPrefix(seen, "/crm/v8/Leads/") {
				t.Fatalf("%q is admitted, and may be read as %q", received, seen)
			}
		}
	})
}
