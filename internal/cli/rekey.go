package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/sealed"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// addRekey adds the command that ends the use of old keys.
func addRekey(parent *cobra.Command) {
	addCommand(parent, 0, 0, cmdRekey, &cobra.Command{
		Use:   "rekey",
		Short: "Has every configured encryption_key, and no other key, open what is stored",
		Long: `
Wraps every data key of the store by each configured encryption_key, and drops the wraps by keys
that are not configured anymore. It never drops the last key that opens something. The store can be
read at any time: if the command is interrupted, run it again. It exits with 0 when all is done, and
status says when nothing needs an old key anymore.`,
		Example: "  caddy zoho rekey",
	})
}

func cmdRekey(cmd *cobra.Command, _ []string) (int, error) {
	var done adminapi.Rekeyed
	if code, err := adminRequest(cmd, http.MethodPost, "/zoho/rekey", struct{}{}, &done); err != nil {
		return code, err
	}
	if _, err := report(cmd, done, func(w io.Writer) { printRekeyed(w, &done) }); err != nil {
		return exitFailed, err
	}
	for _, u := range done.Unopened {
		if u.File == sealed.Grants {
			return exitFailed, errors.New("not all grants are opened by a configured encryption_key\n" +
				"hint: configure the key with the named id again, behind the new one in encryption_key; reload, and run this again")
		}
	}
	return exitOK, nil
}

func printRekeyed(w io.Writer, done *adminapi.Rekeyed) {
	fmt.Fprintf(w, "%s open by key id %s alone: %s added, %s dropped, %s sealed anew\n",
		words.Plural(done.DataKeys, "data key"), strings.Join(done.Keys, ", "), words.Plural(done.Added, "wrap"),
		words.Plural(done.Dropped, "wrap"), words.Plural(done.Moved, "grant"))
	for _, u := range done.Unopened {
		what := "grants"
		if u.File == sealed.Tokens {
			what = "access tokens; Caddy asks for new ones"
		}
		fmt.Fprintf(w, "client %s: data key %s opens by key id %s only; it seals %s\n", u.Client, u.ID, strings.Join(u.Wanted, ", "), what)
	}
}
