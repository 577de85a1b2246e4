// What docs/fleet.md and the files of deploy/ for a fleet say: each promise that no other test proves,
// and the figures of its capacity.

package tests

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/redisstore"
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
	_ = cold.dial(t).Close() // what a liveness probe looks at
	wantProblem(t, cold.get("/crm/v8/Leads", "Zoho-Proxy-Account", f.accounts[0]), "store", http.StatusServiceUnavailable)
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

// monitor notes what Redis does while something happens, as MONITOR tells it: asked are the commands
// that replicas have sent, by name, and inScripts is how many more those have run.
func (f *fleet) monitor(happens func()) (asked map[string]int, inScripts int) {
	f.t.Helper()
	var output testbed.Output
	cmd := exec.CommandContext(f.t.Context(), "redis-cli", "-p", f.redis.Port, "MONITOR")
	monitor, err := testbed.Start(cmd, &output)
	if err != nil {
		f.t.Fatal(err)
	}
	f.replicas[0].waitFor("the monitor", func() bool { return strings.HasPrefix(output.String(), "OK") })
	happens()
	if err := cmd.Process.Kill(); err != nil {
		f.t.Fatal(err)
	}
	<-monitor.Exited
	asked = make(map[string]int)
	for _, m := range regexp.MustCompile(`(?m)^\S+ \[\d+ (\S+)\] "(\w+)"`).FindAllStringSubmatch(output.String(), -1) {
		if m[1] == "lua" {
			inScripts++
		} else {
			asked[strings.ToLower(m[2])]++
		}
	}
	return asked, inScripts
}

func total(count map[string]int) (all int) {
	for _, n := range count {
		all += n
	}
	return all
}

// idle lets a while pass without a call.
func (f *fleet) idle(d time.Duration) {
	f.t.Helper()
	end := time.Now().Add(d)
	f.replicas[0].waitFor("time to pass", func() bool { return time.Now().After(end) })
}

// What docs/fleet.md reckons with.
const (
	maxCommands  = 15   // that a renewal takes
	maxFollowing = 5    // that each other replica takes to follow it
	maxAccount   = 2500 // bytes of an account in Redis
)

// TestFleetFigures measures what docs/fleet.md says of capacity: go test ./tests -run TestFleetFigures -v
func TestFleetFigures(t *testing.T) {
	t.Parallel()
	const accounts, idle = 40, 10 * time.Second
	for replicas := 1; replicas <= 3; replicas++ {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			t.Parallel()
			f := startFleet(t, zohosim.Options{}, replicas, accounts)
			f.everywhere()
			resting, _ := f.monitor(func() { f.idle(idle) })
			t.Logf("%d replicas, idle for %s: %d commands: %v", replicas, idle, total(resting), resting)
			renewing, inScripts := f.monitor(func() {
				f.zoho.RevokeAccess("")
				for _, account := range f.accounts {
					f.replicas[0].forAccount(account)
				}
				f.idle(2 * time.Second) // others follow
			})
			each := float64(total(renewing)) / accounts
			t.Logf("%d replicas, a renewal: %.1f commands, and %.1f inside scripts: %v",
				replicas, each, float64(inScripts)/accounts, renewing)
			if most := float64(maxCommands + maxFollowing*(replicas-1)); each > most {
				t.Errorf("%.1f commands for a renewal, docs/fleet.md says %.0f at most", each, most)
			}
			account, changes := f.memory()
			t.Logf("%d replicas, an account: %d bytes of Redis; a change: %d", replicas, account, changes)
			if account > maxAccount {
				t.Errorf("%d bytes for an account, docs/fleet.md says less", account)
			}
		})
	}
}

// memory is what Redis holds of an account, and of an entry among the changes, in bytes.
func (f *fleet) memory() (account, change int) {
	f.t.Helper()
	size := func(key string) int {
		n, err := strconv.Atoi(f.redis.CLI("MEMORY", "USAGE", key, "SAMPLES", "0"))
		if err != nil {
			f.t.Fatal(err)
		}
		return n
	}
	const changes = "caddy-zoho:changes"
	entries, err := strconv.Atoi(f.redis.CLI("XLEN", changes))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, key := range strings.Fields(f.redis.CLI("KEYS", "*")) {
		if key != changes {
			account += size(key)
		}
	}
	return account / len(f.accounts), size(changes) / entries
}

