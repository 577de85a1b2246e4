package tests

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestCrashLoop, S-29: thirty starts, each killed at a random instant while calls want
// a token and Zoho refuses the one at hand: never an eleventh token call, the ledger
// never counts too few, and the store is sound.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		var callers sync.WaitGroup
		var answers atomic.Int64
		for range 4 {
			callers.Go(func() {
				for {
					if _, err := c.try(http.MethodGet, "/crm/v8/Leads", nil); err != nil {
						return // killed
					}
					answers.Add(1)
					server.RevokeAccess("")
				}
			})
		}
		some := random.Int64N(3) // so that it gets somewhere on a slow machine as well
		c.waitFor("some answers", func() bool { return answers.Load() >= some })
		<-time.After(time.Duration(random.IntN(50)) * time.Millisecond)
		c.kill()
		callers.Wait()
		c.start()
	}
	stats := server.Stats()
	if stats.TokenRequests > 10 || stats.TokenResults["throttled"] > 0 {
		t.Errorf("%d token calls: %v", stats.TokenRequests, stats.TokenResults)
	}
	if stats.TokenRequests < 3 {
		t.Errorf("only %d token calls: the test proves little", stats.TokenRequests)
	}
	if left := c.connections("").Connections[0].BudgetLeft; left > 10-stats.TokenRequests {
		t.Errorf("%d calls are left after %d", left, stats.TokenRequests)
	}
}

// TestSIGTERM, S-57: calls in flight are served, those that wait for a renewal
// included, the new token is stored, the store is free, and all of that within two
// seconds of the grace period.
func TestSIGTERM(t *testing.T) {
	t.Parallel()
	for _, wrap := range [][]string{nil, {"unshare", "--pid", "--fork", "--mount-proc"}} {
		name := "as any process"
		if wrap != nil {
			name = "as process 1"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if wrap != nil && exec.Command(wrap[0], append(wrap[1:], "true")...).Run() != nil {
				t.Skip("namespaces may not be made here")
			}
			server, baseURL, grant := sim(t, zohosim.Options{})
			const grace = 7 * time.Second
			config := strings.Replace(oneClient, "{\n\tzoho {", "{\n\tgrace_period "+grace.String()+"\n\tzoho {", 1)
			c := newCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
			c.wrap = wrap
			c.start()
			c.succeed(http.MethodGet, "/crm/v8/Leads", "")
			server.RevokeAccess("")
			server.AddFault(zohosim.Fault{Where: "accounts", Kind: zohosim.FaultHang, Count: 1})
			server.AddFault(zohosim.Fault{Where: "invoice", Kind: zohosim.FaultHang})
			var stuck sync.WaitGroup // what Zoho never answers is cut at the end of the grace period
			stuck.Go(func() { _, _ = c.try(http.MethodGet, "/invoice/_echo", nil) })
			c.waitFor("one call to hang", func() bool { return server.Stats().Faults["invoice/hang"] == 1 })
			var calls sync.WaitGroup
			for i := range 20 {
				calls.Go(func() { c.succeed(http.MethodPost, "/crm/_echo", "x", "X-Test-Id", strconv.Itoa(i)) })
			}
			c.waitFor("the renewal", func() bool { return server.Stats().Faults["accounts/hang"] == 1 })
			c.waitFor("all to wait for it", func() bool { return c.inFlight() == 20 })
			c.signal(syscall.SIGTERM)
			c.logs("grace period initiated")
			told := time.Now()
			server.ClearFaults("accounts")
			calls.Wait()
			select {
			case err := <-c.exited:
				if err != nil {
					t.Errorf("Caddy ended with %v", err)
				}
			case <-time.After(patience): // the two seconds of S-57 are logged: a busy machine takes longer
				t.Fatal("Caddy does not end after the grace period")
			}
			t.Logf("it ended %s after the grace period", time.Since(told)-grace)
			c.cmd = nil
			stuck.Wait()
			store := boltstore.New(c.storeDir())
			if err := store.Open(); err != nil {
				t.Fatal(err)
			}
			record, _, err := store.Load(tokencache.Key{Client: "main", Account: "default"}, [][]byte{[]byte(clientSecret)})
			if err := errors.Join(err, store.Close()); err != nil || record.Generation != 2 || record.Token == "" {
				t.Errorf("stored: %v %v", record, err)
			}
			server.ClearFaults("")
			c.start()
			c.succeed(http.MethodGet, "/crm/v8/Leads", "")
			wantTokenCalls(t, server, 2)
			c.signal(syscall.SIGTERM)
			<-c.exited
			c.cmd = nil
		})
	}
}

