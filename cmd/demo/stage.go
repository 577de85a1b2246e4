package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// stage is a simulator of Zoho and a Caddy in front of it.
type stage struct {
	sim      *zohosim.Server
	simURL   string
	closeSim func()
	grant    string
	app      *http.Client
	posts    int       // made so far by compare
	asked    time.Time // when the token was asked for that scenarios count from
	clock    *clock

	config   string
	port     string
	proxyURL string
	admin    string
	dir      string
	caddy    *exec.Cmd
	exited   chan struct{}
	output   *log
}

// asCaddy in the environment makes this program the Caddy that it starts.
const asCaddy = "CADDY_ZOHO_DEMO_CADDY"

const (
	clientID     = "1000.DEMOCLIENT"
	clientSecret = "demo-client-secret"
)

func newStage(ctx context.Context, config string, zoho zohosim.Options) (*stage, error) {
	if _, err := os.Stat(config); err != nil {
		return nil, fmt.Errorf("%w (run it from the root of the repository)", err)
	}
	s, err := newSimulator(zoho, new(clock))
	if err != nil {
		return nil, err
	}
	if err := s.startCaddy(ctx, config); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// newSimulator is a stage without Caddy.
func newSimulator(zoho zohosim.Options, clock *clock) (*stage, error) {
	dir, err := os.MkdirTemp("", "caddy-zoho-demo-")
	if err != nil {
		return nil, err
	}
	zoho.Now = clock.now
	s := &stage{sim: zohosim.New(zoho), dir: dir, output: new(log), clock: clock,
		app: &http.Client{Transport: new(http.Transport)}}
	s.sim.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret})
	s.grant = s.sim.Grant(clientID, "demo@example.com", "us", "ZohoCRM.modules.ALL", "ZohoBooks.fullaccess.all", "Desk.tickets.ALL")
	s.simURL, s.closeSim = s.sim.StartHTTP()
	return s, nil
}

// starting is held from finding a free port until Caddy listens there: nobody else must
// find the same one.
var starting sync.Mutex

// startCaddy starts it with free ports. One that somebody else has taken meanwhile is no reason
// to give up.
func (s *stage) startCaddy(ctx context.Context, config string) error {
	starting.Lock()
	defer starting.Unlock()
	var err error
	for range 5 {
		said := len(s.logs())
		if err = s.tryCaddy(ctx, config); err == nil || !strings.Contains(s.logs()[said:], "address already in use") {
			break
		}
	}
	return err
}

func (s *stage) tryCaddy(ctx context.Context, config string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	s.port, s.proxyURL, s.admin = ports[0], "http://127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	s.caddy = exec.CommandContext(ctx, self, "run", "--config", config, "--adapter", "caddyfile")
	s.caddy.Env = append(environment(),
		asCaddy+"=1", "CADDY_ADMIN="+s.admin,
		"XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir,
		"ZOHO_BIND=127.0.0.1", "ZOHO_PORT="+ports[0], "ZOHO_STORE="+filepath.Join(s.dir, "store"),
		"ZOHO_DATA_CENTER="+s.simURL+" "+s.simURL,
		"ZOHO_CLIENT_ID="+clientID, "ZOHO_CLIENT_SECRET="+clientSecret, "ZOHO_REFRESH_TOKEN="+s.grant,
		"ZOHO_ENCRYPTION_KEY=simulated-encryption-key",
	)
	s.caddy.Stdout, s.caddy.Stderr = s.output, s.output
	s.caddy.Cancel = func() error { return s.caddy.Process.Signal(syscall.SIGTERM) }
	s.config = config
	if err := s.caddy.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.exited = exited
	go func(caddy *exec.Cmd) {
		_ = caddy.Wait()
		close(exited)
	}(s.caddy)
	return s.waitUntilServed(ctx)
}

// restart is what a deployment does.
func (s *stage) restart(ctx context.Context) error {
	s.stopCaddy()
	return s.startCaddy(ctx, s.config)
}

func (s *stage) stopCaddy() {
	if s.exited != nil {
		_ = s.caddy.Process.Signal(syscall.SIGTERM)
		<-s.exited
	}
}

// environment is ours without what would configure the proxy.
func environment() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ZOHO_") && !strings.HasPrefix(v, "CADDY_") {
			kept = append(kept, v)
		}
	}
	return kept
}

func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		// All are held until all are found, so that none is found twice.
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports, nil
}

// waitUntilServed waits for an answer of zoho_health; that it has no grant yet is one, too.
func (s *stage) waitUntilServed(ctx context.Context) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(3 * time.Minute) // which only a hang takes
	for {
		if res, err := http.Get(s.proxyURL + "/zoho-health"); err == nil {
			_ = res.Body.Close()
			return nil
		}
		select {
		case <-ticker.C:
		case <-s.exited:
			return errors.New("Caddy did not start:\n" + s.logs())
		case <-timeout:
			return errors.New("Caddy does not answer:\n" + s.logs())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *stage) logs() string { return s.output.String() }

// tokenCalls is how often this side has asked Accounts for a token.
func (s *stage) tokenCalls() int { return s.sim.Stats().TokenRequests }

// countTokenCalls says how many they are, for people.
func countTokenCalls(n int) string {
	if n == 1 {
		return "1 token call"
	}
	return fmt.Sprintf("%d token calls", n)
}

func (s *stage) close() {
	s.stopCaddy()
	s.closeSim()
	_ = os.RemoveAll(s.dir)
}

func (s *stage) printHints() {
	fmt.Printf(`
Both keep running. Go on by hand, in another terminal:

  curl '%[1]s/crm/v8/Leads?per_page=3'
  curl -X POST %[1]s/desk/api/v1/tickets -H 'Content-Type: application/json' -d '{"subject":"Hello"}'
  curl '%[1]s/books/v3/contacts?organization_id=60001234567'
  curl -X POST %[2]s/_sim/revoke-access       # Zoho refuses every access token from now on; three times look like another program
  go run ./cmd/caddy zoho status --address %[3]s

Ctrl-C ends the demo.
`, s.proxyURL, s.simURL, s.admin)
}

// log collects what Caddy prints.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
