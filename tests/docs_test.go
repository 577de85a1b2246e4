// The documents agree with the code, lead somewhere, and can be copied as they stand.

package tests

import (
	"encoding/base64"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

func readDoc(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestErrorCodesAreDocumented: docs/errors.md has a heading for each code of
// problem.go and of Caddyfile.example, since answers link to it, and no other.
func TestErrorCodesAreDocumented(t *testing.T) {
	var codes []string
	for name, value := range stringConstants(t, "internal/problem/problem.go") {
		if strings.HasPrefix(name, "Code") {
			codes = append(codes, value)
		}
	}
	for _, m := range regexp.MustCompile(`docs/errors\.md#([a-z-]+)`).FindAllStringSubmatch(readDoc(t, "Caddyfile.example"), -1) {
		codes = append(codes, m[1])
	}
	var headings []string
	for _, m := range regexp.MustCompile("(?m)^## ([a-z][a-z-]*)$").FindAllStringSubmatch(readDoc(t, "docs/errors.md"), -1) {
		headings = append(headings, m[1])
	}
	slices.Sort(codes)
	slices.Sort(headings)
	if codes = slices.Compact(codes); len(codes) < 10 {
		t.Fatalf("only %d codes found", len(codes))
	}
	if !slices.Equal(codes, headings) {
		t.Errorf("docs/errors.md has the headings\n%s\nand the codes are\n%s", strings.Join(headings, " "), strings.Join(codes, " "))
	}
}

// TestVerdictsAreDocumented: docs/errors.md explains each value of Zoho-Proxy-Verdict.
func TestVerdictsAreDocumented(t *testing.T) {
	words := []string{"data-center", "fresh-token-refused"}
	for _, v := range []zoho.Verdict{zoho.VerdictAmbiguous, zoho.VerdictOrg, zoho.VerdictPermission, zoho.VerdictScope} {
		words = append(words, v.String())
	}
	doc := readDoc(t, "docs/errors.md")
	for _, word := range words {
		if !strings.Contains(doc, "| `"+word+"` |") {
			t.Errorf("docs/errors.md does not explain the verdict %s", word)
		}
	}
}

// TestMetricsAreDocumented: docs/operations.md has each metric of internal/metrics, and
// the alerts use no other.
func TestMetricsAreDocumented(t *testing.T) {
	name := regexp.MustCompile(`zoho_[a-z_]+`)
	var metrics []string
	for _, quoted := range regexp.MustCompile(`"zoho_[a-z_]+"`).FindAllString(readDoc(t, "internal/metrics/metrics.go"), -1) {
		metrics = append(metrics, strings.Trim(quoted, `"`))
	}
	if len(metrics) < 10 {
		t.Fatalf("only %d metrics found", len(metrics))
	}
	doc := readDoc(t, "docs/operations.md")
	for _, metric := range metrics {
		if !strings.Contains(doc, "| `"+metric+"` |") {
			t.Errorf("docs/operations.md has no row for the metric %s", metric)
		}
	}
	for _, metric := range name.FindAllString(readDoc(t, "deploy/alerts.yaml"), -1) {
		if !slices.Contains(metrics, metric) {
			t.Errorf("deploy/alerts.yaml uses the metric %s, which does not exist", metric)
		}
	}
}

// TestVariablesAreDocumented: the README names what Caddyfile.example reads from
// the environment.
func TestVariablesAreDocumented(t *testing.T) {
	readme := readDoc(t, "README.md")
	variables := regexp.MustCompile(`\{(?:env\.|\$)(ZOHO_[A-Z_]+)`).FindAllStringSubmatch(readDoc(t, "Caddyfile.example"), -1)
	if len(variables) < 7 {
		t.Fatalf("only %d variables found", len(variables))
	}
	for _, v := range variables {
		if !strings.Contains(readme, "`"+v[1]+"`") {
			t.Errorf("README.md does not explain %s", v[1])
		}
	}
}

// TestDeployPassesNoEmptyVariable: a variable that is set but empty makes the site
// vanish or move to port 80.
func TestDeployPassesNoEmptyVariable(t *testing.T) {
	empty := regexp.MustCompile(`(?m)^[^#\n]*ZOHO_[A-Z_]+(?:=\s*$|=["']{2}|:\s*$|:\s*["']{2}|=\$\{[A-Z_]+(?::?-)?\}|, value: ["']{2})`)
	for _, file := range deployFiles(t) {
		for _, line := range empty.FindAllString(readDoc(t, file), -1) {
			t.Errorf("%s: %s may be empty", file, strings.TrimSpace(line))
		}
	}
}

// TestDeployNeedsNoRefreshToken: the proxy keeps the grant that is connected once it runs.
func TestDeployNeedsNoRefreshToken(t *testing.T) {
	for _, name := range []string{"deploy/compose.yaml", "deploy/kubernetes-sidecar.yaml", "docs/recipes.md"} {
		doc := readDoc(t, name)
		if insists := regexp.MustCompile(`ZOHO_REFRESH_TOKEN:\?|(?m:^  refresh-token:)|key: refresh-token\}`).FindString(doc); insists != "" {
			t.Errorf("%s insists on a refresh token: %s", name, insists)
		}
		if !strings.Contains(doc, "caddy zoho connect --self-client") {
			t.Errorf("%s does not say how to connect an account there", name)
		}
	}
}

// TestDeployedCaddyfile: what the files in deploy/ run is Caddyfile.example with a key that is
// given as a credential, and the manifest has it to the letter.
func TestDeployedCaddyfile(t *testing.T) {
	deployed := readDoc(t, "deploy/Caddyfile")
	key := regexp.MustCompile(`\n\n\t\t# .*\n\t\tencryption_key \{file\.\{\$ZOHO_ENCRYPTION_KEY_FILE\}\}\n`)
	body := func(text string) string { return text[strings.Index(text, "\n{\n"):] }
	if !key.MatchString(deployed) || key.ReplaceAllString(body(deployed), "\n") != body(readDoc(t, "Caddyfile.example")) {
		t.Error("deploy/Caddyfile is not Caddyfile.example with an encryption_key")
	}
	indented := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(deployed, "    $1")
	if !strings.Contains(readDoc(t, "deploy/kubernetes-sidecar.yaml"), "  Caddyfile: |\n"+indented+"---\n") {
		t.Error("the Caddyfile in deploy/kubernetes-sidecar.yaml is another than deploy/Caddyfile")
	}
	for name, gives := range map[string]string{
		"deploy/caddy-zoho.service":      "\nLoadCredential=encryption_key:",
		"deploy/compose.yaml":            "\n    secrets: [encryption_key]\n",
		"deploy/kubernetes-sidecar.yaml": "{key: encryption-key, path: encryption-key}",
	} {
		if doc := readDoc(t, name); !strings.Contains(doc, gives) || !strings.Contains(doc, "ZOHO_ENCRYPTION_KEY_FILE") {
			t.Errorf("%s gives no encryption key as a credential", name)
		}
	}
}

// TestDockerfilePinsCaddy: both images and the build are of go.mod's Caddy, and
// what is built is the tree that was copied.
func TestDockerfilePinsCaddy(t *testing.T) {
	m := regexp.MustCompile(`github\.com/caddyserver/caddy/v2 v([0-9.]+)`).FindStringSubmatch(readDoc(t, "go.mod"))
	if m == nil {
		t.Fatal("go.mod names no Caddy")
	}
	dockerfile := readDoc(t, "xcaddy.Dockerfile")
	for _, line := range []string{
		"FROM caddy:" + m[1] + "-builder AS builder",
		"COPY . /src",
		"RUN xcaddy build v" + m[1] + " --output /usr/bin/caddy --with " + modulePath + "=/src",
		"FROM caddy:" + m[1],
	} {
		if !strings.Contains(dockerfile, "\n"+line+"\n") {
			t.Errorf("xcaddy.Dockerfile lacks the line %q", line)
		}
	}
}

// TestCommandsOfDocuments: what documents tell to run exists.
func TestCommandsOfDocuments(t *testing.T) {
	t.Parallel()
	makefile := readDoc(t, "Makefile")
	checks := []struct {
		pattern *regexp.Regexp
		exists  func(word string) bool
	}{
		{regexp.MustCompile(`go (?:run|build)(?: -[a-z]+(?: \S+)?)* \./([a-z/]+)`), func(dir string) bool { return fileExists(dir + "/main.go") }},
		{regexp.MustCompile("(?m)(?:^|`)make ([a-z]+)"), func(target string) bool { return strings.Contains(makefile, "\n"+target+":") }},
		{regexp.MustCompile(`docker build -f (\S+)`), fileExists},
		{regexp.MustCompile(`--config ([A-Za-z.]+)`), fileExists},
		{regexp.MustCompile(`docker compose --file (\S+)`), fileExists},
		{regexp.MustCompile(`promtool (?:check|test) rules (\S+\.yaml)`), fileExists},
		{regexp.MustCompile(`caddy zoho ([a-z-]+)`), func(command string) bool {
			help, err := exec.Command(binary, "zoho", command, "--help").Output()
			return err == nil && strings.Contains(string(help), "\n  caddy zoho "+command)
		}},
	}
	seen := make(map[string]bool)
	for _, name := range markdownFiles(t) {
		doc := readDoc(t, name)
		for _, check := range checks {
			for _, m := range check.pattern.FindAllStringSubmatch(doc, -1) {
				if seen[m[0]] {
					continue
				}
				seen[m[0]] = true
				if !check.exists(m[1]) {
					t.Errorf("%s: %q: there is no %s", name, m[0], m[1])
				}
			}
		}
	}
	for _, command := range []string{"go test ./...", "go run ./cmd/demo", "docker build -f xcaddy.Dockerfile", "xcaddy build --with " + modulePath} {
		if !strings.Contains(readDoc(t, "README.md"), command) {
			t.Errorf("README.md does not name the command %q", command)
		}
	}
}

func fileExists(name string) bool {
	_, err := os.Stat(filepath.Join("..", name))
	return err == nil
}

// TestLinksOfDocuments: relative links lead to files and headings that exist.
func TestLinksOfDocuments(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, name := range markdownFiles(t) {
		for _, m := range link.FindAllStringSubmatch(readDoc(t, name), -1) {
			target := m[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(target, "#")
			file := filepath.Join(filepath.Dir(name), path)
			if path == "" {
				file = name
			}
			switch {
			case !fileExists(file):
				t.Errorf("%s: the link %s leads nowhere", name, target)
			case anchor != "" && !anchors(readDoc(t, file))[anchor]:
				t.Errorf("%s: the link %s leads to no heading", name, target)
			}
		}
	}
}

// TestRecipesAreValid: the whole Caddyfiles of docs/recipes.md and docs/onboarding.md can be
// copied as they stand.
func TestRecipesAreValid(t *testing.T) {
	t.Parallel()
	whole := regexp.MustCompile("(?s)\n```caddyfile\n(\\{\n.*?)```\n")
	recipes := whole.FindAllStringSubmatch(readDoc(t, "docs/recipes.md"), -1)
	onboarding := whole.FindAllStringSubmatch(readDoc(t, "docs/onboarding.md"), -1)
	if len(recipes) < 5 || len(onboarding) < 2 {
		t.Fatalf("only %d recipes found, and %d for onboarding", len(recipes), len(onboarding))
	}
	recipes = append(recipes, onboarding...)
	for _, recipe := range recipes {
		var env []string
		for _, m := range regexp.MustCompile(`\{env\.([A-Z_]+)\}`).FindAllStringSubmatch(recipe[1], -1) {
			value := "value-of-" + m[1]
			if strings.HasPrefix(m[1], "APP_HASH_") {
				value = hashOfHiccup
			}
			env = append(env, m[1]+"="+value)
		}
		keys := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(keys, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		env = append(env, "ZOHO_API_KEYS="+keys, "AUDIT_LOG="+keys+".log", "APP_USER=root")
		c := newCaddy(t, recipe[1], env...)
		_, stderr, code := c.run("validate", "--config", c.config, "--adapter", "caddyfile")
		if code != 0 || strings.Contains(stderr, "not formatted") {
			t.Errorf("exit code %d of\n%s\n%s", code, recipe[1], stderr)
		}
	}
}

// anchors are the headings of a Markdown text, as they stand in links.
func anchors(doc string) map[string]bool {
	found := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^#{1,6} (.+)$`).FindAllStringSubmatch(doc, -1) {
		text := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		found[strings.ReplaceAll(strings.TrimSpace(text), " ", "-")] = true
	}
	return found
}

// TestDependenciesAreDocumented: docs/dependencies.md has a row for each module that
// go.mod requires directly and for each tool.
func TestDependenciesAreDocumented(t *testing.T) {
	doc, mod := readDoc(t, "docs/dependencies.md"), readDoc(t, "go.mod")
	wanted := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\s*(\S+\.\S+/\S+) v\S+$`).FindAllStringSubmatch(mod, -1) {
		wanted[m[1]] = true
	}
	_, tools, _ := strings.Cut(mod, "\ntool (")
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+)/cmd/\S+$`).FindAllStringSubmatch(tools, -1) {
		wanted[m[1]] = true
	}
	for _, module := range slices.Sorted(maps.Keys(wanted)) {
		if !strings.Contains(doc, "| `"+module+"` |") {
			t.Errorf("docs/dependencies.md has no row for %s", module)
		}
	}
}

// stringConstants are the constants of a file that are string literals, by name.
func stringConstants(t *testing.T, file string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := make(map[string]string)
	for _, declaration := range parsed.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			value := spec.(*ast.ValueSpec)
			for i, expression := range value.Values {
				if literal, ok := expression.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					constants[value.Names[i].Name], _ = strconv.Unquote(literal.Value)
				}
			}
		}
	}
	return constants
}

