package tests

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// storedGrants has its accounts in the store alone, and a site of its own beside.
const storedGrants = `{
	zoho {
		store bolt {$ZOHO_STORE}
		client main {
			data_center   {$ZOHO_DATA_CENTER}
			client_id     {env.ZOHO_CLIENT_ID}
			client_secret {env.ZOHO_CLIENT_SECRET}
			{$ZOHO_CLIENT_OPTIONS}
		}
	}
}
http://:{$ZOHO_PORT} {
	bind 127.0.0.1
	zoho_health
	handle /other-site {
		respond "other site"
	}
	zoho_proxy {
		account {http.request.header.Zoho-Proxy-Account}
	}
}
`

// newStored prepares a Caddy whose store holds the grant of one account, as consent
// would have left it.
func newStored(t *testing.T) (*proxy, *zohosim.Server, string) {
	t.Helper()
	server, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, storedGrants, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL)
	c.secrets = append(c.secrets, grant)
	store := boltstore.New(c.storeDir())
	defer store.Close()
	err := store.SaveGrant(tokencache.Key{Client: "main", Account: "shop"}, [][]byte{[]byte(clientSecret)},
		tokencache.Grant{RefreshToken: grant, AccountsServer: baseURL})
	if err != nil {
		t.Fatal(err)
	}
	return c, server, grant
}

func (c *proxy) shop() answer {
	c.t.Helper()
	return c.get(threeServices[0], "Zoho-Proxy-Account", "shop")
}

// othersServe checks that what happened to our store does not concern other sites.
func (c *proxy) othersServe() {
	c.t.Helper()
	if a := c.get("/other-site"); string(a.body) != "other site" {
		c.t.Errorf("the other site answers %s %s", a.Status, a.body)
	}
}

// TestStoredGrantServes: the grant is in the store alone, and survives.
func TestStoredGrantServes(t *testing.T) {
	t.Parallel()
	c, server, _ := newStored(t)
	for range 2 {
		c.start()
		if a := c.shop(); a.StatusCode >= 300 || a.problem() != "" {
			t.Errorf("%s %s", a.Status, a.body)
		}
		c.stop()
	}
	wantTokenCalls(t, server, 1)
}

// TestDamagedGrantsFile: Caddy starts, other sites serve, the accounts of the file
// answer `store` with the remedy, nothing is begun anew, and the file put back heals.
func TestDamagedGrantsFile(t *testing.T) {
	t.Parallel()
	damages := map[string]func(path string) error{
		"garbage":   func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("garbage "), 4096), 0o600) },
		"truncated": func(path string) error { return os.Truncate(path, 8192) },
		"empty":     func(path string) error { return os.Truncate(path, 0) },
		"gone":      os.Remove,
		"directory": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, server, _ := newStored(t)
			c.start() // leaves the mark that there were grants
			c.shop()
			c.stop()
			path := filepath.Join(c.storeDir(), "grants.db")
			backup, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			damaged, _ := os.ReadFile(path)
			c.start()
			a := c.shop()
			wantProblem(t, a, "store", http.StatusServiceUnavailable)
			if a.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if !strings.Contains(string(a.body), path) {
				t.Errorf("the detail does not name the file: %s", a.body)
			}
			c.othersServe()
			c.stop()
			if now, _ := os.ReadFile(path); !bytes.Equal(now, damaged) {
				t.Error("the file was touched")
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, backup, 0o600); err != nil {
				t.Fatal(err)
			}
			c.start()
			if a := c.shop(); a.problem() != "" {
				t.Errorf("with the file back: %s", a.body)
			}
			wantTokenCalls(t, server, 1)
		})
	}
}

// TestGrantsFileReplacedWhileRunning: a live token serves on; the file put back
// heals without a restart.
func TestGrantsFileReplacedWhileRunning(t *testing.T) {
	t.Parallel()
	c, server, grant := newStored(t)
	c.start()
	c.shop()
	path := filepath.Join(c.storeDir(), "grants.db")
	if err := os.Rename(path, path+".kept"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := c.shop(); a.problem() != "" {
		t.Errorf("with a live token: %s", a.body)
	}
	server.RevokeAccess(grant)
	wantProblem(t, c.shop(), "store", http.StatusServiceUnavailable)
	c.othersServe()
	wantTokenCalls(t, server, 1)
	if err := os.Rename(path+".kept", path); err != nil {
		t.Fatal(err)
	}
	c.waitFor("the connection to heal", func() bool { return c.shop().problem() == "" })
	wantTokenCalls(t, server, 2)
}

// TestDamagedTokensFile: it is a cache, set aside and begun anew. It costs a token.
func TestDamagedTokensFile(t *testing.T) {
	t.Parallel()
	damages := map[string]func(path string) error{
		"garbage":   func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("garbage "), 4096), 0o600) },
		"truncated": func(path string) error { return os.Truncate(path, 8192) },
		"directory": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, server, _ := startSimulated(t, zohosim.Options{})
			c.succeed(http.MethodGet, threeServices[0], "")
			c.stop()
			if err := damage(filepath.Join(c.storeDir(), "tokens.db")); err != nil {
				t.Fatal(err)
			}
			c.start()
			c.succeed(http.MethodGet, threeServices[0], "")
			wantTokenCalls(t, server, 2)
			if aside, _ := filepath.Glob(filepath.Join(c.storeDir(), "tokens.db.damaged-*")); len(aside) != 1 {
				t.Errorf("set aside: %v", aside)
			}
			c.logs("was begun anew")
		})
	}
}

// TestUnwritableStore: where tokens cannot be kept they serve from memory, and it is
// counted.
func TestUnwritableStore(t *testing.T) {
	t.Parallel()
	c, server, grant := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, threeServices[0], "")
	path := filepath.Join(c.storeDir(), "tokens.db")
	if err := os.Rename(c.storeDir(), c.storeDir()+".gone"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.storeDir(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server.RevokeAccess(grant)
	c.succeed(http.MethodGet, threeServices[0], "")
	wantTokenCalls(t, server, 2)
	c.waitFor("the failed write to be counted", func() bool { return c.metric("zoho_store_errors_total", `operation="save"`) > 0 })

	if err := os.Remove(c.storeDir()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(c.storeDir()+".gone", c.storeDir()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c.waitFor("the token to be written after all", func() bool {
		now, _ := os.ReadFile(path)
		return !bytes.Equal(now, before)
	})
	c.stop()
	c.start()
	c.succeed(http.MethodGet, threeServices[0], "")
	wantTokenCalls(t, server, 2)
}

// TestStoreModes: whatever the umask, others cannot read.
func TestStoreModes(t *testing.T) {
	t.Parallel()
	c, _, _ := startSimulated(t, zohosim.Options{})
	c.succeed(http.MethodGet, threeServices[0], "")
	info, err := os.Stat(c.storeDir())
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("store: %v %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(c.storeDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", entry.Name(), info.Mode(), err)
		}
	}
	for _, name := range []string{"tokens.db", "grants.db"} {
		content, _ := os.ReadFile(filepath.Join(c.storeDir(), name))
		c.checkSecrets(name, content)
	}
}
