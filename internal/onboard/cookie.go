package onboard

import "net/http"

const cookieName = "zoho-connect"

// cookie is the browser's, without a value. Over TLS its name keeps other hosts of the
// domain, and whoever is on the way of plain http, from planting one of theirs (RFC 6265bis,
// 4.1.3.2).
func (v *visit) cookie() http.Cookie {
	c := http.Cookie{Name: cookieName, Path: v.base, MaxAge: 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if v.r.TLS != nil {
		c.Name, c.Path, c.Secure = "__Host-"+cookieName, "/", true
	}
	return c
}

// browser is what the browser's cookie says, "" without one.
func (v *visit) browser() string {
	cookie, err := v.r.Cookie(v.cookie().Name)
	if err != nil || len(cookie.Value) < 20 || len(cookie.Value) > 64 {
		return ""
	}
	return cookie.Value
}
