package tokencache

import (
	"encoding/hex"
	"strings"
	"time"
)

// The waiting table: how long nothing is asked after the 1st, 2nd, ... failure
// of a kind in a row. The last step repeats.
var (
	temporarySteps = []time.Duration{
		1 * time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, 60 * time.Second}
	throttledSteps = []time.Duration{
		1 * time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}
	handSteps = []time.Duration{
		10 * time.Second, 30 * time.Second, 1 * time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}
)

const (
	lookAgain  = time.Second     // how often a request looks whether a human has helped
	storeRetry = 5 * time.Second // what callers are told while the store cannot be read
)

// longest is how long a server can silence us after a failure of a kind. What passes by itself
// passes in minutes, whatever is said in trouble; a throttle has to be sat out; and a human may
// help at any time.
func (k Kind) longest() time.Duration {
	switch {
	case k == KindThrottled:
		return 24 * time.Hour
	case k.needsHand():
		return handSteps[len(handSteps)-1]
	}
	return 2 * time.Minute
}

// step is the time of the table with jitter u in [0, 1): full jitter, uniform in
// (0, step], but a tenth of the step at least, so that no bad luck makes a spin.
// A throttled server gets half of the step at least: calls keep a throttle shut.
func step(kind Kind, failures int, u float64) time.Duration {
	table, floor := temporarySteps, 0.1
	switch {
	case kind == KindThrottled:
		table, floor = throttledSteps, 0.5
	case kind.needsHand():
		table = handSteps
	}
	d := table[min(max(failures, 1), len(table))-1]
	return time.Duration(float64(d) * max(1-u, floor))
}

// waiting is why, and until when, nothing is asked. Its zero value holds nothing back.
type waiting struct {
	kind  Kind
	steps int32 // failures of this kind in a row
	next  int64 // mono of the next try
	hand  *hand // nil unless the kind needs one
}

// hand is how the help of a human is noticed.
type hand struct {
	digest [8]byte // of the credentials that were rejected
	lookAt int64   // mono of the next look
	looked uint64  // newest client that has looked
}

// fail enters a failure. A dead grant or a rejected client stays what it is
// when the next try fails for a reason that passes by itself, which says
// nothing. Other credentials begin anew.
func (w *waiting) fail(kind Kind, digest [8]byte, retryAfter time.Duration, now int64, u float64) {
	same := w.hand != nil && w.hand.digest == digest
	retryAfter = min(retryAfter, kind.longest()) // of what has failed, whatever it counts as
	switch {
	case w.kind.needsHand() && kind == KindTemporary && same:
		kind = w.kind
		w.steps++
	case w.kind.needsHand() && kind.needsHand() && same, w.kind == kind && !kind.needsHand():
		w.steps++
	default:
		w.steps = 1
	}
	w.kind = kind
	d := max(step(kind, int(w.steps), u), retryAfter)
	w.next = now + int64(d)
	w.needHand(digest, now+int64(lookAgain))
}

// needHand keeps hand in step with the kind.
func (w *waiting) needHand(digest [8]byte, lookAt int64) {
	switch {
	case !w.kind.needsHand():
		w.hand = nil
		return
	case w.hand == nil:
		w.hand = new(hand)
	}
	w.hand.digest, w.hand.lookAt = digest, lookAt
}

// look reports whether it is time to look whether a human has helped, and notes that somebody
// does. A configuration that has not looked yet may at once, since it may be the help; unless
// a later one has: two of them would take turns around a reload, with a call for each.
func (h *hand) look(client uint64, now int64) bool {
	if client <= h.looked && now < h.lookAt {
		return false
	}
	h.lookAt, h.looked = now+int64(lookAgain), max(h.looked, client)
	return true
}

func (w *waiting) running(now int64) bool { return w.kind != 0 && now < w.next }

// state is how the store keeps the kind: its word, and what was rejected after
// a blank, so that a corrected secret is tried at once by the next run, too.
func (w *waiting) state() string {
	switch {
	case w.kind == 0:
		return ""
	case w.kind.needsHand():
		return w.kind.String() + " " + hex.EncodeToString(w.hand.digest[:])
	}
	return w.kind.String()
}

// restore is the inverse of state. The time of the next try was written by a
// clock that may have been wrong, or by a version that was more patient: nothing waits
// longer than it could have been told to.
func (w *waiting) restore(state string, steps int, wait time.Duration, now int64) {
	word, digest, _ := strings.Cut(state, " ")
	kind := parseKind(word)
	if kind != KindTemporary && kind != KindThrottled && !kind.needsHand() {
		return
	}
	*w = waiting{kind: kind, steps: int32(max(steps, 1))}
	var rejected [8]byte
	if b, err := hex.DecodeString(digest); err == nil {
		copy(rejected[:], b)
	}
	w.needHand(rejected, 0)
	w.next = now + int64(min(max(wait, 0), kind.longest()))
}

// Why the server is not asked now, and until when.

// blocked says what is known without asking anyone: why there is no use in a
// flight. Only a flight can look at the grant again, so one may go where the
// grant is new, or once a second where a human's help would end the wait.
func (n *Conn) blocked(cl *Client, req request, now moment) error {
	if b := n.broken; b != nil && b.client == cl.identity() && now.mono < b.till {
		return b.err
	}
	switch {
	case !n.loaded || n.checked == 0:
		return nil
	case n.waiting.kind.needsHand():
		if n.waiting.hand.look(cl.identity(), now.mono) {
			return nil
		}
	case n.checked != cl.identity():
		return nil
	}
	if err := n.backingOff(cl, req, [8]byte{}, now); err != nil {
		return err
	}
	return nil
}

// backingOff says why the server may not be asked now: the waiting table, unless the
// credentials are others than those that were rejected, or the budget.
func (n *Conn) backingOff(cl *Client, req request, digest [8]byte, now moment) *Error {
	wt := &n.waiting
	corrected := wt.hand != nil && digest != [8]byte{} && digest != wt.hand.digest
	free := req.operator && wt.kind != KindThrottled || corrected
	if wt.running(now.mono) && !free {
		err := n.waitError(now)
		err.NextTry = time.Duration(wt.next - now.mono)
		return err
	}
	if d := n.ledger.wait(now.mono, cl, req.budget(cl)); d > 0 {
		return n.spent(cl, req, d)
	}
	return nil
}

// spent is what callers get while the budget is.
func (n *Conn) spent(cl *Client, req request, wait time.Duration) *Error {
	err := n.fail(KindBudget, wait, cl.spent(req.budget(cl)))
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

// retryAt is when what blocks a renewal has to be looked at again, as mono.
func (n *Conn) retryAt(cl *Client, now moment) int64 {
	if n.waiting.running(now.mono) {
		if n.waiting.kind.needsHand() {
			return min(n.waiting.next, n.waiting.hand.lookAt)
		}
		return n.waiting.next
	}
	return now.mono + int64(max(n.ledger.wait(now.mono, cl, cl.budget()), lookAgain))
}
