package masterkey

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestMake(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "caddy", "key")
	f := New(path)
	if key, err := f.Key(); key != nil || err != nil {
		t.Fatalf("before there is one: %v, %v", key, err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("reading made something: %v", err)
	}
	if err := f.Make(); err != nil {
		t.Fatal(err)
	}
	key, err := f.Key()
	if err != nil || len(key) != 44 {
		t.Fatalf("%d characters, %v", len(key), err)
	}
	if err := f.Make(); err != nil {
		t.Errorf("once more: %v", err)
	}
	if again, err := New(path).Key(); err != nil || !bytes.Equal(again, key) {
		t.Errorf("another process has another key: %v", err)
	}
	if left, _ := filepath.Glob(path + "?*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(p); runtime.GOOS != "windows" && (err != nil || info.Mode().Perm() != want) {
			t.Errorf("%s: %v, %v", p, info.Mode(), err)
		}
	}
}

// TestRace: however many make it at the same time, there is one key.
func TestRace(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(t.TempDir(), "key")
		keys := make([][]byte, 8)
		var all sync.WaitGroup
		for i := range keys {
			all.Go(func() {
				f := New(path)
				make := f.Make
				if i%4 == 3 { // as where links are not to be had
					make = func() error { return f.create([]byte(strings.Repeat("k", 44))) }
				}
				if err := make(); err != nil && !errors.Is(err, os.ErrExist) {
					t.Error(err)
				}
				keys[i], _ = f.Key()
			})
		}
		all.Wait()
		want, err := New(path).Key()
		if err != nil || want == nil {
			t.Fatal(want, err)
		}
		for _, key := range keys {
			if key != nil && !bytes.Equal(key, want) {
				t.Fatalf("there are two keys")
			}
		}
	}
}

func TestUnusable(t *testing.T) {
	t.Parallel()
	for says, prepare := range map[string]func(path string) error{
		"is a directory":         func(path string) error { return os.Mkdir(path, 0o700) },
		"is empty":               func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"has no key":             func(path string) error { return os.WriteFile(path, []byte("short\n"), 0o600) },
		"at least 16 printable":  func(path string) error { return os.WriteFile(path, []byte("two words of some length\n"), 0o600) },
		"on one line":            func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("x"), 5000), 0o600) },
		"is not a regular file":  func(path string) error { return os.Symlink(os.DevNull, path) },
		"cannot be read by":      func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("x"), 44), 0) },
		"not a directory":        func(path string) error { return os.WriteFile(filepath.Dir(path), nil, 0o600) },
		"a broken symbolic link": func(path string) error { return os.Symlink(path+".nowhere", path) },
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			if says == "cannot be read by" && os.Getuid() == 0 {
				t.Skip("root reads everything")
			}
			path := filepath.Join(t.TempDir(), "folder", "key")
			if says != "not a directory" {
				if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := prepare(path); err != nil {
				t.Fatal(err)
			}
			f := New(path)
			key, err := f.Key()
			if err == nil {
				err = f.Make()
			}
			if key != nil || err == nil || !strings.Contains(err.Error(), says) ||
				!strings.Contains(err.Error(), filepath.Dir(path)) {
				t.Errorf("%v, %v", key, err)
			}
		})
	}
}

// TestChanged: another key in the file is noticed; one that is gone goes on opening.
func TestChanged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	f := New(path)
	want := func(key string, well bool) {
		t.Helper()
		if got, err := f.Key(); string(got) != key || (err == nil) != well {
			t.Errorf("got %q, %v, want %q", got, err, key)
		}
	}
	write := func(text string) {
		t.Helper()
		_ = os.Remove(path)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("the-first-key-of-all\r\n")
	want("the-first-key-of-all", true)
	write("the-second-key")
	want("the-first-key-of-all", false)
	write("the-second-key-of-all")
	want("the-second-key-of-all", true)
	_ = os.Remove(path)
	want("the-second-key-of-all", true)
}

// TestLengths, S-48: a key of the least and of the greatest length is taken, and none beside.
func TestLengths(t *testing.T) {
	for length, taken := range map[int]bool{shortest - 1: false, shortest: true, longest: true, longest + 1: false} {
		path := filepath.Join(t.TempDir(), "master.key")
		if err := os.WriteFile(path, bytes.Repeat([]byte("k"), length), 0o600); err != nil {
			t.Fatal(err)
		}
		if key, err := New(path).Key(); (err == nil) != taken || taken && len(key) != length {
			t.Errorf("%d bytes: %d, %v", length, len(key), err)
		}
	}
	for text, taken := range map[string]bool{"~": true, "!": true, "\x7f": false, " ": false} {
		path := filepath.Join(t.TempDir(), "master.key")
		if err := os.WriteFile(path, []byte(strings.Repeat("k", shortest)+text+"k"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(path).Key(); (err == nil) != taken {
			t.Errorf("with %q: %v", text, err)
		}
	}
}
