package zohosim

import (
	"net/http"
	"strings"
)

// route is where a request arrived: an endpoint of an accounts server, or a product's API.
type route struct {
	// dc is the code of the data center.
	dc string
	// origin is that of the single-origin mode, scheme and host as called; "" on a host of Zoho's.
	origin string
	// accounts is an endpoint of the accounts server: "auth", "token", "revoke", ...
	accounts string
	product  *product
	// family says which refusals hold for the path.
	family string
	// path is what follows within the product: "/v8/Leads", "/api/v1/tickets".
	path string
	// environment is that of the gateway; anyEnv is the single-origin mode, which has none.
	environment string
	anyEnv      bool
}

// service is the name that faults and statistics know it by.
func (to route) service() string {
	switch {
	case to.accounts != "":
		return "accounts"
	case to.product != nil:
		return to.product.name
	default:
		return ""
	}
}

// routeOf finds the route of a request by its host, or by its path if the host is none of Zoho's.
func (s *Server) routeOf(r *http.Request) route {
	h, known, zoho := lookupHost(hostOnly(r.Host))
	switch {
	case zoho && !known:
		return route{}
	case !zoho:
		return s.routeByPath(r)
	case h.accounts:
		return route{dc: h.dc}.withAccounts(accountsEndpoint(r.URL.Path))
	case h.gateway:
		return routeGateway(h, r.URL.Path)
	case h.files:
		return routeFiles(h, r.URL.Path)
	default:
		return route{dc: h.dc}.in(h.product, r.URL.Path)
	}
}

// routeByPath is the single-origin mode: one server plays them all for one data center.
func (s *Server) routeByPath(r *http.Request) route {
	s.mu.Lock()
	to := route{dc: s.o.DataCenter, anyEnv: true}
	s.mu.Unlock()
	to.origin = "http://" + r.Host
	if r.TLS != nil {
		to.origin = "https://" + r.Host
	}
	label, rest := firstSegment(r.URL.Path)
	if product := productByName(label); product != nil {
		return to.in(product, rest)
	}
	if product := productByLabel(label); product != nil {
		return to.in(product, rest)
	}
	return to.withAccounts(accountsEndpoint(r.URL.Path))
}

// routeGateway finds the service behind the shared gateway by its path. Services with a host of
// their own are not found there.
func routeGateway(h host, path string) route {
	to := route{dc: h.dc, environment: h.environment}
	name, rest := firstSegment(path)
	if product := productByName(name); product != nil && product.gateway && product.isIn(h.dc) {
		return to.in(product, rest)
	}
	if h.files {
		return routeFiles(h, path) // files.zoho.sa serves CRM and WorkDrive
	}
	return to
}

// routeFiles finds the service whose files a path means: /v2/crm/… is CRM's. What names none is WorkDrive's.
func routeFiles(h host, path string) route {
	_, rest := firstSegment(path)
	name, _ := firstSegment(rest)
	product := productByName(name)
	if product == nil {
		product = productByName("workdrive")
	}
	to := route{dc: h.dc}.in(product, path)
	to.family = "workdrive-files"
	return to
}

// in completes a route to a product's API.
func (to route) in(product *product, path string) route {
	to.product, to.path, to.family = product, path, product.familyFor(path)
	return to
}

// withAccounts completes a route to an accounts server. User info is asked for with an access token, so
// it is answered as an API.
func (to route) withAccounts(endpoint string) route {
	to.accounts = endpoint
	if endpoint == "userinfo" {
		to.product, to.family = profile, profile.family
	}
	return to
}

// endpoints of an accounts server, by the end of their path. There are two for revocation: products
// document the first, which wants no credentials; a newer page of Zoho's has the second, with Basic.
var endpoints = []struct{ path, name string }{
	{"/oauth/v2/token", "token"},
	{"/oauth/v2/auth", "auth"},
	{"/oauth/v2/token/revoke", "revoke"},
	{"/oauth/v2/revoke/token", "revoke-basic"},
	{"/oauth/serverinfo", "serverinfo"},
	{"/oauth/user/info", "userinfo"},
}

// accountsEndpoint names the endpoint that a path of an accounts server leads to, "" if none. What
// stands before it does not matter: on-premises servers live under /iam, portals under
// /clientoauth/v2/{portal}.
func accountsEndpoint(path string) string {
	for _, e := range endpoints {
		if strings.HasSuffix(path, e.path) {
			return e.name
		}
	}
	if _, rest, ok := strings.Cut(path, "/clientoauth/v2/"); ok {
		_, op, _ := strings.Cut(rest, "/")
		return map[string]string{"auth": "auth", "token": "token", "token/revoke": "revoke"}[op]
	}
	return ""
}

// firstSegment splits "/crm/v8/Leads" into "crm" and "/v8/Leads". Doubled slashes count as one.
func firstSegment(path string) (first, rest string) {
	path = strings.TrimLeft(path, "/")
	first, rest, found := strings.Cut(path, "/")
	if found {
		rest = "/" + rest
	}
	return first, rest
}
