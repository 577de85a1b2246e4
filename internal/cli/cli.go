// Package cli is `caddy zoho`: commands that speak to the running Caddy through its admin
// endpoint, and never open its store.
//
// cli.go lists the commands, most of which have a file of their own. They need what stands
// below: command.go, which adds one; args.go, what was typed; named.go, the connection that
// is meant; admin.go, the way to Caddy; output.go and exit.go. None of those needs a command.
package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// Command adds the commands to `caddy zoho`.
func Command(parent *cobra.Command) {
	parent.PersistentFlags().String("address", "", "Address of Caddy's admin endpoint (if --config is not used)")
	parent.PersistentFlags().StringP("config", "c", "", "Configuration file to find the admin endpoint in")
	parent.PersistentFlags().StringP("adapter", "a", "", "Name of the config adapter to apply (with --config)")

	parent.PersistentFlags().Bool("json", false, "Print JSON, errors too (on standard error)")

	status := addCommand(parent, 0, 2, cmdStatus, &cobra.Command{
		Use:     "status [CLIENT [ACCOUNT]]",
		Short:   "Shows one line per connection; exits with 3 if any needs consent",
		Example: "  caddy zoho status main --state dead",
	})
	status.Flags().String("state", "", "Only connections in this state: "+strings.Join(adminapi.States, ", "))
	status.Flags().Bool("wide", false, "Show all scopes, and the last error to its end")
	addCommand(parent, 0, 2, cmdRefresh, &cobra.Command{
		Use:     "refresh [CLIENT] [ACCOUNT]",
		Short:   "Asks Zoho for a new access token, within the budget",
		Example: "  caddy zoho refresh main default",
	})
	addConnecting(parent)
	addImport(parent)
	addRemoving(parent)
	addDoctor(parent)
	addScopes(parent)
	addBackup(parent)
	addRestore(parent)
	addRekey(parent)
	addAPIKey(parent)
	addCommand(parent, 0, 0, cmdVersion, &cobra.Command{
		Use:     "version",
		Short:   "Prints the versions of this module, Caddy and Go",
		Example: "  caddy zoho version",
	})
	addCommand(parent, 0, 2, helpOf(parent), &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Says what a command does and takes",
		Example: "  caddy zoho help status",
	})
	setRun(parent, 0, -1, helpOf(parent))
}

// helpOf is the help of a command's commands, and its own.
func helpOf(parent *cobra.Command) func(*cobra.Command, []string) (int, error) {
	return func(_ *cobra.Command, args []string) (int, error) {
		command := parent
		for _, arg := range args {
			var names []string
			var next *cobra.Command
			for _, c := range command.Commands() {
				if names = append(names, c.Name()); c.Name() == arg {
					next = c
				}
			}
			if next == nil {
				return exitUsage, fmt.Errorf("there is no command %q%s; see `caddy zoho --help`",
					arg, words.DidYouMean(arg, names))
			}
			command = next
		}
		return exitOK, command.Help()
	}
}
