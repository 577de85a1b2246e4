package onboard

import (
	"crypto/rand"
	"sync"
	"time"
)

// pageResult is what a browser may see after its consent, for a while.
type pageResult struct {
	browser  browserID
	expires  time.Time
	result   Result
	failure  *Error
	dropped  bool // the grant was not wanted after all
	returnTo string
	invited  bool // it sees this and nothing else

	confirming sync.Mutex
	outcome    string // id of what came of it once it was confirmed, "" until then
}

// keepResult keeps what a browser is to see.
func (f *Flow) keepResult(s *pageResult, browser string) (id string) {
	id = rand.Text()
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropExpired(now)
	s.browser, s.expires = identify(browser), now.Add(consentLife)
	f.results[id] = s
	return id
}

// resultOf is what a browser may see, nil if there is nothing.
func (f *Flow) resultOf(id, browser string) *pageResult {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropExpired(time.Now())
	if s := f.results[id]; s != nil && s.browser.is(browser) {
		return s
	}
	return nil
}
