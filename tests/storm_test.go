package tests

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

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
