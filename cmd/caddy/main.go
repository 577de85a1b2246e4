// Command caddy is Caddy with its standard modules and this one.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "time/tzdata"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-zoho/caddy-zoho"
)

func main() {
	caddycmd.Main()
}