// passwordHash finds what a password can be guessed by: the modular forms of crypt(3), argon2,
// scrypt, PBKDF2 and Apache's, and LDAP's.
var passwordHash = regexp.MustCompile(`\$(?:2[abxy]?\$\d\d|argon2(?:id|i|d)\$|scrypt\$|s[01]\$|pbkdf2[-a-z0-9]*\$|[156]\$|apr1\$|md5\$|sha1\$|y\$|gy\$|7\$)[./A-Za-z0-9$=,+_-]{8,}|\{(?:S?SHA(?:256|512)?|S?MD5|CRYPT)\}[A-Za-z0-9+/=$.]{16,}`)

// encodedDollar begins what Caddy takes as well: a hash in base64.
var encodedDollar = regexp.MustCompile(`J[A-P][A-Za-z0-9+/_-]{22,}`)

// findHash is the first password hash in a text, "" if there is none.
func findHash(text string) string {
	if hash := passwordHash.FindString(text); hash != "" {
		return hash
	}
	for {
		at := encodedDollar.FindStringIndex(text)
		if at == nil {
			return ""
		}
		encoded := text[at[0]:at[1]]
		for _, coding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			hash, _ := coding.DecodeString(encoded) // as far as it goes
			if passwordHash.Match(hash) {
				return encoded
			}
		}
		text = text[at[0]+1:]
	}
}

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
		if findHash("user "+hash+"\n") == "" {
			t.Errorf("not seen: %s", hash)
		}
		if !strings.HasPrefix(hash, "$") {
			continue
		}
		for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding} {
			if encoded := coding.EncodeToString([]byte(hash)); findHash("a JSON/Jump user:"+encoded+"\n") == "" {
				t.Errorf("not seen: %s", encoded)
			}
		}
	}
	for _, text := range []string{"JUST A WORD THAT IS LONG", "JDJhJDE0", "JDEyMzQ1Njc4OTAxMjM0NTY3ODkw", "{env.ADMIN_PASSWORD_HASH}"} {
		if hash := findHash(text); hash != "" {
			t.Errorf("%s is taken for a hash", text)
		}
	}
	searched := 0
	for _, name := range treeFiles(t, "..") {
		file := filepath.Base(name)
		if !strings.HasSuffix(file, ".md") && !strings.Contains(file, "Caddyfile") && !strings.Contains(file, "Dockerfile") && !strings.HasPrefix(name, "deploy/") {
			continue
		}
		searched++
		if hash := findHash(readDoc(t, name)); hash != "" {
			t.Errorf("%s has the password hash %s: write {env.…} there", name, hash)
		}
	}
	if searched < 20 {
		t.Errorf("only %d files were searched", searched)
	}
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

