// Package redistest starts Redis servers for tests: real ones, each on a free port, with a
// directory of its own, stopped when the test ends.
//
//	server := redistest.Start(t)
//	… server.Addr …
//	server.Config("maxmemory", "1mb")
package redistest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
)

// patience is how long something may take that takes no time: only a hang reaches it.
const patience = time.Minute

// Server is a Redis server, or a sentinel.
type Server struct {
	Addr string // host:port
	Port string

	tb      testing.TB
	dir     string
	args    []string // of the command line, after the program
	tls     []string // of redis-cli
	process *exec.Cmd
}

// Need skips the test where there is no Redis; with CI=true it fails.
func Need(tb testing.TB) {
	tb.Helper()
	for _, program := range []string{"redis-server", "redis-cli"} {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			tb.Fatalf("%s is missing", program)
		}
		tb.Skipf("%s is missing", program)
	}
}

// NeedCommand skips the test where the server is of a version without a command. Such a Redis is a good one, so
// that is no failure with CI=true either.
func (s *Server) NeedCommand(name, since string) {
	s.tb.Helper()
	if !s.Knows(name) {
		s.tb.Skipf("this redis-server has no %s, which came with Redis %s", strings.ToUpper(name), since)
	}
}

// Knows reports whether the server has a command.
func (s *Server) Knows(name string) bool {
	s.tb.Helper()
	return strings.Contains(s.CLI("COMMAND", "INFO", name), name)
}

// Calls is how often a command was run, refusals and failures left out.
func (s *Server) Calls(name string) (calls int) {
	s.tb.Helper()
	for line := range strings.Lines(s.CLI("INFO", "commandstats")) {
		if numbers, ok := strings.CutPrefix(line, "cmdstat_"+name+":calls="); ok {
			if _, err := fmt.Sscan(strings.SplitN(numbers, ",", 2)[0], &calls); err != nil {
				s.tb.Fatal(line, err)
			}
		}
	}
	return calls
}

// Start starts a server. Settings are those of redis.conf, in pairs: Start(t, "appendonly", "yes").
// By itself it writes nothing to the disk.
func Start(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	Need(tb)
	s := newServer(tb)
	s.start(settings)
	return s
}

// start starts it with these settings.
func (s *Server) start(settings []string) {
	s.tb.Helper()
	all := map[string]string{
		"bind": "127.0.0.1", "port": s.Port, "dir": s.dir, "save": "", "appendonly": "no", "daemonize": "no",
	}
	for i := 0; i+1 < len(settings); i += 2 {
		all[settings[i]] = settings[i+1]
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s.args = append(s.args, "--"+name)
		s.args = append(s.args, strings.Split(all[name], " ")...)
	}
	s.Restart()
}

func newServer(tb testing.TB) *Server {
	tb.Helper()
	port, err := testbed.FreePort()
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{tb: tb, Port: port, Addr: "127.0.0.1:" + port, dir: tb.TempDir()}
	tb.Cleanup(s.Stop)
	return s
}

// Restart starts the server again where it was stopped, with what it has on the disk.
func (s *Server) Restart() {
	s.tb.Helper()
	s.process = exec.Command("redis-server", s.args...)
	s.process.Dir = s.dir
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer log.Close()
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		s.tb.Fatal(err)
	}
	s.waitFor("it answers", func() bool {
		conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// Stop ends the server at once, as a crash does. What it has not written is lost.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	s.process = nil
}

// CLI runs redis-cli with a command, and returns what it prints.
func (s *Server) CLI(args ...string) string {
	s.tb.Helper()
	out, err := s.TryCLI(args...)
	if err != nil {
		s.tb.Fatalf("redis-cli %q: %v\n%s", args, err, out)
	}
	return out
}

// TryCLI is CLI where that may fail.
func (s *Server) TryCLI(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "redis-cli", slices.Concat([]string{"-h", "127.0.0.1", "-p", s.Port, "-e"}, s.tls, args)...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Config changes a setting of the running server.
func (s *Server) Config(name, value string) {
	s.tb.Helper()
	s.CLI("CONFIG", "SET", name, value)
}

// Flush empties the server.
func (s *Server) Flush() {
	s.tb.Helper()
	s.CLI("FLUSHALL")
}

// Log is what the server has written.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (s *Server) waitFor(what string, done func() bool) {
	s.tb.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.tb.Fatalf("redis-server: it did not come to this: %s\n%s", what, s.Log())
		}
	}
}

// Replica starts a server that copies this one, and waits until it does.
func (s *Server) Replica(settings ...string) *Server {
	s.tb.Helper()
	r := Start(s.tb, append([]string{"replicaof", "127.0.0.1 " + s.Port}, settings...)...)
	r.waitFor("it copies the primary", func() bool {
		return strings.Contains(r.CLI("INFO", "replication"), "master_link_status:up")
	})
	return r
}

// Sentinel starts three sentinels that watch this server under a name.
func (s *Server) Sentinel(name string) (sentinels []*Server) {
	s.tb.Helper()
	for range 3 {
		one := newServer(s.tb)
		text := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nsentinel monitor %s 127.0.0.1 %s 2\n"+
			"sentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 5000\nsentinel resolve-hostnames no\n",
			one.Port, one.dir, name, s.Port, name, name)
		file := filepath.Join(one.dir, "sentinel.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			s.tb.Fatal(err)
		}
		one.args = []string{file, "--sentinel"}
		one.Restart()
		sentinels = append(sentinels, one)
	}
	for _, one := range sentinels {
		one.waitFor("the sentinels know each other", func() bool {
			out, err := one.TryCLI("SENTINEL", "CKQUORUM", name)
			return err == nil && strings.HasPrefix(out, "OK 3 usable")
		})
	}
	return sentinels
}

// Cluster starts a cluster of three nodes without replicas.
func Cluster(tb testing.TB, settings ...string) (nodes []*Server) {
	tb.Helper()
	Need(tb)
	var addresses []string
	for range 3 {
		bus, err := testbed.FreePort()
		if err != nil {
			tb.Fatal(err)
		}
		node := Start(tb, append([]string{"cluster-enabled", "yes", "cluster-port", bus, "cluster-node-timeout", "2000"}, settings...)...)
		nodes, addresses = append(nodes, node), append(addresses, node.Addr)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	args := append([]string{"--cluster", "create"}, addresses...)
	if out, err := exec.CommandContext(ctx, "redis-cli", append(args, "--cluster-yes")...).CombinedOutput(); err != nil {
		tb.Fatal(errors.Join(err, errors.New(string(out))))
	}
	for _, node := range nodes {
		node.waitFor("the cluster is up", func() bool {
			return strings.Contains(node.CLI("CLUSTER", "INFO"), "cluster_state:ok")
		})
	}
	return nodes
}
