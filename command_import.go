package caddyzoho

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
)

// addImport adds the command for refresh tokens that other programs were given.
func addImport(parent *cobra.Command) {
	imports := addCommand(parent, 0, 2, cmdImport, &cobra.Command{
		Use:   "import [CLIENT] [ACCOUNT]",
		Short: "Takes an existing refresh token from standard input, proved by one renewal",
		Long: `
Reads a refresh token from standard input, or prompts for it.

With --batch it reads a JSON object on each line, and ACCOUNT is not given:

  {"account": "acme", "refresh_token": "1000.…", "data_center": "eu"}

A line on standard output tells what became of each. Run it again with the same input
after it was interrupted: accounts that are connected already are skipped.`,
		Example: "  caddy zoho import main acme --data-center eu < token.txt\n  caddy zoho import main --batch < accounts.jsonl",
	})
	imports.Flags().String("data-center", "", "Code of the data center that owns the token; default: the client's home")
	imports.Flags().Bool("batch", false, "Read JSON lines")
	imports.Flags().Bool("replace", false, "Also replace the grant of another user or organization, and with --batch those that are connected already")
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
	token, err := input.secret("the refresh token")
	if err != nil {
		return exitFailed, err
	}
	req := importRequest{RefreshToken: token, DataCenter: stringFlag(cmd, "data-center"), Replace: boolFlag(cmd, "replace")}
	return finish(cmd, client, account, "import", req, input)
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
	if code, err := adminRequest(cmd, http.MethodGet, "/zoho/connections", nil, &list); err != nil {
		return code, err
	}
	if len(args) == 1 { // it is the client, even if there is an account of that name
		args = []string{args[0], defaultAccount}
	}
	client, _, err := connectionOf(args, list)
	if err != nil {
		return exitUsage, err
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
