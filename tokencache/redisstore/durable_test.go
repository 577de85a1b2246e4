package redisstore_test

import (
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/tokencache/redisstore"
)

// TestWaits: a grant waits for the disk where Redis can say when that has it, and for a replica where
// there is one. Whoever has it then keeps it when Redis dies.
func TestWaits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ disk, replica bool }{
		"nothing": {false, false}, "disk": {true, false}, "replica": {false, true}, "both": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var settings []string
			if test.disk {
				settings = []string{"appendonly", "yes"}
			}
			server := redistest.Start(t, settings...)
			server.NeedCommand("waitaof", "7.2")
			if test.replica {
				server.Replica()
			}
			s := open(t, configOf(server.Addr, "p:"))
			save(t, s, "a") // and before it the key that seals it
			if told := s.UnreportedWarnings(); len(told) != 0 {
				t.Errorf("warnings %q", told)
			}
			for command, want := range map[string]bool{"waitaof": test.disk, "wait": test.replica} {
				if got := server.Calls(command); got != 2 && want || got != 0 && !want {
					t.Errorf("%s was run %d times, wanted: %v", command, got, want)
				}
			}
			if test.disk {
				server.Stop()
				server.Restart()
				again := open(t, configOf(server.Addr, "p:"))
				wantGrant(t, again, "a", "a")
			}
		})
	}
}

// TestNobodyHasIt: a grant that a disk or a replica does not have in time is stored all the same. A warning names
// it, and who does not have it.
func TestNobodyHasIt(t *testing.T) {
	t.Parallel()
	const noReplica, noDisk = "no replica had it within 2s", "no disk had it within 2s"
	server := redistest.Start(t, "appendonly", "yes")
	server.NeedCommand("waitaof", "7.2")
	replica := server.Replica()
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "before")
	told(t, s, "before")

	replica.Pause()
	save(t, s, "no-replica")
	told(t, s, "no-replica", noReplica)
	server.Config("appendfsync", "no") // Redis leaves it to the system when the disk has it, and never says so
	save(t, s, "nobody")
	told(t, s, "nobody", noReplica, noDisk)
	replica.Resume()
	save(t, s, "no-disk")
	told(t, s, "no-disk", noDisk)

	server.Config("appendfsync", "always")
	save(t, s, "after")
	told(t, s, "after")
}

// TestMayNotWait: a user who may not run WAITAOF, such as one that was made for an older Redis, stores grants. The
// warning says what to allow.
func TestMayNotWait(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendonly", "yes")
	server.NeedCommand("waitaof", "7.2")
	server.Replica()
	server.CLI("ACL", "SETUSER", "default", "-waitaof", "-wait")
	s := open(t, configOf(server.Addr, "p:"))
	save(t, s, "a")
	told(t, s, "a", "add +wait,", "add +waitaof:")
	server.CLI("ACL", "SETUSER", "default", "+waitaof", "+wait")
	save(t, s, "b")
	told(t, s, "b")
}

// told wants the grant of an account to be there, and these words in the warning that names it, or none.
func told(t *testing.T, s *redisstore.Store, account string, words ...string) {
	t.Helper()
	wantGrant(t, s, account, account)
	var warning string
	for _, one := range s.UnreportedWarnings() {
		if strings.Contains(one, "the grant of main/"+account+" is stored, but ") {
			warning = one
		}
	}
	if strings.Count(warning, "had it")+strings.Count(warning, "add +") != len(words) {
		t.Errorf("%s: warning %q, want %q", account, warning, words)
	}
	for _, word := range words {
		if !strings.Contains(warning, word) {
			t.Errorf("%s: warning %q, want %q", account, warning, word)
		}
	}
}
