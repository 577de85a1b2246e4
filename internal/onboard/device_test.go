package onboard

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

const deviceID = "1004.DEVICE"

// deviceTest is a client that may ask for device codes, at a simulator without a network.
type deviceTest struct {
	*testing.T
	flow    *Flow
	cl      *Client
	sim     *zohosim.Server
	mu      sync.Mutex // guards all below
	steps   []DeviceStep
	polls   []string // accounts servers that were polled
	times   []time.Time
	instead func(*http.Request) *http.Response // what is answered in the simulator's place, nil for nothing
}

func newDeviceTest(t *testing.T, o zohosim.Options) *deviceTest {
	t.Helper()
	flow, cl := testClient(t)
	d := &deviceTest{T: t, flow: flow, cl: cl, sim: zohosim.New(o)}
	d.sim.AddClient(zohosim.Client{ID: deviceID, Secret: "secret", Secrets: map[string]string{"eu": "european"}, Device: true})
	cl.ID = func() string { return deviceID }
	cl.Accounts = func(dc zoho.DataCenter) (all []*zoho.Accounts) {
		for _, secret := range []string{"old secret", "european", "secret"} {
			all = append(all, &zoho.Accounts{HTTP: &http.Client{Transport: d}, DataCenter: dc, ClientID: cl.ID(), ClientSecret: secret})
		}
		return all
	}
	// The renewal by which a grant proves itself.
	cl.Cache.Fetch = func(ctx context.Context, _ tokencache.Key, g tokencache.Grant) (tokencache.Fetched, error) {
		accounts, err := cl.accounts(g)
		if err != nil {
			return tokencache.Fetched{}, err
		}
		for _, way := range cl.Accounts(accounts.DataCenter) {
			reply, failed := way.Refresh(ctx, g.RefreshToken)
			if err = failed; err == nil {
				return tokencache.Fetched{AccessToken: reply.AccessToken, Life: reply.ExpiresIn, APIDomain: reply.APIDomain}, nil
			}
		}
		return tokencache.Fetched{}, err
	}
	return d
}

// RoundTrip serves a request without a network.
func (d *deviceTest) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/device/token") {
		d.mu.Lock()
		d.polls, d.times = append(d.polls, r.URL.Host), append(d.times, time.Now())
		d.mu.Unlock()
	}
	if d.instead != nil {
		if res := d.instead(r); res != nil {
			return res, nil
		}
	}
	w := httptest.NewRecorder()
	sent := r.Clone(r.Context())
	sent.Host, sent.RequestURI = r.URL.Host, r.URL.RequestURI()
	d.sim.ServeHTTP(w, sent)
	res := w.Result()
	res.Request = r
	return res, nil
}

func says(status int, body string) *http.Response {
	w := httptest.NewRecorder()
	w.WriteHeader(status)
	_, _ = w.WriteString(body)
	return w.Result()
}

// run has a person do something once the code is told.
func (d *deviceTest) run(ctx context.Context, s DeviceStart, person func(code string)) (Result, error) {
	s.Account = "shop"
	return d.flow.Device(ctx, d.cl, s, func(step DeviceStep) error {
		d.steps = append(d.steps, step)
		if step.Step == StepCode && person != nil {
			go person(step.UserCode)
		}
		return nil
	})
}

func (d *deviceTest) accepts(spec zohosim.GrantSpec) func(string) {
	return func(code string) {
		time.Sleep(12 * time.Second)
		d.sim.AnswerDevice(code, true, spec)
	}
}

func (d *deviceTest) wantSteps(want ...DeviceStepName) {
	d.Helper()
	var got []DeviceStepName
	for _, step := range d.steps {
		got = append(got, step.Step)
	}
	if !slices.Equal(got, want) {
		d.Errorf("steps %v, want %v", got, want)
	}
}

func (d *deviceTest) wantNothing() {
	d.Helper()
	if grant, found, err := d.flow.store.LoadGrant(d.cl.key("shop"), d.cl.Cache.Secrets()); found || err != nil {
		d.Errorf("stored: %v, %v", grant, err)
	}
	if n := d.sim.Stats().Grants; n != 0 {
		d.Errorf("%d grants live at Zoho", n)
	}
}

func inBubble(t *testing.T, o zohosim.Options, test func(d *deviceTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newDeviceTest(t, o)) })
}