// caddyfilesOf are the whole Caddyfiles of a document.
func caddyfilesOf(t *testing.T, doc string) (all []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?s)\n```caddyfile\n(\\{\n.*?)```\n").FindAllStringSubmatch(readDoc(t, doc), -1) {
		all = append(all, m[1])
	}
	return all
}

const fleetPassword = "redispassword7e0c52d1b94f"

// redisUser makes the user of docs/fleet.md, with what the document says to add.
func redisUser(t *testing.T, server *redistest.Server, more ...string) (mayDo []string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^    (ACL SETUSER .*)$`).FindStringSubmatch(readDoc(t, "docs/fleet.md"))
	if line == nil {
		t.Fatal("docs/fleet.md has no user for Redis")
	}
	command := strings.Replace(line[1], "#SHA256", fmt.Sprintf("#%x", sha256.Sum256([]byte(fleetPassword))), 1)
	words := append(strings.Fields(command), more...)
	server.CLI(words...)
	for _, word := range words {
		if name, ok := strings.CutPrefix(word, "+"); ok {
			mayDo = append(mayDo, name)
		}
	}
	return mayDo
}

// secretFiles are the files that deploy/Caddyfile.fleet reads.
func secretFiles(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, value := range map[string]string{
		"redis-password": fleetPassword, "encryption-key": fleetKey, "client-id": clientID, "client-secret": clientSecret,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// addAs prepares a replica with another configuration than that of the other tests.
func (f *fleet) addAs(config, secrets string) *proxy {
	c := newCaddy(f.t, config, "ZOHO_REDIS=redis://"+f.redis.Addr, "ZOHO_SECRETS="+secrets,
		"ZOHO_DATA_CENTER="+f.base+" "+f.base)
	c.zoho = f.zoho
	c.secrets = append(c.secrets, fleetKey, fleetPassword)
	f.replicas = append(f.replicas, c)
	return c
}

// TestFleetUser: the fleets of docs/fleet.md and of deploy/ run with the user in Redis that the
// document makes, from the first consent on. Nothing is refused to it, and nothing is warned about.
func TestFleetUser(t *testing.T) {
	t.Parallel()
	configs := map[string]func(f *fleet, secrets string) string{
		"deploy": func(*fleet, string) string {
			return strings.NewReplacer("zoho_proxy {", "zoho_proxy {\n\t\taccount {header.Zoho-Proxy-Account}",
				"shutdown_delay 10s", "").Replace(readDoc(t, "deploy/Caddyfile.fleet"))
		},
		"document": func(f *fleet, secrets string) string {
			return strings.NewReplacer("/run/secrets/zoho/", secrets+"/", "redis.internal:6379", f.redis.Addr,
				"data_center us", "data_center "+f.base+" "+f.base, "http://:8080", "http://:{$ZOHO_PORT}",
				"bind 0.0.0.0", "bind 127.0.0.1", "shutdown_delay 10s", "").Replace(caddyfilesOf(t, "docs/fleet.md")[1])
		},
	}
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, zohosim.Options{}, 0, redistest.Start(t, "appendonly", "yes"))
			f.redis.Replica()
			var more []string
			if f.redis.Knows("waitaof") {
				more = []string{"+waitaof"}
			}
			mayDo := redisUser(t, f.redis, more...)
			secrets := secretFiles(t)
			for range 3 {
				f.addAs(config(f, secrets), secrets).start()
			}
			f.connectAndUse()
			if refused := f.redis.CLI("ACL", "LOG"); refused != "" {
				t.Errorf("Redis refused something: %s", refused)
			}
			done := f.redis.CLI("INFO", "commandstats")
			for _, command := range mayDo {
				if !strings.Contains(done, "cmdstat_"+command+":") {
					t.Errorf("nobody needs +%s", command)
				}
			}
			for _, c := range f.replicas {
				for line := range strings.Lines(c.output.String()) {
					if strings.Contains(line, `"logger":"zoho`) && !expected.MatchString(line) {
						t.Errorf("it is warned about: %s", line)
					}
				}
			}
		})
	}
}

// expected are lines of a fleet in order whose tokens are revoked.
var expected = regexp.MustCompile(`"level":"info"|no account is connected|access token lost early`)

