package tokencache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// Whoever cannot repeat a request waits for the renewal that is due, and makes do
// with the current token if there is none to be had.
func TestGetFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		fresh := func(generation uint64) {
			t.Helper()
			tok, err := r.resource("crm").GetFresh(t.Context(), r.client)
			if err != nil || tok.Generation != generation {
				t.Fatalf("got %v, %v, want generation %d", tok, err, generation)
			}
		}
		fresh(1)
		settle(50 * time.Minute)
		fresh(1)
		settle(7 * time.Minute)
		fresh(2)
		settle(57 * time.Minute)
		r.server.set(failing(tokencache.KindTemporary, true))
		fresh(2)
		r.server.set(nil)
		settle(time.Minute)
		fresh(3)
	})
}
