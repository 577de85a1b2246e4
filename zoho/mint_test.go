package zoho_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/cause"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// TestMint: scopes are joined by commas, an organization is named if there is one, and a refresh token that
// comes all the same is kept by nobody.
func TestMint(t *testing.T) {
	for soid, want := range map[string]string{
		"":             "client_id=" + clientID + "&client_secret=" + clientSecret + "&grant_type=client_credentials&scope=ZohoCRM.modules.ALL%2CDesk.basic.READ",
		"ZohoCRM.6001": "client_id=" + clientID + "&client_secret=" + clientSecret + "&grant_type=client_credentials&scope=ZohoCRM.modules.ALL%2CDesk.basic.READ&soid=ZohoCRM.6001",
	} {
		var got string
		accounts := accountsAt(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			form, _ := url.ParseQuery(string(body))
			got = form.Encode()
			_, _ = io.WriteString(w, strings.Replace(okReply, "{", `{"refresh_token":"`+refreshToken+`",`, 1))
		})
		r, err := accounts.Mint(t.Context(), zoho.MintParams{Scopes: []string{"ZohoCRM.modules.ALL", "Desk.basic.READ"}, SOID: soid})
		if err != nil || r.AccessToken != accessToken || r.RefreshToken != "" {
			t.Errorf("%v, %v", r, err)
		}
		if got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
	}
}

// TestMintRefused: nothing that Zoho says of such a call asks for consent, and it is the same after a restart.
func TestMintRefused(t *testing.T) {
	for code, want := range map[string]cause.Cause{
		"missing_org_info": cause.OrgNeeded, "invalid_soid": cause.OrgRefused, "invalid_org": cause.OrgRefused,
		"invalid_scope": cause.ScopeRefused, "unsupported_grant_type": cause.GrantType,
		"invalid_code": cause.GrantType, "invalid_grant": cause.GrantType,
	} {
		accounts := answering(200, "application/json", strings.NewReader(`{"error":"`+code+`"}`))
		_, err := accounts.Mint(t.Context(), zoho.MintParams{Scopes: []string{"ZohoCRM.modules.ALL"}})
		f := mustFail(t, err)
		if f.Kind != zoho.FailureMisconfigured || !f.NoToken || zoho.Rejection("client_rejected: "+f.Error()) != want {
			t.Errorf("%s: %v %v", code, f.Kind, f)
		}
		if hint := f.Hint(); strings.Contains(hint, "consent again") || !strings.Contains(hint, "soid") && !strings.Contains(hint, "scopes") {
			t.Errorf("%s: %s", code, hint)
		}
	}
}
