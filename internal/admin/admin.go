// Package admin answers Caddy's admin endpoint below /zoho/: metadata of the connections,
// never a token, and what can be done to them without a reload.
package admin

import (
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/internal/audit"
)

// Routes lists the endpoints.
func Routes(active func() (*Managed, error)) []caddy.AdminRoute {
	e := endpoint{active}
	return []caddy.AdminRoute{
		{Pattern: "/zoho/connections", Handler: adminapi.Answered(e.listConnections)},
		{Pattern: "/zoho/connections/", Handler: adminapi.Answered(e.changeConnection)},
		{Pattern: "/zoho/scopes", Handler: adminapi.Answered(e.listScopes)},
		{Pattern: "/zoho/doctor", Handler: adminapi.Answered(e.serveDoctor)},
		{Pattern: "/zoho/backup", Handler: adminapi.Answered(e.serveBackup)},
		{Pattern: "/zoho/restore", Handler: adminapi.Answered(e.restore)},
		{Pattern: "/zoho/rekey", Handler: adminapi.Answered(e.rekey)},
	}
}

// serveDoctor examines the running Caddy from within, since only that has its store,
// its environment and its network. It asks Zoho, and may have a token renewed: no GET.
func (e endpoint) serveDoctor(w http.ResponseWriter, r *http.Request) error {
	m, err := e.only(http.MethodPost, r)
	if err != nil {
		return err
	}
	if err := readJSON(http.MaxBytesReader(w, r.Body, adminapi.MaxBody), &struct{}{}); err != nil {
		return adminapi.Refuse(http.StatusBadRequest, "bad-body", "%v", err)
	}
	query := r.URL.Query()
	client := query.Get("client")
	if err := m.checkClient(client); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), doctorLimit)
	defer cancel()
	found := m.Examine(ctx, client, query.Get("account"))
	m.Audit.Act(audit.Act{Action: "doctor", Client: client, Account: query.Get("account"), By: peer(r)})
	return adminapi.WriteJSON(w, adminapi.Examination{OK: !found.Failed(), Findings: found})
}
