package tokencache

import (
	"testing"
	"time"
)

// The table of rule 8, at the longest that jitter makes of it.
func TestWaitingTable(t *testing.T) {
	for kind, want := range map[Kind][]time.Duration{
		KindTemporary: {1 * time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, 60 * time.Second, 60 * time.Second},
		KindThrottled: {1 * time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 10 * time.Minute},
		KindDead:      {10 * time.Second, 30 * time.Second, 1 * time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 10 * time.Minute},
		KindRejected:  {10 * time.Second, 30 * time.Second, 1 * time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 10 * time.Minute},
	} {
		var w waiting
		for i, d := range want {
			w.fail(kind, [8]byte{1}, 0, 0, 0)
			if w.next != int64(d) {
				t.Errorf("%s, failure %d: wait %s, want %s", kind, i+1, time.Duration(w.next), d)
			}
		}
	}
}

func TestJitterIsFullButNeverNothing(t *testing.T) {
	for _, tt := range []struct {
		kind Kind
		u    float64
		want time.Duration
	}{
		{KindTemporary, 0, time.Second},
		{KindTemporary, 0.5, 500 * time.Millisecond},
		{KindTemporary, 0.9999, 100 * time.Millisecond},
		{KindThrottled, 0.25, 45 * time.Second},
		{KindThrottled, 0.9999, 30 * time.Second},
		{KindDead, 0.9999, time.Second},
	} {
		if got := step(tt.kind, 1, tt.u); got != tt.want {
			t.Errorf("%s with %v: %s, want %s", tt.kind, tt.u, got, tt.want)
		}
	}
}

func TestWaitingAcrossKinds(t *testing.T) {
	type failure struct {
		kind   Kind
		digest byte
	}
	for _, tt := range []struct {
		name     string
		failures []failure
		kind     Kind
		steps    int
	}{
		{"another kind begins its own table", []failure{{KindTemporary, 1}, {KindTemporary, 1}, {KindThrottled, 1}}, KindThrottled, 1},
		{"dead stays dead through an outage", []failure{{KindDead, 1}, {KindTemporary, 1}}, KindDead, 2},
		{"dead and rejected share a table", []failure{{KindDead, 1}, {KindRejected, 1}}, KindRejected, 2},
		{"another secret begins anew", []failure{{KindRejected, 1}, {KindRejected, 1}, {KindRejected, 2}}, KindRejected, 1},
		{"another secret was not judged by an outage", []failure{{KindRejected, 1}, {KindTemporary, 2}}, KindTemporary, 1},
		{"a throttle is a throttle", []failure{{KindDead, 1}, {KindThrottled, 1}}, KindThrottled, 1},
	} {
		var w waiting
		for _, f := range tt.failures {
			w.fail(f.kind, [8]byte{f.digest}, 0, 0, 0)
		}
		if w.kind != tt.kind || int(w.steps) != tt.steps {
			t.Errorf("%s: %s after %d steps, want %s after %d", tt.name, w.kind, w.steps, tt.kind, tt.steps)
		}
	}
}

// What passes by itself is tried again within two minutes, whatever the server says, and a
// throttle when the server says. A wait of an older version is cut as well.
func TestRetryAfterIsHonouredWithinReason(t *testing.T) {
	for _, tt := range []struct {
		kind        Kind
		asked, want time.Duration
	}{
		{KindTemporary, 0, time.Second},
		{KindTemporary, time.Millisecond, time.Second},
		{KindTemporary, -5 * time.Second, time.Second},
		{KindTemporary, 90 * time.Second, 90 * time.Second},
		{KindTemporary, 121 * time.Second, 2 * time.Minute},
		{KindTemporary, time.Hour, 2 * time.Minute},
		{KindTemporary, 9999 * time.Hour, 2 * time.Minute},
		{KindThrottled, time.Second, time.Minute},
		{KindThrottled, 3 * time.Hour, 3 * time.Hour},
		{KindThrottled, 9999 * time.Hour, 24 * time.Hour},
		{KindDead, time.Hour, 10 * time.Minute},
		{KindRejected, 20 * time.Second, 20 * time.Second},
	} {
		var w, back waiting
		w.fail(tt.kind, [8]byte{}, tt.asked, 0, 0)
		if w.next != int64(tt.want) {
			t.Errorf("%s, Retry-After %s: wait %s, want %s", tt.kind, tt.asked, time.Duration(w.next), tt.want)
		}
		back.restore(w.state(), 1, max(tt.asked, tt.want), 0)
		if back.next != w.next {
			t.Errorf("%s, stored with %s: wait %s, want %s", tt.kind, tt.asked, time.Duration(back.next), tt.want)
		}
	}
	var w waiting
	w.fail(KindDead, [8]byte{}, 0, 0, 0)
	if w.fail(KindTemporary, [8]byte{}, time.Hour, 0, 0); w.kind != KindDead || w.next != int64(2*time.Minute) {
		t.Errorf("an outage of a dead one: %s for %s", w.kind, time.Duration(w.next))
	}
}

func TestWaitingIsStoredAsWords(t *testing.T) {
	for _, kind := range []Kind{0, KindTemporary, KindThrottled, KindDead, KindRejected} {
		var w, back waiting
		if kind != 0 {
			w.fail(kind, [8]byte{1, 2, 3}, 0, 0, 0)
			w.fail(kind, [8]byte{1, 2, 3}, 0, 0, 0)
		}
		back.restore(w.state(), int(w.steps), time.Minute, 5)
		if back.kind != w.kind || back.steps != w.steps || kind.needsHand() && back.hand.digest != w.hand.digest {
			t.Errorf("%q came back as %+v, was %+v", w.state(), back, w)
		}
		if kind != 0 && back.next != 5+int64(time.Minute) {
			t.Errorf("%q: next try at %s", w.state(), time.Duration(back.next))
		}
	}
	for _, state := range []string{"ok", "budget_spent", "nonsense", "store", " "} {
		var w waiting
		if w.restore(state, 3, time.Hour, 0); w != (waiting{}) {
			t.Errorf("%q holds back: %+v", state, w)
		}
	}
	var w waiting
	w.restore("grant_dead xyz", 0, 1000*time.Hour, 0)
	if w.kind != KindDead || w.steps != 1 || w.next != int64(10*time.Minute) {
		t.Errorf("an absurd record gives %+v", w)
	}
}

func TestKindWords(t *testing.T) {
	for k := Kind(0); k <= KindNoGrant; k++ {
		if parseKind(k.String()) != k {
			t.Errorf("%s is not read as what it is", k)
		}
	}
	if Kind(99).String() != "unknown" || Kind(-1).String() != "unknown" {
		t.Error("a kind out of range has a name")
	}
}
