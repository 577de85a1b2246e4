package redisstore

import (
	"sync"
	"time"
)

// retryAfter is how long nothing is asked of a Redis that could not be had.
const retryAfter = time.Second

// maxSlow is how many calls in a row have to end without an answer until Redis counts as away: one may
// have met a hiccup.
const maxSlow = 2

// breaker keeps calls from waiting for a Redis that is away, each for its own time-out: after
// it has failed, the others fail at once with the same error, and one a second tries again.
type breaker struct {
	mu      sync.Mutex
	away    error     // why nothing is asked, nil while Redis answers
	retry   time.Time // when the next call may try
	slow    int       // how many calls in a row had no answer in time
	outages uint64    // how often it went away
}

// blocked returns why no call is to be made now.
func (b *breaker) blocked() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Now().Before(b.retry) {
		return b.away
	}
	return nil
}

// admit is blocked for a call that is made next. If it is the one that tries again, the others wait for
// what becomes of it.
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
	b.retry = now.Add(retryAfter)
	return nil
}

// answered notes that Redis could be had.
func (b *breaker) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away, b.slow = nil, 0
}

// failed notes that Redis could not be had, and why.
func (b *breaker) failed(away error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail(away)
}

// timedOut notes that a call had no answer in time.
func (b *breaker) timedOut(away error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slow++; b.slow >= maxSlow || b.away != nil {
		b.fail(away)
	}
}

// fail is failed with mu held.
func (b *breaker) fail(away error) {
	if b.away == nil {
		b.outages++
	}
	b.away, b.retry = away, time.Now().Add(retryAfter)
}

// count is how often Redis went away.
func (b *breaker) count() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outages
}
