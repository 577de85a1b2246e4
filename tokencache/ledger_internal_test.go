package tokencache

import (
	"testing"
	"time"
)

func TestLedger(t *testing.T) {
	var l ledger
	second := int64(time.Second)
	for i := range int64(3) {
		l.add(i * second)
	}
	for _, tt := range []struct {
		now    int64
		budget int
		want   time.Duration
	}{
		{2 * second, 4, 0},
		{2 * second, 3, 8 * time.Second},
		{2 * second, 2, 9 * time.Second},
		{2 * second, 1, 10 * time.Second},
		{10 * second, 3, 0},
		{10 * second, 2, time.Second},
	} {
		if got := l.wait(tt.now, tt.budget, 10*time.Second); got != tt.want {
			t.Errorf("at %ds with a budget of %d: wait %s, want %s", tt.now/second, tt.budget, got, tt.want)
		}
	}
	l.strike(second)
	l.strike(77)
	if len(l) != 2 || l[0] != 0 || l[1] != 2*second {
		t.Errorf("after striking out the second call: %v", l)
	}
	l.trim(10*second, 10*time.Second)
	if len(l) != 1 || l[0] != 2*second {
		t.Errorf("after trimming: %v", l)
	}
	if l.trim(20*second, 10*time.Second); l != nil {
		t.Errorf("an empty ledger keeps its memory: %v", l)
	}
}

// TestReadingsOfAFleet: several connections read a ledger at once, and whichever answer arrives last, what
// was read last holds.
func TestReadingsOfAFleet(t *testing.T) {
	start := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	now := moment{mono: int64(time.Hour), wall: start.UnixNano()}
	cl := &Client{}
	reading := func(second int64, calls int) Calls {
		c := Calls{Read: start.UnixMicro() + second*1e6}
		for i := range calls {
			c.Times = append(c.Times, start.Add(time.Duration(i-calls)*time.Second))
		}
		return c
	}
	want := func(s *sharedLedger, what string, want int) {
		t.Helper()
		if got, _ := s.used(now.mono, cl); got != want {
			t.Errorf("%s: %d calls, want %d", what, got, want)
		}
	}
	s := new(sharedLedger)
	s.enter(now.mono, cl, 10)
	s.replace(reading(2, 2), now)
	s.replace(reading(1, 1), now)
	want(s, "an older reading arrives last", 2)
	s.complete(now.mono, now.mono, true)
	want(s, "an own call that came back with a reading ends", 2)

	s.enter(now.mono, cl, 10)
	s.adopt(Entry{ID: "own", Calls: reading(3, 3)}, now, now, cl, 10)
	s.complete(now.mono, now.mono, true)
	want(s, "an own call that is entered ends", 3)

	s.enter(now.mono, cl, 10)
	s.replace(reading(5, 5), now)
	s.adopt(Entry{ID: "own", Calls: reading(4, 4)}, now, now, cl, 10)
	s.complete(now.mono, now.mono, true)
	want(s, "an own call was entered before what is known was read", 5)
	if wait := s.adopt(Entry{Calls: reading(4, 4)}, now, now, cl, 5); wait <= 0 {
		t.Error("no room, and no wait")
	}
	s.replace(reading(-60, 1), now)
	want(s, "another Redis has another clock", 1)
}
