// A fleet: three Caddys, one Redis, one simulator. Killed, stopped and replaced replicas, and a Redis
// in every kind of trouble.

package tests

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/redisstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

const fleetKey = "encryptionkey55aa01f3c9d2"

// ofFleet is the configuration of each replica.
var ofFleet = strings.Replace(oneSite("", `
			{$ZOHO_CLIENT_OPTIONS}`, `
	zoho_health
	zoho_proxy {
		account {http.request.header.Zoho-Proxy-Account}
	}`), "store bolt {$ZOHO_STORE}", `store redis {$ZOHO_REDIS} {
			{$ZOHO_REDIS_OPTIONS}
		}
		encryption_key {env.ZOHO_ENCRYPTION_KEY}`, 1)

// replaceable is what a replica has that is replaced under load.
var replaceable = strings.Replace(ofFleet, "{\n", "{\n\tshutdown_delay 2s\n", 1)

// fleet are replicas with one Redis in front of one simulator.
type fleet struct {
	t        *testing.T
	zoho     *zohosim.Server
	base     string // URL of zoho
	redis    *redistest.Server
	replicas []*proxy
	accounts []string
	grants   map[string]string // by account
	before   int               // store errors when token calls were last begun to be counted
}

// startFleet starts so many replicas, for accounts whose grants are stored.
func startFleet(t *testing.T, o zohosim.Options, replicas, accounts int, settings ...string) *fleet {
	t.Helper()
	f := newFleet(t, o, accounts, redistest.Start(t, settings...))
	f.store(redisstore.Config{Addresses: []string{f.redis.Addr}})
	for range replicas {
		f.add("ZOHO_REDIS=redis://"+f.redis.Addr, "ZOHO_REDIS_OPTIONS=").start()
	}
	return f
}

// newFleet is a fleet without a replica yet.
func newFleet(t *testing.T, o zohosim.Options, accounts int, redis *redistest.Server) *fleet {
	t.Helper()
	f := &fleet{t: t, redis: redis, grants: make(map[string]string)}
	f.zoho, f.base, _ = sim(t, o)
	for i := range accounts {
		account := fmt.Sprintf("shop-%02d", i)
		f.accounts = append(f.accounts, account)
		f.grants[account] = f.zoho.Grant(clientID, account+"@example.com", "us")
	}
	return f
}

