package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// addRestore adds the command that takes a backup in.
func addRestore(parent *cobra.Command) {
	restore := addCommand(parent, 0, -1, cmdRestore, &cobra.Command{
		Use:   "restore FILE",
		Short: "Takes the grants of a backup into the running Caddy, without a new consent",
		Long: `
Sends the backup in FILE to the running Caddy, which opens it with its own keys and stores the
grants under them. They work at once, without a reload. FILE may be - for standard input.

An account that has a grant keeps it. An account that was deleted here stays deleted. The command
leaves an account out and names it if its client is not configured, or if no key opens it. It
restores the rest, and exits with 1. You can run it again.`,
		Example: "  caddy zoho restore --dry-run /backup/zoho.jsonl\n  caddy zoho restore /backup/zoho.jsonl",
	})
	restore.Flags().Bool("replace", false, "Also replace grants that accounts have here")
	restore.Flags().Bool("deleted", false, "Also bring back accounts that were deleted here")
	restore.Flags().Bool("dry-run", false, "Only say what would be done")
}

func cmdRestore(cmd *cobra.Command, args []string) (int, error) {
	path, err := oneFile(cmd, args)
	if err != nil {
		return exitUsage, err
	}
	file, _, closed, err := readBackup(cmd, path)
	if err != nil {
		return exitFailed, err
	}
	defer closed()
	query := make(url.Values)
	for _, flag := range []string{"replace", "deleted", "dry-run"} {
		if boolFlag(cmd, flag) {
			query.Set(strings.ReplaceAll(flag, "-", "_"), "true")
		}
	}
	var done adminapi.Restored
	code, err := adminStream(cmd, http.MethodPost, "/zoho/restore?"+query.Encode(), adminapi.BackupType, file, decoded(&done))
	if err != nil {
		return code, err
	}
	if _, err := report(cmd, done, func(w io.Writer) { printRestored(w, &done) }); err != nil {
		return exitFailed, err
	}
	warn(cmd, notInBackup(done.Backup))
	if n := done.Counts[onboard.LeftOut]; n > 0 {
		return exitFailed, errors.New(words.Plural(n, "account") + " could not be restored")
	}
	return exitOK, nil
}

// outcomeWords say why something was not restored, and how it would be.
var outcomeWords = map[onboard.Outcome]string{
	onboard.Kept:       "keeps the grant that is stored here; --replace takes the one of the backup",
	onboard.Configured: "its grant comes from the configuration, which always wins",
	onboard.Gone:       "was deleted here, and stays so; --deleted brings it back",
}

// someAccounts is how many of those that were not restored, for a reason that is in order, are named.
const someAccounts = 20

// printRestored names what was not restored, and counts the rest.
func printRestored(w io.Writer, done *adminapi.Restored) {
	named := make(map[onboard.Outcome]int)
	for _, a := range done.Accounts {
		switch {
		case a.Result == onboard.LeftOut:
			fmt.Fprintf(w, "%s left out: %s\n", shownAccount(a), a.Why)
		case outcomeWords[a.Result] != "":
			if named[a.Result]++; named[a.Result] <= someAccounts {
				fmt.Fprintf(w, "%s %s\n", shownAccount(a), outcomeWords[a.Result])
			}
		}
	}
	for _, result := range []onboard.Outcome{onboard.Kept, onboard.Configured, onboard.Gone, onboard.LeftOut} {
		shown := min(done.Counts[result], adminapi.MaxAccounts)
		if result != onboard.LeftOut {
			shown = min(shown, someAccounts)
		}
		if more := done.Counts[result] - shown; more > 0 {
			fmt.Fprintf(w, "%d more: %s\n", more, result)
		}
	}
	verb := "restored"
	if done.DryRun {
		verb = "would be restored"
	}
	fmt.Fprintf(w, "%s of %s %s", grantsWord(done.Counts[onboard.Restored]+done.Counts[onboard.Replaced]),
		words.Plural(done.Backup.Grants, "grant"), verb)
	if n := done.Counts[onboard.Replaced]; n > 0 {
		fmt.Fprintf(w, ", %d of them in place of another", n)
	}
	fmt.Fprintf(w, "; %s taken over\n", words.Plural(done.Deletions, "deletion"))
}

// shownAccount names an account. What a backup calls one may be anything.
func shownAccount(a adminapi.RestoredAccount) string {
	return onboard.ShowAccount(a.Client) + "/" + onboard.ShowAccount(a.Account)
}

func grantsWord(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}
