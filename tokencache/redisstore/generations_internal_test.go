package redisstore

import (
	"strconv"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// TestGenerations: accounts that come and go do not fill the memory, and no generation is older than one
// that was seen.
func TestGenerations(t *testing.T) {
	t.Parallel()
	var g generations
	name := func(i int) tokencache.Key { return tokencache.Key{Client: "main", Account: strconv.Itoa(i)} }
	g.note(name(0), 7)
	g.note(name(0), 3)
	for i := range 3 * maxGenerations {
		g.note(name(i), 2)
		if len(g.newest) > maxGenerations {
			t.Fatalf("%d accounts are kept", len(g.newest))
		}
	}
	for i, want := range map[int]uint64{0: 7, 1: 2, 3*maxGenerations - 1: 2} {
		if got := g.of(name(i)); got < want {
			t.Errorf("%d: %d, want at least %d", i, got, want)
		}
	}
}
