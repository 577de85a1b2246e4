package cli

import (
	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
)

// addRemoving adds the commands that take a grant away.
func addRemoving(parent *cobra.Command) {
	revoke := addCommand(parent, 1, 2, cmdRevoke, &cobra.Command{
		Use:   "revoke [CLIENT] ACCOUNT",
		Short: "Revokes a stored grant at Zoho, and then forgets it",
		Long: `
Revokes the stored grant of an account at Zoho, and then forgets it.

An account with grant_type client_credentials has no grant to revoke. Its access token is revoked;
the next call gets another one.`,
		Example: "  caddy zoho revoke main acme",
	})
	revoke.Flags().Bool("shared", false, "Revoke it even if other accounts share the refresh token, which ends for them too")
	addCommand(parent, 1, 2, cmdForget, &cobra.Command{
		Use:     "forget [CLIENT] ACCOUNT",
		Short:   "Forgets a stored grant; at Zoho it lives on",
		Example: "  caddy zoho forget main acme",
	})
}

func cmdRevoke(cmd *cobra.Command, args []string) (int, error) {
	return remove(cmd, args, adminapi.RevokeRequest{Shared: boolFlag(cmd, "shared")})
}

func cmdForget(cmd *cobra.Command, args []string) (int, error) { return remove(cmd, args, nil) }

func remove(cmd *cobra.Command, args []string, req any) (int, error) {
	client, account, code, err := namedAccount(cmd, args)
	if err != nil {
		return code, err
	}
	var r connected
	if code, err := change(cmd, client, account, cmd.Name(), req, &r); err != nil {
		return code, err
	}
	if r.GrantType != "" {
		return reportResult(cmd, r, "access token of")
	}
	return reportResult(cmd, r, "forgotten")
}
