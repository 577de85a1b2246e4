package zohosim_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

var tokenShape = regexp.MustCompile(`^1000\.[0-9a-f]{32}\.[0-9a-f]{32}$`)

// Parameters come in the query, as a form or as multipart; the client also by HTTP Basic.
func TestWhereParametersGo(t *testing.T) {
	sim := newSim(zohosim.Options{})
	form := refreshForm(sim.Grant(clientID, "", ""))
	withoutClient := url.Values{"grant_type": form["grant_type"], "refresh_token": form["refresh_token"]}
	const endpoint = usAccounts + "/oauth/v2/token"
	multi, multiType := multipartForm(form)
	basic := request("POST", endpoint, withoutClient.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	basic.SetBasicAuth(clientID, secret)
	for name, r := range map[string]*http.Request{
		"query":         request("POST", endpoint+"?"+form.Encode(), ""),
		"form":          request("POST", endpoint, form.Encode(), "Content-Type", "application/x-www-form-urlencoded"),
		"form, charset": request("POST", endpoint, form.Encode(), "Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),
		"multipart":     request("POST", endpoint, multi, "Content-Type", multiType),
		"basic":         basic,
		"mixed":         request("POST", endpoint+"?client_id="+clientID+"&client_secret="+secret, withoutClient.Encode(), "Content-Type", "application/x-www-form-urlencoded"),
	} {
		t.Run(name, func(t *testing.T) {
			reply := decode(t, bodyOf(t, do(sim, r)))
			if access, _ := reply["access_token"].(string); !tokenShape.MatchString(access) {
				t.Errorf("got %v, want an access token", reply)
			}
		})
	}
	json := request("POST", endpoint, `{"grant_type":"refresh_token"}`, "Content-Type", "application/json")
	wantStatus(t, do(sim, json), 400)
}

func multipartForm(form url.Values) (body, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, values := range form {
		w.WriteField(name, values[0])
	}
	w.Close()
	return b.String(), w.FormDataContentType()
}

func TestTokenReply(t *testing.T) {
	sim := newSim(zohosim.Options{})
	refreshToken := sim.Grant(clientID, "", "", "ZohoCRM.modules.ALL,ZohoCRM.settings.READ", "Desk.tickets.ALL")
	res := do(sim, request("POST", usAccounts+"/oauth/v2/token?"+refreshForm(refreshToken).Encode(), ""))
	body := bodyOf(t, res)
	if strings.Contains(body, "\n") {
		t.Errorf("body: got %q, want one line without newline", body)
	}
	reply := decode(t, body)
	for name, want := range map[string]any{
		"api_domain": "https://www.zohoapis.com", "token_type": "Bearer", "expires_in": 3600.0,
		"scope": "ZohoCRM.modules.ALL ZohoCRM.settings.READ Desk.tickets.ALL", "refresh_token": nil,
	} {
		if reply[name] != want {
			t.Errorf("%s: got %v, want %v", name, reply[name], want)
		}
	}
	if got := res.Header.Get("Content-Type"); got != "application/json;charset=UTF-8" {
		t.Errorf("content type: got %q", got)
	}
	if len(res.Cookies()) == 0 || res.Header.Get("Server") != "ZGS" {
		t.Error("cookies or Server header are missing")
	}
	sim.Change(func(o *zohosim.Options) { o.OmitScope = true })
	if reply := tokenReply(t, sim, usAccounts, refreshForm(refreshToken)); reply["scope"] != nil {
		t.Errorf("scope: got %v, want none", reply["scope"])
	}
}

func TestAPIDomain(t *testing.T) {
	for accounts, want := range map[string]any{
		"https://accounts.zoho.com":     "https://www.zohoapis.com",
		"https://accounts.zoho.eu":      "https://www.zohoapis.eu",
		"https://accounts.zoho.in":      "https://www.zohoapis.in",
		"https://accounts.zoho.com.au":  "https://www.zohoapis.com.au",
		"https://accounts.zoho.jp":      "https://www.zohoapis.jp",
		"https://accounts.zohocloud.ca": "https://www.zohoapis.ca",
		"https://accounts.zoho.sa":      "https://www.zohoapis.sa",
		"https://accounts.zoho.uk":      "https://www.zohoapis.uk",
		"https://accounts.zoho.ae":      "https://www.zohoapis.ae",
		"https://accounts.zoho.sg":      "https://www.zohoapis.sg",
		"https://accounts.zohohq.in":    nil,
		"https://accounts.zoho.com.cn":  "https://www.zohoapis.com.cn",
		"http://127.0.0.1:8900":         "http://127.0.0.1:8900",
		"http://127.0.0.1:8900/iam":     "http://127.0.0.1:8900",
	} {
		sim := newSim(zohosim.Options{})
		var reply map[string]any
		for _, dc := range []string{"us", "eu", "in", "au", "jp", "ca", "sa", "uk", "ae", "sg", "inec", "cn"} {
			if r := tokenReply(t, sim, accounts, refreshForm(sim.Grant(clientID, "", dc))); r["access_token"] != nil {
				reply = r
			}
		}
		if reply == nil || reply["api_domain"] != want {
			t.Errorf("%s: got %v, want api_domain %v", accounts, reply, want)
		}
	}
}

func TestTokenErrors(t *testing.T) {
	sim := newSim(zohosim.Options{})
	sim.AddClient(zohosim.Client{ID: "1000.OTHER", Secret: "other"})
	sim.AddClient(zohosim.Client{ID: "1000.EUONLY", Secret: "eu", DataCenters: []string{"eu"}})
	sim.AddClient(zohosim.Client{ID: "1000.SECRETS", Secret: "home", Secrets: map[string]string{"eu": "europe"}})
	refreshToken := sim.Grant(clientID, "", "")
	revoked := sim.Grant(clientID, "", "")
	sim.Revoke(revoked)
	form := func(id, secret, refreshToken string) url.Values {
		return url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "client_secret": {secret},
			"refresh_token": {refreshToken}}
	}
	const eu = "https://accounts.zoho.eu"
	for _, tt := range []struct {
		name, accounts string
		form           url.Values
		want           string
	}{
		{"unknown client", usAccounts, form("1000.NOBODY", secret, refreshToken), "invalid_client"},
		{"data center not enabled", usAccounts, form("1000.EUONLY", "eu", refreshToken), "invalid_client"},
		{"wrong secret", usAccounts, form(clientID, "wrong", refreshToken), "invalid_client_secret"},
		{"no secret", usAccounts, form(clientID, "", refreshToken), "invalid_client_secret"},
		{"home's secret abroad", eu, form("1000.SECRETS", "home", sim.Grant("1000.SECRETS", "", "eu")), "invalid_client_secret"},
		{"secret of its own abroad", eu, form("1000.SECRETS", "europe", sim.Grant("1000.SECRETS", "", "eu")), ""},
		{"secret of its own at home", usAccounts, form("1000.SECRETS", "home", sim.Grant("1000.SECRETS", "", "")), ""},
		{"unknown refresh token", usAccounts, form(clientID, secret, "1000.no.no"), "invalid_code"},
		{"revoked refresh token", usAccounts, form(clientID, secret, revoked), "invalid_code"},
		{"another client's", usAccounts, form("1000.OTHER", "other", refreshToken), "invalid_code"},
		{"another data center's", eu, form(clientID, secret, refreshToken), "invalid_code"},
		{"unknown grant type", usAccounts, url.Values{"grant_type": {"password"}, "client_id": {clientID}, "client_secret": {secret}}, "invalid_client"},
		{"unknown code", usAccounts, url.Values{"grant_type": {"authorization_code"}, "client_id": {clientID}, "client_secret": {secret}, "code": {"x"}}, "invalid_code"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := do(sim, request("POST", tt.accounts+"/oauth/v2/token?"+tt.form.Encode(), ""))
			body := bodyOf(t, res)
			if res.StatusCode != 200 {
				t.Errorf("status: got %d, want 200", res.StatusCode)
			}
			if tt.want != "" && body != `{"error":"`+tt.want+`"}` {
				t.Errorf("body: got %q, want error %s", body, tt.want)
			}
			if tt.want == "" && !strings.Contains(body, "access_token") {
				t.Errorf("body: got %q, want a token", body)
			}
		})
	}
}

