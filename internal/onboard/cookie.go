package onboard

import "net/http"

const (
	cookieName   = "zoho-connect"        // of the browser
	scopesCookie = "zoho-connect-scopes" // of the scopes that it is adding
)

// cookie is one of the browser's, without a value. Over TLS its name keeps other hosts of the
// domain, and whoever is on the way of plain http, from planting one of theirs (RFC 6265bis,
// 4.1.3.2).
func (v *visit) cookie(name string) http.Cookie {
	c := http.Cookie{Name: name, Path: v.base, MaxAge: 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if v.r.TLS != nil {
		c.Name, c.Path, c.Secure = "__Host-"+name, "/", true
	}
	return c
}

// setCookie gives the browser a cookie. "" takes it away.
func (v *visit) setCookie(name, value string) {
	cookie := v.cookie(name)
	if cookie.Value = value; value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(v.w, &cookie)
}

// browser is what the browser's cookie says, "" without one.
func (v *visit) browser() string { return v.cookieValue(cookieName) }

func (v *visit) cookieValue(name string) string {
	cookie, err := v.r.Cookie(v.cookie(name).Name)
	if err != nil || len(cookie.Value) < 20 || len(cookie.Value) > 64 {
		return ""
	}
	return cookie.Value
}