// store stores the grants, as consents would have.
func (f *fleet) store(config redisstore.Config) {
	f.t.Helper()
	config.Prefix = "caddy-zoho:"
	config.Access = func() (redisstore.Access, error) { return redisstore.Access{}, nil }
	store := redisstore.New(config)
	if err := store.Open(); err != nil {
		f.t.Fatal(err)
	}
	defer store.Close()
	for account, grant := range f.grants {
		err := store.SaveGrant(tokencache.Key{Client: "main", Account: account}, [][]byte{[]byte(fleetKey)},
			tokencache.Grant{RefreshToken: grant, AccountsServer: f.base})
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

// add prepares one more replica.
func (f *fleet) add(env ...string) *proxy {
	c := newCaddy(f.t, ofFleet, append([]string{"ZOHO_DATA_CENTER=" + f.base + " " + f.base, "ZOHO_ENCRYPTION_KEY=" + fleetKey}, env...)...)
	c.zoho = f.zoho
	c.secrets = append(c.secrets, fleetKey)
	f.replicas = append(f.replicas, c)
	return c
}

// forAccount calls Zoho for an account.
func (c *proxy) forAccount(account string) answer {
	return c.succeed(http.MethodGet, "/crm/v8/Leads", "", "Zoho-Proxy-Account", account)
}

// tryAs is forAccount, for calls that may fail.
func (c *proxy) tryAs(account string) (answer, error) {
	return c.try(http.MethodGet, "/crm/v8/Leads", nil, "Zoho-Proxy-Account", account)
}

// everywhere has each account called by each replica.
func (f *fleet) everywhere() {
	spread(len(f.replicas)*len(f.accounts), 16, func(i int) {
		f.replicas[i%len(f.replicas)].forAccount(f.accounts[(i-1)/len(f.replicas)])
	})
}

// tokenCalls counts those since the last call.
func (f *fleet) tokenCalls() func() int {
	before := f.zoho.Stats().TokenRequests
	f.before = f.storeErrors()
	return func() int { return f.zoho.Stats().TokenRequests - before }
}

// wantTokenCalls compares a count of token calls. Where the machine is so busy that Redis gets no time to answer, Redis is
// away for a replica, which may then ask for a token of its own: the log has each of these, and they are allowed for.
func (f *fleet) wantTokenCalls(when string, n, want int) {
	f.t.Helper()
	if late := f.storeErrors() - f.before; n < want || n > want+late {
		f.t.Errorf("%s: %d token calls, want %d (Redis did not answer %d times)", when, n, want, late)
	}
}

// storeErrors counts those that the replicas have logged.
func (f *fleet) storeErrors() (n int) {
	for _, c := range f.replicas {
		n += strings.Count(c.output.String(), `"logger":"zoho","msg":"store"`)
	}
	return n
}

// TestFleetStorm: a thousand calls at once meet forty dead tokens at three replicas, and forty token
// calls serve them all (S-53).
func TestFleetStorm(t *testing.T) {
	t.Parallel()
	f := startFleet(t, zohosim.Options{}, 3, 40)
	calls := f.tokenCalls()
	f.everywhere()
	f.wantTokenCalls("at first", calls(), len(f.accounts))
	f.zoho.RevokeAccess("")
	calls = f.tokenCalls()
	spread(1000, 1000, func(i int) { f.replicas[i%3].forAccount(f.accounts[i%len(f.accounts)]) })
	f.wantTokenCalls("after a revocation", calls(), len(f.accounts))
	f.everywhere()
	f.wantTokenCalls("afterwards", calls(), len(f.accounts))
}

// TestFleetLeaderKilled: the replica that asks is killed, and another one asks when its lease is
// over. One that is stopped finds that it was overtaken (S-53).
func TestFleetLeaderKilled(t *testing.T) {
	t.Parallel()
	f := startFleet(t, zohosim.Options{}, 3, 2)
	for i, end := range []func(*proxy){(*proxy).kill, func(c *proxy) { c.signal(syscall.SIGSTOP) }} {
		leader, account := f.replicas[i], f.accounts[i]
		f.zoho.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHang})
		hangs := f.zoho.Stats().Faults["accounts/hang"]
		var call sync.WaitGroup
		call.Go(func() { _, _ = leader.tryAs(account) })
		leader.waitFor("the token call to be with Accounts", func() bool { return f.zoho.Stats().Faults["accounts/hang"] > hangs })
		end(leader)
		if i == 1 {
			f.replicas[2].waitFor("the leader to stand still", func() bool {
				state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", leader.cmd.Process.Pid))
				return err != nil || strings.Contains(string(state), ") T ")
			})
		}
		f.zoho.ClearFaults("")
		calls := f.tokenCalls()
		begun := time.Now()
		f.replicas[2].forAccount(account)
		if took := time.Since(begun); took > 30*time.Second {
			t.Errorf("another one asked after %s", took)
		}
		if n := calls(); n != 1 {
			t.Errorf("%d token calls", n)
		}
		if i == 1 {
			leader.signal(syscall.SIGCONT)
		}
		call.Wait()
	}
	f.replicas[0].start()
	calls := f.tokenCalls()
	f.everywhere()
	if n := calls(); n != 0 {
		t.Errorf("%d token calls afterwards", n)
	}
	generations := func(c *proxy) (all []int) {
		for _, s := range c.connections("").Connections {
			all = append(all, s.Generation)
		}
		return all
	}
	want := generations(f.replicas[2])
	for _, c := range f.replicas {
		c.waitFor("the generations that others have", func() bool { return slices.Equal(generations(c), want) })
	}
}

