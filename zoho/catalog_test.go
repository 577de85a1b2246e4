package zoho_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// fax is a service that the table lacks.
func fax(t testing.TB, path string) *zoho.Catalog {
	t.Helper()
	c, err := zoho.NewCatalog(map[string]*zoho.CustomService{
		"fax":    {Hosts: []string{"fax.zoho.com", "FAX.zoho.eu", "fax.zohocloud.ca"}, Path: path},
		"pager2": {Hosts: []string{"api.pager.zoho.com"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCustomService: it is reached by host and by path, in the connection's data center.
func TestCustomService(t *testing.T) {
	for _, base := range []string{"", "/api/v1", "/api/v1/"} {
		o := zoho.RouteOptions{Catalog: fax(t, base)}
		for code, want := range map[string]string{"us": "fax.zoho.com", "eu": "fax.zoho.eu", "ca": "fax.zohocloud.ca"} {
			dc := mustDC(t, code)
			for _, host := range []string{"fax.zoho.com", "Fax.Zoho.com:443", want} {
				got, isZoho, err := dc.RouteHost(host, "/api/v1/jobs", o)
				if err != nil || !isZoho || got != (zoho.Target{Service: "fax", Scheme: "https", Host: want}) {
					t.Errorf("%s, %s: %+v, %v", code, host, got, err)
				}
			}
			got, err := dc.RoutePath("/fax/api/v1/jobs", o)
			if err != nil || got.Host != want || got.Service != "fax" || got.Rewrite("/fax/api/v1/jobs?a=%20") != "/api/v1/jobs?a=%20" {
				t.Errorf("%s by path: %+v, %v", code, got, err)
			}
		}
		for path, want := range map[string]string{"/fax/jobs": "/api/v1/jobs", "/fax": "/api/v1", "/fax/": "/api/v1/", "/fax/api/v1": "/api/v1", "/fax/api/v10/x": "/api/v1/api/v10/x"} {
			if base == "" {
				want = strings.TrimPrefix(path, "/fax")
			}
			if want == "" {
				want = "/"
			}
			if got, err := mustDC(t, "us").RoutePath(path, o); err != nil || got.Rewrite(path) != want {
				t.Errorf("%q, %s: %s, %v", base, path, got.Rewrite(path), err)
			}
		}
	}
}

// TestCustomServiceIsBound: to its hosts, its data centers, its path and what is served.
func TestCustomServiceIsBound(t *testing.T) {
	o := zoho.RouteOptions{Catalog: fax(t, "/api/v1")}
	us, in := mustDC(t, "us"), mustDC(t, "in")
	for _, path := range []string{"/", "/api", "/api/v10", "/login", "/api/v1/../../login", "/api/v1/%2e%2e/login", "/api/v1/..;/x"} {
		if got, _, err := us.RouteHost("fax.zoho.com", path, o); !errors.Is(err, zoho.ErrServiceUnknown) {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, path := range []string{"/fax/../login", "/fax/api/v1/..%2fx", "/FAX/x", "/fax2/x", "/fax;x/y", "/%66ax/x"} {
		if got, err := us.RoutePath(path, o); !errors.Is(err, zoho.ErrServiceUnknown) {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	if _, err := in.RoutePath("/fax/x", o); !errors.Is(err, zoho.ErrServiceUnknown) || !strings.Contains(err.Error(), "ca, eu, us") {
		t.Errorf("without a host: %v", err)
	}
	if _, _, err := us.RouteHost("fax.zoho.eu", "/api/v1", o); !errors.Is(err, zoho.ErrDataCenter) {
		t.Errorf("another data center: %v", err)
	}
	for _, host := range []string{"fax.zoho.com.", "x.fax.zoho.com", "fax.zoho.com:8443", "u@fax.zoho.com", "fax.zoho.com.evil.example"} {
		if got, _, err := us.RouteHost(host, "/api/v1", o); err == nil {
			t.Errorf("%s: %+v", host, got)
		}
	}
	o.Allowed = func(service string) bool { return service == "crm" }
	if _, err := us.RoutePath("/fax/x", o); !errors.Is(err, zoho.ErrServiceUnknown) {
		t.Errorf("not served: %v", err)
	}
	if _, err := us.RoutePath("/fax/x", zoho.RouteOptions{}); !errors.Is(err, zoho.ErrServiceUnknown) {
		t.Errorf("without the catalog: %v", err)
	}
	custom := mustDC(t, "custom")
	o.Allowed = nil
	if got, err := custom.RoutePath("/fax/x", o); err != nil || "http://"+got.Host != custom.API || got.Rewrite("/fax/x") != "/fax/x" {
		t.Errorf("two URLs: %+v, %v", got, err)
	}
}

func TestCatalog(t *testing.T) {
	c, none := fax(t, ""), (*zoho.Catalog)(nil)
	if !c.Has("fax") || !c.Has("crm") || c.Has("FAX") || none.Has("fax") || !none.Has("crm") {
		t.Error("Has is wrong")
	}
	if !slices.IsSorted(c.Names()) || len(c.Names()) != len(zoho.ServiceNames())+2 || !slices.Equal(none.Names(), zoho.ServiceNames()) {
		t.Error(c.Names())
	}
	if c.OfPath("/fax/x") != "fax" || c.OfPath("/crm/x") != "crm" || none.OfPath("/fax/x") != "" {
		t.Error("OfPath is wrong")
	}
	if c.Nearest("faxx") != "fax" || c.Nearest("crmm") != "crm" || none.Nearest("crmm") != "crm" {
		t.Error("Nearest is wrong")
	}
}

// TestCustomHosts: a token is sent to no host where anybody but Zoho may answer.
func TestCustomHosts(t *testing.T) {
	for host, want := range map[string]string{
		"https://fax.zoho.com": "the name alone", "fax.zoho.com/api": "the name alone", "u@fax.zoho.com": "the name alone", "fax.zoho.com:443": "port", "*.zoho.com": "exact",
		"": "not under", "zoho.com": "whole domain", "zohoapis.eu": "already", "accounts.zoho.com": "accounts server", "accounts.zohocloud.ca": "accounts server",
		"accounts.fax.zoho.com": "accounts server", "eu.accounts.zoho.eu": "accounts server", "desk.zoho.com": "belongs to the service desk", "sheet.zohocloud.ca": "",
		"www.zohoapis.com": "already", "sandbox.zohoapis.com": "already", "download.zoho.eu": "already", "content.zohoapis.com": "already",
		"acme.desk.zoho.com": "below desk.zoho.com", "x.www.zohoapis.com": "below", "acme.sdpondemand.manageengine.com": "below",
		"fax.zoho.con": "such as zoho.com", "fax.zoho.ca": "not under", "example.com": "not under", "fax.zoho.com.evil.example": "not under", "evilzoho.com": "not under",
		"xn--fax.zoho.com": "not under", "fax..zoho.com": "not under", "-fax.zoho.com": "not under", "fax_1.zoho.com": "not under", "fax.zoho.com.": "not under", "10.0.0.1": "not under", "localhost": "not under",
		"acme.zohosites.com": "customers", "acme.zohocreatorportal.eu": "customers", "acme.zohopublic.com": "customers", "acme.development.catalystserverless.com": "customers",
		"acme.catalystapps.com": "customers", "acme.zohoplatform.com": "customers", "accounts.zohoportal.com": "customers", "acme.zohodesk.com": "customers",
		"acme.zohobookings.com": "customers", "js.zohostatic.com": "customers", "acme.zcodeusers.com": "customers", "acme.zohorecruit.com": "customers",
		"acme.zohobackstage.com": "customers", "acme-development.zohostratus.com": "customers", "acme.onslate.com": "customers", "creatorapp.zoho.com": "customers",
		"forms.zoho.eu": "customers", "acme.sites.zoho.com": "customers", "acme.wiki.zoho.com": "customers",
		"fax.zoho.com": "", "FAX.zoho.com": "", "api.fax.zoho.com": "", "fax.zohoapis.com": "", "mdm.manageengine.eu": "", "fax.zohohq.in": "",
	} {
		s := zoho.CustomService{Hosts: []string{host}}
		err := s.Check("fax")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", host, err, want)
		}
	}
}

func TestCustomServiceMistakes(t *testing.T) {
	host := []string{"fax.zoho.com"}
	for name, test := range map[string]struct {
		s    zoho.CustomService
		want string
	}{
		"crm": {zoho.CustomService{Hosts: host}, "already a service"}, "profile": {zoho.CustomService{Hosts: host}, "already a service"},
		"oauth": {zoho.CustomService{Hosts: host}, "the proxy itself uses"}, "other": {zoho.CustomService{Hosts: host}, "the proxy itself uses"},
		"Fax": {zoho.CustomService{Hosts: host}, "lowercase letters"}, "_host": {zoho.CustomService{Hosts: host}, "lowercase letters"}, "": {zoho.CustomService{Hosts: host}, "lowercase letters"},
		strings.Repeat("x", 33): {zoho.CustomService{Hosts: host}, "lowercase letters"}, "a": {zoho.CustomService{}, "no host"},
		"b": {zoho.CustomService{Hosts: []string{"fax.zoho.com", "fox.zoho.com"}}, "both in the data center us"}, "c": {zoho.CustomService{Hosts: append(host, "FAX.zoho.com")}, "both"},
		"d": {zoho.CustomService{Hosts: host, Path: "api"}, "begins with /"}, "e": {zoho.CustomService{Hosts: host, Path: "/a?b"}, "begins with /"},
		"f": {zoho.CustomService{Hosts: host, Path: "/a/../b"}, "begins with /"}, "g": {zoho.CustomService{Hosts: host, Path: "//a"}, "begins with /"}, "h": {zoho.CustomService{Hosts: host, Path: "/a%20"}, "begins with /"},
		"directory": {zoho.CustomService{Hosts: []string{"directory.zoho.com"}, Path: "/api/v1"}, ""},
	} {
		s := test.s
		s.Hosts = slices.Clone(s.Hosts)
		if err := s.Check(name); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	_, err := zoho.NewCatalog(map[string]*zoho.CustomService{"a": {Hosts: []string{"fax.zoho.com"}}, "b": {Hosts: []string{"fax.zoho.com"}}})
	if err == nil || !strings.Contains(err.Error(), "is listed for a and for b") {
		t.Error(err)
	}
	if _, err := zoho.NewCatalog(map[string]*zoho.CustomService{"a": nil}); err == nil {
		t.Error("nil is taken")
	}
}
