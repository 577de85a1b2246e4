package zohosim

import (
	"crypto/subtle"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
)

// maxForm is how many bytes of a request's parameters, or of a command's JSON, are read.
const maxForm = 1 << 20

// arrive reads the parameters of an accounts request and counts it.
func (c *call) arrive() {
	switch c.route.accounts {
	case "auth", "org-auth", "enhance":
		c.form = parameters(c.r)
		c.s.count(func(st *Stats) { st.Authorizations++ })
	case "enhance-token":
		c.form = parameters(c.r)
		c.s.count(func(st *Stats) { st.Enhancements++ })
	case "revoke", "revoke-basic":
		c.form = parameters(c.r)
		c.s.count(func(st *Stats) { st.Revocations++ })
	case "device-code":
		c.form = parameters(c.r)
		c.s.count(func(st *Stats) { st.DeviceCodes++ })
	case "device-token":
		c.form = parameters(c.r)
		c.s.count(func(st *Stats) { st.DevicePolls++ })
	case "device":
		c.form = parameters(c.r)
	case "token":
		c.form = parameters(c.r)
		if c.isTokenRequest() {
			c.s.count(c.countTokenRequest)
		}
	}
}

// countTokenRequest counts what was asked for, whatever comes of it.
func (c *call) countTokenRequest(st *Stats) {
	st.TokenRequests++
	switch c.get("grant_type") {
	case "authorization_code":
		st.Exchanges++
	case "refresh_token":
		st.Refreshes++
	case "client_credentials":
		st.Mints++
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
