package zohosim_test

import (
	"compress/flate"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

const leadsPath = "/crm/v8/Leads"

func (a *app) fault(f zohosim.Fault) { a.AddFault(f) }

// Faults that are an answer by themselves, at accounts and at a service.
func TestFaultAnswers(t *testing.T) {
	for _, tt := range []struct {
		fault             zohosim.Fault
		status            int
		contentType, body string
	}{
		{zohosim.Fault{Kind: "status"}, 500, "text/html", "<html>…"},
		{zohosim.Fault{Kind: "status", Status: 503, ContentType: "application/json", Body: `{"x":1}`}, 503, "application/json", `{"x":1}`},
		{zohosim.Fault{Kind: "html"}, 200, "text/html", "<!DOCTYPE html>…"},
		{zohosim.Fault{Kind: "html", Status: 502, Body: "<p>"}, 502, "text/html", "<p>"},
		{zohosim.Fault{Kind: "empty"}, 200, "application/json", ""},
		{zohosim.Fault{Kind: "redirect", Body: "https://evil.example/"}, 302, "text/html", ""},
		{zohosim.Fault{Kind: "redirect", Status: 308, Body: "https://evil.example/"}, 308, "text/html", ""},
	} {
		for _, where := range []string{"accounts", "crm"} {
			t.Run(tt.fault.Kind+" at "+where, func(t *testing.T) {
				a := newApp(t, zohosim.Options{})
				refreshToken := a.Grant(clientID, "", "")
				tt.fault.Where, tt.fault.Count = where, 1
				a.fault(tt.fault)
				targets := map[string]string{
					"accounts": usAccounts + "/oauth/v2/token?" + refreshForm(refreshToken).Encode(),
					"crm":      "https://www.zohoapis.com" + leadsPath,
				}
				res := call(a.Server, "POST", targets[where], a.access, "")
				body := bodyOf(t, res)
				beginning, _ := strings.CutSuffix(tt.body, "…")
				if res.StatusCode != tt.status || !strings.HasPrefix(body, beginning) || tt.body == "" && body != "" ||
					!strings.HasPrefix(res.Header.Get("Content-Type"), tt.contentType) {
					t.Errorf("got %d %v %q, want %d %s %q", res.StatusCode, res.Header, body, tt.status,
						tt.contentType, tt.body)
				}
				if tt.fault.Kind == "redirect" && res.Header.Get("Location") != "https://evil.example/" {
					t.Errorf("location: got %q", res.Header.Get("Location"))
				}
				refresh(t, a, refreshToken) // the fault is used up
				a.json(204, "GET", targets["crm"], "")
				st := a.Stats()
				a.want(st.Faults[where+"/"+tt.fault.Kind], 1)
				if where == "accounts" {
					a.want(st.TokenResults["fault:"+tt.fault.Kind], 1)
				}
			})
		}
	}
}

// Faults of the token reply.
func TestTokenFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  zohosim.Fault
		status int
		want   string // contained in the reply; TOKEN stands for a real access token
	}{
		{"throttle", zohosim.Fault{Kind: "throttle"}, 400, throttled},
		{"localized", zohosim.Fault{Kind: "localized"}, 400, `"error":"拒绝访问"`},
		{"error", zohosim.Fault{Kind: "error", Body: "general_error"}, 200, `{"error":"general_error"}`},
		{"error with a status", zohosim.Fault{Kind: "error", Body: "access_denied", Status: 403}, 403, `{"error":"access_denied"}`},
		{"milliseconds", zohosim.Fault{Kind: "expires_in", Body: "3600000"}, 200, `"expires_in":3600000}`},
		{"text", zohosim.Fault{Kind: "expires_in", Body: `"3600"`}, 200, `"expires_in":"3600"}`},
		{"missing", zohosim.Fault{Kind: "expires_in"}, 200, `"token_type":"Bearer"}`},
		{"reply", zohosim.Fault{Kind: "reply", Body: `{"access_token":"{{token}}","access_token":"2","api_domain":"{{api_domain}}"}`}, 200, `"access_token":"2","api_domain":"https://www.zohoapis.com"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t, zohosim.Options{})
			refreshToken := a.Grant(clientID, "", "")
			tt.fault.Where, tt.fault.Count = "accounts", 1
			a.fault(tt.fault)
			do(a, request("GET", usAccounts+"/oauth/serverinfo", "")) // does not use the fault up
			res := do(a, request("POST", usAccounts+"/oauth/v2/token?"+refreshForm(refreshToken).Encode(), ""))
			if body := bodyOf(t, res); res.StatusCode != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("got %d %q, want %d with %q", res.StatusCode, body, tt.status, tt.want)
			}
			refresh(t, a, refreshToken)
		})
	}
}

func TestFaultsAreNarrow(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	crm, desk := "https://www.zohoapis.com"+leadsPath, "https://desk.zoho.com/api/v1/tickets"
	a.fault(zohosim.Fault{Where: "crm", Kind: "status", Path: "/Leads", Method: "GET", Count: 2})
	a.json(204, "GET", desk, "")
	a.json(204, "GET", "https://www.zohoapis.com/crm/v8/Deals", "")
	a.json(200, "DELETE", crm+"/1", "")
	for _, want := range []int{500, 500, 204} {
		wantStatus(t, call(a.Server, "GET", crm, a.access, ""), want)
	}
	a.fault(zohosim.Fault{Where: "*", Kind: "status"})
	a.fault(zohosim.Fault{Where: "desk", Kind: "status", Status: 599})
	wantStatus(t, call(a.Server, "GET", desk, a.access, ""), 500)
	a.ClearFaults("*")
	wantStatus(t, call(a.Server, "GET", crm, a.access, ""), 204)
	wantStatus(t, call(a.Server, "GET", desk, a.access, ""), 599)
	a.ClearFaults("")
	a.json(204, "GET", desk, "")
}

func TestRefuseFault(t *testing.T) {
	a := newApp(t, zohosim.Options{})
	a.fault(zohosim.Fault{Where: "workdrive", Kind: "refuse", Body: "other"})
	res := call(a.Server, "GET", "https://workdrive.zoho.com/api/v1/files/1", a.access, "")
	want{401, `{"errors":[{"id":"R008","title":"Unauthorized access"}]}`}.check(t, res)
	a.want(a.Stats().Refusals["workdrive/other"], 1)
	mustPanic(t, func() { a.fault(zohosim.Fault{Where: "crm", Kind: "refuse", Body: "nonesuch"}) })
}

func TestCompressedRefusals(t *testing.T) {
	for mode, unpack := range map[string]func(io.Reader) io.Reader{
		"":        func(r io.Reader) io.Reader { z, _ := gzip.NewReader(r); return z },
		"gzip":    func(r io.Reader) io.Reader { z, _ := gzip.NewReader(r); return z },
		"deflate": func(r io.Reader) io.Reader { return flate.NewReader(r) },
		"x-odd":   func(r io.Reader) io.Reader { return r },
	} {
		a := newApp(t, zohosim.Options{})
		a.fault(zohosim.Fault{Where: "*", Kind: "gzip", Mode: mode})
		res := call(a.Server, "GET", "https://www.zohoapis.com"+leadsPath, "1000.dead", "")
		encoding := res.Header.Get("Content-Encoding")
		if wantEncoding := map[bool]string{true: "gzip", false: mode}[mode == ""]; encoding != wantEncoding {
			t.Errorf("encoding: got %q, want %q", encoding, wantEncoding)
		}
		plain, err := io.ReadAll(unpack(res.Body))
		if want := a.Refusal("crm", "dead").Body; string(plain) != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", mode, plain, err, want)
		}
		a.json(204, "GET", "https://www.zohoapis.com"+leadsPath, "") // successes are not
	}
}
