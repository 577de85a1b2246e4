package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestManyAccounts: with a thousand accounts in the store the pages show some of them,
// lead to the others, and find one.
func TestManyAccounts(t *testing.T) {
	t.Parallel()
	const many = 1000
	server := zohosim.New(zohosim.Options{})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret})
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	c := newCaddy(t, onboarding, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_CONNECT_OPTIONS=")
	store := boltstore.New(c.storeDir())
	for i := range many {
		user := fmt.Sprintf("user%04d@example.com", i)
		err := store.SaveGrant(tokencache.Key{Client: "main", Account: fmt.Sprintf("account-%04d", i)}, [][]byte{[]byte(clientSecret)},
			tokencache.Grant{RefreshToken: server.Grant(clientID, user, "us"), AccountsServer: baseURL, User: user})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	c.start()
	if a := c.get("/crm/v8/Leads", "Zoho-Proxy-Account", "account-0234"); a.StatusCode >= 300 {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	for _, test := range []struct {
		query     string
		has, lack []string
	}{
		{"", []string{"1000 connections", "account-0000", "account-0049", "Page 1 of 20", "./?page=2"}, []string{"account-0050", "Before"}},
		{"?page=20", []string{"account-0999", "Page 20 of 20", "./?page=19"}, []string{"Next", "account-0949<"}},
		{"?page=4000", []string{"account-0999"}, nil},
		{"?page=-1", []string{"account-0000"}, nil},
		{"?q=account-02", []string{"100 connections", "account-0234", "Page 1 of 2", "q=account-02"}, []string{"account-0000"}},
		{"?q=USER0234@", []string{"1 connection ", "account-0234"}, []string{"account-0235", "Page "}},
		{"?q=nobody", []string{"No connection with"}, []string{"account-"}},
	} {
		page := string(newBrowser(t).get(c.pages() + test.query).body)
		for _, text := range test.has {
			if !strings.Contains(page, text) {
				t.Errorf("%s: there is no %q", test.query, text)
			}
		}
		for _, text := range test.lack {
			if strings.Contains(page, text) {
				t.Errorf("%s: there is %q", test.query, text)
			}
		}
	}
}
