package onboard

import (
	"net/http"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

const (
	changeLife  = 20 * time.Second       // for so long others wait for a replica that has died while it changes something
	changeLimit = changeLife / 2         // after which a replica does not write any more
	changeEvery = 100 * time.Millisecond // how often a replica looks whether another one is done
)

// change is the right to look at the stored grant of an account and to change it accordingly. Zoho is
// not asked meanwhile. In a fleet it is a nonce, which keeps out others of the same account, here as at
// other replicas; a process that is alone makes one change at a time.
type change struct {
	flow  *Flow
	nonce string // "" = this process is alone
	since time.Time
}

// beginChange waits until nobody else changes the account, or until Close.
func (f *Flow) beginChange(key tokencache.Key) (*change, error) {
	if !f.fleet {
		f.changing.Lock()
		return &change{flow: f}, nil
	}
	c := &change{flow: f, nonce: "changing " + key.String()}
	for deadline := time.Now().Add(2 * changeLife); ; {
		c.since = time.Now()
		first, err := f.pending.ConsumeNonce(c.nonce, c.since.Add(changeLife))
		switch {
		case err != nil:
			return nil, errStore(err)
		case first:
			return c, nil
		case c.since.After(deadline):
			return nil, errChanging(key)
		}
		select {
		case <-time.After(changeEvery):
		case <-f.ctx.Done():
			return nil, errClosed()
		}
	}
}

// late reports whether a process was held up for so long that another one may have taken its turn.
func (c *change) late() bool { return c.nonce != "" && time.Since(c.since) > changeLimit }

func (c *change) end() {
	switch {
	case c.nonce == "":
		c.flow.changing.Unlock()
	case !c.late(): // otherwise it may be another's
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
