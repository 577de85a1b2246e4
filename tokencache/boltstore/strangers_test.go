//go:build unix

package boltstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/tokencache/boltstore"
)

// TestLinksAreNotFollowed is S-44: nothing outside of the store's folder is read, written or cut, wherever
// in it somebody has put a link.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tokens.db", "grants.db", "grants.db.before", "grants.db.before.new"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := makeStore(t)
			link := filepath.Join(dir, name)
			outside := filepath.Join(t.TempDir(), "outside")
			if data, err := os.ReadFile(link); err == nil { // what would be taken for the file
				err = os.WriteFile(outside, data, 0o600)
				if err != nil {
					t.Fatal(err)
				}
			} else if err := os.WriteFile(outside, bytes.Repeat([]byte("mine"), 10000), 0o600); err != nil {
				t.Fatal(err)
			}
			before := readFile(t, outside)
			_ = os.Remove(link)
			if err := os.Symlink(outside, link); err != nil {
				t.Fatal(err)
			}
			b := mustOpen(t, dir)
			wantTokensToGoOn(t, b)
			err := b.SaveGrant(key("new"), secrets, grant("new"))
			if (err != nil) != (name == "grants.db") || err != nil && !strings.Contains(err.Error(), "symbolic link") {
				t.Errorf("saving: %v", err)
			}
			_ = b.Close()
			if !bytes.Equal(readFile(t, outside), before) {
				t.Error("the file outside was written to")
			}
			if info, err := os.Lstat(link); name != "grants.db" && err == nil && !info.Mode().IsRegular() {
				t.Errorf("the link is still there: %v", info.Mode())
			}
		})
	}
}

// TestPipesAreNotWaitedFor: a pipe holds nobody up.
func TestPipesAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	dir := makeStore(t)
	if err := syscall.Mkfifo(filepath.Join(dir, "grants.db.before.new"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := mustOpen(t, dir)
	if err := b.SaveGrant(key("new"), secrets, grant("new")); err != nil {
		t.Error(err)
	}
}

const (
	ours, strangers = 54321, 54322
	storeOfStranger = "BOLTSTORE_TEST_STORE"
)

// TestAsAnotherUser is the part of TestStrangers that runs as another user.
func TestAsAnotherUser(t *testing.T) {
	dir := os.Getenv(storeOfStranger)
	if dir == "" {
		t.Skip("a part of TestStrangers")
	}
	b := boltstore.New(dir)
	defer b.Close()
	fmt.Printf("open: %v\ngrant: %v\ntoken: %v\ncheck: %v\n", b.Open(), b.SaveGrant(key("new"), secrets, grant("new")),
		b.Save(key("new"), secrets, someRecord), b.Check())
}

// TestStrangers is S-42: a store that somebody else owns is not used, be it the folder or a file in it; one
// of root's is.
func TestStrangers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	base, err := os.MkdirTemp("", "strangers-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	program := filepath.Join(base, "test")
	if err := errors.Join(os.Chmod(base, 0o755), copyProgram(program)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		folder, file int    // who owns them
		path         string // of the file, "" for none
		refused      bool
	}{
		"all ours":                   {ours, ours, "", false},
		"a folder of root's":         {0, ours, "", false},
		"a folder of somebody else":  {strangers, ours, "", true},
		"tokens.db of somebody else": {ours, strangers, "tokens.db", true},
		"grants.db of somebody else": {ours, strangers, "grants.db", true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(base, strings.ReplaceAll(name, " ", "-"))
			if err := errors.Join(os.Mkdir(dir, 0o777), os.Chmod(dir, 0o777)); err != nil {
				t.Fatal(err)
			}
			run := func() string {
				cmd := exec.Command(program, "-test.run=^TestAsAnotherUser$")
				cmd.Env = append(os.Environ(), storeOfStranger+"="+dir)
				cmd.Dir = base
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ours, Gid: ours}}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				return string(out)
			}
			if test.path != "" { // which is there already, and open to all
				run()
				file := filepath.Join(dir, test.path)
				if err := errors.Join(os.Chown(file, test.file, test.file), os.Chmod(file, 0o666)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chown(dir, test.folder, test.folder); err != nil {
				t.Fatal(err)
			}
			out := run()
			says := strings.Contains(out, "belongs to user 54322") && strings.Contains(out, "Caddy runs as user 54321") && strings.Contains(out, "chown -R 54321 "+dir)
			if says != test.refused {
				t.Errorf("refused: %v, want %v\n%s", says, test.refused, out)
			}
			if !test.refused && strings.Count(out, "<nil>") != 4 {
				t.Errorf("it does not work:\n%s", out)
			}
			if left, _ := os.ReadDir(dir); test.folder == strangers && len(left) > 0 {
				t.Errorf("left in the folder of somebody else: %v", left)
			}
			// Root can use it, and says so.
			b := boltstore.New(dir)
			t.Cleanup(func() { _ = b.Close() })
			if err := errors.Join(b.Open(), b.SaveGrant(key("root"), secrets, grant("root")), b.Check()); err != nil {
				t.Errorf("root: %v", err)
			}
			if !strings.Contains(strings.Join(b.Warnings(), "\n"), "belongs to user 5432") {
				t.Errorf("root is warned of %v", b.Warnings())
			}
		})
	}
}

func copyProgram(to string) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
