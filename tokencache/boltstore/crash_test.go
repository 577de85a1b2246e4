//go:build unix

package boltstore_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// child runs the test binary once more, as a process of its own with a part to play.
func child(tb testing.TB, part, dir string) *exec.Cmd {
	tb.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "STORE_CHILD="+part, "STORE_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestChild plays its part; alone it does nothing.
func TestChild(t *testing.T) {
	dir := os.Getenv("STORE_DIR")
	switch part := os.Getenv("STORE_CHILD"); part {
	case "":
		t.Skip("no child")
	case "writer":
		writeForEver(t, dir)
	case "holder":
		b := mustOpen(t, dir)
		mustSaveGrant(t, b, main1, grant("held"))
		fmt.Println("open")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	case "rekeyer":
		rekeyForEver(t, dir)
	case "full disk":
		fillDisk(t, dir)
	default: // an umask
		mask, err := strconv.ParseInt(part, 8, 32)
		if err != nil {
			t.Fatal(err)
		}
		syscall.Umask(int(mask))
		b := mustOpen(t, filepath.Join(dir, "made", "store"))
		mustSaveGrant(t, b, main1, grant("a"))
		mustSaveGrant(t, b, main1, grant("b"))
		wantModes(t, filepath.Join(dir, "made"))
	}
}

// writeForEver saves grants and records and says which ones are acknowledged.
func writeForEver(t *testing.T, dir string) {
	b := mustOpen(t, dir)
	first := len(b.Accounts("main"))
	for i := first; ; i++ {
		mustSaveGrant(t, b, key(name(i)), grant(name(i)))
		r := someRecord
		r.Generation = uint64(i)
		if err := b.Save(main1, secrets, r); err != nil {
			t.Fatal(err)
		}
		fmt.Println("saved", i)
	}
}

// TestKilledWhileWriting, S-37: each grant and record that was acknowledged is there, whenever the process was killed.
func TestKilledWhileWriting(t *testing.T) {
	t.Parallel()
	rounds := 40
	if testing.Short() {
		rounds = 5
	}
	dir := filepath.Join(t.TempDir(), "store")
	last := -1
	for round := range rounds {
		cmd := child(t, "writer", dir)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		kill := func() { time.AfterFunc(time.Duration(round*7%40)*time.Millisecond, func() { _ = cmd.Process.Kill() }) }
		if round%4 == 0 {
			kill() // while it opens
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if kill != nil && round%4 != 0 {
				kill() // while it writes
				kill = nil
			}
			if n, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "saved ")); err == nil {
				last = n
			}
		}
		_ = cmd.Wait()
	}
	t.Logf("%d acknowledged writes in %d rounds", last+1, rounds)
	b := mustOpen(t, dir)
	for i := range last + 1 {
		wantGrant(t, b, key(name(i)), grant(name(i)))
	}
	if r, ok, err := b.Load(main1, secrets); last >= 0 && (!ok || err != nil || r.Generation < uint64(last)) {
		t.Errorf("got %v, %v, %v, want generation %d", r, ok, err, last)
	}
	if err := b.Check(); err != nil {
		t.Error(err)
	}
	_ = b.Close()
	for _, file := range []string{"grants.db", "tokens.db"} {
		wantSoundBolt(t, filepath.Join(dir, file))
	}
	if last > 0 {
		wantVersionBefore(t, dir, last)
	}
}

// wantVersionBefore fails unless grants.db.before is sound, and one change old at most.
func wantVersionBefore(t *testing.T, dir string, n int) {
	t.Helper()
	restored := t.TempDir()
	copyFile(t, filepath.Join(dir, "grants.db.before"), filepath.Join(restored, "grants.db"))
	b := mustOpen(t, restored)
	for i := range n {
		wantGrant(t, b, key(name(i)), grant(name(i)))
	}
	if err := b.CheckGrants(); err != nil {
		t.Error(err)
	}
}

// wantSoundBolt has bbolt itself check a file.
func wantSoundBolt(tb testing.TB, path string) {
	tb.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		tb.Errorf("%s: %v", path, err)
		return
	}
	err = db.View(func(tx *bolt.Tx) (err error) {
		for e := range tx.Check() {
			err = errors.Join(err, e)
		}
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		tb.Errorf("%s: %v", path, err)
	}
}

// TestLockedByAnotherProcess, S-43: who cannot have the lock is told who has it, and touches nothing.
func TestLockedByAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	cmd := child(t, "holder", dir)
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "open"; {
	}
	b := boltstore.New(dir)
	t.Cleanup(func() { _ = b.Close() })
	err := b.Open()
	var locked *tokencache.LockedError
	if !errors.As(err, &locked) || locked.File != filepath.Join(dir, "tokens.db") {
		t.Fatalf("got %v, want a LockedError", err)
	}
	if _, err := os.Stat("/proc/locks"); err == nil && locked.PID != cmd.Process.Pid {
		t.Errorf("holder: got %d, want %d", locked.PID, cmd.Process.Pid)
	}
	if _, _, err := b.LoadGrant(main1, secrets); !errors.As(err, &locked) {
		t.Errorf("a call: got %v, want a LockedError", err)
	}
	if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "*damaged*")); len(aside) > 0 {
		t.Errorf("files of another process were set aside: %v", aside)
	}
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	wantGrant(t, b, main1, grant("held"))
}

// TestUmask, S-44: nobody else can read what is made, whatever the umask.
func TestUmask(t *testing.T) {
	t.Parallel()
	for _, mask := range []string{"0", "077", "027"} {
		if out, err := child(t, mask, t.TempDir()).Output(); err != nil {
			t.Errorf("umask %s: %v\n%s", mask, err, out)
		}
	}
}

// TestFullDisk, S-41: what is there can be read on a full disk, and writing goes on when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if out, err := child(t, "full disk", t.TempDir()).Output(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// fillDisk writes until no file may grow any more, and goes on when it may again.
func fillDisk(t *testing.T, dir string) {
	b := mustOpen(t, dir)
	mustSaveGrant(t, b, main1, grant("a"))
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	limit := syscall.Rlimit{Cur: 256 << 10, Max: was.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	big := someRecord
	big.Scope = strings.Repeat("scope,", 2000)
	var err error
	saved := 0
	for ; err == nil && saved < 200; saved++ {
		err = b.Save(key(name(saved)), secrets, big)
	}
	e := wantStoreError(t, err, "tokens.db")
	if !strings.Contains(e.Remedy, "free space") {
		t.Errorf("remedy: got %q", e.Remedy)
	}
	g := grant("big")
	g.Scopes = []string{strings.Repeat("x", 300<<10)}
	wantStoreError(t, b.SaveGrant(key("big"), secrets, g), "grants.db")
	for i := range saved - 1 {
		if _, ok, err := b.Load(key(name(i)), secrets); !ok || err != nil {
			t.Fatalf("reading on a full disk: %v, %v", ok, err)
		}
	}
	wantGrant(t, b, main1, grant("a"))
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err := b.Save(key(name(saved)), secrets, big); err != nil {
		t.Errorf("after space came back: %v", err)
	}
	if err := b.SaveGrant(key("big"), secrets, g); err != nil {
		t.Errorf("after space came back: %v", err)
	}
	wantGrant(t, b, key("big"), g)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	wantSoundBolt(t, filepath.Join(dir, "tokens.db"))
	wantSoundBolt(t, filepath.Join(dir, "grants.db"))
}
