package warnings

import (
	"fmt"
	"slices"
	"testing"
)

// TestWarningsAreBounded: the latest are kept, and each is told once, however many came.
func TestWarningsAreBounded(t *testing.T) {
	var l List
	for i := range 3 * Max {
		l.Warn("number %d", i)
		l.Warn("number %d", i)
		if news := l.Unreported(); len(news) != 1 || news[0] != fmt.Sprint("number ", i) {
			t.Fatalf("after number %d: %q", i, news)
		}
	}
	if kept := l.Latest(); len(kept) != Max || kept[0] != fmt.Sprint("number ", 2*Max) {
		t.Errorf("%d are kept: %q", len(kept), kept[:1])
	}
}

// TestToldAgain: what has happened once more is told again, and what is only reported is not kept.
func TestToldAgain(t *testing.T) {
	var l List
	l.WarnAnew("emptied")
	l.WarnAnew("emptied")
	l.Report("%s", "100% lost")
	want := []string{"emptied", "emptied", "100% lost"}
	if got := l.Unreported(); !slices.Equal(got, want) {
		t.Errorf("told: %q", got)
	}
	if got := l.Latest(); !slices.Equal(got, []string{"emptied"}) {
		t.Errorf("kept: %q", got)
	}
}
