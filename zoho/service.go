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
	// suffix; "" if it has none, or none that ends in the suffix (see HostAt).
	// Requests to /Name/ go there unless Gateway is set, or it is ProfileService; a gateway
	// service keeps it for bases of old, such as books.zoho.com/api/v3, that are reached by host name.
	Host string
	// Base is where the API begins: at the gateway "/crm/v8", at a host of its own "/api/v1"; "" if
	// that is not known, or depends on the module.
	Base string
	// Sure is how well the base is known.
	Sure Certainty
	// Refused is how its refusals of a token are known.
	Refused Evidence
	// Limits are those of the API that are known, in words; "" if none is.
	Limits string

	at      map[string]string // its own hosts by data center, where they do not end in the suffix
	also    []string          // further labels of that product, reached by host name only
	own     []string          // bases at its own host, of a service that has an API at the gateway as well
	absent  string            // codes of data centers where it is known not to be
	scopes  string            // what its scopes begin with, the usual form first
	refuses string            // its rows of the verdict table; "" for the textual ones alone
}

// Certainty is how well a fact is known.
type Certainty string

// How well the host and the path of an API are known.
const (
	// Strong is a page of Zoho's, a measurement, or several programs that agree.
	Strong Certainty = "strong"
	// Medium is one source, or the pattern of the others.
	Medium Certainty = "medium"
)

// Evidence is what a fact is known by.
type Evidence string

// What refusals are known by, the best first.
const (
	// Measured: somebody wrote down what Zoho answered.
	Measured Evidence = "measured"
	// Documented: a page of Zoho's has it.
	Documented Evidence = "documented"
	// Reported: a program in use, or its tests, expects it.
	Reported Evidence = "reported"
	// ByPattern: services of its family refuse like that.
	ByPattern Evidence = "by pattern"
	// Unknown: nobody wrote down anything.
	Unknown Evidence = "unknown"
)

const (
	limitsFinance = "100 requests a minute (code 44), 1,000 to 10,000 a day (45), 5 or 10 at once (1070)"
	limitsCRM     = "credits in 24 hours by edition; 5 to 25 at once, 10 of heavy calls (`TOO_MANY_REQUESTS`)"
)

// ProfileService is the service of who has consented. It is one path of the accounts server,
// ProfilePath, and only read: everything else there deals in tokens and passwords.
const ProfileService = "profile"

// ProfilePath is where apps ask for it. Zoho's older SDKs call it right after a token call
// (zcrm-python-sdk, OAuthClient.getUserInfoURL).
const ProfilePath = "/oauth/user/info"

