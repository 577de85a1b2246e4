// The disk below the store: full, read-only, somebody else's, taken away. Calls go on by what is in memory,
// what the message says is carried out while Caddy runs, and heals.

package tests

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// operator runs a command as somebody who may do anything.
func operator(t testing.TB, command ...string) {
	t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", strings.Join(command, " "), err, out)
	}
}

// mountAt puts a small file system of memory at a folder, where that is allowed.
func mountAt(t testing.TB, dir, options string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "none", dir).CombinedOutput(); err != nil {
		t.Skipf("nothing may be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() { operator(t, "umount", "--lazy", dir) })
}

// doctorSays checks that doctor fails with all of these, and does not send anybody to consent anew.
func (c *proxy) doctorSays(texts ...string) {
	c.t.Helper()
	out, _, code := c.run("zoho", "doctor", "--address", c.admin)
	for _, text := range texts {
		if !strings.Contains(out, text) {
			c.t.Errorf("doctor does not say %q: %s", text, out)
		}
	}
	if code != 1 || strings.Contains(out, "caddy zoho connect") {
		c.t.Errorf("doctor exits with %d: %s", code, out)
	}
}

// newStoredAt is newStored where something is done about the folder before. The account was used.
func newStoredAt(t *testing.T, prepare func(t testing.TB, dir string)) (*proxy, *zohosim.Server, string) {
	t.Helper()
	server, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, storedGrants, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL)
	c.secrets = append(c.secrets, grant)
	prepare(t, c.storeDir())
	c.start()
	c.runInput(grant, 0, "zoho", "import", "main", "shop")
	c.wantShop("")
	return c, server, grant
}

// wantStored waits until the token of now is in tokens.db, while Caddy runs.
func (c *proxy) wantStored(grant string) {
	c.t.Helper()
	generation := c.connections("?account=shop").Connections[0].Generation
	c.waitFor("the token to be stored", func() bool {
		dir := c.t.TempDir()
		copyStore(c.t, c.storeDir(), dir)
		store := boltstore.New(dir)
		defer store.Close()
		record, _, err := store.Load(tokencache.Key{Client: "main", Account: "shop"}, [][]byte{[]byte(clientSecret)})
		return err == nil && record.Token != "" && record.Generation == uint64(generation)
	})
}

// fullDisks are the ways in which a disk is full here: one is, or it is as if for one process.
var fullDisks = map[string]struct {
	prepare    func(t testing.TB, dir string)
	fill, free func(c *proxy)
}{
	"a small disk": {
		prepare: func(t testing.TB, dir string) { mountAt(t, dir, "size=512k,mode=0700") },
		fill: func(c *proxy) { // until it fails
			_ = exec.Command("dd", "if=/dev/zero", "of="+filepath.Join(c.storeDir(), "filler"), "bs=4096").Run()
		},
		free: func(c *proxy) { operator(c.t, "rm", filepath.Join(c.storeDir(), "filler")) },
	},
	"a limit of the process": {
		prepare: func(t testing.TB, _ string) { tool(t, "prlimit") },
		fill:    func(c *proxy) { c.limitFiles(0) },
		free:    func(c *proxy) { c.limitFiles(-1) },
	},
}

// TestNoRoom, S-41: with a full disk a fresh token serves from memory, and is written when there is
// room again, without a restart; a grant is refused with what to do, which is done.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	for name, disk := range fullDisks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const remedy = "free space on its disk"
			c, server, grant := newStoredAt(t, disk.prepare)
			disk.fill(c)
			for range 3 {
				server.RevokeAccess(grant)
				c.wantShop("")
			}
			c.othersServe()
			c.waitFor("failed writes to be counted", func() bool { return c.metric("zoho_store_errors_total", `operation="save"`) > 0 })
			c.logs(remedy)
			if told := c.connections("?account=shop").Connections[0].LastError; !strings.Contains(told, remedy) {
				t.Errorf("status says %q", told)
			}
			c.doctorSays("the store cannot be written", c.storeDir(), remedy)

			second := server.Grant(clientID, "second@example.com", "us")
			c.secrets = append(c.secrets, second)
			_, said := c.runInput(second, 1, "zoho", "import", "main", "second")
			if !strings.Contains(said, remedy) || !strings.Contains(said, c.storeDir()) {
				t.Errorf("import says %s", said)
			}
			disk.free(c)
			c.runInput(second, 0, "zoho", "import", "main", "second")
			c.wantStored(grant)
			c.kill()
			calls := server.Stats().TokenRequests
			c.start()
			c.wantShop("")
			wantTokenCalls(t, server, calls)
			known := server.Stats().ByRefreshToken[grant]
			if left := c.connections("?account=shop").Connections[0].BudgetLeft; left > 10-known {
				t.Errorf("%d calls are left after %d", left, known)
			}
		})
	}
}

