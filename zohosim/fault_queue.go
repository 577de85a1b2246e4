package zohosim

// Which request a fault hits.

import (
	"slices"
	"strings"
)

// AddFault makes something go wrong from now on. The fault added first wins. It panics if there is
// no such kind or place.
func (s *Server) AddFault(f Fault) {
	must(f.check())
	f.left = f.Count
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults ends faults at a place, or all with "". Requests that hang there go on as if nothing had
// been.
func (s *Server) ClearFaults(where string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearLocked(where)
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

// hits reports whether a request is one that the fault is for.
func (f *Fault) hits(where string, c *call) bool {
	return (f.Where == where || f.Where == "*") &&
		strings.Contains(c.r.URL.Path, f.Path) &&
		(f.Method == "" || f.Method == c.r.Method) &&
		f.fits(c)
}

// fits keeps faults from being used up where they mean nothing.
func (f *Fault) fits(c *call) bool {
	switch f.Kind {
	case FaultError, FaultLocalized:
		return c.isTokenRequest() || c.isDeviceRequest()
	case FaultExpiresIn, FaultReply:
		return c.isTokenRequest() || c.route.accounts == "device-token"
	case FaultThrottle:
		return c.isTokenRequest() || c.isDeviceRequest() || c.route.product != nil
	case FaultRefuse, FaultMidUpload:
		return c.route.product != nil
	default:
		return true
	}
}
