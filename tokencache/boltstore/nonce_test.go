package boltstore_test

import (
	"testing"
	"time"
)

// An id is good once, over restarts too, and forgotten when its time is over.
func TestNonces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir)
	want := func(id string, until time.Time, want bool) {
		t.Helper()
		if first, err := b.ConsumeNonce(id, until); first != want || err != nil {
			t.Errorf("%s: %v, %v", id, first, err)
		}
	}
	hour := time.Now().Add(time.Hour)
	if used, err := b.NonceConsumed("a"); used || err != nil {
		t.Errorf("used before: %v, %v", used, err)
	}
	want("a", hour, true)
	want("a", hour, false)
	want("c", hour, true)
	if err := b.ReturnNonce("c"); err != nil {
		t.Error(err)
	}
	if used, err := b.NonceConsumed("c"); used || err != nil {
		t.Errorf("taken back: %v, %v", used, err)
	}
	want("past", time.Now().Add(-time.Hour), true)
	want("b", hour, true)
	if used, _ := b.NonceConsumed("past"); used {
		t.Error("what is over is kept")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = mustOpen(t, dir)
	want("a", hour, false)
	if used, err := b.NonceConsumed("b"); !used || err != nil {
		t.Errorf("after a restart: %v, %v", used, err)
	}
}
