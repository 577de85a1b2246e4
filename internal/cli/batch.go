package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// batchLine is one account of a batch.
type batchLine struct {
	Client       string `json:"client"` // that of the command, if empty
	Account      string `json:"account"`
	RefreshToken string `json:"refresh_token"`
	DataCenter   string `json:"data_center"`
}

// batchResult tells what became of it.
type batchResult struct {
	Line       int             `json:"line"`
	Account    string          `json:"account,omitempty"`
	Status     string          `json:"status"` // connected, skipped or failed
	Error      string          `json:"error,omitempty"`
	Code       string          `json:"code,omitempty"`
	Hint       string          `json:"hint,omitempty"`
	Reason     string          `json:"reason,omitempty"`      // see adminapi.Error
	RetryAfter int             `json:"retry_after,omitempty"` // seconds; the batch ends there
	Result     *onboard.Result `json:"result,omitempty"`

	client string
}

// fail notes why an account was not connected.
func (r *batchResult) fail(code int, err error) {
	told := toldAs(code, err)
	r.Status, r.Error, r.Code, r.Hint = "failed", told.Text, told.Code, told.Hint
	r.Reason, r.RetryAfter = told.Reason, told.RetryAfter
}

// batchPace keeps a batch from looking like an attack on the accounts server.
const batchPace = 200 * time.Millisecond

// batch is an import of many.
type batch struct {
	cmd       *cobra.Command
	client    string // of lines that name none, "" if they must
	connected map[[2]string]bool
	failed    int
}

// newBatch asks what is connected already.
func newBatch(cmd *cobra.Command, args []string) (*batch, int, error) {
	if len(args) > 1 {
		return nil, exitUsage, errors.New("with --batch the accounts stand in the input: give the client alone")
	}
	var list adminapi.List
	if code, err := adminRequest(cmd, http.MethodGet, listOf("", "", 1_000_000), nil, &list); err != nil {
		return nil, code, err
	}
	b := &batch{cmd: cmd, connected: make(map[[2]string]bool)}
	switch {
	case list.StoreError != "":
		return nil, exitFailed, storeFailure(list)
	case len(args) == 1 && !slices.Contains(list.Clients, args[0]):
		return nil, exitFailed, adminapi.Refuse(http.StatusNotFound, adminapi.CodeUnknownClient,
			"there is no client %s%s; configured: %s",
			onboard.ShowAccount(args[0]), words.DidYouMean(args[0], list.Clients), strings.Join(list.Clients, ", "))
	case len(args) == 1: // it is the client, even if there is an account of that name
		b.client = args[0]
	case len(list.Clients) == 1:
		b.client = list.Clients[0]
	}
	for _, c := range list.Connections {
		if c.HasGrant && !c.NeedsConsent {
			b.connected[[2]string{c.Client, c.Account}] = true
		}
	}
	return b, exitOK, nil
}

// importBatch imports what stands on each line of the input.
func importBatch(cmd *cobra.Command, args []string) (int, error) {
	b, code, err := newBatch(cmd, args)
	if err != nil {
		return code, err
	}
	from := cmd.InOrStdin()
	if input := newInput(cmd); input.terminal >= 0 {
		text, err := input.secretLines("the accounts, a line of JSON for each")
		if err != nil {
			return exitFailed, err
		}
		from = strings.NewReader(text)
	}
	last := 0
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, adminapi.MaxBody)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff")))
		if len(text) == 0 {
			continue
		}
		last = n
		r := batchResult{Line: n}
		code, err := b.importLine(text, &r)
		if err != nil {
			r.fail(code, err)
			b.failed++
		}
		if err := printBatchResult(cmd, r); err != nil {
			return exitFailed, err
		}
		switch {
		case code == exitUnreachable:
			return code, err
		case r.RetryAfter > 0 && r.Reason != problem.CodeBudgetSpent: // which is one refresh token's own
			return exitFailed, r.pause()
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return exitFailed, fmt.Errorf("line %d is longer than 64 KiB, so nothing from there on was read", last+1)
	case err != nil:
		return exitFailed, fmt.Errorf("the input could not be read to its end: %w", err)
	case last == 0:
		return exitFailed, errors.New("nothing came from standard input, where the accounts belong")
	}
	return b.end()
}

// end tells how many accounts need another run.
func (b *batch) end() (int, error) {
	const again = "and run it again, what is connected is skipped"
	switch b.failed {
	case 0:
		return exitOK, nil
	case 1:
		return exitFailed, errors.New("1 of the accounts was not connected; mend its line " + again)
	}
	return exitFailed, fmt.Errorf("%d of the accounts were not connected; mend their lines %s", b.failed, again)
}

