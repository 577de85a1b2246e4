package zohosim

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"strings"
)

// The device flow, as Zoho's pages on devices describe it: a program asks for two codes, shows one to a person, and
// polls by the other one. It begins where the client is registered; if the person's account is elsewhere, polls are
// sent there.

// serveDeviceCode gives out a pair of codes. There is no secret in the request, and interval and expires_in of the
// answer are milliseconds.
func (c *call) serveDeviceCode() {
	if c.r.Method != http.MethodPost || c.get("grant_type") != "device_request" {
		c.write(badRequest)
		return
	}
	if done := c.tokenFault(); done {
		return
	}
	exist := c.scopesExist()
	c.s.mu.Lock()
	client := c.s.clients[c.get("client_id")]
	c.s.mu.Unlock()
	switch {
	case client == nil || !client.enabledIn(c.route.dc) || !client.Device:
		c.result("invalid_client", jsonAnswer(http.StatusOK, `{"error":"invalid_client"}`))
		return
	case !exist:
		c.result("invalid_scope", jsonAnswer(http.StatusOK, `{"error":"invalid_scope"}`))
		return
	}
	c.writeJSON(http.StatusOK, c.newDevice())
}

// newDevice remembers a flow, and gives the answer to who has asked for it.
func (c *call) newDevice() map[string]any {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	o, now := c.s.o, c.s.o.Now()
	for secret, d := range c.s.devices {
		if now.Sub(d.expires) > o.DeviceLife {
			delete(c.s.devices, secret)
		}
	}
	letters := rand.Text()
	d := &device{
		client:   c.get("client_id"),
		scopes:   c.get("scope"),
		offline:  c.get("access_type") == "offline",
		userCode: letters[:4] + "-" + letters[4:8],
		home:     c.route.dc,
		origin:   c.route.origin,
		expires:  now.Add(o.DeviceLife),
		interval: o.DeviceInterval,
		polled:   now,
	}
	secret := newToken()
	c.s.devices[secret] = d
	noteLocked(&c.s.issued.DeviceCodes, secret)
	noteLocked(&c.s.issued.UserCodes, d.userCode)
	page := c.accountsOrigin(c.route.dc) + "/oauth/v3/device"
	return map[string]any{
		"user_code": d.userCode, "device_code": secret, "interval": o.DeviceInterval.Milliseconds(),
		"verification_url": page, "verification_uri_complete": page + "?user_code=" + d.userCode,
		"expires_in": o.DeviceLife.Milliseconds(),
	}
}

// accountsOrigin is that of a data center's accounts server.
func (c *call) accountsOrigin(dc string) string {
	center, _ := lookupDataCenter(dc)
	return cmp.Or(c.route.origin, "https://"+center.accounts)
}

// serveDeviceToken answers a poll: what is still waited for, or the tokens, once.
func (c *call) serveDeviceToken() {
	if c.r.Method != http.MethodPost || c.get("grant_type") != "device_token" {
		c.write(badRequest)
		return
	}
	if done := c.tokenFault(); done {
		return
	}
	c.s.mu.Lock()
	t, withRefresh, wrong := c.pollLocked()
	var reply Answer
	location := ""
	switch {
	case wrong == "other_dc":
		location = `,"user_location":` + quote(c.s.devices[c.get("code")].grant.DataCenter)
	case wrong == "":
		reply = c.replyLocked(t, withRefresh)
	}
	c.s.mu.Unlock()
	if wrong == "" {
		c.result("ok", reply)
		return
	}
	c.result(wrong, jsonAnswer(http.StatusOK, `{"error":`+quote(wrong)+location+`}`))
}

