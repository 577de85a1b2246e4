package onboard

import (
	"context"
	"crypto/rand"
	"time"
)

// pageResult is what a browser may see after its consent, for a while.
type pageResult struct {
	Browser  browserID
	Result   Result
	Failure  *Error
	Account  string
	Dropped  bool // the grant was not wanted after all
	ReturnTo string
	Invited  bool   // it sees this and nothing else
	Outcome  string // of a question: the id of what comes of it once it was answered
}

// asks reports whether a person has to say whether a grant is to be replaced.
func (s *pageResult) asks() bool { return s.Failure != nil && s.Failure.Confirm != "" }

// keepResult keeps what a browser is to see under an id, which is a new one where none is given.
func (f *Flow) keepResult(cl *Client, id string, s *pageResult, browser string) (string, error) {
	if id == "" {
		id = rand.Text()
	}
	s.Browser = identify(browser)
	if s.asks() {
		s.Outcome = rand.Text()
	}
	return id, f.keep(cl, resultName(id), s, consentLife)
}

func resultName(id string) string { return "result " + digest(id) }

// resultOf is what a browser may see, nil if there is nothing.
func (f *Flow) resultOf(cl *Client, id, browser string) (*pageResult, error) {
	if !isID(id) {
		return nil, nil
	}
	s := new(pageResult)
	found, err := f.find(cl, resultName(id), s)
	if err != nil || !found || !s.Browser.is(browser) {
		return nil, err
	}
	return s, nil
}

const (
	outcomeLimit = 30 * time.Second // Zoho may be asked meanwhile
	outcomeEvery = 100 * time.Millisecond
)

// awaitOutcome waits for what comes of an answer that another click, maybe at another replica, has
// brought before. It reports whether that can be shown.
func (f *Flow) awaitOutcome(ctx context.Context, cl *Client, id, browser string) bool {
	ctx, cancel := context.WithTimeout(ctx, outcomeLimit)
	defer cancel()
	ticks := time.NewTicker(outcomeEvery)
	defer ticks.Stop()
	for {
		if s, err := f.resultOf(cl, id, browser); s != nil || err != nil {
			return err == nil
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return false
		}
	}
}
