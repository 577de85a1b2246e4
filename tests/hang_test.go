// A disk that hangs: calls with a live token do not notice, those that need one get it, or are told
// of the store in time, and all goes on when the disk answers.

package tests

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestDiskHangs, S-41: bbolt waits for the disk as long as the test lasts. A token that was revoked
// is renewed all the same, the failure names the store and not Zoho, and Caddy ends in time.
func TestDiskHangs(t *testing.T) {
	t.Parallel()
	c, server := startFailing(t, "")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.fails("beforeSyncDataPagesError", "sleep(600000)")
	server.RevokeAccess("")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	wantTokenCalls(t, server, 2)
	c.succeed(http.MethodGet, "/crm/v8/Leads", "") // with the live token
	c.waitFor("the error to be counted", func() bool { return c.metric("zoho_store_errors_total", `operation="save"`) >= 1 })
	c.logs("its disk has not answered for 2s", "tokens.db")
	if text := c.output.String(); strings.Contains(text, "accounts-unreachable") {
		t.Errorf("Zoho is blamed:\n%s", text)
	}
	info := c.connections("").Connections[0]
	if !strings.Contains(info.LastError, "tokens.db") || info.BudgetLeft != 8 {
		t.Errorf("status says %q, %d calls are left, want the file and 8", info.LastError, info.BudgetLeft)
	}
	c.endsByItself()
}

// TestDiskAnswersAgain, S-41: what counted in memory while the disk hung is written without a restart.
func TestDiskAnswersAgain(t *testing.T) {
	t.Parallel()
	c, server := startFailing(t, "")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.fails("beforeSyncDataPagesError", "1*sleep(5000)")
	server.RevokeAccess("")
	c.succeed(http.MethodGet, "/crm/v8/Leads", "")
	c.waitFor("the store to be well", func() bool { return c.connections("").Connections[0].LastError == "" })
	c.kill()
	c.wantKnown(server)
	wantTokenCalls(t, server, 2) // the one before the hang, the one in it; its token was written
}

// TestStoredGrantWhileTheDiskHangs: a grant that was read before serves on; one that was not is told
// of in time, by the name of its file.
func TestStoredGrantWhileTheDiskHangs(t *testing.T) {
	t.Parallel()
	built, err := withFailpoints()
	if err != nil {
		t.Fatal(err)
	}
	c, server, grant := newStored(t)
	store := boltstore.New(c.storeDir())
	err = store.SaveGrant(tokencache.Key{Client: "main", Account: "unused"}, [][]byte{[]byte(clientSecret)},
		tokencache.Grant{RefreshToken: grant, AccountsServer: "https://accounts.zoho.com"})
	if err != nil {
		t.Fatal(err)
	}
	_ = store.Close()
	c.binary, c.failpoints = built, "127.0.0.1:"+freePort(t)
	c.setenv("GOFAIL_HTTP="+c.failpoints, "GOFAIL_FAILPOINTS=")
	c.start()
	if a := c.shop(); a.StatusCode >= 300 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	c.fails("beforeSyncDataPagesError", "sleep(600000)")
	server.RevokeAccess("")
	if a := c.shop(); a.StatusCode >= 300 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	answered := make(chan answer, 1)
	go func() { answered <- c.get(threeServices[0], "Zoho-Proxy-Account", "unused") }()
	select {
	case a := <-answered:
		wantProblem(t, a, "store", http.StatusServiceUnavailable)
		if !strings.Contains(string(a.body), "tokens.db") {
			t.Errorf("the file is not named: %s", a.body)
		}
	case <-time.After(patience):
		t.Error("no answer")
	}
	c.othersServe()
	c.endsByItself()
}

// endsByItself stops a Caddy whose disk hangs. It ends with an error, if it does: what it could not
// write is lost.
func (c *proxy) endsByItself() {
	c.t.Helper()
	err := c.cmd.Stop()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || !exit.Exited()) {
		c.t.Errorf("Caddy ended with %v\n%s", err, c.output)
	}
	c.cmd = nil
}

