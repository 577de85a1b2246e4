// The layout: which package may import which, and which files are the project's.

package tests

import (
	"encoding/json"
	"go/ast"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const modulePath = "github.com/caddy-zoho/caddy-zoho"

// layers says which packages of this module a package may import; nothing points
// upward, and no package is without a line. Its tests may import zohosim as well.
var layers = map[string][]string{
	"": {
		"internal/access", "internal/accesslog", "internal/admin", "internal/adminapi", "internal/apikeys",
		"internal/audit", "internal/body", "internal/callers",
		"internal/cause", "internal/cli", "internal/client", "internal/doctor", "internal/egress", "internal/fault",
		"internal/forward", "internal/metrics", "internal/notify", "internal/onboard", "internal/policy",
		"internal/problem", "internal/sealing", "internal/secret", "internal/sites", "internal/stores", "internal/syntax",
		"internal/unrecognized", "internal/usage", "internal/words", "tokencache", "zoho",
	},
	"zoho":       {"internal/cause", "internal/nearest", "internal/spelling"},
	"tokencache": {"internal/lengthprefix"},
	"tokencache/boltstore": {
		"internal/durable", "internal/ownership", "internal/sealed", "internal/turn", "internal/warnings", "internal/words",
		"tokencache",
	},
	"tokencache/redisstore": {
		"internal/lengthprefix", "internal/sealed", "internal/warnings", "internal/words", "tokencache",
	},
	"internal/sealed": {"internal/lengthprefix", "tokencache"},
	"internal/stores": {
		"internal/onboard", "internal/sealed", "internal/sealing", "internal/secret", "internal/words", "tokencache",
		"tokencache/boltstore", "tokencache/redisstore",
	},
	"internal/backup":       {"internal/adminapi", "internal/onboard", "internal/sealed", "internal/words", "tokencache"},
	"zohosim":               {},                 // states the protocol a second time: a shared mistake would pass every test
	"internal/cause":        {"internal/words"}, // texts alone, so that every layer can have them
	"internal/nearest":      {},
	"internal/spelling":     {},
	"internal/wildcard":     {},
	"internal/audit":        {},
	"internal/usage":        {"tokencache"},
	"internal/apikeys":      {"internal/forward", "internal/wildcard", "internal/words"},
	"internal/policy":       {"internal/wildcard", "internal/words", "zoho"},
	"internal/access":       {"internal/apikeys", "internal/callers", "internal/onboard", "internal/policy", "zoho"},
	"internal/words":        {"internal/nearest"},
	"internal/fault":        {},
	"internal/secret":       {"internal/turn"},
	"internal/accesslog":    {},
	"internal/durable":      {},
	"internal/lengthprefix": {},
	"internal/masterkey":    {"internal/durable", "internal/ownership", "internal/turn"},
	"internal/turn":         {},
	"internal/warnings":     {},
	"internal/ownership":    {},
	"internal/sealing":      {"internal/masterkey", "internal/secret"},
	"internal/forward":      {"internal/spelling", "zoho"},
	"internal/body":         {"internal/egress", "internal/fault", "internal/forward", "zoho"},
	"internal/callers":      {"internal/words", "zoho"},
	"internal/egress":       {"internal/secret"},
	"internal/syntax":       {"internal/forward", "internal/words"},
	"internal/version":      {},
	"internal/metrics":      {"internal/version", "tokencache"},
	"internal/unrecognized": {"tokencache"},
	"internal/storetest":    {"internal/onboard", "internal/sealed", "internal/stores", "internal/warnings", "tokencache"},
	"internal/testbed":      {"zohosim"},
	"internal/redistest":    {"internal/testbed"},
	"internal/onboard":      {"internal/cause", "internal/words", "tokencache", "zoho"},
	"internal/notify": {
		"internal/cause", "internal/fault", "internal/onboard", "internal/secret", "tokencache", "zoho",
	},
	"internal/client": {
		"internal/cause", "internal/egress", "internal/fault", "internal/onboard", "internal/sealing",
		"internal/secret", "internal/syntax", "internal/words", "tokencache", "zoho",
	},
	"internal/problem": {
		"internal/apikeys", "internal/cause", "internal/client", "internal/egress", "internal/onboard", "tokencache",
		"zoho",
	},
	"internal/adminapi": {
		"internal/onboard", "internal/problem", "internal/sealed", "internal/words", "tokencache",
	},
	"internal/sites": {
		"internal/adminapi", "internal/apikeys", "internal/callers", "internal/client", "internal/forward", "zoho",
	},
	"internal/cli": {
		"internal/adminapi", "internal/apikeys", "internal/backup", "internal/durable", "internal/onboard", "internal/problem",
		"internal/sealed", "internal/version", "internal/words", "tokencache", "zoho",
	},
	"internal/admin": {
		"internal/adminapi", "internal/audit", "internal/backup", "internal/client", "internal/onboard",
		"internal/problem", "internal/sealed", "internal/sealing", "internal/stores", "internal/usage", "internal/words", "tokencache", "zoho",
	},
	"internal/doctor": {
		"internal/adminapi", "internal/cause", "internal/client", "internal/egress", "internal/fault",
		"internal/metrics", "internal/notify", "internal/onboard", "internal/problem", "internal/sealing",
		"internal/secret", "internal/sites", "internal/stores", "internal/unrecognized", "internal/words", "tokencache",
		"zoho",
	},
	"cmd/caddy":   {""},
	"cmd/bench":   {"", "internal/testbed", "zohosim"},
	"cmd/demo":    {"", "internal/testbed", "zohosim"},
	"cmd/zohosim": {"zohosim"},
	"tests": {
		"", "internal/redistest", "internal/testbed", "tokencache", "tokencache/boltstore", "tokencache/redisstore", "zoho", "zohosim",
	},
}

// testLayers says what the tests of a package may import beyond that: those of the root, of the life
// of a token and of onboarding use a real store, those of a store the promises of all, those of a fleet a store
// in memory.
var testLayers = map[string][]string{
	"":                      {"tokencache/boltstore"},
	"tokencache":            {"internal/storetest", "tokencache/boltstore"},
	"tokencache/boltstore":  {"internal/storetest"},
	"tokencache/redisstore": {"internal/onboard", "internal/redistest", "internal/storetest"},
	"internal/backup":       {"internal/storetest", "tokencache/boltstore"},
	"internal/onboard":      {"internal/storetest", "tokencache/boltstore"},
	"internal/notify":       {"internal/storetest"},
}

// strangers are modules that a layer must not reach, however far down.
var strangers = map[string][]string{
	"zoho":       {"github.com/caddyserver/", "github.com/prometheus/", "go.uber.org/zap", "go.etcd.io/"},
	"tokencache": {"github.com/caddyserver/", "github.com/prometheus/", "go.uber.org/zap", "go.etcd.io/"},

	"tokencache/boltstore":  {"github.com/caddyserver/", "github.com/prometheus/", "go.uber.org/zap"},
	"tokencache/redisstore": {"github.com/caddyserver/", "github.com/prometheus/", "go.uber.org/zap"},
	"internal/onboard":      {"github.com/caddyserver/", "github.com/prometheus/", "go.uber.org/zap", "go.etcd.io/"},
}

// goPackage is what `go list` tells of a package.
type goPackage struct {
	ImportPath   string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,TestImports,XTestImports"}, args...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p goPackage
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	return packages
}

// own is the path of a package below this module's; ok is false for strangers.
func own(path string) (name string, ok bool) {
	if path == modulePath {
		return "", true
	}
	return strings.CutPrefix(path, modulePath+"/")
}

// TestImportsPointDown holds every package to its line in layers.
func TestImportsPointDown(t *testing.T) {
	tracked := make(map[string]bool)
	for _, file := range treeFiles(t, "..") {
		tracked[path.Dir(file)] = true
	}
	for _, p := range goList(t, "-e", "./...") {
		name, _ := own(p.ImportPath)
		if !tracked[path.Join(".", name)] {
			continue // a folder of somebody's own
		}
		allowed, ok := layers[name]
		if !ok {
			t.Errorf("package %s has no line in layers: say what it may import", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if other, ok := own(imported); ok && !slices.Contains(allowed, other) {
				t.Errorf("%s imports %s, which its layer does not allow", p.ImportPath, imported)
			}
		}
		all := slices.Concat(p.Imports, p.TestImports, p.XTestImports)
		for _, other := range slices.Concat(allowed, testLayers[name]) {
			if !slices.Contains(all, strings.TrimSuffix(modulePath+"/"+other, "/")) {
				t.Errorf("%s may import %s, and does not: take that off its line", p.ImportPath, path.Join(modulePath, other))
			}
		}
		allowed = slices.Concat(allowed, testLayers[name])
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			other, ok := own(imported)
			if ok && other != name && !slices.Contains(allowed, other) && (other != "zohosim" || name == "zohosim") {
				t.Errorf("the tests of %s import %s, which its layer does not allow", p.ImportPath, imported)
			}
		}
	}
}

// TestLayersKeepStrangersOut looks at everything below a package, so that the
// protocol and the life of a token stay testable without Caddy.
func TestLayersKeepStrangersOut(t *testing.T) {
	for name, forbidden := range strangers {
		for _, p := range goList(t, "-deps", "./"+name) {
			for _, prefix := range forbidden {
				if strings.HasPrefix(p.ImportPath, prefix) {
					t.Errorf("%s reaches %s", name, p.ImportPath)
				}
			}
		}
	}
}

// TestSimulatorIsStandardLibraryOnly: whoever tests against it gets nothing else.
func TestSimulatorIsStandardLibraryOnly(t *testing.T) {
	for _, p := range goList(t, "-deps", "./zohosim") {
		if name, ok := own(p.ImportPath); !p.Standard && (!ok || name != "zohosim") {
			t.Errorf("zohosim reaches %s", p.ImportPath)
		}
	}
}

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

// What the root and the packages may grow to: limits, not aims.
const (
	maxCircle      = 3  // files of a package that need each other
	maxRootTests   = 5  // tests of the root's package
	maxRootEntries = 41 // what somebody sees who lists the root; testdata has what fuzzing begins with
)

// rootFiles are those of the root's package, tests aside.
var rootFiles = []string{
	"admin.go", "caddyfile.go", "caddyfile_global.go", "caddyfile_proxy.go", "command.go", "connect.go",
	"handler.go", "health.go", "module.go", "response.go", "route.go", "session.go", "state.go",
	"tokencall.go", "transport.go",
}

// stateMachine may be one circle: it is one state with its rules, told in several files, and
// whoever cuts it has to hand that state around.
const stateMachine = "tokencache"

// TestNoCirclesOfFiles: where each file of a package needs each other one, no file can be read
// alone, and none can move.
func TestNoCirclesOfFiles(t *testing.T) {
	tool(t, "go")
	tracked := make(map[string]bool)
	for _, file := range treeFiles(t, "..") {
		tracked[path.Dir(file)] = true
	}
	for _, p := range typedPackages(t) {
		name, _ := own(p.PkgPath)
		if !tracked[path.Join(".", name)] {
			continue // a folder of somebody's own
		}
		for _, err := range p.Errors {
			t.Fatal(err)
		}
		if name == stateMachine {
			continue
		}
		for _, circle := range circles(fileUses(p)) {
			if len(circle) > maxCircle {
				t.Errorf("%s: %d files need each other, %d are the limit: %s\nmove what one needs of another to a file below both",
					p.PkgPath, len(circle), maxCircle, strings.Join(circle, " "))
			}
		}
	}
}

// TestRootStaysSmall: a new file belongs to a package that says what it is about.
func TestRootStaysSmall(t *testing.T) {
	entries := make(map[string]bool)
	var files, tests []string
	for _, file := range treeFiles(t, "..") {
		entry, _, inFolder := strings.Cut(file, "/")
		if !strings.HasPrefix(entry, ".") {
			entries[entry] = true
		}
		switch {
		case inFolder || !strings.HasSuffix(file, ".go"):
		case strings.HasSuffix(file, "_test.go"):
			tests = append(tests, file)
		default:
			files = append(files, file)
		}
	}
	if slices.Sort(files); !slices.Equal(files, rootFiles) {
		t.Errorf("the root's Go files are %s; agreed are %s", strings.Join(files, " "), strings.Join(rootFiles, " "))
	}
	if len(tests) > maxRootTests {
		t.Errorf("%d tests at the root, %d are the limit: %s", len(tests), maxRootTests, strings.Join(tests, " "))
	}
	if len(entries) > maxRootEntries {
		t.Errorf("%d entries at the root, %d are the limit: %s",
			len(entries), maxRootEntries, strings.Join(slices.Sorted(maps.Keys(entries)), " "))
	}
}

// TestCircles: what uses itself in a roundabout way is found, and nothing else.
func TestCircles(t *testing.T) {
	uses := map[string][]string{
		"a": {"b", "leaf"}, "b": {"c"}, "c": {"a", "x"}, // one circle, which uses the other
		"x": {"y"}, "y": {"x", "leaf"},
		"leaf": nil, "top": {"a", "x", "leaf"}, "self": {"self"},
	}
	got, want := circles(uses), [][]string{{"x", "y"}, {"a", "b", "c"}}
	if !slices.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// typedPackages are those of this module, without their tests.
func typedPackages(t *testing.T) []*packages.Package {
	t.Helper()
	all, err := packages.Load(&packages.Config{
		Dir: "..",
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports |
			packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
	}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// fileUses says for each file of a package which others declare what it uses.
func fileUses(p *packages.Package) map[string][]string {
	uses := make(map[string][]string)
	for _, file := range p.Syntax {
		from := filepath.Base(p.Fset.Position(file.Package).Filename)
		uses[from] = nil
		ast.Inspect(file, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			used := p.TypesInfo.Uses[id]
			if used == nil || used.Pkg() != p.Types || !declaredByPackage(used) {
				return true
			}
			to := filepath.Base(p.Fset.Position(used.Pos()).Filename)
			if to != from && !slices.Contains(uses[from], to) {
				uses[from] = append(uses[from], to)
			}
			return true
		})
	}
	return uses
}

// declaredByPackage leaves out what is local to a function.
func declaredByPackage(o types.Object) bool {
	switch o := o.(type) {
	case *types.Var:
		return o.IsField() || o.Parent() == o.Pkg().Scope()
	case *types.Func:
		return true
	}
	return o.Parent() == o.Pkg().Scope()
}

// circles are the sets of files that reach each other, by Tarjan's algorithm.
func circles(uses map[string][]string) (found [][]string) {
	var stack []string
	index, low := make(map[string]int), make(map[string]int)
	var visit func(file string)
	visit = func(file string) {
		index[file] = len(index) + 1
		low[file] = index[file]
		stack = append(stack, file)
		for _, next := range uses[file] {
			if index[next] == 0 {
				visit(next)
				low[file] = min(low[file], low[next])
			} else if slices.Contains(stack, next) {
				low[file] = min(low[file], index[next])
			}
		}
		if low[file] != index[file] {
			return
		}
		at := slices.Index(stack, file)
		if circle := slices.Sorted(slices.Values(stack[at:])); len(circle) > 1 {
			found = append(found, circle)
		}
		stack = stack[:at]
	}
	files := make([]string, 0, len(uses))
	for file := range uses {
		files = append(files, file)
	}
	slices.Sort(files)
	for _, file := range files {
		if index[file] == 0 {
			visit(file)
		}
	}
	return found
}
