package caddyzoho

import (
	"testing"
	"testing/synctest"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestEventQueue: handlers of Caddy's events are told in order, hold nobody up, and may fail.
func TestEventQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.ErrorLevel)
		logger := zap.New(core)
		var q eventQueue
		var told []int
		slow := make(chan struct{})
		q.add(logger, func() { <-slow })
		synctest.Wait() // it is being told
		for i := range maxEvents {
			q.add(logger, func() {
				told = append(told, i)
				if i == 7 {
					panic("in a handler")
				}
			})
		}
		if logs.Len() != 0 {
			t.Errorf("with %d that wait: %v", maxEvents, logs.All())
		}
		q.add(logger, func() { t.Error("told, although too many wait") })
		if logs.Len() != 1 {
			t.Errorf("%d lines about one that was dropped", logs.Len())
		}
		close(slow)
		synctest.Wait()
		for i := range maxEvents {
			if len(told) != maxEvents || told[i] != i {
				t.Fatalf("told: %v", told)
			}
		}
		if logs.Len() != 2 || q.busy {
			t.Errorf("after a panic: %v, busy %v", logs.All(), q.busy)
		}
	})
}
