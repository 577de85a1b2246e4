package zoho_test

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// irregular are the services whose hosts do not end in the data center's suffix, or are not everywhere.
var irregular = map[string]map[string]string{
	"payments":        {"us": "payments.zoho.com", "in": "payments.zoho.in"},
	"paymentssandbox": {"in": "paymentssandbox.zoho.in"},
	"servicedeskplus": {
		"us": "sdpondemand.manageengine.com", "eu": "sdpondemand.manageengine.eu", "in": "sdpondemand.manageengine.in", "cn": "servicedeskplus.cn",
		"au": "servicedeskplus.net.au", "jp": "servicedeskplus.jp", "ca": "servicedeskplus.ca", "uk": "servicedeskplus.uk", "sa": "servicedeskplus.sa",
	},
	"endpointcentral": {
		"us": "endpointcentral.manageengine.com", "eu": "endpointcentral.manageengine.eu", "in": "endpointcentral.manageengine.in",
		"au": "endpointcentral.manageengine.com.au", "cn": "endpointcentral.manageengine.cn", "jp": "endpointcentral.manageengine.jp",
	},
	"mdm": {"us": "mdm.manageengine.com"},
	"site24x7": {
		"us": "www.site24x7.com", "eu": "www.site24x7.eu", "cn": "www.site24x7.cn", "in": "www.site24x7.in", "au": "www.site24x7.net.au",
		"ca": "www.site24x7.ca", "sa": "www.site24x7.sa", "jp": "app.site24x7.jp", "uk": "app.site24x7.uk", "ae": "app.site24x7.ae",
	},
}

func TestServiceTable(t *testing.T) {
	gateway := "bigin billing bookings books commerce creator crm erp expense fsm inventory invoice phonebridge social workdrive writer"
	own := map[string]string{
		"analytics": "analyticsapi", "assist": "assist", "bugtracker": "bugtracker", "calendar": "calendar", "campaigns": "campaigns",
		"catalyst": "api.catalyst", "cliq": "cliq", "connect": "connect", "contacts": "contacts", "contracts": "contracts", "desk": "desk",
		"learn": "learn", "lens": "lens", "mail": "mail", "marketingautomation": "marketingautomation",
		"meeting": "meeting", "people": "people", "profile": "accounts", "projects": "projectsapi", "recruit": "recruit", "salesiq": "salesiq",
		"sheet": "sheet", "shifts": "shifts", "sign": "sign", "sprints": "sprintsapi", "survey": "survey", "tables": "tables",
		"vault": "vault", "voice": "voice", "webinar": "webinar", "workerly": "www.workerly",
	}
	for name := range irregular {
		own[name] = ""
	}
	names := strings.Fields(gateway)
	for _, name := range names {
		if s, ok := zoho.LookupService(name); !ok || !s.Gateway || s.Name != name || s.Host == "" {
			t.Errorf("%s: got %+v, %v", name, s, ok)
		}
	}
	for name, host := range own {
		if s, ok := zoho.LookupService(name); !ok || s.Gateway || s.Name != name || s.Host != host {
			t.Errorf("%s: got %+v, %v", name, s, ok)
		}
	}
	for _, name := range []string{"backstage", "payroll"} {
		if s, ok := zoho.LookupService(name); !ok || !s.Gateway || s.Host != "" {
			t.Errorf("%s, at the gateway alone: got %+v, %v", name, s, ok)
		}
		names = append(names, name)
	}
	all := zoho.Services()
	if len(all) != len(names)+len(own) {
		t.Errorf("got %d services, want %d", len(all), len(names)+len(own))
	}
	for i := 1; i < len(all); i++ {
		if all[i-1].Name >= all[i].Name {
			t.Errorf("%s stands before %s", all[i-1].Name, all[i].Name)
		}
	}
	all[0].Name = "evil"
	if zoho.Services()[0].Name == "evil" {
		t.Error("Services hands out the table itself")
	}
	if _, ok := zoho.LookupService("CRM"); ok {
		t.Error("names are case-sensitive")
	}
}

func TestServiceNames(t *testing.T) {
	names := zoho.ServiceNames()
	if len(names) != len(zoho.Services()) || !slices.IsSorted(names) {
		t.Errorf("got %q, want the name of each service, sorted", names)
	}
	for _, name := range names {
		if _, ok := zoho.LookupService(name); !ok {
			t.Errorf("there is no service %q", name)
		}
	}
	names[0] = "evil"
	if zoho.ServiceNames()[0] == "evil" {
		t.Error("the caller's slice is the package's own")
	}
}