// A wrong method and a missing grant_type are 400 and HTML.
func TestBadTokenRequests(t *testing.T) {
	sim := newSim(zohosim.Options{})
	for _, r := range []*http.Request{
		request("GET", usAccounts+"/oauth/v2/token?grant_type=refresh_token", ""),
		request("POST", usAccounts+"/oauth/v2/token?client_id=x", ""),
		request("POST", usAccounts+"/oauth/v2/token/revoke?token=1000.x.y", ""),
		request("GET", usAccounts+"/oauth/v2/token/revoke?token=1000.x.y", ""),
	} {
		res := do(sim, r)
		if res.StatusCode != 400 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s %s: got %d %s, want 400 and HTML", r.Method, r.URL, res.StatusCode,
				res.Header.Get("Content-Type"))
		}
	}
	wantStatus(t, do(sim, request("GET", usAccounts+"/", "")), 404)
	if got := sim.Stats().TokenRequests; got != 1 { // a GET asks for nothing
		t.Errorf("token requests: got %d, want 1", got)
	}
}

func TestRevoke(t *testing.T) {
	for _, tt := range []struct {
		name string
		what func(refreshToken, access string) *http.Request
		dead bool // the grant as well
	}{
		{"refresh token by query", func(r, a string) *http.Request {
			return request("POST", usAccounts+"/oauth/v2/token/revoke?token="+r, "")
		}, true},
		{"refresh token by form", func(r, a string) *http.Request {
			return request("POST", usAccounts+"/oauth/v2/token/revoke", "token="+r,
				"Content-Type", "application/x-www-form-urlencoded")
		}, true},
		{"access token", func(r, a string) *http.Request {
			return request("POST", usAccounts+"/oauth/v2/token/revoke?token="+a, "")
		}, false},
		{"newer endpoint", func(r, a string) *http.Request {
			req := request("POST", usAccounts+"/oauth/v2/revoke/token", "token_type=refresh_token&token="+r,
				"Content-Type", "application/x-www-form-urlencoded")
			req.SetBasicAuth(clientID, secret)
			return req
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sim := newSim(zohosim.Options{})
			refreshToken := sim.Grant(clientID, "", "")
			access := refresh(t, sim, refreshToken)
			res := do(sim, tt.what(refreshToken, access))
			if body := bodyOf(t, res); res.StatusCode != 200 || body != `{"status":"success"}` {
				t.Fatalf("got %d %q, want success", res.StatusCode, body)
			}
			wantStatus(t, call(sim, "GET", "https://www.zohoapis.com/crm/v8/Leads", access, ""), 401)
			got := tokenReply(t, sim, usAccounts, refreshForm(refreshToken))["error"]
			if want := map[bool]any{true: "invalid_code", false: nil}[tt.dead]; got != want {
				t.Errorf("refresh afterwards: got error %v, want %v", got, want)
			}
		})
	}
	sim := newSim(zohosim.Options{})
	refreshToken := sim.Grant(clientID, "", "")
	res := do(sim, request("POST", usAccounts+"/oauth/v2/revoke/token?token="+refreshToken, ""))
	if body := bodyOf(t, res); body != `{"error":"invalid_client"}` {
		t.Errorf("newer endpoint without credentials: got %q", body)
	}
	elsewhere := request("POST", "https://accounts.zoho.eu/oauth/v2/token/revoke?token="+refreshToken, "")
	wantStatus(t, do(sim, elsewhere), 400)
	if got := sim.Stats().Revocations; got != 2 {
		t.Errorf("revocations: got %d, want 2", got)
	}
}

