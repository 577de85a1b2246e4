package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// addDoctor adds the command for when something is wrong.
func addDoctor(parent *cobra.Command) {
	addCommand(parent, 0, 2, cmdDoctor, &cobra.Command{
		Use:   "doctor [CLIENT [ACCOUNT]]",
		Short: "Finds what is wrong, and says what to do about it",
		Long: `
Has the running Caddy check its store, its sites and the clock, and the credentials, data
centers and grants of each client. Then it calls the services that the configuration names.
For each problem it says what is wrong, why, and what to do.

It asks for an access token only where a connection has no live one, and stays within the
budget. Its calls to services only read.

If Caddy cannot be reached and --config is given, it checks that configuration instead.

It exits with 0 if nothing failed, with 3 if only consent is missing, with 4 if Caddy cannot
be reached, and otherwise with 1, as for an unknown account.`,
		Example: "  caddy zoho doctor\n  caddy zoho doctor main default --json\n" +
			"  caddy zoho doctor --config /etc/caddy/Caddyfile",
	})
}

func cmdDoctor(cmd *cobra.Command, args []string) (int, error) {
	found, code, err := requestDoctor(cmd, args)
	if len(args) == 1 && hasCode(err, adminapi.CodeUnknownClient) {
		if args, err = ownerOf(cmd, args[0], err); err == nil {
			found, code, err = requestDoctor(cmd, args)
		}
	}
	switch {
	case code == exitUnreachable && stringFlag(cmd, "config") != "":
		return unreachableDoctor(cmd, nil, err)
	case placeUnknown(cmd, code, err):
		return unreachableDoctor(cmd, err, errors.New("it is not known where Caddy's admin endpoint is, "+
			"which the configuration should say\nhint: "+hintUnreachable))
	case err != nil:
		return code, err
	}
	if _, err := report(cmd, found, func(w io.Writer) { printFindings(w, found.Findings) }); err != nil {
		return exitFailed, err
	}
	code, err = exitOf(found.Findings)
	if code == exitNeedsConsent && len(args) == 2 {
		return consentOf(cmd, args[0], args[1], err)
	}
	return code, err
}

func requestDoctor(cmd *cobra.Command, args []string) (found adminapi.Examination, code int, err error) {
	query := make(url.Values)
	for i, name := range []string{"client", "account"}[:len(args)] {
		query.Set(name, args[i])
	}
	code, err = adminRequest(cmd, http.MethodPost, "/zoho/doctor?"+query.Encode(), struct{}{}, &found)
	return found, code, err
}

// ownerOf is the connection of an account that was named without its client, where one
// alone has it.
func ownerOf(cmd *cobra.Command, account string, noClient error) ([]string, error) {
	var list adminapi.List
	_, err := adminRequest(cmd, http.MethodGet, listOf("", account, 2), nil, &list)
	if err != nil || list.Total != 1 {
		return nil, withAccounts(cmd, account, noClient)
	}
	return []string{list.Connections[0].Client, account}, nil
}

// placeUnknown reports whether a configuration was to say where Caddy's admin endpoint is, and
// does not: nothing was sent then.
func placeUnknown(cmd *cobra.Command, code int, err error) bool {
	var told *adminapi.Error
	return code == exitUsage && !errors.As(err, &told) &&
		stringFlag(cmd, "config") != "" && stringFlag(cmd, "address") == ""
}

// consentOf tells an account that needs consent, as the error says, from one that there is not.
func consentOf(cmd *cobra.Command, client, account string, needed error) (int, error) {
	var list adminapi.List
	if code, err := adminRequest(cmd, http.MethodGet, listOf(client, "", 0), nil, &list); err != nil {
		return code, err
	}
	if !slices.ContainsFunc(list.Connections, func(c adminapi.Connection) bool { return c.Account == account }) {
		return exitFailed, noSuchAccount(client, account, list)
	}
	return exitNeedsConsent, needed
}

// exitOf tells failures that consent would end from others.
func exitOf(f adminapi.Findings) (int, error) {
	failed, consent := 0, 0
	for _, x := range f {
		if x.Result == adminapi.ResultFailed {
			failed++
		}
		if x.NeedsConsent {
			consent++
		}
	}
	switch {
	case failed == 0:
		return exitOK, nil
	case failed == consent:
		return exitNeedsConsent, fmt.Errorf("%s to fix by consent", words.Plural(failed, "thing"))
	}
	return exitFailed, fmt.Errorf("%s to fix", words.Plural(failed, "thing"))
}

