// How cost grows with the number of accounts. It measures, and is not run unless asked: SCALE=1.

package tests

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/tokencache/redisstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// scale is what a number of accounts costs.
type scale struct {
	store    string
	accounts int

	start, first, warm, again time.Duration
	bytes                     int64 // of memory, each
	metrics                   int   // bytes of a scrape
	scrape                    time.Duration
	syncs                     string  // of the disk, for each token
	commands, stored          float64 // of Redis, and its bytes, for each token and account
	idle                      float64 // commands a second while nobody calls
}

// TestScale prints a table for docs/performance.md.
func TestScale(t *testing.T) {
	if os.Getenv("SCALE") == "" {
		t.Skip("it measures, for docs/performance.md: SCALE=1")
	}
	var rows []scale
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		t.Run(fmt.Sprint("bolt ", n), func(t *testing.T) { rows = append(rows, scaleOfBolt(t, n)) })
	}
	for _, n := range []int{1_000, 10_000} {
		t.Run(fmt.Sprint("redis ", n), func(t *testing.T) { rows = append(rows, scaleOfRedis(t, n)) })
	}
	fmt.Println("| store | accounts | start | first token | a token for each | a call for each | memory each | scrape | disk syncs per token | Redis commands per token | idle, a second | Redis memory each |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range rows {
		redis := "— | — | —"
		if r.commands > 0 {
			redis = fmt.Sprintf("%.1f | %.0f | %.0f B", r.commands, r.idle, r.stored)
		}
		fmt.Printf("| %s | %d | %s | %s | %s | %s | %d B | %d kB, %s | %s | %s |\n", r.store, r.accounts,
			r.start.Round(10*time.Millisecond), r.first.Round(100*time.Microsecond), r.warm.Round(100*time.Millisecond),
			r.again.Round(100*time.Millisecond), r.bytes, r.metrics>>10, r.scrape.Round(time.Millisecond), r.syncs, redis)
	}
}

var scaleSite = strings.Replace(ofFleet, `store redis {$ZOHO_REDIS} {
			{$ZOHO_REDIS_OPTIONS}
		}`, "store bolt {$ZOHO_STORE}", 1)

// manyGrants makes grants at the simulator.
func manyGrants(t *testing.T, n int) (zoho *zohosim.Server, base string, grants map[string]tokencache.Grant) {
	t.Helper()
	zoho, base, _ = sim(t, zohosim.Options{})
	grants = make(map[string]tokencache.Grant)
	for i := range n {
		grants[nth(i)] = tokencache.Grant{RefreshToken: zoho.Grant(clientID, nth(i)+"@example.com", "us"), AccountsServer: base}
	}
	return zoho, base, grants
}

// saveMany stores grants in pieces, as a restore does.
func saveMany(t *testing.T, save func(string, [][]byte, map[string]tokencache.Grant, bool) error, grants map[string]tokencache.Grant) {
	t.Helper()
	for accounts := range slices.Chunk(slices.Sorted(maps.Keys(grants)), 1_000) {
		piece := make(map[string]tokencache.Grant)
		for _, account := range accounts {
			piece[account] = grants[account]
		}
		if err := save("main", [][]byte{[]byte(fleetKey)}, piece, false); err != nil {
			t.Fatal(err)
		}
	}
}

func nth(i int) string { return fmt.Sprintf("customer-%06d", i) }

