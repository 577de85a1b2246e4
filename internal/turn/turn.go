// Package turn has what may hang, such as whatever touches a disk, run one at a time, and lets
// nobody wait for it longer than it should take.
//
// A disk may hang: a system call on it returns in an hour, or never, and nothing can stop it. So
// what is asked runs in a goroutine of its own, and who asks waits for a while at most. What runs
// goes on. Until it has ended newcomers are told at once that it hangs; when it ends, the next one
// has its turn.
package turn

import (
	"errors"
	"sync/atomic"
	"time"
)

const (
	// Patience is how long whoever asks waits in most cases. What takes longer hangs.
	Patience = 2 * time.Second

	maxQueue = 1000 // who wait for a turn
)

// ErrHung says that something takes too long: what was asked, or what has the turn. What was asked
// has not begun, or runs on; in that case it can see by Gone that nobody waits for it any more.
var ErrHung = errors.New("no answer within 2s")

// Turn is a lock that nobody has to wait for. Make it by New.
type Turn struct {
	taken   chan struct{}             // holds a value while somebody has the turn
	since   atomic.Pointer[time.Time] // when that began, nil = nobody has it
	waiting atomic.Int32
	gone    *atomic.Bool // whoever asked for what runs has given up; guarded by the turn
}

// New is a turn that nobody has.
func New() *Turn { return &Turn{taken: make(chan struct{}, 1)} }

// Lock waits as long as it takes.
func (t *Turn) Lock() {
	t.taken <- struct{}{}
	t.begin()
}

// Unlock gives the turn to the next one.
func (t *Turn) Unlock() {
	t.since.Store(nil)
	<-t.taken
}

// Gone reports whether nobody waits any more for what has the turn, and asks.
func (t *Turn) Gone() bool { return t.gone.Load() }

// lockUntil waits until then, if there is room in the queue, and reports whether it has the turn.
func (t *Turn) lockUntil(then <-chan time.Time) bool {
	if t.waiting.Add(1) > maxQueue {
		t.waiting.Add(-1)
		return false
	}
	defer t.waiting.Add(-1)
	select {
	case t.taken <- struct{}{}:
		t.begin()
		return true
	case <-then:
		return false
	}
}

func (t *Turn) begin() {
	now := time.Now()
	t.gone = new(atomic.Bool)
	t.since.Store(&now)
}

// hangs reports whether what runs has taken longer than it should.
func (t *Turn) hangs() bool {
	since := t.since.Load()
	return since != nil && time.Since(*since) >= Patience
}

// Ask has do run in a turn of its own, and returns what it returns. If it takes longer than the
// limit the error is ErrHung. Since do may run on then, it shares nothing with who asks.
func Ask[T any](t *Turn, limit time.Duration, do func() (T, error)) (T, error) {
	var none T
	if t.hangs() {
		return none, ErrHung
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	if !t.lockUntil(timer.C) {
		return none, ErrHung
	}
	answer, gone := make(chan answered[T], 1), t.gone
	go func() {
		defer t.Unlock()
		answer <- answerOf(do)
	}()
	select {
	case a := <-answer:
		if a.panicked != nil {
			panic(a.panicked)
		}
		return a.value, a.err
	case <-timer.C:
		gone.Store(true)
		return none, ErrHung
	}
}

// answered is what became of what was asked.
type answered[T any] struct {
	value    T
	err      error
	panicked any // is passed on to who asked, if that is still there
}

func answerOf[T any](do func() (T, error)) (a answered[T]) {
	defer func() { a.panicked = recover() }()
	a.value, a.err = do()
	return a
}
