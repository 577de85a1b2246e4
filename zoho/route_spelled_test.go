package zoho_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// TestSpelledOtherwise: on a host for files, a path that some server may read as another service's is that
// service's, however it is spelled.
func TestSpelledOtherwise(t *testing.T) {
	us, _ := zoho.LookupDataCenter("us")
	only := zoho.RouteOptions{Allowed: func(service string) bool { return service == "workdrive" }}
	for _, path := range []string{
		"/v2/crm/1", "/v2/cr%6d/1", "/v2/cr%256d/1", "/v2/CRM/1", "/V2/crm/1", "/%762/crm/1", "/v2%2fcrm/1", "/v2//crm/1", "//v2/crm/1",
		"/v2/crm;a/1", "/v2/crm%20/1", `/v2\crm/1`, "/v2/%5ccrm/1", "/v2/crm",
		// By servers that leave out control characters and broken UTF-8, or end at NUL.
		"/v2/crm%00/1", "/v2/%00crm/1", "/%00v2/crm/1", "/v2/crm%00x/1", "/v2/cr%0dm/1", "/v2/%c0crm/1", "/v2/\xffcrm/1", "/v2/crm%7f/1",
		// By those that decode more than once, and leave what cannot be decoded; and by those that read UTF-8 carelessly.
		"/v2/%2563rm/%25zz", "/v2/%25252563rm/1", "/v2%c0%afcrm/1", "/v2/%c0%ae/crm/1",
	} {
		for _, host := range []string{"download-accl.zoho.com", "download.zoho.com", "upload.zoho.com"} {
			target, _, err := us.RouteHost(host, path, zoho.RouteOptions{})
			if err != nil || target.Service != "crm" || target.Host != host {
				t.Errorf("%s%s: %+v, %v", host, path, target, err)
			}
			if _, _, err := us.RouteHost(host, path, only); !errors.Is(err, zoho.ErrServiceUnknown) {
				t.Errorf("%s%s, WorkDrive alone: %v", host, path, err)
			}
			if _, err := us.RoutePath(zoho.FileHostPrefix+host+path, only); !errors.Is(err, zoho.ErrServiceUnknown) {
				t.Errorf("/_host/%s%s, WorkDrive alone: %v", host, path, err)
			}
		}
	}
	for _, path := range []string{"/v1/workdrive/download/abc", "/public/Report%20CRM.pdf", "/webdownload/x", "/v2/reports/crm/x"} {
		if target, _, err := us.RouteHost("download.zoho.com", path, only); err != nil || target.Service != "workdrive" {
			t.Errorf("%s: %+v, %v", path, target, err)
		}
	}
}

// TestOneOrigin: where the accounts server and the services have one origin, no path leads a token to the accounts
// server, by whatever host or spelling; and what a path names counts, not what the host says.
func TestOneOrigin(t *testing.T) {
	for _, base := range []string{"https://zoho.corp.example", "https://zoho.corp.example/iam", "https://zoho.corp.example/iam/oauth/v2"} {
		dc, err := zoho.CustomDataCenter(base, "https://zoho.corp.example")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{
			"/oauth/v2/token/revoke", "/crm/../oauth/v2/token", "/crm/%2e%2e/oauth/v2/token", "/OAuth/v2/token", "/%6fauth/v2/token",
			"//oauth/v2/auth", "/crm/..;/oauth/v2/token", `/crm\..\oauth/v2/token`,
		} {
			for _, host := range []string{"crm.zoho.com", "desk.zoho.com", "download.zoho.com", "zoho.corp.example"} {
				target, _, err := dc.RouteHost(host, path, zoho.RouteOptions{Method: http.MethodPost})
				if err == nil {
					t.Errorf("%s: %s%s leads to %+v", base, host, path, target)
				}
			}
			if target, err := dc.RoutePath(path, zoho.RouteOptions{Method: http.MethodPost}); err == nil {
				t.Errorf("%s: %s leads to %+v", base, path, target)
			}
		}
		only := zoho.RouteOptions{Allowed: func(service string) bool { return service == "crm" }}
		for _, path := range []string{"/books/v3/invoices", "/bo%6fks/v3/invoices", "/BOOKS/v3/invoices", "//books/v3", "/./books/v3"} {
			if target, _, err := dc.RouteHost("crm.zoho.com", path, only); err == nil {
				t.Errorf("%s: CRM alone, and %s leads to %+v", base, path, target)
			}
		}
		if target, _, err := dc.RouteHost("crm.zoho.com", "/crm/v8/Leads?x=%2foauth", only); err != nil || target.Service != "crm" {
			t.Errorf("%+v, %v", target, err)
		}
	}
}
