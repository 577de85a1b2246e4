package cli

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/onboard"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// named is the connection that the arguments name; the running Caddy is asked where that
// depends on what is configured.
func named(cmd *cobra.Command, args []string) (client, account string, code int, err error) {
	if len(args) == 2 {
		return args[0], args[1], exitOK, nil
	}
	account = cmp.Or(strings.Join(args, ""), onboard.DefaultAccount)
	var list adminapi.List
	if code, err := adminRequest(cmd, http.MethodGet, listOf("", account, 2), nil, &list); err != nil {
		return "", "", code, err
	}
	client, account, err = connectionOf(args, list)
	if err == nil {
		err = checkAccount("ACCOUNT", account)
	}
	return client, account, exitUsage, err
}

// namedAccount is named, for what nobody wants done to an account he did not name.
func namedAccount(cmd *cobra.Command, args []string) (client, account string, code int, err error) {
	client, account, code, err = named(cmd, args)
	if err == nil && len(args) == 1 && account != args[0] {
		return "", "", exitUsage, fmt.Errorf("%s is a client: name the account as well, as in `caddy zoho %s %s %s`",
			args[0], cmd.Name(), client, account)
	}
	return client, account, code, err
}

// connectionOf reads [CLIENT] [ACCOUNT]: where one argument could be either, a
// client's name wins, otherwise it is the account of the one client that has it.
func connectionOf(args []string, list adminapi.List) (client, account string, err error) {
	clients, owners := make(map[string]bool), make(map[string]bool)
	for _, name := range list.Clients {
		clients[name] = true
	}
	for _, c := range list.Connections {
		if len(args) == 1 && c.Account == args[0] {
			owners[c.Client] = true
		}
	}
	account = onboard.DefaultAccount
	switch {
	case len(args) == 2:
		return args[0], args[1], nil
	case len(args) == 1 && clients[args[0]]:
		return args[0], account, nil
	case len(args) == 1:
		account = args[0]
	}
	if len(owners) == 1 {
		clients = owners
	}
	for client = range clients {
	}
	switch {
	case len(clients) != 1 && len(args) == 1 && len(owners) == 0:
		return "", "", fmt.Errorf("%s is neither a client nor an account that there is; name the client first: %s",
			onboard.ShowAccount(args[0]), strings.Join(list.Clients, ", "))
	case len(clients) != 1:
		return "", "", fmt.Errorf("several clients are configured, name one of them first: %s",
			strings.Join(list.Clients, ", "))
	}
	return client, account, nil
}

// requestNamed asks at a path for the connections that the arguments of a command name. A single one
// that is no client's name is an account's.
func requestNamed(cmd *cobra.Command, path string, query url.Values, args []string, into any) (code int, err error) {
	request := func(names ...string) (int, error) {
		for _, name := range []string{"client", "account"} {
			query.Del(name)
		}
		for i, name := range names {
			query.Set(name, args[i])
		}
		return adminRequest(cmd, http.MethodGet, path+"?"+query.Encode(), nil, into)
	}
	code, err = request([]string{"client", "account"}[:len(args)]...)
	if len(args) != 1 || !hasCode(err, adminapi.CodeUnknownClient) {
		return code, err
	}
	if there, _, failed := isThere(cmd, "", args[0]); failed != nil || !there {
		return code, withAccounts(cmd, args[0], err)
	}
	return request("account")
}

// notThere says of a client and an account that there is no such account, and which ones there are.
func notThere(cmd *cobra.Command, args []string) (code int, err error) {
	var all adminapi.List
	if code, err := adminRequest(cmd, http.MethodGet, listOf(args[0], "", 0), nil, &all); err != nil {
		return code, err
	}
	if all.StoreError != "" {
		return exitFailed, storeFailure(all)
	}
	return exitFailed, noSuchAccount(args[0], args[1], all)
}

// isThere reports whether there is such an account, and fails if there is no such client.
func isThere(cmd *cobra.Command, client, account string) (bool, int, error) {
	var list adminapi.List
	code, err := adminRequest(cmd, http.MethodGet, listOf(client, account, 1), nil, &list)
	return list.Total > 0, code, err
}

// listOf is where some connections are listed; empty names and 0 mean all.
func listOf(client, account string, limit int) string {
	query := make(url.Values)
	for name, value := range map[string]string{"client": client, "account": account, "limit": strconv.Itoa(limit)} {
		if value != "" && value != "0" {
			query.Set(name, value)
		}
	}
	return "/zoho/connections?" + query.Encode()
}

// noSuchAccount is the error about an account that the client does not have.
func noSuchAccount(client, account string, list adminapi.List) error {
	var names []string
	for _, c := range list.Connections {
		names = append(names, c.Account)
	}
	return adminapi.Refuse(http.StatusNotFound, adminapi.CodeUnknownAccount,
		"%v", adminapi.NoAccount(client, account, names))
}

// withAccounts adds to the error about a name that is no client's which accounts there are.
func withAccounts(cmd *cobra.Command, name string, noClient error) error {
	const some = 10
	var list adminapi.List
	if _, err := adminRequest(cmd, http.MethodGet, listOf("", "", some), nil, &list); err != nil || list.Total == 0 {
		return noClient
	}
	var names, accounts []string
	for _, c := range list.Connections {
		names, accounts = append(names, c.Client+"/"+c.Account), append(accounts, c.Account)
	}
	text := "it is no account either" + words.DidYouMean(name, accounts) + "; there are: " +
		words.Some(names, some, list.Total)
	return &adminapi.Error{Text: noClient.Error(), Code: adminapi.CodeUnknownClient, Hint: text}
}

// storeFailure says that accounts may be missing in a list, since their grants cannot be read.
func storeFailure(list adminapi.List) error {
	return adminapi.Refuse(http.StatusServiceUnavailable, problem.CodeStore,
		"the stored grants cannot be read, so accounts may be missing here: %s", list.StoreError)
}
