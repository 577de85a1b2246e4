package zohosim

import "net/http"

// serveAccounts answers as an authorization server. Raw dumps of Zoho's replies have these cookies.
func (c *call) serveAccounts() {
	for _, name := range []string{"iamcsr", "_zcsr_tmp"} {
		http.SetCookie(c.w, &http.Cookie{Name: name, Value: "5f2a9c1e", Path: "/"})
	}
	switch c.route.accounts {
	case "auth", "org-auth":
		c.authorize()
	case "enhance-token":
		c.serveEnhanceToken()
	case "enhance":
		c.enhance()
	case "token":
		c.serveToken()
	case "revoke", "revoke-basic":
		c.revoke()
	case "serverinfo":
		c.serverInfo()
	case "userinfo":
		c.serveAPI()
	case "device-code":
		c.serveDeviceCode()
	case "device-token":
		c.serveDeviceToken()
	case "device":
		c.serveDevicePage()
	}
}

// revoke kills a refresh token with its access tokens, or one access token. The older endpoint asks
// for no credentials. What cannot be revoked gives 400 and a page.
func (c *call) revoke() {
	if c.r.Method != http.MethodPost {
		c.write(badRequest)
		return
	}
	c.s.mu.Lock()
	wrong, found := "", false
	if c.route.accounts == "revoke-basic" {
		_, wrong = c.clientLocked()
	}
	if wrong == "" {
		found = c.s.revokeLocked(c.get("token"), c.route.dc)
	}
	c.s.mu.Unlock()
	switch {
	case wrong != "":
		c.writeJSON(http.StatusOK, map[string]string{"error": wrong})
	case !found:
		c.write(badRequest)
	default:
		c.writeJSON(http.StatusOK, map[string]string{"status": "success"})
	}
}

// revokeLocked reports whether there was something to revoke at that data center.
func (s *Server) revokeLocked(value, dc string) bool {
	if g := s.grants[value]; g != nil && g.DataCenter == dc {
		s.removeLocked(g)
		return true
	}
	if t := s.liveLocked(value, dc); t != nil {
		s.killTokenLocked(t)
		return true
	}
	return false
}

// serverInfo names the accounts servers by data center. In the single-origin mode there is only one.
// The keys result and locations are those that two clients read; a whole body was not found.
func (c *call) serverInfo() {
	locations := map[string]string{}
	for _, dc := range dataCenters {
		if dc.listed && c.route.origin == "" {
			locations[dc.code] = "https://" + dc.accounts
		}
	}
	if c.route.origin != "" {
		locations[c.route.dc] = c.route.origin
	}
	c.writeJSON(http.StatusOK, map[string]any{"result": "success", "locations": locations})
}
