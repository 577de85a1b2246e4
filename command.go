package caddyzoho

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// What `caddy zoho` exits with.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2
	exitNeedsConsent = 3
	exitUnreachable  = 4
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "zoho",
		Usage: "<command>",
		Short: "Looks after the connections to Zoho",
		Long: `
Shows and changes the connections of a running Caddy, through its admin endpoint.

Exit codes: 0 ok, 1 failed, 2 usage, 3 a connection needs consent,
4 Caddy could not be reached.`,
		CobraFunc: zohoCommand,
	})
}

func zohoCommand(parent *cobra.Command) {
	parent.PersistentFlags().String("address", "", "Address of Caddy's admin endpoint (if --config is not used)")
	parent.PersistentFlags().StringP("config", "c", "", "Configuration file to find the admin endpoint in")
	parent.PersistentFlags().StringP("adapter", "a", "", "Name of the config adapter to apply (with --config)")

	parent.PersistentFlags().Bool("json", false, "Print JSON")

	status := addCommand(parent, 0, 2, cmdStatus, &cobra.Command{
		Use:     "status [CLIENT [ACCOUNT]]",
		Short:   "Shows a line per connection; exits with 3 if one needs consent, with 0 if there is none",
		Example: "  caddy zoho status main --state dead",
	})
	status.Flags().String("state", "", "Only connections in this state: ok, degraded, contended, dead")
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
	var names []string
	for _, command := range parent.Commands() {
		names = append(names, command.Name())
	}
	setRun(parent, 0, -1, func(cmd *cobra.Command, args []string) (int, error) {
		if len(args) == 0 {
			return exitOK, cmd.Help()
		}
		return exitUsage, fmt.Errorf("there is no command %q%s; see `caddy zoho --help`",
			args[0], didYouMean(args[0], names))
	})
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
			fmt.Fprintln(cmd.ErrOrStderr(), "caddy zoho:", err)
		}
		if code == exitFailed {
			return err
		}
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, args)
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) < minArgs || (maxArgs >= 0 && len(args) > maxArgs) {
			return finish(cmd, args, exitUsage, fmt.Errorf("%d arguments are not what it takes\nusage: %s", len(args), cmd.UseLine()))
		}
		if slices.ContainsFunc(args, tokenLike.MatchString) {
			return finish(cmd, args, exitUsage, errors.New("an argument is a token or a code: other users of this machine see arguments, and shells remember them\nhint: give it by standard input, and revoke it if others may have seen it"))
		}
		caddy.BufferedLog() // that of a command is read by nobody: what matters, it says
		code, err := run(cmd, args)
		return finish(cmd, args, code, err)
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return finish(cmd, nil, exitUsage, fmt.Errorf("%w\nusage: %s", err, cmd.UseLine()))
	})
}

// tokenLike is what Zoho's tokens and codes look like.
var tokenLike = regexp.MustCompile(`(^|[?&]code=)10\d\d\.[0-9A-Za-z]{16,}\.[0-9A-Za-z]{16,}`)

// adminRequest calls the running Caddy's admin endpoint and decodes the answer.
func adminRequest(cmd *cobra.Command, method, uri string, body, into any) (int, error) {
	flag := func(name string) string { return cmd.Flag(name).Value.String() }
	address, err := caddycmd.DetermineAdminAPIAddress(flag("address"), nil, flag("config"), flag("adapter"))
	if err != nil {
		return exitUsage, err
	}
	var text io.Reader
	headers := make(http.Header)
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return exitFailed, errors.New("the request could not be encoded")
		}
		text = bytes.NewReader(encoded)
		headers.Set("Content-Type", "application/json")
	}
	stop := showProgress(cmd.ErrOrStderr(), "waiting for Caddy, which may be asking Zoho")
	res, err := caddycmd.AdminAPIRequest(address, method, uri, headers, text)
	stop()
	var netErr *url.Error
	if errors.As(err, &netErr) || (err != nil && strings.HasPrefix(err.Error(), "performing request")) {
		return exitUnreachable, unreachable(address, lastCause(err))
	}
	if err != nil {
		return exitFailed, adminFailure(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, 256<<20)).Decode(into); err != nil {
		return exitFailed, fmt.Errorf("the answer of the admin endpoint at %s is not what was expected: %w", address, err)
	}
	return exitOK, nil
}

