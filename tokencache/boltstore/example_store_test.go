package boltstore_test

import (
	"fmt"
	"os"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// A grant is sealed by the client's secret, and printing it gives nothing away.
func ExampleStore() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()

	store := boltstore.New(dir)
	defer func() { _ = store.Close() }()
	key := tokencache.Key{Client: "main", Account: "default"}
	secrets := [][]byte{[]byte("the client secret")}
	err = store.SaveGrant(key, secrets, tokencache.Grant{
		RefreshToken:   "1000.abc.def",
		AccountsServer: "https://accounts.zoho.eu",
		Scopes:         []string{"ZohoCRM.modules.ALL"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	grant, found, err := store.LoadGrant(key, secrets)
	fmt.Println(store.Accounts("main"), found, err)
	fmt.Println(grant)
	// Output:
	// [default] true <nil>
	// grant{refresh_token:REDACTED accounts_server:https://accounts.zoho.eu scopes:ZohoCRM.modules.ALL granted_at:0001-01-01T00:00:00Z}
}
