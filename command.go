package caddyzoho

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-zoho/caddy-zoho/internal/cli"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "zoho",
		Usage: "<command>",
		Short: "Manages the connections to Zoho",
		Long: `
Shows and changes the connections of a running Caddy, through its admin endpoint.

Exit codes: 0 ok, 1 failed, 2 usage, 3 a connection needs consent,
4 Caddy could not be reached.`,
		CobraFunc: cli.Command,
	})
}
