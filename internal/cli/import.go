package cli

import (
	"cmp"
	"errors"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
)

// addImport adds the command for refresh tokens that other programs were given.
func addImport(parent *cobra.Command) {
	imports := addCommand(parent, 0, 2, cmdImport, &cobra.Command{
		Use:   "import [CLIENT] [ACCOUNT]",
		Short: "Imports an existing refresh token from standard input, and tests it by one renewal",
		Long: `
Reads a refresh token from standard input, or prompts for it. Quotes around it and
a leading NAME= or NAME: are ignored.

With --batch it reads one JSON object per line. Leave ACCOUNT out then:

  {"account": "acme", "refresh_token": "1000.…", "data_center": "eu"}

A line may name its "client" too. Standard output has one result line for each account.
The command stops when Zoho throttles, and says when to continue. Run it again then with
the same input: it skips accounts that are already connected.`,
		Example: "  caddy zoho import main acme --data-center eu < token.txt\n" +
			"  caddy zoho import main --batch < accounts.jsonl",
	})
	imports.Flags().String("data-center", "", "Code of the data center that owns the token; default: the client's home")
	imports.Flags().Bool("batch", false, "Read JSON lines")
	imports.Flags().Bool("replace", false, "Also replace the grant of another user or organization, "+
		"or one that cannot be read, and with --batch those that are connected already")
}

func cmdImport(cmd *cobra.Command, args []string) (int, error) {
	if err := checkCenter(cmd); err != nil {
		return exitUsage, err
	}
	if boolFlag(cmd, "batch") {
		return importBatch(cmd, args)
	}
	client, account, code, err := named(cmd, args)
	if err != nil {
		return code, err
	}
	code, err = importOne(cmd, client, account)
	return code, about(client, account, err)
}

func importOne(cmd *cobra.Command, client, account string) (int, error) {
	input := newInput(cmd)
	b, code, err := bring(cmd, client, account, input)
	if err != nil {
		return code, err
	}
	token, err := input.secret("the refresh token")
	if err != nil {
		return exitFailed, err
	}
	if isJSON(token) {
		return exitFailed, errJSONToken
	}
	return b.finish("import", adminapi.ImportRequest{
		RefreshToken:      bareToken(token),
		DataCenter:        stringFlag(cmd, "data-center"),
		Replace:           boolFlag(cmd, "replace"),
		ReplaceUnreadable: b.replaceUnreadable,
	})
}

// isJSON reports whether a paste is JSON and no token, by how it begins, since a paste may lack its end.
func isJSON(text string) bool { return strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") }

var errJSONToken = errors.New("this is JSON, and was not sent to Zoho: paste the refresh token alone\n" +
	"hint: the JSON that the API console offers for a self client goes to `caddy zoho connect --self-client`; " +
	"--batch takes lines of JSON, each with an account")

// assignment is a token as it stands in files of settings. Other servers' tokens may hold
// = and : themselves, so what stands before it has to be called so, or it to be Zoho's.
var assignment = regexp.MustCompile(`(?is)^["']?(?:[a-z_]*refresh_?token["']?\s*[=:]\s*(.+)|` +
	`[a-z_]\w*["']?\s*[=:]\s*(["']?100\d\.[0-9a-z]+\.[0-9a-z]+["']?))$`)

// bareToken takes a token out of quotes, and out of an assignment.
func bareToken(text string) string {
	if m := assignment.FindStringSubmatch(text); m != nil {
		text = cmp.Or(m[1], m[2])
	}
	return strings.Trim(text, `"'`)
}
