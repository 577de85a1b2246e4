package tests

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// treeFiles are the files of the project that stand below dir, by their paths from there, with
// slashes: those that git tracks. What else lies in a clone is somebody's own. Where there is
// no clone, as in a module's archive, it is all but what stands in folders with a dot.
func treeFiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	tracked, err := exec.Command("git", "-C", dir, "ls-files", "-z").Output()
	for name := range strings.SplitSeq(string(tracked), "\x00") {
		if info, statErr := os.Stat(filepath.Join(dir, name)); name != "" && statErr == nil && !info.IsDir() {
			files = append(files, name)
		}
	}
	if err == nil && len(files) > 0 {
		return files
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		name, err := filepath.Rel(dir, path)
		files = append(files, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestTreeFiles: what lies untracked in a clone is none of the project's, and without git
// the project is what is there.
func TestTreeFiles(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))
	for _, name := range []string{"README.md", "docs/a.md", "node_modules/x/README.md", ".cache/b.md", "gone.md"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := func(names ...string) {
		t.Helper()
		got := treeFiles(t, dir)
		slices.Sort(got)
		if !slices.Equal(got, names) {
			t.Errorf("got %q, want %q", got, names)
		}
	}
	want("README.md", "docs/a.md", "gone.md", "node_modules/x/README.md")
	for _, line := range []string{"init", "add README.md docs gone.md"} {
		git := exec.Command(tool(t, "git"), append([]string{"-C", dir}, strings.Fields(line)...)...)
		if out, err := git.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", line, err, out)
		}
	}
	if err := os.Remove(filepath.Join(dir, "gone.md")); err != nil {
		t.Fatal(err)
	}
	want("README.md", "docs/a.md")
}
