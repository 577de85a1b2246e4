package zohosim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

const (
	deviceID   = "1004.DEVICE"
	euAccounts = "https://accounts.zoho.eu"
)

// newDeviceSim has a client of each type and a clock.
func newDeviceSim(o zohosim.Options) (*zohosim.Server, *clock) {
	clock := newClock()
	o.Now = clock.Now
	sim := newSim(o)
	sim.AddClient(zohosim.Client{ID: deviceID, Secret: secret, Device: true, DataCenters: []string{"us", "eu"}})
	return sim, clock
}

func post(t *testing.T, sim http.Handler, target string, form url.Values) map[string]any {
	t.Helper()
	return decode(t, bodyOf(t, do(sim, request("POST", target, form.Encode(), "Content-Type", "application/x-www-form-urlencoded"))))
}

func startDevice(t *testing.T, sim http.Handler, change ...string) map[string]any {
	t.Helper()
	form := url.Values{"grant_type": {"device_request"}, "client_id": {deviceID}, "scope": {"ZohoCRM.modules.ALL,Desk.tickets.READ"},
		"access_type": {"offline"}, "prompt": {"consent"}}
	for i := 0; i+1 < len(change); i += 2 {
		form.Set(change[i], change[i+1])
	}
	return post(t, sim, usAccounts+"/oauth/v3/device/code", form)
}

func poll(t *testing.T, sim http.Handler, accounts string, started map[string]any) map[string]any {
	t.Helper()
	return post(t, sim, accounts+"/oauth/v3/device/token", url.Values{"grant_type": {"device_token"}, "client_id": {deviceID},
		"client_secret": {secret}, "code": {started["device_code"].(string)}})
}

func wantError(t *testing.T, reply map[string]any, want string) {
	t.Helper()
	if got, _ := reply["error"].(string); got != want {
		t.Fatalf("got %v, want %q", reply, want)
	}
}

// A device flow from the code to the tokens, with the times in milliseconds.
func TestDeviceFlow(t *testing.T) {
	sim, clock := newDeviceSim(zohosim.Options{})
	started := startDevice(t, sim)
	if started["interval"] != 5000.0 || started["expires_in"] != 300000.0 || started["verification_url"] != usAccounts+"/oauth/v3/device" {
		t.Fatalf("got %v", started)
	}
	clock.Advance(5 * time.Second)
	wantError(t, poll(t, sim, usAccounts, started), "authorization_pending")
	page := bodyOf(t, do(sim, request("GET", started["verification_uri_complete"].(string), "")))
	for _, want := range []string{deviceID, "ZohoCRM.modules.ALL", `value="accept"`, started["user_code"].(string)} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	typed := strings.ToLower(strings.Replace(started["user_code"].(string), "-", " ", 1))
	form := url.Values{"user_code": {typed}, "decision": {"accept"}, "user": {"ann@example.com"}}.Encode()
	res := do(sim, request("POST", usAccounts+"/oauth/v3/device", form, "Content-Type", "application/x-www-form-urlencoded"))
	if page := bodyOf(t, res); !strings.Contains(page, "Done.") {
		t.Fatal(page)
	}
	clock.Advance(5 * time.Second)
	reply := poll(t, sim, usAccounts, started)
	if reply["refresh_token"] == nil || reply["expires_in"] != 3600.0 || reply["scope"] != "ZohoCRM.modules.ALL Desk.tickets.READ" {
		t.Fatalf("got %v", reply)
	}
	if got := call(sim, "GET", "https://www.zohoapis.com/crm/v8/Leads", reply["access_token"].(string), "").Header.Get("X-Sim-User"); got != "ann@example.com" {
		t.Errorf("user: got %q", got)
	}
	wantError(t, poll(t, sim, usAccounts, started), "invalid_code")
	if st := sim.Stats(); st.DeviceCodes != 1 || st.DevicePolls != 3 || st.TokenRequests != 0 || st.Grants != 1 {
		t.Errorf("%+v", st)
	}
}

func TestDeviceRefusals(t *testing.T) {
	sim, clock := newDeviceSim(zohosim.Options{UnknownScopes: []string{"ZohoCRM.module.ALL"}})
	wantError(t, startDevice(t, sim, "client_id", clientID), "invalid_client") // a self client
	wantError(t, startDevice(t, sim, "client_id", "1004.NOBODY"), "invalid_client")
	wantError(t, startDevice(t, sim, "scope", "ZohoCRM.modules.ALL,ZohoCRM.module.ALL"), "invalid_scope")
	wantError(t, startDevice(t, sim, "scope", ""), "invalid_scope")
	wantStatus(t, do(sim, request("GET", usAccounts+"/oauth/v3/device/code", "")), 400)

	started := startDevice(t, sim)
	sim.AnswerDevice(started["user_code"].(string), false, zohosim.GrantSpec{})
	clock.Advance(5 * time.Second)
	wantError(t, poll(t, sim, usAccounts, started), "access_denied")
	if sim.AnswerDevice(started["user_code"].(string), true, zohosim.GrantSpec{}) {
		t.Error("a code that was refused is good")
	}

	started = startDevice(t, sim)
	clock.Advance(5 * time.Minute)
	wantError(t, poll(t, sim, usAccounts, started), "expired")
	res := do(sim, request("GET", started["verification_uri_complete"].(string), ""))
	if page := bodyOf(t, res); res.StatusCode != 400 || !strings.Contains(page, "not valid") {
		t.Errorf("%d %s", res.StatusCode, page)
	}
	if st := sim.Stats(); st.Grants != 0 {
		t.Errorf("%d grants", st.Grants)
	}
}

// Who polls too soon has to wait five seconds longer from then on.
func TestDeviceSlowDown(t *testing.T) {
	sim, clock := newDeviceSim(zohosim.Options{})
	started := startDevice(t, sim)
	wantError(t, poll(t, sim, usAccounts, started), "slow_down")
	clock.Advance(5 * time.Second)
	wantError(t, poll(t, sim, usAccounts, started), "slow_down")
	clock.Advance(15 * time.Second)
	wantError(t, poll(t, sim, usAccounts, started), "authorization_pending")
}

// An account of another data center is polled for there.
func TestDeviceElsewhere(t *testing.T) {
	sim, clock := newDeviceSim(zohosim.Options{})
	started := startDevice(t, sim)
	sim.AnswerDevice(started["user_code"].(string), true, zohosim.GrantSpec{DataCenter: "eu"})
	clock.Advance(5 * time.Second)
	reply := poll(t, sim, usAccounts, started)
	if wantError(t, reply, "other_dc"); reply["user_location"] != "eu" {
		t.Fatalf("got %v", reply)
	}
	clock.Advance(5 * time.Second)
	wantError(t, poll(t, sim, "https://accounts.zoho.in", started), "invalid_client") // not enabled
	reply = poll(t, sim, euAccounts, started)
	if reply["api_domain"] != "https://www.zohoapis.eu" || reply["refresh_token"] == nil {
		t.Fatalf("got %v", reply)
	}
}
