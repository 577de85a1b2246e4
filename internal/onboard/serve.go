package onboard

import (
	"net/http"
	"net/url"
	"path"
	"slices"
)

var pages = map[string]page{
	"":           {get: (*visit).list, post: (*visit).manage},
	"connect":    {get: (*visit).prepare},
	"add-scopes": {get: (*visit).prepareScopes, post: (*visit).addScopes, private: true},
	"start":      {post: (*visit).start, private: true},
	"callback":   {get: (*visit).callback, open: true, private: true, once: true},
	"result":     {get: (*visit).result, open: true},
	"confirm":    {post: (*visit).confirm, open: true},
	"invite":     {get: (*visit).invite, post: (*visit).accept, open: true, private: true},
	"style.css":  {get: (*visit).style, open: true},
}

// Served is what a page was about.
type Served struct {
	Account string // "" if it is not known
	Managed string // what was done to it, "" if it was not managed
}

// Serve answers by the last segment of the path, in whatever folder the pages are served.
func (p *Pages) Serve(w http.ResponseWriter, r *http.Request) Served {
	base, _ := path.Split(p.Path(r))
	v := &visit{Pages: p, w: w, r: r, base: base}
	v.folder, v.name = path.Split(r.URL.Path)
	v.page, v.known = pages[v.name]
	v.setSecurityHeaders()
	v.answer()
	return Served{v.named(), v.managed}
}

// answer is a guard's, or the page's.
func (v *visit) answer() {
	for _, answers := range guards {
		if answers(v) {
			return
		}
	}
	if answer := v.page.method(v.r.Method); answer != nil {
		answer(v)
		return
	}
	v.fail(errNoPage())
}

// method is what answers a request by that method, nil if nothing does.
func (p page) method(name string) func(*visit) {
	switch {
	case name == http.MethodPost:
		return p.post
	case name == http.MethodGet, name == http.MethodHead && !p.once:
		return p.get
	}
	return nil
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
		private = private || !slices.Contains([]string{"account", "do", "id", "page", "q", "ref", "show", "why"}, parameter)
	}
	return name, private || page.private || err != nil || !p.Folder(here)
}
