package callers

import (
	"net/http"
	"strings"
)

// Page is a request that a web page has sent.
type Page struct {
	Mark string // what gives it away
	Host string // that it was sent to, if it would be no page's with a name of the proxy's own
}

// PageOf says whether a web page asks, nil if none does. Across origins a browser sends Origin or
// Sec-Fetch-Site; over plain http, to a name that was rebound to this address, neither. Then the
// name gives it away, together with what browsers add and apps hardly ever do.
func (n *Names) PageOf(r *http.Request) *Page {
	if _, ok := r.Header["Origin"]; ok {
		return &Page{Mark: "Origin"}
	}
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "none" { // somebody typed the address
			return &Page{Mark: "Sec-Fetch-Site"}
		}
	}
	if !looksLikeBrowser(r.Header) {
		return nil
	}
	if n.own(r.Host) {
		return nil
	}
	return &Page{Mark: marks(r.Header), Host: r.Host}
}

// looksLikeBrowser reports whether a request has the marks of a browser's. A Referer of one of
// the proxy's own names is one as well: it makes no difference with such a Host.
func looksLikeBrowser(header http.Header) bool {
	return header["Accept-Language"] != nil || header["Referer"] != nil || browsersAgent(header)
}

func browsersAgent(header http.Header) bool {
	return strings.HasPrefix(header.Get("User-Agent"), "Mozilla/")
}

// marks are those that looksLikeBrowser has found, in words.
func marks(header http.Header) string {
	var found []string
	if browsersAgent(header) {
		found = append(found, "User-Agent begins with Mozilla/")
	}
	for _, name := range []string{"Accept-Language", "Referer"} {
		if header[name] != nil {
			found = append(found, "it has "+name)
		}
	}
	return strings.Join(found, ", ")
}