// pauseTexts say why a batch ends before its input does, by waitReasons.
var pauseTexts = map[string]string{
	problem.CodeThrottled:           "Zoho throttles client %s",
	problem.CodeAccountsUnreachable: "Zoho gives client %s no token for now",
	problem.CodeStore:               "the store of client %s cannot be used",
}

// pause ends a batch: where Zoho throttles, each further call would keep its door shut.
func (r *batchResult) pause() error {
	after := time.Now().Add(time.Duration(r.RetryAfter)*time.Second + time.Minute) // told in whole minutes
	text := cmp.Or(pauseTexts[r.Reason], "client %s has to wait")
	return &adminapi.Error{Text: fmt.Sprintf(text+": the batch ends at line %d, account %s",
		r.client, r.Line, r.Account), Code: cmp.Or(r.Reason, problem.CodeThrottled),
		Hint:       "run it again after " + after.Format("15:04") + "; what is connected is skipped",
		RetryAfter: r.RetryAfter}
}

// importLine connects the account of a line, if it is not connected already.
func (b *batch) importLine(text []byte, r *batchResult) (int, error) {
	line, err := parseBatchLine(text)
	if checkAccount("", line.Account) == nil && !tokenLike.MatchString(line.Account) { // it may be a secret
		r.Account = line.Account
	}
	if err != nil {
		return exitFailed, badLine(err)
	}
	r.client = cmp.Or(line.Client, b.client)
	key := [2]string{r.client, line.Account}
	replace := boolFlag(b.cmd, "replace")
	switch {
	case r.client == "":
		return exitFailed, badLine(errors.New("several clients are configured: " +
			`name one by the argument, or by "client" in the line`))
	case b.connected[key] && !replace:
		r.Status = "skipped"
		return exitOK, nil
	}
	time.Sleep(batchPace)
	var result onboard.Result
	req := adminapi.ImportRequest{
		RefreshToken: line.RefreshToken,
		DataCenter:   cmp.Or(line.DataCenter, stringFlag(b.cmd, "data-center")),
		Replace:      replace,
	}
	code, err := change(b.cmd, r.client, line.Account, "import", req, &result)
	var other *adminapi.Error
	if errors.As(err, &other) && other.Confirm != "" {
		return drop(b.cmd, r.client, line.Account, other)
	}
	if err != nil {
		return code, err
	}
	b.connected[key] = true
	r.Status, r.Result = "connected", &result
	return exitOK, nil
}

// badLine is an error about what a line says. Nothing was sent then.
func badLine(err error) error {
	return &adminapi.Error{Text: err.Error(), Code: adminapi.CodeBadLine}
}

// batchFields are the names of what a line may hold.
var batchFields = func() (names []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[batchLine]()) {
		names = append(names, field.Tag.Get("json"))
	}
	return names
}()

// parseBatchLine tells what is wrong with a line, without what it holds: that may be a secret.
func parseBatchLine(text []byte) (line batchLine, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(&line)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return line, fmt.Errorf("this is not JSON (at byte %d)", syntax.Offset)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return line, errors.New("the JSON is cut off")
	case errors.As(err, &kind) && kind.Field == "":
		return line, errors.New(`this is not a JSON object: it must be {"account": "…", "refresh_token": "…"}`)
	case errors.As(err, &kind):
		return line, fmt.Errorf("%q must be text in quotes", kind.Field)
	case err != nil:
		return line, unknownField(err)
	case line.Account == "":
		return line, errors.New(`"account" is missing`)
	case tokenLike.MatchString(line.Account):
		return line, errors.New(`"account" looks like a token: is it mixed up with "refresh_token"?`)
	case line.RefreshToken == "":
		return line, errors.New(`"refresh_token" is missing`)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return line, errors.New("something follows the JSON object: each account needs a line of its own")
	}
	return line, checkAccount(`"account"`, line.Account)
}

// unknownField is what is left to be wrong with a line.
func unknownField(err error) error {
	name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
	if tokenLike.MatchString(name) || len(name) > 64 {
		return errors.New("it has an unknown field whose name looks like a secret")
	}
	return fmt.Errorf("unknown field %q%s; known are %s",
		name, words.DidYouMean(name, batchFields), strings.Join(batchFields, ", "))
}

func printBatchResult(cmd *cobra.Command, r batchResult) error {
	if boolFlag(cmd, "json") {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
	}
	text := fmt.Sprintf("line %d: %s %s", r.Line, orDash(r.Account), r.Status)
	if r.Status == "skipped" {
		text += ": it is already connected"
	}
	if r.Error != "" {
		text += ": " + strings.TrimSpace(r.Error+" "+r.Hint)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}