func TestRoutePath(t *testing.T) {
	tests := []struct{ code, path, host, service, rest string }{
		{"us", "/crm/v8/Leads", "www.zohoapis.com", "crm", "/crm/v8/Leads"},
		{"eu", "/crm/v8/Leads", "www.zohoapis.eu", "crm", "/crm/v8/Leads"},
		{"ca", "/books/v3/invoices", "www.zohoapis.ca", "books", "/books/v3/invoices"},
		{"eu", "/crm", "www.zohoapis.eu", "crm", "/crm"},
		{"eu", "/crm?x=1", "www.zohoapis.eu", "crm", "/crm?x=1"},
		{"eu", "/crm/", "www.zohoapis.eu", "crm", "/crm/"},
		{"eu", "/workdrive/api/v1/files", "www.zohoapis.eu", "workdrive", "/workdrive/api/v1/files"},
		{"eu", "/desk/api/v1/tickets", "desk.zoho.eu", "desk", "/api/v1/tickets"},
		{"ca", "/desk/api/v1/tickets", "desk.zohocloud.ca", "desk", "/api/v1/tickets"},
		{"eu", "/desk", "desk.zoho.eu", "desk", ""},
		{"eu", "/desk/", "desk.zoho.eu", "desk", "/"},
		{"eu", "/desk//evil.tld/x", "desk.zoho.eu", "desk", "//evil.tld/x"},
		{"us", "/people/people/api/forms", "people.zoho.com", "people", "/people/api/forms"},
		{"us", "/recruit/recruit/v2/Candidates", "recruit.zoho.com", "recruit", "/recruit/v2/Candidates"},
		{"us", "/projects/api/v3/portals", "projectsapi.zoho.com", "projects", "/api/v3/portals"},
		{"jp", "/analytics/restapi/v2/orgs", "analyticsapi.zoho.jp", "analytics", "/restapi/v2/orgs"},
		{"in", "/catalyst/baas/v1/project", "api.catalyst.zoho.in", "catalyst", "/baas/v1/project"},
		{"inec", "/mail/api/accounts", "mail.zohohq.in", "mail", "/api/accounts"},
		{"cn", "/cliq/api/v2/channels", "cliq.zoho.com.cn", "cliq", "/api/v2/channels"},
		{"eu", "/commerce/v1/products", "www.zohoapis.eu", "commerce", "/commerce/v1/products"},
		{"eu", "/commerce/store/api/v1/products", "commerce.zoho.eu", "commerce", "/store/api/v1/products"},
		{"eu", "/commerce/zs-site/api/v1/index", "commerce.zoho.eu", "commerce", "/zs-site/api/v1/index"},
		{"eu", "/commerce/storex", "www.zohoapis.eu", "commerce", "/commerce/storex"},
		{"eu", "/fsm/v1/Work_Orders", "www.zohoapis.eu", "fsm", "/fsm/v1/Work_Orders"},
		{"eu", "/social/social/v2/brands", "social.zoho.eu", "social", "/social/v2/brands"},
		{"in", "/payments/api/v1/paymentlinks", "payments.zoho.in", "payments", "/api/v1/paymentlinks"},
		{"uk", "/site24x7/api/monitors", "app.site24x7.uk", "site24x7", "/api/monitors"},
		{"sa", "/servicedeskplus/app/it/api/v3/requests", "servicedeskplus.sa", "servicedeskplus", "/app/it/api/v3/requests"},
		// dot segments, escapes and the like choose nothing
		{"eu", "/crm/../desk/api", "www.zohoapis.eu", "crm", "/crm/../desk/api"},
		{"eu", "/desk/../crm", "desk.zoho.eu", "desk", "/../crm"},
		{"eu", "/crm/%2e%2e/%2fdesk", "www.zohoapis.eu", "crm", "/crm/%2e%2e/%2fdesk"},
		{"eu", "/crm//www.evil.tld", "www.zohoapis.eu", "crm", "/crm//www.evil.tld"},
		{"custom", "/crm/v8/Leads", "127.0.0.1:9090", "crm", "/crm/v8/Leads"},
		{"custom", "/desk/api/v1/tickets", "127.0.0.1:9090", "desk", "/desk/api/v1/tickets"},
	}
	for _, test := range tests {
		t.Run(test.code+test.path, func(t *testing.T) {
			got, err := mustDC(t, test.code).RoutePath(test.path, zoho.RouteOptions{})
			want := zoho.Target{Service: test.service, Scheme: "https", Host: test.host,
				Strip: len(test.path) - len(test.rest)}
			if test.code == "custom" {
				want.Scheme = "http"
			}
			if err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
			if s := zoho.ServiceOfPath(test.path); s != test.service {
				t.Errorf("service of path: got %q, want %q", s, test.service)
			}
		})
	}
}

func TestRoutePathRefused(t *testing.T) {
	tests := []struct{ code, path, says string }{
		{"eu", "", "names no service"}, {"eu", "/", "names no service"}, {"eu", "//crm/v8", "names no service"}, {"eu", "*", "names no service"}, {"eu", "crm/v8", "names no service"},
		{"eu", "/CRM/v8", "did you mean crm?"}, {"eu", "/crmm/v8", "did you mean crm?"}, {"eu", "/subscriptions/v1", "did you mean billing?"},
		{"eu", "/%63rm/v8", "no such service"}, {"eu", "/crm;x=1/v8", "no such service"}, {"eu", "/crm%2fv8", "no such service"}, {"eu", "/./crm/v8", "no such service"},
		{"eu", "/unheard-of/v2", "no such service"}, {"eu", "/oauth/v2/token", "no such service"}, {"eu", "/crm\\v8", "no such service"},
		{"eu", "/" + accessToken, "[masked]"}, {"eu", "/" + strings.Repeat("a", 4000), "no such service"}, {"eu", "/\x1b[2J\n", "no such service"},
		{"inec", "/crm/v8", "no known API gateway"},
	}
	for _, test := range tests {
		got, err := mustDC(t, test.code).RoutePath(test.path, zoho.RouteOptions{})
		if !errors.Is(err, zoho.ErrServiceUnknown) || got != (zoho.Target{}) ||
			!strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: got %+v, %v, want an error with %q", test.path, got, err, test.says)
			continue
		}
		checkError(t, err)
	}
	if _, err := (zoho.DataCenter{}).RoutePath("/crm/v8", zoho.RouteOptions{}); !errors.Is(err, zoho.ErrDataCenter) {
		t.Errorf("zero data center: got %v", err)
	}
	if s := zoho.ServiceOfPath("/nothing/x"); s != "" {
		t.Errorf("service of path: got %q", s)
	}
}

