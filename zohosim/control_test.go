package zohosim_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// control sends a command and gives its reply.
func control(t *testing.T, sim *zohosim.Server, want int, name, body string) map[string]any {
	t.Helper()
	method := "POST"
	if name == "stats" {
		method = "GET"
	}
	res := do(sim, request(method, "http://127.0.0.1:8900/_sim/"+name, body))
	wantStatus(t, res, want)
	return decode(t, bodyOf(t, res))
}

func TestControl(t *testing.T) {
	clock := newClock()
	sim := zohosim.New(zohosim.Options{Now: clock.Now})
	control(t, sim, 200, "client", `{"id":"1000.TESTCLIENT","secret":"test-secret","self_client":true,"redirect_uris":["`+callback+`"],"secrets":{"eu":"e"},"data_centers":["us","eu"]}`)
	grant := control(t, sim, 200, "grant", `{"client_id":"1000.TESTCLIENT","user":"ann","scopes":["ZohoCRM.modules.ALL,Desk.tickets.ALL"]}`)
	refreshToken, _ := grant["refresh_token"].(string)
	if !tokenShape.MatchString(refreshToken) || at(grant, "scopes", 1) != "Desk.tickets.ALL" ||
		grant["data_center"] != "us" {
		t.Fatalf("grant: got %v", grant)
	}
	fixed := control(t, sim, 200, "grant", `{"client_id":"1000.TESTCLIENT","user":"bob","refresh_token":"1000.fixed"}`)
	if fixed["refresh_token"] != "1000.fixed" {
		t.Errorf("fixed refresh token: got %v", fixed)
	}
	access := control(t, sim, 200, "token", `{"refresh_token":"`+refreshToken+`"}`)["access_token"].(string)
	control(t, sim, 200, "token", `{"refresh_token":"1000.fixed"}`)
	wantStatus(t, call(sim, "GET", "http://localhost/crm/v8/Leads", access, ""), 204)

	count := func(name, body string, want float64) {
		t.Helper()
		if got := control(t, sim, 200, name, body)["count"]; got != want {
			t.Errorf("%s %s: got %v, want %v", name, body, got, want)
		}
	}
	count("evict", `{"user":"bob"}`, 1)
	count("expire", `{"refresh_token":"`+refreshToken+`"}`, 1)
	wantStatus(t, call(sim, "GET", "http://localhost/crm/v8/Leads", access, ""), 401)
	count("revoke-access", ``, 0)
	count("revoke", `{"user":"ann"}`, 1)
	control(t, sim, 400, "token", `{"refresh_token":"`+refreshToken+`"}`)

	code := control(t, sim, 200, "code", `{"client_id":"1000.TESTCLIENT","data_center":"eu"}`)["code"].(string)
	form := refreshForm("")
	form.Set("grant_type", "authorization_code")
	form.Set("code", code)
	form.Set("client_secret", "e")
	if reply := tokenReply(t, sim, "https://accounts.zoho.eu", form); reply["refresh_token"] == nil {
		t.Errorf("code: got %v", reply)
	}

	control(t, sim, 200, "fault", `{"where":"crm","kind":"status","status":507,"count":2}`)
	wantStatus(t, call(sim, "GET", "http://localhost/crm/v8/Leads", access, ""), 507)
	control(t, sim, 200, "clear", `{"where":"crm"}`)
	control(t, sim, 200, "answer", `{"service":"crm","case":"dead","status":499,"content_type":"text/plain","body":"x"}`)
	wantStatus(t, call(sim, "GET", "http://localhost/crm/v8/Leads", access, ""), 499)

	stats := control(t, sim, 200, "stats", "")
	if at(stats, "faults", "crm/status") != 1.0 || at(stats, "api_requests", "crm") != 3.0 || stats["grants"] != 2.0 {
		t.Errorf("stats: got %v", stats)
	}
	control(t, sim, 200, "reset", `{"everything":true}`)
	if stats := control(t, sim, 200, "stats", ""); stats["grants"] != 0.0 || stats["token_requests"] != 0.0 {
		t.Errorf("stats after reset: got %v", stats)
	}
}

