package zohosim

import (
	"crypto/subtle"
	"hash/fnv"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// maxForm is how many bytes of a request's parameters, or of a command's JSON, are read.
const maxForm = 1 << 20

// arrive reads the parameters of an accounts request and counts it.
func (c *call) arrive() {
	switch c.route.accounts {
	case "auth":
		c.form = parameters(c.r)
		c.s.count(func(st *Stats) { st.Authorizations++ })
	case "revoke", "revoke-basic":
		c.form = parameters(c.r)
		c.s.count(func(st *Stats) { st.Revocations++ })
	case "token":
		c.form = parameters(c.r)
		if c.isTokenRequest() {
			c.s.count(c.countTokenRequest)
		}
	}
}

// isTokenRequest reports whether the request counts against the limit of ten in ten minutes. A GET is
// refused before.
func (c *call) isTokenRequest() bool {
	return c.route.accounts == "token" && c.r.Method == http.MethodPost
}

// countTokenRequest counts what was asked for, whatever comes of it.
func (c *call) countTokenRequest(st *Stats) {
	st.TokenRequests++
	switch c.get("grant_type") {
	case "authorization_code":
		st.Exchanges++
	case "refresh_token":
		st.Refreshes++
	}
	if refreshToken := c.get("refresh_token"); refreshToken != "" {
		st.ByRefreshToken[refreshToken]++
	}
}

// get gives a parameter of an accounts request.
func (c *call) get(name string) string { return url.Values(c.form).Get(name) }

// parameters collects what came in the query, as a form or as multipart. HTTP Basic gives the client.
// All four are in use: Zoho's pages show the query, most clients send a form, Zoho's Node SDK nothing but
// multipart, and OAuth libraries try Basic first.
func parameters(r *http.Request) url.Values {
	all := url.Values{}
	maps.Copy(all, r.URL.Query())
	r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch mediaType {
	case "application/x-www-form-urlencoded":
		body, _ := io.ReadAll(r.Body)
		values, _ := url.ParseQuery(string(body))
		maps.Copy(all, values)
	case "multipart/form-data":
		if r.ParseMultipartForm(maxForm) == nil {
			maps.Copy(all, r.MultipartForm.Value)
		}
	default:
		io.Copy(io.Discard, r.Body)
	}
	if id, secret, ok := r.BasicAuth(); ok {
		all.Set("client_id", decoded(id))
		all.Set("client_secret", decoded(secret))
	}
	return all
}

// decoded undoes the form encoding that RFC 6749 asks for in Basic credentials.
func decoded(s string) string {
	if d, err := url.QueryUnescape(s); err == nil {
		return d
	}
	return s
}

// serveAccounts answers as an authorization server. Raw dumps of Zoho's replies have these cookies.
func (c *call) serveAccounts() {
	for _, name := range []string{"iamcsr", "_zcsr_tmp"} {
		http.SetCookie(c.w, &http.Cookie{Name: name, Value: "5f2a9c1e", Path: "/"})
	}
	switch c.route.accounts {
	case "auth":
		c.authorize()
	case "token":
		c.serveToken()
	case "revoke", "revoke-basic":
		c.revoke()
	case "serverinfo":
		c.serverInfo()
	case "userinfo":
		c.serveAPI()
	}
}

// clientLocked finds the client that calls, and otherwise names Zoho's error: a data center that is not
// enabled for the client is answered like an unknown id.
func (c *call) clientLocked() (*Client, string) {
	client := c.s.clients[c.get("client_id")]
	if client == nil || !client.enabledIn(c.route.dc) {
		return nil, "invalid_client"
	}
	secret := client.secretFor(c.route.dc)
	if subtle.ConstantTimeCompare([]byte(secret), []byte(c.get("client_secret"))) != 1 {
		return nil, "invalid_client_secret"
	}
	return client, ""
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

// badRequest is measured of the revoke endpoint; of the token endpoint only the status is known, for GET
// and for a missing grant_type.
var badRequest = htmlAnswer(400,
	"<!DOCTYPE html><html><head><title>Zoho Accounts</title></head><body>Invalid request</body></html>")

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
