package caddyzoho

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

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

	status := &cobra.Command{
		Use:     "status [CLIENT [ACCOUNT]]",
		Short:   "Shows a line per connection; exits with 3 if one needs consent",
		Example: "  caddy zoho status main --state dead",
	}
	status.Flags().String("state", "", "Only connections in this state: ok, degraded, contended, dead")
	status.Flags().Bool("json", false, "Print JSON")
	setRun(status, 0, 2, cmdStatus)

	refresh := &cobra.Command{
		Use:     "refresh [CLIENT] [ACCOUNT]",
		Short:   "Asks Zoho for a new access token, within the budget",
		Example: "  caddy zoho refresh main default",
	}
	refresh.Flags().Bool("json", false, "Print JSON")
	setRun(refresh, 0, 2, cmdRefresh)

	version := &cobra.Command{
		Use:     "version",
		Short:   "Prints the versions of this module, Caddy and Go",
		Example: "  caddy zoho version",
	}
	setRun(version, 0, 0, cmdVersion)

	parent.AddCommand(status, refresh, version)
	addOnboarding(parent)
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
		code, err := run(cmd, args)
		return finish(cmd, args, code, err)
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return finish(cmd, nil, exitUsage, fmt.Errorf("%w\nusage: %s", err, cmd.UseLine()))
	})
}

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
	res, err := caddycmd.AdminAPIRequest(address, method, uri, headers, text)
	var netErr *url.Error
	if errors.As(err, &netErr) || (err != nil && strings.HasPrefix(err.Error(), "performing request")) {
		return exitUnreachable, fmt.Errorf("no answer from Caddy at %s: %s\nhint: is it running? give its admin endpoint with --address, or its configuration with --config", address, lastCause(err))
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

// adminError is what the admin endpoint answered, see onboardingError.
type adminError struct {
	Text    string `json:"error"`
	Code    string `json:"code"`
	Confirm string `json:"confirm"`
}

func (e *adminError) Error() string { return e.Text }

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

func cmdStatus(cmd *cobra.Command, args []string) (int, error) {
	state, _ := cmd.Flags().GetString("state")
	if state != "" && !slices.Contains(connectionStates, state) {
		return exitUsage, unknownState(state)
	}
	list, code, err := requestStatus(cmd, args, state)
	if err != nil {
		return code, err
	}
	if len(args) == 2 && list.Total == 0 && state == "" {
		return exitFailed, fmt.Errorf("client %s has no account %q", args[0], args[1])
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		if err := printJSON(cmd.OutOrStdout(), list); err != nil {
			return exitFailed, err
		}
	} else {
		printConnections(cmd.OutOrStdout(), list.Connections, list.Total)
	}
	for _, c := range list.Connections {
		if c.NeedsConsent {
			return exitNeedsConsent, nil
		}
	}
	return exitOK, nil
}

// requestStatus asks for the connections that the arguments name. A single one that
// is no client's name is an account's.
func requestStatus(cmd *cobra.Command, args []string, state string) (list connectionList, code int, err error) {
	request := func(names ...string) (int, error) {
		query := make(url.Values)
		for i, name := range names {
			query.Set(name, args[i])
		}
		if state != "" {
			query.Set("state", state)
		}
		return adminRequest(cmd, http.MethodGet, "/zoho/connections?"+query.Encode(), nil, &list)
	}
	code, err = request([]string{"client", "account"}[:len(args)]...)
	if code == exitFailed && len(args) == 1 {
		if _, failed := request("account"); failed == nil && list.Total > 0 {
			return list, exitOK, nil
		}
	}
	return list, code, err
}

func unknownState(state string) error {
	return fmt.Errorf("there is no state %q%s; known are %s", state, didYouMean(state, connectionStates), strings.Join(connectionStates, ", "))
}

func cmdRefresh(cmd *cobra.Command, args []string) (int, error) {
	var info connectionInfo
	if code, err := changeOf(cmd, args, "refresh", nil, &info); err != nil {
		return code, err
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return exitOK, printJSON(cmd.OutOrStdout(), info)
	}
	printConnections(cmd.OutOrStdout(), []connectionInfo{info}, 1)
	return exitOK, nil
}

// changeOf has something done to the connection that the arguments name.
func changeOf(cmd *cobra.Command, args []string, action string, body, into any) (int, error) {
	client, account, code, err := named(cmd, args)
	if err != nil {
		return code, err
	}
	return change(cmd, client, account, action, body, into)
}

func change(cmd *cobra.Command, client, account, action string, body, into any) (int, error) {
	uri := "/zoho/connections/" + url.PathEscape(client) + "/" + url.PathEscape(account) + "/" + action
	return adminRequest(cmd, http.MethodPost, uri, body, into)
}

// named asks the running Caddy which connection the arguments name.
func named(cmd *cobra.Command, args []string) (client, account string, code int, err error) {
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

func printConnections(w io.Writer, connections []connectionInfo, total int) {
	if len(connections) == 0 {
		fmt.Fprintln(w, "no connection")
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CLIENT\tACCOUNT\tSTATE\tTOKEN\tGENERATION\tBUDGET\tDATA CENTER\tREFRESH TOKENS\tSCOPES\tLAST ERROR")
	for _, c := range connections {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d left\t%s\t%d of 20 known to us\t%s\t%s\n", c.Client, c.Account, stateWord(c), tokenWord(c),
			c.Generation, c.BudgetLeft, centerWord(c), c.RefreshTokensKnown, orDash(strings.Join(c.Scopes, ",")), orDash(c.LastError))
	}
	_ = table.Flush()
	if total > len(connections) {
		fmt.Fprintf(w, "%d of %d connections\n", len(connections), total)
	}
}

func stateWord(c connectionInfo) string {
	if c.NeedsConsent {
		return c.State + ", needs consent"
	}
	return c.State
}

func tokenWord(c connectionInfo) string {
	switch {
	case !c.HasToken:
		return "none"
	case c.TokenRefused:
		return "refused"
	case c.SecondsLeft == 0:
		return "expired"
	}
	return (time.Duration(c.SecondsLeft) * time.Second).String() + " left"
}

func centerWord(c connectionInfo) string {
	if c.Simulated {
		return c.DataCenter + " (simulator)"
	}
	return c.DataCenter
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func cmdVersion(cmd *cobra.Command, _ []string) (int, error) {
	version := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range append(info.Deps, &info.Main) {
			if module.Path == modulePath {
				version = module.Version
			}
		}
	}
	_, caddyVersion := caddy.Version()
	fmt.Fprintf(cmd.OutOrStdout(), "caddy-zoho %s\ncaddy %s\n%s\n", version, caddyVersion, runtime.Version())
	return exitOK, nil
}

const modulePath = "github.com/caddy-zoho/caddy-zoho"
