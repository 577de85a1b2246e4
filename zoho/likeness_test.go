package zoho_test

import (
	"net/http"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func TestLikeness(t *testing.T) {
	type call struct {
		service, method, path string
		header                http.Header
	}
	books := http.Header{"X-Com-Zoho-Books-Organizationid": {"7"}}
	for name, tt := range map[string]struct {
		a, b call
		same bool
	}{
		"the same":             {call{"crm", "GET", "/crm/v8/Leads", nil}, call{"crm", "GET", "/crm/v8/Leads", nil}, true},
		"another page":         {call{"crm", "GET", "/crm/v8/Leads?page=1", nil}, call{"crm", "GET", "/crm/v8/Leads?page=2", nil}, true},
		"another record":       {call{"crm", "GET", "/crm/v8/Leads/5725767000000524157", nil}, call{"crm", "GET", "/crm/v8/Leads/5725767000000524158", nil}, true},
		"a short number":       {call{"crm", "GET", "/x/1/y", nil}, call{"crm", "GET", "/x/23/y", nil}, true},
		"a list and a record":  {call{"crm", "GET", "/crm/v8/Leads", nil}, call{"crm", "GET", "/crm/v8/Leads/5725767000000524158", nil}, false},
		"what is done with it": {call{"books", "GET", "/invoices/982000000567114", nil}, call{"books", "GET", "/invoices/982000000567114/email", nil}, false},
		"files":                {call{"workdrive", "GET", "/api/v1/files/hz1xmd7b6ab6ee6c04a4a8a1c0a6ed1bb9eb", nil}, call{"workdrive", "GET", "/api/v1/files/abcd7b6ab6ee6c04a4a8a1c0a6ed1bb9eb00", nil}, true},
		"another method":       {call{"crm", "GET", "/crm/v8/Leads", nil}, call{"crm", "POST", "/crm/v8/Leads", nil}, false},
		"another module":       {call{"crm", "GET", "/crm/v8/Leads", nil}, call{"crm", "GET", "/crm/v8/Deals", nil}, false},
		"another version":      {call{"crm", "GET", "/crm/v2/Leads", nil}, call{"crm", "GET", "/crm/v2.1/Leads", nil}, false},
		"another portal":       {call{"projects", "GET", "/restapi/portal/ours/projects", nil}, call{"projects", "GET", "/restapi/portal/theirs/projects", nil}, false},
		"method and path":      {call{"crm", "GET", "/a", nil}, call{"crm", "GE", "T/a", nil}, false},
		"organizations":        {call{"books", "GET", "/books/v3/x?organization_id=1", nil}, call{"books", "GET", "/books/v3/x?organization_id=2", nil}, false},
		"one, two pages":       {call{"books", "GET", "/books/v3/x?organization_id=1&page=1", nil}, call{"books", "GET", "/books/v3/x?page=2&organization_id=1", nil}, true},
		"organization, header": {call{"books", "GET", "/books/v3/x", books}, call{"books", "GET", "/books/v3/x", nil}, false},
		"of another service":   {call{"invoice", "GET", "/x", books}, call{"invoice", "GET", "/x", nil}, true},
		"no path":              {call{"crm", "GET", "", nil}, call{"crm", "GET", "/", nil}, false},
	} {
		likeness := func(c call) uint64 {
			return zoho.Target{Service: c.service}.Likeness(c.method, c.path, c.header)
		}
		if a, b := likeness(tt.a), likeness(tt.b); a == 0 || b == 0 || (a == b) != tt.same {
			t.Errorf("%s: %x, %x", name, a, b)
		}
	}
}

func TestLikenessAllocatesNothing(t *testing.T) {
	target, h := zoho.Target{Service: "books"}, http.Header{"Accept": {"*/*"}}
	if n := testing.AllocsPerRun(100, func() { target.Likeness("GET", "/books/v3/contacts/460000000026049?page=1&organization_id=1", h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLikeness(b *testing.B) {
	target, h := zoho.Target{Service: "crm"}, http.Header{"Accept": {"*/*"}}
	b.ReportAllocs()
	for b.Loop() {
		target.Likeness("GET", "/crm/v8/Leads/5725767000000524157?page=1", h)
	}
}