func TestRouteHost(t *testing.T) {
	tests := []struct{ code, host, path, want, service string }{
		{"eu", "www.zohoapis.com", "/crm/v8/Leads", "www.zohoapis.eu", "crm"},
		{"eu", "WWW.ZohoApis.COM:443", "/crm/v8/Leads", "www.zohoapis.eu", "crm"},
		{"eu", "www.zohoapis.eu:80", "/books/v3", "www.zohoapis.eu", "books"},
		{"ca", "www.zohoapis.com", "/crm/v8", "www.zohoapis.ca", "crm"},
		{"eu", "desk.zoho.com", "/api/v1/tickets", "desk.zoho.eu", "desk"},
		{"ca", "desk.zoho.com", "/api/v1/tickets", "desk.zohocloud.ca", "desk"},
		{"eu", "Desk.Zoho.EU", "/desk/api", "desk.zoho.eu", "desk"},
		{"au", "projects.zoho.com", "/restapi/portals/", "projects.zoho.com.au", "projects"},
		{"au", "projectsapi.zoho.com", "/api/v3/portals", "projectsapi.zoho.com.au", "projects"},
		{"in", "books.zoho.com", "/api/v3/invoices", "books.zoho.in", "books"},
		{"in", "subscriptions.zoho.com", "/api/v1/plans", "subscriptions.zoho.in", "billing"},
		{"in", "crm.zoho.com", "/crm/v2/Leads", "crm.zoho.in", "crm"},
		{"inec", "people.zoho.com", "/people/api/forms", "people.zohohq.in", "people"},
		{"jp", "api.catalyst.zoho.com", "/baas/v1/project", "api.catalyst.zoho.jp", "catalyst"},
		// files
		{"eu", "content.zohoapis.com", "/crm/v8/upload", "content.zohoapis.eu", "crm"},
		{"ca", "content.zohoapis.com", "/crm/v8/upload", "upload.zohocloud.ca", "crm"},
		{"sa", "content.zohoapis.com", "/bigin/v2/upload", "files.zoho.sa", "bigin"},
		{"ca", "upload.zohocloud.ca", "/crm/v8/upload", "upload.zohocloud.ca", "crm"},
		{"ca", "upload.zohocloud.ca", "/workdrive-api/v1/stream/upload", "upload.zohocloud.ca", "workdrive"},
		{"ca", "upload.zoho.com", "/workdrive-api/v1/stream/upload", "upload.zohocloud.ca", "workdrive"},
		{"eu", "upload.zoho.com", "/anything", "upload.zoho.eu", "workdrive"},
		{"eu", "download.zoho.com", "/v1/workdrive/download/x", "download.zoho.eu", "workdrive"},
		{"ae", "download.zoho.com", "/v1/workdrive/download/x", "files.zoho.ae", "workdrive"},
		{"sa", "download.zoho.com", "/v1/workdrive/download/x", "files.zoho.sa", "workdrive"},
		{"sa", "files.zoho.sa", "/v1/workdrive/download/x", "files.zoho.sa", "workdrive"},
		{"sa", "files.zoho.sa", "/crm/v8/upload", "files.zoho.sa", "crm"},
		{"us", "download-accl.zoho.com", "/v2/crm/1000/bulk-write/2000/2000.zip", "download-accl.zoho.com", "crm"},
		{"eu", "download-accl.zoho.com", "/v2/crm/1000/backup/3000/Data_001.zip", "download-accl.zoho.eu", "crm"},
		{"ca", "download-accl.zohocloud.ca", "/v1/workdrive/download/x", "download-accl.zohocloud.ca", "workdrive"},
		{"sa", "download-accl.zoho.com", "/v1/workdrive/download/x", "download-accl.zoho.sa", "workdrive"},
		{"inec", "download-accl.zoho.com", "/v2/meeting/x", "download-accl.zohohq.in", "meeting"},
		{"eu", "download-accl.zoho.com", "/anything", "download-accl.zoho.eu", "workdrive"},
		{"eu", "download.zoho.com", "/v2/crm/1000/x.zip", "download.zoho.eu", "crm"},
		{"sa", "files.zoho.sa", "/v2/crm/1000/x.zip", "files.zoho.sa", "crm"},
		// without www
		{"us", "zohoapis.com", "/crm/v8/Leads", "www.zohoapis.com", "crm"},
		{"ca", "zohoapis.com:443", "/crm/v8/Leads", "www.zohoapis.ca", "crm"},
		{"cn", "ZohoAPIs.com.cn", "/books/v3", "www.zohoapis.com.cn", "books"},
		// services at both, by the path that each has
		{"eu", "www.zohoapis.com", "/commerce/v1/products", "www.zohoapis.eu", "commerce"},
		{"eu", "commerce.zoho.com", "/store/api/v1/products", "commerce.zoho.eu", "commerce"},
		{"eu", "fsm.zoho.com", "/fsm/v1/Work_Orders", "fsm.zoho.eu", "fsm"},
		{"eu", "www.workerly.zoho.com", "/workerly/v2/Temps", "www.workerly.zoho.eu", "workerly"},
		{"au", "SDPonDemand.manageengine.com:443", "/api/v3/requests", "servicedeskplus.net.au", "servicedeskplus"},
		{"jp", "app.site24x7.jp", "/api/monitors", "app.site24x7.jp", "site24x7"},
		{"jp", "www.site24x7.com", "/api/monitors", "app.site24x7.jp", "site24x7"},
		// a custom data center has one host for all
		{"custom", "desk.zoho.com", "/api/v1/tickets", "127.0.0.1:9090", "desk"},
		{"custom", "www.zohoapis.com", "/crm/v8", "127.0.0.1:9090", "crm"},
		{"custom", "127.0.0.1:9090", "/desk/api/v1/tickets", "127.0.0.1:9090", "desk"},
	}
	for _, test := range tests {
		t.Run(test.code+" "+test.host+test.path, func(t *testing.T) {
			got, isZoho, err := mustDC(t, test.code).RouteHost(test.host, test.path, zoho.RouteOptions{})
			want := zoho.Target{Service: test.service, Scheme: "https", Host: test.want}
			if test.code == "custom" {
				want.Scheme = "http"
			}
			if err != nil || !isZoho || got != want {
				t.Errorf("got %+v, %v, %v, want %+v", got, isZoho, err, want)
			}
		})
	}
}

