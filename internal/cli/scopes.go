package cli

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
)

// addScopes adds the command for who wants to ask for less.
func addScopes(parent *cobra.Command) {
	addCommand(parent, 0, 2, cmdScopes, &cobra.Command{
		Use:   "scopes [CLIENT [ACCOUNT]]",
		Short: "Shows the services and methods that apps called, next to the granted scopes",
		Long: `
Shows, for each connection, the services and methods that apps called since Caddy started, next
to the granted scopes. It also lists the scopes whose service no app has called. You probably do
not need those: remove them from scopes, and connect the account again.`,
		Example: "  caddy zoho scopes main",
	})
}

func cmdScopes(cmd *cobra.Command, args []string) (int, error) {
	var answer adminapi.Scopes
	if code, err := requestNamed(cmd, "/zoho/scopes", make(url.Values), args, &answer); err != nil {
		return code, err
	}
	if len(args) == 2 && len(answer.Connections) == 0 {
		return notThere(cmd, args)
	}
	return report(cmd, answer, func(w io.Writer) { printScopes(w, answer) })
}

func printScopes(w io.Writer, answer adminapi.Scopes) {
	if answer.Since == nil {
		fmt.Fprintln(w, "no calls since Caddy started")
	} else {
		fmt.Fprintln(w, "calls since "+answer.Since.Local().Format("2006-01-02 15:04"))
	}
	for _, c := range answer.Connections {
		fmt.Fprintf(w, "\n%s/%s\n", c.Client, c.Account)
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "  SERVICE\tMETHODS\tSCOPES GRANTED")
		for _, used := range c.Called {
			fmt.Fprintf(table, "  %s\t%s\t%s\n", used.Service, strings.Join(used.Methods, " "),
				orDash(strings.Join(used.Scopes, " ")))
		}
		_ = table.Flush()
		switch {
		case len(c.Granted) == 0:
			fmt.Fprintln(w, "  Zoho has not said which scopes were granted")
		case len(c.NeverCalled) > 0:
			fmt.Fprintln(w, "  scopes whose service was never called: "+strings.Join(c.NeverCalled, " "))
		}
		if len(c.Unknown) > 0 {
			fmt.Fprintln(w, "  scopes of services not known here: "+strings.Join(c.Unknown, " "))
		}
	}
}
