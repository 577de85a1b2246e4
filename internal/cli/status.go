package cli

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func cmdStatus(cmd *cobra.Command, args []string) (int, error) {
	state, err := adminapi.ParseState(stringFlag(cmd, "state"))
	if err != nil {
		return exitUsage, err
	}
	query := make(url.Values)
	if state != "" {
		query.Set("state", state)
	}
	var list adminapi.List
	code, err := requestNamed(cmd, "/zoho/connections", query, args, &list)
	if err != nil {
		return code, err
	}
	warn(cmd, list.Warnings)
	if len(args) == 2 && list.Total == 0 && state == "" {
		return notThere(cmd, args)
	}
	if len(args) < 2 && list.Total == 0 && state == "" && list.StoreError == "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "hint: bring an account in by `caddy zoho connect`, "+
			"or the pages of zoho_connect")
	}
	none := "no connection"
	if state != "" && list.Total == 0 && list.StoreError == "" && !boolFlag(cmd, "json") {
		if none, err = noneInState(cmd, args, state); err != nil {
			return exitFailed, err
		}
	}
	code, err = report(cmd, list, func(w io.Writer) {
		switch {
		case list.Total == 0 && list.StoreError == "":
			fmt.Fprintln(w, none)
		case list.Total > 0:
			printConnections(w, list.Connections, list.Total, boolFlag(cmd, "wide"))
		}
		printMissing(w, list.Connections)
		if text := keyWord(list.Keys); text != "" {
			fmt.Fprintln(w, text)
		}
	})
	switch i := slices.IndexFunc(list.Connections, adminapi.Connection.Unreadable); {
	case err != nil:
	case list.StoreError != "" && (len(args) < 2 || list.Total == 0):
		return exitFailed, storeFailure(list)
	case list.NeedConsent > 0:
		code = exitNeedsConsent
	case i >= 0:
		c := list.Connections[i]
		return exitFailed, fmt.Errorf("the grant of %s/%s cannot be read\n"+
			"hint: caddy zoho doctor %s %s says what to do", c.Client, c.Account, c.Client, c.Account)
	}
	return code, err
}

func cmdRefresh(cmd *cobra.Command, args []string) (int, error) {
	var info adminapi.Connection
	client, account, code, err := named(cmd, args)
	if err != nil {
		return code, err
	}
	code, err = change(cmd, client, account, "refresh", nil, &info)
	var refused *adminapi.Error
	if errors.As(err, &refused) && adminapi.NeedsConsent(refused.Code) {
		return exitNeedsConsent, err
	}
	if err != nil {
		return code, err
	}
	return report(cmd, info, func(w io.Writer) { printConnections(w, []adminapi.Connection{info}, 1, false) })
}

// printConnections prints a line for each. What may be long is shortened, unless it is to be wide.
func printConnections(w io.Writer, connections []adminapi.Connection, total int, wide bool) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CLIENT\tACCOUNT\tSTATE\tTOKEN\tGENERATION\tBUDGET\tDATA CENTER\t"+
		"REFRESH TOKENS\tSCOPES\tCALLERS\tLAST ERROR")
	for _, c := range connections {
		width, errorsTo := scopesWidth, errorWidth
		if wide {
			width, errorsTo = math.MaxInt, math.MaxInt
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d left\t%s\t%s\t%s\t%s\t%s\n",
			c.Client, c.Account, adminapi.StateWord(c), tokenWord(c),
			c.Generation, c.BudgetLeft, centerWord(c), grantWord(c),
			scopesWord(c, width), orDash(some(c.Callers, width)), errorWord(c, errorsTo))
	}
	_ = table.Flush()
	if total > len(connections) {
		fmt.Fprintf(w, "%d of %d connections\n", len(connections), total)
	}
}

// What of an error and of scopes is shown in a table; --wide and --json have all of it.
const (
	errorWidth  = 64
	scopesWidth = 40
)

// some are the names that have room, the first in any case, and how many more there are.
func some(names []string, width int) string {
	text := ""
	for i, name := range names {
		if i > 0 && len(text)+len(name) > width {
			return fmt.Sprintf("%s and %d more", text, len(names)-i)
		}
		text = strings.TrimPrefix(text+","+name, ",")
	}
	return text
}

