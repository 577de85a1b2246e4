package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// addConnecting adds the commands that bring a grant in. Secrets come from standard input
// or a prompt, never as arguments, which other users of the machine see.
func addConnecting(parent *cobra.Command) {
	connect := addCommand(parent, 0, 2, cmdConnect, &cobra.Command{
		Use:   "connect [CLIENT] [ACCOUNT]",
		Short: "Connects an account: prints the address for consent and takes what the browser ended at",
		Long: `
Prints an address. Open it in any browser, sign in to Zoho and accept. Then paste the
address that the browser ended at (it may show an error there), or the code in it.

With --self-client it takes a code that Zoho's API console made for a self client.
With --add-scopes it adds the scopes of the configuration that the account's grant lacks. The refresh
token stays the same, so that takes no place among the 20 that Zoho keeps of a user.
What is pasted is read from standard input, so it can be piped as well.

With --device it prints a code and an address instead. Open the address on any device, a phone
for example, and type the code in. The command ends by itself when somebody has accepted or
refused, or when the code has expired; Ctrl-C ends it earlier. This takes a client of the type
Non-browser Applications, whose id begins with 1004. With --json each step is a line of JSON on
standard output, as it happens.`,
		Example: "  caddy zoho connect main default\n  caddy zoho connect --self-client < code.txt\n" +
			"  caddy zoho connect main default --device\n  caddy zoho connect main default --add-scopes",
	})
	connect.Flags().Bool("self-client", false, "Take a code of a self client")
	connect.Flags().Bool("add-scopes", false, "Add the scopes that the grant lacks, instead of taking a new grant")
	connect.Flags().Bool("device", false, "Print a code to type in on another device, and wait until somebody accepts")
	connect.Flags().String("data-center", "", "Where the console is that made the code (with --self-client); "+
		"default: the client's home")
	connect.Flags().Bool("replace", false, "Also replace the grant of another user or organization, "+
		"or one that cannot be read")
	connect.Flags().Bool("revoke-old", false, "Revoke the grant that is replaced, at Zoho")

	invite := addCommand(parent, 1, 2, cmdInvite, &cobra.Command{
		Use:     "invite [CLIENT] ACCOUNT",
		Short:   "Prints a link by which a customer connects one account",
		Example: "  caddy zoho invite main acme --expires 72h --return-to https://app.example.com/done",
	})
	invite.Flags().String("expires", "168h", "How long the link is good; at most 90 days")
	invite.Flags().String("return-to", "", "Where the customer can go on to (https)")
	invite.Flags().Bool("replace", false, "Also let another user or organization take the place of the one that is connected")
}

func cmdConnect(cmd *cobra.Command, args []string) (int, error) {
	if boolFlag(cmd, "device") && boolFlag(cmd, "self-client") {
		return exitUsage, errors.New("--device and --self-client are two ways to connect: give one of them")
	}
	if stringFlag(cmd, "data-center") != "" && !boolFlag(cmd, "self-client") {
		return exitUsage, errors.New("--data-center goes with --self-client: " +
			"a consent brings its data center along")
	}
	if err := checkCenter(cmd); err != nil {
		return exitUsage, err
	}
	client, account, code, err := named(cmd, args)
	if err != nil {
		return code, err
	}
	if boolFlag(cmd, "add-scopes") {
		code, err = addScopesTo(cmd, client, account)
		return code, about(client, account, err)
	}
	isNew, code, err := accountIsNew(cmd, client, account)
	if err != nil {
		return code, err
	}
	code, err = connectAccount(cmd, client, account, isNew)
	return code, about(client, account, err)
}

