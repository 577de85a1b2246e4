package notify

import (
	"testing"
	"testing/synctest"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestQueue: what is queued is done in order, holds nobody up, and may fail; of too much the
// oldest is dropped.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.ErrorLevel)
		logger := zap.New(core)
		var q Queue
		var told []int
		slow := make(chan struct{})
		q.Add(logger, "dropped", func() { <-slow })
		synctest.Wait() // it is being told
		for i := range maxWaiting {
			q.Add(logger, "dropped", func() {
				told = append(told, i)
				if i == 7 {
					panic("in a handler")
				}
			})
		}
		if logs.Len() != 0 {
			t.Errorf("with %d that wait: %v", maxWaiting, logs.All())
		}
		q.Add(logger, "dropped", func() { told = append(told, maxWaiting) })
		if logs.Len() != 1 {
			t.Errorf("%d lines about one that was dropped", logs.Len())
		}
		close(slow)
		synctest.Wait()
		for i := range maxWaiting {
			if len(told) != maxWaiting || told[i] != i+1 {
				t.Fatalf("told: %v", told)
			}
		}
		if logs.Len() != 2 || q.busy {
			t.Errorf("after a panic: %v, busy %v", logs.All(), q.busy)
		}
	})
}
