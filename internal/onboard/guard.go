package onboard

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// guards look at each request before its page does, in this order. The first that answers
// ends it.
var guards = []func(*visit) (answered bool){
	(*visit).refuseForeignForm,
	(*visit).refuseStrangeForm,
	(*visit).refusePrefetch,
	(*visit).refuseLostCallback,
	(*visit).addSlash,
	(*visit).refuseUnknownPage,
	(*visit).refuseCaller,
	(*visit).refuseHost,
}

func (v *visit) refuse(err error) (answered bool) {
	v.fail(err)
	return true
}

// refuseForeignForm keeps pages of other sites from deciding for whoever looks at them.
func (v *visit) refuseForeignForm() bool {
	if v.r.Method != http.MethodPost || http.NewCrossOriginProtection().Check(v.r) == nil {
		return false
	}
	return v.refuse(&Error{
		Status: http.StatusForbidden,
		Code:   "origin",
		Text:   "This form was sent by a page of another site.",
		Remedy: "Use the form of this page.",
	})
}

func (v *visit) refuseStrangeForm() bool {
	if v.r.Method != http.MethodPost || v.readForm() {
		return false
	}
	return v.refuse(&Error{
		Status: http.StatusBadRequest,
		Code:   "form",
		Text:   "This is not a form from these pages.",
		Remedy: "Use the form of the page.",
	})
}

// refusePrefetch keeps a browser that guesses from using up what is good once.
func (v *visit) refusePrefetch() bool {
	if !v.page.once || !prefetches(v.r) {
		return false
	}
	return v.refuse(&Error{
		Status: http.StatusServiceUnavailable,
		Code:   "prefetch",
		Text:   "This page is not fetched in advance.",
		Remedy: "Open it.",
	})
}

// refuseLostCallback explains an answer of Zoho's that came where no callback is.
func (v *visit) refuseLostCallback() bool {
	answers := query(v.r, "code") != "" && query(v.r, "state") != "" || query(v.r, "scope_enhanced") != ""
	if v.name == "callback" && v.Folder(v.folder) || !answers {
		return false
	}
	v.turnAway(errAnswer(answerLost))
	return true
}

// addSlash leads whoever has left the last slash of the folder out.
func (v *visit) addSlash() bool {
	if v.r.Method != http.MethodGet || v.Folder(v.folder) || !v.Folder(v.r.URL.Path+"/") {
		return false
	}
	v.w.Header().Set("Location", "./"+url.PathEscape(v.name)+"/")
	v.w.WriteHeader(http.StatusPermanentRedirect)
	return true
}

func (v *visit) refuseUnknownPage() bool {
	if v.known && v.Folder(v.folder) {
		return false
	}
	return v.refuse(errNoPage())
}

func (v *visit) refuseCaller() bool {
	if v.page.open || v.Admit(v.r) {
		return false
	}
	return v.refuse(&Error{
		Status: http.StatusForbidden,
		Code:   "caller",
		Text:   "Your address is not allowed here.",
		Remedy: "The operator can allow it by `callers` of zoho_connect; the default is this machine alone.",
	})
}

func (v *visit) refuseHost() bool {
	if v.page.open || !v.dnsRebound(v.r) {
		return false
	}
	return v.refuse(&Error{
		Status: http.StatusForbidden,
		Code:   "host",
		Text:   "These pages are not known by the name " + quoted(v.r.Host) + ".",
		Remedy: "Open them by an address, by https, or by the name that stands in the client's redirect_uri.",
	})
}

func errNoPage() error {
	return &Error{
		Status: http.StatusNotFound,
		Code:   "page",
		Text:   "There is no such page.",
		Remedy: "Go back to the list of accounts.",
	}
}

// prefetches reports whether a browser guesses what a person might open next.
func prefetches(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Sec-Purpose")+r.Header.Get("Purpose"), "prefetch")
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
