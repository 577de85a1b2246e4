package caddyzoho

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// addOnboarding adds the commands that bring grants in and out. Secrets come from
// standard input or a prompt, never as arguments, which other users of the machine see.
func addOnboarding(parent *cobra.Command) {
	connect := &cobra.Command{
		Use:   "connect [CLIENT] [ACCOUNT]",
		Short: "Connects an account: prints the address for consent and takes what the browser ended at",
		Long: `
Prints an address. Open it in any browser, sign in to Zoho and accept. Then paste the
address that the browser ended at (it may show an error there), or the code in it.

With --self-client it takes a code that Zoho's API console made for a self client.
What is pasted is read from standard input, so it can be piped as well.`,
		Example: "  caddy zoho connect main default\n  caddy zoho connect --self-client < code.txt",
	}
	connect.Flags().Bool("self-client", false, "Take a code of a self client")
	connect.Flags().String("data-center", "", "Where the console is that made the code (with --self-client); default: the client's home")
	connect.Flags().Bool("replace", false, "Also replace the grant of another user or organization")
	connect.Flags().Bool("revoke-old", false, "Revoke the grant that is replaced, at Zoho")
	connect.Flags().Bool("json", false, "Print JSON")
	setRun(connect, 0, 2, cmdConnect)

	invite := &cobra.Command{
		Use:     "invite CLIENT ACCOUNT",
		Short:   "Prints a link by which a customer connects one account",
		Example: "  caddy zoho invite main acme --expires 72h --return-to https://app.example.com/done",
	}
	invite.Flags().String("expires", "168h", "How long the link is good; at most 90 days")
	invite.Flags().String("return-to", "", "Where the customer can go on to (https)")
	invite.Flags().Bool("json", false, "Print JSON")
	setRun(invite, 1, 2, cmdInvite) // with one client its name may be left out

	imports := &cobra.Command{
		Use:   "import [CLIENT] [ACCOUNT]",
		Short: "Takes an existing refresh token from standard input, proved by one renewal",
		Long: `
Reads a refresh token from standard input, or prompts for it.

With --batch it reads a JSON object on each line, and ACCOUNT is not given:

  {"account": "acme", "refresh_token": "1000.…", "data_center": "eu"}

A line on standard output tells what became of each. Run it again with the same input
after it was interrupted: accounts that are connected already are skipped.`,
		Example: "  caddy zoho import main acme --data-center eu < token.txt\n  caddy zoho import main --batch < accounts.jsonl",
	}
	imports.Flags().String("data-center", "", "Code of the data center that owns the token; default: the client's home")
	imports.Flags().Bool("batch", false, "Read JSON lines")
	imports.Flags().Bool("replace", false, "Also replace the grant of another user or organization, and with --batch those that are connected already")
	imports.Flags().Bool("json", false, "Print JSON")
	setRun(imports, 0, 2, cmdImport)

	revoke := &cobra.Command{
		Use:     "revoke [CLIENT] [ACCOUNT]",
		Short:   "Revokes a stored grant at Zoho, and then forgets it",
		Example: "  caddy zoho revoke main acme",
	}
	forget := &cobra.Command{
		Use:     "forget [CLIENT] [ACCOUNT]",
		Short:   "Forgets a stored grant; at Zoho it lives on",
		Example: "  caddy zoho forget main acme",
	}
	for _, command := range []*cobra.Command{revoke, forget} {
		command.Flags().Bool("json", false, "Print JSON")
		setRun(command, 0, 2, cmdRemove)
	}
	parent.AddCommand(connect, invite, imports, revoke, forget)
}

func boolFlag(cmd *cobra.Command, name string) bool {
	value, _ := cmd.Flags().GetBool(name)
	return value
}

func stringFlag(cmd *cobra.Command, name string) string {
	value, _ := cmd.Flags().GetString(name)
	return value
}

func cmdConnect(cmd *cobra.Command, args []string) (int, error) {
	client, account, code, err := named(cmd, args)
	if err != nil {
		return code, err
	}
	input := newInput(cmd)
	req := connectRequest{DataCenter: stringFlag(cmd, "data-center"), Replace: boolFlag(cmd, "replace")}
	if boolFlag(cmd, "self-client") {
		if req.SelfClient, err = input.pasted("Code of the self client: "); err != nil {
			return exitFailed, err
		}
	} else {
		var started connectStarted
		if code, err := change(cmd, client, account, "connect", connectRequest{RevokeOld: boolFlag(cmd, "revoke-old")}, &started); err != nil {
			return code, err
		}
		out := cmd.OutOrStdout()
		if boolFlag(cmd, "json") {
			out = cmd.ErrOrStderr()
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "Open this address in a browser, sign in to Zoho and accept:")
		fmt.Fprintln(out, started.URL)
		fmt.Fprintf(cmd.ErrOrStderr(), "The browser then ends at %s…, whether anything answers there or not.\n", started.RedirectURI)
		req.State = started.State
		if req.Callback, err = input.pasted("Paste the address that it ended at: "); err != nil {
			return exitFailed, err
		}
	}
	return finish(cmd, client, account, "connect", req, input, boolFlag(cmd, "replace"))
}

