package zoho

import (
	"slices"
	"strings"
)

// Service is a product with an API. Some live behind the API gateway that they share,
// the others at a host of their own:
//
//	https://www.zohoapis.eu/crm/v8/Leads     crm, Gateway
//	https://desk.zoho.eu/api/v1/tickets      desk, Host "desk"
type Service struct {
	// Name is what the service is called in paths, settings and metrics.
	Name string
	// Gateway says that it lives behind the shared gateway, under /Name/.
	Gateway bool
	// Host is the label of the product's own host, before the data center's
	// suffix. Requests to /Name/ go there unless Gateway is set, or it is ProfileService; a gateway
	// service keeps it for bases of old, such as books.zoho.com/api/v3.
	Host string

	also []string // further labels of that product, reached by host name only
}

// Labels of WorkDrive's file hosts.
const (
	downloadLabel = "download"
	uploadLabel   = "upload"
)

// reasonLabels are those of the hosts for files, which say why they refuse in the reason phrase
// of HTTP/1.1 ("401 INVALID_OAUTHSCOPE"), and nowhere else: rclone depends on it for WorkDrive's
// downloads and uploads. content and files take the uploads of the CRM family.
var reasonLabels = []string{downloadLabel, "download-accl", uploadLabel, "content", "files"}

// speaksByReason reports whether a host of Zoho's is one of those.
func speaksByReason(host string) bool {
	label, _, _ := strings.Cut(host, ".")
	return slices.Contains(reasonLabels, label) && domainOwner(host) != nil
}

// ProfileService is the service of who has consented. It is one path of the accounts server,
// ProfilePath, and only read: everything else there deals in tokens and passwords.
const ProfileService = "profile"

// ProfilePath is where apps ask for it. Zoho's older SDKs call it right after a token call
// (zcrm-python-sdk, OAuthClient.getUserInfoURL).
const ProfilePath = "/oauth/user/info"

// services holds every product whose host is known, by name. Missing, because no source
// named their hosts when the table was made: Social, Backstage, FSM, Commerce, Directory,
// Workerly. The sources are the products' pages, rclone for WorkDrive's hosts, and
// requests that somebody measured: projects.zoho.com/api/v3 answers 401, the same path
// at the gateway 404.
//
// api_domain fits only the gateway services: paths of the others answer 404
// there, even where Zoho's own pages say otherwise.
var services = [...]Service{
	{Name: "analytics", Host: "analyticsapi"},
	{Name: "assist", Host: "assist"},
	{Name: "bigin", Host: "bigin", Gateway: true},
	{Name: "billing", Host: "billing", Gateway: true, also: []string{"subscriptions"}},
	{Name: "bookings", Host: "bookings", Gateway: true},
	{Name: "books", Host: "books", Gateway: true},
	{Name: "bugtracker", Host: "bugtracker"},
	{Name: "calendar", Host: "calendar"},
	{Name: "campaigns", Host: "campaigns"},
	{Name: "catalyst", Host: "api.catalyst"},
	{Name: "cliq", Host: "cliq"},
	{Name: "contracts", Host: "contracts"},
	{Name: "creator", Host: "creator", Gateway: true},
	{Name: "crm", Host: "crm", Gateway: true},
	{Name: "desk", Host: "desk"},
	{Name: "erp", Host: "erp", Gateway: true},
	{Name: "expense", Host: "expense", Gateway: true},
	{Name: "inventory", Host: "inventory", Gateway: true},
	{Name: "invoice", Host: "invoice", Gateway: true},
	{Name: "lens", Host: "lens"},
	{Name: "mail", Host: "mail"},
	{Name: "meeting", Host: "meeting"},
	{Name: "people", Host: "people"},
	{Name: "phonebridge", Host: "phonebridge", Gateway: true},
	{Name: ProfileService, Host: "accounts"},
	{Name: "projects", Host: "projectsapi", also: []string{"projects"}},
	{Name: "recruit", Host: "recruit"},
	{Name: "salesiq", Host: "salesiq"},
	{Name: "sheet", Host: "sheet"},
	{Name: "shifts", Host: "shifts"},
	{Name: "sign", Host: "sign"},
	{Name: "workdrive", Host: "workdrive", Gateway: true, also: []string{downloadLabel, uploadLabel}},
	{Name: "writer", Host: "writer", Gateway: true},
}

// Services returns all services, by name.
func Services() []Service { return slices.Clone(services[:]) }

// ServiceNames returns the names of all services, sorted.
func ServiceNames() []string {
	names := make([]string, len(services))
	for i, s := range services {
		names[i] = s.Name
	}
	return names
}

// LookupService finds a service by its exact name.
func LookupService(name string) (Service, bool) {
	i := slices.IndexFunc(services[:], func(s Service) bool { return s.Name == name })
	if i < 0 {
		return Service{}, false
	}
	return services[i], true
}
