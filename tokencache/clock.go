package tokencache

import (
	"sync/atomic"
	"time"
)

// Instant is one look at both clocks. The wall clock counts through a restart
// and a suspended machine, but may be set; the monotonic clock cannot be set,
// but stands still while the machine is suspended. What ends, ends by the
// earlier of the two.
type Instant struct {
	Wall time.Time     // without a monotonic reading
	Mono time.Duration // since some fixed point
}

// Clock looks at both clocks.
type Clock func() Instant

// moment is an Instant in nanoseconds, cheap to compare. Deadlines and waits
// inside a run are kept as mono, what is stored or shown as wall.
type moment struct{ wall, mono int64 }

func (m moment) time() time.Time { return time.Unix(0, m.wall).UTC() }

// wallAt is the wall clock's time at a point of the monotonic clock, as the
// clocks stand now.
func (m moment) wallAt(mono int64) time.Time {
	return time.Unix(0, m.wall+mono-m.mono).UTC()
}

// clock reads the time for the hot path. Without a Clock of its own it reads
// the monotonic clock each time, but the wall clock only every wallEvery: that
// halves the price of a look, and what the wall clock is there for, a machine
// that was suspended, is seen a tenth of a second after it woke.
type clock struct {
	own    Clock
	start  time.Time
	offset atomic.Int64 // wall - mono
	next   atomic.Int64 // mono of the next look at the wall clock
}

const wallEvery = int64(100 * time.Millisecond)

func newClock(own Clock) *clock { return &clock{own: own, start: time.Now()} }

func (c *clock) now() moment {
	if c.own != nil {
		i := c.own()
		return moment{wall: i.Wall.UnixNano(), mono: int64(i.Mono)}
	}
	mono := int64(time.Since(c.start))
	if mono >= c.next.Load() {
		now := time.Now()
		c.offset.Store(now.UnixNano() - int64(now.Sub(c.start)))
		c.next.Store(mono + wallEvery)
	}
	return moment{wall: mono + c.offset.Load(), mono: mono}
}