func TestControlLimits(t *testing.T) {
	sim := newSim(zohosim.Options{})
	before := control(t, sim, 200, "limits", "")
	for name, want := range map[string]any{
		"token_life_ms": 3600000.0, "max_tokens": 10.0, "token_window_ms": 600000.0, "max_live": 10.0,
		"max_grants": 20.0, "consent": "page", "sticky": false,
	} {
		if before[name] != want {
			t.Errorf("%s: got %v, want %v", name, before[name], want)
		}
	}
	after := control(t, sim, 200, "limits", `{"token_life_ms":2000,"max_tokens":-1,"consent":"auto","variants":["salesiq-400"]}`)
	if after["token_life_ms"] != 2000.0 || after["max_tokens"] != -1.0 || after["max_live"] != 10.0 {
		t.Errorf("got %v", after)
	}
	refreshToken := sim.Grant(clientID, "", "")
	for range 30 {
		if reply := tokenReply(t, sim, usAccounts, refreshForm(refreshToken)); reply["expires_in"] != 2.0 {
			t.Fatalf("got %v, want expires_in 2", reply)
		}
	}
	if got := sim.Refusal("salesiq", "dead").Status; got != 400 {
		t.Errorf("variant: got %d", got)
	}
	wantStatus(t, do(sim, request("GET", "http://sim.localhost/limits", "")), 200)
}

// TestControlOfOneClient: where there is one client, nobody need name it.
func TestControlOfOneClient(t *testing.T) {
	sim := newSim(zohosim.Options{})
	if grant := control(t, sim, 200, "grant", `{}`); grant["client_id"] != clientID {
		t.Errorf("grant: got %v", grant)
	}
	form := refreshForm("")
	form.Set("grant_type", "authorization_code")
	form.Set("code", control(t, sim, 200, "code", ``)["code"].(string))
	if reply := tokenReply(t, sim, usAccounts, form); reply["refresh_token"] == nil {
		t.Errorf("code: got %v", reply)
	}
}

func TestControlErrors(t *testing.T) {
	sim := newSim(zohosim.Options{})
	for name, bodies := range map[string][]string{
		"fault":  {`{"where":"crm"}`, `{"where":"mars","kind":"hang"}`, `{"typo":1}`, `no json`},
		"limits": {`{"consent":"maybe"}`, `{"variants":["x"]}`, `{"max_tokens":"ten"}`},
		"grant":  {`{"client_id":"1000.NOBODY"}`, `{"client_id":"1000.TESTCLIENT","data_center":"mars"}`, `[]`},
		"code":   {`{"client_id":"1000.NOBODY"}`, `[]`}, "client": {`{}`, `[]`}, "token": {`{}`, `[]`},
		"answer": {`{"service":"crm","case":"dead"}`, `{"service":"crm","case":"dead","status":401,"reason":"a\r\nb"}`, `[]`}, "clear": {`[]`}, "reset": {`[]`}, "expire": {`[]`},
	} {
		for _, body := range bodies {
			if reply := control(t, sim, 400, name, body); reply["error"] == nil {
				t.Errorf("%s %s: got %v, want an error", name, body, reply)
			}
		}
	}
	sim.AddClient(zohosim.Client{ID: "1000.SECOND", Secret: "s"})
	for _, name := range []string{"grant", "code"} {
		reply := control(t, sim, 400, name, `{}`)
		if reply["error"] != "client_id is missing: 2 clients are registered" {
			t.Errorf("%s: got %v", name, reply)
		}
	}
	control(t, sim, 404, "nonesuch", "")
	wantStatus(t, do(sim, request("GET", "http://localhost/_sim/expire", "")), 405)
	wantStatus(t, do(sim, request("POST", "http://localhost/_sim/stats", "")), 405)
	wantStatus(t, do(sim, request("POST", "http://localhost/_sim/revoke", "", "Origin", "https://evil.example")), 403)
	wantStatus(t, do(sim, request("GET", "http://localhost/_sim/", "")), 200)
}

// The clock is read for everything: moving it moves all windows.
func TestClock(t *testing.T) {
	clock := newClock()
	sim := newSim(zohosim.Options{Now: clock.Now})
	refreshToken := sim.Grant(clientID, "", "")
	refresh(t, sim, refreshToken)
	clock.Advance(time.Hour)
	if got := sim.Stats().LiveTokens; got != 0 {
		t.Errorf("live tokens: got %d, want 0", got)
	}
}

// The package states the protocol a second time and imports nothing but the standard library.
func TestImports(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s", file, path)
			}
		}
	}
}
