package redisstore

import (
	"slices"
	"sync"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// watchers are those who want to know what other processes change.
type watchers struct {
	mu  sync.Mutex
	all []*watcher
}

// maxUntold is how many changes are kept for a watcher who takes long: beyond that, anything
// may have changed.
const maxUntold = 10_000

type watcher struct {
	mu     sync.Mutex
	untold []tokencache.Change
	news   chan struct{}
	end    chan struct{}
}

// add calls f for each change, one at a time, until stop, which waits for the last one.
func (w *watchers) add(f func(tokencache.Change)) (stop func()) {
	one := &watcher{news: make(chan struct{}, 1), end: make(chan struct{})}
	w.mu.Lock()
	w.all = append(w.all, one)
	w.mu.Unlock()
	var running sync.WaitGroup
	running.Go(func() { one.run(f) })
	return sync.OnceFunc(func() {
		w.mu.Lock()
		w.all = slices.DeleteFunc(w.all, func(other *watcher) bool { return other == one })
		w.mu.Unlock()
		close(one.end)
		running.Wait()
	})
}

// tell tells all of them.
func (w *watchers) tell(c tokencache.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.all {
		one.tell(c)
	}
}

func (w *watcher) tell(c tokencache.Change) {
	w.mu.Lock()
	switch {
	case c == tokencache.Change{} || len(w.untold) >= maxUntold:
		w.untold = []tokencache.Change{{}} // all that was untold is in it
	case !slices.Contains(w.untold, c) || len(w.untold) > 100:
		w.untold = append(w.untold, c)
	}
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *watcher) run(f func(tokencache.Change)) {
	for {
		select {
		case <-w.end:
			return
		case <-w.news:
		}
		w.mu.Lock()
		untold := w.untold
		w.untold = nil
		w.mu.Unlock()
		for _, c := range untold {
			select {
			case <-w.end:
				return
			default:
				f(c)
			}
		}
	}
}
