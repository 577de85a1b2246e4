// The process is killed at any instant while grants come and go: what was acknowledged is there
// afterwards, what was taken away is not, and each token call is known.

package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// How often the process is killed: a few times, or as CRASHES says. A store lives through some
// of these rounds, then a new one is begun.
const (
	fewCrashes    = 10
	crashesOfOne  = 25
	changers      = 4 // who change grants at once, each those of its own accounts
	accountsOfOne = 3
)

// TestKilledAtAnyInstant, S-37: the process is killed while refresh tokens are imported, consents
// are given, grants are forgotten, revoked and used; also while it starts. The store opens each time,
// both files are sound, every grant is there that was acknowledged and none that was taken
// away, no ledger is below what Zoho has counted, and nobody is warned of anything.
//
// CRASH_SEED=… repeats the choices of a run that has failed, as far as the system goes along.
func TestKilledAtAnyInstant(t *testing.T) {
	t.Parallel()
	rounds, err := strconv.Atoi(os.Getenv("CRASHES"))
	if err != nil {
		rounds = fewCrashes
	}
	seed, err := strconv.ParseUint(os.Getenv("CRASH_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("CRASH_SEED=%d", seed)
	for store := 0; rounds > 0; store++ {
		some := min(rounds, crashesOfOne)
		rounds -= some
		t.Run(strconv.Itoa(store), func(t *testing.T) {
			t.Parallel()
			newCrashes(t, rand.New(rand.NewPCG(seed, uint64(store)))).run(some)
		})
	}
}

// TestKilledAtEachCommit, S-37: the process is killed at each step of each commit that a change of grants
// makes, one after the other.
func TestKilledAtEachCommit(t *testing.T) {
	t.Parallel()
	eachChange(t, func(t *testing.T, c *crashes, action string) {
		commits := 0
		for _, point := range commitErrors {
			for before := 0; c.killedAt(action, point, before); before++ {
				commits++
			}
		}
		t.Logf("killed at %d steps", commits)
		if commits < 2*len(commitErrors) {
			t.Errorf("killed at %d steps alone: this proves little", commits)
		}
		c.wantNothingSaid()
	})
}

// eachChange runs a test for each way to change what is stored, with a Caddy that has failpoints. None of them
// does anything yet.
func eachChange(t *testing.T, test func(t *testing.T, c *crashes, action string)) {
	built, err := withFailpoints()
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"import", "import over another", "connect", "forget", "revoke"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			c := newCrashes(t, rand.New(rand.NewPCG(0, 0)))
			c.binary, c.failpoints = built, "127.0.0.1:"+freePort(t)
			c.setenv("GOFAIL_HTTP=" + c.failpoints)
			c.start()
			test(t, c, action)
		})
	}
}

// TestErrorAtEachCommit, S-37 and S-38: the disk fails once, at each step of each commit that a change of grants
// makes, and the process is killed when it has answered. What it said was done is done.
func TestErrorAtEachCommit(t *testing.T) {
	t.Parallel()
	eachChange(t, func(t *testing.T, c *crashes, action string) {
		c.fickle = true
		for _, point := range commitErrors {
			for before := 0; c.failsAt(action, point, before); before++ {
			}
		}
		t.Logf("done: %v", c.counts)
		if c.counts["refused"] == 0 {
			t.Error("the disk has failed nobody: this proves nothing")
		}
	})
}

// failsAt makes a change of which a step fails, and reports whether there was that step.
func (c *crashes) failsAt(action, point string, before int) bool {
	c.t.Helper()
	of := c.ready(action)
	c.fails(point, fmt.Sprintf(`%d*off->1*return("the disk is on fire")`, before))
	c.do(of, strings.TrimSuffix(action, " over another"))
	failed := c.met(point) > before
	c.kill()
	c.inspect()
	c.launch()
	c.awaits()
	return failed
}

// ready is an account for which the change is one.
func (c *crashes) ready(action string) *customer {
	of := c.customers[0]
	if brings := action == "import" || action == "connect"; brings != (of.stored == "") {
		c.do(of, map[bool]string{true: "forget", false: "import"}[brings])
	}
	return of
}

// killedAt makes a change of which a step is never over, after some of the same kind, and reports whether
// there was that step. If so, the process was killed there and started again.
func (c *crashes) killedAt(action, point string, before int) bool {
	c.t.Helper()
	of := c.ready(action)
	c.fails(point, fmt.Sprintf("%d*off->sleep(600000)", before))
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.do(of, strings.TrimSuffix(action, " over another"))
	}()
	c.waitFor(point+" or the end", func() bool {
		select {
		case <-done:
			return true
		default:
			return c.met(point) > before
		}
	})
	select {
	case <-done:
		c.fails(point, "")
		return false
	default:
	}
	c.kill()
	<-done
	c.inspect()
	c.launch()
	c.awaits()
	return true
}

