package zoho_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// uploadHosts are where the CRM takes files, from Zoho's own SDK (lib/routes/dc).
var uploadHosts = map[string]string{
	"us": "content.zohoapis.com", "eu": "content.zohoapis.eu", "in": "content.zohoapis.in", "au": "content.zohoapis.com.au",
	"jp": "content.zohoapis.jp", "cn": "content.zohoapis.com.cn", "ca": "upload.zohocloud.ca", "sa": "files.zoho.sa",
}

// TestUploadByPath: the CRM's uploads go where they are taken, and nowhere in silence.
func TestUploadByPath(t *testing.T) {
	for _, dc := range zoho.DataCenters() {
		for _, path := range []string{"/crm/v8/upload", "/crm/v2.1/upload"} {
			for _, domain := range []string{"", dc.API, strings.Replace(dc.API, "www.", "sandbox.", 1)} {
				got, err := dc.RoutePath(path, zoho.RouteOptions{Method: http.MethodPost, APIDomain: domain})
				want := uploadHosts[dc.Code]
				if want == "" && !errors.Is(err, zoho.ErrServiceUnknown) || want != "" && (err != nil || got != zoho.Target{Service: "crm", Scheme: "https", Host: want}) {
					t.Errorf("%s, %s: %+v, %v", dc.Code, path, got, err)
				}
			}
		}
	}
	eu, custom := mustDC(t, "eu"), mustDC(t, "custom")
	for _, call := range []struct{ method, path string }{
		{"GET", "/crm/v8/upload"}, {"", "/crm/v8/upload"}, {"PUT", "/crm/v8/upload"}, {"POST", "/crm/v8/upload/"}, {"POST", "/crm/v8/upload/x"},
		{"POST", "/crm/v8/uploads"}, {"POST", "/crm/upload"}, {"POST", "/crm/bulk/v8/upload"}, {"POST", "/crm/v8/Upload"}, {"POST", "/crm/v8//upload"},
		{"POST", "/crm/x/upload"}, {"POST", "/bigin/v2/upload"}, {"POST", "/crm/v8/../v8/upload"}, {"POST", "/crm/v8/upload;x"},
	} {
		if got, err := eu.RoutePath(call.path, zoho.RouteOptions{Method: call.method}); err != nil || got.Host != "www.zohoapis.eu" {
			t.Errorf("%v: %+v, %v", call, got, err)
		}
	}
	if got, err := custom.RoutePath("/crm/v8/upload", zoho.RouteOptions{Method: "POST"}); err != nil || "http://"+got.Host != custom.API {
		t.Errorf("two URLs: %+v, %v", got, err)
	}
	books := zoho.RouteOptions{Method: "POST", Allowed: func(s string) bool { return s == "books" }}
	if _, err := eu.RoutePath("/crm/v8/upload", books); !errors.Is(err, zoho.ErrServiceUnknown) {
		t.Errorf("a service that is not served: %v", err)
	}
}

// TestFileHosts: each host for files is reached by its name, in its own data center alone, and no other
// host is.
func TestFileHosts(t *testing.T) {
	hosts := make(map[string]string) // data center by host
	for _, dc := range zoho.DataCenters() {
		labels := []string{"upload", "download-accl", "workdrive", "download"}
		if dc.Code == "ae" || dc.Code == "sa" {
			labels[3] = "files"
		}
		for _, label := range labels {
			hosts[label+"."+dc.Suffix] = dc.Code
		}
		if name := uploadHosts[dc.Code]; name != "" {
			hosts[name] = dc.Code
		}
	}
	for _, dc := range zoho.DataCenters() {
		own := 0
		for _, other := range zoho.DataCenters() {
			for _, h := range other.Hosts() {
				path := "/_host/" + h.Name + "/workdrive/api/v1/files"
				got, err := dc.RoutePath(path, zoho.RouteOptions{})
				if hosts[h.Name] != dc.Code {
					if !errors.Is(err, zoho.ErrServiceUnknown) || got != (zoho.Target{}) {
						t.Errorf("%s, %s: %+v, %v", dc.Code, path, got, err)
					}
					continue
				}
				own++
				if err != nil || got.Host != h.Name || got.Service != "workdrive" || !got.Foreign || got.Rewrite(path+"?a") != "/workdrive/api/v1/files?a" {
					t.Errorf("%s, %s: %+v, %v", dc.Code, path, got, err)
				}
				byHost, _, err := dc.RouteHost(h.Name, "/v2/crm/1/bulk-write/2/2.zip", zoho.RouteOptions{})
				byPath, failed := dc.RoutePath("/_host/"+h.Name+"/v2/crm/1/bulk-write/2/2.zip", zoho.RouteOptions{})
				if (err == nil) != (failed == nil) || byHost.Service != byPath.Service || byHost.Host != byPath.Host {
					t.Errorf("%s by host: %+v, %v, by path %+v, %v", h.Name, byHost, err, byPath, failed)
				}
			}
		}
		if own < 4 {
			t.Errorf("%s has %d hosts for files", dc.Code, own)
		}
	}
}

