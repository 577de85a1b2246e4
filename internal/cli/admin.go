package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
)

// adminRequest calls the running Caddy's admin endpoint and decodes the answer.
func adminRequest(cmd *cobra.Command, method, uri string, body, into any) (int, error) {
	address, err := adminAddress(cmd)
	if err != nil {
		return exitUsage, err
	}
	var text io.Reader
	headers := make(http.Header)
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return exitFailed, errors.New("the request could not be encoded")
		}
		text = bytes.NewReader(encoded)
		headers.Set("Content-Type", "application/json")
	}
	stop := showProgress(cmd.ErrOrStderr(), "waiting for Caddy, which may be asking Zoho")
	res, err := caddycmd.AdminAPIRequest(address, method, uri, headers, text)
	stop()
	if err != nil {
		return adminFailure(address, err)
	}
	defer res.Body.Close()
	err = json.NewDecoder(io.LimitReader(res.Body, 256<<20)).Decode(into)
	switch {
	case err != nil && !isAdmin(address):
		return exitUnreachable, notAdmin(address)
	case err != nil:
		return exitFailed, fmt.Errorf("the answer of the admin endpoint at %s is not what was expected: %w",
			address, err)
	}
	return exitOK, nil
}

// adminAddress is that of Caddy's admin endpoint, also where it was given as a URL.
func adminAddress(cmd *cobra.Command) (string, error) {
	flag := func(name string) string { return cmd.Flag(name).Value.String() }
	given := strings.TrimSuffix(strings.TrimPrefix(flag("address"), "http://"), "/")
	if strings.HasPrefix(given, "https://") {
		return "", errors.New("--address: Caddy's admin endpoint speaks plain HTTP: give HOST:PORT, " +
			"as in localhost:2019")
	}
	address, err := caddycmd.DetermineAdminAPIAddress(given, nil, flag("config"), flag("adapter"))
	if path := socketPath(cmp.Or(given, address)); path != "" { // address is CADDY_ADMIN's, perhaps
		return "", fmt.Errorf("the address of Caddy's admin endpoint: a socket is given as unix/PATH\n"+
			"hint: write unix/%s", path)
	}
	return address, err
}

// socketPath is the path of a socket that was given as other programs take it: bare, or
// behind unix: as in URLs. Caddy would look for a host of that name.
func socketPath(given string) string {
	path, isURL := strings.CutPrefix(given, "unix:")
	if !isURL && !strings.HasPrefix(given, "/") {
		return ""
	}
	return "/" + strings.TrimLeft(path, "/")
}

// hintUnreachable is for whoever may have asked in the wrong place.
const hintUnreachable = "is it running? give its admin endpoint with --address or CADDY_ADMIN, " +
	"or its configuration with --config"

func unreachable(address, cause string) error {
	hint := hintUnreachable
	if strings.Contains(cause, "permission denied") {
		hint = "run this as a user who may open that socket: root, or the one that Caddy runs as"
	}
	return fmt.Errorf("no answer from Caddy at %s: %s\nhint: %s", address, cause, hint)
}

func notAdmin(address string) error {
	return fmt.Errorf("what answers at %s is not Caddy's admin endpoint; that is by default localhost:2019\n"+
		"hint: give it with --address or CADDY_ADMIN, or Caddy's configuration with --config", address)
}

// isAdmin reports whether Caddy's admin endpoint answers there, by what every one has and
// other servers have hardly.
func isAdmin(address string) bool {
	res, err := caddycmd.AdminAPIRequest(address, http.MethodGet, "/config/", nil, nil)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return strings.HasPrefix(res.Header.Get("Etag"), `"/config/ `)
}

// lastCause is the end of a chain of wrapped messages, the part that tells a person something.
func lastCause(err error) string {
	text := err.Error()
	return strings.TrimSpace(text[strings.LastIndex(text, ": ")+1:])
}

// usageCodes are refusals of what was typed.
var usageCodes = []string{adminapi.CodeAccountName, problem.CodeDataCenter, "expires", "return-to"}

// adminFailure understands why a request was not answered as it should be, and what to
// exit with.
func adminFailure(address string, err error) (int, error) {
	text := err.Error()
	if strings.HasPrefix(text, "performing request") {
		if strings.Contains(text, "malformed HTTP") {
			return exitUnreachable, notAdmin(address)
		}
		return exitUnreachable, unreachable(address, lastCause(err))
	}
	_, answer, answered := strings.Cut(text, "caddy responded with error: HTTP ")
	if !answered { // it was not even sent
		return exitUsage, fmt.Errorf("--address: %w", err)
	}
	status, body, _ := strings.Cut(answer, ": ")
	told := new(adminapi.Error)
	if json.Unmarshal([]byte(body), told) != nil {
		told = new(adminapi.Error)
	}
	switch {
	case told.Text != "" && slices.Contains(usageCodes, told.Code):
		return exitUsage, told
	case told.Text != "" && told.Code != "":
		return exitFailed, told
	case told.Text != "" && status == "403": // Caddy's own words, as for an origin that may not
		return exitFailed, errors.New(told.Text)
	case !isAdmin(address):
		return exitUnreachable, notAdmin(address)
	case status == "404":
		return exitFailed, errors.New("the running Caddy does not have this module")
	}
	return exitFailed, err
}

// hasCode reports whether an error is a refusal of the admin API with that code.
func hasCode(err error, code string) bool {
	var told *adminapi.Error
	return errors.As(err, &told) && told.Code == code
}

// change has the running Caddy do something to a connection.
func change(cmd *cobra.Command, client, account, action string, body, into any) (int, error) {
	uri := "/zoho/connections/" + url.PathEscape(client) + "/" + url.PathEscape(account) + "/" + action
	return adminRequest(cmd, http.MethodPost, uri, body, into)
}