// TestDevice: the grant is stored before it is said that it came, and polls keep their pace.
func TestDevice(t *testing.T) {
	inBubble(t, zohosim.Options{}, func(d *deviceTest) {
		result, err := d.run(d.Context(), DeviceStart{}, d.accepts(zohosim.GrantSpec{User: "ann@example.com"}))
		if err != nil || result.Account != "shop" || result.DataCenter != "us" || len(result.Scopes) != 1 {
			d.Fatalf("%+v, %v", result, err)
		}
		d.wantSteps(StepCode)
		if step := d.steps[0]; step.VerificationURL != "https://accounts.zoho.com/oauth/v3/device" || time.Until(step.Expires) < 4*time.Minute {
			d.Errorf("%+v", step)
		}
		for i := 1; i < len(d.times); i++ {
			if gap := d.times[i].Sub(d.times[i-1]); gap != 0 && gap < 5*time.Second { // 0: another secret
				d.Errorf("polled after %v", gap)
			}
		}
		grant, found, err := d.flow.store.LoadGrant(d.cl.key("shop"), d.cl.Cache.Secrets())
		if !found || err != nil || grant.AccountsServer != "https://accounts.zoho.com" {
			d.Errorf("%v %v %v", grant, found, err)
		}
		if grants := d.sim.Issued(); !slices.Contains(grants.RefreshTokens, grant.RefreshToken) {
			d.Error("another refresh token is stored")
		}
	})
}

// TestDeviceElsewhere: the person's data center is polled from then on, with its secret, and owns the grant.
func TestDeviceElsewhere(t *testing.T) {
	inBubble(t, zohosim.Options{}, func(d *deviceTest) {
		result, err := d.run(d.Context(), DeviceStart{}, d.accepts(zohosim.GrantSpec{DataCenter: "eu"}))
		if err != nil || result.DataCenter != "eu" {
			d.Fatalf("%+v, %v", result, err)
		}
		d.wantSteps(StepCode, StepDataCenter)
		grant, _, _ := d.flow.store.LoadGrant(d.cl.key("shop"), d.cl.Cache.Secrets())
		if grant.AccountsServer != "https://accounts.zoho.eu" || grant.APIDomain != "https://www.zohoapis.eu" {
			d.Errorf("%s, %s", grant.AccountsServer, grant.APIDomain)
		}
	})
}

// TestDeviceInUnknownDataCenter: neither code nor secret goes where the client is not, whatever a server says.
func TestDeviceInUnknownDataCenter(t *testing.T) {
	for location, says := range map[string]string{
		"in": "`data_center us eu in`", "cn": "client of its own", "xx": `"xx", which is not known`,
		"https://accounts.zoho.com.evil.example": "which is not known", "": "which is not known",
	} {
		inBubble(t, zohosim.Options{}, func(d *deviceTest) {
			d.instead = func(r *http.Request) *http.Response {
				if strings.HasSuffix(r.URL.Path, "/device/token") {
					return saysOther(location)
				}
				return nil
			}
			_, err := d.run(d.Context(), DeviceStart{}, nil)
			if !refusedBy(err, "data-center-not-configured", says) {
				d.Errorf("%s: %v", location, err)
			}
			if len(d.polls) != 1 || d.polls[0] != "accounts.zoho.com" {
				d.Errorf("polled at %v", d.polls)
			}
			d.wantNothing()
		})
	}
}

func saysOther(location string) *http.Response {
	return says(200, `{"error":"other_dc","user_location":"`+location+`"}`)
}

// TestDeviceRefused: denial, expiry, and what Zoho will say again end it; nothing is left.
func TestDeviceRefused(t *testing.T) {
	inBubble(t, zohosim.Options{}, func(d *deviceTest) {
		_, err := d.run(d.Context(), DeviceStart{}, func(code string) { d.sim.AnswerDevice(code, false, zohosim.GrantSpec{}) })
		if !refusedBy(err, "denied", "refused") {
			d.Error(err)
		}
		d.wantNothing()
	})
	inBubble(t, zohosim.Options{}, func(d *deviceTest) {
		began := time.Now()
		_, err := d.run(d.Context(), DeviceStart{}, nil)
		if !refusedBy(err, "expired", "expired before anybody accepted") {
			d.Error(err)
		}
		if took := time.Since(began); took < 290*time.Second || took > 301*time.Second {
			d.Errorf("after %v", took)
		}
		d.wantNothing()
	})
	for body, want := range map[string]string{
		`{"error":"no_org"}`:         "no account in Zoho CRM",
		`{"error":"invalid_client"}`: "client id",
		`{"error":"whatever_this"}`:  "whatever_this",
	} {
		inBubble(t, zohosim.Options{}, func(d *deviceTest) {
			d.instead = func(r *http.Request) *http.Response {
				if strings.HasSuffix(r.URL.Path, "/device/token") {
					return says(200, body)
				}
				return nil
			}
			if _, err := d.run(d.Context(), DeviceStart{}, nil); err == nil || !strings.Contains(err.Error(), want) || len(d.polls) != 1 {
				d.Errorf("%s: %v after %d polls", body, err, len(d.polls))
			}
		})
	}
}