// finish sends what brings a grant, and asks before it replaces somebody else's.
func finish(cmd *cobra.Command, client, account, action string, req any, input *input, replace bool) (int, error) {
	var r onboard.Result
	code, err := change(cmd, client, account, action, req, &r)
	var refused *adminError
	if errors.As(err, &refused) && refused.Confirm != "" {
		answer := replace
		if !replace {
			fmt.Fprintln(cmd.ErrOrStderr(), refused.Text)
			answer = input.agrees("Replace the grant? [y/N] ")
		}
		code, err = change(cmd, client, account, "connect", connectRequest{Confirm: refused.Confirm, Drop: !answer}, &r)
		if err == nil && !answer {
			return exitFailed, fmt.Errorf("the grant of before stays, %s; use --replace to replace it without being asked", fateOf(r))
		}
	}
	if err != nil {
		return code, err
	}
	return exitOK, printResult(cmd, r, "connected")
}

// fateOf tells what became of a grant that was not wanted.
func fateOf(dropped onboard.Result) string {
	if dropped.Revoked {
		return "the new one was given back to Zoho"
	}
	return strings.Join(dropped.Warnings, "; ")
}

func printResult(cmd *cobra.Command, r onboard.Result, what string) error {
	if boolFlag(cmd, "json") {
		return printJSON(cmd.OutOrStdout(), r)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
	}
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\t%s/%s\n", what, r.Client, r.Account)
	fmt.Fprintf(table, "data center\t%s\n", r.DataCenter)
	for _, line := range [][2]string{{"user", r.User}, {"organization", r.Org}} {
		if line[1] != "" {
			fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
		}
	}
	for i, text := range r.Scopes {
		name := ""
		if i == 0 {
			name = "scopes"
		}
		scope := zoho.ParseScope(text)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, scope.Service, orDash(scope.Name), orDash(scope.Operation))
	}
	if r.Revoked {
		fmt.Fprintf(table, "revoked at Zoho\t%s\n", map[bool]string{true: "the grant of before", false: "yes"}[r.Replaced])
	}
	return table.Flush()
}

func cmdInvite(cmd *cobra.Command, args []string) (int, error) {
	var info invitationInfo
	req := inviteRequest{Expires: stringFlag(cmd, "expires"), ReturnTo: stringFlag(cmd, "return-to")}
	if code, err := changeOf(cmd, args, "invite", req, &info); err != nil {
		return code, err
	}
	if boolFlag(cmd, "json") {
		return exitOK, printJSON(cmd.OutOrStdout(), info)
	}
	fmt.Fprintln(cmd.OutOrStdout(), info.URL)
	fmt.Fprintf(cmd.ErrOrStderr(), "Good once, until %s. Whoever has it can connect this account: send it to the customer alone.\n", info.Expires.Format(time.RFC1123))
	return exitOK, nil
}

func cmdImport(cmd *cobra.Command, args []string) (int, error) {
	if boolFlag(cmd, "batch") {
		return importBatch(cmd, args)
	}
	client, account, code, err := named(cmd, args)
	if err != nil {
		return code, err
	}
	input := newInput(cmd)
	token, err := input.secret("Refresh token (not shown): ")
	if err != nil {
		return exitFailed, err
	}
	req := importRequest{RefreshToken: token, DataCenter: stringFlag(cmd, "data-center"), Replace: boolFlag(cmd, "replace")}
	return finish(cmd, client, account, "import", req, input, req.Replace)
}

// batchLine is one account of a batch.
type batchLine struct {
	Account      string `json:"account"`
	RefreshToken string `json:"refresh_token"`
	DataCenter   string `json:"data_center"`
}

// batchResult tells what became of it.
type batchResult struct {
	Line    int             `json:"line"`
	Account string          `json:"account,omitempty"`
	Status  string          `json:"status"` // connected, skipped or failed
	Error   string          `json:"error,omitempty"`
	Result  *onboard.Result `json:"result,omitempty"`
}

// batchPace keeps a batch from looking like an attack on the accounts server.
const batchPace = 200 * time.Millisecond

