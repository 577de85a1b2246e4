package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/backup"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// addBackup adds the command that writes grants to a file.
func addBackup(parent *cobra.Command) {
	command := addCommand(parent, 0, -1, cmdBackup, &cobra.Command{
		Use:   "backup FILE",
		Short: "Writes all stored grants to a file, sealed as they are, while Caddy runs",
		Long: `
Writes the stored grants to FILE, with the data keys that open them and the list of deleted
accounts. All of it stays sealed: whoever restores it needs one of today's encryption keys. It holds
no access token, and no grant from the configuration. FILE gets mode 0600; - is standard output.

The new backup is complete before it gets its name, and --overwrite keeps the old one until then. A
store without any grant replaces no backup. FILE may be a symbolic link; the file that it leads to is
written.

What is damaged in the store cannot be backed up. The command then backs up the rest, names what is
missing, and exits with 5. Such a backup replaces no file: if FILE is there, it gets the name
FILE.incomplete.

Without an encryption_key, the command refuses, because the key is on the same disk then. Add
--with-master-key-elsewhere if you keep a copy of that key in another place.

With --check the command reads a backup instead, and the running Caddy tries its keys on it. Nothing
is changed. It warns of accounts whose client is not configured here. It exits with 1 if the file is
damaged or the keys do not open all of it, with 4 if no Caddy could be asked, and with 5 if the file
was incomplete when it was made.`,
		Example: "  caddy zoho backup /backup/zoho.jsonl\n  caddy zoho backup --check /backup/zoho.jsonl",
	})
	command.Flags().Bool("check", false, "Check the backup in FILE, and whether the running Caddy's keys open it")
	command.Flags().Bool("overwrite", false, "Replace FILE, once the new backup is complete")
	command.Flags().Bool("with-master-key-elsewhere", false,
		"Back up without an encryption_key: the key in master_key_file, or the client secrets, are kept elsewhere")
}

// oneFile is the FILE of a command.
func oneFile(cmd *cobra.Command, args []string) (string, error) {
	switch {
	case len(args) == 0 || args[0] == "":
		return "", usage(cmd, "FILE is missing")
	case len(args) > 1:
		return "", usage(cmd, fmt.Sprintf("%d arguments are too many, it takes FILE alone", len(args)))
	}
	return args[0], nil
}

func cmdBackup(cmd *cobra.Command, args []string) (int, error) {
	path, err := oneFile(cmd, args)
	if err != nil {
		return exitUsage, err
	}
	if boolFlag(cmd, "check") {
		return checkBackup(cmd, path)
	}
	if path == standardStream {
		summary, code, err := requestBackup(cmd, cmd.OutOrStdout())
		if err != nil {
			return code, err
		}
		return tellBackup(cmd, cmd.ErrOrStderr(), path, summary)
	}
	written, summary, code, err := backupToFile(cmd, path, boolFlag(cmd, "overwrite"))
	if err != nil {
		return code, err
	}
	return tellBackup(cmd, cmd.OutOrStdout(), written, summary)
}

// standardStream stands for standard input or output in place of a file.
const standardStream = "-"

// requestBackup has the running Caddy make a backup, and makes sure that all of it has come.
func requestBackup(cmd *cobra.Command, file io.Writer) (summary *sealed.BackupSummary, code int, err error) {
	uri := "/zoho/backup"
	if boolFlag(cmd, "with-master-key-elsewhere") {
		uri += "?with_master_key_elsewhere=true"
	}
	var unwritten error
	code, err = adminStream(cmd, http.MethodGet, uri, "", nil, func(answer io.Reader) (err error) {
		summary, err = sealed.CheckBackup(io.TeeReader(answer, failing{file, &unwritten}))
		return err
	})
	if unwritten != nil {
		return nil, exitFailed, errUnwritten(unwritten)
	}
	return summary, code, err
}

// tellBackup reports a backup that was made.
func tellBackup(cmd *cobra.Command, w io.Writer, path string, s *sealed.BackupSummary) (int, error) {
	if !boolFlag(cmd, "json") {
		printBackup(w, path, "backed up", s)
	} else if err := printJSON(w, s); err != nil {
		return exitFailed, err
	}
	if s.Incomplete() > 0 {
		warn(cmd, notInBackup(s.BackupHeader))
		return exitIncomplete, fmt.Errorf("%s lacks %s that the store cannot read\n"+
			"hint: take the accounts away by `caddy zoho forget` and connect them anew, or restore a backup that has them; then back up again",
			path, words.Plural(s.Incomplete(), "grant"))
	}
	return exitOK, nil
}

// notInBackup names what was damaged in the store when a backup was made.
func notInBackup(h sealed.BackupHeader) (warnings []string) {
	for _, m := range h.Missing {
		text := m.Why
		if m.Account != "" {
			text = onboard.ShowAccount(m.Client) + "/" + onboard.ShowAccount(m.Account) + ": " + text
		}
		warnings = append(warnings, "not in the backup: "+text)
	}
	if h.MissingMore > 0 {
		warnings = append(warnings,
			fmt.Sprintf("not in the backup: %d more, which the log of that Caddy names", h.MissingMore))
	}
	return warnings
}

// failing remembers why it could not be written.
type failing struct {
	io.Writer
	err *error
}

func (f failing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err != nil {
		*f.err = err
	}
	return n, err
}

