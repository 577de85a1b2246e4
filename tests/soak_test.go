// A bad hour, compressed: Accounts and the API fail at random, tokens are revoked, connections reset.
// What apps see of it is counted, for one version or for two side by side.

package tests

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

const (
	soakSeed  = 11
	soakPause = 10 * time.Millisecond // between two calls, whatever becomes of them
	soakHour  = 18_000                // calls: three minutes, 20 times faster than an hour
	soakShort = 600
)

// soakClient has a budget that lasts: nothing helps who has spent it, and bad luck decides when that is.
const soakClient = "ZOHO_CLIENT_OPTIONS=token_budget 30 30s"

// soakServices say of a dead token that it is dead. What Books says is ambiguous, and what is done about
// it depends on minutes, which cannot be compressed.
var soakServices = []string{"crm", "desk", "workdrive"}

// TestSoak: whatever fails, nothing is executed twice, and nothing is lost of which the app is not told.
// With SOAK=hour it takes three minutes and prints what the apps were told, as a table in Markdown.
// SOAK_BEFORE names the binary of another version, which goes through the same beside it.
func TestSoak(t *testing.T) {
	t.Parallel()
	calls := soakShort
	if os.Getenv("SOAK") == "hour" {
		calls = soakHour
	}
	columns := []*tally{{version: "this version", binary: binary}}
	if before := os.Getenv("SOAK_BEFORE"); before != "" {
		columns = slices.Insert(columns, 0, &tally{version: "version before", binary: before})
	}
	t.Run("hour", func(t *testing.T) { // ends when all of them have
		for _, column := range columns {
			t.Run(column.version, func(t *testing.T) {
				t.Parallel()
				column.soak(t, calls)
			})
		}
	})
	if calls == soakHour {
		fmt.Print(soakTable(columns))
	}
}

// tally counts what apps were told by a version.
type tally struct {
	version, binary   string
	calls, tokenCalls int
	results           map[string]int
	uploads, lost     int
}

// soak makes the calls and holds what the apps were told against what Zoho has executed.
func (s *tally) soak(t *testing.T, calls int) {
	day := &badDay{Server: zohosim.New(zohosim.Options{TokenLife: time.Minute, MaxTokens: -1, MaxLive: -1})}
	day.AddClient(usualClient)
	grant := day.Grant(clientID, "owner@example.com", "us")
	front := httptest.NewServer(day)
	t.Cleanup(front.Close)
	c := newCaddy(t, oneClient, "ZOHO_DATA_CENTER="+front.URL+" "+front.URL, "ZOHO_REFRESH_TOKEN="+grant, soakClient)
	c.binary = s.binary
	c.start()

	told := make([]outcome, calls)
	var all sync.WaitGroup
	ticker := time.NewTicker(soakPause)
	defer ticker.Stop()
	for n := range calls {
		<-ticker.C
		all.Go(func() { told[n] = c.soakCall(n) })
	}
	all.Wait()
	stats := day.Stats()
	s.calls, s.tokenCalls, s.results = calls, stats.TokenRequests, make(map[string]int)
	for n, got := range told {
		got.check(t, n, stats)
		s.add(got)
	}
}

// soakPlan is all that chance decides of a call.
type soakPlan struct {
	method, path string
	size         int64 // of an upload, 0 for none
	chunked      bool
	mishap       string // that meets it at Zoho, once
}

