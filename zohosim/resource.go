package zohosim

import (
	"cmp"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// serveAPI answers as a resource server: who calls, then what is wanted. A refusal comes before a
// byte of the body is read, so that an Expect: 100-continue is never answered by a 100.
func (c *call) serveAPI() {
	service := c.route.product.name
	c.s.count(func(st *Stats) {
		st.APIRequests[service]++
		if len(c.r.Header.Values("Authorization")) > 1 {
			st.Malformed++
		}
	})
	if c.refusedByFault() {
		return
	}
	if refusal := c.authenticate(); refusal != "" {
		c.refuseCase(refusal)
		return
	}
	g := c.token.grant
	header := c.w.Header()
	header.Set("X-Sim-User", g.User)
	header.Set("X-Sim-Token", strconv.Itoa(c.token.number))
	if c.route.product == profile {
		c.executed("")
		c.userInfo()
		return
	}
	if c.serveTestEndpoint() {
		return
	}
	switch c.route.family {
	case "crm":
		c.serveCRM()
	case "books":
		c.serveBooks()
	case "desk":
		c.serveDesk()
	default:
		c.serveAnything()
	}
}

// userInfo tells whose token it is. ZUID is a number made of the name, so that it is always the same.
func (c *call) userInfo() {
	user := c.token.grant.User
	first, _, _ := strings.Cut(user, "@")
	h := fnv.New32a()
	io.WriteString(h, user)
	c.writeJSON(http.StatusOK, map[string]any{
		"First_Name": first, "Last_Name": "Example", "Display_Name": first,
		"Email": user, "ZUID": h.Sum32(),
	})
}

// serveAnything answers for services without resources of their own.
func (c *call) serveAnything() {
	b, ok := c.digestBody()
	if !ok {
		return
	}
	_, path := c.segments()
	c.executed(segment(path, 0))
	c.writeJSON(http.StatusOK, map[string]any{
		"status": "success", "service": c.route.product.name, "data_center": c.route.dc, "user": c.token.grant.User,
		"method": c.r.Method, "path": c.route.path, "length": b.length, "sha256": b.sha256,
	})
}

// refuseCase sends the service's answer for a case.
func (c *call) refuseCase(refusal string) { c.refuse(c.refusal(refusal)) }

// refusal counts a refusal and gives the service's answer for it.
func (c *call) refusal(refusal string) Answer {
	name := c.route.product.name
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.stats.Refusals[name+"/"+refusal]++
	return c.s.answerLocked(name, c.refusalFamily(), refusal)
}

// refusalFamily says which refusals hold for a request. API v1 of Analytics refuses in XML unless the app
// asks for JSON; of its two parameters, Zoho's Python library has errors in XML beside results in JSON.
func (c *call) refusalFamily() string {
	query := c.r.URL.Query()
	format := cmp.Or(query.Get("ZOHO_ERROR_FORMAT"), query.Get("ZOHO_OUTPUT_FORMAT"))
	if c.route.family == "analytics-v1" && !strings.EqualFold(format, "JSON") {
		return "analytics-v1-xml"
	}
	return c.route.family
}

// refusedByFault plays the faults that are a service's own refusals.
func (c *call) refusedByFault() bool {
	if c.fault == nil {
		return false
	}
	switch c.fault.Kind {
	case FaultThrottle:
		c.refuseCase(CaseLimit)
	case FaultRefuse:
		c.refuseCase(cmp.Or(c.fault.Body, CaseDead))
	case FaultMidUpload:
		c.midUpload(c.refusal(cmp.Or(c.fault.Body, CaseDead)))
	default:
		return false
	}
	return true
}

// authenticate finds out who calls. It gives the case of refusal, or "" and sets c.token. Both schemes that
// are known count in exactly these letters: whether Zoho takes others is not established. Where Bearer was
// not seen to work when the table was made it is answered like a dead token: a proxy that sends it by mistake
// shall fail its tests. CRM is reported to refuse it and measured to take it.
func (c *call) authenticate() (refusal string) {
	given := c.r.Header.Values("Authorization")
	if len(given) != 1 {
		return CaseNoHeader // two are no better than none
	}
	scheme, value, ok := strings.Cut(given[0], " ")
	if !ok || scheme != "Zoho-oauthtoken" && scheme != "Bearer" {
		return CaseNoHeader
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if scheme == "Bearer" && !c.s.o.AcceptBearer && !c.route.product.bearerFor(c.route.path) {
		return CaseDead
	}
	t := c.s.liveLocked(value, c.route.dc)
	switch {
	case t == nil:
		return CaseDead
	case c.route.family == "crm" && !c.route.anyEnv && t.grant.Environment != c.route.environment:
		return CaseDead
	case !admits(t.scopes, c.route.product, c.operation(), c.module()):
		return CaseScope
	case !c.rightOrg(t.grant.Org, c.s.o.RequireOrg):
		return CaseOrg
	}
	c.token = t
	return ""
}

// rightOrg looks for an organization where the service wants one, and compares it with the grant's. The
// Books family has it in the query, or in a header of the product's (X-com-zoho-invoice-organizationid);
// Desk has it in orgId. The lists of organizations need none: that is where a client learns it.
func (c *call) rightOrg(org string, required bool) bool {
	var named string
	switch c.route.family {
	case "books":
		named = c.r.URL.Query().Get("organization_id")
		for name := range c.r.Header {
			if strings.HasPrefix(name, "X-Com-Zoho-") && strings.HasSuffix(name, "-Organizationid") {
				named = cmp.Or(named, c.r.Header.Get(name))
			}
		}
	case "desk":
		named = c.r.Header.Get("orgId")
	default:
		return true
	}
	_, resource := c.segments()
	if named == "" {
		return !required || segment(resource, 0) == "organizations"
	}
	return named == org
}

// operation is what a request does, in the words of scopes.
func (c *call) operation() string {
	switch c.r.Method {
	case http.MethodPost:
		if strings.HasSuffix(c.route.path, "/coql") {
			return "READ"
		}
		return "CREATE"
	case http.MethodPut, http.MethodPatch:
		return "UPDATE"
	case http.MethodDelete:
		return "DELETE"
	default:
		return "READ"
	}
}

// module is CRM's, for scopes of four parts such as ZohoCRM.modules.leads.READ; "" for other families.
func (c *call) module() string {
	if c.route.family != "crm" {
		return ""
	}
	_, resource := c.segments()
	return segment(resource, 0)
}
