package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
)

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

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// printLine prints a value as JSON on one line, with addresses as they are.
func printLine(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// printError tells what went wrong, with --json in the form of the admin API.
func printError(cmd *cobra.Command, code int, err error) {
	if !wantsJSON(cmd) {
		fmt.Fprintln(cmd.ErrOrStderr(), "caddy zoho:", err)
		return
	}
	_ = json.NewEncoder(cmd.ErrOrStderr()).Encode(toldAs(code, err))
}

// wantsJSON sees --json as well where a flag before it was not understood.
func wantsJSON(cmd *cobra.Command) bool {
	return boolFlag(cmd, "json") || slices.Contains(os.Args, "--json")
}

// orDash is for a cell of a table that must not look forgotten.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