// scopesWord are the scopes of a grant, as far as Zoho has named them.
func scopesWord(c adminapi.Connection, width int) string {
	if c.HasGrant && len(c.Scopes) == 0 {
		return "not known"
	}
	return orDash(some(c.Scopes, width))
}

// maxMissing is of how many connections it is told which scopes are missing; --json has it of all.
const maxMissing = 10

// printMissing tells which grants lack scopes of the configuration.
func printMissing(w io.Writer, connections []adminapi.Connection) {
	told := 0
	for _, c := range connections {
		if len(c.MissingScopes) == 0 {
			continue
		}
		if told++; told <= maxMissing {
			fmt.Fprintf(w, "%s/%s lacks scopes of the configuration: %s; "+
				"`caddy zoho connect %[1]s %[2]s --add-scopes` adds them\n",
				c.Client, c.Account, strings.Join(c.MissingScopes, ", "))
		}
	}
	if told > maxMissing {
		fmt.Fprintf(w, "%d more connections lack scopes of the configuration\n", told-maxMissing)
	}
}

// errorWord tells a failure of before from one that matters now.
func errorWord(c adminapi.Connection, width int) string {
	text := orDash(cut(c.LastError, width))
	if c.LastErrorAt != nil && well(c) {
		return "earlier (" + c.LastErrorAt.Local().Format("2006-01-02 15:04") + "): " + text
	}
	return text
}

// well reports whether tokens are had as they should be, but for what has no time and lasts. That another program uses
// the grant is no failure of a call.
func well(c adminapi.Connection) bool {
	return slices.Contains([]string{tokencache.StateOK, tokencache.StateContended}, c.State) &&
		c.HasToken && !c.TokenRefused && !c.NeedsConsent && c.NextTry == nil
}

func cut(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return text
}

// noneInState says of a state that no connection is in it, and how many there are.
func noneInState(cmd *cobra.Command, args []string, state string) (string, error) {
	var all adminapi.List
	if _, err := requestNamed(cmd, "/zoho/connections", url.Values{"limit": {"1"}}, args, &all); err != nil {
		return "", err
	}
	verb := "are"
	if all.Total == 1 {
		verb = "is"
	}
	return fmt.Sprintf("no connection is %s; there %s %s",
		strings.ReplaceAll(state, "_", " "), verb, words.Plural(all.Total, "connection")), nil
}

func tokenWord(c adminapi.Connection) string {
	switch {
	case !c.HasToken:
		return "none"
	case c.TokenRefused:
		return "refused"
	case c.SecondsLeft == 0:
		return "expired"
	}
	return (time.Duration(c.SecondsLeft) * time.Second).String() + " left"
}

func centerWord(c adminapi.Connection) string {
	if c.Simulated {
		return c.DataCenter + " (simulator)"
	}
	return c.DataCenter
}

// grantWord is how many refresh tokens there are, or what there is in their place.
func grantWord(c adminapi.Connection) string {
	if c.GrantType != "" {
		return "none, by " + c.GrantType
	}
	return fmt.Sprintf("%d of %d known to us", c.RefreshTokensKnown, onboard.RefreshTokenLimit)
}

// keyWord says what is to be done about keys; "" where there is one, and nothing to be said.
func keyWord(k *adminapi.Keys) string {
	if k == nil {
		return ""
	}
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	further, unconfigured := strings.Join(k.Further, ", "), strings.Join(k.Unconfigured, ", ")
	records := words.Plural(k.RecordsUnderOldKeys, "record")
	switch {
	case further != "" && k.RecordsUnderOldKeys == 0:
		add("old encryption_key (key id %s): 0 records need it: it may be taken out", further)
	case further != "":
		add("old encryption_key (key id %s): the first one does not open %s; `caddy zoho rekey` changes that", further, records)
	case k.RecordsUnderOldKeys > 0:
		add("no configured encryption_key opens %s; configure the one with key id %s again, and run `caddy zoho rekey`",
			records, unconfigured)
		return lines[0]
	}
	if unconfigured != "" {
		add("keys that are not configured still open the store: key id %s; `caddy zoho rekey` ends that", unconfigured)
	}
	return strings.Join(lines, "\n")
}
