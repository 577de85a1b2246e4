package zohosim

import "strings"

// product is a service of Zoho's with an API: where it lives and how it refuses.
type product struct {
	name    string
	gateway bool     // behind the shared gateway, under /name/
	labels  []string // its own hosts, the label before the data center's suffix
	scopes  []string // the service part of scopes that admit to it
	row     string   // which refusals it gives, see rows
	bearer  bool     // seen taking "Bearer" as well
}

var products = []*product{
	{"crm", true, []string{"crm"}, []string{"ZohoCRM"}, "crm", false},
	{"bigin", true, []string{"bigin"}, []string{"ZohoBigin"}, "crm", false},
	{"phonebridge", true, nil, []string{"PhoneBridge"}, "phonebridge", false},
	{"books", true, []string{"books"}, []string{"ZohoBooks"}, "books", false},
	{"invoice", true, []string{"invoice"}, []string{"ZohoInvoice"}, "books", false},
	{"inventory", true, []string{"inventory"}, []string{"ZohoInventory"}, "books", false},
	{"billing", true, []string{"billing", "subscriptions"}, []string{"ZohoSubscriptions", "ZohoBilling"}, "books", false},
	{"expense", true, []string{"expense"}, []string{"ZohoExpense"}, "books", false},
	{"creator", true, []string{"creator"}, []string{"ZohoCreator"}, "creator", false},
	{"workdrive", true, []string{"workdrive", "download", "upload", "files"}, []string{"WorkDrive", "ZohoFiles"}, "workdrive", false},
	{"writer", true, []string{"writer"}, []string{"ZohoWriter"}, "other", false},
	{"bookings", true, []string{"bookings"}, []string{"zohobookings"}, "other", false},
	{"erp", true, nil, []string{"ZohoERP"}, "books", false},
	{"commerce", true, []string{"commerce"}, []string{"ZohoCommerce"}, "other", false},
	{"fsm", true, []string{"fsm"}, []string{"ZohoFSM"}, "crm", false},
	{"desk", false, []string{"desk"}, []string{"Desk"}, "desk", false},
	{"mail", false, []string{"mail"}, []string{"ZohoMail", "VirtualOffice"}, "mail", true},
	{"calendar", false, []string{"calendar"}, []string{"ZohoCalendar"}, "calendar", false},
	{"people", false, []string{"people"}, []string{"ZOHOPEOPLE"}, "people", false},
	{"recruit", false, []string{"recruit"}, []string{"ZohoRecruit"}, "crm", false},
	{"projects", false, []string{"projects", "projectsapi"}, []string{"ZohoProjects"}, "projects", true},
	{"bugtracker", false, []string{"bugtracker"}, []string{"ZohoBugTracker"}, "projects", false},
	{"cliq", false, []string{"cliq"}, []string{"ZohoCliq"}, "cliq", true},
	{"salesiq", false, []string{"salesiq"}, []string{"SalesIQ"}, "salesiq", false},
	{"campaigns", false, []string{"campaigns"}, []string{"ZohoCampaigns"}, "campaigns", false},
	{"sign", false, []string{"sign"}, []string{"ZohoSign"}, "sign", false},
	{"analytics", false, []string{"analytics", "analyticsapi"}, []string{"ZohoAnalytics"}, "analytics", false},
	{"sheet", false, []string{"sheet"}, []string{"ZohoSheet"}, "sheet", false},
	{"meeting", false, []string{"meeting"}, []string{"ZohoMeeting"}, "meeting", false},
	{"social", false, []string{"social"}, []string{"ZohoSocial"}, "social", false},
	{"backstage", false, []string{"backstage"}, []string{"zohobackstage"}, "other", false},
	{"catalyst", false, []string{"api.catalyst", "catalyst"}, []string{"ZohoCatalyst", "QuickML"}, "catalyst", false},
	{"directory", false, []string{"directory"}, []string{"ZohoDirectory"}, "other", false},
	{"assist", false, []string{"assist"}, []string{"ZohoAssist"}, "other", false},
	{"contracts", false, []string{"contracts"}, []string{"ZohoContracts"}, "other", false},
	{"lens", false, []string{"lens"}, []string{"ZohoLens"}, "other", false},
	{"shifts", false, []string{"shifts"}, []string{"ZohoShifts"}, "other", false},
	{"workerly", false, []string{"workerly"}, []string{"ZohoWorkerly"}, "other", false},
}

// profile is the one resource of the accounts server itself.
var profile = &product{"accounts", false, []string{"accounts"}, []string{"AaaServer"}, "accounts", true}

// Services lists the services there are, as the control API and Stats name them.
func Services() []string {
	names := make([]string, len(products))
	for i, p := range products {
		names[i] = p.name
	}
	return names
}

func productByName(name string) *product {
	for _, p := range products {
		if p.name == name {
			return p
		}
	}
	return nil
}

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

// rowFor names the refusals that hold for one path: some products have older or other APIs beside
// the main one, and they refuse in their own way.
func (p *product) rowFor(label, path string) string {
	switch {
	case p.row == "projects" && strings.HasPrefix(path, "/restapi"):
		return "projects-v1"
	case p.row == "catalyst" && strings.Contains(path, "/quickml"):
		return "quickml"
	case p.row == "workdrive" && label != "" && label != "workdrive":
		return "workdrive-files"
	default:
		return p.row
	}
}

// bearerFor reports whether a path was seen taking Bearer: of Projects, only v3.
func (p *product) bearerFor(path string) bool {
	return p.bearer && !strings.HasPrefix(path, "/restapi")
}
