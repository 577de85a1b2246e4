package tests

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

func markdownFiles(t *testing.T) (names []string) {
	t.Helper()
	for _, name := range treeFiles(t, "..") {
		if strings.HasSuffix(name, ".md") {
			names = append(names, name)
		}
	}
	for _, name := range []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"} {
		if !slices.Contains(names, name) {
			t.Errorf("there is no %s", name)
		}
	}
	return names
}

func deployFiles(t *testing.T) (names []string) {
	t.Helper()
	for _, name := range treeFiles(t, "..") {
		if strings.HasPrefix(name, "deploy/") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatal("deploy/ is empty")
	}
	return names
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

// passwordHash finds what a password can be guessed by: the modular forms of crypt(3), argon2,
// scrypt, PBKDF2 and Apache's, and LDAP's.
var passwordHash = regexp.MustCompile(`\$(?:2[abxy]?\$\d\d|argon2(?:id|i|d)\$|scrypt\$|s[01]\$|pbkdf2[-a-z0-9]*\$|[156]\$|apr1\$|md5\$|sha1\$|y\$|gy\$|7\$)[./A-Za-z0-9$=,+_-]{8,}|\{(?:S?SHA(?:256|512)?|S?MD5|CRYPT)\}[A-Za-z0-9+/=$.]{16,}`)

// hashOfHiccup is a password's hash, for configurations of tests: that of the word hiccup.
const hashOfHiccup = "$2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG"

// TestNoPasswordHashes: who copies a configuration from a document must not take over a
// password that others can find.
func TestNoPasswordHashes(t *testing.T) {
	for _, hash := range []string{
		hashOfHiccup, "$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub",
		"$6$rounds=5000$saltsalt$Zkx19XLiW6VYouLHR5Nm", "$5$saltsalt$Zkx19XLiW6VYouLHR5Nm", "$1$saltsalt$Zkx19XLiW6VYouLHR5Nm", "$apr1$saltsalt$Zkx19XLiW6VYouLHR5Nm1/",
		"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7", "$7$C6..../....SodiumChloride$kBGj9fHznVYFQMEn", "$s0$e0801$epIxT/h6HbbwHaehFnh$",
		"$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A", "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVH", "{SSHA}MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0",
	} {
		if !passwordHash.MatchString("user " + hash + "\n") {
			t.Errorf("not seen: %s", hash)
		}
	}
	searched := 0
	for _, name := range treeFiles(t, "..") {
		file := filepath.Base(name)
		if !strings.HasSuffix(file, ".md") && !strings.Contains(file, "Caddyfile") && !strings.Contains(file, "Dockerfile") && !strings.HasPrefix(name, "deploy/") {
			continue
		}
		searched++
		if hash := passwordHash.FindString(readDoc(t, name)); hash != "" {
			t.Errorf("%s has the password hash %s: write {env.…} there", name, hash)
		}
	}
	if searched < 20 {
		t.Errorf("only %d files were searched", searched)
	}
}