// TestRouteHostElsewhere: hosts that look like Zoho's and are not.
func TestRouteHostElsewhere(t *testing.T) {
	hosts := []string{
		"", ".", "..", "localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:443", "[::1]", "[::1]:443", "10.0.0.1", "0x7f000001", "2130706433",
		"example.com", "zoho.com.evil.tld", "desk.zoho.com.evil.tld", "evilzoho.com", "desk.evilzoho.com", "www.evilzohoapis.com", "zoho.com-evil.tld",
		"zoho.evil", "zoho.ca", "desk.zoho.ca", "zohoapis.evil",
		"desk.zoho.com.", "desk.zoho.com..", "www.zohoapis.com.:443", ".desk.zoho.com", "desk..zoho.com", "desk.zoho..com", ".zoho.com", "zoho.com.",
		"user@desk.zoho.com", "user:pass@desk.zoho.com", "desk.zoho.com@evil.tld", "evil.tld#desk.zoho.com", "evil.tld/desk.zoho.com", "evil.tld?desk.zoho.com",
		"desk.zoho.com/", "desk.zoho.com#", "desk.zoho.com\\evil.tld", "desk.zoho.com:8080", "desk.zoho.com:", "desk.zoho.com:443:443", "desk.zoho.com:0443", "desk.zoho.com:+443",
		"xn--desk-zoho.com", "xn--dsk-zoho.zoho.com", "desk.xn--zoho.com", "XN--x.zoho.com", "de\u017fk.zoho.com", "des\u212a.zoho.com", "dеsk.zoho.com", "desk。zoho.com",
		"desk%2ezoho.com", "desk.zoho.com%00", "desk.zoho.com\x00", "desk.zoho.com ", " desk.zoho.com", "\tdesk.zoho.com", "desk.zoho.com\r\n", "desk_x.zoho.com", "*.zoho.com",
		"manageengine.com", "www.manageengine.com", "x.sdpondemand.manageengine.com", "sdpondemand.manageengine.com.evil.tld", "sdpondemand.manageengine.com.",
		"servicedeskplus.com", "x.servicedeskplus.cn", "site24x7.com", "app.site24x7.com", "evilservicedeskplus.cn", "www.site24x7.com:8080",
		"-desk.zoho.com", "desk-.zoho.com", strings.Repeat("a", 64) + ".zoho.com", strings.Repeat("a.", 200) + "evil.tld",
		"secret" + accessToken,
	}
	if len(hosts) < 40 {
		t.Fatalf("only %d hosts", len(hosts))
	}
	for _, host := range hosts {
		for _, code := range []string{"us", "eu", "custom"} {
			got, isZoho, err := mustDC(t, code).RouteHost(host, "/crm/v8", zoho.RouteOptions{AnyDataCenter: true})
			if isZoho || !errors.Is(err, zoho.ErrTarget) || got != (zoho.Target{}) {
				t.Errorf("%q: got %+v, %v, %v, want no Zoho host", host, got, isZoho, err)
				continue
			}
			checkError(t, err)
		}
	}
}

func TestRouteHostRefused(t *testing.T) {
	anyDC := zoho.RouteOptions{AnyDataCenter: true}
	tests := []struct {
		code, host, path string
		o                zoho.RouteOptions
		want             error
		says             string
	}{
		{"eu", "desk.zoho.in", "/api", zoho.RouteOptions{}, zoho.ErrDataCenter, "belongs to in, and the connection to eu"},
		{"us", "www.zohoapis.eu", "/crm/v8", zoho.RouteOptions{}, zoho.ErrDataCenter, "belongs to eu"},
		{"us", "whatever.zoho.eu", "/", zoho.RouteOptions{}, zoho.ErrDataCenter, "belongs to eu"},
		{"custom", "desk.zoho.eu", "/api", zoho.RouteOptions{}, zoho.ErrDataCenter, "connection to custom"},
		{"eu", "accounts.zoho.com", "/oauth/v2/token", zoho.RouteOptions{}, zoho.ErrTarget, "accounts server"},
		{"eu", "accounts.zoho.eu", "/oauth/v2/token", zoho.RouteOptions{}, zoho.ErrTarget, "accounts server"},
		{"eu", "accounts.zohocloud.ca", "/", anyDC, zoho.ErrTarget, "accounts server"},
		{"custom", "accounts.zoho.com", "/", zoho.RouteOptions{}, zoho.ErrTarget, "accounts server"},
		{"eu", "unheard-of.zoho.com", "/api/v2", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "`upstream https://HOST`"},
		{"eu", "zoho.com", "/", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "zoho.com"},
		{"eu", "a.b.zoho.com", "/", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "a.b.zoho.com"},
		{"eu", "evil.zohoapis.com", "/crm", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "evil"},
		{"eu", "sandbox.zohoapis.com", "/crm/v8", zoho.RouteOptions{}, zoho.ErrEnvironment, "www.zohoapis.eu"},
		{"eu", "developer.zohoapis.eu", "/crm/v8", anyDC, zoho.ErrEnvironment, "www.zohoapis.eu"},
		{"eu", "www.zohoapis.com", "/desk/api/v1", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "desk"},
		{"eu", "www.zohoapis.com", "/", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "names no service"},
		{"eu", "www.zohoapis.com", "/crmx/v8", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "did you mean crm?"},
		{"uk", "content.zohoapis.com", "/crm/v8/upload", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "uploads"},
		{"inec", "www.zohoapis.com", "/crm/v8", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "no known API gateway"},
		{"inec", "sandbox.zohoapis.com", "/crm/v8", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "sandboxes"},
		{"custom", "127.0.0.1:9090", "/nothing", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "nothing"},
		// services that live elsewhere, or nowhere
		{"eu", "www.zohoapis.com", "/people/api/forms", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "people.zoho.eu/people/api, or by path /people/people/api"},
		{"us", "zohoapis.com", "/recruit/v2/x", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "recruit has its own host: recruit.zoho.com/recruit/v2"},
		{"us", "www.zohoapis.com", "/voice/v1", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "voice has its own host: voice.zoho.com"},
		{"us", "www.zohoapis.com", "/forms/v1", zoho.RouteOptions{}, zoho.ErrServiceUnknown, `"forms": no known API takes OAuth tokens`},
		{"us", "directory.zoho.com", "/api/v1", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "the host of its API is not known; if it has an API"},
		{"us", "payroll.zoho.com", "/api/v1", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "payroll is behind the gateway: www.zohoapis.com/payroll/v1"},
		{"us", "analytics.zoho.com", "/api/v1", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "analyticsapi.zoho.com/restapi/v2"},
		{"us", "workerly.zoho.com", "/workerly/v2", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "www.workerly.zoho.com/workerly/v2"},
		{"custom", "payroll.zoho.com", "/api/v1", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "by path, /payroll/"},
		{"ca", "sheet.zoho.com", "/api/v2", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "sheet is not offered in the data center ca"},
		{"ca", "sheet.zohocloud.ca", "/api/v2", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "sheet is not offered in the data center ca"},
		{"uk", "www.zohoapis.uk", "/creator/v2.1", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "creator is not offered in the data center uk"},
		{"eu", "payments.zoho.com", "/api/v1", zoho.RouteOptions{}, zoho.ErrServiceUnknown, "known only in the data centers us, in"},
		{"eu", "www.site24x7.cn", "/api", zoho.RouteOptions{}, zoho.ErrDataCenter, "belongs to cn"},
	}
	for _, test := range tests {
		got, isZoho, err := mustDC(t, test.code).RouteHost(test.host, test.path, test.o)
		if !isZoho || !errors.Is(err, test.want) || got != (zoho.Target{}) ||
			!strings.Contains(err.Error(), test.says) {
			t.Errorf("%s, %s%s: got %+v, %v, %v, want %v with %q", test.code, test.host, test.path, got, isZoho,
				err, test.want, test.says)
			continue
		}
		checkError(t, err)
	}
}

