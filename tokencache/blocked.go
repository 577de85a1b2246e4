package tokencache

import "time"

// Why the server is not asked now, and until when.

// blocked says what is known without asking anyone: why there is no use in a
// flight. Only a flight can look at the grant again, so one may go where the
// grant is new, or once a second where a human's help would end the wait.
func (n *Conn) blocked(cl *Client, w want, now moment) error {
	if b := n.broken; b != nil && b.client == cl.identity() && now.mono < b.till {
		return b.err
	}
	if !n.loaded || n.checked != cl.identity() {
		return nil
	}
	if n.waiting.kind.needsHand() && now.mono >= n.waiting.lookAt {
		n.waiting.lookAt = now.mono + int64(lookAgain)
		return nil
	}
	if err := n.held(cl, w, [8]byte{}, now); err != nil {
		return err
	}
	return nil
}

// held says why the server may not be asked now: the waiting table, unless the
// credentials are others than those that were rejected, or the budget.
func (n *Conn) held(cl *Client, w want, digest [8]byte, now moment) *Error {
	wt := &n.waiting
	free := w.operator && wt.kind != KindThrottled || wt.kind.needsHand() && digest != [8]byte{} && digest != wt.digest
	if wt.running(now.mono) && !free {
		err := n.waitError(now)
		err.NextTry = time.Duration(wt.next - now.mono)
		return err
	}
	if d := n.book.wait(now.mono, cl); d > 0 {
		return n.spent(cl, d)
	}
	return nil
}

// spent is what callers get while the budget is.
func (n *Conn) spent(cl *Client, wait time.Duration) *Error {
	err := n.fail(KindBudget, wait, cl.spent())
	err.NextTry = wait
	return err
}

// waitError is what callers get while the table has them wait.
func (n *Conn) waitError(now moment) *Error {
	wt := &n.waiting
	if wt.kind.needsHand() {
		return n.fail(wt.kind, 0, n.last.cause())
	}
	return n.fail(wt.kind, max(time.Duration(wt.next-now.mono), 1), n.last.cause())
}

// unblocked is when what blocks a renewal has to be looked at again, as mono.
func (n *Conn) unblocked(cl *Client, now moment) int64 {
	if n.waiting.running(now.mono) {
		if n.waiting.kind.needsHand() {
			return min(n.waiting.next, n.waiting.lookAt)
		}
		return n.waiting.next
	}
	return now.mono + int64(max(n.book.wait(now.mono, cl), lookAgain))
}