// connectAccount takes a self client's code, or what a consent brings.
func connectAccount(cmd *cobra.Command, client, account string, isNew bool) (code int, err error) {
	what := "Connecting " + client + "/" + account
	if isNew {
		what += ", a new account"
	}
	fmt.Fprintln(cmd.ErrOrStderr(), what) // before the consent, while a mistyped name costs nothing
	input := newInput(cmd)
	if boolFlag(cmd, "device") {
		return connectDevice(cmd, client, account, isNew, input)
	}
	req := adminapi.ConnectRequest{DataCenter: stringFlag(cmd, "data-center"), Replace: boolFlag(cmd, "replace")}
	if boolFlag(cmd, "self-client") {
		req.RevokeOld = boolFlag(cmd, "revoke-old")
		req.SelfClient, err = input.pasted("the code of the self client")
		code = exitFailed
	} else {
		code, err = consent(cmd, client, account, &req, input)
	}
	if err != nil {
		return code, err
	}
	return finish(cmd, client, account, "connect", isNew, input, func(agreed bool) any {
		req.ReplaceUnreadable = agreed
		return req
	})
}

// about says which connection a refusal is about.
func about(client, account string, err error) error {
	var told *adminapi.Error
	if errors.As(err, &told) {
		told.Client, told.Account = client, account
	}
	return err
}

// consent begins one, and reads what the browser ended at.
func consent(cmd *cobra.Command, client, account string, req *adminapi.ConnectRequest, input *input) (int, error) {
	var started adminapi.ConnectStarted
	code, err := askLost(cmd, input, func(agreed bool) (int, error) {
		begin := adminapi.ConnectRequest{RevokeOld: boolFlag(cmd, "revoke-old"), ReplaceUnreadable: agreed}
		return change(cmd, client, account, "connect", begin, &started)
	})
	if err != nil {
		return code, err
	}
	req.State = started.State
	req.Callback, err = callbackOf(cmd, input, started, "")
	return exitFailed, err
}

// callbackOf prints the address at Zoho, and reads what the browser ended at; whose is who has to sign in.
func callbackOf(cmd *cobra.Command, input *input, started adminapi.ConnectStarted, whose string) (string, error) {
	out := cmd.OutOrStdout()
	if boolFlag(cmd, "json") {
		out = cmd.ErrOrStderr()
	}
	warn(cmd, started.Warnings)
	fmt.Fprintln(cmd.ErrOrStderr(), "Open this address in a browser, "+
		strings.Join(strings.Fields("sign in to Zoho "+whose), " ")+" and accept:")
	fmt.Fprintln(out, started.URL)
	fmt.Fprintf(cmd.ErrOrStderr(), "The browser then ends at %s…, whether anything answers there or not.\n",
		started.RedirectURI)
	if input.terminal < 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "Waiting for the address that it ended at, on standard input.")
	}
	return input.pasted("the address that it ended at")
}

// connected is what a grant was brought in for.
type connected struct {
	onboard.Result
	NewAccount bool `json:"new_account,omitempty"` // there was none of that name, which may be mistyped
}

// askLost does what would replace a grant that cannot be read, once more if somebody agrees
// to that.
func askLost(cmd *cobra.Command, input *input, do func(agreed bool) (int, error)) (int, error) {
	agreed := boolFlag(cmd, "replace")
	code, err := do(agreed)
	var told *adminapi.Error
	if agreed || !errors.As(err, &told) || !told.Replaceable {
		return code, err
	}
	if input.terminal < 0 {
		told.Hint += " --replace does that."
		return code, err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), told.Text, told.Hint)
	if !input.agrees("Replace the grant?") {
		return code, &adminapi.Error{
			Text: "the stored grant cannot be read, and stays as it is",
			Code: told.Code,
			Hint: "use --replace to replace it without being asked",
		}
	}
	return do(true)
}

// finish sends what brings a grant, and asks before it replaces somebody else's, or one that
// cannot be read.
func finish(
	cmd *cobra.Command, client, account, action string, isNew bool, input *input, req func(agreed bool) any,
) (int, error) {
	r := connected{NewAccount: isNew}
	code, err := confirmed(cmd, client, account, input, &r, func(agreed bool) (int, error) {
		return change(cmd, client, account, action, req(agreed), &r)
	})
	if err != nil {
		return code, err
	}
	return reportResult(cmd, r, "connected")
}

