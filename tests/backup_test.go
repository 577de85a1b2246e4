// Backups: grants leave a running Caddy as they are sealed, come into another one without a new
// consent, and keys are changed under traffic.

package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/internal/redistest"
	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// sealedByKey has its accounts in the store, sealed by an encryption_key.
var sealedByKey = strings.Replace(oneSite("\n\tadmin {$CADDY_ADMIN}", "", `
	zoho_proxy {
		account {http.request.header.Zoho-Proxy-Account}
	}`), "\tzoho {\n", "\tzoho {\n\t\tencryption_key {file./etc/caddy-zoho/old.key}\n", 1)

// machine is a Caddy with folders of its own in place of those that documents name.
type machine struct {
	*proxy
	server *zohosim.Server
	redis  string // address of the one that documents call redis.internal:6379
}

const (
	oldEncryptionKey = "the-old-encryption-key-0123456789abcdef"
	newEncryptionKey = "the-new-encryption-key-0123456789abcdef"
)

// newMachine prepares one in front of a simulator; both keys are in its files.
func newMachine(t *testing.T, server *zohosim.Server, baseURL string) *machine {
	t.Helper()
	m := &machine{proxy: newCaddy(t, "", "ZOHO_DATA_CENTER="+baseURL+" "+baseURL), server: server}
	m.secrets = append(m.secrets, oldEncryptionKey, newEncryptionKey)
	for _, folder := range []string{"etc/caddy-zoho", "var/backups", "var/lib/caddy-zoho"} {
		if err := os.MkdirAll(filepath.Join(m.dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.file("/etc/caddy-zoho/old.key", oldEncryptionKey)
	m.file("/etc/caddy-zoho/new.key", newEncryptionKey)
	m.config = filepath.Join(m.dir, "etc/caddy-zoho/Caddyfile")
	m.writeConfig(m.here(sealedByKey))
	return m
}

// here puts the machine's folders in place of those that documents name.
func (m *machine) here(text string) string {
	text = strings.NewReplacer("/var/lib/caddy-zoho/caddy/zoho", m.storeDir(), "redis.internal:6379", m.redis).Replace(text)
	return regexp.MustCompile(`/(etc/caddy-zoho|var/backups|var/lib)\b`).ReplaceAllString(text, m.dir+"/$1")
}

func (m *machine) file(path, content string) {
	m.t.Helper()
	if err := os.WriteFile(m.here(path), []byte(content+"\n"), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// startMachines starts two in front of one simulator. The first one has the accounts.
func startMachines(t *testing.T, accounts ...string) (a, b *machine) {
	t.Helper()
	server, baseURL, _ := sim(t, zohosim.Options{})
	a, b = newMachine(t, server, baseURL), newMachine(t, server, baseURL)
	a.start()
	a.connect(accounts...)
	b.start()
	return a, b
}

// connect imports an account with a grant of its own each.
func (m *machine) connect(accounts ...string) {
	m.t.Helper()
	for _, account := range accounts {
		grant := m.server.Grant(clientID, account+"@example.com", "us", "ZohoCRM.modules.ALL")
		m.secrets = append(m.secrets, grant)
		m.runInput(grant, 0, "zoho", "import", "main", account)
	}
}

// wantServed fails unless a call of the account is served, by a new token if anew.
func (m *machine) wantServed(anew bool, accounts ...string) {
	m.t.Helper()
	if anew {
		m.server.Expire("")
	}
	for _, account := range accounts {
		a := m.get(threeServices[0], "Zoho-Proxy-Account", account)
		if a.problem() != "" || a.StatusCode >= 300 || a.Header.Get("X-Sim-User") != account+"@example.com" {
			m.t.Errorf("%s: %s %s, user %q", account, a.Status, a.body, a.Header.Get("X-Sim-User"))
		}
	}
}

func (m *machine) wantNoGrant(account string) {
	m.t.Helper()
	if a := m.get(threeServices[0], "Zoho-Proxy-Account", account); a.problem() != "no-grant" {
		m.t.Errorf("%s: %s %s, want no-grant", account, a.Status, a.body)
	}
}

// configure puts a line of the configuration in the place of the one of before.
func (m *machine) configure(line string) {
	m.t.Helper()
	config, err := os.ReadFile(m.config)
	if err != nil {
		m.t.Fatal(err)
	}
	name, _, _ := strings.Cut(line, " ")
	before := regexp.MustCompile(`\t` + name + ` .*`)
	if !before.Match(config) {
		m.t.Fatalf("there is no line %s in the configuration", name)
	}
	m.writeConfig(before.ReplaceAllLiteralString(string(config), "\t"+m.here(line)))
}

// backup is the path of one that the machine has made.
func (m *machine) backup(flags ...string) string {
	m.t.Helper()
	path := filepath.Join(m.t.TempDir(), "backup")
	m.runInput("", 0, append([]string{"zoho", "backup", path}, flags...)...)
	return path
}

// TestBackupDocument: the steps of docs/backup.md, each as it stands there. With the end of each
// heading the accounts of before are served, without a new consent.
func TestBackupDocument(t *testing.T) {
	tool(t, "openssl")
	for _, heading := range []string{"Backup and restore", "Move to another machine", "Move to Redis", "Change the encryption key"} {
		t.Run(heading, func(t *testing.T) {
			t.Parallel()
			a, b := startMachines(t, "shop", "office")
			if heading == "Move to Redis" {
				a.redis = redistest.Start(t, "appendonly", "yes").Addr
			}
			a.wantServed(false, "shop", "office")
			serves := a
			for _, step := range stepsOf(t, heading) {
				if serves = a; step.onNew {
					serves = b
				}
				serves.do(t, step, b)
			}
			serves.wantServed(true, "shop", "office")
		})
	}
}

// documentedStep is a numbered step of a document.
type documentedStep struct {
	text  string
	onNew bool     // on the new machine
	lines []string // what is to be typed or configured
}

// stepsOf are the steps below a heading, in their order.
func stepsOf(t *testing.T, heading string) (steps []documentedStep) {
	t.Helper()
	_, section, found := strings.Cut(readDoc(t, "docs/backup.md"), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/backup.md has no heading %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	numbered := regexp.MustCompile(`^\d+\. `)
	for line := range strings.Lines(section) {
		line = strings.TrimRight(line, "\n")
		switch {
		case numbered.MatchString(line):
			text := numbered.ReplaceAllString(line, "")
			steps = append(steps, documentedStep{text: text})
		case strings.HasPrefix(line, "       ") && len(steps) > 0:
			last := &steps[len(steps)-1]
			last.lines = append(last.lines, strings.TrimSpace(line))
		}
		if len(steps) > 0 && strings.Contains(strings.ToLower(line), "new machine") {
			steps[len(steps)-1].onNew = true
		}
	}
	if len(steps) < 3 {
		t.Fatalf("%q has %d steps", heading, len(steps))
	}
	for i := range steps {
		if strings.Contains(steps[i].text, "to the new machine") || strings.Contains(steps[i].text, "old machine") {
			steps[i].onNew = false
		}
	}
	return steps
}

// do carries a step out.
func (m *machine) do(t *testing.T, step documentedStep, other *machine) {
	t.Helper()
	switch {
	case strings.HasPrefix(step.text, "Stop Caddy"):
		m.stop()
	case strings.HasPrefix(step.text, "Start Caddy"):
		m.start()
	case len(step.lines) == 0:
		t.Errorf("the step %q says nothing to do", step.text)
	}
	for _, line := range step.lines {
		command, isCommand := strings.CutPrefix(line, "$ ")
		if !isCommand {
			m.configure(line)
			continue
		}
		output := m.shell(command, other)
		if strings.Contains(step.text, "0 records need it") && !strings.Contains(output, "0 records need it: it may be taken out") {
			t.Errorf("%s says\n%s", command, output)
		}
	}
}

// shell runs a line as it is typed at the machine, with another one as new-machine.
func (m *machine) shell(line string, other *machine) (output string) {
	m.t.Helper()
	programs := m.t.TempDir()
	scp := "#!/bin/sh\nexec cp \"$1\" \"" + other.dir + "/${2#new-machine:" + m.dir + "/}\"\n"
	for name, script := range map[string]string{"caddy": "#!/bin/sh\nexec " + binary + " \"$@\"\n", "scp": scp} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte(script), 0o700); err != nil {
			m.t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "-c", m.here(line))
	cmd.Dir = m.dir
	cmd.Env = append(slices.Clone(m.env), "PATH="+programs+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	m.checkSecrets(line, out)
	if err != nil {
		m.t.Errorf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// TestBackupUnderLoad, S-45: backups that are taken while accounts come and go are whole, and
// each brings all that was there before to another machine, whose calls work at once.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	a, b := startMachines(t, "first")
	stop := make(chan struct{})
	var connected atomic.Int64
	var writer sync.WaitGroup
	grants := make([]string, 400)
	for i := range grants {
		grants[i] = a.server.Grant(clientID, fmt.Sprintf("a%d@example.com", i), "us", "ZohoCRM.modules.ALL")
	}
	a.secrets, b.secrets = append(a.secrets, grants...), append(b.secrets, grants...)
	writer.Go(func() {
		for i, grant := range grants {
			select {
			case <-stop:
				return
			default:
			}
			body := fmt.Sprintf(`{"refresh_token": %q}`, grant)
			if res := a.adminCall(http.MethodPost, fmt.Sprintf("/zoho/connections/main/a%d/import", i), body); res.StatusCode != http.StatusOK {
				t.Errorf("%s %s", res.Status, res.body)
				return
			}
			connected.Store(int64(i) + 1)
		}
	})
	for range 5 {
		least := connected.Load() + 3
		a.waitFor("more accounts", func() bool { return connected.Load() >= min(least, int64(len(grants))) })
		before := connected.Load()
		path := a.backup()
		b.runInput("", 0, "zoho", "restore", path)
		list := b.connections("")
		if int64(list.Total) < before+1 {
			t.Errorf("%d accounts are there, %d were before", list.Total, before+1)
		}
		b.wantServed(false, "first", fmt.Sprintf("a%d", before-1))
	}
	close(stop)
	writer.Wait()
}

// TestRestoreRules: who has a grant keeps it, who was deleted stays deleted, what the
// configuration lacks or nothing opens is left out and named, and each flag says otherwise.
func TestRestoreRules(t *testing.T) {
	t.Parallel()
	a, b := startMachines(t, "shop", "office", "gone")
	a.wantCLI(cli{"forget main gone", 0, "forgotten", ""})
	path := a.backup()

	// At the other machine one has a grant of its own, and one was deleted.
	b.connect("office", "shop")
	b.wantCLI(cli{"forget main shop", 0, "forgotten", ""})
	restore := func(flags string, code int, stdout string) {
		t.Helper()
		b.wantCLI(cli{"restore " + path + flags, code, stdout, ""})
	}
	restore(" --dry-run", 0, "none of 2 grants would be restored; 1 deletion taken over")
	b.wantNoGrant("shop")
	restore("", 0, "main/office keeps the grant that is stored here; --replace takes the one of the backup")
	restore("", 0, "main/shop was deleted here, and stays so; --deleted brings it back")
	restore("", 0, "none of 2 grants restored; 0 deletions taken over")
	b.wantNoGrant("shop")
	restore(" --deleted", 0, "1 of 2 grants restored")
	b.wantServed(false, "shop")
	restore(" --replace --dry-run", 0, "2 of 2 grants would be restored, 2 of them in place of another")
	restore(" --replace --json", 0, `"result": "replaced"`)
	b.wantServed(true, "shop", "office")

	// "gone" was deleted at the first machine before the backup: an older backup does not bring it back.
	a.connect("gone")
	older := a.backup()
	b.wantCLI(cli{"restore " + older, 0, "main/gone was deleted here", ""})
	b.wantNoGrant("gone")

	// Without the key nothing is taken, and what is there stays.
	b.configure("encryption_key {file./etc/caddy-zoho/new.key}")
	b.stop()
	if err := os.RemoveAll(b.storeDir()); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.wantCLI(
		cli{"restore " + path, 1, "main/shop left out: none of the keys opens it: sealed under key id", "2 accounts could not be restored"},
		cli{"backup --check " + path, 1, "whole", "the keys of the running Caddy open 0 of 2 grants, not main/office, main/shop"},
	)
	// Nor those of a client that is not configured, while --check is content with keys that open.
	config := strings.Replace(a.here(sealedByKey), "client main", "client other", 1)
	b.writeConfig(strings.ReplaceAll(config, a.dir, b.dir))
	b.stop()
	b.start()
	b.wantCLI(
		cli{"restore " + path, 1, "main/office left out: no client of this name is configured", ""},
		cli{"backup --check " + path, 0, "open all of it", ""},
	)
}

// TestBackupRefused: without a key that is elsewhere there is no backup, unless somebody says
// that there is; and it names what will be needed.
func TestBackupRefused(t *testing.T) {
	t.Parallel()
	c, _, _ := newStored(t)
	c.start()
	c.shop()
	path := filepath.Join(c.dir, "backup")
	c.wantCLI(cli{"backup " + path, 1, "", "no encryption_key is configured"})
	c.wantCLI(cli{"rekey", 1, "", "write `encryption_key {file./etc/caddy-zoho/encryption_key} {file." + c.masterKey() + "}` in the global option zoho, and reload"})
	if _, err := os.Stat(path); err == nil {
		t.Error("a backup that was refused has left a file")
	}
	c.wantCLI(cli{"backup --with-master-key-elsewhere " + path, 0, "(master_key_file " + c.masterKey() + ")", ""})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	c.wantCLI(
		cli{"backup --with-master-key-elsewhere " + path, 1, "", path + " is there already"},
		cli{"backup --with-master-key-elsewhere --overwrite " + path, 0, "1 grant of client main (1)", ""},
		cli{"backup --check " + path, 0, "the keys of the running Caddy open all of it", ""},
	)
	// It goes into a Caddy that has the master key as an encryption_key.
	c.hideKey()
	key, _ := os.ReadFile(c.masterKey())
	c.stop()
	c.setenv("OWN_KEY=" + strings.TrimSpace(string(key)))
	if err := os.RemoveAll(c.storeDir()); err != nil {
		t.Fatal(err)
	}
	c.option("encryption_key {env.OWN_KEY}")
	c.start()
	c.wantCLI(cli{"restore " + path, 0, "1 of 1 grant restored", ""})
	c.wantShop("")

	// A key that opens nothing of what is stored makes no backup either.
	c.stop()
	c.setenv("OWN_KEY=another-key-that-has-sealed-nothing-yet")
	c.start()
	c.wantCLI(cli{"backup --overwrite " + path, 1, "", "no configured key opens the grants of client main"})
	c.wantCLI(cli{"rekey", 1, "opens by key id", "not all grants are opened by a configured encryption_key"})
}

// TestBackupFile: what is no regular file stays what it is, a link leads to what is written, a store without a grant
// replaces nothing, and a run that was killed leaves nothing that the next one minds.
func TestBackupFile(t *testing.T) {
	t.Parallel()
	server, baseURL, _ := sim(t, zohosim.Options{})
	m := newMachine(t, server, baseURL)
	m.start()
	path := func(name string) string { return m.here("/var/backups/" + name) }
	run := func(code int, says string, args ...string) {
		t.Helper()
		out, stderr, got := m.run(append([]string{"zoho", "backup"}, args...)...)
		if got != code || !strings.Contains(out+stderr, says) {
			t.Errorf("backup %q exits with %d, want %d and %q: %s%s", args, got, code, says, out, stderr)
		}
	}
	run(0, "no grant is stored", path("empty"))
	m.file("/var/backups/good", "an older backup")
	run(1, "the store holds no grant, so "+path("good")+" is left as it is", "--overwrite", path("good"))
	if got, err := os.ReadFile(path("good")); string(got) != "an older backup\n" {
		t.Errorf("a good backup became %q, %v", got, err)
	}

	m.connect("shop")
	if err := errors.Join(makePipe(path("pipe")), os.Mkdir(path("folder"), 0o700),
		os.Symlink("good", path("link")), os.Symlink("nothing", path("nowhere"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path("pipe"), path("folder"), "/dev/null"} {
		before, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		run(1, "no regular file", "--overwrite", name)
		run(1, "no regular file", name)
		if after, err := os.Lstat(name); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s became %v, %v", name, after, err)
		}
	}
	run(1, "leads nowhere", "--overwrite", path("nowhere"))
	run(0, "1 grant", "--overwrite", path("link"))
	run(0, "1 grant", "--check", path("good"))
	if leads, err := os.Readlink(path("link")); err != nil || leads != "good" {
		t.Errorf("the link leads to %q, %v", leads, err)
	}

	asked := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer stuck.Close()
	killed := exec.Command(binary, "zoho", "backup", path("killed"), "--address", strings.TrimPrefix(stuck.URL, "http://"))
	killed.Env, killed.Dir = m.env, m.dir
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	_ = killed.Process.Kill()
	_ = killed.Wait()
	if left, _ := filepath.Glob(path("killed*")); len(left) != 1 || left[0] == path("killed") {
		t.Errorf("a run that was killed has left %q", left)
	}
	m.file("/var/backups/killed.new-year", "not ours")
	run(0, "1 grant", path("killed"))
	run(0, "1 grant", "--check", path("killed"))
	if left, _ := filepath.Glob(path("killed*")); len(left) != 2 {
		t.Errorf("left: %q", left)
	}
}

// TestBackupOfADamagedStore: what is sound is backed up, what is not is named, and the exit code of its own tells a
// cron job. Such a backup replaces none: the one before may have what it lacks.
func TestBackupOfADamagedStore(t *testing.T) {
	t.Parallel()
	server, baseURL, _ := sim(t, zohosim.Options{})
	m := newMachine(t, server, baseURL)
	m.start()
	m.connect("good", "harmed")
	path := m.here("/var/backups/zoho")
	m.wantCLI(cli{"backup " + path, 0, "2 grants", ""})
	complete, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m.stop()
	err = editStore(filepath.Join(m.storeDir(), "grants.db"), func(tx *bbolt.Tx) error {
		grants := tx.Bucket([]byte("grants")).Bucket([]byte("main"))
		harmed := bytes.Clone(grants.Get([]byte("harmed")))
		harmed[len(harmed)/2] ^= 1
		return grants.Put([]byte("harmed"), harmed)
	})
	if err != nil {
		t.Fatal(err)
	}
	m.start()
	m.wantCLI(
		cli{"backup " + path + "2", 5, "1 grant of client main (1)", "not in the backup: main/harmed: its record is damaged"},
		cli{"backup --json " + path + "3", 5, `"missing": [`, `"code":"incomplete"`},
		cli{"backup --overwrite " + path, 5, path + ".incomplete: backed up 1 grant", "main/harmed"},
		cli{"backup --overwrite " + path, 5, path + ".incomplete: backed up 1 grant", "main/harmed"},
		cli{"backup --check " + path + ".incomplete", 5, "the keys of the running Caddy open all of it", "incomplete when it was made"},
		cli{"backup --check --json " + path + "2", 5, `"opens": true`, "main/harmed"},
		cli{"backup --check " + path, 0, "whole, 2 grants", ""},
	)
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, complete) {
		t.Errorf("the complete backup was replaced: %v", err)
	}
	m.logs("an incomplete backup was created", "main/harmed")

	m.wantCLI(
		cli{"forget main harmed", 0, "", ""},
		cli{"backup --overwrite " + path, 0, "1 grant", ""},
	)
	other := newMachine(t, server, baseURL)
	other.secrets = append(other.secrets, m.secrets...)
	other.start()
	other.wantCLI(cli{"restore " + path + "2", 0, "1 of 1 grant restored", "not in the backup: main/harmed"})
	other.wantServed(true, "good")
}

// TestCheckBackup: damage is told from a Caddy that cannot be asked.
func TestCheckBackup(t *testing.T) {
	t.Parallel()
	a, _ := startMachines(t, "shop")
	path := a.backup()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(a.dir, "damaged")
	for _, content := range [][]byte{file[:len(file)/2], append(bytes.Clone(file), file...), nil, []byte("something else\n")} {
		if err := os.WriteFile(damaged, content, 0o600); err != nil {
			t.Fatal(err)
		}
		a.wantCLI(cli{"backup --check " + damaged, 1, "", damaged}, cli{"restore " + damaged, 1, "", "use another backup"})
		if res := a.adminCall(http.MethodPost, "/zoho/restore", string(content)); res.StatusCode != http.StatusBadRequest ||
			!strings.Contains(string(res.body), "damaged-backup") {
			t.Errorf("%s %s", res.Status, res.body)
		}
	}
	stdout, _ := a.runInput(string(file), 0, "zoho", "backup", "--check", "-", "--json")
	var told struct {
		Tried, Opens bool
		Grants       int
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(stdout, "keys_tried", "tried")), &told); err != nil || !told.Opens || !told.Tried || told.Grants != 1 {
		t.Errorf("%v: %s", err, stdout)
	}
	// What the keys open and no client here has would be left out.
	server, baseURL, _ := sim(t, zohosim.Options{})
	other := newMachine(t, server, baseURL)
	other.writeConfig(strings.Replace(other.here(sealedByKey), "client main {", "client another {", 1))
	other.start()
	other.wantCLI(cli{"backup --check " + path, 0, "open all of it", "warning: restore would leave 1 account out here: client main is not configured"},
		cli{"restore " + path, 1, "left out", "1 account could not be restored"})
	// Neither a page nor another method gets at it, and what was done is in the audit.
	for _, path := range []string{"/zoho/restore", "/zoho/rekey"} {
		if res := a.adminCall(http.MethodPost, path, string(file), "Origin", "https://evil.example"); res.StatusCode != http.StatusForbidden {
			t.Errorf("a foreign origin: %s", res.Status)
		}
		if res := a.adminCall(http.MethodGet, path, ""); res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %s", path, res.Status)
		}
	}
	if res := a.adminCall(http.MethodGet, "/zoho/backup", "", "Sec-Fetch-Mode", "no-cors"); res.StatusCode < 400 {
		t.Errorf("a page's request: %s", res.Status)
	}
	a.runInput(string(file), 0, "zoho", "restore", "-")
	a.logs(`"action":"backup"`, `"action":"restore"`, "a backup was created")
	stdout, stderr := a.runInput("", 0, "zoho", "backup", "-")
	if !strings.Contains(stderr, "1 grant of client main (1)") || !strings.HasPrefix(stdout, `{"backup":`) {
		t.Errorf("%s\n%s", stdout, stderr)
	}
	a.stop()
	a.wantCLI(
		cli{"backup --check " + path, 4, "whole", "the file is whole, but the keys were not tried"},
		cli{"backup --check " + damaged, 1, "", "this is not a backup"},
		cli{"backup " + filepath.Join(a.dir, "new"), 4, "", "no answer from Caddy"},
		cli{"restore " + path, 4, "", "no answer from Caddy"},
		cli{"rekey", 4, "", "no answer from Caddy"},
		cli{"backup", 2, "", "FILE is missing"},
		cli{"restore a b", 2, "", "it takes FILE alone"},
	)
	if _, err := os.Stat(filepath.Join(a.dir, "new")); err == nil {
		t.Error("a backup that could not be made has left a file")
	}
}

// TestRekeyUnderTraffic, S-50: from one key to the next while apps call, tokens are renewed and
// accounts come and go: no call fails, the old key is needed by nothing when status says so, and
// neither key nor token is in the files.
func TestRekeyUnderTraffic(t *testing.T) {
	t.Parallel()
	server, baseURL, _ := sim(t, zohosim.Options{TokenLife: 5 * time.Second, MaxTokens: -1})
	m := newMachine(t, server, baseURL)
	m.writeConfig(m.here(strings.Replace(sealedByKey, "\t\tclient main {\n", "\t\tclient main {\n\t\t\ttoken_budget 1000 10m\n", 1)))
	m.start()
	m.connect("shop", "office")
	stop := make(chan struct{})
	var callers sync.WaitGroup
	var calls atomic.Int64
	for _, account := range []string{"shop", "office"} {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a, err := m.try(http.MethodGet, threeServices[0], nil, "Zoho-Proxy-Account", account)
				if err == nil && (a.StatusCode >= 300 || a.problem() != "") {
					t.Errorf("%s: %s %s", account, a.Status, a.body)
				}
				calls.Add(1)
			}
		})
	}
	steps := []func(){
		func() {
			m.configure("encryption_key {file./etc/caddy-zoho/new.key} {file./etc/caddy-zoho/old.key}")
		},
		func() { m.wantCLI(cli{"rekey", 0, "0 wraps dropped", ""}) },
		func() { m.wantCLI(cli{"status", 0, "0 records need it: it may be taken out", ""}) },
		func() { m.configure("encryption_key {file./etc/caddy-zoho/new.key}") },
		func() {
			m.wantCLI(cli{"status", 0, "keys that are not configured still open the store", ""},
				cli{"status --json", 0, `"unconfigured": [`, ""})
		},
		func() { m.wantCLI(cli{"rekey", 0, "2 wraps dropped", ""}) },
	}
	for i, step := range steps {
		before := calls.Load()
		m.waitFor("some calls", func() bool { return calls.Load() > before+20 })
		step()
		if i == 0 || i == 3 {
			if err := m.reload(); err != nil {
				t.Fatal(err)
			}
		}
		m.connect(fmt.Sprint("a", i))
	}
	close(stop)
	callers.Wait()
	stdout, _, _ := m.run("zoho", "status")
	if strings.Contains(stdout, "key id") {
		t.Errorf("in the end status says %s", stdout)
	}
	m.stop()
	for _, name := range []string{"grants.db", "grants.db.before", "tokens.db"} {
		content, err := os.ReadFile(filepath.Join(m.storeDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		m.checkSecrets(name, content)
	}
	m.start()
	m.wantServed(true, "shop", "office", "a0", "a5")
}

// TestRekeyKilledAtFailpoints, S-50: wherever the process dies on its way, the store opens, and
// the next one carries it out: no wrap by the old key is left.
func TestRekeyKilledAtFailpoints(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds another binary")
	}
	built, err := withFailpoints()
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range []string{"rekeyWritten", "rekeyRenamed", "rekeyCopied"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			server, baseURL, _ := sim(t, zohosim.Options{})
			m := newMachine(t, server, baseURL)
			m.start()
			m.connect("shop", "office")
			m.stop()
			m.configure("encryption_key {file./etc/caddy-zoho/new.key} {file./etc/caddy-zoho/old.key}")
			m.start() // which adds the wraps
			oldID := m.connections("").Keys.Further[0]
			m.stop()
			m.configure("encryption_key {file./etc/caddy-zoho/new.key}")
			m.binary, m.failpoints = built, "127.0.0.1:"+freePort(t)
			m.setenv("GOFAIL_HTTP="+m.failpoints, "GOFAIL_FAILPOINTS="+point+"=sleep(600000)")
			m.start()
			var rekey sync.WaitGroup
			rekey.Go(func() { _, _ = m.tryAdmin(http.MethodPost, "/zoho/rekey", "{}") })
			m.waitFor(point, func() bool { return m.met(point) == 1 })
			m.kill()
			rekey.Wait()
			m.setenv("GOFAIL_FAILPOINTS=")
			m.start()
			m.wantServed(true, "shop", "office")
			m.runInput("", 0, "zoho", "rekey")
			m.stop()
			for _, name := range []string{"grants.db", "grants.db.before"} {
				content, err := os.ReadFile(filepath.Join(m.storeDir(), name))
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(content, []byte(oldID)) {
					t.Errorf("%s has a wrap by the old key", name)
				}
			}
			m.start()
			m.wantServed(true, "shop", "office")
		})
	}
}

// TestRestoreMany: 10,000 accounts come in within seconds, in little memory, and each of them works.
func TestRestoreMany(t *testing.T) {
	t.Parallel()
	const accounts = 10_000
	server, baseURL, _ := sim(t, zohosim.Options{})
	a, b := newMachine(t, server, baseURL), newMachine(t, server, baseURL)
	last := server.Grant(clientID, "last@example.com", "us", "ZohoCRM.modules.ALL")
	a.secrets, b.secrets = append(a.secrets, last), append(b.secrets, last)
	grants := make(map[string]tokencache.Grant)
	for i := range accounts - 1 {
		grants[fmt.Sprintf("a%05d", i)] = tokencache.Grant{RefreshToken: fmt.Sprintf("1000.many.%05d", i), AccountsServer: baseURL,
			Scopes: []string{"ZohoCRM.modules.ALL", "ZohoBooks.fullaccess.all"}, User: "owner@example.com"}
	}
	grants["last"] = tokencache.Grant{RefreshToken: last, AccountsServer: baseURL}
	store := boltstore.New(a.storeDir())
	if err := errors.Join(store.SaveGrants("main", [][]byte{[]byte(oldEncryptionKey)}, grants, false), store.Close()); err != nil {
		t.Fatal(err)
	}
	a.start()
	b.start()
	before, begun := b.residentPeak(), time.Now()
	path := a.backup()
	written := time.Since(begun)
	stdout, _ := b.runInput("", 0, "zoho", "restore", path)
	t.Logf("%d accounts: backed up in %s, restored in %s, by %d KiB more memory",
		accounts, written, time.Since(begun)-written, (b.residentPeak()-before)>>10)
	if !strings.Contains(stdout, "10000 of 10000 grants restored") {
		t.Error(stdout)
	}
	b.wantSmall("restoring", before, 128<<20)
	b.wantServed(false, "last")
	if list := b.connections("?limit=1"); list.Total != accounts {
		t.Errorf("%d accounts", list.Total)
	}
}
