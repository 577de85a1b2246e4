package zohosim

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// call is one request on its way through the simulator.
type call struct {
	s     *Server
	w     http.ResponseWriter // writes through a fault that alters the answer
	r     *http.Request
	route route
	// form are the parameters of an accounts request, wherever they came.
	form map[string][]string
	// token is that of an API request, once it is admitted.
	token *token
	// digest is that of the body, once it was read to its end.
	digest string

	// fault is what is to go wrong, nil for nothing; cleared is closed when it is cleared.
	fault   *Fault
	cleared <-chan struct{}
}

// isTokenRequest reports whether the request counts against the limit of ten in ten minutes. A GET is
// refused before.
func (c *call) isTokenRequest() bool {
	return c.route.accounts == "token" && c.r.Method == http.MethodPost
}

// isDeviceRequest reports whether the request is a program's in a device flow.
func (c *call) isDeviceRequest() bool {
	return (c.route.accounts == "device-code" || c.route.accounts == "device-token") && c.r.Method == http.MethodPost
}

// now is the simulator's time.
func (c *call) now() time.Time {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.o.Now()
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

// write sends an answer as it is.
func (c *call) write(a Answer) {
	header := c.w.Header()
	for name, value := range a.Header {
		header.Set(name, value)
	}
	if a.ContentType != "" {
		header.Set("Content-Type", a.ContentType)
	}
	body := []byte(a.Body)
	if a.Status != 204 && a.Status != 304 {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	if a.Reason != "" && c.writeReason(a) {
		return
	}
	c.w.WriteHeader(a.Status)
	c.w.Write(body)
}

// writeJSON sends one line without a newline at its end: Zoho's PHP SDK depends on it.
func (c *call) writeJSON(status int, v any) {
	b, _ := json.Marshal(v)
	c.write(jsonAnswer(status, string(b)))
}

// refuse sends a refusal, compressed if a fault says so.
func (c *call) refuse(a Answer) {
	if c.fault != nil && c.fault.Kind == FaultGzip {
		mode := cmp.Or(c.fault.Mode, "gzip")
		c.w.Header().Set("Content-Encoding", mode)
		a.Body = compress(mode, a.Body)
	}
	c.write(a)
}
