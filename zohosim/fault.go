package zohosim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fault is something that goes wrong on demand. See the package comment for the kinds.
type Fault struct {
	// Where it happens: "accounts", a service, or "*" for both.
	Where string `json:"where"`
	Kind  string `json:"kind"`
	// Path and Method narrow it down: the path contains Path, the method is Method.
	Path   string `json:"path,omitempty"`
	Method string `json:"method,omitempty"`
	// Count is how many requests it hits; 0 means all until it is cleared.
	Count int `json:"count,omitempty"`

	Status      int    `json:"status,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	Body        string `json:"body,omitempty"`
	Millis      int    `json:"millis,omitempty"`
	Bytes       int64  `json:"bytes,omitempty"`
	Mode        string `json:"mode,omitempty"`

	left int
}

// The kinds of fault.
const (
	FaultThrottle  = "throttle"   // too many requests: Access Denied, or the service's answer
	FaultLocalized = "localized"  // the accounts server's throttle in Chinese
	FaultError     = "error"      // accounts: {"error":BODY} with STATUS (200)
	FaultRefuse    = "refuse"     // a service's refusal in case BODY ("dead")
	FaultStatus    = "status"     // STATUS (500) and BODY
	FaultHTML      = "html"       // an HTML page with STATUS (200)
	FaultEmpty     = "empty"      // STATUS (200) without a body
	FaultRedirect  = "redirect"   // STATUS (302) to the URL in BODY
	FaultHang      = "hang"       // no answer for MILLIS, or until cleared or hung up
	FaultReset     = "reset"      // the connection is reset, after BYTES of the body
	FaultLost      = "lost"       // the request is executed, its answer is lost by a reset
	FaultSlow      = "slow"       // the answer comes MILLIS (1000) late
	FaultDrip      = "drip"       // the answer comes by BYTES (1) every MILLIS (1000)
	FaultTruncated = "truncated"  // half of the answer; MODE "cut": and the connection ends amid it
	FaultHuge      = "huge"       // BYTES (10 GiB) of JSON that never ends, with STATUS (200)
	FaultBomb      = "bomb"       // gzip that unpacks to BYTES (10 GiB), with STATUS (200; services 401)
	FaultExpiresIn = "expires_in" // BODY as raw JSON in place of expires_in; empty: none
	FaultReply     = "reply"      // BODY with STATUS (200) in place of a token reply; {{token}}, {{api_domain}} are filled in
	FaultMidUpload = "midupload"  // a refusal (case BODY, "dead") after BYTES of the body; MODE "discard", "close", "reset"
	FaultGzip      = "gzip"       // refusals are compressed; MODE "gzip", "deflate", or any name: sent as is under it
)

var faultKinds = []string{
	FaultThrottle, FaultLocalized, FaultError, FaultRefuse, FaultStatus, FaultHTML, FaultEmpty, FaultRedirect,
	FaultHang, FaultReset, FaultLost, FaultSlow, FaultDrip, FaultTruncated, FaultHuge, FaultBomb,
	FaultExpiresIn, FaultReply, FaultMidUpload, FaultGzip,
}

// FaultKinds lists the kinds of fault.
func FaultKinds() []string { return slices.Clone(faultKinds) }

func (f *Fault) check() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("fault kind %q is unknown: want one of %s", f.Kind, strings.Join(faultKinds, ", "))
	case f.Where != "accounts" && f.Where != "*" && productByName(f.Where) == nil:
		return fmt.Errorf("fault where %q: want accounts, a service, or *", f.Where)
	case (f.Kind == FaultRefuse || f.Kind == FaultMidUpload) && f.Body != "" && refusals["other"][f.Body].Status == 0:
		return fmt.Errorf("fault body %q: want a case of refusal, such as dead", f.Body)
	}
	return nil
}

// AddFault makes something go wrong from now on. The fault added first wins. It panics if there is
// no such kind or place.
func (s *Server) AddFault(f Fault) {
	must(f.check())
	f.left = f.Count
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults ends faults at a place, or all with "". Requests that hang there go on as if nothing had been.
func (s *Server) ClearFaults(where string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearLocked(where)
}

func (s *Server) clearLocked(where string) {
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool { return where == "" || f.Where == where })
	close(s.cleared)
	s.cleared = make(chan struct{})
}

// takeFault finds the fault that hits a request, and counts it.
func (s *Server) takeFault(c *call) *Fault {
	where := c.route.service()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !f.hits(where, c) {
			continue
		}
		if f.left == 1 {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		f.left--
		s.stats.Faults[where+"/"+f.Kind]++
		c.cleared = s.cleared
		return f
	}
	return nil
}

func (f *Fault) hits(where string, c *call) bool {
	return (f.Where == where || f.Where == "*") &&
		strings.Contains(c.r.URL.Path, f.Path) &&
		(f.Method == "" || f.Method == c.r.Method) &&
		f.fits(c)
}

// fits keeps faults from being used up where they mean nothing.
func (f *Fault) fits(c *call) bool {
	switch f.Kind {
	case FaultError, FaultLocalized, FaultExpiresIn, FaultReply:
		return c.isTokenRequest()
	case FaultThrottle:
		return c.isTokenRequest() || c.route.product != nil
	case FaultRefuse, FaultMidUpload:
		return c.route.product != nil
	default:
		return true
	}
}

// wait lets time pass: until d is over (0: never), the caller hangs up, or the fault is cleared.
func (c *call) wait(d time.Duration) {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-c.cleared:
	case <-c.r.Context().Done():
	}
}

func (f *Fault) millis(fallback int) time.Duration {
	return time.Duration(either(f.Millis, fallback)) * time.Millisecond
}
