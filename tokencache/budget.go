package tokencache

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// ledger holds when the token calls of a grant were made, as mono, oldest
// first. A call stands in it from before it is sent, and once its answer is
// there, at the time of the answer: the server counted it at some time between.
type ledger []int64

func (l *ledger) add(now int64) { *l = append(*l, now) }

// strike takes back the call entered at a time.
func (l *ledger) strike(at int64) {
	if i := slices.Index(*l, at); i >= 0 {
		*l = slices.Delete(*l, i, i+1)
	}
}

// trim forgets what has left the window.
func (l *ledger) trim(now int64, window time.Duration) {
	if *l = slices.Delete(*l, 0, len(*l)-l.within(now, window)); len(*l) == 0 {
		*l = nil
	}
}

// within is how many calls are in the window.
func (l ledger) within(now int64, window time.Duration) int {
	old := 0
	for old < len(l) && now-l[old] >= int64(window) {
		old++
	}
	return len(l) - old
}

func (l ledger) sort() { slices.Sort(l) }

// wait is how long it takes until one more call fits into the budget; 0 = it does.
func (l ledger) wait(now int64, budget int, window time.Duration) time.Duration {
	if len(l) < budget {
		return 0
	}
	return max(0, time.Duration(l[len(l)-budget]+int64(window)-now))
}

// The waiting table: how long nothing is asked after the 1st, 2nd, ... failure
// of a kind in a row. The last step repeats.
var (
	temporarySteps = []time.Duration{1 * time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, 60 * time.Second}
	throttledSteps = []time.Duration{1 * time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}
	handSteps      = []time.Duration{10 * time.Second, 30 * time.Second, 1 * time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}
)

const (
	longestRetryAfter = time.Hour       // no server silences us for longer
	lookAgain         = time.Second     // how often a request looks whether a human has helped
	storeRetry        = 5 * time.Second // what callers are told while the store cannot be read
)

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
	kind   Kind
	steps  int32   // failures of this kind in a row
	next   int64   // mono of the next try
	digest [8]byte // of the credentials that were rejected
	lookAt int64   // mono of the next look whether a human has helped
}

// fail enters a failure. A dead grant or a rejected client stays what it is
// when the next try fails for a reason that passes by itself, which says
// nothing. Other credentials begin anew.
func (w *waiting) fail(kind Kind, digest [8]byte, retryAfter time.Duration, now int64, u float64) {
	same := digest == w.digest
	switch {
	case w.kind.needsHand() && kind == KindTemporary && same:
		kind = w.kind
		w.steps++
	case w.kind.needsHand() && kind.needsHand() && same, w.kind == kind && !kind.needsHand():
		w.steps++
	default:
		w.steps = 1
	}
	w.kind, w.digest = kind, digest
	d := max(step(kind, int(w.steps), u), min(retryAfter, longestRetryAfter))
	w.next = now + int64(d)
	w.lookAt = now + int64(lookAgain)
}

func (w *waiting) running(now int64) bool { return w.kind != 0 && now < w.next }

// state is how the store keeps the kind: its word, and what was rejected after
// a blank, so that a corrected secret is tried at once by the next run, too.
func (w *waiting) state() string {
	switch {
	case w.kind == 0:
		return ""
	case w.kind.needsHand():
		return w.kind.String() + " " + hex.EncodeToString(w.digest[:])
	}
	return w.kind.String()
}

// restore is the inverse of state. The time of the next try was written by a
// clock that may have been wrong: nothing waits longer than its table has it.
func (w *waiting) restore(state string, steps int, wait time.Duration, now int64) {
	word, digest, _ := strings.Cut(state, " ")
	kind := parseKind(word)
	if kind != KindTemporary && kind != KindThrottled && !kind.needsHand() {
		return
	}
	*w = waiting{kind: kind, steps: int32(max(steps, 1))}
	if b, err := hex.DecodeString(digest); err == nil {
		copy(w.digest[:], b)
	}
	w.next = now + int64(min(max(wait, 0), longestRetryAfter))
}
