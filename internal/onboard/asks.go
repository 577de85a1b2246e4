package onboard

import (
	"cmp"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// What scopes ask for, in the words of people who never heard of a scope.

// ask is what is asked for of one product.
type ask struct {
	Product string
	Things  []string // as in "see and change records"
}

// asksOf says what scopes ask for, product by product in their order.
func asksOf(scopes []string) (asks []ask) {
	for _, text := range scopes {
		s := zoho.ParseScope(text)
		product, thing := productOf(s.Service), thingOf(s)
		if isProfile(s) {
			product, thing = "Your profile", "see your name and email address"
		}
		i := slices.IndexFunc(asks, func(a ask) bool { return a.Product == product })
		if i < 0 {
			i, asks = len(asks), append(asks, ask{Product: product})
		}
		if !slices.Contains(asks[i].Things, thing) {
			asks[i].Things = append(asks[i].Things, thing)
		}
	}
	return asks
}

// shownScopes are those that customers are shown. How the proxy learns who they are is none of them.
func shownScopes(scopes []string) (shown []string) {
	for _, s := range scopes {
		if !isProfile(zoho.ParseScope(s)) {
			shown = append(shown, s)
		}
	}
	return shown
}

// isProfile reports whether a scope is one of Zoho Accounts' own.
func isProfile(s zoho.Scope) bool { return strings.EqualFold(s.Service, "AaaServer") }

// products are those whose scopes do not begin with their names.
var products = map[string]string{
	"people": "People", "bookings": "Bookings", "backstage": "Backstage", "subscriptions": "Billing", "pay": "Payments",
	"marketingautomation": "Marketing Automation", "bugtracker": "BugTracker", "paysandbox": "Payments (sandbox)",
}

// productOf is the name that people know the product of a scope by.
func productOf(service string) string {
	name := service
	if len(name) > 4 && strings.EqualFold(name[:4], "zoho") {
		name = name[4:]
	}
	return "Zoho " + cmp.Or(products[strings.ToLower(name)], name)
}

// verbs are what operations let an app do.
var verbs = map[string]string{
	"all": "see, add, change, and delete", "": "use", "read": "see", "create": "add", "update": "change",
	"delete": "delete", "write": "add and change", "create-update": "add and change",
}

// things are what scopes name, where that is no word to read.
var things = map[string]string{
	"modules": "records", "org": "your organization’s details", "organization": "your organization’s details",
	"orgsettings": "your organization’s settings", "users": "the list of users", "coql": "records that a search finds",
	"fullaccess": "everything", "bulk": "records in bulk", "custom": "custom records", "data": "data", "": "data",
	"salesorders": "sales orders", "purchaseorders": "purchase orders", "pricebooks": "price books",
	"customerpayments": "customer payments", "vendorpayments": "vendor payments", "creditnotes": "credit notes",
	"debitnotes": "debit notes", "jobopening": "job openings", "timetracker": "tracked time", "tasklists": "task lists",
	"teamfolders": "team folders", "expensereport": "expense reports", "send_mail": "mail to send",
	"usermanagement": "users", "dataapi": "spreadsheet data", "log": "call logs", "basic": "basic settings",
	"compositeitems": "composite items", "shipmentorders": "shipment orders", "salesreturns": "sales returns",
	"purchasereceives": "purchase receipts", "inventoryadjustments": "inventory adjustments",
	"transferorders": "transfer orders",
}

// thingOf is what a scope lets an app do with what.
func thingOf(s zoho.Scope) string {
	name := strings.TrimSuffix(strings.ToLower(s.Name), ".all")
	name = name[strings.LastIndexByte(name, '.')+1:]
	return verbs[strings.ToLower(s.Operation)] + " " + cmp.Or(things[name], strings.ReplaceAll(name, "_", " "))
}