// connectAndUse connects accounts at one replica, has them called at all, at once as well, and
// takes them away again.
func (f *fleet) connectAndUse() {
	f.t.Helper()
	one := f.replicas[0]
	for _, account := range []string{"default", "shop"} {
		code := f.zoho.SelfClientCode(clientID, "ZohoCRM.modules.ALL")
		one.secrets = append(one.secrets, code)
		one.runInput(code+"\n", 0, "zoho", "connect", "main", account, "--self-client")
		f.accounts = append(f.accounts, account)
	}
	for _, c := range f.replicas {
		for _, account := range f.accounts {
			c.waitFor("the account to be known", func() bool {
				a, err := c.tryAs(account)
				return err == nil && a.served()
			})
		}
	}
	f.zoho.RevokeAccess("")
	f.zoho.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultSlow}) // so that others meet a lease
	spread(60, 20, func(i int) { f.replicas[i%3].forAccount(f.accounts[i%2]) })
	f.zoho.ClearFaults("")
	if findings := one.doctor(0); len(findings) == 0 {
		f.t.Error("doctor says nothing")
	}
	one.runInput("", 0, "zoho", "forget", "main", "shop")
	one.runInput("", 0, "zoho", "revoke", "main", "default")
}

// TestFleetUserInCluster: with what docs/fleet.md adds for a cluster, the user is enough there.
func TestFleetUserInCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	config := redisstore.Config{Prefix: "caddy-zoho:"}
	for _, node := range nodes {
		redisUser(t, node, "+cluster|slots", "+command")
		config.Addresses = append(config.Addresses, node.Addr)
	}
	if !strings.Contains(readDoc(t, "docs/fleet.md"), "`+cluster|slots +command`") {
		t.Error("docs/fleet.md says something else of a cluster")
	}
	config.Access = func() (redisstore.Access, error) {
		return redisstore.Access{Username: "caddy-zoho", Password: fleetPassword}, nil
	}
	store := redisstore.New(config)
	if err := store.Open(); err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for i := range 10 {
		key := tokencache.Key{Client: "main", Account: fmt.Sprint(i)}
		if err := store.SaveGrant(key, [][]byte{[]byte(fleetKey)}, tokencache.Grant{RefreshToken: fmt.Sprint("grant ", i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Lease(key, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Check(); err != nil {
		t.Error(err)
	}
	for _, node := range nodes {
		if refused := node.CLI("ACL", "LOG"); refused != "" {
			t.Errorf("Redis refused something: %s", refused)
		}
	}
}

// TestGrantForEachMachine: the recipe of docs/fleet.md without Redis. Each machine has a grant of its
// own, spends its own ten tokens, and leaves the others alone.
func TestGrantForEachMachine(t *testing.T) {
	t.Parallel()
	zoho, base, _ := sim(t, zohosim.Options{})
	config := caddyfilesOf(t, "docs/fleet.md")[0]
	var machines []*proxy
	for range 3 {
		c := newCaddy(t, strings.Replace(config, "zoho {", "zoho {\n\t\tstore bolt {$ZOHO_STORE}", 1), "ZOHO_DATA_CENTER="+base+" "+base)
		c.zoho = zoho
		c.start()
		code := zoho.SelfClientCode(clientID, "ZohoCRM.modules.ALL")
		c.secrets = append(c.secrets, code)
		c.runInput(code+"\n", 0, "zoho", "connect", "main", "default", "--self-client")
		machines = append(machines, c)
	}
	first, others := machines[0], machines[1:]
	left := func(c *proxy) int { return c.connections("").Connections[0].BudgetLeft }
	before := left(others[0])
	for left(first) > 0 {
		first.runInput("", 0, "zoho", "refresh", "main", "default")
	}
	if _, stderr, code := first.run("zoho", "refresh", "main", "default"); code == 0 {
		t.Errorf("an eleventh token: %s", stderr)
	}
	for _, c := range others {
		if n := left(c); n != before {
			t.Errorf("%d tokens are left to another machine, before there were %d", n, before)
		}
		c.runInput("", 0, "zoho", "refresh", "main", "default")
	}
	first.runInput("", 0, "zoho", "revoke", "main", "default")
	wantProblem(t, first.get("/crm/v8/Leads"), "no-grant", http.StatusServiceUnavailable)
	for _, c := range others {
		c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	}
}

// TestFleetClusterNodeDies: where a node of the cluster is gone, live tokens serve on without it.
func TestFleetClusterNodeDies(t *testing.T) {
	t.Parallel()
	f, nodes := newClusterFleet(t, 6)
	f.everywhere()
	calls := f.tokenCalls()
	nodes[2].Stop()
	for range 20 {
		f.everywhere()
	}
	if n := calls(); n != 0 {
		t.Errorf("%d token calls while all tokens live", n)
	}
	f.zoho.RevokeAccess("")
	f.everywhere()
	if n, most := calls(), len(f.accounts)*len(f.replicas); n > most {
		t.Errorf("%d token calls, at most %d are allowed", n, most)
	}
}

// TestFleetFlushed, S-54: a Redis that is emptied is said loudly by each replica, before an app fails; a replica
// that starts after it is not ready; and all is well when the grants are stored again.
func TestFleetFlushed(t *testing.T) {
	t.Parallel()
	f := startFleet(t, zohosim.Options{}, 2, 3)
	f.everywhere()
	for _, c := range f.replicas { // what an alert goes by is there before
		if !strings.Contains(string(c.adminCall(http.MethodGet, "/metrics", "").body), `zoho_store_errors_total{client="main",operation="load_grant"} 0`) {
			t.Error("the first error would be no increase")
		}
	}
	f.redis.Flush()
	for _, c := range f.replicas {
		c.waitFor("the log to name the accounts", func() bool {
			return strings.Contains(c.output.String(), "has lost 3 stored grants: main/shop-00, main/shop-01, main/shop-02")
		})
		c.waitFor("it to be counted", func() bool { return c.metric("zoho_store_errors_total", `operation="load_grant"`) > 0 })
		if _, stderr, code := c.run("zoho", "doctor"); code != 1 {
			t.Errorf("doctor: %d %s", code, stderr)
		}
		c.wantHealth("/zoho-health", http.StatusOK, map[string]int{"ok": 3})
	}
	f.everywhere()
	late := f.add("ZOHO_REDIS=redis://"+f.redis.Addr, "ZOHO_REDIS_OPTIONS=")
	late.start()
	late.wantHealth("/zoho-health", http.StatusServiceUnavailable, map[string]int{})

	f.store(redisstore.Config{Addresses: []string{f.redis.Addr}}) // as restore does
	late.waitFor("it to be ready", late.healthy)
	late.waitFor("the others to have the grants", func() bool {
		return !slices.ContainsFunc(f.replicas, func(c *proxy) bool {
			_, _, code := c.run("zoho", "doctor")
			return code == 1
		})
	})
	f.everywhere()
	for _, c := range f.replicas {
		for _, connection := range c.connections("").Connections {
			if connection.Generation != 1 {
				t.Errorf("%s: generation %d: the token of before was not stored again", connection.Account, connection.Generation)
			}
		}
	}
}

// TestDeployedFleet: the Caddyfile of a fleet is Caddyfile.example where it can be, and the manifest has
// it to the letter. Probes neither kill what serves on, nor let through what cannot serve.
func TestDeployedFleet(t *testing.T) {
	deployed, manifest := readDoc(t, "deploy/Caddyfile.fleet"), readDoc(t, "deploy/kubernetes-fleet.yaml")
	site := func(text string) string {
		_, text, _ = strings.Cut(text, "\n# No host in the address")
		return regexp.MustCompile(`(?s)\t# Everything else\..*?\n\tzoho_proxy( \{.*?\n\t\})?\n`).ReplaceAllString(text, "")
	}
	if want := site(readDoc(t, "Caddyfile.example")); want == "" || site(deployed) != want {
		t.Error("the site of deploy/Caddyfile.fleet is another than that of Caddyfile.example")
	}
	indented := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(deployed, "    $1")
	if !strings.Contains(manifest, "  Caddyfile: |\n"+indented+"---\n") {
		t.Error("the Caddyfile in deploy/kubernetes-fleet.yaml is another than deploy/Caddyfile.fleet")
	}
	for _, file := range regexp.MustCompile(`/run/secrets/zoho\}/([a-z-]+)`).FindAllStringSubmatch(deployed, -1) {
		if !strings.Contains(manifest, "\n  "+file[1]+": REPLACE\n") {
			t.Errorf("the Secret has no %s", file[1])
		}
	}
	for _, want := range []string{
		"\n  replicas: 3\n", "maxUnavailable: 0", "shutdown_delay 10s", "readinessProbe:\n            httpGet: {path: /zoho-health, port: http}",
		"livenessProbe:\n            tcpSocket: {port: http}", "kind: PodDisruptionBudget", "caddy zoho connect --self-client",
	} {
		if !strings.Contains(manifest, want) {
			t.Errorf("deploy/kubernetes-fleet.yaml lacks %q", want)
		}
	}
}

// TestAlertsOfFleets: rules go by client and account, so that what three replicas tell is one alert.
func TestAlertsOfFleets(t *testing.T) {
	rules := regexp.MustCompile(`(?s)\n      - alert: (\w+)\n        expr: (.*?)\n        (?:for|labels):`).FindAllStringSubmatch(readDoc(t, "deploy/alerts.yaml"), -1)
	if len(rules) < 10 {
		t.Fatalf("only %d rules found", len(rules))
	}
	for _, rule := range rules {
		if !regexp.MustCompile(`(sum|max|min) by \(|^absent\(`).MatchString(rule[2]) {
			t.Errorf("%s rings for each replica: %s", rule[1], rule[2])
		}
	}
}

// TestFleetNotifies: what becomes of a grant is told once, not by each replica that learns of it.
func TestFleetNotifies(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var notice struct{ Event string }
		if err := json.NewDecoder(r.Body).Decode(&notice); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		told = append(told, notice.Event)
	}))
	t.Cleanup(receiver.Close)
	f := newFleet(t, zohosim.Options{}, 2, redistest.Start(t, "appendonly", "yes"))
	f.store(redisstore.Config{Addresses: []string{f.redis.Addr}})
	for range 3 {
		c := f.add("ZOHO_REDIS=redis://"+f.redis.Addr, "ZOHO_REDIS_OPTIONS=", "NOTIFY="+receiver.URL)
		c.writeConfig(strings.Replace(ofFleet, "encryption_key {", "notify {env.NOTIFY}\n\t\tencryption_key {", 1))
		c.start()
	}
	f.everywhere()
	account := f.accounts[0]
	everywhere := func(want string) {
		t.Helper()
		for _, c := range f.replicas {
			c.waitFor("the state "+want, func() bool {
				_, _ = c.tryAs(account)
				return c.connections("").Connections[0].State == want
			})
		}
	}
	f.zoho.Revoke(f.grants[account])
	everywhere("dead")
	grant := f.zoho.Grant(clientID, account+"@example.com", "us")
	one := f.replicas[1]
	one.secrets = append(one.secrets, grant)
	one.runInput(grant+"\n", 0, "zoho", "import", "main", account)
	everywhere("ok")
	f.idle(time.Second) // one that is told too often comes by then
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(told[min(1, len(told)):]) // who sees the recovery may be quicker than who has connected
	if want := []string{"dead", "connected", "recovered"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// TestFleetOtherKey: a replica with another encryption_key is not ready, says why, and spoils nothing
// for the others.
func TestFleetOtherKey(t *testing.T) {
	t.Parallel()
	f := startFleet(t, zohosim.Options{}, 2, 2)
	f.everywhere()
	calls := f.tokenCalls()
	other := f.add("ZOHO_REDIS=redis://"+f.redis.Addr, "ZOHO_REDIS_OPTIONS=", "ZOHO_ENCRYPTION_KEY=another"+fleetKey)
	other.start()
	for _, account := range f.accounts {
		wantProblem(t, other.get("/crm/v8/Leads", "Zoho-Proxy-Account", account), "store", http.StatusServiceUnavailable)
	}
	other.wantHealth("/zoho-health", http.StatusServiceUnavailable, map[string]int{"unreadable": 2})
	if out, stderr, code := other.run("zoho", "doctor"); code != 1 || !strings.Contains(out, "encryption_key") {
		t.Errorf("doctor: %d %s %s", code, out, stderr)
	}
	f.replicas = f.replicas[:2]
	f.add("ZOHO_REDIS=redis://"+f.redis.Addr, "ZOHO_REDIS_OPTIONS=").start()
	before := calls()
	f.everywhere()
	if n := calls() - before; n != 0 {
		t.Errorf("%d token calls because of it", n)
	}
}
