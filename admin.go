package caddyzoho

import (
	"context"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-zoho/caddy-zoho/internal/admin"
	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
)

func init() {
	caddy.RegisterModule(AdminAPI{})
}

// AdminAPI is the part of Caddy's admin endpoint below /zoho/: metadata of the
// connections, never a token, and what can be done to them without a reload.
type AdminAPI struct{}

// CaddyModule returns the Caddy module information.
func (AdminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.zoho",
		New: func() caddy.Module { return new(AdminAPI) },
	}
}

// Routes lists the endpoints.
func (AdminAPI) Routes() []caddy.AdminRoute { return admin.Routes(activeConfiguration) }

// activeConfiguration is what of the running configuration is managed. Caddy makes the module
// before the apps, and keeps it when a load fails: so it is asked anew for each request.
func activeConfiguration() (*admin.Managed, error) {
	app, err := configuredApp(caddy.ActiveContext())
	if err != nil {
		return nil, err
	}
	return &admin.Managed{
		Find:    app.client,
		Clients: app.allClients(),
		Cache:   app.state.cache,
		Store:   app.state.store,
		Flow:    app.state.flow,
		Usage:   &app.state.usage,
		Audit:   app.audit,
		Sealing: app.sealing,
		Logger:  app.logger,
		Examine: func(ctx context.Context, client, account string) adminapi.Findings {
			return app.subject().Examine(ctx, client, account)
		},
	}, nil
}

var _ caddy.AdminRouter = AdminAPI{}
