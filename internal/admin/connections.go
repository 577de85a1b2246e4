package admin

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/audit"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/problem"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func (e endpoint) listConnections(w http.ResponseWriter, r *http.Request) error {
	m, err := e.only(http.MethodGet, r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	if err := m.checkClient(query.Get("client")); err != nil {
		return err
	}
	limit, err := parseLimit(query.Get("limit"))
	if err != nil {
		return err
	}
	state, err := adminapi.ParseState(query.Get("state"))
	if err != nil {
		return adminapi.Refuse(http.StatusBadRequest, "unknown-state", "%v", err)
	}
	list := adminapi.List{Clients: m.names(), Connections: []adminapi.Connection{}, Store: m.Store.Name()}
	if err := m.Store.CheckGrants(); err != nil {
		list.StoreError = err.Error()
	}
	list.Warnings = warningsOf(m.Store.Concerns())
	if query.Get("account") == "" {
		list.Keys = m.keysInUse()
	}
	for _, info := range m.connectionInfos(query.Get("client"), query.Get("account")) {
		if state != "" && info.State != state {
			continue
		}
		list.Total++
		if info.NeedsConsent {
			list.NeedConsent++
		}
		if len(list.Connections) < limit {
			list.Connections = append(list.Connections, info)
		}
	}
	return adminapi.WriteJSON(w, list)
}

// warningsOf says what to do once, after the last one in a row that takes the same.
func warningsOf(concerns []tokencache.Concern) (warnings []string) {
	for i, c := range concerns {
		text := c.What
		if i+1 == len(concerns) || concerns[i+1].Do != c.Do {
			text += "; " + c.Do
		}
		warnings = append(warnings, text)
	}
	return warnings
}

// parseLimit is by default large enough for a person and small enough for a terminal.
func parseLimit(text string) (int, error) {
	if text == "" {
		return 10_000, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 {
		return 0, adminapi.Refuse(http.StatusBadRequest, "limit", "limit must be a number of at least 1")
	}
	return limit, nil
}

func (e endpoint) changeConnection(w http.ResponseWriter, r *http.Request) error {
	m, err := e.only(http.MethodPost, r)
	if err != nil {
		return err
	}
	client, account, action, err := m.parseConnectionPath(r.URL.EscapedPath())
	if err != nil {
		return err
	}
	answer, err := m.change(w, r, client, account, action)
	if !action.looks {
		m.Audit.Act(audit.Act{Action: action.name, Client: client.Name, Account: account, By: peer(r), Err: err})
	}
	switch {
	case answer == answered{}:
		return nil
	case err != nil:
		return err
	}
	return adminapi.WriteJSON(w, answer)
}

// change does what was asked for.
func (m *Managed) change(w http.ResponseWriter, r *http.Request, client *client.Client, account string, action action) (any, error) {
	if action.existing && m.Store.CheckGrants() == nil {
		if names := m.Cache.Accounts(client.Cache); !slices.Contains(names, account) {
			return nil, adminapi.Refuse(
				http.StatusNotFound,
				adminapi.CodeUnknownAccount,
				"%v",
				adminapi.NoAccount(client.Name, account, names),
			)
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, adminapi.MaxBody)
	return action.do(m, w, r, client, account)
}

func (m *Managed) refresh(_ http.ResponseWriter, r *http.Request, client *client.Client, account string) (any, error) {
	conn, err := m.Cache.Conn(client.Cache, account)
	if err == nil {
		_, err = conn.Refresh(r.Context(), client.Cache)
	}
	var failure *tokencache.Error
	if errors.As(err, &failure) {
		return nil, refreshFailure(client, account, failure)
	}
	if err != nil {
		return nil, err
	}
	infos := m.connectionInfos(client.Name, account)
	if len(infos) == 0 {
		return nil, adminapi.Refuse(
			http.StatusNotFound,
			adminapi.CodeUnknownAccount,
			"account %s of client %s was forgotten in the meantime",
			account,
			client.Name,
		)
	}
	return infos[0], nil
}

// refreshFailure says to an operator what an app is told as well, and how it ends.
func refreshFailure(c *client.Client, account string, failure *tokencache.Error) *adminapi.Error {
	p := problem.Token(failure, c, account)
	status, hint := p.Status, p.Detail
	if adminapi.NeedsConsent(p.Code) {
		hint = c.Consent(account)
	}
	if p.Code == problem.CodeNoGrant {
		status = http.StatusNotFound
	}
	return &adminapi.Error{
		Text:       failure.Error(),
		Code:       p.Code,
		Hint:       hint,
		RetryAfter: problem.Seconds(p.RetryAfter),
		Status:     status,
	}
}

// parseConnectionPath reads /zoho/connections/{client}/{account}/{action}.
func (m *Managed) parseConnectionPath(path string) (client *client.Client, account string, do action, err error) {
	parts := strings.Split(strings.TrimPrefix(path, "/zoho/connections/"), "/")
	if len(parts) != 3 {
		return nil, "", do, adminapi.Refuse(
			http.StatusNotFound,
			"path",
			"the path must be /zoho/connections/CLIENT/ACCOUNT/ACTION",
		)
	}
	for i := range parts {
		if parts[i], err = url.PathUnescape(parts[i]); err != nil {
			return nil, "", do, adminapi.Refuse(http.StatusBadRequest, "path", "the path has a broken escape")
		}
	}
	if client, err = m.Find(parts[0]); err != nil {
		return nil, "", do, adminapi.Refuse(http.StatusNotFound, adminapi.CodeUnknownClient, "%v", err)
	}
	do, known := actions[parts[2]]
	if !known {
		names := slices.Sorted(maps.Keys(actions))
		return nil, "", do, adminapi.Refuse(
			http.StatusNotFound,
			"unknown-action",
			"there is no action %.64q%s; the actions are %s",
			parts[2],
			words.DidYouMean(parts[2], names),
			strings.Join(names, ", "),
		)
	}
	do.name = parts[2]
	return client, parts[1], do, nil
}

// doctorLimit bounds an examination: a person waits for it.
const doctorLimit = time.Minute
