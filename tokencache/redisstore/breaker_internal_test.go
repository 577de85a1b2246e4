package redisstore

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestBreaker: while Redis is away calls fail at once, and one a second tries again.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b breaker
		away := errors.New("away")
		tried := func() (n int) {
			for range 100 {
				if b.admit() == nil {
					n++
				}
			}
			return n
		}
		if n := tried(); n != 100 {
			t.Errorf("%d of 100 calls are made while all is well", n)
		}
		b.failed(away)
		for range 3 {
			if n := tried(); n != 0 || b.admit() != away {
				t.Errorf("%d calls are made at once, the error is %v", n, b.admit())
			}
			time.Sleep(retryAfter)
			if n := tried(); n != 1 {
				t.Errorf("%d calls try again, want one", n)
			}
			b.failed(away)
		}
		if b.count() != 1 {
			t.Errorf("%d outages, want one", b.count())
		}
		time.Sleep(retryAfter)
		if b.admit() != nil {
			t.Fatal("none tries again")
		}
		b.answered()
		if n := tried(); n != 100 {
			t.Errorf("%d of 100 calls are made after it is back", n)
		}
	})
}
