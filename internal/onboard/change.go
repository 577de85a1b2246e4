package onboard

import (
	"net/http"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

const (
	changeLife  = 20 * time.Second       // how long the change of one who is gone holds others up
	changeLimit = changeLife / 2         // after which one does not write any more
	changeEvery = 100 * time.Millisecond // a look whether another replica is done
)

// change is the right to look at the stored grant of an account and to change it accordingly. Zoho is
// not asked meanwhile.
type change struct {
	flow  *Flow
	nonce string // that other replicas are kept out by, "" = there are none
	since time.Time
}

// beginChange waits until nobody else changes the account, here or at another replica.
func (f *Flow) beginChange(key tokencache.Key) (*change, error) {
	c := &change{flow: f}
	if f.fleet {
		c.nonce = "changing " + key.String()
	}
	for deadline := time.Now().Add(2 * changeLife); c.nonce != ""; time.Sleep(changeEvery) {
		c.since = time.Now()
		first, err := f.pending.ConsumeNonce(c.nonce, c.since.Add(changeLife))
		if err != nil {
			return nil, errStore(err)
		}
		if first {
			break
		}
		if c.since.After(deadline) {
			return nil, errChanging(key)
		}
	}
	f.changing.Lock()
	return c, nil
}

// late reports whether a process was held up for so long that another one may have taken its turn.
func (c *change) late() bool { return c.nonce != "" && time.Since(c.since) > changeLimit }

func (c *change) end() {
	c.flow.changing.Unlock()
	if c.nonce != "" && !c.late() { // otherwise it may be another's
		_ = c.flow.pending.ReturnNonce(c.nonce)
	}
}

func errChanging(key tokencache.Key) error {
	return &Error{
		Status:     http.StatusServiceUnavailable,
		Code:       codeStore,
		RetryAfter: awayRetry,
		Text:       "Another replica changes the grant of " + key.String() + ", and does not come to an end.",
		Remedy:     "Try again in a moment.",
	}
}
