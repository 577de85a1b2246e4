package admin

import (
	"maps"
	"net/http"
	"slices"

	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// listScopes puts what was called beside what was granted, so that consent can ask for less.
func (e endpoint) listScopes(w http.ResponseWriter, r *http.Request) error {
	m, err := e.only(http.MethodGet, r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	if err := m.checkClient(query.Get("client")); err != nil {
		return err
	}
	answer := adminapi.Scopes{Since: timeOrNil(m.Usage.Since()), Connections: []adminapi.ConnectionScopes{}}
	used := m.Usage.Connections()
	for _, info := range m.connectionInfos(query.Get("client"), query.Get("account")) {
		services := used[tokencache.Key{Client: info.Client, Account: info.Account}].Services
		answer.Connections = append(answer.Connections, scopesOf(info, services))
	}
	return adminapi.WriteJSON(w, answer)
}

func scopesOf(info adminapi.Connection, services map[string][]string) adminapi.ConnectionScopes {
	c := adminapi.ConnectionScopes{Client: info.Client, Account: info.Account, Granted: info.Scopes,
		Called: []adminapi.ServiceUsed{}}
	granted := make(map[string][]string)
	for _, scope := range info.Scopes {
		service := zoho.ServiceOfScope(scope)
		granted[service] = append(granted[service], scope)
		switch {
		case service == "":
			c.Unknown = append(c.Unknown, scope)
		case services[service] == nil:
			c.NeverCalled = append(c.NeverCalled, scope)
		}
	}
	for _, service := range slices.Sorted(maps.Keys(services)) {
		used := adminapi.ServiceUsed{Service: service, Methods: services[service]}
		if service == "" { // at an `upstream`, under a path of no service
			used.Service = "other"
		} else {
			used.Scopes = granted[service]
		}
		c.Called = append(c.Called, used)
	}
	return c
}
