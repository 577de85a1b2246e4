package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
)

func cmdVersion(cmd *cobra.Command, _ []string) (int, error) {
	version := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range append(info.Deps, &info.Main) {
			if module.Path == modulePath {
				version = module.Version
			}
		}
	}
	_, caddyVersion := caddy.Version()
	versions := map[string]string{"caddy-zoho": version, "caddy": caddyVersion, "go": runtime.Version()}
	return report(cmd, versions, func(w io.Writer) {
		fmt.Fprintf(w, "caddy-zoho %s\ncaddy %s\n%s\n", version, caddyVersion, runtime.Version())
	})
}

const modulePath = "github.com/caddy-zoho/caddy-zoho"
