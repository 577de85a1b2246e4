package tokencache_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// clocks are a wall and a monotonic clock that a test moves apart.
type clocks struct {
	mu         sync.Mutex
	start      time.Time
	wall, mono time.Duration // ahead of the bubble's
}

func (c *clocks) now() tokencache.Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return tokencache.Instant{
		Wall: time.Now().Round(0).Add(c.wall),
		Mono: time.Since(c.start) + c.mono,
	}
}

// set moves the wall clock, as a human or NTP does.
func (c *clocks) set(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall += d
}

// sleep suspends the machine: the bubble's time, timers included, stands still.
func (c *clocks) sleep(d time.Duration) { c.set(d) }

// S-51: never beyond the true end, never more than one token in vain, noticed.
func TestClockSteps(t *testing.T) {
	for _, tt := range []struct {
		name  string
		step  func(c *clocks)
		ended bool          // in truth
		most  int           // token calls in all until then
		event time.Duration // 0 = none
	}{
		{"two hours ahead", func(c *clocks) { c.set(2 * time.Hour) }, false, 2, 2 * time.Hour},
		{"two hours back", func(c *clocks) { c.set(-2 * time.Hour) }, false, 1, -2 * time.Hour},
		{"to 1970", func(c *clocks) { c.set(-30 * 365 * 24 * time.Hour) }, false, 1, -30 * 365 * 24 * time.Hour},
		{"suspended for two hours", func(c *clocks) { c.sleep(2 * time.Hour) }, true, 2, 2 * time.Hour},
		{"a little", func(c *clocks) { c.set(4 * time.Minute) }, false, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &clocks{start: time.Now()}
				r := newRig(t, func(o *tokencache.Options) { o.Clock = c.now })
				r.get("crm")
				settle(10 * time.Minute)
				tt.step(c)
				if tok := r.get("crm"); tt.ended && tok.Generation == 1 {
					t.Error("an ended token was handed out")
				}
				if n := r.server.count(); n > tt.most {
					t.Errorf("%d calls", n)
				}
				// By its true end the first token is gone, whatever the wall clock says.
				settle(50*time.Minute - time.Millisecond)
				r.get("crm")
				synctest.Wait()
				settle(time.Millisecond)
				if tok := r.get("crm"); tok.Generation == 1 {
					t.Error("handed out beyond its end")
				}
				if n := r.server.count(); n > tt.most+1 {
					t.Errorf("%d calls", n)
				}
				events := r.journal.of(tokencache.EventClockStep)
				if tt.event == 0 && len(events) != 0 || tt.event != 0 && (len(events) != 1 || events[0].Duration != tt.event) {
					t.Errorf("told of %+v, want %s", events, tt.event)
				}
			})
		})
	}
}

// The ledger goes by the monotonic clock: no step of the wall clock gives calls away.
func TestClockStepsAndBudget(t *testing.T) {
	for _, d := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c := &clocks{start: time.Now()}
			r := newRig(t, func(o *tokencache.Options) { o.Clock = c.now })
			for range 10 {
				if _, err := r.conn().Refresh(t.Context(), r.client); err != nil {
					t.Fatal(err)
				}
			}
			c.set(d)
			tok, err := r.conn().Refresh(t.Context(), r.client)
			if e := r.wantError(tok, err, tokencache.KindBudget); e.RetryAfter != 10*time.Minute {
				t.Errorf("%s: Retry-After %s", d, e.RetryAfter)
			}
		})
	}
}

// A machine that starts without a clock (1970) and gets the time later, with a
// store of better days: one token in vain for each step, none beyond its end.
func TestStartWithoutAClock(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := &clocks{start: time.Now()}
		r := newRig(t, withBolt(openBolt(t, dir)), func(o *tokencache.Options) { o.Clock = c.now })
		r.get("crm")
		year := 365 * 24 * time.Hour
		c.set(-30 * year)
		r.restart()
		if tok := r.get("crm"); tok.Generation != 2 {
			t.Errorf("adopted a token from the future: %v", tok)
		}
		c.set(30 * year)
		if tok := r.get("crm"); tok.Generation != 3 {
			t.Errorf("got %v", tok)
		}
		r.restart()
		if tok := r.get("crm"); tok.Generation != 3 {
			t.Errorf("got %v", tok)
		}
		r.wantCalls(3)
	})
}

// Uses are recorded to the minute, also after the clock was set back.
func TestLastUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clocks{start: time.Now()}
		r := newRig(t, func(o *tokencache.Options) { o.Clock = c.now })
		used := func() time.Time { return r.cache.Status(r.client)[0].LastUsed }
		r.get("crm")
		first := used()
		settle(time.Minute)
		r.get("crm")
		if !used().Equal(first) {
			t.Errorf("recorded after a minute: %s, %s", first, used())
		}
		settle(time.Millisecond)
		r.get("crm")
		if d := used().Sub(first); d != time.Minute+time.Millisecond {
			t.Errorf("recorded %s later", d)
		}
		c.set(-time.Hour)
		r.get("crm")
		if d := used().Sub(first); d > 0 {
			t.Errorf("not recorded after the clock was set back: %s", d)
		}
	})
}
