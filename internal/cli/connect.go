package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
)

// addConnecting adds the commands that bring a grant in. Secrets come from standard input
// or a prompt, never as arguments, which other users of the machine see.
func addConnecting(parent *cobra.Command) {
	connect := addCommand(parent, 0, 2, cmdConnect, &cobra.Command{
		Use:   "connect [CLIENT] [ACCOUNT]",
		Short: "Connects an account: prints the address for consent and takes the one that the browser ends at",
		Long: `
Prints an address. Open it in any browser, sign in to Zoho and accept. Then paste the
address that the browser ended at (it may show an error there), or the code in it.

With --self-client it takes the code that Zoho's API console generates for a self client, or the
JSON that the console offers for download.
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
	connect.Flags().String("data-center", "", "Data center of the API console that generated the code (with --self-client); "+
		"default: the client's home")
	connect.Flags().Bool("replace", false, "Also replace the grant of another user or organization, "+
		"or one that cannot be read")
	connect.Flags().Bool("revoke-old", false, "Revoke the grant that is replaced, at Zoho")

	invite := addCommand(parent, 1, 2, cmdInvite, &cobra.Command{
		Use:     "invite [CLIENT] ACCOUNT",
		Short:   "Prints a link by which a customer connects one account",
		Example: "  caddy zoho invite main acme --expires 72h --return-to https://app.example.com/done",
	})
	invite.Flags().String("expires", "168h", "How long the link works; at most 90 days")
	invite.Flags().String("return-to", "", "Where the customer can continue afterwards (https)")
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
	code, err = connectAccount(cmd, client, account)
	return code, about(client, account, err)
}

// connectAccount takes a self client's code, or what a consent brings.
func connectAccount(cmd *cobra.Command, client, account string) (code int, err error) {
	input := newInput(cmd)
	b, code, err := bring(cmd, client, account, input)
	if err != nil {
		return code, err
	}
	what := "Connecting " + client + "/" + account
	if b.isNew {
		what += ", a new account"
	}
	fmt.Fprintln(cmd.ErrOrStderr(), what) // before the consent, while a mistyped name costs nothing
	if boolFlag(cmd, "device") {
		return b.device()
	}
	req := adminapi.ConnectRequest{
		DataCenter:        stringFlag(cmd, "data-center"),
		Replace:           boolFlag(cmd, "replace"),
		ReplaceUnreadable: b.replaceUnreadable,
	}
	if boolFlag(cmd, "self-client") {
		req.RevokeOld = boolFlag(cmd, "revoke-old")
		req.SelfClient, err = input.pasted("the self client's code, or its JSON from the API console")
		code = exitFailed
	} else {
		code, err = b.consent(&req)
	}
	if err != nil {
		return code, err
	}
	return b.finish("connect", req)
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
func (b *bringing) consent(req *adminapi.ConnectRequest) (int, error) {
	var started adminapi.ConnectStarted
	begin := adminapi.ConnectRequest{RevokeOld: boolFlag(b.cmd, "revoke-old"), ReplaceUnreadable: b.replaceUnreadable}
	if code, err := change(b.cmd, b.client, b.account, "connect", begin, &started); err != nil {
		return code, err
	}
	var err error
	req.State = started.State
	req.Callback, err = callbackOf(b.cmd, b.input, started, "")
	return exitFailed, err
}

// callbackOf prints the address at Zoho, and reads what the browser ended at; whose is who has to sign in.
func callbackOf(cmd *cobra.Command, input *input, started adminapi.ConnectStarted, whose string) (string, error) {
	if boolFlag(cmd, "json") { // beside the result, which is alone on standard output
		if err := printLine(cmd.ErrOrStderr(), started); err != nil {
			return "", err
		}
		return input.pasted("the address that it ended at")
	}
	warn(cmd, started.Warnings)
	fmt.Fprintln(cmd.ErrOrStderr(), "Open this address in a browser, "+
		strings.Join(strings.Fields("sign in to Zoho "+whose), " ")+" and accept:")
	fmt.Fprintln(cmd.OutOrStdout(), started.URL)
	fmt.Fprintf(cmd.ErrOrStderr(), "The browser then ends at %s…, whether anything answers there or not.\n",
		started.RedirectURI)
	if input.terminal < 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "Waiting for the address that it ended at, on standard input.")
	}
	return input.pasted("the address that it ended at")
}

func cmdInvite(cmd *cobra.Command, args []string) (int, error) {
	client, account, code, err := namedAccount(cmd, args)
	if err != nil {
		return code, err
	}
	there, code, err := isThere(cmd, client, account)
	if err != nil {
		return code, err
	}
	info := invited{NewAccount: !there}
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
