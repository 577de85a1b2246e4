package zoho_test

import (
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// mustDC finds a data center; "custom" is one on this machine.
func mustDC(t testing.TB, code string) zoho.DataCenter {
	t.Helper()
	if code == "custom" {
		dc, err := zoho.CustomDataCenter("https://accounts.example.com/iam", "http://127.0.0.1:9090")
		if err != nil {
			t.Fatal(err)
		}
		return dc
	}
	dc, ok := zoho.LookupDataCenter(code)
	if !ok {
		t.Fatalf("no data center %s", code)
	}
	return dc
}

// TestDataCenterTable repeats the facts, so that a slip in the table shows.
func TestDataCenterTable(t *testing.T) {
	want := []struct{ code, accounts, api, suffix string }{
		{"us", "accounts.zoho.com", "www.zohoapis.com", "zoho.com"},
		{"eu", "accounts.zoho.eu", "www.zohoapis.eu", "zoho.eu"},
		{"in", "accounts.zoho.in", "www.zohoapis.in", "zoho.in"},
		{"au", "accounts.zoho.com.au", "www.zohoapis.com.au", "zoho.com.au"},
		{"jp", "accounts.zoho.jp", "www.zohoapis.jp", "zoho.jp"},
		{"ca", "accounts.zohocloud.ca", "www.zohoapis.ca", "zohocloud.ca"},
		{"sa", "accounts.zoho.sa", "www.zohoapis.sa", "zoho.sa"},
		{"uk", "accounts.zoho.uk", "www.zohoapis.uk", "zoho.uk"},
		{"ae", "accounts.zoho.ae", "www.zohoapis.ae", "zoho.ae"},
		{"sg", "accounts.zoho.sg", "www.zohoapis.sg", "zoho.sg"},
		{"inec", "accounts.zohohq.in", "", "zohohq.in"},
		{"cn", "accounts.zoho.com.cn", "www.zohoapis.com.cn", "zoho.com.cn"},
	}
	all := zoho.DataCenters()
	if len(all) != len(want) {
		t.Fatalf("got %d data centers, want %d", len(all), len(want))
	}
	for i, w := range want {
		dc := all[i]
		if dc.Code != w.code || dc.Accounts != "https://"+w.accounts ||
			strings.TrimPrefix(dc.API, "https://") != w.api || dc.Suffix != w.suffix || dc.Custom {
			t.Errorf("got %+v, want %+v", dc, w)
		}
		if found, ok := zoho.LookupDataCenter(w.code); !ok || found != dc {
			t.Errorf("look-up of %s: got %v", w.code, found)
		}
		if found, ok := zoho.LookupAccountsServer(dc.Accounts); !ok || found != dc {
			t.Errorf("look-up of %s: got %v", dc.Accounts, found)
		}
		if dc.TokenURL() != dc.Accounts+"/oauth/v2/token" || dc.AuthURL() != dc.Accounts+"/oauth/v2/auth" ||
			dc.RevokeURL() != dc.Accounts+"/oauth/v2/token/revoke" {
			t.Errorf("%s: got %s, %s, %s", w.code, dc.TokenURL(), dc.AuthURL(), dc.RevokeURL())
		}
		if dc.Isolated() != (w.code == "cn") {
			t.Errorf("%s: isolated %v", w.code, dc.Isolated())
		}
	}
	all[0].Accounts = "https://evil.example"
	if zoho.DataCenters()[0].Accounts != "https://accounts.zoho.com" {
		t.Error("DataCenters hands out the table itself")
	}
	for _, code := range []string{"", "US", "com", "custom", "us "} {
		if dc, ok := zoho.LookupDataCenter(code); ok {
			t.Errorf("%q: got %v", code, dc)
		}
	}
}

// TestLookupAccountsServer: only a table entry may be sent the secret.
func TestLookupAccountsServer(t *testing.T) {
	for _, s := range []string{"https://accounts.zoho.com/", "HTTPS://Accounts.Zoho.COM"} {
		if dc, ok := zoho.LookupAccountsServer(s); !ok || dc.Code != "us" {
			t.Errorf("%q: got %v, %v", s, dc, ok)
		}
	}
	for _, s := range []string{
		"", "https://", "accounts.zoho.com", "http://accounts.zoho.com", "https://evil.tld", "https://accounts.zoho.com.evil.tld",
		"https://accounts.zoho.com@evil.tld", "https://u@accounts.zoho.com", "https://accounts.zoho.com:444", "https://accounts.zoho.com:443",
		"https://accounts.zoho.com.", "https://accounts.zoho.com/x", "https://accounts.zoho.com//", "https://accounts.zoho.com?x", "https://accounts.zoho.com#",
		"https://accounts.zoho.com%00", "https://accounts.zoho.com\r\n", "https://accounts.zoho.ca", " https://accounts.zoho.com", "https:/accounts.zoho.com", "https://account\u017f.zoho.com",
	} {
		if dc, ok := zoho.LookupAccountsServer(s); ok {
			t.Errorf("%q: got %v", s, dc)
		}
	}
}

func TestCustomDataCenter(t *testing.T) {
	tests := []struct{ accounts, api, token, wantAPI string }{
		{"https://accounts.example.com", "https://api.example.com", "https://accounts.example.com/oauth/v2/token", "https://api.example.com"},
		{"https://Accounts.Example.com:443/", "https://API.example.com:443/", "https://accounts.example.com/oauth/v2/token", "https://api.example.com"},
		{"https://host:8443/iam/", "https://host:8443", "https://host:8443/iam/oauth/v2/token", "https://host:8443"},
		{"https://host/oauth/v2", "https://host", "https://host/oauth/v2/token", "https://host"},
		{"https://host/oauth/v10/", "https://host", "https://host/oauth/v10/token", "https://host"},
		{"https://host/oauth/v2x", "https://host", "https://host/oauth/v2x/oauth/v2/token", "https://host"},
		{"https://host/vendor", "https://host", "https://host/vendor/oauth/v2/token", "https://host"},
		{"https://sol.zohoplatform.com/clientoauth/v2/portal", "https://sol.zohoplatform.com", "https://sol.zohoplatform.com/clientoauth/v2/portal/token", "https://sol.zohoplatform.com"},
		{"http://localhost:9000", "http://127.0.0.1:80", "http://localhost:9000/oauth/v2/token", "http://127.0.0.1"},
		{"http://[::1]:9000", "http://[::1]:80", "http://[::1]:9000/oauth/v2/token", "http://[::1]"},
		{"http://127.8.9.1", "http://LOCALHOST", "http://127.8.9.1/oauth/v2/token", "http://localhost"},
	}
	for _, test := range tests {
		dc, err := zoho.CustomDataCenter(test.accounts, test.api)
		if err != nil {
			t.Errorf("%s: %v", test.accounts, err)
			continue
		}
		if dc.TokenURL() != test.token || dc.API != test.wantAPI || dc.Code != "custom" || !dc.Custom ||
			dc.Suffix != "" {
			t.Errorf("%s: got %s and %+v", test.accounts, dc.TokenURL(), dc)
		}
		if dc.RevokeURL() != test.token+"/revoke" || dc.AuthURL() != strings.TrimSuffix(test.token, "token")+"auth" {
			t.Errorf("got %s, %s", dc.RevokeURL(), dc.AuthURL())
		}
	}
}

func TestCustomDataCenterRefused(t *testing.T) {
	const good = "https://host.example"
	tests := []struct{ url, says string }{
		{"", "not absolute"},
		{"host.example", "not absolute"},
		{"//host.example", "not absolute"},
		{"https://", "not absolute"},
		{"https:host.example", "not absolute"},
		{"https://:443", "no usable host"},
		{"https://host.example.", "no usable host"},
		{"https://...", "no usable host"},
		{"ftp://host.example", "must be https"},
		{"http://host.example", "plain http"},
		{"http://10.0.0.1", "plain http"},
		{"http://localhost.example", "plain http"},
		{"http://0.0.0.0", "plain http"},
		{"http://localho\u017ft", "plain http"},
		{"https://u:p4ssw0rd@host.example", "user name"},
		{"https://host.example?x=1", "query"},
		{"https://host.example?", "query"},
		{"https://host.example#x", "fragment"},
		{"https://host.example#", "fragment"},
		{"https://host.example:port", "not a URL"},
		{"https://ho st.example", "not a URL"},
		{"https://host.example/\x7f", "not a URL"},
	}
	for _, test := range tests {
		for _, urls := range [][2]string{{test.url, good}, {good, test.url}} {
			dc, err := zoho.CustomDataCenter(urls[0], urls[1])
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q: got %v, %v, want an error with %q", test.url, dc, err, test.says)
				continue
			}
			what := "accounts URL"
			if urls[0] == good {
				what = "API URL"
			}
			if !strings.HasPrefix(err.Error(), what) || strings.Contains(err.Error(), "p4ssw0rd") {
				t.Errorf("got %v, want it to name the %s and no password", err, what)
			}
			checkError(t, err)
		}
	}
	if _, err := zoho.CustomDataCenter(good, good+"/crm"); err == nil ||
		!strings.Contains(err.Error(), "https://host.example") {
		t.Errorf("API URL with a path: got %v", err)
	}
}

