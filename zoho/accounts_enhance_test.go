package zoho_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func TestEnhanceToken(t *testing.T) {
	const enhance = "1000.f95a0db717f52b825e3f94654f651000.ced2cf4e786cf04c0e91daee54000000"
	answer := `{"access_token":"` + enhance + `","token_type":"update_scope","expires_in":600}`
	var form url.Values
	accounts := accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/oauth/v2/token/scopeenhance" || r.URL.RawQuery != "" || r.Method != http.MethodPost {
			t.Errorf("asked %s %s", r.Method, r.URL)
		}
		_ = r.ParseForm()
		form = r.PostForm
		_, _ = w.Write([]byte(answer))
	})
	token, err := accounts.EnhanceToken(context.Background(), refreshToken)
	if token != enhance || err != nil {
		t.Fatalf("%q, %v", token, err)
	}
	want := url.Values{
		"grant_type": {"update_scopes_token"}, "client_id": {clientID}, "client_secret": {clientSecret},
		"refresh_token": {refreshToken},
	}
	if form.Encode() != want.Encode() {
		t.Errorf("sent %v", form)
	}
	to, err := url.Parse(accounts.EnhanceURL(zoho.EnhanceParams{
		RedirectURI: "https://app.example/callback", Scopes: []string{"ZohoCRM.settings.READ", "Desk.tickets.ALL"}, Token: token,
	}))
	if err != nil || to.Path != "/oauth/v2/token/addextrascope" {
		t.Errorf("the page is %s: %v", to, err)
	}
	want = url.Values{
		"response_type": {"update_scopes"}, "client_id": {clientID}, "redirect_uri": {"https://app.example/callback"},
		"scope": {"ZohoCRM.settings.READ,Desk.tickets.ALL"}, "enhance_token": {enhance}, "logout": {"false"},
	}
	if to.Query().Encode() != want.Encode() {
		t.Errorf("the page is asked with %v", to.Query())
	}

	// What serves calls is not put into an address.
	answer = okReply
	if token, err := accounts.EnhanceToken(context.Background(), refreshToken); token != "" || err == nil ||
		strings.Contains(err.Error(), accessToken) {
		t.Errorf("of an access token: %q, %v", token, err)
	}
	for code, kind := range map[string]zoho.FailureKind{
		"invalid_client": zoho.FailureClientRejected, "invalid_code": zoho.FailureGrantDead,
		"unsupported_grant_type": zoho.FailureMisconfigured, "general_error": zoho.FailureTemporary,
	} {
		answer = `{"error":"` + code + `"}`
		_, err := accounts.EnhanceToken(context.Background(), refreshToken)
		var failure *zoho.Failure
		if !errors.As(err, &failure) || failure.Kind != kind {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestOrganizationConsent(t *testing.T) {
	eu, _ := zoho.LookupDataCenter("eu")
	accounts := &zoho.Accounts{DataCenter: eu, ClientID: "1005.ORG"}
	to := accounts.AuthorizeURL(zoho.AuthorizeParams{
		RedirectURI: "https://app.example/callback", State: "s", Scopes: []string{"ZohoPay.payments.CREATE"}, SOID: "zohopay.77",
	})
	u, err := url.Parse(to)
	if err != nil || u.Host+u.Path != "accounts.zoho.eu/oauth/v2/org/auth" || u.Query().Get("soid") != "zohopay.77" ||
		u.Query().Get("state") != "s" || u.Query().Get("access_type") != "offline" || u.Query().Get("prompt") != "consent" {
		t.Errorf("%s: %v", to, err)
	}
	if !zoho.LooksLikeClientID("1005.ORG") {
		t.Error("an organization's client has no id")
	}
}

func TestMissingScopes(t *testing.T) {
	wanted := []string{"ZohoCRM.modules.leads.READ", "Desk.tickets.READ", "desk.tickets.read", "ZohoBooks.invoices.ALL"}
	for _, test := range []struct{ granted, missing string }{
		{"", "ZohoCRM.modules.leads.READ,Desk.tickets.READ,desk.tickets.read,ZohoBooks.invoices.ALL"},
		{"zohocrm.modules.all,Desk.tickets.READ", "ZohoBooks.invoices.ALL"},
		{"ZohoBooks.fullaccess.all,DESK.tickets.ALL", "ZohoCRM.modules.leads.READ"},
		{"ZohoBooks.invoices.READ,Desk.tickets.ALL,ZohoCRM.modules.leads.READ", "ZohoBooks.invoices.ALL"},
	} {
		got := zoho.MissingScopes(zoho.SplitScopes(test.granted), wanted)
		if !slices.Equal(got, zoho.SplitScopes(test.missing)) {
			t.Errorf("granted %q: %v are missing, want %s", test.granted, got, test.missing)
		}
	}
}
