// What becomes of a Caddyfile: golden pairs of its JSON or its error, and its documented syntax.

package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-zoho/caddy-zoho"
)

// Golden pairs: a Caddyfile, a line of dashes, and what becomes of it: the JSON, or
// the whole error. `go test ./tests/adapt_test.go -update` writes what is below the
// dashes anew; read the difference before committing it.
var update = flag.Bool("update", false, "rewrite what the golden pairs expect")

const dashes = "----------\n"

// hidden stands for every literal secret in the pairs; no error may show it.
const hidden = "LITERAL5ecret"

// TestAdapt adapts tests/adapt/*.caddyfiletest.
func TestAdapt(t *testing.T) {
	eachPair(t, "adapt", 60, func(t *testing.T, input string) string {
		result, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), nil)
		if err != nil {
			return err.Error()
		}
		for _, w := range warnings {
			t.Errorf("warning: %s", w.String())
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, result, "", "\t"); err != nil {
			t.Fatal(err)
		}
		return pretty.String()
	})
}

// TestValidate provisions tests/validate/*.caddyfiletest as `caddy validate` does:
// what only the environment can tell. Lines such as `# env NAME=value` set it.
func TestValidate(t *testing.T) {
	eachPair(t, "validate", 10, func(t *testing.T, input string) string {
		t.Setenv("XDG_DATA_HOME", t.TempDir())
		t.Setenv("XDG_CONFIG_HOME", t.TempDir())
		for _, line := range strings.Split(input, "\n") {
			if setting, ok := strings.CutPrefix(line, "# env "); ok {
				name, value, _ := strings.Cut(setting, "=")
				t.Setenv(name, value)
			}
		}
		result, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), nil)
		if err != nil {
			t.Fatalf("adapting: %v", err)
		}
		var config caddy.Config
		if err := json.Unmarshal(result, &config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&config); err != nil {
			return err.Error()
		}
		return "valid"
	})
}

func eachPair(t *testing.T, dir string, least int, result func(*testing.T, string) string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.caddyfiletest"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < least {
		t.Errorf("only %d pairs in %s", len(files), dir)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, ok := strings.Cut(string(data), dashes)
			if !ok {
				t.Fatalf("%s has no line of dashes", file)
			}
			got := result(t, input) + "\n"
			if refused := got[0] != '{' && got != "valid\n"; refused != strings.HasPrefix(filepath.Base(file), "error_") {
				t.Errorf("only pairs whose name begins with error_ may fail, and all of them must: %s", got)
			}
			if strings.Contains(got, hidden) && !strings.Contains(got, literalJSON) {
				t.Errorf("the secret is shown: %s", got)
			}
			if *update {
				want = got
				if err := os.WriteFile(file, []byte(input+dashes+got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got != want {
				t.Errorf("%s:\ngot:\n%s\nwant:\n%s", file, got, want)
			}
		})
	}
}

// literalJSON is how a literal that was asked for stands in the JSON.
const literalJSON = `"insecure_literal": "` + hidden

// TestExample adapts Caddyfile.example with nothing set: it must be formatted, hold
// no secret, and be served on the loopback address alone.
func TestExample(t *testing.T) {
	data, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	if formatted := caddyfile.Format(data); !bytes.Equal(formatted, data) {
		t.Errorf("not as `caddy fmt` writes it:\n%s", formatted)
	}
	result, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Errorf("warning: %s", w.String())
	}
	var config struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Listen []string `json:"listen"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(result, &config); err != nil {
		t.Fatal(err)
	}
	for name, server := range config.Apps.HTTP.Servers {
		if len(server.Listen) != 1 || server.Listen[0] != "127.0.0.1:8080" {
			t.Errorf("server %s listens on %v, want 127.0.0.1:8080 alone", name, server.Listen)
		}
	}
	if len(config.Apps.HTTP.Servers) != 1 {
		t.Errorf("%d servers, want 1", len(config.Apps.HTTP.Servers))
	}
}

// TestSyntaxDocumented compares the syntax in the doc comments of the parsers with
// docs/configuration.md, where it stands in fenced blocks.
func TestSyntaxDocumented(t *testing.T) {
	data, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for file, function := range map[string]string{"caddyfile_global.go": "parseGlobal", "caddyfile_proxy.go": "parseProxy"} {
		want := codeBlock(docOf(t, filepath.Join("..", file), function))
		if want == "" {
			t.Errorf("%s: no syntax in the doc comment of %s", file, function)
			continue
		}
		first, _, _ := strings.Cut(want, "\n")
		if got := fenced(string(data), first); got != want {
			t.Errorf("docs/configuration.md, the fenced block that begins with %q:\ngot:\n%s\nwant, from the doc comment of %s in %s:\n%s", first, got, function, file, want)
		}
	}
}

func docOf(t *testing.T, file, function string) string {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, declaration := range parsed.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Name.Name == function {
			return f.Doc.Text()
		}
	}
	t.Fatalf("%s holds no function %s", file, function)
	return ""
}

// codeBlock is the indented part of a doc comment, without the indentation.
func codeBlock(doc string) string {
	var lines []string
	for scanner := bufio.NewScanner(strings.NewReader(doc)); scanner.Scan(); {
		line := scanner.Text()
		if rest, ok := strings.CutPrefix(line, "\t"); ok {
			lines = append(lines, rest)
		} else if line == "" && len(lines) > 0 {
			lines = append(lines, "")
		} else if len(lines) > 0 {
			break
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// fenced is the fenced block of a Markdown text whose first line is first.
func fenced(markdown, first string) string {
	var lines []string
	inside := false
	for scanner := bufio.NewScanner(strings.NewReader(markdown)); scanner.Scan(); {
		line := scanner.Text()
		switch {
		case strings.HasPrefix(line, "```") && inside:
			if len(lines) > 0 && lines[0] == first {
				return strings.TrimSpace(strings.Join(lines, "\n"))
			}
			inside, lines = false, nil
		case strings.HasPrefix(line, "```"):
			inside = true
		case inside:
			lines = append(lines, strings.ReplaceAll(line, "\t", "    "))
		}
	}
	return ""
}