func TestOriginTarget(t *testing.T) {
	got, err := zoho.OriginTarget("https://API.example.com:443/")
	if want := (zoho.Target{Scheme: "https", Host: "api.example.com"}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, s := range []string{"", "api.example.com", "http://api.example.com", "https://api.example.com/crm",
		"https://u:p4ssw0rd@api.example.com"} {
		got, err := zoho.OriginTarget(s)
		if err == nil || got != (zoho.Target{}) || !strings.HasPrefix(err.Error(), "origin") ||
			strings.Contains(err.Error(), "p4ssw0rd") {
			t.Errorf("%q: got %+v, %v", s, got, err)
		}
	}
}

func TestOwnsAPIDomain(t *testing.T) {
	tests := []struct {
		code, domain string
		want         bool
	}{
		{"eu", "https://www.zohoapis.eu", true},
		{"eu", "https://www.zohoapis.eu/", true},
		{"eu", "HTTPS://WWW.zohoapis.EU:443", true},
		{"eu", "https://sandbox.zohoapis.eu", true},
		{"eu", "https://developer.zohoapis.eu", true},
		{"ca", "https://www.zohoapis.ca", true},
		{"custom", "http://127.0.0.1:9090", true},
		{"custom", "http://127.0.0.1:9090/", true},
		{"eu", "https://www.zohoapis.com", false},
		{"eu", "https://sandbox.zohoapis.in", false},
		{"eu", "http://www.zohoapis.eu", false},
		{"eu", "https://api.zoho.eu", false},
		{"eu", "https://zohoapis.eu", true}, // www left out
		{"eu", "https://zohoapis.com", false},
		{"eu", "https://evil.zohoapis.eu", false},
		{"eu", "https://www.zohoapis.eu.evil.tld", false},
		{"eu", "https://www.zohoapis.eu@evil.tld", false},
		{"eu", "https://www.zohoapis.eu:444", false},
		{"eu", "https://www.zohoapis.eu.", false},
		{"eu", "https://www.zohoapis.eu/crm", false},
		{"eu", "https://www.zohoapis.eu?x", false},
		{"eu", "www.zohoapis.eu", false},
		{"eu", "https://www.zohoapi\u017f.eu", false},
		{"eu", "", false},
		{"inec", "https://www.zohoapis.in", false},
		{"inec", "https://", false},
		{"custom", "https://www.zohoapis.com", false},
		{"custom", "http://127.0.0.1:9091", false},
		{"custom", "", false},
	}
	for _, test := range tests {
		if got := mustDC(t, test.code).OwnsAPIDomain(test.domain); got != test.want {
			t.Errorf("%s, %q: got %v, want %v", test.code, test.domain, got, test.want)
		}
	}
	if (zoho.DataCenter{}).OwnsAPIDomain("https://www.zohoapis.com") {
		t.Error("the zero data center owns a domain")
	}
}

func TestNearestDataCenter(t *testing.T) {
	tests := map[string]string{
		"ue": "eu", "su": "us", "zoho.ca": "ca", "accounts.zoho.ca": "ca", "https://accounts.zoho.ca/": "ca", "CA": "ca", "Canada": "ca", "zohoapis.ca": "ca", "zohocloud.ca": "ca",
		"com": "us", "usa": "us", "US": "us", "zoho.com": "us", ".com": "us", "https://www.zohoapis.com": "us", "United States": "us",
		"gb": "uk", "co.uk": "uk", "zoho.co.uk": "uk", "uk": "uk",
		"europe": "eu", "eu ": "eu", "crm.zoho.eu": "eu", "com.au": "au", "zoho.com.au": "au", "austalia": "",
		"india": "in", "zohohq.in": "inec", "ince": "inec", "zoho.com.cn": "cn", "china": "cn", "uae": "ae",
		"": "", "xx": "", "zz": "", "mars": "", "https://": "", strings.Repeat("x", 1000): "",
	}
	for s, want := range tests {
		if got := zoho.NearestDataCenter(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

func TestUnknownDataCenter(t *testing.T) {
	tests := map[string]string{
		"zoho.ca":          `unknown data center "zoho.ca": did you mean "ca"? (Canada is ca at accounts.zohocloud.ca)`,
		"accounts.zoho.ca": `unknown data center "accounts.zoho.ca": did you mean "ca"? (Canada is ca at accounts.zohocloud.ca)`,
		"gb":               `unknown data center "gb": did you mean "uk"? (uk at accounts.zoho.uk)`,
		"usa":              `unknown data center "usa": did you mean "us"? (us at accounts.zoho.com)`,
		"'us'":             `unknown data center "'us'": did you mean "us"? (us at accounts.zoho.com)`,
		"us,eu": "\"us,eu\" names several data centers: write one, as in `data_center us`; only a client that serves accounts of several " +
			"lists them, its home first, with spaces and no commas: `data_center us eu`",
		"EU; usa": "\"EU; usa\" names several data centers: write one, as in `data_center eu`; only a client that serves accounts of several " +
			"lists them, its home first, with spaces and no commas: `data_center eu us`",
		"us,mars": `unknown data center "mars": use one of us, eu, in, au, jp, ca, sa, uk, ae, sg, inec, cn, or two URLs, of accounts server and API`,
		"mars":    `unknown data center "mars": use one of us, eu, in, au, jp, ca, sa, uk, ae, sg, inec, cn, or two URLs, of accounts server and API`,
	}
	for s, want := range tests {
		if got := zoho.UnknownDataCenter(s).Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	checkError(t, zoho.UnknownDataCenter("\x1b\n"+clientSecret))
}
