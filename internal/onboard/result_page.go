package onboard

import (
	"crypto/rand"
	"sync"
	"time"
)

// shown is what a browser may see after its consent, for a while.
type shown struct {
	browser  browserID
	expires  time.Time
	result   Result
	err      *Error
	dropped  bool // the grant was not wanted after all
	returnTo string
	invited  bool // it sees this and nothing else

	confirming sync.Mutex
	outcome    string // id of what came of it once it was confirmed, "" until then
}

// keep keeps what a browser is to see.
func (f *Flow) keep(s *shown, browser string) (id string) {
	id = rand.Text()
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tidy(now)
	s.browser, s.expires = identify(browser), now.Add(consentLife)
	f.results[id] = s
	return id
}

// kept is what a browser may see, nil if there is nothing.
func (f *Flow) kept(id, browser string) *shown {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tidy(time.Now())
	if s := f.results[id]; s != nil && s.browser.is(browser) {
		return s
	}
	return nil
}
