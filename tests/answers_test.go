// Whose request it is, in answers that are ours.

package tests

import (
	"net/http"
	"strings"
	"testing"
)

// TestAnswersNameTheConnection: as soon as it is known whose request it is, an answer of ours begins with client and account.
func TestAnswersNameTheConnection(t *testing.T) {
	t.Parallel()
	c, _, _ := startRealNames(t, "us", "answer_token_calls\naccount {http.request.header.Zoho-Proxy-Account}")
	const whole = "client main, account default: "
	for _, test := range []struct{ request, account, code, begins string }{
		{"GET /nosuch/x", "default", "service-unknown", whole},
		{"GET http://www.stranger.example/crm/v8/Leads", "default", "target", whole},
		{"GET http://accounts.zoho.com/oauth/v2/auth", "default", "target", whole},
		{"GET http://www.zohoapis.in/crm/v8/Leads", "default", "data-center", whole},
		{"GET http://sandbox.zohoapis.com/crm/v8/Leads", "default", "data-center", whole},
		{"GET /desk/../crm/v8/Leads", "default", "request-target", whole},
		{"POST /oauth/v2/token?grant_type=password", "default", "token-call", whole},
		{"GET /crm/v8/Leads", "nobody", "no-grant", "client main, account nobody: "},
		{"GET /crm/v8/Leads", "no body", "no-grant", `client main, account "no body": `},
		{"GET /crm/v8/Leads", "", "no-grant", "client main: "},
		{"GET /crm/v8/Leads#x", "default", "request-target", "it has a #"}, // whoever it is for
		{"POST /oauth/v2/token?a=%zz", "default", "token-call", "its parameters"},
	} {
		a := c.send(t, test.request+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nZoho-Proxy-Account: "+test.account+"\r\nConnection: close\r\n\r\n")
		var p struct{ Code, Title, Detail, Message string }
		a.decode(t, &p)
		if p.Code != test.code || !strings.HasPrefix(p.Detail, test.begins) || p.Message != p.Title+": "+p.Detail {
			t.Errorf("%s for %q: %s, want %s %q", test.request, test.account, a.body, test.code, test.begins)
		}
		if a.Header.Get("Zoho-Proxy-Error") != test.code || a.StatusCode == http.StatusOK {
			t.Errorf("%s: %s", test.request, a.Status)
		}
	}
}
