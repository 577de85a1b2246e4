package caddyzoho

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
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

"client" may be named as well. A line on standard output tells what became of each. Run it again with the same input
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
	Client       string `json:"client"` // that of the command, if empty
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

// batch is an import of many.
type batch struct {
	cmd       *cobra.Command
	client    string // of lines that name none, "" if they must
	connected map[[2]string]bool
}

func newBatch(cmd *cobra.Command, args []string) (*batch, int, error) {
	if len(args) > 1 {
		return nil, exitUsage, errors.New("with --batch the accounts stand in the input: give the client alone")
	}
	var list connectionList
	if code, err := adminRequest(cmd, http.MethodGet, "/zoho/connections?limit=1000000", nil, &list); err != nil {
		return nil, code, err
	}
	b := &batch{cmd: cmd, connected: make(map[[2]string]bool)}
	switch {
	case len(args) == 1: // it is the client, even if there is an account of that name
		b.client = args[0]
	case len(list.Clients) == 1:
		b.client = list.Clients[0]
	}
	for _, c := range list.Connections {
		if !c.NeedsConsent {
			b.connected[[2]string{c.Client, c.Account}] = true
		}
	}
	return b, exitOK, nil
}

func importBatch(cmd *cobra.Command, args []string) (int, error) {
	b, code, err := newBatch(cmd, args)
	if err != nil {
		return code, err
	}
	failed := 0
	lines := bufio.NewScanner(cmd.InOrStdin())
	lines.Buffer(nil, maxAdminBody)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff")))
		if len(text) == 0 {
			continue
		}
		r := batchResult{Line: n, Status: "failed"}
		code = b.importLine(text, &r)
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

func (b *batch) importLine(text []byte, r *batchResult) int {
	var line batchLine
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&line); err != nil || line.Account == "" || line.RefreshToken == "" {
		r.Error = `the line is not of the form {"account": "…", "refresh_token": "…", "data_center": "…"}` // it may hold a secret
		return exitFailed
	}
	r.Account = line.Account
	line.Client = cmp.Or(line.Client, b.client)
	line.DataCenter = cmp.Or(line.DataCenter, stringFlag(b.cmd, "data-center"))
	key := [2]string{line.Client, line.Account}
	switch {
	case line.Client == "":
		r.Error = `several clients are configured: name one by the argument, or by "client" in the line`
		return exitFailed
	case b.connected[key] && !boolFlag(b.cmd, "replace"):
		r.Status = "skipped"
		return exitOK
	}
	var result onboard.Result
	req := importRequest{RefreshToken: line.RefreshToken, DataCenter: line.DataCenter, Replace: boolFlag(b.cmd, "replace")}
	code, err := change(b.cmd, line.Client, line.Account, "import", req, &result)
	if err != nil {
		r.Error = strings.ReplaceAll(err.Error(), "\nhint: ", " ") // a line for each account
		return code
	}
	b.connected[key] = true
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