// crashes is a Caddy that is killed time and again, and what must be stored each time.
type crashes struct {
	*proxy
	server    *zohosim.Server
	random    *rand.Rand // not for changers, which run beside each other
	customers []*customer
	fickle    bool           // the disk may fail: a change that is refused is in order, and may be made all the same
	counts    map[string]int // what was done, for the record
	mu        sync.Mutex     // guards counts
}

// customer is an account. One changer at a time has it, so its history is a line.
type customer struct {
	account string
	stored  string // the refresh token that must be stored, "" for none
	// asked is what a change was to leave that nobody has acknowledged: after a kill that
	// may be stored as well.
	asked *string

	revoked map[string]bool // refresh tokens that Zoho may have ended
	used    map[string]bool // all that were ever tried
}

func newCrashes(t *testing.T, random *rand.Rand) *crashes {
	server := zohosim.New(zohosim.Options{})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true})
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	c := &crashes{
		proxy:  newCaddy(t, storedGrants, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL),
		server: server,
		random: random,
		counts: make(map[string]int),
	}
	c.zoho = server
	for i := range changers * accountsOfOne {
		c.customers = append(c.customers, &customer{
			account: "customer-" + strconv.Itoa(i),
			revoked: make(map[string]bool),
			used:    make(map[string]bool),
		})
	}
	return c
}

// run goes through rounds of a start, changes and a kill.
func (c *crashes) run(rounds int) {
	c.start() // which looks at all that must not be seen, in the end
	for range rounds {
		if c.random.IntN(5) > 0 {
			c.awaits()
			c.changeUntilKilled(time.Duration(c.random.IntN(250)) * time.Millisecond)
		} else { // while it starts
			<-time.After(time.Duration(c.random.IntN(250)) * time.Millisecond)
			c.kill()
		}
		c.inspect()
		if c.t.Failed() {
			return
		}
		c.launch()
	}
	c.awaits()
	c.wantNothingSaid()
	c.t.Logf("%d refresh tokens, done: %v", len(c.server.Issued().RefreshTokens), c.counts)
}

// launch runs Caddy anew, of which spawn has seen to the end.
func (c *crashes) launch() {
	caddy := testbed.Caddy{Command: []string{c.binary}, Config: c.config, Dir: c.dir, Env: c.env}
	var err error
	if c.cmd, err = caddy.Start(context.Background(), c.output); err != nil {
		c.t.Fatal(err)
	}
}

// awaits waits until grants can be changed.
func (c *crashes) awaits() {
	c.t.Helper()
	c.waitFor("the connections", func() bool {
		a, err := c.tryAdmin(http.MethodGet, "/zoho/connections", "")
		return err == nil && a.StatusCode == http.StatusOK
	})
}

func (c *crashes) changeUntilKilled(after time.Duration) {
	var all sync.WaitGroup
	for i := range changers {
		random := rand.New(rand.NewPCG(c.random.Uint64(), 0))
		all.Go(func() {
			for c.change(c.customers[i*accountsOfOne+random.IntN(accountsOfOne)], random) {
			}
		})
	}
	<-time.After(after)
	c.kill()
	all.Wait()
}

// change does something with an account, and reports whether it was answered.
func (c *crashes) change(of *customer, random *rand.Rand) (answered bool) {
	switch n := random.IntN(10); {
	case n < 2 || n < 5 && of.stored == "":
		return c.do(of, "import")
	case n < 3 || of.stored == "" && n < 8:
		return c.do(of, "connect")
	case of.stored == "":
		return c.wantNone(of)
	case n == 3:
		return c.do(of, "forget")
	case n == 4:
		return c.do(of, "revoke")
	}
	return c.renewed(of)
}

// do brings another grant into an account, of a user of its own, or takes away the one it has.
func (c *crashes) do(of *customer, action string) (answered bool) {
	user := fmt.Sprintf("%x@example.com", rand.Uint64())
	spec := zohosim.GrantSpec{ClientID: clientID, User: user, RefreshToken: "1000." + user + ".refresh"}
	switch action {
	case "import":
		c.server.GrantAs(spec)
		return c.act(of, action, map[string]any{"refresh_token": spec.RefreshToken, "replace": true}, spec.RefreshToken)
	case "connect":
		return c.act(of, action, map[string]any{"self_client_code": c.server.Code(spec), "replace": true}, spec.RefreshToken)
	case "revoke":
		of.revoked[of.stored] = true
		return c.act(of, action, nil, "")
	}
	return c.act(of, action, nil, "")
}

// act changes the grant of an account to another one, or to none.
func (c *crashes) act(of *customer, action string, body map[string]any, becomes string) (answered bool) {
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Error(err)
		return false
	}
	of.asked = &becomes
	if becomes != "" {
		of.used[becomes] = true
	}
	a, err := c.tryAdmin(http.MethodPost, "/zoho/connections/main/"+of.account+"/"+action, string(text))
	if err != nil {
		return false // killed
	}
	if a.StatusCode != http.StatusOK && c.fickle {
		c.count("refused")
		return true
	}
	if a.StatusCode != http.StatusOK {
		c.t.Errorf("%s of %s: %s %s", action, of.account, a.Status, a.body)
		return false
	}
	of.stored, of.asked = becomes, nil
	c.count(action)
	return true
}

