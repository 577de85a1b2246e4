package zohosim_test

import (
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

const throttled = `{"error_description":"You have made too many requests continuously. Please try again after some time.","error":"Access Denied","status":"failure"}`

func TestTokenRequestsPerWindow(t *testing.T) {
	clock := newClock()
	sim := newSim(zohosim.Options{Now: clock.Now})
	refreshToken, other := sim.Grant(clientID, "", ""), sim.Grant(clientID, "", "")
	for range 10 {
		refresh(t, sim, refreshToken)
		clock.Advance(30 * time.Second)
	}
	target := usAccounts + "/oauth/v2/token?" + refreshForm(refreshToken).Encode()
	for range 3 {
		res := do(sim, request("POST", target, ""))
		if body := bodyOf(t, res); res.StatusCode != 400 || body != throttled {
			t.Fatalf("11th: got %d %q, want 400 and Access Denied", res.StatusCode, body)
		}
	}
	refresh(t, sim, other)
	clock.Advance(5*time.Minute - time.Nanosecond)
	if res := do(sim, request("POST", target, "")); res.StatusCode != 400 {
		t.Errorf("just before the window ends: got %d, want 400", res.StatusCode)
	}
	clock.Advance(time.Nanosecond)
	refresh(t, sim, refreshToken) // the first of the ten is ten minutes old
	st := sim.Stats()
	if st.TokenRequests != 16 || st.TokenResults["ok"] != 12 || st.TokenResults["throttled"] != 4 {
		t.Errorf("got %d requests, results %v", st.TokenRequests, st.TokenResults)
	}
	if st.ByRefreshToken[refreshToken] != 15 || st.ByRefreshToken[other] != 1 {
		t.Errorf("by refresh token: got %v", st.ByRefreshToken)
	}
}

// Sticky: who goes on calling stays out.
func TestStickyThrottle(t *testing.T) {
	clock := newClock()
	sim := newSim(zohosim.Options{Now: clock.Now, MaxTokens: 1, Sticky: true, Variants: []string{"throttle-200"}})
	form := refreshForm(sim.Grant(clientID, "", ""))
	tokenReply(t, sim, usAccounts, form)
	for range 5 {
		clock.Advance(6 * time.Minute)
		res := do(sim, request("POST", usAccounts+"/oauth/v2/token?"+form.Encode(), ""))
		if body := bodyOf(t, res); res.StatusCode != 200 || body != throttled {
			t.Fatalf("got %d %q, want 200 and Access Denied", res.StatusCode, body)
		}
	}
	clock.Advance(10 * time.Minute)
	if reply := tokenReply(t, sim, usAccounts, form); reply["access_token"] == nil {
		t.Errorf("after ten minutes of silence: got %v", reply)
	}
}

func TestRequestsThatFailDoNotCountAgainstTheWindow(t *testing.T) {
	sim := newSim(zohosim.Options{MaxTokens: 1})
	refreshToken := sim.Grant(clientID, "", "")
	bad := refreshForm(refreshToken)
	bad.Set("client_secret", "wrong")
	for range 20 {
		tokenReply(t, sim, usAccounts, bad)
	}
	refresh(t, sim, refreshToken)
}

func TestLiveAccessTokens(t *testing.T) {
	sim := newSim(zohosim.Options{MaxTokens: -1})
	refreshToken := sim.Grant(clientID, "", "")
	var tokens []string
	for range 12 {
		tokens = append(tokens, refresh(t, sim, refreshToken))
	}
	for i, access := range tokens {
		want := 204
		if i < 2 { // the 11th killed the first, the 12th the second
			want = 401
		}
		wantStatus(t, call(sim, "GET", "https://www.zohoapis.com/crm/v8/Leads", access, ""), want)
	}
	if st := sim.Stats(); st.LiveTokens != 10 || st.LiveByRefreshToken[refreshToken] != 10 || st.TokensIssued != 12 {
		t.Errorf("got %d live (%v) of %d", st.LiveTokens, st.LiveByRefreshToken, st.TokensIssued)
	}
}

func TestExpiry(t *testing.T) {
	clock := newClock()
	sim := newSim(zohosim.Options{Now: clock.Now, TokenLife: 90 * time.Second})
	refreshToken := sim.Grant(clientID, "", "")
	reply := tokenReply(t, sim, usAccounts, refreshForm(refreshToken))
	if reply["expires_in"] != 90.0 {
		t.Errorf("expires_in: got %v, want 90", reply["expires_in"])
	}
	access := reply["access_token"].(string)
	clock.Advance(90*time.Second - 1)
	wantStatus(t, call(sim, "GET", "https://www.zohoapis.com/crm/v8/Leads", access, ""), 204)
	clock.Advance(1)
	wantStatus(t, call(sim, "GET", "https://www.zohoapis.com/crm/v8/Leads", access, ""), 401)
	if st := sim.Stats(); st.LiveTokens != 0 {
		t.Errorf("live tokens: got %d, want 0", st.LiveTokens)
	}
}

// The 21st refresh token of a user and client kills the first, even if in use, and its access tokens.
func TestRefreshTokensPerUser(t *testing.T) {
	sim := newSim(zohosim.Options{})
	first := sim.Grant(clientID, "", "")
	access := refresh(t, sim, first)
	others := sim.Grant(clientID, "someone@else.example", "")
	for range 19 {
		sim.Grant(clientID, "", "")
	}
	refresh(t, sim, first)
	last := sim.Grant(clientID, "", "")
	if reply := tokenReply(t, sim, usAccounts, refreshForm(first)); reply["error"] != "invalid_code" {
		t.Errorf("the first: got %v, want invalid_code", reply)
	}
	wantStatus(t, call(sim, "GET", "https://www.zohoapis.com/crm/v8/Leads", access, ""), 401)
	refresh(t, sim, last)
	refresh(t, sim, others)
	if st := sim.Stats(); st.Evicted != 1 || st.Grants != 21 {
		t.Errorf("got %d evicted and %d grants, want 1 and 21", st.Evicted, st.Grants)
	}
}

func TestSelfClientCode(t *testing.T) {
	clock := newClock()
	sim := newSim(zohosim.Options{Now: clock.Now})
	exchange := func(code, redirect string) map[string]any {
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {clientID},
			"client_secret": {secret}}
		if redirect != "" {
			form.Set("redirect_uri", redirect)
		}
		return tokenReply(t, sim, usAccounts, form)
	}
	code := sim.SelfClientCode(clientID, "ZohoCRM.modules.ALL")
	if reply := exchange(code, callback); reply["error"] != "invalid_redirect_uri" {
		t.Errorf("with a redirect URI: got %v", reply)
	}
	reply := exchange(code, "")
	if reply["refresh_token"] == nil || reply["access_token"] == nil {
		t.Fatalf("got %v, want both tokens", reply)
	}
	refresh(t, sim, reply["refresh_token"].(string))
	if reply := exchange(code, ""); reply["error"] != "invalid_code" {
		t.Errorf("used again: got %v, want invalid_code", reply)
	}
	code = sim.SelfClientCode(clientID)
	clock.Advance(3 * time.Minute)
	if reply := exchange(code, ""); reply["error"] != "invalid_code" {
		t.Errorf("too late: got %v, want invalid_code", reply)
	}
	if st := sim.Stats(); st.Exchanges != 4 || st.Refreshes != 1 || st.TokenResults["invalid_code"] != 2 {
		t.Errorf("got %+v", st)
	}
}