// TestFileHostToTheLetter: a name that somebody could read as another one is none.
func TestFileHostToTheLetter(t *testing.T) {
	eu := mustDC(t, "eu")
	for _, name := range []string{
		"", ".", "..", "DOWNLOAD.zoho.eu", "download.zoho.eu.", "download.zoho.eu:443", "download.zoho.eu:80", "download%2ezoho.eu", "download.zoho.eu%2f",
		"download.zoho.eu;x", "download.zoho.eu%00", "download.zoho.eu@evil.example", "evil.example@download.zoho.eu", "evil.example", "download.zoho.eu.evil.example",
		"download.zoho.com", "download.zoho.eu%2f..%2f..", `download.zoho.eu\`, " download.zoho.eu", "download.zoho.eu ", "www.zohoapis.eu", "zohoapis.eu",
		"sandbox.zohoapis.eu", "accounts.zoho.eu", "desk.zoho.eu", "crm.zoho.eu", "127.0.0.1", "localhost", "[::1]", "http:", "https:", "unheard-of.zoho.eu", "_host",
	} {
		for _, rest := range []string{"", "/", "/v1/workdrive/download/1", "//download.zoho.eu/v1", "/../download.zoho.eu/x"} {
			for _, o := range []zoho.RouteOptions{{}, {AnyDataCenter: true}} {
				got, err := eu.RoutePath("/_host/"+name+rest, o)
				if !errors.Is(err, zoho.ErrServiceUnknown) || got != (zoho.Target{}) {
					t.Errorf("%q%s: %+v, %v", name, rest, got, err)
				}
			}
		}
	}
	for _, path := range []string{"/_host", "/_HOST/download.zoho.eu/x", "/%5fhost/download.zoho.eu/x", "//_host/download.zoho.eu/x", "/x/../_host/download.zoho.eu/x", "/_host//download.zoho.eu/x"} {
		if got, err := eu.RoutePath(path, zoho.RouteOptions{}); err == nil {
			t.Errorf("%s: %+v", path, got)
		}
	}
	for path, want := range map[string]string{
		"/_host/download.zoho.eu": "/", "/_host/download.zoho.eu/": "/", "/_host/download.zoho.eu//a//b%2Fc": "//a//b%2Fc", "/_host/download.zoho.eu?x": "/?x",
		"/_host/download.zoho.eu/v1/workdrive/download/a+b,(c)'": "/v1/workdrive/download/a+b,(c)'",
	} {
		asked, _, _ := strings.Cut(path, "?")
		if got, err := eu.RoutePath(asked, zoho.RouteOptions{}); err != nil || got.Rewrite(path) != want {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	if _, err := mustDC(t, "custom").RoutePath("/_host/download.zoho.com/x", zoho.RouteOptions{}); !errors.Is(err, zoho.ErrServiceUnknown) {
		t.Errorf("two URLs: %v", err)
	}
}

// TestFileHostsAreBound: the service is that of the path, and is left by no dot segment.
func TestFileHostsAreBound(t *testing.T) {
	eu := mustDC(t, "eu")
	crm := zoho.RouteOptions{Allowed: func(service string) bool { return service == "crm" }}
	for path, admitted := range map[string]bool{
		"/_host/download-accl.zoho.eu/v2/crm/1/bulk-write/2/2.zip": true, "/_host/content.zohoapis.eu/crm/v8/upload": true,
		"/_host/download.zoho.eu/v1/workdrive/download/1": false, "/_host/workdrive.zoho.eu/api/v1/files": false, "/_host/content.zohoapis.eu/books/v3": false,
		"/_host/download-accl.zoho.eu/v2/crm/../desk/1": false, "/_host/download-accl.zoho.eu/v2/crm/%2e%2e/desk/1": false,
	} {
		if _, err := eu.RoutePath(path, crm); (err == nil) != admitted {
			t.Errorf("%s: %v", path, err)
		}
	}
	_, err := eu.RoutePath("/_host/nothing/x", zoho.RouteOptions{})
	names := strings.Fields(err.Error())
	if !slices.Contains(names, "download-accl.zoho.eu") || !slices.Contains(names, "content.zohoapis.eu") || slices.Contains(names, "www.zohoapis.eu") {
		t.Errorf("the hosts are not named: %v", err)
	}
}

// TestFileHostUnnamed: who leaves out the host, or what a shared one goes by, is told what to write.
func TestFileHostUnnamed(t *testing.T) {
	eu := mustDC(t, "eu")
	for path, says := range map[string]string{
		"/_host": "the path names no host: write /_host/NAME/", "/_host/": "the path names no host: write /_host/NAME/", "/_host//x": "the path names no host",
		"/_host/content.zohoapis.eu":     "as in /_host/content.zohoapis.eu/crm/v8/upload",
		"/_host/content.zohoapis.eu/?x=": "as in /_host/content.zohoapis.eu/crm/v8/upload",
	} {
		if _, err := eu.RoutePath(path, zoho.RouteOptions{}); !errors.Is(err, zoho.ErrServiceUnknown) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
