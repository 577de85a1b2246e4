package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// bringing is a command that brings in a grant of an account.
type bringing struct {
	cmd             *cobra.Command
	client, account string
	input           *input

	isNew             bool // there is no account of that name, which may be mistyped
	replaceUnreadable bool // a person agreed to lose the stored grant, which cannot be read
}

// bring looks whether a grant could be stored, before anybody is asked for one. Where that would replace a grant that
// cannot be read, it asks.
func bring(cmd *cobra.Command, client, account string, input *input) (*bringing, int, error) {
	there, code, err := isThere(cmd, client, account)
	if err != nil {
		return nil, code, err
	}
	b := &bringing{
		cmd: cmd, client: client, account: account, input: input,
		isNew: !there, replaceUnreadable: boolFlag(cmd, "replace"),
	}
	code, err = b.check()
	var told *adminapi.Error
	switch {
	case b.replaceUnreadable || !errors.As(err, &told) || !told.Replaceable:
		return b, code, err
	case input.terminal < 0:
		told.Hint += " --replace does that."
		return b, code, err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), told.Text, told.Hint)
	if !input.agrees("Replace the grant?") {
		return b, code, &adminapi.Error{
			Text: "the stored grant cannot be read, and stays as it is",
			Code: told.Code,
			Hint: "use --replace to replace it without being asked",
		}
	}
	b.replaceUnreadable = true
	code, err = b.check()
	return b, code, err
}

func (b *bringing) check() (int, error) {
	req := adminapi.CheckRequest{
		DataCenter:        stringFlag(b.cmd, "data-center"),
		ReplaceUnreadable: b.replaceUnreadable,
	}
	return change(b.cmd, b.client, b.account, "check", req, &struct{}{})
}

// connected is what a grant was brought in for.
type connected struct {
	onboard.Result
	NewAccount bool `json:"new_account,omitempty"` // there was none of that name, which may be mistyped
}

// finish sends what brings a grant, and asks before it replaces somebody else's.
func (b *bringing) finish(action string, req any) (int, error) {
	r := connected{NewAccount: b.isNew}
	code, err := b.confirmed(&r, func() (int, error) {
		return change(b.cmd, b.client, b.account, action, req, &r)
	})
	if err != nil {
		return code, err
	}
	return reportResult(b.cmd, r, "connected")
}

// confirmed does what brings a grant, and asks for what of a person's consent to that is missing. r is what was
// connected then.
func (b *bringing) confirmed(r *connected, do func() (int, error)) (int, error) {
	code, err := do()
	var other *adminapi.Error
	for errors.As(err, &other) && other.Confirm != "" { // anew if the account was connected by a third one meanwhile
		answer := boolFlag(b.cmd, "replace")
		if !answer && b.input.terminal >= 0 {
			fmt.Fprintln(b.cmd.ErrOrStderr(), other.Text, other.Hint)
			answer = b.input.agrees("Replace the grant?")
		}
		if !answer {
			return drop(b.cmd, b.client, b.account, other)
		}
		code, err = change(b.cmd, b.client, b.account, "connect", adminapi.ConnectRequest{Confirm: other.Confirm}, r)
	}
	return code, err
}

// drop keeps the grant that the account has, in place of one that somebody else gave, and tells what became of that.
func drop(cmd *cobra.Command, client, account string, other *adminapi.Error) (int, error) {
	var dropped onboard.Result
	req := adminapi.ConnectRequest{Confirm: other.Confirm, Drop: true}
	if code, err := change(cmd, client, account, "connect", req, &dropped); err != nil {
		return code, err
	}
	return exitFailed, &adminapi.Error{
		Text: other.Text + " The old grant stays: " + fateOf(dropped) + ".",
		Code: other.Code,
		Hint: "use --replace to replace it without being asked",
	}
}

// fateOf tells what became of a grant that was not wanted.
func fateOf(dropped onboard.Result) string {
	switch {
	case dropped.Revoked:
		return "the new one was revoked at Zoho"
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
			line("revoked at Zoho", "the old grant")
		case r.Revoked:
			line("revoked at Zoho", "yes")
		}
		_ = table.Flush()
	})
}