// services holds every product whose host and path are known well enough to send a token
// there, by name. The sources are the products' pages, programs in use (rclone for WorkDrive's
// hosts), and requests that somebody measured: projects.zoho.com/api/v3 answers 401, the same
// path at the gateway 404.
//
// api_domain fits only the gateway services: paths of the others answer 404
// there, even where Zoho's own pages say otherwise.
//
// A data center is absent where the API was measured not to answer. Products of which too little is
// known for a row stand in leftOut.
var services = [...]Service{
	{Name: "analytics", Host: "analyticsapi", Base: "/restapi/v2", scopes: "ZohoAnalytics",
		Sure: Strong, refuses: "analytics", Refused: Measured},
	{Name: "assist", Host: "assist", Base: "/api/v2",
		Sure: Medium, Refused: Unknown},
	{Name: "backstage", Gateway: true, Base: "/backstage/v3", scopes: "zohobackstage",
		Sure: Medium, Refused: Unknown},
	{Name: "bigin", Host: "bigin", Gateway: true, Base: "/bigin/v2", scopes: "ZohoBigin",
		Sure: Strong, refuses: "crm", Refused: Measured},
	{Name: "billing", Host: "billing", Gateway: true, Base: "/billing/v1", scopes: "ZohoSubscriptions ZohoBilling",
		also: []string{"subscriptions"},
		Sure: Strong, refuses: "finance", Refused: ByPattern, Limits: "100 requests a minute"},
	{Name: "bookings", Host: "bookings", Gateway: true, Base: "/bookings/v1/json", scopes: "zohobookings",
		Sure: Strong, refuses: "bookings", Refused: Measured},
	{Name: "books", Host: "books", Gateway: true, Base: "/books/v3", scopes: "ZohoBooks",
		Sure: Strong, refuses: "finance", Refused: Measured, Limits: limitsFinance},
	{Name: "bugtracker", Host: "bugtracker", scopes: "ZohoBugTracker ZohoBugs",
		Sure: Medium, Refused: Unknown},
	{Name: "calendar", Host: "calendar", Base: "/api/v1", scopes: "ZohoCalendar",
		Sure: Strong, refuses: "calendar", Refused: Measured},
	{Name: "campaigns", Host: "campaigns", Base: "/api/v1.1", scopes: "ZohoCampaigns",
		Sure: Strong, refuses: "campaigns", Refused: Measured},
	{Name: "catalyst", Host: "api.catalyst", Base: "/baas/v1", scopes: "ZohoCatalyst QuickML",
		Sure: Strong, refuses: "catalyst", Refused: Measured},
	{Name: "cliq", Host: "cliq", Base: "/api/v2", scopes: "ZohoCliq",
		Sure: Strong, refuses: "cliq", Refused: Measured, Limits: "by call (`request_limit_exceeded`, under 400)"},
	{Name: "commerce", Host: "commerce", Gateway: true, Base: "/commerce/v1", scopes: "ZohoCommerce",
		own:  []string{"/store/api/v1", "/zs-site/api/v1"}, // better known than the gateway's
		Sure: Strong, Refused: Unknown},
	{Name: "connect", Host: "connect", Base: "/pulse/api", scopes: "zohopulse",
		Sure: Strong, Refused: Unknown},
	{Name: "contacts", Host: "contacts", Base: "/api/v1/accounts/self/contacts", scopes: "zohocontacts",
		Sure: Strong, Refused: Unknown},
	{Name: "contracts", Host: "contracts", Base: "/api/v1",
		Sure: Medium, Refused: Unknown},
	{Name: "creator", Host: "creator", Gateway: true, Base: "/creator/v2.1", scopes: "ZohoCreator",
		absent: "uk sg", // measured: it answers at nine gateways, and not at these
		Sure:   Strong, refuses: "creator", Refused: Measured, Limits: "by day and plan (code 4000, under 200 or 403)"},
	{Name: "crm", Host: "crm", Gateway: true, Base: "/crm/v8", scopes: "ZohoCRM",
		Sure: Strong, refuses: "crm", Refused: Measured, Limits: limitsCRM},
	{Name: "desk", Host: "desk", Base: "/api/v1", scopes: "Desk",
		Sure: Strong, refuses: "desk", Refused: Measured,
		Limits: "credits a day by plan (`THRESHOLD_EXCEEDED`), 5 and more at once (`TOO_MANY_REQUESTS`)"},
	{Name: "endpointcentral", scopes: "DesktopCentralCloud",
		at: map[string]string{
			"us": "endpointcentral.manageengine.com", "eu": "endpointcentral.manageengine.eu",
			"in": "endpointcentral.manageengine.in", "au": "endpointcentral.manageengine.com.au",
			"cn": "endpointcentral.manageengine.cn", "jp": "endpointcentral.manageengine.jp",
		},
		Sure: Medium, Refused: Unknown},
	{Name: "erp", Host: "erp", Gateway: true, Base: "/erp/v3",
		Sure: Medium, refuses: "finance", Refused: ByPattern},
	{Name: "expense", Host: "expense", Gateway: true, Base: "/expense/v1", scopes: "ZohoExpense",
		Sure: Strong, refuses: "finance", Refused: ByPattern},
	{Name: "fsm", Host: "fsm", Gateway: true, Base: "/fsm/v1", scopes: "ZohoFSM", own: []string{"/fsm/v1"},
		Sure: Strong, refuses: "crm", Refused: ByPattern,
		Limits: "5,000 to 25,000 requests a day, 2,500 to 5,000 a minute for each user, 5 or 15 at once"},
	{Name: "inventory", Host: "inventory", Gateway: true, Base: "/inventory/v1", scopes: "ZohoInventory",
		Sure: Strong, refuses: "finance", Refused: Measured, Limits: limitsFinance},
	{Name: "invoice", Host: "invoice", Gateway: true, Base: "/invoice/v3", scopes: "ZohoInvoice",
		Sure: Strong, refuses: "finance", Refused: Measured, Limits: limitsFinance},
	{Name: "learn", Host: "learn", Base: "/learn/api/v1/portal", scopes: "ZohoLearn",
		Sure: Medium, Refused: Unknown},
	{Name: "lens", Host: "lens", Base: "/api/v2",
		Sure: Medium, Refused: Unknown},
	{Name: "mail", Host: "mail", Base: "/api", scopes: "ZohoMail VirtualOffice",
		Sure: Strong, refuses: "mail", Refused: Measured},
	{Name: "marketingautomation", Host: "marketingautomation", Base: "/api/v1", scopes: "ZohoMarketingAutomation",
		Sure: Strong, Refused: Unknown},
	{Name: "mdm", Base: "/api/v1/mdm", scopes: "MDMOnDemand",
		at:   map[string]string{"us": "mdm.manageengine.com"}, // others exist, no source names them
		Sure: Medium, Refused: Unknown},
	{Name: "meeting", Host: "meeting", Base: "/api/v2", scopes: "ZohoMeeting",
		Sure: Strong, Refused: Reported},
	{Name: "payments", Base: "/api/v1", scopes: "ZohoPay",
		at:   map[string]string{"us": "payments.zoho.com", "in": "payments.zoho.in"},
		Sure: Strong, Refused: Unknown, Limits: "600 requests a minute, 60 of refunds"},
	{Name: "paymentssandbox", Base: "/api/v1", scopes: "ZohoPaySandbox",
		at:   map[string]string{"in": "paymentssandbox.zoho.in"},
		Sure: Strong, Refused: Unknown},
	{Name: "payroll", Gateway: true, Base: "/payroll/v1",
		Sure: Medium, Refused: Unknown},
	{Name: "people", Host: "people", Base: "/people/api", scopes: "ZOHOPEOPLE",
		Sure: Strong, refuses: "people", Refused: Measured, Limits: "by call (code 7209)"},
	{Name: "phonebridge", Host: "phonebridge", Gateway: true, Base: "/phonebridge/v3", scopes: "PhoneBridge",
		Sure: Strong, refuses: "phonebridge", Refused: Measured},
	{Name: ProfileService, Host: "accounts", Base: ProfilePath, scopes: "AaaServer",
		Sure: Strong, Refused: Reported},
	{Name: "projects", Host: "projectsapi", Base: "/api/v3", scopes: "ZohoProjects ZohoPC",
		also: []string{"projects"},
		Sure: Strong, refuses: "projects", Refused: Measured,
		Limits: "some 200 requests to one call in two minutes (`URL_ROLLING_THROTTLES_LIMIT_EXCEEDED`, under 400 or 200)"},
	{Name: "recruit", Host: "recruit", Base: "/recruit/v2", scopes: "ZohoRecruit",
		Sure: Strong, refuses: "recruit", Refused: Reported},
	{Name: "salesiq", Host: "salesiq", Base: "/api/v2", scopes: "SalesIQ",
		Sure: Medium, refuses: "salesiq", Refused: Documented, Limits: "code 1023: the address is locked"},
	{Name: "servicedeskplus", Base: "/api/v3", scopes: "SDPOnDemand",
		at: map[string]string{
			"us": "sdpondemand.manageengine.com", "eu": "sdpondemand.manageengine.eu", "in": "sdpondemand.manageengine.in",
			"cn": "servicedeskplus.cn", "au": "servicedeskplus.net.au", "jp": "servicedeskplus.jp",
			"ca": "servicedeskplus.ca", "uk": "servicedeskplus.uk", "sa": "servicedeskplus.sa",
		},
		Sure: Strong, Refused: Unknown},
	{Name: "sheet", Host: "sheet", Base: "/api/v2", scopes: "ZohoSheet",
		absent: "ca", // measured: there is no such host
		Sure:   Strong, refuses: "sheet", Refused: Measured},
	{Name: "shifts", Host: "shifts", Base: "/api/v1",
		Sure: Medium, Refused: Unknown},
	{Name: "sign", Host: "sign", Base: "/api/v1", scopes: "ZohoSign",
		Sure: Strong, refuses: "sign", Refused: Measured},
	{Name: "site24x7", Base: "/api", scopes: "Site24x7",
		at: map[string]string{
			"us": "www.site24x7.com", "eu": "www.site24x7.eu", "cn": "www.site24x7.cn", "in": "www.site24x7.in",
			"au": "www.site24x7.net.au", "ca": "www.site24x7.ca", "sa": "www.site24x7.sa",
			"jp": "app.site24x7.jp", "uk": "app.site24x7.uk", "ae": "app.site24x7.ae",
		},
		Sure: Strong, Refused: Unknown},
	// Programs call www.zohoapis.com/social/v1 as well.
	{Name: "social", Host: "social", Gateway: true, Base: "/social/v1", scopes: "ZohoSocial", own: []string{"/social/v2"},
		Sure: Medium, refuses: "social", Refused: Documented},
	{Name: "sprints", Host: "sprintsapi", Base: "/zsapi", scopes: "ZohoSprints",
		Sure: Strong, Refused: Unknown},
	{Name: "survey", Host: "survey", Base: "/survey/api/v1/private",
		Sure: Medium, Refused: Unknown},
	{Name: "tables", Host: "tables", Base: "/api/v1", scopes: "ZohoTables",
		Sure: Strong, Refused: Unknown},
	{Name: "vault", Host: "vault", Base: "/api/rest/json/v1", scopes: "ZohoVault",
		Sure: Strong, Refused: Unknown},
	{Name: "voice", Host: "voice", Base: "/rest/json/v1", scopes: "ZohoVoice",
		Sure: Strong, Refused: Unknown},
	{Name: "webinar", Host: "webinar", Base: "/api/v2", scopes: "ZohoWebinar",
		Sure: Medium, Refused: Unknown},
	{Name: "workdrive", Host: workDriveLabel, Gateway: true, Base: "/workdrive/api/v1",
		scopes: "WorkDrive ZohoFiles TeamDrive",
		Sure:   Strong, refuses: "workdrive", Refused: Reported,
		Limits: "some 6 requests a second, 19 lists of one folder a minute (`F7008`, with Retry-After)"},
	{Name: "workerly", Host: "www.workerly", Base: "/workerly/v2", scopes: "ZohoWorkerly",
		Sure: Strong, Refused: Unknown},
	{Name: "writer", Host: "writer", Gateway: true, Base: "/writer/api/v1", scopes: "ZohoWriter",
		Sure: Medium, Refused: Unknown},
}