// confirmed does what brings a grant, and what of a person's consent to that is missing. r is what was connected then.
func confirmed(
	cmd *cobra.Command, client, account string, input *input, r *connected, bring func(agreed bool) (int, error),
) (int, error) {
	code, err := askLost(cmd, input, bring)
	var other *adminapi.Error
	for errors.As(err, &other) && other.Confirm != "" { // anew if the account was connected by a third one meanwhile
		answer := boolFlag(cmd, "replace")
		if !answer && input.terminal >= 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), other.Text, other.Hint)
			answer = input.agrees("Replace the grant?")
		}
		if !answer {
			return drop(cmd, client, account, other)
		}
		code, err = change(cmd, client, account, "connect", adminapi.ConnectRequest{Confirm: other.Confirm}, r)
	}
	return code, err
}

// drop has a grant of somebody else's not replace the one of before, and tells what
// became of it.
func drop(cmd *cobra.Command, client, account string, other *adminapi.Error) (int, error) {
	var dropped onboard.Result
	req := adminapi.ConnectRequest{Confirm: other.Confirm, Drop: true}
	if code, err := change(cmd, client, account, "connect", req, &dropped); err != nil {
		return code, err
	}
	return exitFailed, &adminapi.Error{
		Text: other.Text + " So the grant of before stays, " + fateOf(dropped) + ".",
		Code: other.Code,
		Hint: "use --replace to replace it without being asked",
	}
}

// fateOf tells what became of a grant that was not wanted.
func fateOf(dropped onboard.Result) string {
	switch {
	case dropped.Revoked:
		return "the new one was given back to Zoho"
	case len(dropped.Warnings) == 0:
		return "the new one was not stored"
	}
	return strings.Join(dropped.Warnings, "; ")
}

// reportResult prints what was connected, or what is gone.
func reportResult(cmd *cobra.Command, r connected, what string) (int, error) {
	return report(cmd, r, func(w io.Writer) {
		warn(cmd, r.Warnings)
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		line := func(name, value string) {
			if value != "" {
				fmt.Fprintf(table, "%s\t%s\n", name, value)
			}
		}
		line(what, r.Client+"/"+r.Account)
		if r.NewAccount {
			line("new account", "yes, client "+r.Client+" had none of that name")
		}
		line("data center", r.DataCenter)
		line("user", r.User)
		line("organization", r.Org)
		scopes := func(name string, all []string) {
			for _, text := range all {
				scope := zoho.ParseScope(text)
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, scope.Service, orDash(scope.Name), orDash(scope.Operation))
				name = ""
			}
		}
		scopes("added", r.Added)
		scopes("scopes", r.Scopes)
		switch {
		case r.Revoked && r.Replaced:
			line("revoked at Zoho", "the grant of before")
		case r.Revoked:
			line("revoked at Zoho", "yes")
		}
		_ = table.Flush()
	})
}

func cmdInvite(cmd *cobra.Command, args []string) (int, error) {
	client, account, code, err := namedAccount(cmd, args)
	if err != nil {
		return code, err
	}
	isNew, code, err := accountIsNew(cmd, client, account)
	if err != nil {
		return code, err
	}
	info := invited{NewAccount: isNew}
	req := adminapi.InviteRequest{
		Expires: stringFlag(cmd, "expires"), ReturnTo: stringFlag(cmd, "return-to"), Replace: boolFlag(cmd, "replace"),
	}
	if code, err := change(cmd, client, account, "invite", req, &info); err != nil {
		return code, err
	}
	return report(cmd, info, func(w io.Writer) {
		warn(cmd, info.Warnings)
		fmt.Fprintln(w, info.URL) // alone on standard output, for scripts
		if info.NewAccount {
			fmt.Fprintf(cmd.ErrOrStderr(), "New account: yes, client %s had none of that name.\n", info.Client)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Good once, until %s. Whoever has it can connect account %s of client %s: "+
			"send it to the customer alone.\n", info.Expires.Format(time.RFC1123), info.Account, info.Client)
	})
}

// invited is what an invitation was made for.
type invited struct {
	adminapi.Invitation
	NewAccount bool `json:"new_account,omitempty"` // there was none of that name, which may be mistyped
}