func TestServerInfo(t *testing.T) {
	sim := newSim(zohosim.Options{})
	info := decode(t, bodyOf(t, do(sim, request("GET", usAccounts+"/oauth/serverinfo", ""))))
	locations, _ := info["locations"].(map[string]any)
	if info["result"] != "success" || len(locations) != 11 || locations["inec"] != "https://accounts.zohohq.in" ||
		locations["cn"] != nil {
		t.Errorf("got %v, want eleven locations, without China", info)
	}
	info = decode(t, bodyOf(t, do(sim, request("GET", "http://127.0.0.1:1/oauth/serverinfo", ""))))
	if got := at(info, "locations", "us"); got != "http://127.0.0.1:1" {
		t.Errorf("one origin: got %v", got)
	}
}

func TestUserInfo(t *testing.T) {
	sim := newSim(zohosim.Options{})
	access := sim.AccessToken(sim.Grant(clientID, "ann@example.com", "", "aaaserver.profile.read"))
	info := decode(t, bodyOf(t, call(sim, "GET", usAccounts+"/oauth/user/info", access, "")))
	if info["Email"] != "ann@example.com" || info["ZUID"] == nil {
		t.Errorf("got %v, want ann", info)
	}
	access = sim.AccessToken(sim.Grant(clientID, "", "", "ZohoCRM.modules.ALL"))
	wantStatus(t, call(sim, "GET", usAccounts+"/oauth/user/info", access, ""), 401)
}

