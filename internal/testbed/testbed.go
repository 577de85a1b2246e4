// Package testbed starts a simulator of Zoho and a real Caddy in front of it, for the
// end-to-end tests and the demo.
package testbed

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// StartZoho starts a simulator on plain HTTP, with one client and one grant.
func StartZoho(o zohosim.Options, client zohosim.Client, user string, scopes ...string) (
	server *zohosim.Server, baseURL, grant string, stop func(),
) {
	server = zohosim.New(o)
	server.AddClient(client)
	grant = server.Grant(client.ID, user, "us", scopes...)
	baseURL, stop = server.StartHTTP()
	return server, baseURL, grant, stop
}

// Caddy is what a Caddy is started from.
type Caddy struct {
	Command []string // that is `caddy`
	Config  string   // the path of the Caddyfile
	Dir     string   // where it runs: here, if empty
	Env     []string
}

// Start runs the Caddyfile, and waits for nothing. When ctx ends, Caddy does, as an operator
// would end it.
func (c Caddy) Start(ctx context.Context, said *Output) (*Process, error) {
	args := append(c.Command[1:len(c.Command):len(c.Command)], "run", "--config", c.Config, "--adapter", "caddyfile")
	cmd := exec.CommandContext(ctx, c.Command[0], args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Dir, cmd.Env = c.Dir, c.Env
	return Start(cmd, said)
}

// Environment is what the Caddyfiles of both read: all that Caddy keeps is in dir, its site is at
// a port of this machine, and it is that client of Zoho's.
func Environment(dir, port, admin string, client zohosim.Client) []string {
	return append(Environ(), "CADDY_ADMIN="+admin,
		"XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "HOME="+dir,
		"ZOHO_PORT="+port, "ZOHO_STORE="+filepath.Join(dir, "store"),
		"ZOHO_CLIENT_ID="+client.ID, "ZOHO_CLIENT_SECRET="+client.Secret)
}

// Environ is ours without what would configure the proxy.
func Environ() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ZOHO_") && !strings.HasPrefix(v, "CADDY_") {
			kept = append(kept, v)
		}
	}
	return kept
}
