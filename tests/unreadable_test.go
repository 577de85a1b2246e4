// A store whose grants cannot be read: whoever lists connections says so, and does not say that
// there are none.

package tests

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStoreUnreadableAtTheStart, S-39 and S-40: status, the admin API, health and doctor name the file
// and do not ask for a consent, where all accounts are concerned and where some are.
func TestStoreUnreadableAtTheStart(t *testing.T) {
	t.Parallel()
	damages := map[string]func(path string) error{
		"gone":    os.Remove,
		"garbage": func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("garbage ", 4096)), 0o600) },
	}
	for name, damage := range damages {
		for _, configured := range []bool{false, true} {
			title := name
			if configured {
				title += ", others are configured"
			}
			t.Run(title, func(t *testing.T) {
				t.Parallel()
				c, _, grant := newStored(t)
				c.start() // leaves the mark that there were grants
				c.shop()
				c.stop()
				path := filepath.Join(c.storeDir(), "grants.db")
				sound, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := damage(path); err != nil {
					t.Fatal(err)
				}
				if configured {
					c.setenv("ZOHO_REFRESH_TOKEN="+grant, "ZOHO_CLIENT_OPTIONS=refresh_token {env.ZOHO_REFRESH_TOKEN}")
					config, err := os.ReadFile(c.config)
					if err != nil {
						t.Fatal(err)
					}
					c.writeConfig(strings.Replace(string(config), "{$ZOHO_CLIENT_OPTIONS}", "refresh_token {env.ZOHO_REFRESH_TOKEN}", 1))
				}
				c.start()
				defer func() { // for the last look at the store
					c.stop()
					_ = os.WriteFile(path, sound, 0o600)
				}()

				stdout, stderr, code := c.run("zoho", "status")
				if code != 1 || !strings.Contains(stderr, path) || !strings.Contains(stderr, "put a backup in its place") ||
					strings.Contains(stdout+stderr, "no connection") || strings.Contains(stdout+stderr, "bring an account in") {
					t.Errorf("status: exit %d\n%s%s", code, stdout, stderr)
				}
				if listed := strings.Contains(stdout, "default"); listed != configured {
					t.Errorf("the configured account is listed: %v\n%s", listed, stdout)
				}
				stdout, stderr, code = c.run("zoho", "status", "--json")
				var list struct {
					StoreError string `json:"store_error"`
				}
				var failure struct{ Error, Code string }
				if code != 1 || json.Unmarshal([]byte(stdout), &list) != nil || !strings.Contains(list.StoreError, path) ||
					json.Unmarshal([]byte(stderr), &failure) != nil || failure.Code != "store" || !strings.Contains(failure.Error, path) {
					t.Errorf("status --json: exit %d\n%s%s", code, stdout, stderr)
				}
				stdout, stderr, code = c.run("zoho", "status", "main", "shop")
				if code != 1 || !strings.Contains(stderr, path) || strings.Contains(stderr, "has no account") {
					t.Errorf("status main shop: exit %d\n%s%s", code, stdout, stderr)
				}
				stdout, stderr, _ = c.run("zoho", "doctor", "main", "shop")
				if !strings.Contains(stdout, path) || strings.Contains(stdout, "has no account") || strings.Contains(stdout, "there is no account") {
					t.Errorf("doctor main shop:\n%s%s", stdout, stderr)
				}
				if stdout, _, code = c.run("zoho", "doctor"); code != 1 || strings.Contains(stdout, "no account is connected") {
					t.Errorf("doctor: exit %d\n%s", code, stdout)
				}
				want := http.StatusServiceUnavailable
				if configured {
					want = http.StatusOK
				}
				a := c.get("/zoho-health")
				if a.StatusCode != want || !strings.Contains(string(a.body), `"store":"unreadable"`) || strings.Contains(string(a.body), c.dir) {
					t.Errorf("health: %d %s, want %d", a.StatusCode, a.body, want)
				}
			})
		}
	}
}
