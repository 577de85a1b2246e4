package tests

import (
	"go/ast"
	"go/types"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// What the root and the packages may grow to: limits, not aims.
const (
	maxCircle      = 3  // files of a package that need each other
	maxRootTests   = 5  // tests of the root's package
	maxRootEntries = 40 // what somebody sees who lists the root
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