// hangs puts a file system that nobody serves over folders: whoever asks for a name in one of them waits until the
// test is over, as on a network file system whose server is away. Files that are open go on.
func hangs(t *testing.T, folders ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "only root may mount")
	}
	for _, folder := range folders {
		served, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
		if err != nil {
			missing(t, err.Error())
		}
		mount := exec.Command("mount", "--internal-only", "-t", "fuse", "-o", "fd=3,rootmode=40000,user_id=0,group_id=0", "none", folder)
		mount.ExtraFiles = []*os.File{served}
		if out, err := mount.CombinedOutput(); err != nil {
			_ = served.Close()
			missing(t, fmt.Sprintf("nothing may be mounted here: %v %s", err, out))
		}
		t.Cleanup(func() {
			_ = served.Close() // those who wait get an error
			operator(t, "umount", "--lazy", folder)
		})
	}
}

// TestNobodyWaitsForADiskThatHangs, S-41: the folders of the store and of the secrets hang. Accounts are served, each
// command answers and names the file, and none of them holds up the end.
func TestNobodyWaitsForADiskThatHangs(t *testing.T) {
	t.Parallel()
	server, baseURL, _ := sim(t, zohosim.Options{})
	m := newMachine(t, server, baseURL)
	m.start()
	m.connect("shop")
	m.wantServed(false, "shop")
	hangs(t, m.storeDir(), m.here("/etc/caddy-zoho"))
	m.wantServed(true, "shop")
	var all sync.WaitGroup
	for _, command := range []string{"status", "doctor", "rekey", "forget main shop", "backup -"} {
		all.Go(func() {
			out, stderr, code := m.run(append([]string{"zoho"}, append(strings.Fields(command), "--address", m.admin)...)...)
			if code != 1 || !strings.Contains(out+stderr, ".db: its disk has not answered for 2s") {
				t.Errorf("%s exits with %d: %s%s", command, code, out, stderr)
			}
		})
	}
	all.Wait()
	m.stop() // with exit code 0
}

// TestSignalsFindAFreeThread: the thread that signals are handed to does nothing else, so that no disk can hold it up.
func TestSignalsFindAFreeThread(t *testing.T) {
	t.Parallel()
	server, baseURL, _ := sim(t, zohosim.Options{})
	m := newMachine(t, server, baseURL)
	m.start()
	m.connect("shop")
	switches := func() (n string) {
		pid := m.cmd.Process.Pid
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, pid))
		if errors.Is(err, os.ErrNotExist) && runtime.GOOS != "linux" {
			t.Skip("this system does not tell what a thread does")
		}
		_, n, found := strings.Cut(string(text), "voluntary_ctxt_switches:")
		if err != nil || !found {
			t.Fatalf("what the first thread does is not told: %v\n%s", err, text)
		}
		n, _, _ = strings.Cut(n, "\n")
		return strings.TrimSpace(n)
	}
	var before, after string
	for range 3 { // at first it may still say that Caddy has started
		before = switches()
		spread(400, 16, func(int) { m.wantServed(false, "shop") })
		m.wantCLI(cli{"rekey", 0, "", ""}, cli{"status", 0, "shop", ""})
		if after = switches(); after == before {
			return
		}
	}
	t.Errorf("the first thread works: it was switched %s times before, and %s times after", before, after)
}

// TestRekeyWhileWritesHang, S-41: the disk of the store answers who reads, and lets those wait who write. rekey says so.
func TestRekeyWhileWritesHang(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		missing(t, "only root may mount")
	}
	server, baseURL, _ := sim(t, zohosim.Options{})
	m := newMachine(t, server, baseURL)
	image := filepath.Join(t.TempDir(), "image")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 16<<20), os.MkdirAll(m.storeDir(), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, m.storeDir()}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			missing(t, fmt.Sprintf("no disk can be frozen here: %v %s", err, out))
		}
	}
	t.Cleanup(func() { operator(t, "umount", "--lazy", m.storeDir()) })
	m.start()
	m.connect("shop")
	operator(t, "fsfreeze", "--freeze", m.storeDir())
	thaw := sync.OnceFunc(func() { operator(t, "fsfreeze", "--unfreeze", m.storeDir()) })
	t.Cleanup(thaw)
	m.wantCLI(cli{"rekey", 1, "", "tokens.db: its disk has not answered for 2s"}, cli{"status", 0, "shop", ""})
	thaw() // the kernel keeps a process that waits for a frozen disk
	m.endsByItself()
}
