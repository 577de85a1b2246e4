package zohosim

import (
	"slices"
	"strings"
)

// product is a service of Zoho's with an API: where it lives and how it refuses.
type product struct {
	// name is what faults, statistics and the path at the gateway call it.
	name string
	// gateway is whether it lives behind the shared gateway, under /name/.
	gateway bool
	// labels are those of its own hosts, which stand before the data center's suffix.
	labels []string
	// hosts are its own by data center, where they are not made like that or not everywhere.
	hosts map[string]string
	// absent are the data centers where it was measured not to answer.
	absent []string
	// scopes are the service parts of scopes that admit to it, in any letter case.
	scopes []string
	// family says which refusals it gives: a key of refusals.
	family string
	// bearer is whether it was seen taking "Bearer" beside "Zoho-oauthtoken".
	bearer bool
}

// products are from their introductions on zoho.com, from the clients that use them, and from requests
// that somebody measured. Behind the gateway stand those whose path answers there: Desk's, Projects',
// People's and Recruit's do not, whatever Zoho's pages say.
var products = []*product{
	{name: "crm", gateway: true, labels: []string{"crm"}, scopes: []string{"ZohoCRM"}, family: "crm"},
	{name: "bigin", gateway: true, labels: []string{"bigin"}, scopes: []string{"ZohoBigin"}, family: "crm"},
	{name: "phonebridge", gateway: true, scopes: []string{"PhoneBridge"}, family: "phonebridge"},
	{name: "books", gateway: true, labels: []string{"books"}, scopes: []string{"ZohoBooks"}, family: "books"},
	{name: "invoice", gateway: true, labels: []string{"invoice"}, scopes: []string{"ZohoInvoice"}, family: "books"},
	{name: "inventory", gateway: true, labels: []string{"inventory"},
		scopes: []string{"ZohoInventory"}, family: "books"},
	{name: "billing", gateway: true, labels: []string{"billing", "subscriptions"},
		scopes: []string{"ZohoSubscriptions", "ZohoBilling"}, family: "books"},
	{name: "expense", gateway: true, labels: []string{"expense"}, scopes: []string{"ZohoExpense"}, family: "books"},
	{name: "creator", gateway: true, labels: []string{"creator"}, absent: []string{"uk", "sg"},
		scopes: []string{"ZohoCreator"}, family: "creator"},
	{name: "workdrive", gateway: true, labels: []string{"workdrive"},
		scopes: []string{"WorkDrive", "ZohoFiles"}, family: "workdrive"},
	{name: "writer", gateway: true, labels: []string{"writer"}, scopes: []string{"ZohoWriter"}, family: "other"},
	{name: "bookings", gateway: true, labels: []string{"bookings"}, scopes: []string{"zohobookings"}, family: "bookings"},
	{name: "erp", gateway: true, scopes: []string{"ZohoERP"}, family: "books"},
	{name: "commerce", gateway: true, labels: []string{"commerce"}, scopes: []string{"ZohoCommerce"}, family: "other"},
	{name: "fsm", gateway: true, labels: []string{"fsm"}, scopes: []string{"ZohoFSM"}, family: "crm"},
	{name: "desk", labels: []string{"desk"}, scopes: []string{"Desk"}, family: "desk"},
	{name: "mail", labels: []string{"mail"},
		scopes: []string{"ZohoMail", "VirtualOffice"}, family: "mail", bearer: true},
	{name: "calendar", labels: []string{"calendar"}, scopes: []string{"ZohoCalendar"}, family: "calendar"},
	{name: "people", labels: []string{"people"}, scopes: []string{"ZOHOPEOPLE"}, family: "people"},
	{name: "recruit", labels: []string{"recruit"}, scopes: []string{"ZohoRecruit"}, family: "crm"},
	{name: "projects", labels: []string{"projects", "projectsapi"},
		scopes: []string{"ZohoProjects"}, family: "projects", bearer: true},
	{name: "bugtracker", labels: []string{"bugtracker"}, scopes: []string{"ZohoBugTracker"}, family: "projects"},
	{name: "cliq", labels: []string{"cliq"}, scopes: []string{"ZohoCliq"}, family: "cliq", bearer: true},
	{name: "salesiq", labels: []string{"salesiq"}, scopes: []string{"SalesIQ"}, family: "salesiq"},
	{name: "campaigns", labels: []string{"campaigns"}, scopes: []string{"ZohoCampaigns"}, family: "campaigns"},
	{name: "sign", labels: []string{"sign"}, scopes: []string{"ZohoSign"}, family: "sign"},
	{name: "analytics", labels: []string{"analytics", "analyticsapi"},
		scopes: []string{"ZohoAnalytics"}, family: "analytics"},
	{name: "sheet", labels: []string{"sheet"}, absent: []string{"ca"}, scopes: []string{"ZohoSheet"}, family: "sheet"},
	{name: "meeting", labels: []string{"meeting"}, scopes: []string{"ZohoMeeting"}, family: "meeting"},
	{name: "social", gateway: true, labels: []string{"social"}, scopes: []string{"ZohoSocial"}, family: "social"},
	{name: "backstage", gateway: true, scopes: []string{"zohobackstage"}, family: "other"},
	{name: "payroll", gateway: true, scopes: []string{"ZohoPayroll"}, family: "other"},
	{name: "catalyst", labels: []string{"api.catalyst", "catalyst"},
		scopes: []string{"ZohoCatalyst", "QuickML"}, family: "catalyst"},
	{name: "assist", labels: []string{"assist"}, scopes: []string{"ZohoAssist"}, family: "other"},
	{name: "contracts", labels: []string{"contracts"}, scopes: []string{"ZohoContracts"}, family: "other"},
	{name: "lens", labels: []string{"lens"}, scopes: []string{"ZohoLens"}, family: "other"},
	{name: "shifts", labels: []string{"shifts"}, scopes: []string{"ZohoShifts"}, family: "other"},
	{name: "workerly", labels: []string{"www.workerly"}, scopes: []string{"ZohoWorkerly"}, family: "other"},
	{name: "sprints", labels: []string{"sprintsapi"}, scopes: []string{"ZohoSprints"}, family: "other"},
	{name: "voice", labels: []string{"voice"}, scopes: []string{"ZohoVoice"}, family: "other"},
	{name: "vault", labels: []string{"vault"}, scopes: []string{"ZohoVault"}, family: "other"},
	{name: "marketingautomation", labels: []string{"marketingautomation"},
		scopes: []string{"ZohoMarketingAutomation"}, family: "other"},
	{name: "connect", labels: []string{"connect"}, scopes: []string{"zohopulse"}, family: "other"},
	{name: "tables", labels: []string{"tables"}, scopes: []string{"ZohoTables"}, family: "other"},
	{name: "contacts", labels: []string{"contacts"}, scopes: []string{"zohocontacts"}, family: "other"},
	{name: "webinar", labels: []string{"webinar"}, scopes: []string{"ZohoWebinar"}, family: "other"},
	{name: "learn", labels: []string{"learn"}, scopes: []string{"ZohoLearn"}, family: "other"},
	{name: "survey", labels: []string{"survey"}, scopes: []string{"ZohoSurvey"}, family: "other"},
	{name: "payments", hosts: map[string]string{"us": "payments.zoho.com", "in": "payments.zoho.in"},
		scopes: []string{"ZohoPay"}, family: "other"},
	{name: "paymentssandbox", hosts: map[string]string{"in": "paymentssandbox.zoho.in"},
		scopes: []string{"ZohoPaySandbox"}, family: "other"},
	// ManageEngine's, which take tokens of Zoho's accounts servers at domains of their own.
	{name: "servicedeskplus", hosts: map[string]string{
		"us": "sdpondemand.manageengine.com", "eu": "sdpondemand.manageengine.eu", "in": "sdpondemand.manageengine.in",
		"au": "servicedeskplus.net.au", "ca": "servicedeskplus.ca", "cn": "servicedeskplus.cn",
		"jp": "servicedeskplus.jp", "sa": "servicedeskplus.sa", "uk": "servicedeskplus.uk",
	}, scopes: []string{"SDPOnDemand"}, family: "other"},
	{name: "endpointcentral", hosts: map[string]string{
		"us": "endpointcentral.manageengine.com", "eu": "endpointcentral.manageengine.eu",
		"in": "endpointcentral.manageengine.in", "au": "endpointcentral.manageengine.com.au",
		"cn": "endpointcentral.manageengine.cn", "jp": "endpointcentral.manageengine.jp",
	}, scopes: []string{"DesktopCentralCloud"}, family: "other"},
	{name: "mdm", hosts: map[string]string{"us": "mdm.manageengine.com"}, scopes: []string{"MDMOnDemand"}, family: "other"},
	{name: "site24x7", hosts: map[string]string{
		"us": "www.site24x7.com", "eu": "www.site24x7.eu", "in": "www.site24x7.in", "cn": "www.site24x7.cn",
		"au": "www.site24x7.net.au", "ca": "www.site24x7.ca", "sa": "www.site24x7.sa",
		"jp": "app.site24x7.jp", "uk": "app.site24x7.uk", "ae": "app.site24x7.ae",
	}, scopes: []string{"Site24x7"}, family: "other"},
}