// TestRouteHostOfEnvironment: a grant is good in the environment that its token reply names.
// A host of another one is refused; the production host, which everyone has built in, leads
// to the grant's own.
func TestRouteHostOfEnvironment(t *testing.T) {
	hosts := map[string]string{
		"https://www.zohoapis.eu":       "www.zohoapis.eu",
		"https://sandbox.zohoapis.eu":   "sandbox.zohoapis.eu",
		"https://developer.zohoapis.eu": "developer.zohoapis.eu",
		"":                              "www.zohoapis.eu",
		"https://www.zohoapis.com":      "www.zohoapis.eu",
		"https://evil.tld":              "www.zohoapis.eu",
	}
	for _, asked := range []string{"www", "sandbox", "developer"} {
		for _, domain := range []string{".zohoapis.eu", ".zohoapis.com", ".zohoapis.COM:443"} {
			for apiDomain, own := range hosts {
				got, isZoho, err := mustDC(t, "eu").RouteHost(asked+domain, "/crm/v8",
					zoho.RouteOptions{APIDomain: apiDomain})
				switch good := asked == "www" || strings.HasPrefix(own, asked); {
				case good && (err != nil || got.Host != own || got.Service != "crm"):
					t.Errorf("%s with %q: got %+v, %v, want %s", asked+domain, apiDomain, got, err, own)
				case !good && (!isZoho || !errors.Is(err, zoho.ErrEnvironment)):
					t.Errorf("%s with %q: got %+v, %v, want a refusal", asked+domain, apiDomain, got, err)
				}
			}
			got, _, err := mustDC(t, "eu").RouteHost(asked+domain, "/crm/v8", zoho.RouteOptions{Provisional: true})
			if err != nil || got.Host != "www.zohoapis.eu" {
				t.Errorf("%s before there is a token: got %+v, %v", asked+domain, got, err)
			}
		}
	}
	got, _, err := mustDC(t, "custom").RouteHost("sandbox.zohoapis.com", "/crm/v8", zoho.RouteOptions{})
	if err != nil || got.Host != "127.0.0.1:9090" {
		t.Errorf("two URLs: got %+v, %v", got, err)
	}
}

func TestRouteOptions(t *testing.T) {
	eu := mustDC(t, "eu")
	got, _, err := eu.RouteHost("desk.zoho.in", "/api", zoho.RouteOptions{AnyDataCenter: true})
	if err != nil || got.Host != "desk.zoho.eu" {
		t.Errorf("any data center: got %+v, %v", got, err)
	}
	onlyCRM := zoho.RouteOptions{Allowed: func(s string) bool { return s == "crm" }}
	if _, err := eu.RoutePath("/crm/v8", onlyCRM); err != nil {
		t.Error(err)
	}
	if _, err := eu.RoutePath("/desk/api", onlyCRM); !errors.Is(err, zoho.ErrServiceUnknown) ||
		!strings.Contains(err.Error(), "not one of the services allowed") {
		t.Errorf("got %v", err)
	}
	if _, isZoho, err := eu.RouteHost("desk.zoho.com", "/api", onlyCRM); !isZoho ||
		!errors.Is(err, zoho.ErrServiceUnknown) {
		t.Errorf("got %v", err)
	}
	for domain, want := range map[string]string{
		"":                            "www.zohoapis.eu",
		"https://sandbox.zohoapis.eu": "sandbox.zohoapis.eu",
		"https://SANDBOX.zohoapis.eu": "sandbox.zohoapis.eu",
		"https://www.zohoapis.com":    "www.zohoapis.eu",
		"https://evil.tld":            "www.zohoapis.eu",
	} {
		o := zoho.RouteOptions{APIDomain: domain}
		if got, err := eu.RoutePath("/crm/v8", o); err != nil || got.Host != want {
			t.Errorf("%q: got %+v, %v, want %s", domain, got, err, want)
		}
		if got, _, err := eu.RouteHost("www.zohoapis.com", "/crm/v8", o); err != nil || got.Host != want {
			t.Errorf("%q: got %+v, %v, want %s", domain, got, err, want)
		}
		if got, err := eu.RoutePath("/desk/api", o); err != nil || got.Host != "desk.zoho.eu" {
			t.Errorf("%q: got %+v, %v", domain, got, err)
		}
	}
}

