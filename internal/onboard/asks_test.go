package onboard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestAsks: customers read what is asked for in words, product by product, and no scope that only the proxy needs.
func TestAsks(t *testing.T) {
	scopes := strings.Fields("ZohoCRM.modules.ALL ZohoCRM.org.READ AaaServer.profile.READ Desk.tickets.READ ZohoBooks.fullaccess.all " +
		"ZOHOPEOPLE.forms.CREATE ZohoCRM.modules.leads.READ ZohoCRM.settings.custom_views.UPDATE ZohoCampaigns.contact.CREATE-UPDATE " +
		"zohobookings.data.CREATE PhoneBridge.call.log ZohoCRM.modules.ALL ZohoMail.organization.accounts.DELETE")
	var got []string
	for _, a := range asksOf(scopes) {
		got = append(got, a.Product+": "+strings.Join(a.Things, "; "))
	}
	want := []string{
		"Zoho CRM: see, add, change, and delete records; see your organization’s details; see leads; change custom views",
		"Your profile: see your name and email address",
		"Zoho Desk: see tickets",
		"Zoho Books: see, add, change, and delete everything",
		"Zoho People: add forms",
		"Zoho Campaigns: add and change contact",
		"Zoho Bookings: add data",
		"Zoho PhoneBridge: use call logs",
		"Zoho Mail: delete accounts",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if shown := fmt.Sprint(shownScopes(scopes)); strings.Contains(shown, "AaaServer") || !strings.Contains(shown, "Desk.tickets.READ") {
		t.Errorf("shown: %s", shown)
	}
}
