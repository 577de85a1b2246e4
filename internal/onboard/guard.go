package onboard

import (
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
)

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

// prefetches reports whether a browser guesses what a person might open next.
func prefetches(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Sec-Purpose")+r.Header.Get("Purpose"), "prefetch")
}

// Private reports whether a request must not be logged: its address holds a code, a state
// or an invitation, or may do so in a damaged form, or it leads to Zoho with one. name is
// "" if it is none of ours.
func (p *Pages) Private(r *http.Request) (name string, private bool) {
	here, name := path.Split(r.URL.Path)
	page, known := pages[name]
	if !known {
		return "", true
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	for parameter := range values {
		private = private || !slices.Contains([]string{"account", "id", "page", "q"}, parameter)
	}
	return name, private || page.private || err != nil || !p.Folder(here)
}

// dnsRebound reports whether a name is one that a stranger can point at this machine, so
// that a page of his in an operator's browser reads these. Over TLS the certificate would not fit.
func (p *Pages) dnsRebound(r *http.Request) bool {
	host := strings.TrimSuffix((&url.URL{Host: r.Host}).Hostname(), ".")
	if _, err := netip.ParseAddr(host); r.TLS != nil || err == nil || strings.EqualFold(host, "localhost") {
		return false
	}
	u, err := url.Parse(p.Client.RedirectURI)
	return err != nil || !strings.EqualFold(u.Hostname(), host)
}
