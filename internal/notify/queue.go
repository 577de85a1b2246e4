package notify

import (
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/fault"
)

// maxWaiting may wait in a queue; beyond them the oldest is dropped.
const maxWaiting = 256

// Queue does one thing after the other. They may take their time, and nobody waits for them.
// A panic ends one of them. The zero value is ready.
type Queue struct {
	mu      sync.Mutex // guards all below
	waiting []func()
	busy    bool // somebody works
	closed  bool // no more is taken
	work    sync.WaitGroup
}

// Add queues something to do, and has the log say so where another one had to go for it.
func (q *Queue) Add(logger *zap.Logger, dropped string, do func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if len(q.waiting) >= maxWaiting {
		q.waiting = q.waiting[1:]
		logger.Error(dropped)
	}
	q.waiting = append(q.waiting, func() { fault.Guard(logger, do) })
	if !q.busy {
		q.busy = true
		q.work.Go(q.run)
	}
}

// run goes on until nothing waits.
func (q *Queue) run() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.waiting, q.busy = nil, false
			q.mu.Unlock()
			return
		}
		next := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		next()
	}
}

// Close takes no more, and waits for what waits.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.work.Wait()
}
