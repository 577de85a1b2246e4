package zohosim

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strings"
)

// serveToken answers the token endpoint. Refusals are JSON with status 200, as raw dumps of Zoho's replies
// have it; only the throttle has another.
func (c *call) serveToken() {
	if !c.isTokenRequest() {
		c.write(badRequest)
		return
	}
	if c.get("grant_type") == "" {
		c.result("bad-request", badRequest)
		return
	}
	if done := c.tokenFault(); done {
		return
	}
	c.s.mu.Lock()
	t, withRefresh, wrong := c.tokenLocked()
	var reply Answer
	if wrong == "" {
		reply = c.replyLocked(t, withRefresh)
	}
	c.s.mu.Unlock()
	switch wrong {
	case "":
		c.result("ok", reply)
	case "throttled":
		c.result(wrong, c.throttle())
	default:
		c.result(wrong, jsonAnswer(http.StatusOK, `{"error":`+quote(wrong)+`}`))
	}
}

// badRequest is measured of the revoke endpoint; of the token endpoint only the status is known, for GET
// and for a missing grant_type.
var badRequest = htmlAnswer(400,
	"<!DOCTYPE html><html><head><title>Zoho Accounts</title></head><body>Invalid request</body></html>")

// result counts what came of a token request and answers it.
func (c *call) result(result string, a Answer) {
	c.s.count(func(st *Stats) { st.TokenResults[result]++ })
	if result == "ok" {
		c.write(a)
	} else {
		c.refuse(a)
	}
}

// tokenFault plays the faults that stand in for a token reply.
func (c *call) tokenFault() (done bool) {
	f := c.fault
	if f == nil {
		return false
	}
	switch f.Kind {
	case FaultThrottle:
		c.result("throttled", c.throttle())
	case FaultLocalized:
		a := c.throttle()
		a.Body = `{"error_description":"您连续发出的请求过多。请稍后再试。","error":"拒绝访问","status":"failure"}`
		c.result("throttled", a)
	case FaultError:
		c.result(f.Body, jsonAnswer(cmp.Or(f.Status, 200), `{"error":`+quote(f.Body)+`}`))
	default:
		return false
	}
	return true
}

// throttle is the answer to too many token requests. Captures have 400, Zoho's Kaizen #43 says 200.
func (c *call) throttle() Answer {
	a := jsonAnswer(400, `{"error_description":"You have made too many requests continuously. `+
		`Please try again after some time.","error":"Access Denied","status":"failure"}`)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if slices.Contains(c.s.o.Variants, "throttle-200") {
		a.Status = 200
	}
	return a
}

// tokenLocked makes the access token that was asked for, or names Zoho's error.
func (c *call) tokenLocked() (t *token, withRefresh bool, wrong string) {
	client, wrong := c.clientLocked()
	if wrong != "" {
		return nil, false, wrong
	}
	switch c.get("grant_type") {
	case "authorization_code":
		return c.exchangeLocked(client)
	case "refresh_token":
		t, wrong := c.refreshLocked(client)
		return t, false, wrong
	case "client_credentials":
		t, wrong := c.credentialsLocked(client)
		return t, false, wrong
	default:
		return nil, false, "invalid_client"
	}
}

// exchangeLocked trades a code, once, at the data center it was made for. A wrong redirect URI does
// not use it up.
func (c *call) exchangeLocked(client *Client) (t *token, withRefresh bool, wrong string) {
	value := c.get("code")
	code, ok := c.s.codes[value]
	switch {
	case !ok || code.ClientID != client.ID || code.DataCenter != c.route.dc:
		return nil, false, "invalid_code"
	case !code.expires.After(c.s.o.Now()):
		delete(c.s.codes, value)
		return nil, false, "invalid_code"
	case code.redirectURI != c.get("redirect_uri"):
		return nil, false, "invalid_redirect_uri"
	}
	delete(c.s.codes, value)
	if !code.offline {
		return c.s.mintLocked(c.s.onlineLocked(code.GrantSpec)), false, ""
	}
	return c.s.mintLocked(c.s.grantLocked(code.GrantSpec)), true, ""
}

// refreshLocked renews. A refresh token that is unknown, revoked, evicted, another client's or another data
// center's is invalid_code, and does not count against the throttle.
func (c *call) refreshLocked(client *Client) (*token, string) {
	g := c.s.grants[c.get("refresh_token")]
	if g == nil || g.online || g.ClientID != client.ID || g.DataCenter != c.route.dc {
		return nil, "invalid_code"
	}
	if c.s.throttledLocked(g) {
		return nil, "throttled"
	}
	return c.s.mintLocked(g), ""
}

// replyLocked writes a token reply in Zoho's order of fields, faults included.
func (c *call) replyLocked(t *token, withRefresh bool) Answer {
	g, o := t.grant, c.s.o
	apiDomain := c.route.origin
	if dc, _ := lookupDataCenter(c.route.dc); apiDomain == "" {
		apiDomain = dc.apiDomain(g.Environment)
	}
	expiresIn := quote(int(math.Ceil(o.TokenLife.Seconds())))
	if c.fault != nil && c.fault.Kind == FaultExpiresIn {
		expiresIn = c.fault.Body
	}
	if c.fault != nil && c.fault.Kind == FaultReply {
		body := strings.NewReplacer("{{token}}", t.value, "{{api_domain}}", apiDomain).Replace(c.fault.Body)
		return Answer{Status: cmp.Or(c.fault.Status, 200), ContentType: cmp.Or(c.fault.ContentType, typeJSON), Body: body}
	}
	fields := []string{`"access_token":` + quote(t.value)}
	add := func(name, raw string, wanted bool) {
		if wanted {
			fields = append(fields, `"`+name+`":`+raw)
		}
	}
	add("refresh_token", quote(g.RefreshToken), withRefresh)
	add("scope", quote(strings.Join(g.Scopes, " ")), len(g.Scopes) > 0 && !o.OmitScope)
	add("api_domain", quote(apiDomain), apiDomain != "")
	add("token_type", `"Bearer"`, true)
	add("expires_in", expiresIn, expiresIn != "")
	return jsonAnswer(http.StatusOK, "{"+strings.Join(fields, ",")+"}")
}