// TestDeviceSlowDown: RFC 8628 adds five seconds for good at each slow_down.
func TestDeviceSlowDown(t *testing.T) {
	inBubble(t, zohosim.Options{}, func(d *deviceTest) {
		n := 0
		d.instead = func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.URL.Path, "/device/token") {
				if n++; n <= 2 {
					return says(200, `{"error":"slow_down"}`)
				}
			}
			return nil
		}
		if _, err := d.run(d.Context(), DeviceStart{}, d.accepts(zohosim.GrantSpec{})); err != nil {
			d.Fatal(err)
		}
		d.wantSteps(StepCode, StepSlowDown, StepSlowDown)
		for i, want := range []time.Duration{10 * time.Second, 15 * time.Second} {
			if gap := d.times[i+1].Sub(d.times[i]); gap != want {
				d.Errorf("poll %d came after %v, want %v", i+2, gap, want)
			}
		}
		if d.steps[2].Seconds != 15 {
			d.Errorf("%+v", d.steps[2])
		}
	})
}

// TestDeviceInTrouble: what says nothing of the flow does not end it, and is told once.
func TestDeviceInTrouble(t *testing.T) {
	for name, answer := range map[string]struct {
		status int
		body   string
	}{
		"503": {503, "x"}, "page": {200, "<html></html>"}, "general_error": {200, `{"error":"general_error"}`},
		"throttle": {400, `{"error":"Access Denied","error_description":"You have made too many requests continuously.","status":"failure"}`},
	} {
		inBubble(t, zohosim.Options{}, func(d *deviceTest) {
			n := 0
			d.instead = func(r *http.Request) *http.Response {
				if strings.HasSuffix(r.URL.Path, "/device/token") {
					if n++; n <= 3 {
						return says(answer.status, answer.body)
					}
				}
				return nil
			}
			if _, err := d.run(d.Context(), DeviceStart{}, d.accepts(zohosim.GrantSpec{})); err != nil {
				d.Fatalf("%s: %v", name, err)
			}
			d.wantSteps(StepCode, StepTrouble)
			if name == "throttle" && d.times[1].Sub(d.times[0]) < throttledPace {
				d.Errorf("polled again after %v", d.times[1].Sub(d.times[0]))
			}
		})
	}
}

// TestDeviceLeft: when nobody waits any more, or the process stops, the polls end, and what came in that moment is given back.
func TestDeviceLeft(t *testing.T) {
	for name, leave := range map[string]struct {
		code  string
		leave func(d *deviceTest, cancel func())
	}{
		"interrupted": {"interrupted", func(_ *deviceTest, cancel func()) { cancel() }},
		"closed":      {"closed", func(d *deviceTest, _ func()) { d.flow.Close() }},
	} {
		inBubble(t, zohosim.Options{}, func(d *deviceTest) {
			ctx, cancel := context.WithCancel(d.Context())
			_, err := d.run(ctx, DeviceStart{}, func(string) { time.Sleep(7 * time.Second); leave.leave(d, cancel) })
			polls := len(d.polls)
			time.Sleep(time.Minute)
			if !hasCode(err, leave.code) || len(d.polls) != polls {
				d.Errorf("%s: %v, and %d polls came later", name, err, len(d.polls)-polls)
			}
			d.wantNothing()
		})
		inBubble(t, zohosim.Options{}, func(d *deviceTest) {
			ctx, cancel := context.WithCancel(d.Context())
			d.instead = func(r *http.Request) *http.Response {
				if strings.HasSuffix(r.URL.Path, "/device/token") && d.sim.Stats().DevicePolls > 0 {
					leave.leave(d, cancel) // while the poll that brings the grant is on its way
				}
				return nil
			}
			_, err := d.run(ctx, DeviceStart{}, func(code string) { d.sim.AnswerDevice(code, true, zohosim.GrantSpec{}) })
			if !hasCode(err, leave.code) || len(d.sim.Issued().RefreshTokens) != 1 {
				d.Errorf("%s: %v", name, err)
			}
			d.wantNothing()
		})
	}
	inBubble(t, zohosim.Options{}, func(d *deviceTest) {
		gone := errors.New("gone")
		_, err := d.flow.Device(d.Context(), d.cl, DeviceStart{Account: "shop"}, func(DeviceStep) error { return gone })
		if !errors.Is(err, gone) || len(d.polls) != 0 {
			d.Errorf("%v after %d polls", err, len(d.polls))
		}
	})
}

