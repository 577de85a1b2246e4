package onboard

import (
	"net/url"
	"path"
	"strings"
)

// turnAway leads the browser from an answer of Zoho's to a page that says why it was not used.
func (v *visit) turnAway(e *Error) {
	to, ok := v.resultPage()
	if !ok {
		v.fail(e)
		return
	}
	v.logFailure(e)
	v.w.Header().Set(ErrorHeader, e.Code)
	v.redirect(to + "?" + url.Values{"why": {errAnswer(e.word).word}, "ref": {e.Reference}}.Encode())
}

// resultPage is the page of results as a link from here. Where no page is, as at callback/, it is further up.
func (v *visit) resultPage() (to string, ok bool) {
	folder := v.folder
	for to = "result"; !v.Folder(folder); to = "../" + to {
		parent, _ := path.Split(strings.TrimSuffix(folder, "/"))
		if parent == folder || parent == "" {
			return "", false
		}
		folder = parent
	}
	return to, true
}

// turnedAway is the page that turnAway leads to.
func (v *visit) turnedAway(why, reference string) {
	e := errAnswer(why)
	if isReference(reference) {
		e.Reference = reference
	}
	v.failWith(e)
}
