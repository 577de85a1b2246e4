package zohosim

// What every product does with a request, whatever is wanted of it.

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// readBody reads all of the body. ok is false if it broke off: then nothing was executed, and there
// is nobody to answer. The answer's header tells what arrived.
func (c *call) readBody() (b body, ok bool) { return c.read(maxKept) }

// digestBody is readBody for who does not care what the body says.
func (c *call) digestBody() (b body, ok bool) { return c.read(0) }

// read reads the body to its end and keeps the beginning.
func (c *call) read(keep int) (b body, ok bool) {
	in := newIntake(keep)
	_, err := io.Copy(in, c.r.Body)
	return c.arrived(in, err)
}

// arrived tells in the answer's header what arrived, and counts bodies that broke off.
func (c *call) arrived(in *intake, err error) (body, bool) {
	b := in.done()
	c.w.Header().Set("X-Sim-Body-Length", strconv.FormatInt(b.length, 10))
	c.w.Header().Set("X-Sim-Body-Sha256", b.sha256)
	if err != nil {
		c.s.count(func(st *Stats) { st.BrokenBodies++ })
	} else {
		c.digest = b.sha256
	}
	return b, err == nil
}

// segments splits the path behind the version: "/api/v1/tickets/7" is "v1" and tickets, 7. Recruit and
// People repeat their name before the version.
func (c *call) segments() (version string, resource []string) {
	all := strings.FieldsFunc(c.route.path, func(r rune) bool { return r == '/' })
	for i, segment := range all[:min(len(all), 3)] {
		if len(segment) > 1 && segment[0] == 'v' && segment[1] >= '0' && segment[1] <= '9' {
			return segment, all[i+1:]
		}
	}
	return "", all
}

// segment gives one of a path's segments, "" if the path is shorter.
func segment(path []string, i int) string {
	if i < len(path) {
		return path[i]
	}
	return ""
}

// atLeast1 reads a number from a query; what is no number, or below 1, is fallback.
func atLeast1(s string, fallback int) int {
	if n, err := strconv.Atoi(s); err == nil && n >= 1 {
		return n
	}
	return fallback
}

// key names a resource's collection: "us/sandbox/crm/leads". Each data center and environment has its own;
// organizations share them.
func (c *call) key(resource string) string {
	return c.route.dc + "/" + c.route.environment + "/" + c.route.product.name + "/" + strings.ToLower(resource)
}

// executed counts a request that was carried out. X-Test-Id is the test's own: it finds requests that were
// carried out twice. A trailer named Authorization is none of a well-behaved client's.
func (c *call) executed(resource string) {
	name := c.route.product.name
	c.s.count(func(st *Stats) {
		st.Accepted[name]++
		if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
			st.Writes[name+"/"+resource]++
		}
		if id := c.r.Header.Get("X-Test-Id"); id != "" {
			st.Executed[id]++
			if c.digest != "" {
				st.Bodies[id] = append(st.Bodies[id], c.digest)
			}
		}
		if len(c.r.Trailer.Values("Authorization")) > 0 {
			st.Malformed++
		}
	})
}