func unreachable(address, cause string) error {
	hint := "is it running? give its admin endpoint with --address, or its configuration with --config"
	if strings.Contains(cause, "permission denied") {
		hint = "run this as a user who may open that socket: root, or the one that Caddy runs as"
	}
	return fmt.Errorf("no answer from Caddy at %s: %s\nhint: %s", address, cause, hint)
}

// lastCause is the end of a chain of wrapped messages, the part that tells a person something.
func lastCause(err error) string {
	text := err.Error()
	return strings.TrimSpace(text[strings.LastIndex(text, ": ")+1:])
}

// adminFailure takes the message out of what the admin endpoint answered.
func adminFailure(err error) error {
	text := err.Error()
	var answer adminError
	if i := strings.IndexByte(text, '{'); i >= 0 && json.Unmarshal([]byte(text[i:]), &answer) == nil && answer.Text != "" {
		answer.Text = strings.TrimPrefix(answer.Text, "zoho: ")
		return &answer
	}
	if strings.Contains(text, "HTTP 404") {
		return errors.New("the running Caddy does not have this module, or no `zoho` is configured")
	}
	return err
}

// changeAccount has something done that nobody wants done to an account he did not name.
func changeAccount(cmd *cobra.Command, args []string, action string, body, into any) (int, error) {
	client, account, code, err := named(cmd, args)
	if err != nil {
		return code, err
	}
	if len(args) == 1 && account != args[0] {
		return exitUsage, fmt.Errorf("%s is a client: name the account as well, as in `caddy zoho %s %s %s`", args[0], cmd.Name(), client, account)
	}
	return change(cmd, client, account, action, body, into)
}

func change(cmd *cobra.Command, client, account, action string, body, into any) (int, error) {
	uri := "/zoho/connections/" + url.PathEscape(client) + "/" + url.PathEscape(account) + "/" + action
	return adminRequest(cmd, http.MethodPost, uri, body, into)
}

// named is the connection that the arguments name; the running Caddy is asked where that
// depends on what is configured.
func named(cmd *cobra.Command, args []string) (client, account string, code int, err error) {
	if len(args) == 2 {
		return args[0], args[1], exitOK, nil
	}
	var list connectionList
	if code, err := adminRequest(cmd, http.MethodGet, "/zoho/connections", nil, &list); err != nil {
		return "", "", code, err
	}
	client, account, err = connectionOf(args, list)
	return client, account, exitUsage, err
}

// connectionOf reads [CLIENT] [ACCOUNT]: where one argument could be either, a
// client's name wins, otherwise it is the account of the one client that has it.
func connectionOf(args []string, list connectionList) (client, account string, err error) {
	clients, owners := make(map[string]bool), make(map[string]bool)
	for _, name := range list.Clients {
		clients[name] = true
	}
	for _, c := range list.Connections {
		if len(args) == 1 && c.Account == args[0] {
			owners[c.Client] = true
		}
	}
	account = defaultAccount
	switch {
	case len(args) == 2:
		return args[0], args[1], nil
	case len(args) == 1 && clients[args[0]]:
		return args[0], account, nil
	case len(args) == 1:
		account = args[0]
	}
	if len(owners) == 1 {
		clients = owners
	}
	for client = range clients {
	}
	if len(clients) != 1 {
		return "", "", fmt.Errorf("several clients are configured, name one of them first: %s", strings.Join(list.Clients, ", "))
	}
	return client, account, nil
}

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
