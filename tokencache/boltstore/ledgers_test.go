package boltstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Ledgers of grants that are gone do not stay for ever, those that count do.
func TestOldLedgersAreDropped(t *testing.T) {
	t.Parallel()
	b := mustOpen(t, t.TempDir())
	now := someTime
	save := func(name string) tokencache.Fingerprint {
		t.Helper()
		of := tokencache.MakeFingerprint("id", grant(name))
		for range 2 { // before the call and after it
			if err := b.SaveLedger(of, []time.Time{now}, now); err != nil {
				t.Fatal(err)
			}
		}
		return of
	}
	var old, young []tokencache.Fingerprint
	for i := range 100 {
		old = append(old, save(fmt.Sprint("day ", i)))
		now = now.Add(24 * time.Hour)
	}
	for i := range 50 {
		young = append(young, save(fmt.Sprint("now ", i)))
	}
	kept := func(ledgers []tokencache.Fingerprint) (n int) {
		for _, of := range ledgers {
			calls, err := b.LoadLedger(of)
			if err != nil {
				t.Fatal(err)
			}
			n += len(calls.Times)
		}
		return n
	}
	if n := kept(old[94:]) + kept(young); n != 6+50 {
		t.Errorf("%d ledgers of the last week are kept, want all", n)
	}
	if n := kept(old[:94]); n > 20 {
		t.Errorf("%d ledgers are kept by which nobody has called for a week", n)
	}
}