func TestWhatIsDoneToGrants(t *testing.T) {
	sim := newSim(zohosim.Options{})
	ann, bob := sim.Grant(clientID, "ann", ""), sim.Grant(clientID, "bob", "")
	live := func() [2]int {
		st := sim.Stats()
		return [2]int{st.LiveByRefreshToken[ann], st.LiveByRefreshToken[bob]}
	}
	for range 3 {
		refresh(t, sim, ann)
		refresh(t, sim, bob)
	}
	for _, tt := range []struct {
		name string
		do   func() int
		n    int
		want [2]int
	}{
		{"evict everyone's oldest", func() int { return sim.Evict("") }, 2, [2]int{2, 2}},
		{"expire by user", func() int { return sim.Expire("ann") }, 2, [2]int{0, 2}},
		{"revoke access by refresh token", func() int { return sim.RevokeAccess(bob) }, 2, [2]int{0, 0}},
		{"evict where there is none", func() int { return sim.Evict(ann) }, 0, [2]int{0, 0}},
		{"nobody", func() int { return sim.Expire("carl") }, 0, [2]int{0, 0}},
		{"revoke", func() int { return sim.Revoke("bob") }, 1, [2]int{0, 0}},
	} {
		if n := tt.do(); n != tt.n || live() != tt.want {
			t.Errorf("%s: got %d, live %v, want %d, %v", tt.name, n, live(), tt.n, tt.want)
		}
	}
	refresh(t, sim, ann)
	if reply := tokenReply(t, sim, usAccounts, refreshForm(bob)); reply["error"] != "invalid_code" {
		t.Errorf("revoked: got %v", reply)
	}
	if got := sim.AccessToken(bob); got != "" {
		t.Errorf("access token of a dead grant: got %q", got)
	}
}

