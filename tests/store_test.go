// What is stored: grants serve after a restart, damaged and unwritable files cost as little as can
// be, and secrets and keys may change and be lost.

package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// storedGrants has its accounts in the store alone, and a site of its own beside.
var storedGrants = oneSite("", `
			{$ZOHO_CLIENT_OPTIONS}`, `
	zoho_health
	handle /other-site {
		respond "other site"
	}
	zoho_proxy {
		account {http.request.header.Zoho-Proxy-Account}
	}`)

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

// TestDamagedRecordOfAnother: the grant beside a damaged one is served from the first call on,
// also where that comes before the start is over, and the log says who is not.
func TestDamagedRecordOfAnother(t *testing.T) {
	t.Parallel()
	c, server, _ := newStored(t)
	c.start()
	second := server.Grant(clientID, "second@example.com", "us", "ZohoCRM.modules.ALL")
	c.secrets = append(c.secrets, second)
	c.runInput(second, 0, "zoho", "import", "main", "second")
	c.stop()
	db, err := bbolt.Open(filepath.Join(c.storeDir(), "grants.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		grants := tx.Bucket([]byte("grants")).Bucket([]byte("main"))
		return errors.Join(grants.Put([]byte("sekond"), grants.Get([]byte("second"))), grants.Delete([]byte("second")))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		c.spawn()
		c.waitFor("the first answer", func() bool {
			a, err := c.try(http.MethodGet, threeServices[0], nil, "Zoho-Proxy-Account", "shop")
			if err == nil && (a.StatusCode >= 300 || a.problem() != "") {
				t.Errorf("%s %s", a.Status, a.body)
			}
			return err == nil
		})
		c.logs("the store is damaged: accounts with a damaged grant or key are not served", "serving initial configuration")
		wantProblem(t, c.get(threeServices[0], "Zoho-Proxy-Account", "second"), "store", http.StatusServiceUnavailable)
		if strings.Contains(c.output.String(), "the store cannot be used") {
			t.Error("the log says of all accounts that they are not served")
		}
		c.stop()
	}
}

// TestUnwritableStore, S-41: where tokens cannot be kept they serve from memory, and it is
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

// TestStoreModes, S-44: whatever the umask, others cannot read; a file that they can read is told of, and what
// is told to do about it ends that.
func TestStoreModes(t *testing.T) {
	t.Parallel()
	for _, umask := range []string{"000", "077"} {
		t.Run("umask "+umask, func(t *testing.T) {
			t.Parallel()
			server, baseURL, grant := sim(t, zohosim.Options{})
			c := newCaddy(t, storedGrants, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL)
			c.secrets, c.wrap = append(c.secrets, grant), []string{"sh", "-c", "umask " + umask + `; exec "$0" "$@"`}
			c.start()
			c.runInput(grant, 0, "zoho", "import", "main", "shop")
			c.runInput(server.Grant(clientID, "second@example.com", "us"), 0, "zoho", "import", "main", "second") // keeps a version before
			c.wantShop("")
			c.wantModes()
			for _, name := range []string{"tokens.db", "grants.db"} {
				content, _ := os.ReadFile(filepath.Join(c.storeDir(), name))
				c.checkSecrets(name, content)
			}
			path := filepath.Join(c.storeDir(), "grants.db")
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
			says := path + " has mode 0644, so users other than its owner can access it: chmod 0600 it"
			if out, _, code := c.run("zoho", "doctor", "--address", c.admin); code != 1 || !strings.Contains(out, says) {
				t.Errorf("doctor exits with %d: %s", code, out)
			}
			c.stop()
			c.start()
			c.logs(says)
			if err := os.Chmod(path, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, _, _ := c.run("zoho", "doctor", "--address", c.admin); strings.Contains(out, "has mode") {
				t.Errorf("doctor still says %s", out)
			}
		})
	}
}

// wantModes checks that nobody else can read the store.
func (c *proxy) wantModes() {
	c.t.Helper()
	info, err := os.Stat(c.storeDir())
	if err != nil || info.Mode().Perm() != 0o700 {
		c.t.Errorf("store: %v %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(c.storeDir())
	if err != nil || len(entries) != 3 {
		c.t.Errorf("the store has %v, %v", entries, err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			c.t.Errorf("%s: %v %v", entry.Name(), info.Mode(), err)
		}
	}
}

// masterKey is where the key of our own is by default.
func (c *proxy) masterKey() string { return filepath.Join(c.dir, "caddy", "zoho-master.key") }

// hideKey has the key of now looked for wherever it must not be.
func (c *proxy) hideKey() []byte {
	c.t.Helper()
	key, err := os.ReadFile(c.masterKey())
	if err != nil {
		c.t.Fatal(err)
	}
	c.secrets = append(c.secrets, strings.TrimSpace(string(key)))
	return key
}

// newSecret makes the client's secret anew at Zoho, where nobody sees the old one any more.
func (c *proxy) newSecret(server *zohosim.Server, secret string) {
	server.AddClient(zohosim.Client{ID: clientID, Secret: secret})
	c.secrets = append(c.secrets, secret)
	c.setenv("ZOHO_CLIENT_SECRET=" + secret)
}

func (c *proxy) wantShop(problem string) {
	c.t.Helper()
	if a := c.shop(); a.problem() != problem || problem == "" && a.StatusCode >= 300 {
		c.t.Errorf("%s %s, want the problem %q", a.Status, a.body, problem)
	}
}

// TestSecretMadeAnew, S-71: a store of before gets a key of our own at the start, so that it opens
// when the console has made another client secret; and it opens by the secret when the key
// is lost.
func TestSecretMadeAnew(t *testing.T) {
	c, server, _ := newStored(t) // sealed by the client secret alone
	if _, stderr, code := c.run("validate", "--config", c.config, "--adapter", "caddyfile"); code != 0 {
		t.Fatal(stderr)
	}
	if _, err := os.Stat(c.masterKey()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("validating made a key: %v", err)
	}
	restart := func() {
		c.stop()
		server.Expire("") // a token of before is not what serves
		c.start()
	}
	c.start()
	key := c.hideKey()
	if info, err := os.Stat(c.masterKey()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	c.wantShop("")

	c.newSecret(server, "second-secret-of-the-console-0001")
	restart()
	c.wantShop("")

	// Twice more, with the old key lost in between, and a new one beside the secret.
	c.stop()
	if err := os.Remove(c.masterKey()); err != nil {
		t.Fatal(err)
	}
	restart()
	if bytes.Equal(c.hideKey(), key) {
		t.Error("the key of before is back")
	}
	c.wantShop("")
	c.newSecret(server, "third-secret-of-the-console-00001")
	restart()
	c.wantShop("")
	if out, _, _ := c.run("zoho", "doctor"); strings.Contains(out, "only the client secrets seal the store") {
		t.Error(out)
	}
}

// TestAllKeysLost, S-48 and S-71: where nothing opens no key is made, everybody is told what to write, and
// connecting anew takes the place of the grant when somebody agrees to that.
func TestAllKeysLost(t *testing.T) {
	c, server, grant := newStored(t)
	path := filepath.Join(c.storeDir(), "grants.db")
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c.newSecret(server, "second-secret-of-the-console-0001")
	c.start()
	c.wantShop("store")
	if _, err := os.Stat(c.masterKey()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key was made though nothing opens: %v", err)
	}
	c.waitFor("the log to say so", func() bool {
		return strings.Contains(c.output.String(), "is not created while grants of client main cannot be opened")
	})
	stdout, _, _ := c.run("zoho", "doctor", "main", "shop")
	for _, line := range []string{"client_secret {env.ZOHO_CLIENT_SECRET} {env.OLD_CLIENT_SECRET}", "master_key_file /path", "encryption_key {env.ZOHO_ENCRYPTION_KEY}", "caddy zoho connect main shop"} {
		if !strings.Contains(stdout, line) {
			t.Errorf("doctor does not name %q: %s", line, stdout)
		}
	}
	if stdout, _, _ := c.run("zoho", "doctor"); strings.Contains(stdout+c.output.String(), "API console locks it") || strings.Count(stdout+c.output.String(), "a part of the store cannot be opened") < 2 {
		t.Errorf("that it is locked is told as if to come: %s", stdout)
	}
	for _, command := range []string{"import main shop", "connect main shop --self-client"} { // before any input
		_, stderr := c.runInput("", 1, append([]string{"zoho"}, strings.Fields(command)...)...)
		if !strings.Contains(stderr, "none of the keys opens it") || !strings.Contains(stderr, "--replace does that") {
			t.Errorf("%s says %s", command, stderr)
		}
	}
	if now, _ := os.ReadFile(path); !bytes.Equal(now, was) {
		t.Error("grants.db was written")
	}

	// The line that doctor names opens it.
	c.setenv("OLD_CLIENT_SECRET=" + clientSecret)
	config, _ := os.ReadFile(c.config)
	c.writeConfig(strings.Replace(string(config), "{env.ZOHO_CLIENT_SECRET}", "{env.ZOHO_CLIENT_SECRET} {env.OLD_CLIENT_SECRET}", 1))
	c.stop()
	c.start()
	c.wantShop("")
	c.hideKey()

	// Locked once more, and replaced.
	c.stop()
	if err := errors.Join(os.WriteFile(path, was, 0o600), os.Remove(c.masterKey()), os.Remove(filepath.Join(c.storeDir(), "tokens.db"))); err != nil {
		t.Fatal(err)
	}
	c.writeConfig(string(config))
	c.start()
	c.wantShop("store")
	stdout, _ = c.runInput(grant, 0, "zoho", "import", "main", "shop", "--replace")
	if !strings.Contains(stdout, "main/shop") {
		t.Error(stdout)
	}
	c.wantShop("")
	c.hideKey() // made now that something opens, and what was stored has its wrap
	c.newSecret(server, "third-secret-of-the-console-00001")
	c.stop()
	c.start()
	c.wantShop("")
}

// TestAskedToReplaceUnreadable: at a terminal a person is asked whether to lose a grant before being asked for a code or
// a token.
func TestAskedToReplaceUnreadable(t *testing.T) {
	c, server, grant := newStored(t)
	c.newSecret(server, "second-secret-of-the-console-0001")
	c.setenv("ZOHO_CLIENT_OPTIONS=scopes ZohoCRM.modules.ALL")
	c.start()
	connect := func(answer string, code int) {
		t.Helper()
		term := c.atTerminal(t, "zoho", "connect", "main", "shop", "--self-client")
		term.waitsFor("Replace the grant? [y/N]")
		term.types(answer + "\r")
		if answer == "y" {
			term.waitsFor("then press Enter: ")
			term.types(server.SelfClientCode(clientID, "ZohoCRM.modules.ALL", "ZohoBooks.fullaccess.all") + "\r")
		}
		term.ends(t, code)
	}
	connect("n", 1)
	c.wantShop("store")
	connect("y", 0)
	c.wantShop("")

	c.stop()
	if err := errors.Join(os.Remove(c.masterKey()), os.Remove(filepath.Join(c.storeDir(), "tokens.db"))); err != nil {
		t.Fatal(err)
	}
	c.newSecret(server, "third-secret-of-the-console-00001")
	c.start()
	c.wantShop("store")
	term := c.atTerminal(t, "zoho", "import", "main", "shop")
	term.waitsFor("Replace the grant? [y/N]")
	term.types("yes\r")
	term.waitsFor("(not shown), then press Enter: ")
	term.types(grant + "\r")
	term.ends(t, 0)
	c.wantShop("")
}

// TestMasterKeyUnusable: whatever stands in its place, Caddy starts, serves what the client
// secret opens, and doctor says what is wrong.
func TestMasterKeyUnusable(t *testing.T) {
	for says, prepare := range map[string]func(c *proxy) error{
		"is a directory": func(c *proxy) error {
			return errors.Join(os.MkdirAll(c.masterKey(), 0o755), os.Chmod(c.masterKey(), 0o755))
		},
		"is empty":   func(c *proxy) error { return os.WriteFile(c.masterKey(), nil, 0o600) },
		"has no key": func(c *proxy) error { return os.WriteFile(c.masterKey(), []byte("abc"), 0o600) },
		"is in the store's folder": func(c *proxy) error {
			c.option("master_key_file " + c.storeDir() + "/deeper/zoho-master.key")
			return nil
		},
		"(mode 0644)": func(c *proxy) error {
			return os.WriteFile(c.masterKey(), []byte("a-key-that-was-put-there"), 0o644)
		},
		"is missing and could not be created": func(c *proxy) error {
			c.option("master_key_file ./Caddyfile/zoho-master.key")
			return nil
		},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			c, _, _ := newStored(t)
			if err := errors.Join(os.MkdirAll(filepath.Dir(c.masterKey()), 0o700), prepare(c)); err != nil {
				t.Fatal(err)
			}
			c.start()
			c.wantShop("")
			log := strings.ReplaceAll(c.output.String(), `\"`, `"`)
			if says != "is missing and could not be created" && !strings.Contains(log, says) {
				t.Errorf("the log does not say that it %s", says)
			}
			stdout, _, _ := c.run("zoho", "doctor")
			if says == "is missing and could not be created" {
				says = "not a directory"
			}
			if !strings.Contains(stdout, says) {
				t.Errorf("doctor does not say that it %s: %s", says, stdout)
			}
			if says == "is a directory" && strings.Contains(log+stdout, "chmod") {
				t.Errorf("the mode of a folder is told: %s", stdout)
			}
		})
	}
}

// option adds a line to the option zoho.
func (c *proxy) option(line string) {
	c.t.Helper()
	config, err := os.ReadFile(c.config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.writeConfig(strings.Replace(string(config), "\tzoho {\n", "\tzoho {\n\t\t"+line+"\n", 1))
}

// TestMasterKeyFile: another place for it, relative to where Caddy was started, by way of a
// symbolic link; and with encryption_key it is neither made nor used.
func TestMasterKeyFile(t *testing.T) {
	c, server, _ := newStored(t)
	if err := errors.Join(os.Mkdir(filepath.Join(c.dir, "real"), 0o700), os.Symlink("real", filepath.Join(c.dir, "link"))); err != nil {
		t.Fatal(err)
	}
	c.option("master_key_file link/made/own.key")
	c.start()
	c.wantShop("")
	if _, err := os.Stat(filepath.Join(c.dir, "real", "made", "own.key")); err != nil {
		t.Error(err)
	}
	c.newSecret(server, "second-secret-of-the-console-0001")
	c.stop()
	c.start()
	c.wantShop("")
	c.stop()

	// What the key has sealed opens by it as an encryption_key, too.
	config, _ := os.ReadFile(c.config)
	line := "encryption_key {env.ZOHO_KEY} {file.link/made/own.key}"
	c.writeConfig(strings.Replace(string(config), "master_key_file link/made/own.key", line, 1))
	c.setenv("ZOHO_KEY=0123456789abcdef0123456789abcdef")
	c.start()
	c.wantShop("")
	c.stop()
	c.writeConfig(strings.Replace(string(config), "master_key_file link/made/own.key", "encryption_key {env.ZOHO_KEY}", 1))
	c.start()
	c.wantShop("")
	if _, err := os.Stat(c.masterKey()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key was made beside encryption_key: %v", err)
	}
}

// TestDamagedKeyRecord, S-71: one flipped bit in the record of a data key is told, displaces
// nothing, and what is told to do mends it.
func TestDamagedKeyRecord(t *testing.T) {
	c, server, _ := newStored(t)
	c.start() // which adds the wrap, and keeps the version with it
	second := server.Grant(clientID, "second@example.com", "us", "ZohoCRM.modules.ALL")
	c.secrets = append(c.secrets, second)
	c.runInput(second, 0, "zoho", "import", "main", "second")
	c.stop()
	path := filepath.Join(c.storeDir(), "grants.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		keys := tx.Bucket([]byte("keys"))
		record := bytes.Clone(keys.Get([]byte("main")))
		record[50] ^= 4
		return keys.Put([]byte("main"), record)
	})
	if err := errors.Join(err, db.Close(), os.Remove(filepath.Join(c.storeDir(), "tokens.db"))); err != nil {
		t.Fatal(err)
	}
	damaged, _ := os.ReadFile(path)
	before, _ := os.ReadFile(path + ".before")
	c.start()
	wantProblem(t, c.shop(), "store", http.StatusServiceUnavailable)
	stdout, _, _ := c.run("zoho", "doctor")
	if !strings.Contains(stdout, `the data key of client "main" is missing or damaged`) || !strings.Contains(stdout, path+".before") {
		t.Errorf("doctor says %s", stdout)
	}
	c.runInput(second, 1, "zoho", "import", "main", "third", "--replace")
	c.runInput(second, 1, "zoho", "import", "main", "second", "--replace")
	c.stop()
	now, _ := os.ReadFile(path)
	kept, _ := os.ReadFile(path + ".before")
	if !bytes.Equal(now, damaged) || !bytes.Equal(kept, before) {
		t.Error("a refused change wrote")
	}
	if err := os.Rename(path+".before", path); err != nil {
		t.Fatal(err)
	}
	c.newSecret(server, "second-secret-of-the-console-0001") // and the version before opens by the key of our own
	c.start()
	c.wantShop("")
}

// TestKeyAdded: a store that was begun without an encryption_key and is opened with one keeps
// its grants, and everybody says which key is missing.
func TestKeyAdded(t *testing.T) {
	t.Parallel()
	c, _, grant := newDoctored(t, zohosim.Options{}, asItIs, threeScopes...)
	c.setenv("ZOHO_REFRESH_TOKEN=", "ZOHO_KEY=0123456789abcdef0123456789abcdef")
	c.start()
	c.runInput(grant, 0, "zoho", "import", "main", "shop")
	c.stop()
	withKeys := func(keys string) {
		c.writeConfig(strings.Replace(doctorConfig, "\tzoho {\n", "\tzoho {\n\t\tencryption_key "+keys+"\n", 1))
		c.start()
	}
	withKeys("{env.ZOHO_KEY}")
	c.waitFor("the log to say so", func() bool {
		log := c.output.String()
		return strings.Contains(log, "a stored grant cannot be read") && strings.Contains(log, "sealed by the client secret")
	})
	c.wantCLI(
		cli{"status main shop", 1, "grant unreadable", "caddy zoho doctor main shop"},
		cli{"status --state unreadable --json", 1, `"state": "unreadable"`, ""},
		cli{"status --state ok", 0, "no connection", ""},
	)
	found(c.doctor(1, "main", "shop")).want(t, "grant", "failed", "the grant cannot be read")
	if out, _ := c.runInput("", 1, "zoho", "doctor", "main", "shop"); !strings.Contains(out, "encryption_key {env.ZOHO_KEY} {file.") {
		t.Errorf("doctor does not say what to write: %s", out)
	}
	c.stop()
	withKeys("{env.ZOHO_KEY} {file.{$SECRET_FILE}}")
	c.wantCLI(cli{"status main shop", 0, "ok", ""})
}

// goldenStores are the stores of earlier versions, see boltstore's golden_test.go.
const goldenStores = "../tokencache/boltstore/testdata/stores"

// goldenSecrets are what they are sealed by, each of them alone.
var goldenSecrets = map[string][]string{
	"client_secret":  {"golden-client-secret-the-new-one-41d7", "golden-client-secret-the-old-one-9c02"},
	"encryption_key": {"golden-encryption-key-8c1f0b52"},
	"master_key":     {"golden-client-secret-beside-a-key-7f3a", goldenMasterKey},
}

const goldenMasterKey = "golden-master-key-0b6e5d1c9a72"

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

// TestGoldenStoresServe, S-47: Caddy serves the accounts of a store that an earlier version has left,
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
		err := os.RemoveAll(c.masterKey()) // nothing but the secret opens it
		ofClient := clientSecret
		switch {
		case kind == "encryption_key":
			c.setenv("GOLDEN_KEY=encryption_key {env.TEST_KEY}", "TEST_KEY="+secret)
		case secret == goldenMasterKey:
			err = errors.Join(err, os.MkdirAll(filepath.Dir(c.masterKey()), 0o700), os.WriteFile(c.masterKey(), []byte(secret), 0o600))
		default:
			ofClient = secret
		}
		if err != nil {
			t.Fatal(err)
		}
		c.setenv("ZOHO_CLIENT_SECRET=" + ofClient)
		c.secrets = append(c.secrets, secret)
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
