package zohosim

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Incremental authorization: scopes are added to a grant that is there. From Zoho's pages
// incremental-auth/initiation-request.html and scope-enhance-request.html.

const enhanceLife = 10 * time.Minute

// serveEnhanceToken gives a token by which the user of a grant can add scopes to it. Zoho documents that
// for server-based applications. How it refuses others was not recorded: invalid_client is what a self
// client gets at the device endpoint. It is no token request, so the window of ten minutes does not count it.
func (c *call) serveEnhanceToken() {
	if c.r.Method != http.MethodPost || c.get("grant_type") != "update_scopes_token" {
		c.write(badRequest)
		return
	}
	c.s.mu.Lock()
	client, wrong := c.clientLocked()
	value := ""
	if wrong == "" {
		g := c.s.grants[c.get("refresh_token")]
		switch {
		case client.SelfClient:
			wrong = "invalid_client"
		case g == nil || g.online || g.ClientID != client.ID || g.DataCenter != c.route.dc:
			wrong = "invalid_code"
		default:
			value = newToken()
			c.s.enhancements[value] = enhancement{g.RefreshToken, c.s.o.Now().Add(enhanceLife)}
			noteLocked(&c.s.issued.EnhanceTokens, value)
		}
	}
	c.s.mu.Unlock()
	if wrong != "" {
		c.writeJSON(http.StatusOK, map[string]string{"error": wrong})
		return
	}
	c.write(jsonAnswer(http.StatusOK, `{"access_token":`+quote(value)+`,"token_type":"update_scope","expires_in":600}`))
}

// enhance is the page that asks for more scopes. It comes back without a state, which is not documented
// there, and without a data center. Whose browser may consent is not documented either: here it is that of
// the grant's user alone.
func (c *call) enhance() {
	c.s.mu.Lock()
	o := c.s.o
	client := c.s.clients[c.get("client_id")]
	c.s.mu.Unlock()
	if title := c.wrongEnhancement(client); title != "" {
		c.writeErrorPage(title)
		return
	}
	user := cmp.Or(c.get("user"), o.User)
	switch {
	case c.r.Method == http.MethodPost && c.get("decision") == "reject", o.Consent == ConsentDeny:
		c.redirect("error=access_denied")
	case c.r.Method == http.MethodPost && c.get("decision") == "accept", o.Consent == ConsentAuto:
		if title := c.addScopes(user); title != "" {
			c.writeErrorPage(title)
			return
		}
		c.redirect("status=success&scope_enhanced=true")
	default:
		c.writeConsentPage(user, c.route.dc)
	}
}

// wrongEnhancement gives the title of Zoho's error page, "" if nothing is wrong. The redirect URI must be
// one that is registered, to the letter.
func (c *call) wrongEnhancement(client *Client) (title string) {
	redirect, err := url.Parse(c.get("redirect_uri"))
	logout := c.get("logout")
	switch {
	case client == nil || !client.enabledIn(c.route.dc) || client.SelfClient:
		return "Invalid Client"
	case c.get("response_type") != "update_scopes":
		return "Invalid Response Type"
	case err != nil || redirect.Host == "" || redirect.Scheme != "http" && redirect.Scheme != "https",
		len(client.RedirectURIs) > 0 && !slices.Contains(client.RedirectURIs, c.get("redirect_uri")):
		return "Invalid Redirect Uri"
	case !plausibleScopes(splitScopes(c.get("scope"))):
		return "Invalid OAuth Scope"
	case logout != "true" && logout != "false":
		return "Invalid Request"
	}
	return ""
}

// addScopes adds scopes to the grant of an enhance token, which it uses up. Live access tokens have them
// as well, or those made from now on, by a variant.
func (c *call) addScopes(user string) (wrong string) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	value := c.get("enhance_token")
	e, ok := c.s.enhancements[value]
	g := c.s.grants[e.refreshToken]
	switch {
	case !ok || !e.expires.After(c.s.o.Now()) || g == nil || g.ClientID != c.get("client_id"):
		return "Invalid Enhance Token"
	case g.User != user:
		return "User Mismatch"
	}
	delete(c.s.enhancements, value)
	if len(g.Scopes) == 0 { // it has everything
		return ""
	}
	for _, scope := range splitScopes(c.get("scope")) {
		if !slices.Contains(g.Scopes, scope) {
			g.Scopes = append(slices.Clone(g.Scopes), scope)
		}
	}
	if !slices.Contains(c.s.o.Variants, "enhance-new-tokens") {
		for _, t := range g.tokens {
			t.scopes = g.Scopes
		}
	}
	return ""
}

// wrongOrg is what is wrong with an organization consent: the soid names a service and an organization of
// Zoho Payments, and the sandbox has scopes and a service of its own
// (zoho.com payments/developerdocs/web-integration/org-oauth). Only clients of type ORG consent so.
func (c *call) wrongOrg(client *Client) bool {
	service, org, found := strings.Cut(c.get("soid"), ".")
	if !client.Org || !found {
		return true
	}
	want := map[string]string{"zohopay": "ZohoPay", "zohopaysandbox": "ZohoPaySandbox"}[service]
	return want == "" || org == "" || slices.ContainsFunc(splitScopes(c.get("scope")), func(scope string) bool {
		first, _, _ := strings.Cut(scope, ".")
		return first != want
	})
}
