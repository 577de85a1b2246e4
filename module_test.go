package caddyzoho

import (
	"os"
	"path/filepath"
	"testing"
)

// TestStoreBehindASymbolicLink: the key of the shared state is the same before the
// directory exists and after, or the first reload would open the store twice.
func TestStoreBehindASymbolicLink(t *testing.T) {
	dir := resolved(t.TempDir())
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(dir, "link", "deep", "store")
	want := filepath.Join(dir, "real", "deep", "store")
	if got := resolved(store); got != want {
		t.Errorf("before it exists: %s, want %s", got, want)
	}
	if err := os.MkdirAll(store, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := resolved(store); got != want {
		t.Errorf("once it exists: %s, want %s", got, want)
	}
}