func importBatch(cmd *cobra.Command, args []string) (int, error) {
	if len(args) > 1 {
		return exitUsage, errors.New("with --batch the accounts stand in the input: give the client alone")
	}
	var list connectionList
	if code, err := adminRequest(cmd, "GET", "/zoho/connections", nil, &list); err != nil {
		return code, err
	}
	client := ""
	if len(list.Clients) == 1 {
		client = list.Clients[0]
	}
	if len(args) == 1 {
		client = args[0]
	}
	if client == "" {
		return exitUsage, fmt.Errorf("several clients are configured, name one of them: %s", strings.Join(list.Clients, ", "))
	}
	connected := make(map[string]bool)
	for _, c := range list.Connections {
		if c.Client == client && !c.NeedsConsent {
			connected[c.Account] = true
		}
	}
	failed, code := 0, exitOK
	lines := bufio.NewScanner(cmd.InOrStdin())
	lines.Buffer(nil, maxAdminBody)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		r := batchResult{Line: n, Status: "failed"}
		code = importLine(cmd, client, text, connected, &r)
		if r.Status == "failed" {
			failed++
		}
		if err := printBatchResult(cmd, r); err != nil {
			return exitFailed, err
		}
		if code == exitUnreachable {
			return code, errors.New(r.Error)
		}
	}
	if err := lines.Err(); err != nil {
		return exitFailed, fmt.Errorf("the input could not be read to its end: %w", err)
	}
	if failed > 0 {
		return exitFailed, fmt.Errorf("%d of the accounts were not connected; mend them and run it again, what is connected is skipped", failed)
	}
	return exitOK, nil
}

func importLine(cmd *cobra.Command, client string, text []byte, connected map[string]bool, r *batchResult) int {
	var line batchLine
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&line); err != nil || line.Account == "" || line.RefreshToken == "" {
		r.Error = `the line is not of the form {"account": "…", "refresh_token": "…", "data_center": "…"}` // it may hold a secret
		return exitFailed
	}
	r.Account = line.Account
	if connected[line.Account] && !boolFlag(cmd, "replace") {
		r.Status = "skipped"
		return exitOK
	}
	if line.DataCenter == "" {
		line.DataCenter = stringFlag(cmd, "data-center")
	}
	var result onboard.Result
	req := importRequest{RefreshToken: line.RefreshToken, DataCenter: line.DataCenter, Replace: boolFlag(cmd, "replace")}
	code, err := change(cmd, client, line.Account, "import", req, &result)
	if err != nil {
		r.Error = err.Error()
		return code
	}
	connected[line.Account] = true
	r.Status, r.Result = "connected", &result
	time.Sleep(batchPace)
	return exitOK
}

func printBatchResult(cmd *cobra.Command, r batchResult) error {
	if boolFlag(cmd, "json") {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
	}
	text := fmt.Sprintf("line %d: %s %s", r.Line, orDash(r.Account), r.Status)
	if r.Error != "" {
		text += ": " + r.Error
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

func cmdRemove(cmd *cobra.Command, args []string) (int, error) {
	var r onboard.Result
	if code, err := changeOf(cmd, args, cmd.Name(), nil, &r); err != nil {
		return code, err
	}
	return exitOK, printResult(cmd, r, "forgotten")
}

// input is what a person or a pipe gives.
type input struct {
	from     *bufio.Reader
	out      io.Writer
	terminal int // file descriptor, -1 if it is none
}

func newInput(cmd *cobra.Command) *input {
	in := &input{from: bufio.NewReader(cmd.InOrStdin()), out: cmd.ErrOrStderr(), terminal: -1}
	if file, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		in.terminal = int(file.Fd())
	}
	return in
}

// pasted reads a line at a terminal, and what came with it; otherwise everything.
func (in *input) pasted(prompt string) (string, error) {
	if in.terminal < 0 {
		all, err := io.ReadAll(io.LimitReader(in.from, maxAdminBody))
		if err == nil && len(bytes.TrimSpace(all)) == 0 {
			err = errors.New("nothing came from standard input: paste or pipe what the browser ended at")
		}
		return string(all), err
	}
	fmt.Fprint(in.out, prompt)
	text, err := in.from.ReadString('\n')
	for err == nil && in.from.Buffered() > 0 { // the paste has line breaks
		var more string
		more, err = in.from.ReadString('\n')
		text += more
	}
	if strings.TrimSpace(text) == "" {
		return "", errors.New("nothing was pasted")
	}
	return text, nil
}

// secret reads a line that is not shown.
func (in *input) secret(prompt string) (string, error) {
	if in.terminal < 0 {
		text, err := in.pasted("")
		return strings.TrimSpace(strings.TrimPrefix(text, "\ufeff")), err
	}
	fmt.Fprint(in.out, prompt)
	text, err := term.ReadPassword(in.terminal)
	fmt.Fprintln(in.out)
	return strings.TrimSpace(string(text)), err
}

// agrees asks a person. Where there is none the answer is no.
func (in *input) agrees(question string) bool {
	if in.terminal < 0 {
		return false
	}
	fmt.Fprint(in.out, question)
	text, _ := in.from.ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(text), "y")
}
