package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/version"
)

func cmdVersion(cmd *cobra.Command, _ []string) (int, error) {
	linked := version.Linked()
	return report(cmd, linked, func(w io.Writer) {
		fmt.Fprintf(w, "caddy-zoho %s\ncaddy %s\n%s\n", linked.Module, linked.Caddy, linked.Go)
	})
}