// TestFleetGrantsComeAndGo: connected, revoked or forgotten at one replica is so at the others
// within a moment.
func TestFleetGrantsComeAndGo(t *testing.T) {
	t.Parallel()
	f := startFleet(t, zohosim.Options{}, 3, 2)
	f.everywhere()
	one, others := f.replicas[0], f.replicas[1:]
	calls := f.tokenCalls()
	f.importAt(one, "new")
	if n := calls(); n != 1 {
		t.Errorf("%d token calls for a new account", n)
	}
	for account, command := range map[string]string{"new": "forget", f.accounts[0]: "revoke"} {
		if out, stderr, code := others[1].run("zoho", command, "main", account, "--address", others[1].admin); code != 0 {
			t.Fatalf("%s: %d %s %s", command, code, out, stderr)
		}
		for _, c := range f.replicas {
			c.waitFor(account+" to be gone", func() bool {
				a, err := c.tryAs(account)
				return err == nil && a.problem() == "no-grant"
			})
		}
	}
	for _, c := range f.replicas {
		c.forAccount(f.accounts[1])
		if got := len(c.connections("").Connections); got != 1 {
			t.Errorf("%d connections are listed", got)
		}
	}
}

// crowd keeps calling until stop, as by a load balancer: at replicas whose zoho_health is 200.
type crowd struct {
	calls, failed atomic.Int64
	stop          func()
	away          sync.Map // :: *proxy
}

// replace replaces a replica by one that starts anew.
func (l *crowd) replace(c *proxy) {
	c.t.Helper()
	c.signal(syscall.SIGTERM)
	c.waitFor("it to be stopping", func() bool {
		a, err := c.try(http.MethodGet, "/zoho-health", nil)
		return err == nil && a.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(a.body), `"status":"stopping"`)
	})
	l.away.Store(c, true)
	c.stop()
	c.start()
}

// await waits until a replica that was replaced is healthy.
func (l *crowd) await(c *proxy) {
	c.waitFor("it to be healthy", c.healthy)
	l.away.Delete(c)
}

func (f *fleet) crowd(workers int) *crowd {
	f.t.Helper()
	for _, c := range f.replicas {
		c.writeConfig(replaceable)
		if err := c.reload(); err != nil {
			f.t.Fatal(err)
		}
	}
	l := &crowd{}
	end := make(chan struct{})
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; ; i++ {
				select {
				case <-end:
					return
				default:
				}
				l.call(f, i)
			}
		})
	}
	l.stop = func() {
		close(end)
		all.Wait()
	}
	return l
}

// call makes one call at the next replica that is there.
func (l *crowd) call(f *fleet, i int) {
	c := f.replicas[i%len(f.replicas)]
	if _, away := l.away.Load(c); away { // one at a time is
		c = f.replicas[(i+1)%len(f.replicas)]
	}
	l.calls.Add(1)
	a, err := c.tryAs(f.accounts[i%len(f.accounts)])
	if err == nil && a.served() {
		return
	}
	l.failed.Add(1)
	if err != nil {
		f.t.Errorf("a call was cut: %v", err)
	} else {
		f.t.Errorf("%s %s %.300s", a.Status, a.problem(), a.body)
	}
}

// nextBuild is the path of another build than the one under test: CADDY_ZOHO_NEXT_BINARY, or the same source
// with another version in it, which takes but a link.
var nextBuild = sync.OnceValues(func() (path string, err error) {
	if path = os.Getenv("CADDY_ZOHO_NEXT_BINARY"); path != "" {
		return path, nil
	}
	path = filepath.Join(scratch, "caddy-next")
	return path, run("go", "build", "-ldflags=-X github.com/caddyserver/caddy/v2.CustomVersion=next", "-o", path, "../cmd/caddy")
})