// planned gives the same for the same number, whatever happened before.
func planned(n int) (p soakPlan) {
	r := rand.New(rand.NewPCG(soakSeed, uint64(n)))
	service := soakServices[r.IntN(len(soakServices))]
	p.method, p.path = http.MethodGet, fmt.Sprintf("/%s/_echo/%d/", service, n)
	switch kind := r.Float64(); {
	case kind < 0.01:
		p.method, p.size, p.chunked = http.MethodPost, 2<<20+r.Int64N(18<<20), r.IntN(2) == 0
	case kind < 0.3:
		p.method = http.MethodPost
	}
	switch mishap := r.Float64(); {
	case p.size > 0 && mishap < 0.1:
		p.mishap = "revoked within"
	case mishap < 0.003:
		p.mishap = "revoked"
	case mishap < 0.006 && service == "desk":
		p.mishap = "refused"
	case mishap < 0.008:
		p.mishap = zohosim.FaultReset
	case mishap < 0.009:
		p.mishap = zohosim.FaultLost
	case mishap < 0.012:
		p.mishap = zohosim.FaultStatus
	}
	return p
}

// badDay is a Zoho that meets calls with what chance has planned for them.
type badDay struct {
	*zohosim.Server
	tokens atomic.Uint64 // token calls that were made
	seen   sync.Map      // calls that have come once
}

func (d *badDay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/oauth/v2/token" {
		d.accounts(w, r)
		return
	}
	call := r.Header.Get("X-Call")
	if _, again := d.seen.LoadOrStore(call, true); !again {
		n, _ := strconv.Atoi(call)
		d.meet(planned(n))
	}
	d.Server.ServeHTTP(w, r)
}

// accounts fails or is slow at every fifth token call.
func (d *badDay) accounts(w http.ResponseWriter, r *http.Request) {
	fault := zohosim.Fault{Where: "accounts", Count: 1, Kind: zohosim.FaultStatus, Status: http.StatusServiceUnavailable}
	chance := rand.New(rand.NewPCG(soakSeed+1, d.tokens.Add(1))).Float64()
	switch {
	case chance < 0.04:
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case chance < 0.08:
		fault.Kind, fault.Status = zohosim.FaultHTML, http.StatusOK
	case chance < 0.12:
		fault.Status = http.StatusInternalServerError
	case chance < 0.16:
		fault.Kind = zohosim.FaultReset
	case chance < 0.19:
		fault.Kind, fault.Millis = zohosim.FaultHang, 500 // slow, and then well
	case chance < 0.21:
		timeOut(w, r)
		return
	default:
		fault.Kind = ""
	}
	if fault.Kind != "" {
		d.AddFault(fault)
	}
	d.Server.ServeHTTP(w, r)
}

// timeOut is what a gateway of Zoho's does. Our own takes 15 seconds, which cannot be compressed.
func timeOut(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(time.Second):
		w.WriteHeader(http.StatusGatewayTimeout)
	case <-r.Context().Done():
	}
}

// meet has the mishap of a call happen to it.
func (d *badDay) meet(p soakPlan) {
	fault := zohosim.Fault{Where: "*", Path: p.path, Count: 1, Kind: p.mishap}
	switch p.mishap {
	case "":
		return
	case "revoked":
		d.RevokeAccess("")
		return
	case "revoked within":
		d.RevokeAccess("")
		fault.Kind, fault.Bytes = zohosim.FaultMidUpload, p.size/2
	case "refused":
		fault.Kind = zohosim.FaultRefuse // by this service alone: the others go on taking the token
	}
	d.AddFault(fault)
}

// outcome is what an app was told of a call, and what it had sent.
type outcome struct {
	soakPlan
	result string
	digest string
}

// What an app can be told that is not an error of ours.
const (
	toldSuccess = "success"
	toldZohos   = "500 of Zoho's own"
	toldBroken  = "502, because Zoho broke the connection"
)

// soakCall makes a call as an app would, and tries nothing again.
func (c *proxy) soakCall(n int) outcome {
	got := outcome{soakPlan: planned(n)}
	header := []string{"X-Call", strconv.Itoa(n)}
	var body io.Reader
	if got.method == http.MethodPost {
		pattern := newPattern(cmp.Or(got.size, 100))
		pattern.at = int64(n) // so that no two are the same
		content, _ := io.ReadAll(pattern)
		got.digest, body = pattern.sum(), bytes.NewReader(content)
		header = append(header, "X-Test-Id", strconv.Itoa(n))
	}
	if got.chunked {
		body = unknownLength{body}
	}
	a, err := c.try(got.method, got.path, body, header...)
	if err != nil {
		c.t.Logf("call %d: %v", n, err)
	}
	got.result = got.resultOf(a, err)
	return got
}

