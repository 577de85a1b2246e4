package caddyzoho

import (
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-zoho/caddy-zoho/internal/fault"
)

// maxEvents may wait for handlers of Caddy's events app; beyond them new ones are dropped.
const maxEvents = 256

// eventQueue tells Caddy's events app one event after the other. Its handlers may take
// their time, and nobody waits for them.
type eventQueue struct {
	mu      sync.Mutex // guards all below
	waiting []func()
	busy    bool // somebody tells
}

func (q *eventQueue) add(logger *zap.Logger, tell func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= maxEvents {
		logger.Error("an event was dropped: too many wait, a handler of Caddy's `events` takes too long")
		return
	}
	q.waiting = append(q.waiting, func() { fault.Guard(logger, tell) })
	if !q.busy {
		q.busy = true
		go q.tell()
	}
}

// tell goes on until nothing waits.
func (q *eventQueue) tell() {
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
