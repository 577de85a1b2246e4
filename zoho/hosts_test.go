package zoho_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// TestHosts: what a firewall has to let through is complete, and nothing else.
func TestHosts(t *testing.T) {
	files := map[string]string{
		"us": "content.zohoapis.com download-accl.zoho.com download.zoho.com upload.zoho.com workdrive.zoho.com",
		"ca": "download-accl.zohocloud.ca download.zohocloud.ca upload.zohocloud.ca workdrive.zohocloud.ca",
		"sa": "download-accl.zoho.sa files.zoho.sa upload.zoho.sa workdrive.zoho.sa",
		"uk": "download-accl.zoho.uk download.zoho.uk upload.zoho.uk workdrive.zoho.uk",
		"cn": "content.zohoapis.com.cn download-accl.zoho.com.cn download.zoho.com.cn upload.zoho.com.cn workdrive.zoho.com.cn",
	}
	for _, dc := range zoho.DataCenters() {
		var names, held []string
		for _, h := range dc.Hosts() {
			names = append(names, h.Name)
			if !zoho.IsHost(h.Name) || h.Accounts != ("https://"+h.Name == dc.Accounts) {
				t.Errorf("%s: got %+v", dc.Code, h)
			}
			found, ok := dc.FileHost(h.Name)
			if ok != h.Files || ok && found != h {
				t.Errorf("%s: got %+v, %v", h.Name, found, ok)
			}
			if h.Files {
				held = append(held, h.Name)
			}
		}
		if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("%s: got %q, want each once, by name", dc.Code, names)
		}
		if want, ok := files[dc.Code]; ok && strings.Join(held, " ") != want {
			t.Errorf("%s: hosts for files are %q, want %q", dc.Code, held, want)
		}
		if gateway := strings.TrimPrefix(dc.API, "https://"); gateway != "" && !slices.Contains(names, gateway) {
			t.Errorf("%s: no %s among %q", dc.Code, gateway, names)
		}
	}
	us := mustDC(t, "us")
	for _, name := range []string{"", "Download.zoho.com", "download.zoho.com.", "download.zoho.com:443", "download.zoho.eu", "desk.zoho.com",
		"www.zohoapis.com", "accounts.zoho.com", "evil.tld"} {
		if h, ok := us.FileHost(name); ok {
			t.Errorf("%q: got %+v, want no host for files of us", name, h)
		}
	}
	custom := mustDC(t, "custom")
	if _, ok := custom.FileHost("download.zoho.com"); ok || custom.Hosts() != nil {
		t.Error("a custom data center has hosts of Zoho's")
	}
}
