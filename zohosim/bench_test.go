package zohosim_test

import (
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// The simulator must not be what a measurement of something else measures.
func BenchmarkAPI(b *testing.B) {
	sim := newSim(zohosim.Options{})
	access := sim.AccessToken(sim.Grant(clientID, "", ""))
	for b.Loop() {
		call(sim, "GET", "https://www.zohoapis.com/crm/v8/Leads", access, "")
	}
}
