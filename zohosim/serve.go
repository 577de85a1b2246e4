package zohosim

import (
	"net/http"
	"strconv"
	"strings"
)

// ServeHTTP answers as the host or path that was called does. It is safe for concurrent use.
//
// A request is counted and its fault taken before anything is answered; a fault may answer by itself, alter
// what is answered, or leave it to the endpoint to make use of it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isControl(r) {
		s.serveControl(w, r)
		return
	}
	c := &call{s: s, w: w, r: r, route: s.routeOf(r)}
	w.Header().Set("Server", "ZGS")
	w.Header().Set("X-Sim-Request-Id", strconv.FormatInt(s.requestIDs.Add(1), 10))
	if c.route.accounts != "" {
		c.arrive()
	}
	c.fault = s.takeFault(c)
	if c.faultBefore() {
		return
	}
	finish := c.holdBack()
	switch {
	case c.route.accounts != "":
		c.serveAccounts()
	case c.route.product != nil:
		c.serveAPI()
	default:
		c.write(notFound)
	}
	finish()
}

// notFound is for hosts and paths that no service has. Desk's paths at the API gateway were reported to be
// answered in these words.
var notFound = htmlAnswer(404,
	"<html><head><title>Zoho</title></head><body>API endpoint not found</body></html>")

// isControl reports whether a request is for the control API.
func isControl(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/_sim/") || hostOnly(r.Host) == "sim.localhost"
}