// profile is the one resource of the accounts server itself.
var profile = &product{
	name: "accounts", labels: []string{"accounts"}, scopes: []string{"AaaServer"}, family: "accounts", bearer: true,
}

// Services lists the services there are, as the control API and Stats name them.
func Services() []string {
	names := make([]string, len(products))
	for i, p := range products {
		names[i] = p.name
	}
	return names
}

// productByName finds a product as a path or a fault names it.
func productByName(name string) *product {
	for _, p := range products {
		if p.name == name {
			return p
		}
	}
	return nil
}

// productByLabel finds a product by a host of its own.
func productByLabel(label string) *product {
	for _, p := range products {
		for _, l := range p.labels {
			if l == label {
				return p
			}
		}
	}
	return nil
}

// isIn reports whether the product is offered in a data center.
func (p *product) isIn(dc string) bool { return !slices.Contains(p.absent, dc) }

// familyFor names the refusals that hold for one path: some products have older or other APIs beside
// the main one, and they refuse in their own way.
func (p *product) familyFor(path string) string {
	switch {
	case p.family == "projects" && strings.HasPrefix(path, "/restapi"):
		return "projects-v1"
	case p.family == "analytics" && strings.HasPrefix(path, "/api/"):
		return "analytics-v1"
	case p.family == "catalyst" && strings.Contains(path, "/quickml"):
		return "quickml"
	default:
		return p.family
	}
}

// bearerFor reports whether a path was seen taking Bearer: of Projects, only v3.
func (p *product) bearerFor(path string) bool {
	return p.bearer && !strings.HasPrefix(path, "/restapi")
}