// TestFleetRollingUpgrade: replicas are replaced under load one by one, by another build and back by the one of
// before. No call fails, those in flight neither. No token is asked for but those that are lost meanwhile, and each
// build goes on with the grants, tokens and leases of the other.
func TestFleetRollingUpgrade(t *testing.T) {
	t.Parallel()
	next, err := nextBuild()
	if err != nil {
		t.Fatal("building another binary:", err)
	}
	f := startFleet(t, zohosim.Options{}, 3, 10)
	f.everywhere()
	calls, want := f.tokenCalls(), 0
	l := f.crowd(8)
	for way, build := range []string{next, binary} {
		for i, c := range f.replicas {
			answered := f.callInFlight(c)
			c.binary = build
			l.replace(c)
			<-answered
			l.await(c)
			if i == 0 { // one of them is of another build than the two others
				f.importAt(f.replicas[way], fmt.Sprint("new-", way))
				f.zoho.RevokeAccess("")
				f.everywhere() // Books is called below, and does not say whether a token is dead
				want += 1 + len(f.accounts)
			}
		}
		f.wantTokenCalls("a build later", calls(), want)
	}
	l.stop()
	f.everywhere()
	f.wantTokenCalls("afterwards", calls(), want)
	t.Logf("%d calls, %d failed, %d token calls", l.calls.Load(), l.failed.Load(), want)
}

// callInFlight makes a call that Zoho has when this returns, and answers later. It must be served.
func (f *fleet) callInFlight(c *proxy) (answered <-chan struct{}) {
	f.t.Helper()
	slow := f.zoho.Stats().Faults["books/slow"]
	f.zoho.AddFault(zohosim.Fault{Where: "books", Kind: zohosim.FaultSlow, Count: 1, Millis: 2000})
	done := make(chan struct{})
	go func() {
		defer close(done)
		a, err := c.try(http.MethodGet, "/books/v3/contacts", nil, "Zoho-Proxy-Account", f.accounts[0])
		if err != nil {
			f.t.Errorf("a call in flight was cut: %v", err)
		} else if !a.served() {
			f.t.Errorf("a call in flight: %s %s %s %.300s", a.Status, a.problem(), a.Header.Get("Zoho-Proxy-Verdict"), a.body)
		}
	}()
	c.waitFor("Zoho to have the call", func() bool { return f.zoho.Stats().Faults["books/slow"] > slow })
	return done
}

// importAt has a replica take a grant. The others serve it within a moment.
func (f *fleet) importAt(at *proxy, account string) {
	f.t.Helper()
	grant := f.zoho.Grant(clientID, account+"@example.com", "us")
	at.secrets = append(at.secrets, grant)
	at.runInput(grant+"\n", 0, "zoho", "import", "main", account, "--address", at.admin)
	for _, c := range f.replicas {
		c.waitFor("the new account", func() bool {
			a, err := c.tryAs(account)
			return err == nil && a.served()
		})
	}
}

// slowly leads to a server, and holds what it answers for a while.
type slowly struct {
	addr string
	hold atomic.Int64 // nanoseconds
}

func newSlowly(t *testing.T, to string) *slowly {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &slowly{addr: l.Addr().String()}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(in, to)
		}
	}()
	return s
}

func (s *slowly) serve(in net.Conn, to string) {
	defer in.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		_, _ = io.Copy(out, in)
		_ = out.Close()
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := out.Read(b)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(s.hold.Load()))
		if _, err := in.Write(b[:n]); err != nil {
			return
		}
	}
}

// trouble is what can happen to Redis, and how it ends.
type trouble struct {
	name       string
	begin, end func(*fleet, *slowly)
	writable   bool // a token is renewed as ever
	flushed    bool // the grants are gone, until they are restored; Redis is used on
}

