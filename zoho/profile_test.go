package zoho_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// TestProfile: one path of the accounts server, and only to read it, is a service; in the
// connection's data center, by host and by path.
func TestProfile(t *testing.T) {
	for _, dc := range zoho.DataCenters() {
		want := strings.TrimPrefix(dc.Accounts, "https://")
		for _, method := range []string{"", http.MethodGet, http.MethodHead} {
			o := zoho.RouteOptions{Method: method}
			byPath, err := dc.RoutePath(zoho.ProfilePath, o)
			if err != nil || byPath.Host != want || byPath.Service != "profile" || byPath.Scheme != "https" ||
				byPath.Rewrite("/oauth/user/info?x") != "/oauth/user/info?x" {
				t.Errorf("%s %s by path: %+v, %v", method, dc.Code, byPath, err)
			}
			for _, host := range []string{"accounts.zoho.com", "ACCOUNTS.zoho.com:443", want} {
				if byHost, isZoho, err := dc.RouteHost(host, zoho.ProfilePath, o); err != nil || !isZoho || byHost != byPath {
					t.Errorf("%s %s by %s: %+v, %v", method, dc.Code, host, byHost, err)
				}
			}
		}
	}
}

// TestProfileIsAllOfAccounts: nothing else of an accounts server is served, however it is written.
func TestProfileIsAllOfAccounts(t *testing.T) {
	for _, code := range []string{"eu", "custom"} {
		dc := mustDC(t, code)
		for _, path := range []string{
			"/oauth/v2/token", "/oauth/v2/auth", "/oauth/user/info/", "/oauth/user/info/x", "/oauth/user/info;x", "/oauth/user/info%2f",
			"/oauth/user/Info", "/OAUTH/user/info", "/oauth//user/info", "//oauth/user/info", "/oauth/user/./info", "/oauth/user/inf%6f",
			"/x/../oauth/user/info", "/oauth/user", "/oauth", "/", "", "/profile", "/profile/oauth/user/info", "/oauth/v2/userinfo",
		} {
			if target, err := dc.RoutePath(path, zoho.RouteOptions{}); !errors.Is(err, zoho.ErrServiceUnknown) {
				t.Errorf("%s, by path %q: %+v, %v", code, path, target, err)
			}
			for _, host := range []string{"accounts.zoho.com", "accounts.example.com"} {
				if target, _, err := dc.RouteHost(host, path, zoho.RouteOptions{}); !errors.Is(err, zoho.ErrTarget) {
					t.Errorf("%s, %s%s: %+v, %v", code, host, path, target, err)
				}
			}
		}
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "PROPFIND"} {
			o := zoho.RouteOptions{Method: method}
			if target, err := dc.RoutePath(zoho.ProfilePath, o); !errors.Is(err, zoho.ErrServiceUnknown) {
				t.Errorf("%s, %s: %+v, %v", code, method, target, err)
			}
			if target, _, err := dc.RouteHost("accounts.zoho.com", zoho.ProfilePath, o); !errors.Is(err, zoho.ErrTarget) {
				t.Errorf("%s, %s by host: %+v, %v", code, method, target, err)
			}
		}
	}
}

func TestProfileIsBound(t *testing.T) {
	dc := mustDC(t, "eu")
	crm := zoho.RouteOptions{Allowed: func(service string) bool { return service == "crm" }}
	if _, err := dc.RoutePath(zoho.ProfilePath, crm); !errors.Is(err, zoho.ErrServiceUnknown) {
		t.Errorf("by path: %v", err)
	}
	if _, _, err := dc.RouteHost("accounts.zoho.com", zoho.ProfilePath, crm); !errors.Is(err, zoho.ErrServiceUnknown) {
		t.Errorf("by host: %v", err)
	}
	if _, _, err := dc.RouteHost("accounts.zoho.in", zoho.ProfilePath, zoho.RouteOptions{}); !errors.Is(err, zoho.ErrDataCenter) {
		t.Errorf("of another data center: %v", err)
	}
	if got, _, err := dc.RouteHost("accounts.zoho.in", zoho.ProfilePath, zoho.RouteOptions{AnyDataCenter: true}); got.Host != "accounts.zoho.eu" {
		t.Errorf("any data center: %+v, %v", got, err)
	}
}

// TestProfileBehindAPath: a base with a path is treated as for token calls.
func TestProfileBehindAPath(t *testing.T) {
	for accounts, want := range map[string]string{
		"https://accounts.example.com":                           "https://accounts.example.com/oauth/user/info",
		"https://accounts.example.com:8443/iam":                  "https://accounts.example.com:8443/iam/oauth/user/info",
		"https://accounts.zoho.eu/oauth/v2":                      "https://accounts.zoho.eu/oauth/user/info",
		"http://127.0.0.1:9090/iam/oauth/v2":                     "http://127.0.0.1:9090/iam/oauth/user/info",
		"https://acme.zohoplatform.com/clientoauth/v2/main":      "https://acme.zohoplatform.com/clientoauth/v2/main/user/info",
		"https://accounts.example.com/a%20b":                     "https://accounts.example.com/a%20b/oauth/user/info",
		"https://accounts.zohoportal.com/clientoauth/v2/portal1": "https://accounts.zohoportal.com/clientoauth/v2/portal1/user/info",
	} {
		dc, err := zoho.CustomDataCenter(accounts, "https://api.example.com")
		if err != nil {
			t.Fatal(err)
		}
		if got := dc.UserInfoURL(); got != want {
			t.Errorf("%s: got %s", accounts, got)
		}
		_, rest, _ := strings.Cut(want, "://")
		host, path, _ := strings.Cut(rest, "/")
		for _, by := range []string{zoho.ProfilePath, "/" + path} {
			got, isZoho, err := dc.RouteHost(host, by, zoho.RouteOptions{})
			if err != nil || !isZoho || got.Scheme+"://"+got.Host+got.Rewrite(by) != want {
				t.Errorf("%s, %s%s: got %+v, %v", accounts, host, by, got, err)
			}
		}
		got, err := dc.RoutePath(zoho.ProfilePath, zoho.RouteOptions{})
		if err != nil || got.Scheme+"://"+got.Host+got.Rewrite(zoho.ProfilePath+"?a=1") != want+"?a=1" {
			t.Errorf("%s by path: got %+v, %v", accounts, got, err)
		}
	}
}
