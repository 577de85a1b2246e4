//go:build unix

package masterkey

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestKeyOfAStranger: a key that somebody else has put there is not used; one of root's is, and so is
// one behind a link, as Kubernetes mounts it.
func TestKeyOfAStranger(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const ours, stranger = 54321, 54322
	dir, err := os.MkdirTemp("", "masterkey-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for owner, good := range map[int]bool{ours: true, 0: true, stranger: false} {
		path, link := filepath.Join(dir, "key"), filepath.Join(dir, "link")
		_ = errors.Join(os.Remove(path), os.Remove(link))
		if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, []byte(strings.Repeat("k", 40)), 0o644),
			os.Chown(path, owner, owner), os.Symlink("key", link)); err != nil {
			t.Fatal(err)
		}
		for _, at := range []string{path, link} {
			if err := syscall.Seteuid(ours); err != nil {
				t.Fatal(err)
			}
			key, err := New(at).Key()
			if back := syscall.Seteuid(0); back != nil {
				t.Fatal(back)
			}
			if (err == nil && key != nil) != good || err != nil && !strings.Contains(err.Error(), "belongs to user 54322") {
				t.Errorf("of user %d, %s: %d bytes, %v", owner, at, len(key), err)
			}
		}
	}
}
