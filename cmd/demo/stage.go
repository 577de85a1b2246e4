package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
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
	caddy    *testbed.Process
	output   testbed.Output
}

// asCaddy in the environment makes this program the Caddy that it starts.
const asCaddy = "CADDY_ZOHO_DEMO_CADDY"

const (
	clientID     = "1000.DEMOCLIENT"
	clientSecret = "demo-client-secret"
)

var client = zohosim.Client{ID: clientID, Secret: clientSecret}

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
	s := &stage{clock: clock, app: &http.Client{Transport: new(http.Transport)}}
	var err error
	if s.port, err = testbed.FreePort(); err != nil {
		return nil, err
	}
	admin, err := testbed.FreePort()
	if err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "caddy-zoho-demo-"); err != nil {
		return nil, err
	}
	s.proxyURL, s.admin = "http://127.0.0.1:"+s.port, "127.0.0.1:"+admin
	zoho.Now = clock.now
	s.sim, s.simURL, s.grant, s.closeSim = testbed.StartZoho(zoho, client, "demo@example.com",
		"ZohoCRM.modules.ALL", "ZohoBooks.fullaccess.all", "Desk.tickets.ALL")
	return s, nil
}

// startCaddy waits for an answer of zoho_health; that it has no grant yet is one, too.
func (s *stage) startCaddy(ctx context.Context, config string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s.config = config
	caddy := testbed.Caddy{Command: []string{self}, Config: config, Env: append(
		testbed.Environment(s.dir, s.port, s.admin, client),
		asCaddy+"=1", "ZOHO_BIND=127.0.0.1", "ZOHO_DATA_CENTER="+s.simURL+" "+s.simURL,
		"ZOHO_REFRESH_TOKEN="+s.grant, "ZOHO_ENCRYPTION_KEY=simulated-encryption-key",
	)}
	if s.caddy, err = caddy.Start(ctx, &s.output); err != nil {
		return err
	}
	err = s.caddy.Await(ctx, func() bool {
		res, err := http.Get(s.proxyURL + "/zoho-health")
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("waiting for Caddy to answer: %w\n%s", err, s.logs())
	}
	return err
}

// restart is what a deployment does.
func (s *stage) restart(ctx context.Context) error {
	s.stopCaddy()
	return s.startCaddy(ctx, s.config)
}

func (s *stage) stopCaddy() {
	if s.caddy != nil {
		_ = s.caddy.Stop()
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
Both keep running. Try it yourself, in another terminal:

  curl '%[1]s/crm/v8/Leads?per_page=3'
  curl -X POST %[1]s/desk/api/v1/tickets -H 'Content-Type: application/json' -d '{"subject":"Hello"}'
  curl '%[1]s/books/v3/contacts?organization_id=60001234567'
  curl -X POST %[2]s/_sim/revoke-access       # Zoho refuses every access token from now on; three times look like another program
  go run ./cmd/caddy zoho status --address %[3]s

Ctrl-C ends the demo.
`, s.proxyURL, s.simURL, s.admin)
}
