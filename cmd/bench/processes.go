package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/testbed"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

const (
	clientID     = "1000.BENCH"
	clientSecret = "bench-client-secret"
)

// role in the environment makes this program one of the processes that it starts.
const role = "CADDY_ZOHO_BENCH_ROLE"

// server is a process that answers at a URL.
type server struct {
	*testbed.Process
	url    string
	output testbed.Output
}

func (s *server) stop() { _ = s.Process.Stop() }

// startSelf starts this program in a role, which listens at BENCH_PORT.
func startSelf(ctx context.Context, as string, env ...string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(ctx, func(port string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, self)
		cmd.Env = append(append(testbed.Environ(), role+"="+as, "BENCH_PORT="+port), env...)
		return cmd
	})
}

// caddy is a Caddy with global options and one site, which keeps what it has in a folder.
type caddy struct {
	dir, options, site string
	env                []string
}

// start starts it and waits until it answers.
func (c caddy) start(ctx context.Context) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(ctx, func(port string) *exec.Cmd { return c.command(ctx, self, port) })
}

// command starts it at a port, where self is this program.
func (c caddy) command(ctx context.Context, self, port string) *exec.Cmd {
	config := filepath.Join(c.dir, "Caddyfile."+port)
	text := fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n\tauto_https off\n\t%s\n}\nhttp://:%s {\n\tbind 127.0.0.1\n\t%s\n}\n",
		c.options, port, c.site)
	_ = os.WriteFile(config, []byte(text), 0o600) // Caddy says that it is not there
	cmd := exec.CommandContext(ctx, self, "run", "--config", config, "--adapter", "caddyfile")
	cmd.Env = append(testbed.Environment(c.dir, port, "off", zohosim.Client{ID: clientID, Secret: clientSecret}), role+"=caddy")
	cmd.Env = append(cmd.Env, c.env...)
	return cmd
}

// withOrigin has something measured in front of an origin, in a folder that is removed afterwards.
func withOrigin(ctx context.Context, measure func(dir, origin string) error) error {
	dir, err := os.MkdirTemp("", "caddy-zoho-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	zoho, err := startSelf(ctx, "origin")
	if err != nil {
		return err
	}
	defer zoho.stop()
	return measure(dir, zoho.url)
}

// anyGrant is a grant that an origin takes.
const anyGrant = "ZOHO_REFRESH_TOKEN=1000.refresh"

// oneAccount are the options of a proxy in front of an origin.
func oneAccount(store, origin string) string {
	return fmt.Sprintf(`zoho {
		store bolt %s
		client main {
			data_center   %s %s
			client_id     {env.ZOHO_CLIENT_ID}
			client_secret {env.ZOHO_CLIENT_SECRET}
			refresh_token {env.ZOHO_REFRESH_TOKEN}
		}
	}`, store, origin, origin)
}

// start starts a server at a free port and waits until it answers, whatever that is.
func start(ctx context.Context, command func(port string) *exec.Cmd) (*server, error) {
	port, err := testbed.FreePort()
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://127.0.0.1:" + port}
	cmd := command(port)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if s.Process, err = testbed.Start(cmd, &s.output); err != nil {
		return nil, err
	}
	err = s.Await(ctx, func() bool {
		res, err := http.Get(s.url)
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil
	})
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, s.output.String())
	}
	return s, nil
}

// processes are the server's, its children included.
func (s *server) processes() (pids []int, err error) {
	own := s.Process.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", own, own))
	for _, child := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return append(pids, own), err
}

// processorTime is what the threads of processes have taken so far, as Linux tells it.
func processorTime(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil || len(threads) == 0 {
			return 0, errors.New("this system does not report the processor time of a process")
		}
		for _, thread := range threads {
			text, err := os.ReadFile(thread)
			var taken time.Duration
			if _, scanErr := fmt.Sscan(string(text), &taken); err == nil && scanErr != nil {
				err = scanErr
			}
			if err != nil {
				return 0, err
			}
			sum += taken
		}
	}
	return sum, nil
}

// resident is the memory that processes have, in bytes.
func resident(pids []int) (sum int64, err error) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		_, rest, found := strings.Cut(string(text), "VmRSS:")
		var kib int64
		if _, err := fmt.Sscan(rest, &kib); err != nil || !found {
			return 0, errors.New("this system does not report the memory of a process")
		}
		sum += kib << 10
	}
	return sum, nil
}
