// What docs/fleet.md and the files of deploy/ for a fleet say: each promise that no other test proves,
// and the figures of its capacity.

package tests

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// healthy reports whether a readiness probe lets calls through to a replica.
func (c *proxy) healthy() bool {
	a, err := c.try(http.MethodGet, "/zoho-health", nil)
	return err == nil && a.StatusCode == http.StatusOK
}

// TestFleetReadiness, S-54: zoho_health is 503 at a replica that starts while Redis is away and that
// knows no grant, until it can serve, so a rollout waits. Replicas that run stay in service.
func TestFleetReadiness(t *testing.T) {
	t.Parallel()
	f := startFleet(t, zohosim.Options{}, 2, 2, "appendonly", "yes")
	warm, cold := f.replicas[0], f.replicas[1]
	f.everywhere()
	calls := f.tokenCalls()
	f.redis.Stop()
	cold.stop()
	cold.start()
	cold.wantHealth("/zoho-health", http.StatusServiceUnavailable, map[string]int{})
	if conn := cold.dial(t); conn != nil { // what a liveness probe looks at
		_ = conn.Close()
	}
	a, err := cold.tryAs(f.accounts[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a cold replica answers %s %s", a.Status, a.body)
	warm.wantHealth("/zoho-health", http.StatusOK, map[string]int{"ok": 2})
	warm.forAccount(f.accounts[0])

	f.redis.Restart()
	cold.waitFor("it to be ready", cold.healthy)
	cold.wantHealth("/zoho-health", http.StatusOK, map[string]int{"ok": 2})
	f.everywhere()
	if n := calls(); n != 0 {
		t.Errorf("%d token calls", n)
	}

	f.redis.Stop()
	for range 2 { // the first is made good by the one token that a replica may ask for
		f.zoho.RevokeAccess("")
		for _, account := range f.accounts {
			_, _ = warm.tryAs(account)
		}
	}
	t.Logf("a warm one without tokens: %s", warm.get("/zoho-health").body)
	if !warm.healthy() {
		t.Error("a replica that has run is taken out of service")
	}
	if n := warm.metric("zoho_store_errors_total"); n == 0 {
		t.Error("nothing is counted that an alert could go by")
	}
	f.redis.Restart()
	warm.waitFor("all to be served", func() bool {
		return !slices.ContainsFunc(f.accounts, func(account string) bool {
			a, err := warm.tryAs(account)
			return err != nil || !a.served()
		})
	})
}

// commands counts what Redis has done since it started, by command. What scripts do is in it.
func (f *fleet) commands() map[string]int {
	f.t.Helper()
	count := make(map[string]int)
	for line := range strings.Lines(f.redis.CLI("INFO", "commandstats")) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok || strings.Contains(name, "memory") || name == "info" || name == "scan" {
			continue
		}
		digits, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(digits)
		if err != nil {
			f.t.Fatal(err)
		}
		count[name] = n
	}
	return count
}

// commandsOf are those that something causes.
func (f *fleet) commandsOf(cause func()) map[string]int {
	f.t.Helper()
	before := f.commands()
	cause()
	count := f.commands()
	for name, n := range before {
		if count[name] -= n; count[name] == 0 {
			delete(count, name)
		}
	}
	return count
}

func sum(count map[string]int) (all int) {
	for _, n := range count {
		all += n
	}
	return all
}

// redisSeconds is Redis's clock.
func (f *fleet) redisSeconds() int {
	f.t.Helper()
	text, _, _ := strings.Cut(f.redis.CLI("TIME"), "\n")
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// idle lets so many seconds pass by Redis's clock, without a call.
func (f *fleet) idle(seconds int) {
	f.t.Helper()
	begun := f.redisSeconds()
	f.replicas[0].waitFor("seconds to pass", func() bool { return f.redisSeconds() >= begun+seconds })
}

// TestFleetFigures measures what docs/fleet.md says of capacity: go test ./tests -run TestFleetFigures -v
func TestFleetFigures(t *testing.T) {
	t.Parallel()
	const accounts, seconds = 40, 10
	for _, replicas := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			t.Parallel()
			f := startFleet(t, zohosim.Options{}, replicas, accounts)
			f.everywhere()
			idle := f.commandsOf(func() { f.idle(seconds) })
			t.Logf("idle: %d commands in %d s: %v", sum(idle), seconds, idle)
			renewals := f.commandsOf(func() {
				f.zoho.RevokeAccess("")
				for _, account := range f.accounts {
					f.replicas[0].forAccount(account)
				}
				f.idle(2)
			})
			t.Logf("%d renewals: %d commands: %v", accounts, sum(renewals), renewals)
			t.Logf("an account: %s", f.memory())
		})
	}
}

// memory is what the keys of an account take in Redis, in bytes by kind.
func (f *fleet) memory() string {
	f.t.Helper()
	bytes := make(map[string]int)
	for _, key := range strings.Fields(f.redis.CLI("KEYS", "*")) {
		n, err := strconv.Atoi(f.redis.CLI("MEMORY", "USAGE", key, "SAMPLES", "0"))
		if err != nil {
			f.t.Fatal(err)
		}
		kind := key[strings.LastIndex(key, ":")+1:]
		if !strings.Contains(key, "{") {
			kind = strings.TrimPrefix(key, "caddy-zoho:")
		}
		bytes[kind] += n
	}
	var text []string
	for _, kind := range slices.Sorted(maps.Keys(bytes)) {
		text = append(text, fmt.Sprintf("%s %d", kind, bytes[kind]/len(f.accounts)))
	}
	return fmt.Sprintf("%s; all %d", strings.Join(text, ", "), sum(bytes)/len(f.accounts))
}