// leftOut are products that have no row, and why.
var leftOut = map[string]string{
	"checkout":    noAPI,
	"dataprep":    "its API is not known well enough",
	"directory":   "the host of its API is not known",
	"flow":        noAPI,
	"forms":       noAPI,
	"iot":         noAPI,
	"landingpage": noAPI,
	"pagesense":   noAPI,
	"practice":    noAPI,
	"show":        "its API takes a key, not an OAuth token",
	"thrive":      "its API is not known well enough",
	"todo":        noAPI,
	"zeptomail":   "sending takes a key (Zoho-enczapikey), not an OAuth token, at its own domain",
}

const noAPI = "no known API takes OAuth tokens"

// LeftOut gives the reason why a product of Zoho's is no service here, by its name in lowercase letters;
// "" for services, and for what is no product.
func LeftOut(name string) string { return leftOut[name] }

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

// Scopes are what the scopes of the service begin with, the usual form first: ZohoSubscriptions
// of ZohoSubscriptions.invoices.READ.
func (s Service) Scopes() []string { return strings.Fields(s.scopes) }

// HostAt is the service's own host in a data center, "" if it has none there, or none that is known.
func (s Service) HostAt(dc DataCenter) string {
	switch {
	case s.AbsentAt(dc.Code) || dc.Custom:
		return ""
	case s.at != nil:
		return s.at[dc.Code]
	case s.Host != "":
		return s.Host + "." + dc.Suffix
	}
	return ""
}

// AbsentAt reports whether a service is known not to be offered in the data center of that code.
func (s Service) AbsentAt(code string) bool { return slices.Contains(strings.Fields(s.absent), code) }