// TestCustomOwnHost: a custom data center's own host is compared with its port,
// the default one left out, and nothing else.
func TestCustomOwnHost(t *testing.T) {
	dc, err := zoho.CustomDataCenter("https://accounts.example.com", "https://api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"api.example.com": true, "API.example.com:443": true,
		"api.example.com:80": false, "api.example.com:8443": false, "api.example.com.": false, "example.com": false, "accounts.example.com": false,
	} {
		got, isZoho, err := dc.RouteHost(host, "/desk/api/v1", zoho.RouteOptions{})
		if isZoho != want || (err == nil) != want || want && (got.Host != "api.example.com" || got.Strip != 0) {
			t.Errorf("%s: got %+v, %v, %v", host, got, isZoho, err)
		}
	}
	plain, err := zoho.CustomDataCenter("http://localhost:1", "http://localhost")
	if err != nil {
		t.Fatal(err)
	}
	if got, isZoho, err := plain.RouteHost("localhost:80", "/crm/v8", zoho.RouteOptions{}); !isZoho ||
		err != nil || got.Scheme != "http" {
		t.Errorf("got %+v, %v, %v", got, isZoho, err)
	}
}

// TestEveryServiceEverywhere: every service has its place in every data center, within that data
// center's domains or among the hosts that are listed for it, but where it is known not to be.
func TestEveryServiceEverywhere(t *testing.T) {
	absent := map[string][]string{"sheet": {"ca"}, "creator": {"uk", "sg"}}
	for _, dc := range zoho.DataCenters() {
		for _, s := range zoho.Services() {
			if s.Name == zoho.ProfileService {
				continue // TestProfile
			}
			got, err := dc.RoutePath("/"+s.Name+"/x", zoho.RouteOptions{})
			own := s.Host + "." + dc.Suffix
			if hosts, ok := irregular[s.Name]; ok {
				own = hosts[dc.Code]
			}
			want, strip := own, len(s.Name)+1
			if s.Gateway {
				want, strip = strings.TrimPrefix(dc.API, "https://"), 0
			}
			if slices.Contains(absent[s.Name], dc.Code) || want == "" {
				if !errors.Is(err, zoho.ErrServiceUnknown) || got != (zoho.Target{}) {
					t.Errorf("%s at %s: got %+v, %v", s.Name, dc.Code, got, err)
				}
				continue
			}
			if err != nil || got.Host != want || got.Strip != strip {
				t.Errorf("%s at %s: got %+v, %v, want %s", s.Name, dc.Code, got, err, want)
			}
			if asked := cmp.Or(irregular[s.Name]["us"], s.Host+".zoho.com"); s.Host != "" || irregular[s.Name]["us"] != "" {
				byHost, _, err := dc.RouteHost(asked, "/x", zoho.RouteOptions{})
				if err != nil || byHost.Host != own || byHost.Service != s.Name {
					t.Errorf("%s at %s: got %+v, %v", asked, dc.Code, byHost, err)
				}
			}
		}
	}
}