// wantNone checks that nobody is served by an account that was taken away.
func (c *crashes) wantNone(of *customer) (answered bool) {
	a, err := c.try(http.MethodGet, threeServices[0], nil, "Zoho-Proxy-Account", of.account)
	if err == nil && a.problem() != "no-grant" {
		c.t.Errorf("%s was taken away, and answers %s %s", of.account, a.Status, a.body)
	}
	c.count("none")
	return err == nil
}

// renewed has a token renewed, as far as the grant has calls left, and checks whose it is.
func (c *crashes) renewed(of *customer) (answered bool) {
	if c.server.Stats().ByRefreshToken[of.stored] < 8 {
		c.server.RevokeAccess(of.stored)
	}
	a, err := c.try(http.MethodGet, threeServices[0], nil, "Zoho-Proxy-Account", of.account)
	if err != nil {
		return false
	}
	if user := a.Header.Get("X-Sim-User"); a.StatusCode < 300 && "1000."+user+".refresh" != of.stored {
		c.t.Errorf("%s is served as %s", of.account, user)
	}
	c.count(strings.TrimSpace("call " + a.problem()))
	return true
}

func (c *crashes) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what]++
}

// inspect looks at a copy of what the process has left, so that the next one has to cope
// with it as it is.
func (c *crashes) inspect() {
	c.t.Helper()
	dir := filepath.Join(c.t.TempDir(), "store")
	copyStore(c.t, c.storeDir(), dir)
	for _, name := range []string{"tokens.db", "grants.db"} {
		checkStore(c.t, filepath.Join(dir, name))
	}
	store := boltstore.New(dir)
	defer store.Close()
	if err := store.Open(); err != nil {
		c.t.Fatal(err)
	}
	if err := store.Check(); err != nil {
		c.t.Error(err)
	}
	for _, of := range c.customers {
		c.settle(store, of)
	}
	c.wantCounted(store)
	for _, concern := range store.Concerns() {
		c.t.Errorf("a false alarm: %s", concern.What)
	}
}

// settle finds out what became of a change that was not acknowledged, and that all else is as it was.
func (c *crashes) settle(store *boltstore.Store, of *customer) {
	c.t.Helper()
	g, found, err := store.LoadGrant(tokencache.Key{Client: "main", Account: of.account}, [][]byte{[]byte(clientSecret)})
	switch {
	case err != nil:
		c.t.Error(err)
	case g.RefreshToken == of.stored:
	case of.asked != nil && g.RefreshToken == *of.asked:
		c.count("done, but not said")
	default:
		c.t.Errorf("%s: stored is %t %q, which should be %q", of.account, found, g.RefreshToken, of.stored)
	}
	of.stored, of.asked = g.RefreshToken, nil
}

// wantCounted compares the ledgers with what Zoho has counted. Calls by a refresh token that may have been
// revoked count for nobody, and all others were made within the window.
func (c *crashes) wantCounted(store *boltstore.Store) {
	c.t.Helper()
	counted := c.server.Stats().ByRefreshToken
	server := strings.Fields(valueOfEnv(c.env, "ZOHO_DATA_CENTER"))[0]
	for _, of := range c.customers {
		for _, token := range slices.Sorted(maps.Keys(of.used)) {
			if of.revoked[token] {
				continue
			}
			calls, err := store.LoadLedger(tokencache.MakeFingerprint(clientID, tokencache.Grant{RefreshToken: token, AccountsServer: server}))
			if err != nil || len(calls.Times) < counted[token] {
				c.t.Errorf("%s: %d calls are known of %s, and Zoho has counted %d: %v", of.account, len(calls.Times), token, counted[token], err)
			}
		}
	}
}

// wantNothingSaid checks that no log line complains of the store, and that nothing lies about in it.
func (c *crashes) wantNothingSaid() {
	c.t.Helper()
	for line := range strings.Lines(c.output.String()) {
		if !strings.Contains(line, `"level":"info"`) && strings.Contains(line, c.storeDir()) {
			c.t.Errorf("the log complains: %s", line)
		}
	}
	entries, err := os.ReadDir(c.storeDir())
	if err != nil {
		c.t.Error(err)
	}
	for _, entry := range entries {
		if !slices.Contains([]string{"grants.db", "grants.db.before", "tokens.db"}, entry.Name()) {
			c.t.Errorf("left behind: %s", entry.Name())
		}
	}
}

// valueOfEnv is the latest value of a variable.
func valueOfEnv(env []string, name string) (value string) {
	for _, v := range env {
		if text, found := strings.CutPrefix(v, name+"="); found {
			value = text
		}
	}
	return value
}

// copyStore copies the files of a store.
func copyStore(t testing.TB, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(from, entry.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, entry.Name()), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