var troubles = []trouble{
	{name: "stopped", begin: func(f *fleet, _ *slowly) { f.redis.Stop() }, end: func(f *fleet, _ *slowly) { f.redis.Restart() }},
	{name: "hanging", begin: func(f *fleet, _ *slowly) { f.redis.Pause() }, end: func(f *fleet, _ *slowly) { f.redis.Resume() }},
	{name: "slow by 100 ms", begin: func(_ *fleet, s *slowly) { s.hold.Store(int64(100 * time.Millisecond)) },
		end: func(_ *fleet, s *slowly) { s.hold.Store(0) }, writable: true},
	{name: "slow by 5 s", begin: func(_ *fleet, s *slowly) { s.hold.Store(int64(5 * time.Second)) },
		end: func(_ *fleet, s *slowly) { s.hold.Store(0) }},
	{name: "full", begin: func(f *fleet, _ *slowly) { f.redis.Config("maxmemory", "1") },
		end: func(f *fleet, _ *slowly) { f.redis.Config("maxmemory", "0") }},
	{name: "read-only", begin: func(f *fleet, _ *slowly) { f.redis.CLI("REPLICAOF", "127.0.0.1", "1") },
		end: func(f *fleet, _ *slowly) { f.redis.CLI("REPLICAOF", "NO", "ONE") }},
	{name: "wrong password", begin: func(f *fleet, _ *slowly) {
		f.redis.Config("requirepass", "another")
		_, _ = f.redis.TryCLI("-a", "another", "CLIENT", "KILL", "TYPE", "normal")
	}, end: func(f *fleet, _ *slowly) { _, _ = f.redis.TryCLI("-a", "another", "CONFIG", "SET", "requirepass", "") }},
	{name: "flushed", begin: func(f *fleet, _ *slowly) { f.redis.Flush() }, end: func(f *fleet, _ *slowly) { f.restore() },
		writable: true, flushed: true},
}

// TestFleetRedisInTrouble: whatever happens to Redis, live tokens serve on without a wait. Where one is
// dead, each replica asks once at most, nothing storms, and all is well again when Redis is (S-54).
func TestFleetRedisInTrouble(t *testing.T) {
	t.Parallel()
	for _, trouble := range troubles {
		t.Run(trouble.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, zohosim.Options{}, 6, redistest.Start(t, "appendonly", "yes"))
			f.store(redisstore.Config{Addresses: []string{f.redis.Addr}})
			slow := newSlowly(t, f.redis.Addr)
			for range 3 {
				f.add("ZOHO_REDIS=redis://"+slow.addr, "ZOHO_REDIS_OPTIONS=").start()
			}
			f.everywhere()
			f.replicas[0].wantCLI(cli{"backup " + f.file("backup"), 0, "", ""})
			calls := f.tokenCalls()
			trouble.begin(f, slow)
			for range 20 {
				f.everywhere()
			}
			if n := calls(); n != 0 {
				t.Errorf("%d token calls while all tokens live", n)
			}
			dead := f.accounts[:2]
			for _, account := range dead {
				f.zoho.RevokeAccess(f.grants[account])
			}
			served, refused := 0, map[string]int{}
			for i := range 30 {
				a, err := f.replicas[i%3].tryAs(dead[i/3%2])
				switch {
				case err != nil:
					t.Error(err)
				case a.served():
					served++
				default:
					refused[a.problem()]++
				}
			}
			n := calls()
			t.Logf("%d dead tokens: %d token calls, %d of 30 calls served, refused: %v", len(dead), n, served, refused)
			if most := len(dead) * len(f.replicas); n > most || trouble.writable && n != len(dead) {
				t.Errorf("%d token calls for %d dead tokens", n, len(dead))
			}
			for problem := range refused {
				if problem != "store" {
					t.Errorf("refused by %q", problem)
				}
			}
			if served < 20 || trouble.flushed && served < 30 {
				t.Errorf("%d of 30 calls were served", served)
			}
			if trouble.flushed {
				f.wantLost()
			}
			trouble.end(f, slow)
			for _, c := range f.replicas {
				c.waitFor("all to be well", func() bool {
					return !slices.ContainsFunc(f.accounts, func(account string) bool {
						a, err := c.tryAs(account)
						return err != nil || !a.served()
					})
				})
			}
			if n := calls(); n > 2*len(dead)*len(f.replicas) {
				t.Errorf("%d token calls in all", n)
			}
		})
	}
}

