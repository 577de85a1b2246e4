package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestStorm, S-27: a thousand calls, all of which meet a dead token, in any mix of
// reads, writes and uploads, over either protocol to Zoho: one token call, and a
// thousand successes. What is written is written once, and arrives as it was sent.
func TestStorm(t *testing.T) {
	http1 := func(t *testing.T) (*proxy, *zohosim.Server) {
		c, server, _ := startSimulated(t, zohosim.Options{})
		return c, server
	}
	http2 := func(t *testing.T) (*proxy, *zohosim.Server) { return startZoho(t, zohosim.GrantSpec{}) }
	// HTTP/1.1 within TLS, as to a server that does not offer more.
	tls1 := func(t *testing.T) (*proxy, *zohosim.Server) {
		t.Setenv("GODEBUG", "http2server=0")
		return startZoho(t, zohosim.GrantSpec{})
	}
	for _, test := range []struct {
		name    string
		start   func(*testing.T) (*proxy, *zohosim.Server)
		proto   string
		uploads int // of 1000
	}{
		{"reads over HTTP/1.1", http1, "HTTP/1.1", 0},
		{"a mix over HTTP/1.1", http1, "HTTP/1.1", 300},
		{"a mix over TLS and HTTP/1.1", tls1, "HTTP/1.1", 300},
		{"a mix over HTTP/2", http2, "HTTP/2", 300},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, server := test.start(t)
			calls := 1000
			if testing.Short() {
				calls = 200
			}
			if a := c.succeed(http.MethodGet, "/crm/_echo", ""); !strings.Contains(string(a.body), test.proto) {
				t.Fatalf("Zoho is not spoken to by %s: %s", test.proto, a.body)
			}
			for _, where := range []string{"crm", "desk"} {
				server.AddFault(zohosim.Fault{Where: where, Kind: zohosim.FaultHang}) // until cleared
			}
			var all sync.WaitGroup
			for i := range calls {
				all.Go(func() { stormCall(t, c, i, i*1000/calls < test.uploads) })
			}
			c.waitFor("all of them to be with Zoho", func() bool {
				faults := server.Stats().Faults
				return faults["crm/hang"]+faults["desk/hang"] == calls
			})
			server.RevokeAccess("")
			server.ClearFaults("")
			all.Wait()
			wantTokenCalls(t, server, 2)
			stats := server.Stats()
			for i := range calls {
				if n := stats.Executed[strconv.Itoa(i)]; n != 1 {
					t.Errorf("request %d was executed %d times", i, n)
				}
			}
			if n := stats.Refusals["crm/dead"] + stats.Refusals["desk/dead"]; n < calls {
				t.Errorf("only %d calls met the dead token", n)
			}
			if n := c.metric("zoho_replays_total"); n < float64(calls) || n != c.metric("zoho_replays_total", `result="ok"`) {
				t.Errorf("%v replays of %d calls, or not all of them well", n, calls)
			}
		})
	}
}

// stormCall reads, writes or uploads as an app would, and checks what it gets.
func stormCall(t *testing.T, c *proxy, i int, upload bool) {
	id := strconv.Itoa(i)
	switch {
	case upload && i%3 == 0: // chunked
		body := patterned(64<<10 + i)
		a, err := c.try(http.MethodPost, "/crm/_echo", unknownLength{bytes.NewReader(body)}, "X-Test-Id", id)
		wantArrived(t, a, err, body)
	case upload:
		body := patterned(32<<10 + i)
		a, err := c.try(http.MethodPut, "/desk/api/_echo", bytes.NewReader(body), "X-Test-Id", id)
		wantArrived(t, a, err, body)
	case i%2 == 0:
		c.succeed(http.MethodPost, "/crm/v8/Leads", `{"data":[{"Last_Name":"Lind"}]}`, "X-Test-Id", id)
	case i%5 == 0:
		c.succeed(http.MethodGet, "/desk/api/v1/tickets", "", "X-Test-Id", id)
	default:
		c.succeed(http.MethodGet, "/crm/v8/Leads", "", "X-Test-Id", id)
	}
}

// wantArrived is wantEcho for any goroutine.
func wantArrived(t *testing.T, a answer, err error, body []byte) {
	sum := sha256.Sum256(body)
	if err != nil || a.StatusCode != http.StatusOK || !bytes.Contains(a.body, []byte(hex.EncodeToString(sum[:]))) {
		t.Errorf("%d bytes: %v %v", len(body), err, a)
	}
}

// TestLateRefusals, S-27: answers that refuse an older token trickle in when the new
// one is there already. They are sent again with that, and cost nothing.
func TestLateRefusals(t *testing.T) {
	t.Parallel()
	const late = 100
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	server.AddFault(zohosim.Fault{Where: "crm", Kind: zohosim.FaultHang, Path: "/slow"}) // until cleared
	var waiting sync.WaitGroup
	for i := range late {
		waiting.Go(func() {
			c.succeed(http.MethodPost, "/crm/slow/_echo", "body", "X-Test-Id", "late-"+strconv.Itoa(i))
		})
	}
	c.waitFor("all of them to be with Zoho", func() bool { return server.Stats().Faults["crm/hang"] == late })
	server.RevokeAccess("")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	wantTokenCalls(t, server, 2)
	server.ClearFaults("")
	waiting.Wait()
	wantTokenCalls(t, server, 2)
	if n := server.Stats().Refusals["crm/dead"]; n < late {
		t.Errorf("%d refusals, want %d late ones: the test proves nothing", n, late)
	}
	for i := range late {
		if n := server.Stats().Executed["late-"+strconv.Itoa(i)]; n != 1 {
			t.Errorf("late request %d was executed %d times", i, n)
		}
	}
}

