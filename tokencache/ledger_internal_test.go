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