// quiet keeps what is logged of each token out of what is measured.
func (c *proxy) quiet() {
	text, err := os.ReadFile(c.config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.writeConfig(strings.Replace(string(text), "{\n", "{\n\tlog {\n\t\tlevel WARN\n\t}\n", 1))
}

// startTimed starts Caddy, and says how long its site has taken to serve.
func (c *proxy) startTimed() time.Duration {
	begun := time.Now()
	c.spawn()
	c.waitFor("the site to be served", func() bool {
		a, err := c.try(http.MethodGet, "/zoho-health", nil)
		return err == nil && a.StatusCode == http.StatusOK
	})
	return time.Since(begun)
}

// heap is the memory that is in use after a collection.
func (c *proxy) heap() int64 {
	c.t.Helper()
	dump := c.adminCall(http.MethodGet, "/debug/pprof/heap?gc=1&debug=1", "").body
	found := regexp.MustCompile(`# HeapAlloc = (\d+)`).FindSubmatch(dump)
	if found == nil {
		c.t.Fatal("the heap is not told")
	}
	n, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return n
}

// warmUp measures what all accounts take that are called for the first time, and again.
func (s *scale) warmUp(t *testing.T, replicas ...*proxy) {
	t.Helper()
	c := replicas[0]
	begun := time.Now()
	c.forAccount(nth(s.accounts / 2))
	s.first = time.Since(begun)
	before := c.heap()
	begun = time.Now()
	warm := min(s.accounts, 10_000) // more would take as long as that many syncs of the disk
	spread(warm, 64, func(i int) { c.forAccount(nth(i - 1)) })
	s.warm = time.Since(begun)
	begun = time.Now()
	spread(warm, 64, func(i int) { c.forAccount(nth(i - 1)) })
	s.again = time.Since(begun)
	c.adminCall(http.MethodGet, "/metrics", "") // drops what is known of accounts that nobody uses
	s.bytes = (c.heap() - before) / int64(warm)
	if dir := os.Getenv("SCALE_PROFILES"); dir != "" {
		dump := c.adminCall(http.MethodGet, "/debug/pprof/heap?gc=1", "").body
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(s.store, s.accounts, ".heap")), dump, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	begun = time.Now()
	s.metrics = len(c.adminCall(http.MethodGet, "/metrics", "").body)
	s.scrape = time.Since(begun)
}

func scaleOfBolt(t *testing.T, n int) scale {
	s := scale{store: "bolt", accounts: n, syncs: "—"}
	_, base, grants := manyGrants(t, n)
	c := newCaddy(t, scaleSite, "ZOHO_DATA_CENTER="+base+" "+base, "ZOHO_ENCRYPTION_KEY="+fleetKey)
	c.quiet()
	store := boltstore.New(c.storeDir())
	saveMany(t, store.SaveGrants, grants)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	s.start = c.startTimed()
	if n == 1_000 {
		defer func(count func() int) { s.syncs = fmt.Sprintf("%.1f", float64(count())/float64(n)) }(c.countSyncs())
	}
	s.warmUp(t, c)
	return s
}

// countSyncs counts the disk syncs of Caddy until it is asked, where strace is there.
func (c *proxy) countSyncs() (count func() int) {
	file := filepath.Join(c.dir, "syncs")
	trace := exec.Command("strace", "-f", "-e", "trace=fsync,fdatasync", "-o", file, "-p", strconv.Itoa(c.cmd.Process.Pid))
	if err := trace.Start(); err != nil {
		c.t.Log(err)
		return func() int { return 0 }
	}
	c.waitFor("strace", func() bool {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
		return !strings.Contains(string(status), "TracerPid:\t0")
	})
	return func() int {
		_ = trace.Process.Signal(os.Interrupt)
		_ = trace.Wait()
		text, _ := os.ReadFile(file)
		return strings.Count(string(text), "sync(")
	}
}

func scaleOfRedis(t *testing.T, n int) scale {
	s := scale{store: "Redis, three replicas", accounts: n, syncs: "—"}
	redis := redistest.Start(t, "appendonly", "yes")
	_, base, grants := manyGrants(t, n)
	store := redisstore.New(redisstore.Config{
		Addresses: []string{redis.Addr}, Prefix: "caddy-zoho:",
		Access: func() (redisstore.Access, error) { return redisstore.Access{}, nil },
	})
	if err := store.Open(); err != nil {
		t.Fatal(err)
	}
	saveMany(t, store.SaveGrants, grants)
	_ = store.Close()
	var replicas []*proxy
	for range 3 {
		c := newCaddy(t, ofFleet, "ZOHO_DATA_CENTER="+base+" "+base, "ZOHO_ENCRYPTION_KEY="+fleetKey,
			"ZOHO_REDIS=redis://"+redis.Addr, "ZOHO_REDIS_OPTIONS=")
		c.quiet()
		s.start = c.startTimed()
		replicas = append(replicas, c)
	}
	commands := func() (all float64) {
		for line := range strings.Lines(redis.CLI("INFO", "stats")) {
			if n, found := strings.CutPrefix(line, "total_commands_processed:"); found {
				all, _ = strconv.ParseFloat(strings.TrimSpace(n), 64)
			}
		}
		return all
	}
	before := commands()
	s.warmUp(t, replicas...)
	s.commands = (commands() - before) / float64(n)
	before, begun := commands(), time.Now()
	time.Sleep(5 * time.Second)
	s.idle = (commands() - before) / time.Since(begun).Seconds()
	for line := range strings.Lines(redis.CLI("INFO", "memory")) {
		if bytes, found := strings.CutPrefix(line, "used_memory_dataset:"); found {
			all, _ := strconv.ParseFloat(strings.TrimSpace(bytes), 64)
			s.stored = all / float64(n)
		}
	}
	return s
}
