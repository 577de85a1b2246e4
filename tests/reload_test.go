package tests

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// persistent calls from 4 clients until stop; like the apps of a plain Caddy they
// repeat a call whose connection was closed by a reload. It counts the answers.
func (c *proxy) persistent() (stop func() (answers int)) {
	var answers atomic.Int64
	done := make(chan struct{})
	var callers sync.WaitGroup
	for i := range 4 {
		callers.Go(func() {
			for n := i; ; n++ {
				select {
				case <-done:
					return
				default:
					c.persist(threeServices[n%3])
					answers.Add(1)
				}
			}
		})
	}
	return sync.OnceValue(func() int {
		close(done)
		callers.Wait()
		return int(answers.Load())
	})
}

// TestReloadsUnderLoad: 50 reloads, and ten that fail, cost no token, no state, no
// goroutine and no file.
func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, threeServices[0], "")
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	broken := []string{
		strings.Replace(oneClient, "{env.ZOHO_CLIENT_SECRET}", "{env.NOT_SET_ANYWHERE}", 1),
		oneClient + "http://" + held.Addr().String() + " {\n\trespond ok\n}\n",
	}
	stop := c.persistent()
	defer stop()
	if err := c.load(oneClient); err != nil { // the first one changes from file to API
		t.Fatal(err)
	}
	goroutines, descriptors := c.goroutines(), c.descriptors()
	for i := range 50 {
		if err := c.load(oneClient); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			if err := c.load(broken[i/5%2]); err == nil {
				t.Fatalf("a broken configuration was accepted: %d", i/5%2)
			}
		}
	}
	answers := stop()
	noRedirects.CloseIdleConnections()

	wantTokenCalls(t, server, 1)
	if n := c.metric("zoho_token_requests_total", `result="ok"`); n != 1 {
		t.Errorf("zoho_token_requests_total says %v after the reloads", n)
	}
	if n := int(c.metric("zoho_requests_total")); n < answers+1 {
		t.Errorf("zoho_requests_total says %d, the clients got %d answers", n, answers+1)
	}
	if list := c.connections(""); list.Total != 1 || list.Connections[0].Generation != 1 || list.Connections[0].State != "ok" {
		t.Errorf("connections after the reloads: %+v", list)
	}
	// One of a reload would be more than 60; some idle connections to Zoho come and go.
	c.waitFor(fmt.Sprintf("%d goroutines or little more", goroutines), func() bool { return c.goroutines() <= goroutines+40 })
	c.waitFor(fmt.Sprintf("%d open files or little more", descriptors), func() bool { return c.descriptors() <= descriptors+30 })
	if err := c.reload(); err != nil {
		t.Error(err)
	}
	c.succeed(http.MethodGet, threeServices[0], "")
	wantTokenCalls(t, server, 1)
}

// TestFailedReloadChangesNothing: neither the token of the running configuration nor
// where it logs to.
func TestFailedReloadChangesNothing(t *testing.T) {
	t.Parallel()
	server, baseURL, grant := sim(t, zohosim.Options{})
	config := strings.Replace(oneClient, "{\n\tzoho {", "{\n\tlog {\n\t\toutput file {$ZOHO_LOG}\n\t}\n\tzoho {", 1)
	c := newCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant, "OTHER_REFRESH_TOKEN="+server.Grant(clientID, "", ""))
	log, otherLog := filepath.Join(c.dir, "log"), filepath.Join(c.dir, "other-log")
	c.setenv("ZOHO_LOG="+log, "OTHER_LOG="+otherLog)
	c.startLoggingElsewhere()
	c.succeed(http.MethodGet, threeServices[0], "")

	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	other := strings.NewReplacer("{$ZOHO_LOG}", "{$OTHER_LOG}", "{env.ZOHO_REFRESH_TOKEN}", "{env.OTHER_REFRESH_TOKEN}").Replace(config)
	other += "http://" + held.Addr().String() + " {\n\trespond ok\n}\n"
	// Caddy starts its apps in no fixed order: ours before http, or not at all.
	for range 6 {
		if err := c.load(other); err == nil {
			t.Fatal("a configuration with a port in use was accepted")
		}
		c.settled() // its servers may have begun
		c.succeed(http.MethodGet, threeServices[0], "")
	}
	wantTokenCalls(t, server, 1)
	server.RevokeAccess(grant)
	c.succeed(http.MethodGet, threeServices[0], "")
	renewed := func() bool {
		content, _ := os.ReadFile(log)
		return strings.Count(string(content), `"access token renewed"`) == 2
	}
	c.waitFor("the renewal in the log of the running configuration", renewed)
	content, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	c.checkSecrets("the log file", content)
}

