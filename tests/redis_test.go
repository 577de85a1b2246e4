// The store in Redis, for one Caddy: what several do is for a fleet.

package tests

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/redisstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

const (
	redisPassword = "redispassword8c1d22e07b"
	encryptionKey = "encryptionkey55aa01f3c9d2"
)

// inRedis is a configuration with its store in Redis.
func inRedis(config string) string {
	return strings.Replace(config, "store bolt {$ZOHO_STORE}", `store redis {$ZOHO_REDIS} {
			password {file.`+"{$ZOHO_REDIS_PASSWORD_FILE}"+`}
		}
		encryption_key {env.ZOHO_ENCRYPTION_KEY}`, 1)
}

// newInRedis prepares a Caddy whose store in Redis holds the grant of one account.
func newInRedis(t *testing.T, settings ...string) (*proxy, *redistest.Server, *zohosim.Server) {
	t.Helper()
	redis := redistest.Start(t, append([]string{"requirepass", redisPassword}, settings...)...)
	server, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, inRedis(storedGrants), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REDIS=redis://"+redis.Addr,
		"ZOHO_ENCRYPTION_KEY="+encryptionKey)
	c.setenv("ZOHO_REDIS_PASSWORD_FILE=" + filepath.Join(c.dir, "redis-password"))
	c.redisPassword(redisPassword)
	c.secrets = append(c.secrets, grant, redisPassword, encryptionKey)
	c.storeInRedis(redis, grant, baseURL)
	return c, redis, server
}