// TestReplaysAreDocumented: a request may be sent twice again, so nothing that is read says
// that it is sent once more.
func TestReplaysAreDocumented(t *testing.T) {
	said := regexp.MustCompile(`(?i)(sen[dt]s?|request)( it)? (at most )?once more|once more at most`)
	for _, name := range []string{"README.md", "CHANGELOG.md", "docs/security.md", "docs/design.md", "docs/configuration.md", "docs/errors.md", "docs/decisions.md", "docs/operations.md"} {
		if found := said.FindString(strings.Join(strings.Fields(readDoc(t, name)), " ")); found != "" {
			t.Errorf("%s says %q", name, found)
		}
	}
	for _, name := range []string{"docs/security.md", "docs/design.md", "docs/errors.md", "docs/decisions.md"} {
		if !strings.Contains(strings.Join(strings.Fields(readDoc(t, name)), " "), "because of a refusal") {
			t.Errorf("%s does not say when a request is sent a last time", name)
		}
	}
}

// TestFuzzTargets, S-62: what strangers write is fuzzed wherever it is read, from inputs that
// are kept.
func TestFuzzTargets(t *testing.T) {
	for _, target := range []string{
		"FuzzCaddyfile", "FuzzProxyBlock", "FuzzJSON", "internal/onboard/FuzzParsePasted", "internal/onboard/FuzzReturnTo",
		"zoho/FuzzTokenReply", "zoho/FuzzJudge", "zoho/FuzzDecodePrefix", "zoho/FuzzRoute", "zoho/FuzzScopes",
		"internal/sealed/FuzzRecord", "internal/sealed/FuzzBackup", "tokencache/redisstore/FuzzStored",
	} {
		folder, name := filepath.Split(target)
		if kept, _ := filepath.Glob(filepath.Join("..", folder, "testdata", "fuzz", name, "*")); len(kept) == 0 {
			t.Errorf("no inputs of %s are kept", target)
		}
		if !definedTests(t)[name] {
			t.Errorf("there is no %s", name)
		}
	}
}

