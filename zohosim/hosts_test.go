package zohosim_test

import (
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestHosts: each product answers at its own hosts and at no others.
func TestHosts(t *testing.T) {
	sim := newSim(zohosim.Options{})
	access := map[string]string{}
	for _, dc := range []string{"us", "in", "jp", "ca", "sa", "uk", "cn"} {
		access[dc] = sim.AccessToken(sim.Grant(clientID, "", dc))
	}
	for _, tt := range []struct{ dc, url, service string }{
		{"us", "https://zohoapis.com/bookings/v1/json/workspaces", "bookings"},
		{"cn", "https://zohoapis.com.cn/payroll/v1/employees", "payroll"},
		{"us", "https://download-accl.zoho.com/v2/crm/1000/bulk-write/2000/2000.zip", "crm"},
		{"jp", "https://download-accl.zoho.jp/v1/workdrive/download/abc", "workdrive"},
		{"sa", "https://files.zoho.sa/v1/workdrive/download/abc", "workdrive"},
		{"sa", "https://download-accl.zoho.sa/v1/workdrive/download/abc", "workdrive"},
		{"ca", "https://upload.zohocloud.ca/workdrive-api/v1/stream/upload", "workdrive"},
		{"us", "https://www.workerly.zoho.com/workerly/v2/Temps", "workerly"},
		{"us", "https://payments.zoho.com/api/v1/paymentlinks", "payments"},
		{"in", "https://paymentssandbox.zoho.in/api/v1/paymentlinks", "paymentssandbox"},
		{"us", "https://sdpondemand.manageengine.com/app/it/api/v3/requests", "servicedeskplus"},
		{"uk", "https://servicedeskplus.uk/api/v3/requests", "servicedeskplus"},
		{"jp", "https://app.site24x7.jp/api/monitors", "site24x7"},
		// names that resolve to nothing, or paths that are not there
		{"ca", "https://sheet.zohocloud.ca/api/v2/workbooks", ""},
		{"uk", "https://www.zohoapis.uk/creator/v2.1/meta/applications", ""},
		{"jp", "https://payments.zoho.jp/api/v1/paymentlinks", ""},
		{"us", "https://workerly.zoho.com/workerly/v2/Temps", ""},
		{"us", "https://backstage.zoho.com/v3/portals", ""},
		{"us", "https://files.zoho.com/v1/workdrive/download/abc", ""},
		{"us", "https://www.zohoapis.com/people/api/forms", ""},
	} {
		res := call(sim, "GET", tt.url, access[tt.dc], "")
		if tt.service == "" {
			if res.StatusCode != 404 {
				t.Errorf("%s: got %d, want none there", tt.url, res.StatusCode)
			}
			continue
		}
		body := decode(t, bodyOf(t, res))
		if res.StatusCode != 200 || body["service"] != tt.service || body["data_center"] != tt.dc {
			t.Errorf("%s: got %d, %v", tt.url, res.StatusCode, body)
		}
	}
}
