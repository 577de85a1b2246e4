package redisstore

import (
	"sync"
	"time"
)

// retryAfter is how long nothing is asked of a Redis that could not be had.
const retryAfter = time.Second

// breaker keeps calls from waiting for a Redis that is away, each for its own time-out: after
// one has failed, the others fail at once with the same error, and one a second tries again.
type breaker struct {
	mu      sync.Mutex
	away    error     // why nothing is asked, nil while Redis answers
	retry   time.Time // when the next call may try
	outages uint64    // how often it went away
}

// admit returns why a call is not to be made now.
func (b *breaker) admit() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away == nil {
		return nil
	}
	now := time.Now()
	if now.Before(b.retry) {
		return b.away
	}
	b.retry = now.Add(retryAfter) // this one tries; the others wait for what becomes of it
	return nil
}

// settle notes how a call ended: with why Redis could not be had, nil if it could.
func (b *breaker) settle(away error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if away != nil && b.away == nil {
		b.outages++
	}
	b.away = away
	if away != nil {
		b.retry = time.Now().Add(retryAfter)
	}
}

// count is how often Redis went away.
func (b *breaker) count() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outages
}