func TestNearestService(t *testing.T) {
	for name, want := range map[string]string{
		"crmm": "crm", "CRM": "crm", "ZohoCRM": "crm", "zohobooks": "books", "boks": "books", "invoices": "invoice", "subscriptions": "billing", "projectsapi": "projects",
		"sdpondemand": "servicedeskplus", "voise": "voice", "forms": "", "Show": "", "sprintsapi": "sprints",
		"dsek": "desk", "workdirve": "workdrive", "analytic": "analytics", "": "", "x": "", "something": "", "favicon.ico": "", strings.Repeat("crm", 100): "",
	} {
		if got := zoho.NearestService(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

// routings are the ways a request finds its target, for the measurements.
func routings(t testing.TB) map[string]func() error {
	eu, custom := mustDC(t, "eu"), mustDC(t, "custom")
	o := zoho.RouteOptions{APIDomain: "https://sandbox.zohoapis.eu",
		Allowed: func(s string) bool { return s != "mail" }}
	host := func(dc zoho.DataCenter, host, path string) func() error {
		return func() error { _, _, err := dc.RouteHost(host, path, o); return err }
	}
	path := func(dc zoho.DataCenter, path string) func() error {
		return func() error { _, err := dc.RoutePath(path, o); return err }
	}
	return map[string]func() error{
		"host":           host(eu, "desk.zoho.com", "/api/v1/tickets"),
		"host-case-port": host(eu, "DESK.zoho.com:443", "/api/v1/tickets"),
		"host-gateway":   host(eu, "www.zohoapis.com", "/crm/v8/Leads"),
		"host-custom":    host(custom, "www.zohoapis.com", "/crm/v8/Leads"),
		"path-gateway":   path(eu, "/crm/v8/Leads"),
		"path-own":       path(eu, "/desk/api/v1/tickets"),
		"path-custom":    path(custom, "/desk/api/v1/tickets"),
	}
}

func TestRoutingAllocatesNothing(t *testing.T) {
	eu := mustDC(t, "eu")
	for _, host := range []string{"proxy.example:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST"} {
		if n := testing.AllocsPerRun(100, func() { eu.RouteHost(host, "/crm/v8", zoho.RouteOptions{}) }); n != 0 {
			t.Errorf("%s, which is not Zoho's: %v allocations", host, n)
		}
	}
	for name, route := range routings(t) {
		if err := route(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := testing.AllocsPerRun(100, func() { _ = route() }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	for name, route := range routings(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = route()
			}
		})
	}
}

// FuzzRoute: whatever host and path say, a target's host belongs to the table
// of the connection's data center, and an error holds no secret.
func FuzzRoute(f *testing.F) {
	for _, host := range []string{"desk.zoho.com", "WWW.zohoapis.com:443", "upload.zohocloud.ca",
		"zohoapis.com", "download-accl.zoho.com", "files.zoho.sa", "sdpondemand.manageengine.com", "app.site24x7.jp",
		"desk.zoho.com.", "u@desk.zoho.com", "zoho.com.evil.tld", "xn--a.zoho.com", "127.0.0.1:9090"} {
		for _, path := range []string{"/crm/v8", "/desk/../crm", "/workdrive-api/v1", "//x", "/" + accessToken,
			"/oauth/user/info", "/_host/download.zoho.eu/v1/workdrive/x", "/_host/content.zohoapis.eu/../crm"} {
			f.Add(host, path, "https://sandbox.zohoapis.eu", uint8(1), true)
		}
	}
	f.Fuzz(func(t *testing.T, host, path, apiDomain string, n uint8, anyDC bool) {
		dcs := append(zoho.DataCenters(), mustDC(t, "custom"))
		dc := dcs[int(n)%len(dcs)]
		o := zoho.RouteOptions{AnyDataCenter: anyDC, APIDomain: apiDomain}
		target, isZoho, err := dc.RouteHost(host, path, o)
		if err != nil {
			checkRefusal(t, target, err)
		} else if !isZoho || target.Strip != 0 && target.Service != zoho.ProfileService {
			t.Errorf("%q, %q: got %+v, %v", host, path, target, isZoho)
		} else {
			checkTarget(t, dc, target)
		}
		target, err = dc.RoutePath(path, o)
		if err != nil {
			checkRefusal(t, target, err)
			return
		}
		checkTarget(t, dc, target)
		if target.Foreign || target.Service == zoho.ProfileService {
			if own := "/_host/" + target.Host; target.Foreign && path[:target.Strip] != own || !target.Foreign && path != zoho.ProfilePath {
				t.Errorf("%q: got %+v", path, target)
			}
			return
		}
		if zoho.ServiceOfPath(path) != target.Service || target.Strip > len(path) ||
			target.Strip != 0 && path[:target.Strip] != "/"+target.Service {
			t.Errorf("%q: got %+v", path, target)
		}
	})
}

func checkRefusal(t *testing.T, target zoho.Target, err error) {
	t.Helper()
	if target != (zoho.Target{}) || !errors.Is(err, zoho.ErrTarget) && !errors.Is(err, zoho.ErrDataCenter) &&
		!errors.Is(err, zoho.ErrServiceUnknown) {
		t.Errorf("got %+v with %v", target, err)
	}
	checkError(t, err)
}

// checkTarget states the tables' content a second time.
func checkTarget(t *testing.T, dc zoho.DataCenter, target zoho.Target) {
	t.Helper()
	s, ok := zoho.LookupService(target.Service)
	if !ok {
		t.Errorf("got %+v, not a service", target)
	}
	if dc.Custom && target.Service != zoho.ProfileService {
		if target.Scheme+"://"+target.Host != dc.API {
			t.Errorf("got %+v, want %s", target, dc.API)
		}
		return
	}
	gateway := strings.TrimPrefix(dc.API, "https://www")
	if target.Service == zoho.ProfileService {
		if target.Scheme+"://"+target.Host != dc.Accounts {
			t.Errorf("got %+v, want %s", target, dc.Accounts)
		}
		return
	}
	hosts := []string{"download", "download-accl", "upload", "files", "projects", "subscriptions", s.Host}
	ok = target.Scheme == "https"
	found := target.Host != "" && target.Host == irregular[s.Name][dc.Code]
	for _, label := range hosts {
		found = found || target.Host == label+"."+dc.Suffix
	}
	for _, label := range []string{"www", "sandbox", "developer", "content"} {
		found = found || gateway != "" && target.Host == label+gateway
	}
	if !ok || !found {
		t.Errorf("got %+v, which does not belong to %s", target, dc.Code)
	}
}

func TestIsHost(t *testing.T) {
	for host, want := range map[string]bool{
		"www.zohoapis.com": true, "DESK.zoho.eu:443": true, "accounts.zohocloud.ca": true, "unheard-of.zoho.in": true,
		"sdpondemand.manageengine.com": true, "SERVICEDESKPLUS.net.au:443": true, "app.site24x7.jp": true, "zohoapis.cn": false, "zohoapis.com.cn": true,
		"manageengine.com": false, "x.manageengine.com": false, "a.servicedeskplus.cn": false, "app.site24x7.com": false,
		"zoho.com.evil.example": false, "evilzoho.com": false, "127.0.0.1:8080": false, "localhost": false, "": false,
	} {
		if got := zoho.IsHost(host); got != want {
			t.Errorf("%q: got %v", host, got)
		}
		_, isZoho, _ := zoho.DataCenters()[0].RouteHost(host, "/", zoho.RouteOptions{AnyDataCenter: true})
		if isZoho != want {
			t.Errorf("%q: RouteHost says %v", host, isZoho)
		}
	}
}

// TestHostName: a Host header with a port of the operator's network, or with the root's dot,
// means the host all the same; what is not Zoho's stays as it is.
func TestHostName(t *testing.T) {
	for host, want := range map[string]string{
		"sandbox.zohoapis.com": "sandbox.zohoapis.com", "sandbox.zohoapis.com:9000": "sandbox.zohoapis.com", "SANDBOX.zohoapis.com.": "SANDBOX.zohoapis.com",
		"desk.zoho.eu.:443": "desk.zoho.eu", "desk.zoho.eu:": "desk.zoho.eu", "desk.zoho.eu:1:2": "desk.zoho.eu", "unheard-of.zoho.in:8443": "unheard-of.zoho.in", "accounts.zoho.com.": "accounts.zoho.com",
		"SDPondemand.manageengine.eu.:9000": "SDPondemand.manageengine.eu", "x.manageengine.com:9000": "x.manageengine.com:9000", "zohoapis.in:9000": "zohoapis.in",
		"": "", ".": ".", ":": ":", "localhost:8080": "localhost:8080", "127.0.0.1:8080": "127.0.0.1:8080", "[::1]:8080": "[::1]:8080", "example.com.": "example.com.",
		"zoho.com.evil.example:80": "zoho.com.evil.example:80", "evilzoho.com:9000": "evilzoho.com:9000", "desk.zoho.com..": "desk.zoho.com", "[sandbox.zohoapis.com]:9000": "sandbox.zohoapis.com", "sandbox.zohoapis.com;x": "sandbox.zohoapis.com", "sandbox.zohoapis.com,www.zohoapis.com": "sandbox.zohoapis.com", "evil.example:desk.zoho.com": "evil.example:desk.zoho.com",
		"xn--a.zoho.com:9000": "xn--a.zoho.com:9000", "user@desk.zoho.com:80": "user@desk.zoho.com:80",
	} {
		if got := zoho.HostName(host); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
		if n := testing.AllocsPerRun(100, func() { zoho.HostName(host) }); n != 0 {
			t.Errorf("%q: %v allocations", host, n)
		}
	}
	for _, host := range []string{"sandbox%2ezohoapis.com", "sandbox%2Ezohoapis.com%00", "%73andbox.zohoapis.com:9000"} {
		if got := zoho.HostName(host); got != "sandbox.zohoapis.com" {
			t.Errorf("%q: got %q", host, got)
		}
	}
}

// TestEnvironmentOfOwnURLs: who gives the data center by Zoho's own URLs has said which
// environment it is.
func TestEnvironmentOfOwnURLs(t *testing.T) {
	for api, refused := range map[string][]string{
		"https://www.zohoapis.com":     {"sandbox.zohoapis.com", "developer.zohoapis.com", "sandbox.zohoapis.com:443"},
		"https://sandbox.zohoapis.com": {"developer.zohoapis.com"},
		"https://api.example.com":      nil,
	} {
		dc, err := zoho.CustomDataCenter("https://accounts.zoho.com", api)
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"sandbox.zohoapis.com", "developer.zohoapis.com", "sandbox.zohoapis.com:443", "www.zohoapis.com"} {
			_, _, err := dc.RouteHost(host, "/crm/v8/Leads", zoho.RouteOptions{})
			if errors.Is(err, zoho.ErrEnvironment) != slices.Contains(refused, host) {
				t.Errorf("%s, host %s: %v", api, host, err)
			}
		}
	}
}

func TestTargetAddress(t *testing.T) {
	for _, tt := range []struct {
		target zoho.Target
		want   string
	}{
		{zoho.Target{Scheme: "https", Host: "desk.zoho.eu"}, "desk.zoho.eu:443"},
		{zoho.Target{Scheme: "https", Host: "gateway.example"}, "gateway.example:443"},
		{zoho.Target{Scheme: "https", Host: "gateway.example:8443"}, "gateway.example:8443"},
		{zoho.Target{Scheme: "http", Host: "127.0.0.1"}, "127.0.0.1:80"},
		{zoho.Target{Scheme: "http", Host: "[::1]"}, "[::1]:80"},
		{zoho.Target{Scheme: "http", Host: "[::1]:9000"}, "[::1]:9000"},
	} {
		if got := tt.target.Address(); got != tt.want {
			t.Errorf("%s://%s: got %s, want %s", tt.target.Scheme, tt.target.Host, got, tt.want)
		}
	}
}

// Where not all services are served, no path leads out of the one that it names, however a
// gateway may read it. Where all are, paths are nobody's business.
func TestDotSegments(t *testing.T) {
	dc := mustDC(t, "eu")
	for path, dotted := range map[string]bool{
		"/crm/../books": true, "/crm/%2e%2E/books": true, "/crm/..;/books": true, `/crm/..\books`: true, "/crm/a%2f..%2f..%2fbooks": true, "/crm/./x": true, "/crm/..": true,
		"/crm/v8/Leads": false, "/crm/v8/a..b": false, "/crm/.well-known": false, "/crm/...": false, "/crm/..x": false, "/crm/%252e%252e/books": false,
	} {
		for name, route := range map[string]func(zoho.RouteOptions) error{
			"path": func(o zoho.RouteOptions) error { _, err := dc.RoutePath(path, o); return err },
			"host": func(o zoho.RouteOptions) error { _, _, err := dc.RouteHost("www.zohoapis.eu", path, o); return err },
		} {
			if err := route(zoho.RouteOptions{}); err != nil {
				t.Errorf("by %s, %s: %v", name, path, err)
			}
			err := route(zoho.RouteOptions{Allowed: func(s string) bool { return s == "crm" }})
			if errors.Is(err, zoho.ErrServiceUnknown) != dotted {
				t.Errorf("by %s, only CRM, %s: %v", name, path, err)
			}
		}
	}
}