// file is the path of one that all replicas know.
func (f *fleet) file(name string) string { return filepath.Join(f.replicas[0].dir, name) }

// wantLost wants each replica to tell of all accounts that their grants are lost.
func (f *fleet) wantLost() {
	f.t.Helper()
	for _, c := range f.replicas {
		c.logs("was emptied or replaced while Caddy was running", "main/shop-05")
		found(c.doctor(1)).want(f.t, "store", "failed", "has lost 6 stored grants: main/shop-00")
	}
}

// restore brings the grants back by one replica. All serve them, also where they begin anew.
func (f *fleet) restore() {
	f.t.Helper()
	f.replicas[0].wantCLI(cli{"restore " + f.file("backup"), 0, "6 of 6 grants restored", ""})
	for _, c := range f.replicas {
		c.waitFor("nothing to be wrong with the store", func() bool {
			_, _, code := c.run("zoho", "status")
			return code == 0
		})
	}
	last := f.replicas[len(f.replicas)-1]
	last.stop()
	last.start()
	f.everywhere()
}

// TestFleetFailover: three sentinels put another Redis in the place of one that dies, while replicas
// are replaced under load. Live tokens serve on, and what fails is told by account.
func TestFleetFailover(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, "appendonly", "yes")
	f := newFleet(t, zohosim.Options{}, 10, master)
	f.store(redisstore.Config{Addresses: []string{master.Addr}})
	master.Replica("appendonly", "yes")
	var urls []string
	for _, s := range master.Sentinel("zoho") {
		urls = append(urls, "redis://"+s.Addr)
	}
	for range 3 {
		f.add("ZOHO_REDIS="+strings.Join(urls, " "), "ZOHO_REDIS_OPTIONS=sentinel zoho").start()
	}
	f.everywhere()
	calls := f.tokenCalls()
	l := f.crowd(8)
	for i, c := range f.replicas {
		if i == 1 {
			master.Stop()
		}
		l.replace(c)
		l.await(c)
	}
	l.stop()
	t.Logf("%d calls, %d failed, %d token calls for %d accounts", l.calls.Load(), l.failed.Load(), calls(), len(f.accounts))
	f.zoho.RevokeAccess("")
	calls = f.tokenCalls()
	f.everywhere()
	f.wantTokenCalls("after a revocation", calls(), len(f.accounts))
}

// newClusterFleet starts three replicas with a Redis of several nodes.
func newClusterFleet(t *testing.T, accounts int) (*fleet, []*redistest.Server) {
	t.Helper()
	nodes := redistest.Cluster(t)
	var urls, addresses []string
	for _, node := range nodes {
		urls, addresses = append(urls, "redis://"+node.Addr), append(addresses, node.Addr)
	}
	f := newFleet(t, zohosim.Options{}, accounts, nodes[0])
	f.store(redisstore.Config{Addresses: addresses})
	for range 3 {
		f.add("ZOHO_REDIS="+strings.Join(urls, " "), "ZOHO_REDIS_OPTIONS=").start()
	}
	return f, nodes
}

// TestFleetInCluster: the same with a Redis of three nodes, each of which has a part of the accounts.
func TestFleetInCluster(t *testing.T) {
	t.Parallel()
	f, _ := newClusterFleet(t, 10)
	calls := f.tokenCalls()
	f.everywhere()
	f.zoho.RevokeAccess("")
	f.everywhere()
	f.wantTokenCalls("in all", calls(), 2*len(f.accounts))
}
