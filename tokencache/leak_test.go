package tokencache_test

import (
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// A closed cache leaves no goroutine, whatever it was doing.
func TestNothingIsLeftRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := boltstore.New(t.TempDir())
	r := newRig(t, withBolt(b))
	r.client.KeepWarm = time.Hour
	release := r.cache.Use(func(string) *tokencache.Client { return r.client })
	r.get("crm")
	r.secret.set("") // what comes now cannot be saved
	if _, err := r.conn().Refresh(t.Context(), r.client); err != nil {
		t.Fatal(err)
	}
	r.server.slow(50 * time.Millisecond)
	go func() { _, _ = r.conn().Refresh(t.Context(), r.client) }()
	release()
	if err := r.cache.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// Whoever is told of events may ask the cache about what it is told of.
func TestEventsComeOutsideOfLocks(t *testing.T) {
	var r *rig
	var told atomic.Int32
	r = newRig(t, func(o *tokencache.Options) {
		o.Observe = func(tokencache.Event) {
			told.Add(1)
			r.conn().State()
			r.cache.Status(r.client)
		}
	})
	r.get("crm")
	_ = r.cache.Close()
	if told.Load() < 2 {
		t.Errorf("told of %d events", told.Load())
	}
}
