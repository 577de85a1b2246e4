// Package cli is `caddy zoho`: commands that speak to the running Caddy through its admin
// endpoint, and never open its store.
package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// What `caddy zoho` exits with.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2
	exitNeedsConsent = 3
	exitUnreachable  = 4
)

// Command adds the commands to `caddy zoho`.
func Command(parent *cobra.Command) {
	parent.PersistentFlags().String("address", "", "Address of Caddy's admin endpoint (if --config is not used)")
	parent.PersistentFlags().StringP("config", "c", "", "Configuration file to find the admin endpoint in")
	parent.PersistentFlags().StringP("adapter", "a", "", "Name of the config adapter to apply (with --config)")

	parent.PersistentFlags().Bool("json", false, "Print JSON, errors too (on standard error)")

	status := addCommand(parent, 0, 2, cmdStatus, &cobra.Command{
		Use:     "status [CLIENT [ACCOUNT]]",
		Short:   "Shows a line per connection; exits with 3 if one needs consent, with 0 if there is none",
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
	addCommand(parent, 0, 0, cmdVersion, &cobra.Command{
		Use:     "version",
		Short:   "Prints the versions of this module, Caddy and Go",
		Example: "  caddy zoho version",
	})
	addCommand(parent, 0, 1, helpOf(parent), &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Says what a command does and takes",
		Example: "  caddy zoho help status",
	})
	setRun(parent, 0, -1, helpOf(parent))
}

// helpOf is the help of a command's commands, and its own.
func helpOf(parent *cobra.Command) func(*cobra.Command, []string) (int, error) {
	return func(_ *cobra.Command, args []string) (int, error) {
		if len(args) == 0 {
			return exitOK, parent.Help()
		}
		var names []string
		for _, command := range parent.Commands() {
			if command.Name() == args[0] {
				return exitOK, command.Help()
			}
			names = append(names, command.Name())
		}
		return exitUsage, fmt.Errorf("there is no command %q%s; see `caddy zoho --help`", args[0], words.DidYouMean(args[0], names))
	}
}

// addCommand adds a command, and gives it back for its flags.
func addCommand(parent *cobra.Command, minArgs, maxArgs int, run func(*cobra.Command, []string) (int, error), cmd *cobra.Command) *cobra.Command {
	setRun(cmd, minArgs, maxArgs, run)
	parent.AddCommand(cmd)
	return cmd
}

func boolFlag(cmd *cobra.Command, name string) bool {
	value, _ := cmd.Flags().GetBool(name)
	return value
}

func stringFlag(cmd *cobra.Command, name string) string {
	value, _ := cmd.Flags().GetString(name)
	return value
}

// report prints a value, as JSON if that is wanted and for people otherwise.
func report(cmd *cobra.Command, value any, text func(io.Writer)) (int, error) {
	if boolFlag(cmd, "json") {
		if err := printJSON(cmd.OutOrStdout(), value); err != nil {
			return exitFailed, err
		}
		return exitOK, nil
	}
	text(cmd.OutOrStdout())
	return exitOK, nil
}

// setRun wires a command so that its exit code and its message are ours: what went
// wrong on one line, and what to do on a line of its own.
func setRun(cmd *cobra.Command, minArgs, maxArgs int, run func(*cobra.Command, []string) (int, error)) {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	finish := func(cmd *cobra.Command, args []string, code int, err error) error {
		if err != nil {
			printError(cmd, code, err)
		}
		if code == exitFailed {
			return err
		}
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, args)
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkArgs(cmd, args, minArgs, maxArgs); err != nil {
			return finish(cmd, args, exitUsage, err)
		}
		caddy.BufferedLog() // that of a command is read by nobody: what matters, it says
		code, err := run(cmd, args)
		return finish(cmd, args, code, err)
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return finish(cmd, nil, exitUsage, checkFlags(cmd, err))
	})
}

// exitWords are the codes of errors that are the command's own.
var exitWords = map[int]string{exitFailed: "failed", exitUsage: "usage", exitNeedsConsent: "needs-consent", exitUnreachable: "unreachable"}

// printError tells what went wrong, with --json in the form of the admin API.
func printError(cmd *cobra.Command, code int, err error) {
	if !wantsJSON(cmd) {
		fmt.Fprintln(cmd.ErrOrStderr(), "caddy zoho:", err)
		return
	}
	_ = json.NewEncoder(cmd.ErrOrStderr()).Encode(toldAs(code, err))
}

// toldAs is an error in the form of the admin API.
func toldAs(code int, err error) *adminapi.Error {
	var told *adminapi.Error
	if errors.As(err, &told) {
		return told
	}
	text, hint, _ := strings.Cut(err.Error(), "\n")
	return &adminapi.Error{Text: text, Code: exitWords[code], Hint: strings.TrimPrefix(hint, "hint: ")}
}

// wantsJSON sees --json as well where a flag before it was not understood.
func wantsJSON(cmd *cobra.Command) bool {
	return boolFlag(cmd, "json") || slices.Contains(os.Args, "--json")
}

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
