package tests

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	oauthserver "github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"
)

// TestServerByOthers: the whole way, against an authorization server that others wrote,
// behind Zoho's paths. So it is not only our own reading of the protocol that is tried.
func TestServerByOthers(t *testing.T) {
	t.Parallel()
	manager := manage.NewDefaultManager()
	manager.SetAuthorizeCodeTokenCfg(&manage.Config{AccessTokenExp: time.Hour, RefreshTokenExp: 24 * time.Hour, IsGenerateRefresh: true})
	manager.SetRefreshTokenCfg(&manage.RefreshingConfig{AccessTokenExp: time.Hour, IsRemoveAccess: true}) // Zoho rotates nothing
	tokens, err := store.NewMemoryTokenStore()
	if err != nil {
		t.Fatal(err)
	}
	manager.MapTokenStorage(tokens)
	clients := store.NewClientStore()
	manager.MapClientStorage(clients)
	manager.SetValidateURIHandler(manage.DefaultValidateURI)
	oauth := oauthserver.NewDefaultServer(manager)
	oauth.SetClientInfoHandler(oauthserver.ClientFormHandler)
	oauth.SetAllowedGrantType(oauth2.AuthorizationCode, oauth2.Refreshing)
	oauth.SetUserAuthorizationHandler(func(http.ResponseWriter, *http.Request) (string, error) { return "ann", nil })

	var tokenCalls atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oauth/v2/auth", func(w http.ResponseWriter, r *http.Request) {
		if err := oauth.HandleAuthorizeRequest(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("POST /oauth/v2/token", func(w http.ResponseWriter, r *http.Request) {
		tokenCalls.Add(1)
		_ = oauth.HandleTokenRequest(w, r)
	})
	mux.HandleFunc("/crm/", func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Zoho-oauthtoken ")
		info, err := manager.LoadAccessToken(r.Context(), token)
		if err != nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`))
			return
		}
		_, _ = w.Write([]byte("hello " + info.GetUserID()))
	})
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)

	c := newCaddy(t, onboarding, "ZOHO_DATA_CENTER="+site.URL+" "+site.URL, "ZOHO_CONNECT_OPTIONS=")
	if err := clients.Set(clientID, &models.Client{ID: clientID, Secret: clientSecret, Domain: c.url}); err != nil {
		t.Fatal(err)
	}
	c.start()
	b := newBrowser(t)
	wantPage(t, b.get(c.consent(b, "default")), 200, "The grant is stored")
	greet := func() {
		t.Helper()
		if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "default"); string(a.body) != "hello ann" {
			t.Fatalf("%s %s", a.Status, a.body)
		}
	}
	greet()
	before := tokenCalls.Load()
	token := c.connections("").Connections[0]
	if token.Generation != 1 {
		t.Errorf("generation %d", token.Generation)
	}
	// This server ends the access token of before with each renewal.
	c.wantCLI(cli{"refresh main default", 0, "default", ""})
	greet()
	if n := tokenCalls.Load() - before; n != 1 {
		t.Errorf("%d token calls for a refresh and a call", n)
	}
	callback := c.consent(b, "default")
	wantPage(t, b.get(callback), 200, "The grant is stored")
	wantPage(t, b.get(callback), 409, "used already")
	greet()
}