// resultOf names what an app was told, for a row of the table.
func (p soakPlan) resultOf(a answer, err error) string {
	if err != nil {
		return "no answer"
	}
	whose := "Caddy's"
	if a.Header.Get("X-Sim-Request-Id") != "" {
		whose = "Zoho's"
	}
	broken := p.mishap == zohosim.FaultReset || p.mishap == zohosim.FaultLost
	switch {
	case a.problem() != "":
		return fmt.Sprintf("%d `%s`", a.StatusCode, a.problem())
	case a.StatusCode == http.StatusOK:
		return toldSuccess
	case p.mishap == zohosim.FaultStatus && a.StatusCode == http.StatusInternalServerError:
		return toldZohos
	case broken && a.StatusCode == http.StatusBadGateway:
		return toldBroken
	default:
		return fmt.Sprintf("%s %d `%s`", whose, a.StatusCode, a.Header.Get("Zoho-Proxy-Verdict"))
	}
}

// check holds a write against what Zoho has executed of it. Nobody knows that of a connection that
// Zoho broke.
func (got outcome) check(t *testing.T, n int, stats zohosim.Stats) {
	t.Helper()
	if got.method == http.MethodGet {
		return
	}
	executed := stats.Bodies[strconv.Itoa(n)]
	switch {
	case len(executed) > 1:
		t.Errorf("call %d was executed %d times: %+v", n, len(executed), got)
	case got.result == toldSuccess && !slices.Equal(executed, []string{got.digest}):
		t.Errorf("call %d is said to have succeeded, and %q was executed: %+v", n, executed, got)
	case got.result != toldSuccess && got.result != toldBroken && len(executed) > 0:
		t.Errorf("call %d is said to have failed, and was executed: %+v", n, got)
	}
}

// add counts what an app was told of one call.
func (s *tally) add(got outcome) {
	s.results[got.result]++
	if got.size > 0 {
		s.uploads++
	}
	if got.size > 0 && ours(got.result) {
		s.lost++
	}
}

// ours reports whether a result is neither a success nor an error that Zoho's API made.
func ours(result string) bool {
	return result != toldSuccess && result != toldZohos && result != toldBroken
}

// errors counts results that are ours.
func (s *tally) errors() (n int) {
	for result, count := range s.results {
		if ours(result) {
			n += count
		}
	}
	return n
}

// soakTable is in Markdown, for docs/performance.md: a column for each version.
func soakTable(columns []*tally) string {
	var b strings.Builder
	row := func(name string, cell func(s *tally) string) {
		b.WriteString("| " + name + " |")
		for _, s := range columns {
			b.WriteString(" " + cell(s) + " |")
		}
		b.WriteString("\n")
	}
	results := make(map[string]int)
	for _, s := range columns {
		maps.Copy(results, s.results)
	}
	row(fmt.Sprintf("of %d calls", columns[0].calls), func(s *tally) string { return s.version })
	row("---", func(*tally) string { return "---" })
	for _, group := range []bool{false, true} {
		for _, result := range slices.Sorted(maps.Keys(results)) {
			if ours(result) == group {
				row(result, func(s *tally) string { return strconv.Itoa(s.results[result]) })
			}
		}
	}
	row("errors that did not come from Zoho's API", func(s *tally) string {
		return fmt.Sprintf("%d (%.2f %%)", s.errors(), 100*float64(s.errors())/float64(s.calls))
	})
	row("uploads that these errors lost", func(s *tally) string { return fmt.Sprintf("%d of %d", s.lost, s.uploads) })
	row("token calls", func(s *tally) string { return strconv.Itoa(s.tokenCalls) })
	return b.String()
}
