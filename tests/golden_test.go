package tests

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// goldenStores are the stores of earlier versions, see boltstore's golden_test.go.
const goldenStores = "../tokencache/boltstore/testdata/stores"

// goldenSecrets are what they are sealed by, each of them alone.
var goldenSecrets = map[string][]string{
	"client_secret":  {"golden-client-secret-the-new-one-41d7", "golden-client-secret-the-old-one-9c02"},
	"encryption_key": {"golden-encryption-key-8c1f0b52"},
}

const goldenConfig = `{
	zoho {
		store bolt {$ZOHO_STORE}
		{$GOLDEN_KEY}
		client main {
			data_center   us eu
			client_id     insecure_literal 1000.GOLDEN
			client_secret {env.ZOHO_CLIENT_SECRET}
			{$ZOHO_CLIENT_OPTIONS}
		}
		client second {
			data_center   ca
			client_id     insecure_literal 1000.SECOND
			client_secret {env.ZOHO_CLIENT_SECRET}
			{$ZOHO_CLIENT_OPTIONS}
		}
	}
}
http://:{$ZOHO_PORT} {
	bind 127.0.0.1
	@second header Test-Client second
	zoho_proxy @second second
	zoho_proxy main {
		account {http.request.header.Zoho-Proxy-Account}
	}
}
`

// goldenAccounts are what they hold.
var goldenAccounts = []struct{ client, account, id, center, refreshToken string }{
	{"main", "default", "1000.GOLDEN", "us", "1000.goldendefault"},
	{"main", "customer-7@example.eu", "1000.GOLDEN", "eu", "1000.goldencustomer"},
	{"second", "default", "1000.SECOND", "ca", "1000.goldensecond"},
}

// TestGoldenStoresServe: Caddy serves the accounts of a store that an earlier version has left,
// by each secret that sealed it, and leaves it such that the others go on opening it.
func TestGoldenStoresServe(t *testing.T) {
	t.Parallel()
	versions, err := os.ReadDir(goldenStores)
	if err != nil || len(versions) == 0 {
		t.Fatalf("no stores of earlier versions: %v", err)
	}
	for _, version := range versions {
		for kind, secrets := range goldenSecrets {
			for _, first := range secrets {
				t.Run(version.Name()+"/"+kind, func(t *testing.T) {
					t.Parallel()
					others := slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return s == first })
					serveGolden(t, filepath.Join(goldenStores, version.Name(), kind), kind, slices.Concat([]string{first}, others, []string{first}))
				})
			}
		}
	}
}

// serveGolden runs Caddy on a copy of a store with one secret after the other.
func serveGolden(t *testing.T, store, kind string, secrets []string) {
	server := zohosim.New(zohosim.Options{})
	addr, ca, stop := server.StartTLS(t.TempDir())
	t.Cleanup(stop)
	c := newCaddy(t, goldenConfig, "ZOHO_CLIENT_OPTIONS=simulator "+addr+" "+ca, "GOLDEN_KEY=")
	if err := os.CopyFS(c.storeDir(), os.DirFS(store)); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(c.storeDir(), "*"))
	for _, path := range files {
		if err := os.Chmod(path, 0o600); err != nil { // git knows no modes
			t.Fatal(err)
		}
	}
	for run, secret := range secrets {
		ofClient := clientSecret
		if kind == "encryption_key" {
			c.setenv("GOLDEN_KEY=encryption_key {env.TEST_KEY}", "TEST_KEY="+secret)
		} else {
			ofClient = secret
		}
		c.setenv("ZOHO_CLIENT_SECRET=" + ofClient)
		c.secrets = append(c.secrets, secret)
		if err := os.RemoveAll(c.masterKey()); err != nil { // nothing but the secret opens it
			t.Fatal(err)
		}
		for _, a := range goldenAccounts {
			server.AddClient(zohosim.Client{ID: a.id, Secret: ofClient})
			if run == 0 {
				server.GrantAs(zohosim.GrantSpec{ClientID: a.id, DataCenter: a.center, RefreshToken: a.refreshToken})
				c.secrets = append(c.secrets, a.refreshToken)
			}
		}
		server.Expire("")
		c.start()
		for _, a := range goldenAccounts {
			c.succeed(http.MethodGet, "/crm/v8/Leads", "", "Test-Client", a.client, "Zoho-Proxy-Account", a.account)
		}
		c.wantGolden(uint64(42 + run)) // the record of before has generation 41
		c.stop()
		if strings.Contains(c.output.String(), "cannot be read") {
			t.Error("the log says of a grant that it cannot be read")
		}
	}
}

// wantGolden looks at what status says of the accounts.
func (c *proxy) wantGolden(generation uint64) {
	c.t.Helper()
	stdout, stderr, code := c.run("zoho", "status", "--json", "--address", c.admin)
	var status struct {
		Connections []struct {
			Client, Account, State string
			HasGrant               bool `json:"has_grant"`
			Generation             uint64
		}
	}
	if err := json.Unmarshal([]byte(stdout), &status); err != nil || code != 0 {
		c.t.Fatalf("status: %d, %v, %s %s", code, err, stdout, stderr)
	}
	if len(status.Connections) != len(goldenAccounts) {
		c.t.Errorf("status shows %s", stdout)
	}
	for _, found := range status.Connections {
		if found.State != "ok" || !found.HasGrant || found.Client == "main" && found.Account == "default" && found.Generation != generation {
			c.t.Errorf("status says %+v", found)
		}
	}
}
