package zoho

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Probe is a call that only reads, and little, and shows whether a scope was granted.
type Probe struct {
	Scope string // that it takes
	Path  string // as RoutePath takes it, with a query
}

// probes are calls by the first two parts of a scope, in lower case; {name} is the
// scope's third part, or what stands behind the bar. Sources: the pages of the APIs,
// which name each call's scope.
var probes = map[string]string{
	"zohocrm.modules":        "/crm/v8/{name|Leads}?fields=id&per_page=1",
	"zohocrm.users":          "/crm/v8/users?type=CurrentUser",
	"zohocrm.org":            "/crm/v8/org",
	"zohocrm.settings":       "/crm/v8/settings/{name|modules}",
	"zohobigin.modules":      "/bigin/v2/{name|Contacts}?fields=id&per_page=1",
	"zohobigin.users":        "/bigin/v2/users?type=CurrentUser",
	"zohobigin.org":          "/bigin/v2/org",
	"zohorecruit.modules":    "/recruit/v2/{name|Candidates}?per_page=1",
	"zohorecruit.users":      "/recruit/v2/users?type=CurrentUser",
	"zohorecruit.org":        "/recruit/v2/org",
	"zohofsm.modules":        "/fsm/v1/{name|Work_Orders}?per_page=1", // as CRM's
	"desk.tickets":           "/desk/api/v1/tickets?limit=1",
	"desk.contacts":          "/desk/api/v1/contacts?limit=1",
	"desk.basic":             "/desk/api/v1/organizations", // the one call that needs no orgId
	"zohomail.accounts":      "/mail/api/accounts",
	"zohosign.documents":     "/sign/api/v1/requests",
	"zohocliq.channels":      "/cliq/api/v2/channels?limit=1",
	"zohocalendar.calendar":  "/calendar/api/v1/calendars",
	"zohoprojects.portals":   "/projects/restapi/portals/",
	"zohoanalytics.metadata": "/analytics/restapi/v2/orgs",
	"zohopeople.forms":       "/people/people/api/forms",
	"workdrive.users":        "/workdrive/api/v1/users/me",
	"aaaserver.profile":      ProfilePath,
}

// financeProbes are the lists of Books and its family, whose scopes have one form.
var financeProbes = map[string]string{
	"fullaccess": "organizations", "settings": "organizations", "contacts": "contacts", "estimates": "estimates",
	"invoices": "invoices", "customerpayments": "customerpayments", "creditnotes": "creditnotes",
	"projects": "projects", "expenses": "expenses", "salesorders": "salesorders", "purchaseorders": "purchaseorders",
	"bills": "bills", "vendorpayments": "vendorpayments", "banking": "bankaccounts", "accountants": "chartofaccounts",
	"items": "items",
}

// financeFamily are its services, by the scope's first part, with their versions.
var financeFamily = map[string]string{
	"zohobooks": "/books/v3/", "zohoinvoice": "/invoice/v3/", "zohoinventory": "/inventory/v1/",
	"zohoexpense": "/expense/v1/", "zohobilling": "/billing/v1/", "zohosubscriptions": "/billing/v1/",
}

// ProbeOf finds a call for a scope; there is none for scopes that do not allow to read,
// nor for those whose calls are not known.
func ProbeOf(scope string) (Probe, bool) {
	parsed := ParseScope(scope)
	switch strings.ToUpper(parsed.Operation) {
	case "ALL", "READ", "":
	default:
		return Probe{}, false
	}
	name, rest, _ := strings.Cut(parsed.Name, ".")
	service, name := strings.ToLower(parsed.Service), strings.ToLower(name)
	if version, ok := financeFamily[service]; ok {
		list, ok := financeProbes[name]
		return Probe{scope, version + list + "?per_page=1"}, ok
	}
	path, ok := probes[service+"."+name]
	if from := strings.IndexByte(path, '{'); from >= 0 {
		to := strings.IndexByte(path, '}')
		_, usual, _ := strings.Cut(path[from:to], "|")
		if rest == "" || strings.EqualFold(rest, "ALL") {
			rest = usual
		}
		path = path[:from] + url.PathEscape(rest) + path[to+1:]
	}
	return Probe{scope, path}, ok
}

// usualScopes are those that most apps of a service have, one for each.
var usualScopes = []string{
	"ZohoCRM.modules.ALL", "ZohoBigin.modules.ALL", "ZohoRecruit.modules.ALL", "Desk.basic.READ",
	"ZohoMail.accounts.READ", "ZohoSign.documents.READ", "ZohoCliq.Channels.READ", "ZohoCalendar.calendar.READ",
	"ZohoProjects.portals.READ", "ZohoAnalytics.metadata.read", "ZOHOPEOPLE.forms.READ", "WorkDrive.users.READ",
	"ZohoBooks.settings.READ", "ZohoInvoice.settings.READ", "ZohoInventory.settings.READ",
	"ZohoExpense.settings.READ", "ZohoBilling.settings.READ", ScopeProfile,
}

// ServiceProbe finds a call for a service whose scopes are not known.
func ServiceProbe(service string) (Probe, bool) {
	for _, scope := range usualScopes {
		if p, ok := ProbeOf(scope); ok && p.Service() == service {
			return p, true
		}
	}
	return Probe{}, false
}

// Service is the service that is called.
func (p Probe) Service() string { return ServiceOfPath(p.Path) }

// Call makes the call as an app behind the proxy would, and judges the answer. target
// is that of Path; authorization is the value of the header.
func (p Probe) Call(
	ctx context.Context, client *http.Client, target Target, authorization string,
) (status int, verdict Verdict, err error) {
	address := target.Scheme + "://" + target.Host + target.Rewrite(p.Path)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, VerdictNone, fmt.Errorf("%s is not a path", show(p.Path))
	}
	req.Header.Set("Authorization", authorization)
	wantPlainJSON(req)
	accounts := Accounts{HTTP: client} // for its rules: no redirects, no cookies
	resp, err := accounts.client().Do(req)
	if err != nil {
		return 0, VerdictNone, err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxJudged))
	return resp.StatusCode, target.Judge(resp, body), nil
}
