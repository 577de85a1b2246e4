package zohosim

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// authorize is the authorization page. What is wrong with client, redirect URI, scope or response type
// cannot go back to the callback: the browser is shown a page.
func (c *call) authorize() {
	c.s.mu.Lock()
	noteLocked(&c.s.issued.States, c.get("state"))
	c.s.mu.Unlock()
	c.s.mu.Lock()
	o := c.s.o
	client := c.s.clients[c.get("client_id")]
	c.s.mu.Unlock()
	if title := c.wrongAuthorization(client); title != "" {
		c.writeErrorPage(title)
		return
	}
	user := cmp.Or(c.get("user"), o.User)
	dc := cmp.Or(c.get("data_center"), cmp.Or(o.UserDataCenter, c.route.dc))
	if _, ok := lookupDataCenter(dc); !ok || c.route.origin != "" || (dc == "cn") != (c.route.dc == "cn") {
		dc = c.route.dc // China stands apart: consent cannot lead into it or out of it
	}
	h := holder{client.ID, user, dc}
	repeated := c.get("prompt") != "consent" && c.consentedBefore(h)
	switch {
	case c.r.Method == http.MethodPost && c.get("decision") == "reject", o.Consent == ConsentDeny:
		c.deny(o.BareDenial, dc)
	case c.r.Method == http.MethodPost && c.get("decision") == "accept", o.Consent == ConsentAuto, repeated:
		c.accept(h, repeated)
	default:
		c.writeConsentPage(user, dc)
	}
}

// wrongAuthorization gives the title of Zoho's error page, "" if nothing is wrong.
func (c *call) wrongAuthorization(client *Client) (title string) {
	redirect, err := url.Parse(c.get("redirect_uri"))
	switch {
	case client == nil || !client.enabledIn(c.route.dc):
		return "Invalid Client"
	case c.route.accounts == "auth" && client.Org, c.route.accounts == "org-auth" && c.wrongOrg(client):
		return "Invalid Client"
	case c.get("response_type") != "code":
		return "Invalid Response Type"
	case err != nil || redirect.Host == "" || redirect.Scheme != "http" && redirect.Scheme != "https":
		return "Invalid Redirect Uri"
	case len(client.RedirectURIs) > 0 && !slices.Contains(client.RedirectURIs, c.get("redirect_uri")):
		return "Invalid Redirect Uri"
	case !c.scopesExist():
		return "Invalid OAuth Scope"
	default:
		return ""
	}
}

// scopesExist reports whether scopes are named and none of them is unknown.
func (c *call) scopesExist() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	scopes := splitScopes(c.get("scope"))
	unknown := func(scope string) bool { return slices.Contains(c.s.o.UnknownScopes, scope) }
	return plausibleScopes(scopes) && !slices.ContainsFunc(scopes, unknown)
}

// plausibleScopes asks for two parts at least and no more: no closed list of scopes would be right.
func plausibleScopes(scopes []string) bool {
	for _, scope := range scopes {
		service, rest, _ := strings.Cut(scope, ".")
		if service == "" || rest == "" {
			return false
		}
	}
	return len(scopes) > 0
}

// consentedBefore reports whether the user has a refresh token of this client.
func (c *call) consentedBefore(h holder) bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return len(c.s.holders[h]) > 0
}

// accept sends the browser back with a code. A repeated consent without prompt=consent gives no
// refresh token.
func (c *call) accept(h holder, repeated bool) {
	c.s.mu.Lock()
	if c.s.tooManyCodesLocked(h) {
		c.s.mu.Unlock()
		c.deny(false, h.dc)
		return
	}
	_, org, isOrg := strings.Cut(c.get("soid"), ".")
	spec := c.s.completeLocked(GrantSpec{
		ClientID: h.client, User: h.user, DataCenter: h.dc,
		Org: cmp.Or(org, c.get("org")), Environment: c.get("environment"),
		Scopes: []string{c.get("scope")},
	})
	value := c.s.codeLocked(code{
		GrantSpec:   spec,
		redirectURI: c.get("redirect_uri"),
		offline:     c.get("access_type") == "offline" && !repeated,
		org:         isOrg,
	})
	c.s.mu.Unlock()
	c.back(h.dc, c.state(), "code", value)
}

// deny sends the browser back with access_denied. Whether Zoho adds state and location then is not
// established.
func (c *call) deny(bare bool, dc string) {
	if bare {
		c.redirect("error=access_denied")
		return
	}
	c.back(dc, c.state(), "error", "access_denied")
}

// state gives the parameter back that the callback has to carry, as a prefix of its query.
func (c *call) state() string {
	if state := c.get("state"); state != "" {
		return "state=" + url.QueryEscape(state) + "&"
	}
	return ""
}

// back names the data center as Zoho does: percent-encoded and with an ampersand at the end. That is how
// a callback was observed: ?code=...&location=us&accounts-server=https%3A%2F%2Faccounts.zoho.com&
func (c *call) back(dc, state, name, value string) {
	server := c.route.origin
	if server == "" {
		center, _ := lookupDataCenter(dc)
		server = "https://" + center.accounts
	}
	c.redirect(state + name + "=" + value + "&location=" + dc + "&accounts-server=" + url.QueryEscape(server) + "&")
}

// redirect sends the browser to the callback, whatever query its URI has already.
func (c *call) redirect(query string) {
	target := c.get("redirect_uri")
	if strings.Contains(target, "?") {
		target += "&" + query
	} else {
		target += "?" + query
	}
	c.write(Answer{Status: http.StatusFound, Header: map[string]string{"Location": target}})
}

// writeErrorPage shows what Zoho shows in place of a callback ("Invalid Client").
func (c *call) writeErrorPage(title string) {
	c.write(htmlAnswer(400, "<!DOCTYPE html><html><head><title>"+title+
		"</title></head><body><h1>"+title+"</h1><p>ERROR_"+strings.ToLower(strings.ReplaceAll(title, " ", "_"))+
		"</p></body></html>"))
}

// writeConsentPage asks.
func (c *call) writeConsentPage(user, dc string) {
	var codes []string
	for _, d := range dataCenters {
		if c.route.origin == "" || d.code == dc {
			codes = append(codes, d.code)
		}
	}
	c.writePage(http.StatusOK, "consent.html", map[string]any{
		"Client": c.get("client_id"), "Scopes": splitScopes(c.get("scope")),
		"User": user, "DataCenter": dc, "DataCenters": codes,
		"Environments": []string{"", "sandbox", "developer"},
	})
}
