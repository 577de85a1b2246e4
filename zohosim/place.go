package zohosim

import (
	"net/http"
	"strings"
)

// place is where a request arrived: an endpoint of an accounts server, or a product's API.
type place struct {
	dc          string
	origin      string // of the single-origin mode: scheme and host as called; "" on a Zoho host
	accounts    string // endpoint of the accounts server: "auth", "token", "revoke", ...
	product     *product
	row         string // which refusals hold
	path        string // within the product: "/v8/Leads", "/api/v1/tickets"
	environment string // of the gateway
	anyEnv      bool   // the single-origin mode has no environments
}

// service is the name that faults and statistics know the place by.
func (p place) service() string {
	switch {
	case p.accounts != "":
		return "accounts"
	case p.product != nil:
		return p.product.name
	default:
		return ""
	}
}

// locate finds the place of a request by its host, or by its path if the host is none of Zoho's.
func (s *Server) locate(r *http.Request) place {
	h, known, zoho := lookupHost(hostOnly(r.Host))
	switch {
	case zoho && !known:
		return place{}
	case !zoho:
		return s.locateByPath(r)
	case h.accounts:
		return place{dc: h.dc}.withAccounts(accountsEndpoint(r.URL.Path))
	case h.gateway:
		return locateGateway(h, r.URL.Path)
	default:
		return place{dc: h.dc}.in(productByLabel(h.label), h.label, r.URL.Path)
	}
}

// locateByPath is the single-origin mode: one server plays them all for one data center.
func (s *Server) locateByPath(r *http.Request) place {
	s.mu.Lock()
	p := place{dc: s.o.DataCenter, anyEnv: true}
	s.mu.Unlock()
	p.origin = "http://" + r.Host
	if r.TLS != nil {
		p.origin = "https://" + r.Host
	}
	label, rest := firstSegment(r.URL.Path)
	if product := productByName(label); product != nil {
		return p.in(product, "", rest)
	}
	if product := productByLabel(label); product != nil {
		return p.in(product, label, rest)
	}
	return p.withAccounts(accountsEndpoint(r.URL.Path))
}

// locateGateway finds the service behind the shared gateway by its path. Services with a host of
// their own are not found there.
func locateGateway(h host, path string) place {
	p := place{dc: h.dc, environment: h.environment}
	name, rest := firstSegment(path)
	if product := productByName(name); product != nil && product.gateway {
		return p.in(product, "", rest)
	}
	if product := productByLabel(h.label); product != nil {
		return p.in(product, h.label, path) // files.zoho.sa serves CRM and WorkDrive
	}
	return p
}

func (p place) in(product *product, label, path string) place {
	p.product, p.path, p.row = product, path, product.rowFor(label, path)
	return p
}

func (p place) withAccounts(endpoint string) place {
	p.accounts = endpoint
	if endpoint == "userinfo" {
		p.product, p.row = profile, profile.row
	}
	return p
}

// endpoints of an accounts server, by the end of their path.
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
