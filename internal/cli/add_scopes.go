package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
)

// addScopesTo widens the grant of an account by the scopes of the configuration that it lacks.
func addScopesTo(cmd *cobra.Command, client, account string) (int, error) {
	for _, flag := range []string{"self-client", "device", "replace", "revoke-old"} {
		if boolFlag(cmd, flag) {
			return exitUsage, fmt.Errorf("--%s does not go with --add-scopes: the grant stays, and gets more scopes", flag)
		}
	}
	var started adminapi.ConnectStarted
	code, err := change(cmd, client, account, "connect", adminapi.ConnectRequest{AddScopes: true}, &started)
	if told := new(adminapi.Error); errors.As(err, &told) && told.Code == onboard.CodeNothingMissing {
		return report(cmd, onboard.Result{Client: client, Account: account}, func(w io.Writer) {
			fmt.Fprintf(w, "nothing to add: %s/%s has all scopes of the configuration\n", client, account)
		})
	}
	if err != nil {
		return code, err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Adding scopes to %s/%s: %s\n", client, account, strings.Join(started.Scopes, ", "))
	input := newInput(cmd)
	req := adminapi.ConnectRequest{AddScopes: true, State: started.State}
	if req.Callback, err = callbackOf(cmd, input, started, "as the user who gave the grant"); err != nil {
		return exitFailed, err
	}
	var added onboard.Result
	if code, err := change(cmd, client, account, "connect", req, &added); err != nil {
		return code, err
	}
	return reportResult(cmd, connected{Result: added}, "scopes added to")
}