// definedTests are the names of all tests, fuzz targets and benchmarks.
func definedTests(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	definition := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	for _, text := range testFiles(t) {
		for _, m := range definition.FindAllStringSubmatch(text, -1) {
			names[m[1]] = true
		}
	}
	return names
}

// testFiles are the texts of all files with tests.
func testFiles(t *testing.T) (texts []string) {
	t.Helper()
	for _, name := range treeFiles(t, "..") {
		if strings.HasSuffix(name, "_test.go") {
			texts = append(texts, readDoc(t, name))
		}
	}
	return texts
}

// TestNamedTestsExist, S-64: a document that names a test as its proof names one that is there.
func TestNamedTestsExist(t *testing.T) {
	defined, named := definedTests(t), 0
	for _, document := range markdownFiles(t) {
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)(?:/\\w+)?`").FindAllStringSubmatch(readDoc(t, document), -1) {
			if named++; !defined[m[1]] {
				t.Errorf("%s names %s, which does not exist", document, m[1])
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d tests are named", named)
	}
}

// TestFaultsAreProved, S-64: each fault of the track record names the test that fails if it
// comes back.
func TestFaultsAreProved(t *testing.T) {
	_, record, _ := strings.Cut(readDoc(t, "docs/operations.md"), "\n## Track record\n")
	record, _, _ = strings.Cut(record, "\n## ")
	faults := 0
	for _, row := range regexp.MustCompile(`(?m)^\| (.*) \|$`).FindAllStringSubmatch(record, -1) {
		cells := strings.Split(row[1], " | ")
		if cells[0] == "fault" || strings.HasPrefix(cells[0], "---") {
			continue
		}
		if faults++; len(cells) != 3 || !regexp.MustCompile("`Test[A-Z]\\w*").MatchString(cells[2]) {
			t.Errorf("no test proves %q", cells[0])
		}
	}
	if faults < 40 {
		t.Errorf("only %d faults are on record", faults)
	}
}

// TestPromisesAreTested, S-64: a comment in a test names each requirement that
// docs/security.md promises.
func TestPromisesAreTested(t *testing.T) {
	tests := strings.Join(testFiles(t), "\n")
	promised := regexp.MustCompile(`\bS-\d\d\b`).FindAllString(readDoc(t, "docs/security.md"), -1)
	slices.Sort(promised)
	for _, id := range slices.Compact(promised) {
		if !regexp.MustCompile(`(?m)^\s*//.*\b` + id + `\b`).MatchString(tests) {
			t.Errorf("no test names %s", id)
		}
	}
	if len(promised) < 40 {
		t.Errorf("only %d promises are found", len(promised))
	}
}
