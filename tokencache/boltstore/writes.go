package boltstore

import (
	"fmt"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// writes are the changes of tokens.db that wait for a turn. What costs is the commit, which waits
// for the disk, so whoever has the turn makes all of them in one transaction. Nobody waits for
// company: a change that comes alone is made alone.
//
// Each gets its own result, after the commit. One that fails, or panics, is taken out, so that it
// undoes no other, and is made alone once the others are. So a change may run several times, each
// time as if it had not run before.
type writes struct {
	mu      sync.Mutex
	waiting []*write
}

type write struct {
	do func(*bolt.Tx) error

	done bool // guarded by writes.mu, as is err
	err  error
}

// add has a change wait.
func (ws *writes) add(do func(*bolt.Tx) error) *write {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := &write{do: do}
	ws.waiting = append(ws.waiting, w)
	return w
}

// leave is for who gives up: a change that still waits is not made any more. It says what became
// of it, if that is known.
func (ws *writes) leave(w *write) (done bool, err error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.waiting = slices.DeleteFunc(ws.waiting, func(other *write) bool { return other == w })
	return w.done, w.err
}

// make returns what became of a change, for who has the turn. If nobody has made it, it is made
// now, with all that wait; run is a transaction that writes.
func (ws *writes) make(w *write, run func(func(*bolt.Tx) error) error) error {
	ws.mu.Lock()
	if w.done {
		defer ws.mu.Unlock()
		return w.err
	}
	group := ws.waiting
	if ws.waiting = nil; !slices.Contains(group, w) { // who took it has panicked, or w was given up
		group = append(group, w)
	}
	ws.mu.Unlock()
	var alone []*write
	for len(group) > 1 {
		failed, err := together(group, run)
		if failed < 0 {
			ws.settle(err, group...)
			group = nil
			break
		}
		alone = append(alone, group[failed])
		group = slices.Delete(group, failed, failed+1)
	}
	for _, w := range append(group, alone...) {
		ws.settle(run(w.do), w)
	}
	return w.err
}

func (ws *writes) settle(err error, group ...*write) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range group {
		w.done, w.err = true, err
	}
}

// together makes changes in one transaction. If one of them fails none is made, and failed says
// which; otherwise it is negative, and the error is that of all.
func together(group []*write, run func(func(*bolt.Tx) error) error) (failed int, err error) {
	failed = -1
	err = run(func(tx *bolt.Tx) error {
		for i, w := range group {
			if err := calmly(w.do, tx); err != nil {
				failed = i
				return err
			}
		}
		failed = -1 // it may have run before, on a file that was set aside
		return nil
	})
	return failed, err
}

// calmly makes an error of a panic. Whose it is, or the file's, is told when it is made alone.
func calmly(do func(*bolt.Tx) error, tx *bolt.Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return do(tx)
}
