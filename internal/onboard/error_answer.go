package onboard

import "net/http"

// Answers of Zoho's that are refused before it is known which consent they belong to. The browser is led away from
// them, to an address that has no more than the word for one: nothing is kept, so whoever makes answers up fills
// nothing.

// The words.
const (
	answerDamaged      = "damaged"
	answerTwice        = "twice"
	answerNoState      = "no-state"
	answerUnknown      = "unknown"
	answerOtherBrowser = "other-browser"
	answerLost         = "lost"
	answerOther        = "other"
)

const startOver = "Nothing was connected. Start over: open the link that you were sent, or the list of accounts."

var refusedAnswers = map[string]struct{ code, text, remedy string }{
	answerDamaged: {codeCallback, "The address of this answer is damaged, so nothing in it was used.", startOver},
	answerTwice: {codeCallback, "The answer names a parameter twice, which Zoho does not do. Nothing in it was used.",
		startOver},
	answerNoState: {codeState, "The answer holds no state, so it does not belong to a consent that was started here.",
		startOver},
	answerUnknown: {codeState, "This answer belongs to a consent that was not started here, or that was forgotten.",
		startOver},
	answerOtherBrowser: {codeState, "This consent was started in another browser, or under another name of this server, " +
		"or the browser does not keep cookies.", startOver},
	answerLost: {codeCallback, "Zoho's answer came to another address than that of the callback, and was not used.",
		"The redirect URI must end in `callback`, in small letters and with nothing after it. " +
			"It must be the same, to the letter, in the client's redirect_uri and in Zoho's API console."},
	answerOther: {codeCallback, "This answer could not be used.", startOver},
}

// errAnswer is the error by that word.
func errAnswer(word string) *Error {
	a, known := refusedAnswers[word]
	if !known {
		word, a = answerOther, refusedAnswers[answerOther]
	}
	e := &Error{
		Status: http.StatusBadRequest,
		Code:   a.code,
		Text:   a.text,
		Remedy: a.remedy,
		word:   word,
	}
	if e.Code == codeState {
		e.Status = http.StatusForbidden
	}
	return e
}
