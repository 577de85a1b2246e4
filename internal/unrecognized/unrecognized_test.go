package unrecognized

import (
	"testing"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

// TestNoteTellsOfEachClient: one client's refusals leave those of another a line of the log;
// accounts of a client share theirs.
func TestNoteTellsOfEachClient(t *testing.T) {
	var u Refusals
	lines := 0
	for range 3 {
		for _, key := range []tokencache.Key{{Client: "main", Account: "default"}, {Client: "main", Account: "other"}, {Client: "second", Account: "default"}} {
			for _, service := range []string{"crm", "desk"} {
				u.Note(key, Refusal{Service: service, Status: 401}, func() { lines++ })
			}
		}
	}
	if lines != 4 {
		t.Errorf("%d lines of two clients with two services each", lines)
	}
	if all := u.Of(tokencache.Key{Client: "main", Account: "other"}); len(all) != 2 || all[0].Service != "crm" || all[0].Count != 3 {
		t.Errorf("got %+v", all)
	}
}