// TestReloadsCutNoMoreThanPlainCaddy, S-58: a reload of Caddy cuts connections. Those
// of zoho_proxy fare no worse than those of a plain reverse_proxy beside it.
func TestReloadsCutNoMoreThanPlainCaddy(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	plain := freePort(t)
	config := oneClient + "http://:" + plain + " {\n\tbind 127.0.0.1\n\treverse_proxy " + baseURL + "\n}\n"
	c := startCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	if err := c.load(config); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var callers sync.WaitGroup
	call := func(url string, answers, cut *atomic.Int64) {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		for {
			select {
			case <-done:
				return
			default:
			}
			res, err := client.Post(url, "text/plain", strings.NewReader("x")) // POST: the client does not repeat it by itself
			if err != nil {
				cut.Add(1)
				continue
			}
			_, err = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if err != nil {
				cut.Add(1)
			} else if answers.Add(1); res.StatusCode >= 500 {
				t.Errorf("%s: %s", url, res.Status)
			}
		}
	}
	var ours, theirs, oursCut, theirsCut atomic.Int64
	for range 4 {
		callers.Go(func() { call(c.url+"/crm/_echo", &ours, &oursCut) })
		callers.Go(func() { call("http://127.0.0.1:"+plain+"/crm/_echo", &theirs, &theirsCut) })
	}
	reloads := 100
	if testing.Short() {
		reloads = 20
	}
	for range reloads {
		if err := c.load(config); err != nil {
			t.Error(err)
		}
	}
	close(done)
	callers.Wait()
	t.Logf("cut: %d of %d, plain Caddy %d of %d", oursCut.Load(), ours.Load(), theirsCut.Load(), theirs.Load())
	if oursCut.Load() > 2*theirsCut.Load()+int64(reloads)/4 {
		t.Errorf("%d of our connections were cut, %d of plain Caddy's", oursCut.Load(), theirsCut.Load())
	}
	wantTokenCalls(t, server, 1)
}

// TestNoTemporaryFileIsLeft, S-59: what is kept of an upload in a file is gone with
// the process, however that ends.
func TestNoTemporaryFileIsLeft(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, oneClient, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant, "ZOHO_PROXY_OPTIONS=replay_buffer 64KiB 64MiB")
	temp := filepath.Join(c.dir, "temp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	c.setenv("TMPDIR=" + temp)
	c.start()
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	r, w := io.Pipe()
	var upload sync.WaitGroup
	upload.Go(func() { _, _ = c.try(http.MethodPost, "/crm/_echo", r) })
	if _, err := w.Write(patterned(8 << 20)); err != nil {
		t.Fatal(err)
	}
	c.waitFor("the body to be in a file", func() bool {
		for _, path := range c.openFiles() {
			if strings.HasPrefix(path, temp) {
				return true
			}
		}
		return false
	})
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("the file has a name: %v", left)
	}
	c.kill()
	_ = w.Close()
	upload.Wait()
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	_ = server
}

// openFiles lists what Caddy has open.
func (c *proxy) openFiles() (paths []string) {
	dir := fmt.Sprintf("/proc/%d/fd", c.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		c.t.Skip("what a process has open is not told here")
	}
	for _, entry := range entries {
		if path, err := os.Readlink(filepath.Join(dir, entry.Name())); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}
