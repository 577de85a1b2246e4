package onboard

import (
	"strings"
	"testing"
)

// TestParseSelfClient: what the API console gives is understood, and no error shows any of it or speaks of a browser.
func TestParseSelfClient(t *testing.T) {
	cl := &Client{Name: "main", ID: func() string { return "1000.ID" }}
	const file = `{"client_id":"1000.ID","client_secret":"hidden","code":"1000.a.b","scope":["ZohoCRM.modules.ALL"],"expiry_time":1796060477208,"grant_type":"authorization_code"}`
	for pasted, want := range map[string]string{
		"1000.a.b\n":                             "1000.a.b",
		"1000.a\n.b":                             "1000.a.b",
		file:                                     "1000.a.b",
		"\ufeff " + file + "\n":                  "1000.a.b",
		file[:30] + "\r\n" + file[30:]:           "1000.a.b",
		`{"code": "1000.a.b"}`:                   "1000.a.b",
		"http://x.example/?code=1000.a.b":        "1000.a.b",
		"I have no hidden idea":                  "!not a code from",
		"https://api-console.zoho.com/hidden":    "!not a code from",
		file[:60]:                                "!not all of it",
		`{"client_secret":"hidden"}`:             "!no `code`",
		strings.Replace(file, "ID", "XX", 1):     "!another client",
		`{"code": {"hidden": 1}}`:                "!not all of it",
		strings.Replace(file, "1000.a.b", "", 1): "!no `code`",
	} {
		code, err := ParseSelfClient(cl, pasted)
		if says, fails := strings.CutPrefix(want, "!"); fails {
			if code != "" || err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%q: %q, %v", pasted, code, err)
			} else if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "1000.") || strings.Contains(err.Error(), "browser") {
				t.Errorf("%q: %v", pasted, err)
			}
		} else if code != want || err != nil {
			t.Errorf("%q: %q, %v", pasted, code, err)
		}
	}
	if cb, err := ParsePasted(file); err == nil || cb.Code != "" || strings.Contains(err.Error(), "hidden") || !strings.Contains(err.Error(), "--self-client") {
		t.Errorf("as the answer of a browser: %+v, %v", cb, err)
	}
}