func TestClientCredentials(t *testing.T) {
	sim := newSim(zohosim.Options{})
	sim.AddClient(zohosim.Client{ID: "1000.SERVER", Secret: "s"})
	ask := func(id, secret, scope string) map[string]any {
		return tokenReply(t, sim, usAccounts, url.Values{"grant_type": {"client_credentials"}, "client_id": {id},
			"client_secret": {secret}, "scope": {scope}})
	}
	reply := ask(clientID, secret, "ZohoCRM.modules.READ")
	if reply["refresh_token"] != nil || reply["scope"] != "ZohoCRM.modules.READ" {
		t.Errorf("self client: got %v", reply)
	}
	wantStatus(t, call(sim, "GET", "https://www.zohoapis.com/crm/v8/Leads", reply["access_token"].(string), ""), 204)
	if reply := ask("1000.SERVER", "s", "ZohoCRM.modules.READ"); reply["error"] != "invalid_client" {
		t.Errorf("server client: got %v", reply)
	}
	if st := sim.Stats(); st.Grants != 0 || st.LiveTokens != 1 {
		t.Errorf("got %d grants and %d live tokens, want 0 and 1", st.Grants, st.LiveTokens)
	}
}

// Portals and on-premises servers speak the same protocol elsewhere.
func TestOtherAccountsPaths(t *testing.T) {
	sim := newSim(zohosim.Options{})
	form := refreshForm(sim.Grant(clientID, "", "")).Encode()
	for _, path := range []string{"/iam/oauth/v2/token", "/clientoauth/v2/portal/token"} {
		reply := decode(t, bodyOf(t, do(sim, request("POST", "http://localhost"+path+"?"+form, ""))))
		if reply["access_token"] == nil {
			t.Errorf("%s: got %v, want a token", path, reply)
		}
	}
	wantStatus(t, do(sim, request("POST", "http://localhost/clientoauth/v2/portal/nonesuch", "")), 404)
}

// TestCredentialsOfAClient: what a self client is refused without consent, and that all it asks for is
// counted together.
func TestCredentialsOfAClient(t *testing.T) {
	sim := newSim(zohosim.Options{})
	sim.AddClient(zohosim.Client{ID: "1000.SELF", Secret: "s", SelfClient: true, Orgs: []string{"600", "700"}})
	ask := func(scope, soid string) map[string]any {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"1000.SELF"}, "client_secret": {"s"}}
		for name, value := range map[string]string{"scope": scope, "soid": soid} {
			if value != "" {
				form.Set(name, value)
			}
		}
		return tokenReply(t, sim, usAccounts, form)
	}
	for _, test := range []struct{ scope, soid, wrong string }{
		{"", "", "invalid_scope"},
		{"ZohoCRM.modules.READ ZohoCRM.users.READ", "ZohoCRM.600", "invalid_scope"},
		{"ZohoCMR.modules.READ", "ZohoCRM.600", "invalid_scope"},
		{"ZohoCRM.modules.READ", "", "missing_org_info"},
		{"ZohoCRM.modules.READ", "600", "invalid_soid"},
		{"ZohoCRM.modules.READ", "ZohoCMR.600", "invalid_soid"},
		{"ZohoCRM.modules.READ", "ZohoCRM.800", "invalid_org"},
		{"Desk.tickets.READ", "ZohoDesk.600", "missing_org_info"},
	} {
		if reply := ask(test.scope, test.soid); reply["error"] != test.wrong {
			t.Errorf("%s %s: got %v, want %s", test.scope, test.soid, reply, test.wrong)
		}
	}
	if reply := ask("ZohoCliq.Channels.ALL", ""); reply["access_token"] == nil {
		t.Errorf("Cliq: got %v", reply)
	}
	for i := range 9 {
		reply := ask("ZohoCRM.modules.READ,ZohoBooks.fullaccess.all", "ZohoCRM."+[]string{"600", "700"}[i%2])
		if reply["access_token"] == nil || reply["scope"] != "ZohoCRM.modules.READ ZohoBooks.fullaccess.all" {
			t.Fatalf("call %d: %v", i, reply)
		}
	}
	if reply := ask("ZohoCRM.modules.READ", "ZohoCRM.600"); reply["error"] != "Access Denied" {
		t.Errorf("the eleventh: got %v", reply)
	}
	if st := sim.Stats(); st.Mints != 19 || st.TokenResults["ok"] != 10 {
		t.Errorf("got %d and %v", st.Mints, st.TokenResults)
	}
}
