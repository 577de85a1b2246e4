package cli

import (
	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// addCommand adds a command, and gives it back for its flags.
func addCommand(
	parent *cobra.Command, minArgs, maxArgs int, run func(*cobra.Command, []string) (int, error), cmd *cobra.Command,
) *cobra.Command {
	setRun(cmd, minArgs, maxArgs, run)
	parent.AddCommand(cmd)
	return cmd
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
