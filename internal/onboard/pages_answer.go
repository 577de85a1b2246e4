package onboard

import (
	"cmp"
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
	v.redirect(to + "?" + url.Values{"why": {cmp.Or(e.word, answerOther)}, "ref": {e.Reference}}.Encode())
}

// deepest is how far below the pages an answer of Zoho's may come and still be led to them: a path of any length is free.
const deepest = 8

// resultPage is the page of results as a link from here. Where no page is, as at callback/, it is further up.
func (v *visit) resultPage() (to string, ok bool) {
	folder := v.folder
	for up := range deepest {
		if v.Folder(folder) {
			return strings.Repeat("../", up) + "result", true
		}
		folder, _ = path.Split(strings.TrimSuffix(folder, "/"))
	}
	return "", false
}

// turnedAway is the page that turnAway leads to.
func (v *visit) turnedAway(why, reference string) {
	e := errAnswer(why)
	if isReference(reference) {
		e.Reference = reference
	}
	v.failWith(e)
}
