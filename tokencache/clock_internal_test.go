package tokencache

import (
	"testing"
	"testing/synctest"
	"time"
)

// The real clock reads the wall clock anew every tenth of a second.
func TestRealClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock(nil)
		start := time.Now()
		for range 5 {
			now := c.now()
			if now.wall != time.Now().UnixNano() || now.mono != int64(time.Since(start)) {
				t.Errorf("got %+v after %s", now, time.Since(start))
			}
			c.offset.Add(int64(time.Hour)) // as if the wall clock had been set back
			time.Sleep(time.Duration(wallEvery))
		}
	})
}

func TestMoments(t *testing.T) {
	m := moment{wall: int64(time.Hour), mono: int64(time.Minute)}
	if got := m.wallAt(0); !got.Equal(m.time().Add(-time.Minute)) {
		t.Errorf("a minute ago is %s", got)
	}
}

// A token that is due already, as after a restart, is due.
func TestPlanOfWhatIsDue(t *testing.T) {
	var p plan
	for _, now := range []int64{0, int64(time.Hour)} {
		for _, latest := range []int64{now - int64(10*time.Minute), now - 1, now, now + 1, now + int64(1000*time.Hour)} {
			if got := p.pick(now, latest-int64(time.Hour), latest); got != latest {
				t.Errorf("at %d: %d, want %d", now, got, latest)
			}
		}
	}
}