func TestReset(t *testing.T) {
	sim := newSim(zohosim.Options{MaxTokens: 1})
	refreshToken := sim.Grant(clientID, "", "")
	access := refresh(t, sim, refreshToken)
	call(sim, "POST", "https://www.zohoapis.com/books/v3/contacts", access, `{}`)
	sim.AddFault(zohosim.Fault{Where: "*", Kind: zohosim.FaultStatus})
	sim.Reset(false)
	res := call(sim, "GET", "https://www.zohoapis.com/books/v3/contacts", access, "")
	if contacts := at(decode(t, bodyOf(t, res)), "contacts"); len(contacts.([]any)) != 0 {
		t.Errorf("contacts: got %v, want none", contacts)
	}
	if got := sim.Stats().TokenRequests; got != 0 {
		t.Errorf("token requests: got %d, want 0", got)
	}
	refresh(t, sim, refreshToken)
	sim.Reset(true)
	if reply := tokenReply(t, sim, usAccounts, refreshForm(refreshToken)); reply["error"] != "invalid_code" {
		t.Errorf("after a complete reset: got %v, want invalid_code", reply)
	}
}

// Counts are exact with many callers at a time; the race detector watches.
func TestManyCallers(t *testing.T) {
	sim := newSim(zohosim.Options{MaxTokens: 7})
	base := start(t, sim)
	refreshToken := sim.Grant(clientID, "", "")
	access := sim.AccessToken(refreshToken)
	const callers = 40
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			tokenReply(t, sim, base, refreshForm(refreshToken))
			call(sim, "POST", base+"/books/v3/items", access, `{"name":"x"}`, "X-Test-Id", "many")
			call(sim, "GET", base+"/crm/v8/Leads", "1000.dead", "")
			sim.Stats()
		})
	}
	wg.Wait()
	st := sim.Stats()
	if st.TokenRequests != callers || st.TokenResults["ok"] != 7 || st.TokenResults["throttled"] != callers-7 {
		t.Errorf("token requests: got %d, %v", st.TokenRequests, st.TokenResults)
	}
	if st.Executed["many"] != callers || st.Writes["books/items"] != callers || st.Accepted["books"] != callers {
		t.Errorf("executed: got %v, %v, %v", st.Executed, st.Writes, st.Accepted)
	}
	if st.Refusals["crm/dead"] != callers || st.APIRequests["crm"] != callers {
		t.Errorf("refusals: got %v of %v", st.Refusals, st.APIRequests)
	}
}

func TestOptionsThatDoNotExist(t *testing.T) {
	for _, o := range []zohosim.Options{
		{Consent: "maybe"}, {DataCenter: "mars"}, {UserDataCenter: "mars"}, {Variants: []string{"nonesuch"}},
	} {
		if o.Check() == nil {
			t.Errorf("%+v: got no error", o)
		}
		mustPanic(t, func() { zohosim.New(o) })
	}
	sim := newSim(zohosim.Options{})
	mustPanic(t, func() { sim.Grant("1000.NOBODY", "", "") })
	mustPanic(t, func() { sim.Grant(clientID, "", "mars") })
	mustPanic(t, func() { sim.GrantAs(zohosim.GrantSpec{ClientID: clientID, Environment: "beta"}) })
	mustPanic(t, func() { sim.SelfClientCode("1000.NOBODY") })
	mustPanic(t, func() { sim.AddFault(zohosim.Fault{Where: "*", Kind: "nonesuch"}) })
	mustPanic(t, func() { sim.AddFault(zohosim.Fault{Where: "nowhere", Kind: "hang"}) })
	mustPanic(t, func() { sim.Change(func(o *zohosim.Options) { o.Consent = "maybe" }) })
}

func mustPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("got no panic")
		}
	}()
	f()
}
