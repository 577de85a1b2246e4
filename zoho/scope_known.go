package zoho

import "strings"

// knownScope are scopes of one service: names, and operations, "" for none.
type knownScope struct{ service, names, operations string }

// knownScopes are scopes as the pages of Zoho's APIs spell them, by their first part: names, and behind a bar the
// operations if they are not the usual ones. The list is not complete, as Zoho's own are not: it is good for
// finding what a mistyped scope was meant to be, not for refusing one.
var knownScopes = []knownScope{
	{"ZohoCRM", "modules modules.leads modules.accounts modules.contacts modules.deals modules.campaigns modules.tasks " +
		"modules.cases modules.events modules.calls modules.solutions modules.products modules.vendors modules.pricebooks " +
		"modules.quotes modules.salesorders modules.purchaseorders modules.invoices modules.custom modules.notes " +
		"modules.attachments modules.dashboards settings settings.modules settings.fields settings.layouts settings.roles " +
		"settings.profiles settings.custom_views settings.related_lists settings.tags settings.territories users org bulk " +
		"notifications coql files send_mail", usualOperations},
	{"ZohoBigin", "modules modules.contacts modules.pipelines settings users org bulk notifications coql", usualOperations},
	{"ZohoRecruit", "modules modules.candidate modules.jobopening settings users org bulk notifications", usualOperations},
	{"ZohoBooks", "contacts settings estimates invoices customerpayments creditnotes projects expenses salesorders " +
		"purchaseorders bills debitnotes vendorpayments banking accountants", usualOperations},
	{"ZohoBooks", "fullaccess", "all"},
	{"ZohoInvoice", "contacts settings estimates invoices customerpayments creditnotes projects expenses", usualOperations},
	{"ZohoInvoice", "fullaccess", "all"},
	{"ZohoInventory", "contacts items compositeitems settings salesorders packages shipmentorders invoices customerpayments " +
		"salesreturns creditnotes purchaseorders purchasereceives bills inventoryadjustments transferorders", usualOperations},
	{"ZohoInventory", "fullaccess", "all"},
	{"ZohoExpense", "expensereport approval reimbursement advance orgsettings", usualOperations},
	{"ZohoExpense", "fullaccess", "ALL"},
	{"ZohoSubscriptions", "customers plans products subscriptions invoices payments settings", usualOperations},
	{"ZohoSubscriptions", "fullaccess", "all"},
	{"Desk", "tickets tasks contacts accounts agents departments settings events articles calls community products " +
		"organization", usualOperations},
	{"Desk", "search basic", "READ"},
	{"ZohoMail", "messages accounts folders tags tasks notes organization.accounts organization.groups", usualOperations},
	{"ZohoCalendar", "calendar event search", usualOperations},
	{"ZOHOPEOPLE", "forms employee attendance leave timetracker timesheet", usualOperations},
	{"ZohoProjects", "portals projects tasklists tasks bugs milestones timesheets events forums documents users tags " +
		"search", usualOperations},
	{"ZohoBugTracker", "portals projects bugs milestones", usualOperations},
	{"ZohoCliq", "Channels Messages Webhooks Users Chats Reminders Buddies Teams", usualOperations},
	{"ZohoCampaigns", "contact", "ALL READ CREATE-UPDATE WRITE"},
	{"ZohoCampaigns", "campaign", "ALL READ CREATE UPDATE"},
	{"ZohoSign", "documents templates account", usualOperations},
	{"ZohoAnalytics", "metadata data embed modeling usermanagement share", "read create update delete all"},
	{"ZohoAnalytics", "fullaccess", "all"},
	{"ZohoSheet", "dataAPI", "READ UPDATE"},
	{"ZohoMeeting", "meeting recording manageOrg", usualOperations},
	{"ZohoWebinar", "webinar", usualOperations},
	{"ZohoSocial", "Organization Publish Media", usualOperations},
	{"ZohoCreator", "report form meta.application meta.form", usualOperations},
	{"WorkDrive", "files team teamfolders users workspace organization", usualOperations},
	{"ZohoFiles", "files", usualOperations},
	{"ZohoWriter", "documentEditor merge", usualOperations},
	{"ZohoFSM", "modules users", usualOperations},
	{"ZohoMarketingAutomation", "lead campaign", usualOperations},
	{"zohobackstage", "event portal order", usualOperations},
	{"zohobookings", "data", "CREATE"},
	{"PhoneBridge", "call.log zohoone.search", ""},
	{"AaaServer", "profile", "READ"},
}

const usualOperations = "ALL READ CREATE UPDATE DELETE"

// ownAccount are the products that say no_org of a user without an account in them (help.zoho.com), by how their scopes
// begin, without Zoho.
var ownAccount = map[string]string{
	"bigin": "Bigin", "phonebridge": "PhoneBridge", "campaigns": "Campaigns", "qengine": "QEngine", "crm": "CRM",
	"recruit": "Recruit", "desk": "Desk", "solution": "Solution", "solutions": "Solution", "iot": "IoT",
	"zeptomail": "ZeptoMail", "zepto": "ZeptoMail", "marketingautomation": "Marketing Automation",
}

// OrgProducts are the products of some scopes for which a user needs an account of his own in the product, by the
// names that people know them by, in the order of the scopes. Without one Zoho ends a consent by no_org.
func OrgProducts(scopes []string) (products []string) {
	seen := make(map[string]bool)
	for _, scope := range scopes {
		service := strings.ToLower(ParseScope(scope).Service)
		name := ownAccount[strings.TrimPrefix(service, "zoho")]
		if name != "" && !seen[name] {
			products = append(products, name)
		}
		seen[name] = true
	}
	return products
}
