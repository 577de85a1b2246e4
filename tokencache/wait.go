package tokencache

import (
	"context"
	"errors"
	"time"
)

// Waiting for the next try: one failure passes in a second, mostly, and a call that is answered
// two seconds late is better than one that fails. So who is patient waits out what holds calls
// back, if that ends by itself within the client's TokenWait. That is counted from when the call
// was first told of a failure: what it waits for flights beside that, those bound themselves.
//
// All who wait come back at the same moment and find one flight. They are maxWaiters at most for
// a connection, since each of them holds a request of an app.

const maxWaiters = 1000

// patience is what one caller has waited, and may.
type patience struct {
	waited bool
	until  int64 // mono: no pause is longer; 0 = nothing has failed yet
}

// report has the time counted that a caller has waited since start, if it had to.
func (w *patience) report(n *Conn, req request, start int64) {
	if w.waited {
		d := time.Duration(n.cache.clock.now().mono - start)
		n.cache.emit(Event{Type: EventWaited, Key: n.key, Cause: req.cause, Duration: d})
	}
}

// pause waits for the next try after a failure, and reports whether that has come. It is false
// at once where the next try is too far away, or of no use.
func (n *Conn) pause(ctx context.Context, cl *Client, req request, w *patience, err error) bool {
	now := n.cache.clock.now().mono
	if w.until == 0 {
		w.until = now + int64(cl.TokenWait)
	}
	if !req.patient || now >= w.until || ctx.Err() != nil {
		return false
	}
	d, ok := n.queueUp(cl, req, err, w.until)
	if !ok {
		return false
	}
	defer n.leaveQueue()
	w.waited = true
	due, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-due.Done():
		return ctx.Err() == nil
	case <-n.cache.closing:
		return false
	}
}

// queueUp says how long the next try is away, if it is due until then and there is room for one
// more who waits.
func (n *Conn) queueUp(cl *Client, req request, err error, until int64) (time.Duration, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.cache.clock.now()
	d, ok := n.nextTry(cl, req, err, now)
	if !ok || now.mono+int64(d) > until || !n.enterQueue() {
		return 0, false
	}
	return d, true
}

// joinQueue reports whether there is room for one more who waits.
func (n *Conn) joinQueue() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.enterQueue()
}

// enterQueue is joinQueue, with mu held.
func (n *Conn) enterQueue() bool {
	if n.waiters >= maxWaiters {
		return false
	}
	n.waiters++
	return true
}

func (n *Conn) leaveQueue() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiters--
}

// nextTry is how long it takes until another try may bring what this one has not; false if
// that takes a human. With mu held.
func (n *Conn) nextTry(cl *Client, req request, err error, now moment) (time.Duration, bool) {
	var e *Error
	if !errors.As(err, &e) || errors.Is(err, errClosed) || errors.Is(err, errShortLived) {
		return 0, false
	}
	switch e.Kind {
	case KindTemporary, KindThrottled:
		switch {
		case !n.waiting.running(now.mono):
			return max(e.RetryAfter, time.Millisecond), true // nothing holds calls back, but no loop may spin
		case n.waiting.kind.needsHand():
			return 0, false
		}
		return time.Duration(n.waiting.next - now.mono), true
	case KindBudget:
		return max(n.ledger.wait(now.mono, cl, req.budget(cl)), time.Millisecond), true
	case KindStore:
		if b := n.broken; b != nil && b.client == cl.identity() {
			return max(time.Duration(b.till-now.mono), time.Millisecond), true
		}
		return lookAgain, true
	}
	return 0, false
}