// TestReadOnlyDisk, S-42: a disk that is not mounted for writing is named at the start, as is what to do;
// when that is done, the accounts are served without a restart.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	const remedy = "mount its disk for writing"
	c, _, _ := newStoredAt(t, func(t testing.TB, dir string) { mountAt(t, dir, "size=1m,mode=0700") })
	c.stop()
	operator(t, "mount", "-o", "remount,ro", c.storeDir())
	c.start()
	c.logs(filepath.Join(c.storeDir(), "tokens.db")+": open: read-only file system", remedy)
	a := c.shop()
	wantProblem(t, a, "store", http.StatusServiceUnavailable)
	if !strings.Contains(a.detail(t), remedy) {
		t.Errorf("the answer does not say what to do: %s", a.body)
	}
	c.othersServe()
	c.doctorSays("the store cannot be written", c.storeDir(), remedy)
	operator(t, "mount", "-o", "remount,rw", c.storeDir())
	c.waitFor("the store to heal", func() bool { return c.shop().problem() == "" })
}

// TestFolderTakenAway, S-42: where the folder goes while Caddy runs, a living token serves on, nothing is
// begun anew silently, and the folder put back heals.
func TestFolderTakenAway(t *testing.T) {
	t.Parallel()
	c, server, grant := newStored(t)
	c.start()
	c.wantShop("")
	elsewhere := c.storeDir() + ".elsewhere"
	if err := os.Rename(c.storeDir(), elsewhere); err != nil {
		t.Fatal(err)
	}
	c.wantShop("")
	server.RevokeAccess(grant)
	a := c.shop()
	wantProblem(t, a, "store", http.StatusServiceUnavailable)
	if detail := a.detail(t); !strings.Contains(detail, "it is gone, but grants were stored in it") || !strings.Contains(detail, filepath.Join(c.storeDir(), "grants.db")) {
		t.Errorf("the answer says %s", detail)
	}
	c.othersServe()
	if err := errors.Join(os.RemoveAll(c.storeDir()), os.Rename(elsewhere, c.storeDir())); err != nil {
		t.Fatal(err)
	}
	c.waitFor("the store to heal", func() bool { return c.shop().problem() == "" })
	wantTokenCalls(t, server, 2)
}

// nobody is a user that is not root.
const nobody = 65534

// asNobody has Caddy run as a user who is not root, and to whom all belongs but the store; more
// are options of setpriv.
func (c *proxy) asNobody(more ...string) {
	c.t.Helper()
	if os.Geteuid() != 0 {
		c.t.Skip("only root may run a program as another user")
	}
	as := strconv.Itoa(nobody)
	c.wrap = append([]string{tool(c.t, "setpriv"), "--reuid=" + as, "--regid=" + as, "--clear-groups"}, more...)
	reachable := filepath.Join(c.dir, "caddy-binary")
	operator(c.t, "cp", c.binary, reachable)
	c.binary = reachable
	if err := errors.Join(os.Chmod(filepath.Dir(c.dir), 0o711), os.Chown(c.dir, nobody, nobody), os.Chown(c.config, nobody, nobody)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *proxy) startAsNobody() {
	c.t.Helper()
	c.asNobody()
	c.start()
}

// TestStoreOfAnother, S-42: a folder or file that Caddy's user does not own, or may not read, is named with
// its owner, its mode and who Caddy is, and what the message says to do heals without a restart.
func TestStoreOfAnother(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		command string // makes it so
		says    string
		heals   string // as the message has it
	}{
		"somebody's": {
			command: "chown -R 12345 $STORE",
			says:    "it belongs to user 12345, who can replace it, but Caddy runs as user 65534; run `chown -R 65534 $STORE` if",
			heals:   "chown -R 65534 $STORE",
		},
		"somebody's, and open to all": {
			command: "chown -R 12345 $STORE && chmod -R a+rwX $STORE",
			says:    "it belongs to user 12345, who can replace it, but Caddy runs as user 65534; run `chown -R 65534 $STORE` if",
			heals:   "chown -R 65534 $STORE && chmod 0700 $STORE && chmod 0600 $STORE/*", // as doctor says
		},
		"closed by root": {
			command: "chown -R 65534 $STORE && chown 0 $STORE",
			says:    "its directory has mode 0700 and belongs to user 0, this process is user 65534: chown or chmod it",
			heals:   "chown 65534 $STORE",
		},
		"written by root": {
			command: "chown -R 65534 $STORE && chown 0 $STORE/grants.db",
			says:    "it has mode 0600 and belongs to user 0, this process is user 65534: chown or chmod it",
			heals:   "chown 65534 $STORE/grants.db",
		},
		"of mode 0": {
			command: "chown -R 65534 $STORE && chmod 0 $STORE/grants.db",
			says:    "it has mode 0000 and belongs to user 65534, this process is user 65534: chown or chmod it",
			heals:   "chmod 0600 $STORE/grants.db",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, _ := newStored(t)
			if os.Geteuid() == 0 {
				operator(t, "env", "STORE="+c.storeDir(), "sh", "-c", test.command)
			}
			c.startAsNobody()
			says := strings.ReplaceAll(test.says, "$STORE", c.storeDir())
			a := c.shop()
			wantProblem(t, a, "store", http.StatusServiceUnavailable)
			if detail := a.detail(t); !strings.Contains(detail, says) || !strings.Contains(detail, c.storeDir()) {
				t.Errorf("the answer says %s", detail)
			}
			c.logs(says)
			c.othersServe()
			c.doctorSays(says)
			operator(t, "env", "STORE="+c.storeDir(), "sh", "-c", test.heals)
			c.waitFor("the store to heal", func() bool { return c.shop().problem() == "" })
		})
	}
}