// pollLocked makes the tokens that a flow has brought, or names what Zoho says instead. Where a poll for an account
// of another data center is answered by other_dc, the one there has the tokens.
func (c *call) pollLocked() (t *token, withRefresh bool, wrong string) {
	client, wrong := c.clientLocked()
	if wrong != "" {
		return nil, false, wrong
	}
	d, now := c.s.devices[c.get("code")], c.s.o.Now()
	if !client.Device || d == nil || d.client != client.ID {
		return nil, false, "invalid_code"
	}
	soon := now.Sub(d.polled) < d.interval*9/10 // what is asked for in time may be here a little sooner than that
	d.polled = now
	switch {
	case !d.expires.After(now):
		return nil, false, "expired"
	case soon:
		d.interval += slowDown
		return nil, false, "slow_down"
	case d.denied:
		return nil, false, "access_denied"
	case d.grant.ClientID == "" && c.route.dc != d.home:
		return nil, false, "invalid_code"
	case d.grant.ClientID == "":
		return nil, false, "authorization_pending"
	case d.grant.DataCenter != c.route.dc:
		return nil, false, "other_dc"
	}
	delete(c.s.devices, c.get("code"))
	if !d.offline {
		return c.s.mintLocked(c.s.onlineLocked(d.grant)), false, ""
	}
	return c.s.mintLocked(c.s.grantLocked(d.grant)), true, ""
}

// serveDevicePage asks for the code, then for consent. A person of another data center signs in at the page of
// that one; here the form names it.
func (c *call) serveDevicePage() {
	c.s.mu.Lock()
	o := c.s.o
	d := c.s.deviceLocked(c.get("user_code"))
	c.s.mu.Unlock()
	decision := c.get("decision")
	switch {
	case c.get("user_code") == "":
		c.writeDevicePage(http.StatusOK, nil, "")
	case d == nil:
		c.writeDevicePage(http.StatusBadRequest, nil, "This code is not valid.")
	case c.r.Method == http.MethodPost && decision != "":
		c.decide(decision == "accept")
		c.writeDevicePage(http.StatusOK, nil, "Done. You can close this page.")
	case o.Consent == ConsentAuto, o.Consent == ConsentDeny:
		c.decide(o.Consent == ConsentAuto)
		c.writeDevicePage(http.StatusOK, nil, "Done. You can close this page.")
	default:
		c.writeDevicePage(http.StatusOK, d, "")
	}
}

// deviceLocked finds a flow that waits for a person, by what was typed in: blanks, dashes and small letters are
// forgiven.
func (s *Server) deviceLocked(typed string) *device {
	plain := func(text string) string { return strings.NewReplacer("-", "", " ", "").Replace(strings.ToUpper(text)) }
	for _, d := range s.devices {
		if plain(d.userCode) == plain(typed) && d.expires.After(s.o.Now()) && !d.denied && d.grant.ClientID == "" {
			return d
		}
	}
	return nil
}

// decide notes what a person has decided.
func (c *call) decide(accept bool) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.decideLocked(c.get("user_code"), accept, GrantSpec{
		User: c.get("user"), DataCenter: c.get("data_center"), Org: c.get("org"), Environment: c.get("environment"),
	})
}

// decideLocked is decide for a person of whom spec says who and where that is.
func (s *Server) decideLocked(userCode string, accept bool, spec GrantSpec) bool {
	d := s.deviceLocked(userCode)
	if d == nil {
		return false
	}
	if d.denied = !accept; d.denied {
		return true
	}
	dc := cmp.Or(spec.DataCenter, s.o.UserDataCenter, d.home)
	if _, ok := lookupDataCenter(dc); !ok || d.origin != "" || (dc == "cn") != (d.home == "cn") {
		dc = d.home
	}
	spec.ClientID, spec.DataCenter, spec.Scopes = d.client, dc, []string{d.scopes}
	d.grant = s.completeLocked(spec)
	return true
}

// writeDevicePage shows the form for the code, the question, or a message.
func (c *call) writeDevicePage(status int, d *device, message string) {
	data := map[string]any{"Message": message}
	if d != nil {
		data["Client"], data["UserCode"], data["Scopes"] = d.client, d.userCode, splitScopes(d.scopes)
		c.s.mu.Lock()
		data["User"], data["DataCenter"] = c.s.o.User, cmp.Or(c.s.o.UserDataCenter, d.home)
		c.s.mu.Unlock()
		var codes []string
		for _, center := range dataCenters {
			if d.origin == "" || center.code == d.home {
				codes = append(codes, center.code)
			}
		}
		data["DataCenters"] = codes
	}
	c.writePage(status, "device.html", data)
}