// TestBadlyScopedApp, S-28: an app without the scope hammers Books, whose refusal may
// be a dead token as well, beside an app that does well. The first one costs at most
// one token per generation; the second one notices nothing.
func TestBadlyScopedApp(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.stop()
	ageToken(t, c, 2*time.Minute) // old enough that a refusal may be about it
	c.start()
	const wellScoped, badlyScoped = "/books/v3/contacts?organization_id=60001234567", "/books/v3/settings?organization_id=60001234567"
	server.AddFault(zohosim.Fault{Where: "books", Path: "/settings", Kind: zohosim.FaultRefuse, Body: zohosim.CaseScope})
	spread(2000, 16, func(i int) {
		if i%2 == 0 {
			c.succeed(http.MethodGet, []string{"/crm/v8/Leads", wellScoped}[i/2%2], "")
			return
		}
		a, err := c.try(http.MethodGet, badlyScoped, nil)
		if err != nil || a.StatusCode != http.StatusUnauthorized || a.Header.Get("Zoho-Proxy-Verdict") != "ambiguous" {
			t.Errorf("%v %v", err, a)
		}
	})
	// The first, and one forced, if the badly scoped app came before the other one had shown the token to be good.
	if n := server.Stats().TokenRequests; n > 2 {
		t.Errorf("%d token calls", n)
	}
	if state := c.connections("").Connections[0].State; state != "ok" {
		t.Errorf("state %s", state)
	}
}

// TestLeaderHangsUp, S-31: who began the renewal hangs up; it serves the others all
// the same.
func TestLeaderHangsUp(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHang, Count: 1})
	leader := c.dial(t)
	if _, err := io.WriteString(leader, "GET /crm/v8/Leads HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	c.waitFor("the renewal to begin", func() bool { return server.Stats().Faults["accounts/hang"] == 1 })
	var others sync.WaitGroup
	for range 50 {
		others.Go(func() { c.succeed(http.MethodGet, "/desk/api/v1/tickets", "") })
	}
	_ = leader.Close()
	c.waitFor("the others to wait", func() bool { return c.inFlight() >= 50 })
	server.ClearFaults("")
	others.Wait()
	wantTokenCalls(t, server, 1)
}

// TestServerErrorsAreNotRepeated, S-34: what may have been executed is never sent a
// second time: a 5xx, a reset before, within and after the answer, an answer cut off.
func TestServerErrorsAreNotRepeated(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	for i, fault := range []zohosim.Fault{
		{Kind: zohosim.FaultStatus, Status: 500}, {Kind: zohosim.FaultStatus, Status: 502, Body: "bad gateway"},
		{Kind: zohosim.FaultStatus, Status: 503}, {Kind: zohosim.FaultStatus, Status: 504},
		{Kind: zohosim.FaultReset}, {Kind: zohosim.FaultReset, Bytes: 10}, {Kind: zohosim.FaultLost},
		{Kind: zohosim.FaultTruncated, Mode: "cut"}, {Kind: zohosim.FaultHTML, Status: 502}, {Kind: zohosim.FaultEmpty, Status: 500},
	} {
		fault.Where = "crm"
		server.AddFault(fault)
		before, id := server.Stats(), fmt.Sprint("once-", i)
		requests := []struct {
			method string
			body   io.Reader
			header []string
		}{
			{method: http.MethodPost, body: strings.NewReader("{}")}, {method: http.MethodPost, body: unknownLength{strings.NewReader("{}")}},
			{method: http.MethodPost, body: strings.NewReader("{}"), header: []string{"Idempotency-Key", "1"}}, {method: http.MethodPost, header: []string{"X-Idempotency-Key", "1"}},
			{method: http.MethodPut, body: strings.NewReader("{}")}, {method: http.MethodPatch, body: strings.NewReader("{}")}, {method: http.MethodDelete},
		}
		for j, r := range requests {
			c.succeed(http.MethodGet, "/desk/_echo", "") // so that there is a connection to break
			a, err := c.try(r.method, "/crm/_echo", r.body, append(r.header, "X-Test-Id", id+"-"+strconv.Itoa(j))...)
			if err == nil && a.StatusCode == http.StatusOK && fault.Kind != zohosim.FaultTruncated {
				t.Errorf("%s, %+v: %s", r.method, fault, a.Status)
			}
		}
		after, kind := server.Stats(), "crm/"+fault.Kind
		if n := after.Faults[kind] - before.Faults[kind]; n != len(requests) {
			t.Errorf("%+v: %d calls reached Zoho %d times", fault, len(requests), n)
		}
		for j, r := range requests {
			if n := after.Executed[id+"-"+strconv.Itoa(j)]; n > 1 {
				t.Errorf("%s, %+v: executed %d times", r.method, fault, n)
			}
		}
		server.ClearFaults("")
	}
	wantTokenCalls(t, server, 1)
}