// TestReloadToAnotherGrant: another grant under the same account begins anew, and
// the old one comes back with its configuration.
func TestReloadToAnotherGrant(t *testing.T) {
	t.Parallel()
	c, server, first := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, threeServices[0], "")
	second := server.Grant(clientID, "second@example.com", "us")
	file := filepath.Join(c.dir, "grant")
	if err := os.WriteFile(file, []byte(second+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.secrets = append(c.secrets, second)
	if err := c.load(strings.Replace(oneClient, "{env.ZOHO_REFRESH_TOKEN}", "{file."+file+"}", 1)); err != nil {
		t.Fatal(err)
	}
	c.settled()
	if a := c.get(threeServices[0]); a.Header.Get("X-Sim-User") != "second@example.com" {
		t.Errorf("after the reload the call was made by %q", a.Header.Get("X-Sim-User"))
	}
	by := server.Stats().ByRefreshToken
	if by[first] != 1 || by[second] != 1 {
		t.Errorf("token calls: %d of the first grant, %d of the second", by[first], by[second])
	}
}

// TestRestarts: what is stored is used again, after SIGTERM and SIGKILL, and a
// crash loop costs nothing.
func TestRestarts(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, threeServices[0], "")
	generation := c.connections("").Connections[0].Generation
	for i := range 4 {
		if i%2 == 0 {
			c.stop()
		} else {
			c.kill()
		}
		c.start()
		for _, path := range threeServices {
			c.succeed(http.MethodGet, path, "")
		}
	}
	wantTokenCalls(t, server, 1)
	if now := c.connections("").Connections[0]; now.Generation != generation || now.State != "ok" || now.BudgetLeft != 9 {
		t.Errorf("after the restarts: %+v", now)
	}
}

// TestKeptWarmAcrossRestart: the timer goes on where the run before left it, so that
// a job that calls once a day finds a live token.
func TestKeptWarmAcrossRestart(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{TokenLife: 4 * time.Second})
	c.succeed(http.MethodGet, threeServices[0], "")
	c.stop()
	c.start()
	c.waitFor("a renewal that nobody asked for", func() bool { return server.Stats().TokenRequests >= 2 })
}

// TestValidateBesideRunning: the store is held by the server, and validate does not
// want it.
func TestValidateBesideRunning(t *testing.T) {
	t.Parallel()
	c, server, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, threeServices[0], "")
	if _, stderr, code := c.run("validate", "--config", c.config, "--adapter", "caddyfile"); code != 0 {
		t.Errorf("validate exited with %d: %s", code, stderr)
	}
	c.succeed(http.MethodGet, threeServices[0], "")
	wantTokenCalls(t, server, 1)
}

// TestSecondProcess: two Caddys on one store would spend the budget twice.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, threeServices[0], "")
	second := newCaddy(t, oneClient, "ZOHO_REFRESH_TOKEN="+grant, "ZOHO_STORE="+c.storeDir())
	for _, v := range c.env {
		if strings.HasPrefix(v, "ZOHO_DATA_CENTER=") {
			second.setenv(v)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "run", "--config", second.config, "--adapter", "caddyfile")
	cmd.Env, cmd.Dir = second.env, second.dir
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("the second process ended with %v\n%s", err, output)
	}
	second.checkSecrets("the log of the second process", output)
	for _, want := range []string{filepath.Join(c.storeDir(), "tokens.db"), "process " + strconv.Itoa(c.cmd.Process.Pid)} {
		if !strings.Contains(string(output), want) {
			t.Errorf("the message does not name %s:\n%s", want, output)
		}
	}
	c.succeed(http.MethodGet, threeServices[0], "")
	wantTokenCalls(t, server, 1)
}
