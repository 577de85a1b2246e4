package boltstore

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// A disk may hang: a system call on it returns in an hour, or never. Nobody can be made to wait
// for that, so whatever touches a file runs in a goroutine of its own, one at a time for each
// file, and those who ask wait for patience at most. What runs then goes on, since nothing can
// stop it. Until it has ended the file counts as hung, and newcomers are told so at once. When it
// ends, the next one has its turn: nothing else is to be mended.
//
// Whoever gives up while somebody else has the turn has changed nothing, and will not. Whoever
// gives up later cannot know: what was committed meanwhile stays.
const (
	patience     = 2 * time.Second
	openPatience = 30 * time.Second // reading a large file through takes a while
	maxQueue     = 1000             // who wait for a turn
)

// errHung is behind the error of a file whose disk does not answer.
var errHung = errors.New("the disk hangs")

// turn is a lock that nobody has to wait for. taken has to be made.
type turn struct {
	taken   chan struct{}             // holds one value while somebody has the turn
	since   atomic.Pointer[time.Time] // when that began, nil = nobody has it
	waiting atomic.Int32
	gone    *atomic.Bool // whoever asked for what runs has given up; guarded by the turn
}

// Lock waits as long as it takes.
func (t *turn) Lock() {
	t.taken <- struct{}{}
	t.begin()
}

// lockUntil waits until then, if there is room in the queue, and reports whether it has the turn.
func (t *turn) lockUntil(then <-chan time.Time) bool {
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

func (t *turn) begin() {
	t.gone = new(atomic.Bool)
	now := time.Now()
	t.since.Store(&now)
}

// Unlock gives the turn to the next one.
func (t *turn) Unlock() {
	t.since.Store(nil)
	<-t.taken
}

// hangs reports whether what runs has taken longer than anybody waits for.
func (t *turn) hangs() bool {
	since := t.since.Load()
	return since != nil && time.Since(*since) >= patience
}

// ask has do run in a turn of its own on the file, and returns what it returns. If that takes
// too long the error is that of a file that hangs, and do may still run: it shares nothing
// with who asks. A file that is used within do is asked in turn.
func ask[T any](f *dbFile, limit time.Duration, do func() (T, error)) (T, error) {
	var none T
	if f.mu.hangs() {
		return none, f.hung()
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	if !f.mu.lockUntil(timer.C) {
		return none, f.hung()
	}
	answer, gone := make(chan answered[T], 1), f.mu.gone
	go func() {
		defer f.mu.Unlock()
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
		return none, f.hung()
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

// askOnly is ask for what returns nothing but an error.
func askOnly(f *dbFile, limit time.Duration, do func() error) error {
	_, err := ask(f, limit, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// hung is the error of a file that does not answer in time.
func (f *dbFile) hung() error {
	return &tokencache.StoreError{
		File:   f.path,
		Reason: fmt.Sprintf("its disk has not answered for %s", patience),
		Remedy: "see to the disk, or to the network that it is reached by; what could not be written is " +
			"written when it answers again, without a restart",
		Err: errHung,
	}
}
