package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/apikeys"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// addAPIKey adds the command that makes keys for callers.
func addAPIKey(parent *cobra.Command) {
	command := &cobra.Command{
		Use:   "api-key COMMAND",
		Short: "Makes keys that tell zoho_proxy who is calling",
	}
	addCommand(command, 1, -1, cmdAPIKeyNew, &cobra.Command{
		Use:   "new NAME [ACCOUNT...]",
		Short: "Prints a new key once, and its line for the file of api_keys",
		Long: `
Makes a key of 32 random bytes for the caller NAME and prints it once. The key is not stored
anywhere. The line after it goes into a file that api_keys in zoho_proxy names; that line holds
only the SHA-256 of the key. Caddy reloads the file when it changes. The end of the line lists
the accounts that the caller may use; * stands for any text.

To replace a key without an interruption, write the new digest after the old one, with a comma
between them. Remove the old digest when no app uses it anymore.`,
		Example: "  caddy zoho api-key new erp\n  caddy zoho api-key new shop customer-17 'customer-2*'",
	})
	setRun(command, 0, -1, func(cmd *cobra.Command, args []string) (int, error) {
		if len(args) == 0 {
			return exitOK, cmd.Help()
		}
		return exitUsage, fmt.Errorf("there is no command api-key %.64q; write `caddy zoho api-key new NAME`", args[0])
	})
	parent.AddCommand(command)
}

// newKey is what the command prints.
type newKey struct {
	Name string `json:"name"`
	Key  string `json:"key"`
	Line string `json:"line"` // for the file
}

func cmdAPIKeyNew(cmd *cobra.Command, args []string) (int, error) {
	if len(args) == 0 {
		return exitUsage, usage(cmd, "NAME is missing")
	}
	made := newKey{Name: args[0]}
	for i, arg := range args {
		switch {
		case apikeys.LooksLikeKey(arg):
			return exitUsage, errSecretArgument
		case i == 0 && !words.Name.MatchString(arg):
			return exitUsage, errors.New("NAME is not a valid caller name: " + words.NameRule)
		case i > 0 && !words.NamePattern(arg):
			return exitUsage, errors.New("ACCOUNT is not a valid account name: " + words.NameRule + "; * stands for any text")
		}
	}
	key, digest := apikeys.New()
	made.Key, made.Line = key, strings.Join(append([]string{args[0], digest}, args[1:]...), " ")
	code, err := report(cmd, made, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n%s\n", made.Key, made.Line)
	})
	if err != nil {
		return exitFailed, errors.New("the key could not be printed and is lost: " + err.Error())
	}
	if !wantsJSON(cmd) {
		fmt.Fprintf(cmd.ErrOrStderr(),
			"hint: the first line is the key of %s; it is not stored anywhere, so give it to the app now. "+
				"The second line goes into the file of api_keys\n", args[0])
	}
	return code, nil
}