func (c *proxy) redisPassword(text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, "redis-password"), []byte(text+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// storeInRedis stores the grant of shop, as consent would have.
func (c *proxy) storeInRedis(redis *redistest.Server, grant, server string) {
	c.t.Helper()
	store := redisstore.New(redisstore.Config{
		Addresses: []string{redis.Addr}, Prefix: "caddy-zoho:",
		Access: func() (redisstore.Access, error) { return redisstore.Access{Password: redisPassword}, nil },
	})
	if err := store.Open(); err != nil {
		c.t.Fatal(err)
	}
	defer store.Close()
	err := store.SaveGrant(tokencache.Key{Client: "main", Account: "shop"}, [][]byte{[]byte(encryptionKey)},
		tokencache.Grant{RefreshToken: grant, AccountsServer: server})
	if err != nil {
		c.t.Fatal(err)
	}
}

// TestRedisStore: grant and token are in Redis, and serve after a restart.
func TestRedisStore(t *testing.T) {
	t.Parallel()
	c, redis, server := newInRedis(t)
	for range 2 {
		c.start()
		if a := c.shop(); a.StatusCode >= 300 || a.problem() != "" {
			t.Errorf("%s %s", a.Status, a.body)
		}
		c.logs(`"store":"redis://`+redis.Addr, "Redis writes nothing to disk")
		found(c.doctor(0)).want(t, "store", "warning", "Redis writes nothing to disk")
		c.stop()
	}
	if got := server.Stats().TokenResults["ok"]; got != 1 { // doctor tries out the client secret
		t.Errorf("%d tokens, want one", got)
	}
	if _, err := os.Stat(c.storeDir()); err == nil {
		t.Error("the folder of the embedded store was made")
	}
}

// TestReloadToAnotherStore: accounts that another key_prefix leaves behind are told of, once.
func TestReloadToAnotherStore(t *testing.T) {
	t.Parallel()
	c, redis, _ := newInRedis(t, "appendonly", "yes")
	c.start()
	const before = "password {file.{$ZOHO_REDIS_PASSWORD_FILE}}"
	if err := c.load(strings.Replace(inRedis(storedGrants), before, before+"\nkey_prefix other:", 1)); err != nil {
		t.Fatal(err)
	}
	c.logs("lacks accounts that are connected there", `"first":["main/shop"]`, "redis://"+redis.Addr+"/0 (caddy-zoho:*)")
	wantProblem(t, c.shop(), "no-grant", http.StatusServiceUnavailable)
	if err := c.load(inRedis(storedGrants)); err != nil {
		t.Fatal(err)
	}
	if a := c.shop(); a.problem() != "" {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if got := strings.Count(c.output.String(), "lacks accounts"); got != 1 {
		t.Errorf("told %d times", got)
	}
}

// TestRedisAwayAtStart: Caddy starts, other sites serve, and what needs the store says what is
// wrong with which Redis, until it is there (S-54).
func TestRedisAwayAtStart(t *testing.T) {
	t.Parallel()
	c, redis, _ := newInRedis(t, "appendonly", "yes")
	redis.Stop()
	if _, stderr, code := c.run("validate", "--config", c.config, "--adapter", "caddyfile"); code != 0 {
		t.Errorf("validate asks Redis: %s", stderr)
	}
	c.start()
	c.logs("the store cannot be used")
	a := c.shop()
	wantProblem(t, a, "store", http.StatusServiceUnavailable)
	if !strings.Contains(string(a.body), redis.Addr) || a.Header.Get("Retry-After") == "" {
		t.Errorf("the detail does not name the server: %s", a.body)
	}
	c.othersServe()
	found(c.doctor(1)).want(t, "store", "failed", "cannot be reached")
	redis.Restart()
	c.waitFor("the account to be served", func() bool { return c.shop().problem() == "" })
}

// TestRedisRotatedPassword: another password is taken from its file by the next connection, and
// from another place by a reload, which keeps the tokens.
func TestRedisRotatedPassword(t *testing.T) {
	t.Parallel()
	c, redis, server := newInRedis(t)
	c.start()
	c.shop()
	now := redisPassword
	change := func(to string) {
		c.secrets = append(c.secrets, to)
		redis.CLI("-a", now, "CONFIG", "SET", "requirepass", to)
		_, _ = redis.TryCLI("-a", to, "CLIENT", "KILL", "TYPE", "normal")
		now = to
		c.waitFor("Redis to refuse the one before", func() bool {
			stdout, _, code := c.run("zoho", "doctor")
			return code == 1 && strings.Contains(stdout, "refuses the user name and password")
		})
	}
	well := func() {
		c.waitFor("Redis to be had again", func() bool {
			_, _, code := c.run("zoho", "doctor")
			return code == 0
		})
	}
	change("changedpassword1f00")
	c.redisPassword(now)
	well()
	change("changedpassword2f00")
	other := filepath.Join(c.dir, "other-password")
	if err := os.WriteFile(other, []byte(now), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.load(strings.Replace(inRedis(storedGrants), "{$ZOHO_REDIS_PASSWORD_FILE}", other, 1)); err != nil {
		t.Fatal(err)
	}
	well()
	if a := c.shop(); a.problem() != "" {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if got := server.Stats().TokenResults["ok"]; got != 1 { // doctor tries out the client secret
		t.Errorf("%d tokens, want one", got)
	}
}

// TestRedisFlushed: what Redis has lost is named by status and doctor, and served on until a restart (S-54).
func TestRedisFlushed(t *testing.T) {
	t.Parallel()
	c, redis, server := newInRedis(t)
	c.start()
	c.shop()
	redis.CLI("-a", redisPassword, "FLUSHALL")
	c.waitFor("it to be told", func() bool {
		_, stderr, _ := c.run("zoho", "status")
		return strings.Contains(stderr, "has lost 1 stored grant: main/shop")
	})
	server.RevokeAccess("")
	if a := c.shop(); a.problem() != "" {
		t.Errorf("it is not served on: %s %s", a.Status, a.body)
	}
	found(c.doctor(1)).without("grant").want(t, "store", "failed", "has lost 1 stored grant: main/shop")
	c.othersServe()
	c.stop()
	c.start()
	wantProblem(t, c.shop(), "no-grant", http.StatusServiceUnavailable)
}