// TestDeviceReload: a reload keeps the flow, unless it takes the client or the data center away.
func TestDeviceReload(t *testing.T) {
	for name, test := range map[string]struct {
		change func(cl *Client) []*Client
		code   string
	}{
		"the same":  {func(cl *Client) []*Client { again := *cl; return []*Client{&again} }, ""},
		"no client": {func(*Client) []*Client { return nil }, "client-changed"},
		"another id": {func(cl *Client) []*Client {
			other := *cl
			other.ID = func() string { return "1004.OTHER" }
			return []*Client{&other}
		}, "client-changed"},
		"no data center": {func(cl *Client) []*Client { other := *cl; other.Centers = cl.Centers[1:]; return []*Client{&other} }, "data-center-not-configured"},
	} {
		inBubble(t, zohosim.Options{}, func(d *deviceTest) {
			var now atomic.Pointer[[]*Client]
			now.Store(&[]*Client{d.cl})
			d.flow.Clients = func() []*Client { return *now.Load() }
			_, err := d.run(d.Context(), DeviceStart{}, func(code string) {
				time.Sleep(7 * time.Second)
				changed := test.change(d.cl)
				now.Store(&changed)
				d.sim.AnswerDevice(code, true, zohosim.GrantSpec{})
			})
			if (err == nil) != (test.code == "") || err != nil && !hasCode(err, test.code) {
				d.Errorf("%s: %v", name, err)
			}
		})
	}
}

// TestDeviceTwice: two flows of one account do not hinder each other; somebody else is asked about.
func TestDeviceTwice(t *testing.T) {
	inBubble(t, zohosim.Options{}, func(d *deviceTest) {
		d.cl.Scopes = []string{"ZohoCRM.modules.ALL", zoho.ScopeProfile}
		type outcome struct {
			Result
			error
		}
		outcomes := make(chan outcome, 2)
		for _, user := range []string{"ann@example.com", "ben@example.com"} {
			go func() {
				tell := func(step DeviceStep) error {
					d.sim.AnswerDevice(step.UserCode, true, zohosim.GrantSpec{User: user})
					return nil
				}
				if user == "ben@example.com" {
					time.Sleep(time.Second)
				}
				result, err := d.flow.Device(d.Context(), d.cl, DeviceStart{Account: "shop"}, tell)
				outcomes <- outcome{result, err}
			}()
		}
		first, second := <-outcomes, <-outcomes
		if first.error != nil || first.User != "ann@example.com" {
			d.Errorf("%+v", first)
		}
		if !hasCode(second.error, "other-user") {
			d.Fatalf("%+v", second)
		}
		if result, err := d.flow.Confirm(d.Context(), d.cl, asError(second.error).Confirm, "", true); err != nil || result.User != "ben@example.com" {
			d.Errorf("%+v, %v", result, err)
		}
	})
}

// TestDeviceRefusedAtOnce: what is plain before is refused before Zoho is asked.
func TestDeviceRefusedAtOnce(t *testing.T) {
	inBubble(t, zohosim.Options{}, func(d *deviceTest) {
		device := func(account string) error {
			_, err := d.flow.Device(d.Context(), d.cl, DeviceStart{Account: account}, func(DeviceStep) error { return errors.New("told") })
			return err
		}
		if err := device("configured"); !hasCode(err, "configured") {
			d.Error(err)
		}
		if err := device("no name"); !hasCode(err, "account-name") {
			d.Error(err)
		}
		d.cl.Scopes = nil
		if err := device("shop"); !hasCode(err, "no-scopes") {
			d.Error(err)
		}
		if n := d.sim.Stats().DeviceCodes; n != 0 {
			d.Errorf("Zoho was asked for %d codes", n)
		}
		d.cl.Scopes = []string{"ZohoCRM.modules.ALL"}
		for range maxStarts {
			_ = device("shop")
		}
		if err := device("shop"); !hasCode(err, "starts") || d.sim.Stats().DeviceCodes != maxStarts {
			d.Errorf("%v after %d codes", err, d.sim.Stats().DeviceCodes)
		}
	})
}

// TestDeviceClient: Zoho's invalid_client and invalid_scope are explained.
func TestDeviceClient(t *testing.T) {
	inBubble(t, zohosim.Options{UnknownScopes: []string{"ZohoCRM.module.ALL", "Desk.ticket.READ"}}, func(d *deviceTest) {
		device := func() error { _, err := d.run(d.Context(), DeviceStart{}, nil); return err }
		d.cl.Scopes = []string{"ZohoCRM.users.READ", "ZohoCRM.module.ALL", "Desk.ticket.READ"}
		err := device()
		if !refusedBy(err, "unknown-scope", `"ZohoCRM.module.ALL" (did you mean ZohoCRM.modules.ALL?), "Desk.ticket.READ" (did you mean Desk.tickets.READ?)`) {
			d.Error(err)
		}
		d.cl.ID = func() string { return "1000.SERVER" }
		if err := device(); !refusedBy(err, "device-client", "type Non-browser Applications, whose ids begin with 1004.") {
			d.Error(err)
		}
		d.cl.ID = func() string { return "1004.UNKNOWN" }
		if err := device(); !refusedBy(err, "device-client", "It is known at eu.") {
			d.Error(err)
		}
		d.wantNothing()
	})
}
