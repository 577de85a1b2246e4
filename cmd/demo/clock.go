package main

import (
	"context"
	"sync"
	"time"
)

// An hour of Zoho's is six seconds here where a token's end is waited for: a token
// lives for one hour, of which the proxy leaves a quarter or a little more unused, and the
// job runs every 50 minutes.
const (
	hour   = 6 * time.Second
	minute = hour / 60
	period = 50 * minute
	unused = 15*minute + 15*minute/10
)

// clock is what a scenario's time goes by. The proxy lives by the machine's, so its side takes
// that time. On the job's side nothing but the simulator looks at a clock: there it is moved
// on, and what happens is the same however slow the machine is.
type clock struct {
	moved bool
	mu    sync.Mutex
	ahead time.Duration
	start time.Time
}

func (c *clock) now() time.Time {
	if !c.moved {
		return time.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.start.Add(c.ahead)
}

// pass lets some time pass.
func (c *clock) pass(ctx context.Context, d time.Duration) error {
	if c.moved {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ahead += d
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
