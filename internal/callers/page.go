package callers

import (
	"net/http"
	"net/url"
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
	if !looksLikeBrowser(r) || n.own(r.Host) {
		return nil
	}
	return &Page{Mark: marks(r), Host: r.Host}
}

// looksLikeBrowser reports whether a request has the marks of a browser's.
func looksLikeBrowser(r *http.Request) bool {
	return r.Header["Accept-Language"] != nil || browsersAgent(r.Header) || refersElsewhere(r)
}

func browsersAgent(header http.Header) bool {
	return strings.HasPrefix(header.Get("User-Agent"), "Mozilla/")
}

// refersElsewhere reports whether a page of another host has led here. What is no address of a page is
// no browser's.
func refersElsewhere(r *http.Request) bool {
	for _, referer := range r.Header["Referer"] {
		if page, err := url.Parse(referer); err == nil && page.Host != "" && nameOf(page.Host) != nameOf(r.Host) {
			return true
		}
	}
	return false
}

// marks are those that looksLikeBrowser has found, in words.
func marks(r *http.Request) string {
	var found []string
	if browsersAgent(r.Header) {
		found = append(found, "User-Agent begins with Mozilla/")
	}
	if r.Header["Accept-Language"] != nil {
		found = append(found, "it has Accept-Language")
	}
	if refersElsewhere(r) {
		found = append(found, "it has a Referer of another host")
	}
	return strings.Join(found, ", ")
}