// printBackup says what is in a backup, and what opens it.
func printBackup(w io.Writer, path, done string, s *sealed.BackupSummary) {
	fmt.Fprintf(w, "%s: %s %s of %s, %s, %s\n", path, done, words.Plural(s.Grants, "grant"), clientCounts(s.Clients),
		words.Plural(s.Rings, "data key"), words.Plural(s.Deletions, "deletion"))
	fmt.Fprintf(w, "made %s from %s\n", s.Made.Local().Format("2006-01-02 15:04:05"), s.Store)
	for _, key := range s.Keys {
		if slices.Contains(s.OpensBy, key.ID) {
			fmt.Fprintf(w, "opens by key id %s (%s)\n", key.ID, key.What)
		} else {
			fmt.Fprintf(w, "opens in part by key id %s (%s)\n", key.ID, key.What)
		}
	}
	if s.Grants == 0 {
		fmt.Fprintln(w, "no grant is stored; those that the configuration has are not in a backup")
	}
}

// clientCounts says how many grants each client has.
func clientCounts(grants map[string]int) string {
	if len(grants) == 0 {
		return "no client"
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(grants)) {
		names = append(names, fmt.Sprintf("%s (%d)", onboard.ShowAccount(name), grants[name]))
	}
	return "client " + words.Some(names, 10, len(names))
}

// checked is what `backup --check` prints.
type checked struct {
	*sealed.BackupSummary
	Tried  bool `json:"keys_tried"` // a running Caddy has tried to open it
	Opened int  `json:"grants_opened"`
	Opens  bool `json:"opens"` // all of it
}

// checkBackup reads a backup, and has the running Caddy try to open it.
func checkBackup(cmd *cobra.Command, path string) (int, error) {
	file, summary, closed, err := readBackup(cmd, path)
	if err != nil {
		return exitFailed, err
	}
	defer closed()
	var tried adminapi.Restored
	code, unasked := adminStream(
		cmd, http.MethodPost, "/zoho/restore?dry_run=true", adminapi.BackupType, file, decoded(&tried))
	answer := checked{BackupSummary: summary, Tried: unasked == nil, Opened: tried.GrantsOpened,
		Opens: unasked == nil && tried.Whole()}
	warn(cmd, notInBackup(summary.BackupHeader))
	_, err = report(cmd, answer, func(w io.Writer) {
		printBackup(w, path, "whole,", summary)
		if answer.Opens {
			fmt.Fprintln(w, "the keys of the running Caddy open all of it")
		}
	})
	switch {
	case err != nil:
		return exitFailed, err
	case unasked != nil:
		return code, fmt.Errorf("the file is whole, but the keys were not tried: %w", unasked)
	case !answer.Opens:
		return exitFailed, notOpened(&tried)
	}
	warn(cmd, notConfigured(&tried))
	if n := summary.Incomplete(); n > 0 {
		return exitIncomplete, fmt.Errorf("%s is whole, but was incomplete when it was made: it lacks %s that the store could not read",
			path, words.Plural(n, "grant"))
	}
	return exitOK, nil
}

// notConfigured warns of accounts that restore would leave out though their grants open.
func notConfigured(tried *adminapi.Restored) (warnings []string) {
	accounts := make(map[string]int)
	for _, a := range tried.Accounts {
		if a.Why == adminapi.WhyNoClient {
			accounts[a.Client]++
		}
	}
	for _, client := range slices.Sorted(maps.Keys(accounts)) {
		warnings = append(warnings, fmt.Sprintf("restore would leave %s out here: client %s is not configured",
			words.Plural(accounts[client], "account"), onboard.ShowAccount(client)))
	}
	return warnings
}

// notOpened says what the configured keys do not open.
func notOpened(tried *adminapi.Restored) error {
	var names []string
	why := ""
	for _, a := range tried.Accounts {
		if a.Why != "" && a.Why != adminapi.WhyNoClient {
			names, why = append(names, shownAccount(a)), a.Why
		}
	}
	text := fmt.Sprintf("the keys of the running Caddy open %d of %s",
		tried.GrantsOpened, words.Plural(tried.Backup.Grants, "grant"))
	if len(names) > 0 {
		text += ", not " + words.Some(names, 10, tried.Backup.Grants-tried.GrantsOpened) + ": " + why
	} else {
		text += fmt.Sprintf(", and %d of %s", tried.RingsOpened, words.Plural(tried.Backup.Rings, "data key"))
	}
	return errors.New(text + "\nhint: configure the key of that time again, behind the new one in encryption_key")
}

// readBackup opens a backup that is whole, until it is closed. From standard input it is kept in a temporary file.
func readBackup(cmd *cobra.Command, path string) (_ io.Reader, _ *sealed.BackupSummary, closed func(), err error) {
	file, summary, closed, err := openBackup(cmd, path)
	var damaged *sealed.BackupError
	if errors.As(err, &damaged) {
		err = &adminapi.Error{Text: fmt.Sprintf("%s, %v", path, err), Code: adminapi.CodeDamagedBackup,
			Hint: "nothing was changed; use another backup"}
	}
	return file, summary, closed, err
}

func openBackup(cmd *cobra.Command, path string) (file *os.File, summary *sealed.BackupSummary, closed func(), err error) {
	if path == standardStream {
		file, summary, err = backup.Keep(cmd.InOrStdin())
		return file, summary, func() { backup.Forget(file) }, err
	}
	if file, err = os.Open(path); err != nil {
		return nil, nil, nil, err
	}
	summary, err = sealed.CheckBackup(file)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
	}
	return file, summary, func() { _ = file.Close() }, err
}
