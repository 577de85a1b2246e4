package cli

import (
	"fmt"
	"io"
	"net/http"
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
		Short: "Shows which services and methods were called, beside the scopes that were granted",
		Long: `
Shows for each connection which services were called and with which methods since Caddy was
started, beside the scopes that were granted; and the scopes whose service nobody has called.
Those are likely not needed: leave them out of scopes, and connect the account anew.`,
		Example: "  caddy zoho scopes main",
	})
}

func cmdScopes(cmd *cobra.Command, args []string) (int, error) {
	answer, code, err := requestScopes(cmd, args)
	if err != nil {
		return code, err
	}
	if len(args) == 2 && len(answer.Connections) == 0 {
		var all adminapi.List
		if code, err := adminRequest(cmd, http.MethodGet, listOf(args[0], "", 0), nil, &all); err != nil {
			return code, err
		}
		return exitFailed, noSuchAccount(args[0], args[1], all)
	}
	return report(cmd, answer, func(w io.Writer) { printScopes(w, answer) })
}

// requestScopes asks for the connections that the arguments name. A single one that is no
// client's name is an account's.
func requestScopes(cmd *cobra.Command, args []string) (answer adminapi.Scopes, code int, err error) {
	request := func(names ...string) (int, error) {
		query := make(url.Values)
		for i, name := range names {
			query.Set(name, args[i])
		}
		return adminRequest(cmd, http.MethodGet, "/zoho/scopes?"+query.Encode(), nil, &answer)
	}
	code, err = request([]string{"client", "account"}[:len(args)]...)
	if len(args) != 1 || !hasCode(err, adminapi.CodeUnknownClient) {
		return answer, code, err
	}
	if there, _, failed := isThere(cmd, "", args[0]); failed != nil || !there {
		return answer, code, withAccounts(cmd, args[0], err)
	}
	code, err = request("account")
	return answer, code, err
}

func printScopes(w io.Writer, answer adminapi.Scopes) {
	if answer.Since == nil {
		fmt.Fprintln(w, "no call was seen since Caddy was started")
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
			fmt.Fprintln(w, "  Zoho has not told which scopes were granted")
		case len(c.NeverCalled) > 0:
			fmt.Fprintln(w, "  service never called: "+strings.Join(c.NeverCalled, " "))
		}
		if len(c.Unknown) > 0 {
			fmt.Fprintln(w, "  of no service here: "+strings.Join(c.Unknown, " "))
		}
	}
}
