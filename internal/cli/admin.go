package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
)

// adminRequest calls the running Caddy's admin endpoint and decodes the answer.
func adminRequest(cmd *cobra.Command, method, uri string, body, into any) (int, error) {
	var text io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return exitFailed, errors.New("the request could not be encoded")
		}
		text = bytes.NewReader(encoded)
	}
	return adminStream(cmd, method, uri, "application/json", text, decoded(into))
}

// decoded reads an answer as JSON.
func decoded(into any) func(io.Reader) error {
	return func(answer io.Reader) error {
		return json.NewDecoder(io.LimitReader(answer, 256<<20)).Decode(into)
	}
}

// adminStream is adminRequest for what is no JSON: take reads the answer, unless it is a refusal.
func adminStream(
	cmd *cobra.Command, method, uri, mediaType string, body io.Reader, take func(answer io.Reader) error,
) (int, error) {
	address, err := adminAddress(cmd)
	if err != nil {
		return exitUsage, err
	}
	stop := showProgress(cmd.ErrOrStderr(), "waiting for the running Caddy")
	res, err := callAdmin(address, method, uri, mediaType, body)
	stop()
	if err != nil {
		return notAnswered(address, err)
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusBadRequest {
		answer, _ := io.ReadAll(io.LimitReader(res.Body, 2<<20))
		return refused(address, res.StatusCode, answer)
	}
	err = take(res.Body)
	switch {
	case err != nil && !isAdmin(address):
		return exitUnreachable, notAdmin(address)
	case err != nil:
		return exitFailed, fmt.Errorf("the answer of the admin endpoint at %s is not what was expected: %w",
			address, err)
	}
	return exitOK, nil
}

// callAdmin sends a request to an address as Caddy takes it. Caddy asks for an Origin, and
// does without where no browser can be: at a socket.
func callAdmin(address, method, uri, mediaType string, body io.Reader) (*http.Response, error) {
	at, err := caddy.ParseNetworkAddress(address)
	if err == nil && at.PortRangeSize() > 1 {
		err = errors.New("it has more than one port")
	}
	if err != nil {
		return nil, fmt.Errorf("invalid admin address %s: %w", address, err)
	}
	origin := "http://" + at.JoinHostPort(0)
	if at.IsUnixNetwork() {
		origin = "http://127.0.0.1"
		at.Host, _, _ = strings.Cut(at.Host, "|") // the mode to make it with
	}
	req, err := http.NewRequest(method, origin+uri, body)
	if err != nil {
		return nil, fmt.Errorf("invalid admin address %s: %v", address, err)
	}
	if !at.IsUnixNetwork() {
		req.Header.Set("Origin", origin)
	}
	if body != nil {
		req.Header.Set("Content-Type", mediaType)
	}
	dialer := new(net.Dialer)
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, at.Network, at.JoinHostPort(0))
			if err != nil {
				return nil, err
			}
			return &asksFirst{Conn: conn, asked: make(chan struct{})}, nil
		},
	}}
	return client.Do(req)
}

// asksFirst reads nothing before something was written. What a server says unasked, as those
// for mail do, is then told by net/http as an answer that is no HTTP, however early it comes.
type asksFirst struct {
	net.Conn
	once  sync.Once
	asked chan struct{}
}

func (c *asksFirst) Read(p []byte) (int, error) {
	<-c.asked
	return c.Conn.Read(p)
}

func (c *asksFirst) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.once.Do(func() { close(c.asked) })
	return n, err
}

func (c *asksFirst) Close() error {
	c.once.Do(func() { close(c.asked) })
	return c.Conn.Close()
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
	res, err := callAdmin(address, http.MethodGet, "/config/", "", nil)
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

// notAnswered says why there was no answer, and what to exit with.
func notAnswered(address string, err error) (int, error) {
	var sent *url.Error
	switch {
	case !errors.As(err, &sent):
		return exitUsage, fmt.Errorf("--address: %w", err)
	case strings.Contains(err.Error(), "malformed HTTP"):
		return exitUnreachable, notAdmin(address)
	}
	return exitUnreachable, unreachable(address, lastCause(err))
}

// refused says why a request was refused, and what to exit with.
func refused(address string, status int, answer []byte) (int, error) {
	told := new(adminapi.Error)
	if json.Unmarshal(answer, told) != nil {
		told = new(adminapi.Error)
	}
	switch {
	case told.Text != "" && slices.Contains(usageCodes, told.Code):
		return exitUsage, told
	case told.Text != "" && told.Code != "":
		return exitFailed, told
	case told.Text != "" && status == http.StatusForbidden: // Caddy's own words, as for an origin that may not
		return exitFailed, errors.New(told.Text)
	case !isAdmin(address):
		return exitUnreachable, notAdmin(address)
	case status == http.StatusNotFound:
		return exitFailed, errors.New("the running Caddy does not have this module")
	}
	return exitFailed, fmt.Errorf("the answer of Caddy is HTTP %d: %s", status, bytes.TrimSpace(answer))
}

// hasCode reports whether an error is a refusal of the admin API with that code.
func hasCode(err error, code string) bool {
	var told *adminapi.Error
	return errors.As(err, &told) && told.Code == code
}

// change has the running Caddy do something to a connection.
func change(cmd *cobra.Command, client, account, action string, body, into any) (int, error) {
	return adminRequest(cmd, http.MethodPost, actionPath(client, account, action), body, into)
}

// actionPath is where something is done to a connection.
func actionPath(client, account, action string) string {
	return "/zoho/connections/" + url.PathEscape(client) + "/" + url.PathEscape(account) + "/" + action
}

func warn(cmd *cobra.Command, warnings []string) {
	for _, text := range warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", text)
	}
}