// unreachableDoctor looks at a configuration that no Caddy runs, in this process: one
// that does not load is the likeliest reason. noPlace is why it does not say where the
// admin endpoint is, nil if it does.
func unreachableDoctor(cmd *cobra.Command, noPlace, unreachable error) (int, error) {
	found := adminapi.Findings{
		{
			Check:  adminapi.CheckConfiguration,
			Result: adminapi.ResultOK,
			What:   "the configuration can be loaded with the environment of this command",
		},
		{
			Check:  adminapi.CheckConfiguration,
			Result: adminapi.ResultSkipped,
			What:   "Caddy does not answer, so only loading was checked",
			Do: "start Caddy and run this again; if it does not start, " +
				"compare the environment and the user that it runs with",
		},
	}
	hint := "start Caddy with that configuration, or give the admin endpoint of the running one with --address"
	if failed := examineConfiguration(stringFlag(cmd, "config"), stringFlag(cmd, "adapter"), noPlace); failed != nil {
		found[0] = *failed
		found[1].Do = "start Caddy when the configuration loads, and run this again"
		hint = "fix the configuration first, as described above; " +
			"a Caddy that runs with another one can be asked with --address"
	}
	all := adminapi.Examination{OK: !found.Failed(), Findings: found}
	if _, err := report(cmd, all, func(w io.Writer) { printFindings(w, found) }); err != nil {
		return exitFailed, err
	}
	return exitUnreachable, errors.New(strings.Replace(unreachable.Error(), hintUnreachable, hint, 1))
}

// examineConfiguration tells what keeps Caddy from starting with a file, nil if nothing does.
// Caddy does not look at the address of its admin endpoint before it starts.
func examineConfiguration(file, adapter string, noPlace error) *adminapi.Finding {
	failed := &adminapi.Finding{
		Check:  adminapi.CheckConfiguration,
		Result: adminapi.ResultFailed,
		What:   "the configuration does not load, so Caddy does not start with " + file,
		Do:     "correct that, or set what is missing in the environment that Caddy is started with",
	}
	if _, err := os.Stat(file); err != nil && file != "-" {
		failed.Why, failed.Do = err.Error(), "see whether that is the file that Caddy is started with, "+
			"and whether this user may read it"
		return failed
	}
	if err := validate(file, adapter); err != nil {
		failed.Why = err.Error()
		return failed
	}
	if noPlace == nil {
		return nil
	}
	failed.What = "the address of the admin endpoint is none, so Caddy does not start with " + file
	failed.Why = strings.TrimPrefix(noPlace.Error(), "--address: ")
	return failed
}

// validate is what `caddy validate` does.
func validate(file, adapter string) error {
	config, _, _, err := caddycmd.LoadConfig(file, adapter)
	if err != nil {
		return err
	}
	config = caddy.RemoveMetaFields(config)
	var loaded *caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &loaded); err != nil {
		return fmt.Errorf("decoding the configuration: %w", err)
	}
	loaded.Logging = quiet(loaded.Logging)
	return caddy.Validate(loaded)
}

// quiet has Caddy's own log go nowhere, unless the configuration says where.
func quiet(logging *caddy.Logging) *caddy.Logging {
	if logging == nil {
		logging = new(caddy.Logging)
	}
	if logging.Logs == nil {
		logging.Logs = make(map[string]*caddy.CustomLog)
	}
	standard := logging.Logs[caddy.DefaultLoggerName]
	if standard == nil {
		standard = new(caddy.CustomLog)
		logging.Logs[caddy.DefaultLoggerName] = standard
	}
	if standard.WriterRaw == nil {
		standard.WriterRaw = json.RawMessage(`{"output": "discard"}`)
	}
	return logging
}

// printFindings prints one below the other, and at the end if nothing is wrong.
func printFindings(w io.Writer, found adminapi.Findings) {
	problems, skipped := 0, 0
	for _, f := range found {
		where := ""
		if f.Client != "" {
			where = f.Client
			if f.Account != "" {
				where += "/" + f.Account
			}
			where += ": "
		}
		fmt.Fprintf(w, "%-8s %-13s %s%s\n", f.Result, f.Check, where, f.What)
		for _, more := range [][2]string{{"why", f.Why}, {"do", f.Do}} {
			if more[1] != "" {
				fmt.Fprintf(w, "%22s %s: %s\n", "", more[0], more[1])
			}
		}
		switch f.Result {
		case adminapi.ResultFailed, adminapi.ResultWarning:
			problems++
		case adminapi.ResultSkipped:
			skipped++
		}
	}
	switch {
	case problems == 0 && skipped == 0:
		fmt.Fprintln(w, "nothing is wrong")
	case problems == 0:
		fmt.Fprintln(w, "no problem was found, but not everything was checked")
	}
}
