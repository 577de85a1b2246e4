// What is released: which versions are linked into the binary, under which licences, and by which workflow.

package tests

import (
	"debug/buildinfo"
	"encoding/json"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// oldestAllowed are the versions that the last known faults were mended in.
var oldestAllowed = map[string]string{
	"github.com/caddyserver/caddy/v2": "v2.11.4",
	"go.etcd.io/bbolt":                "v1.4.3",
	"github.com/redis/go-redis/v9":    "v9.7.3",
	"golang.org/x/oauth2":             "v0.27.0",
}

const oldestGo = "go1.26.6"

// linked are the modules in the binary under test.
func linked(t *testing.T) *debug.BuildInfo {
	t.Helper()
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Deps) < 50 {
		t.Fatalf("only %d modules are linked", len(info.Deps))
	}
	return info
}

// atLeast compares versions of three numbers, as Go's own are compared.
func atLeast(got, oldest string) bool {
	return version.Compare("go"+strings.TrimPrefix(got, "v"), "go"+strings.TrimPrefix(oldest, "v")) >= 0
}

// TestVersionsLinked, S-63: nothing is released with what is known to be faulty.
func TestVersionsLinked(t *testing.T) {
	info, seen := linked(t), 0
	if version.Compare(info.GoVersion, oldestGo) < 0 {
		t.Errorf("built by %s, which is older than %s", info.GoVersion, oldestGo)
	}
	for _, module := range info.Deps {
		if module.Replace != nil {
			t.Errorf("%s is replaced by %s", module.Path, module.Replace.Path)
		}
		oldest, limited := oldestAllowed[module.Path]
		if !limited {
			continue
		}
		if seen++; !atLeast(module.Version, oldest) {
			t.Errorf("%s is %s, older than %s", module.Path, module.Version, oldest)
		}
	}
	if seen < 2 {
		t.Errorf("only %d modules were looked at", seen)
	}
	for got, want := range map[string]bool{"v2.11.4": true, "v2.11.10": true, "v2.9.99": false, "v2.11.3": false, "v3.0.0": true} {
		if atLeast(got, "v2.11.4") != want {
			t.Errorf("%s is at least v2.11.4: %v", got, !want)
		}
	}
}

// licences are those that may be linked, by words that each of them alone has.
var licences = map[string]*regexp.Regexp{
	"Apache-2.0":   regexp.MustCompile(`(?i)Apache License,?\s+Version 2\.0`),
	"MIT":          regexp.MustCompile(`(?i)Permission is hereby granted, free of charge, to any person obtaining a copy`),
	"BSD-3-Clause": regexp.MustCompile(`(?i)Redistribution and use in source and binary forms(?s:.*)(may|be) (be )?used to endorse or promote`),
	"BSD-2-Clause": regexp.MustCompile(`(?i)Redistribution and use in source and binary forms`),
	"ISC":          regexp.MustCompile(`(?i)Permission to use, copy, modify, and(/or)? distribute this software for any purpose`),
	"MPL-2.0":      regexp.MustCompile(`(?i)Mozilla Public License,?\s+(Version|v\.) 2\.0`),
	"CC0-1.0":      regexp.MustCompile(`(?i)CC0 1\.0 Universal`),
	"Unlicense":    regexp.MustCompile(`(?i)This is free and unencumbered software released into the public domain`),
}

// copyleft is what would bind who links it.
var copyleft = regexp.MustCompile(`(?m)^\s*(GNU (AFFERO |LESSER )?GENERAL PUBLIC LICENSE|Server Side Public License|Business Source License)`)

// TestLicencesLinked, S-63: each module that is linked has a licence that we know, and none that
// would bind whoever builds Caddy with this one.
func TestLicencesLinked(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-m", "-json", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	folders := make(map[string]string) // :: module@version → folder
	for modules := json.NewDecoder(strings.NewReader(string(out))); modules.More(); {
		var m struct{ Path, Version, Dir string }
		if err := modules.Decode(&m); err != nil {
			t.Fatal(err)
		}
		folders[m.Path+"@"+m.Version] = m.Dir
	}
	documented := readDoc(t, "docs/dependencies.md")
	for _, module := range linked(t).Deps {
		folder := folders[module.Path+"@"+module.Version]
		if folder == "" {
			t.Errorf("%s %s is linked and not in go.mod", module.Path, module.Version)
			continue
		}
		name := licenceOf(t, folder)
		if name == "" {
			t.Errorf("%s has no licence that is known: look into %s", module.Path, folder)
		}
		row := regexp.MustCompile(`(?m)^\| .` + regexp.QuoteMeta(module.Path) + `. \|.*\| ([^|]*) \|$`).FindStringSubmatch(documented)
		if row != nil && !strings.Contains(row[1], name) {
			t.Errorf("%s is under %s, docs/dependencies.md says %s", module.Path, name, row[1])
		}
	}
}

// licenceOf is the licence that a module's folder has a copy of, "" if none is known.
func licenceOf(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	file := regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)`)
	for _, entry := range entries {
		if entry.IsDir() || !file.MatchString(entry.Name()) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(string(content)), " ")
		if copyleft.Match(content) && !licences["Apache-2.0"].MatchString(text) && !licences["MPL-2.0"].MatchString(text) {
			t.Errorf("%s is under a licence that binds", folder)
		}
		for _, name := range []string{"Apache-2.0", "MPL-2.0", "MIT", "BSD-3-Clause", "BSD-2-Clause", "ISC", "CC0-1.0", "Unlicense"} {
			if licences[name].MatchString(text) {
				return name
			}
		}
	}
	return ""
}

// workflow is what a file in .github/workflows says.
type workflow struct {
	On struct {
		Push struct{ Tags []string }
	}
	Permissions map[string]string
	Jobs        map[string]struct {
		Uses        string
		Permissions map[string]string
		Steps       []struct {
			Uses, Run string
			Env       map[string]string
		}
	}
}

func readWorkflow(t *testing.T, name string) (w workflow) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(readDoc(t, name)), &w); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return w
}

// TestActionsArePinned: what others may change does not run by a name that they may move.
func TestActionsArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`^[\w.-]+/[\w.-]+@[0-9a-f]{40}$`)
	for _, name := range []string{".github/workflows/ci.yml", ".github/workflows/release.yml"} {
		text, seen := readDoc(t, name), 0
		for _, job := range readWorkflow(t, name).Jobs {
			for _, step := range job.Steps {
				if step.Uses == "" {
					continue
				}
				if seen++; !pinned.MatchString(step.Uses) {
					t.Errorf("%s: %s is not pinned", name, step.Uses)
				}
				if !regexp.MustCompile(regexp.QuoteMeta(step.Uses) + ` # v\d+\.\d+\.\d+\n`).MatchString(text) {
					t.Errorf("%s: %s does not say which version it is", name, step.Uses)
				}
			}
			if job.Uses != "" && !strings.HasPrefix(job.Uses, "./") {
				t.Errorf("%s: %s is not of this repository", name, job.Uses)
			}
		}
		if seen == 0 {
			t.Errorf("%s uses no action", name)
		}
	}
}

// TestReleaseWorkflow: a tag runs the script that runs here, for all targets, and no job may do more than it does.
func TestReleaseWorkflow(t *testing.T) {
	w := readWorkflow(t, ".github/workflows/release.yml")
	if len(w.On.Push.Tags) != 1 || w.On.Push.Tags[0] != "v*" || w.Permissions == nil || len(w.Permissions) != 0 {
		t.Errorf("it runs on %v with the permissions %v", w.On.Push.Tags, w.Permissions)
	}
	built := false
	for _, step := range w.Jobs["build"].Steps {
		if step.Run == ".ci/run --no-install release" {
			built = step.Env["RELEASE"] == "dist" && step.Env["RELEASE_TARGETS"] == "all" && step.Env["RELEASE_VERSION"] == "${{ github.ref_name }}"
		}
	}
	if !built {
		t.Error("it does not run .ci/run release for all targets")
	}
	writes := map[string]string{"release": "contents", "image": "packages"}
	for name, job := range w.Jobs {
		if job.Permissions == nil {
			t.Errorf("the job %s has the permissions of whoever runs it", name)
		}
		for what, how := range job.Permissions {
			attests := what == "id-token" || what == "attestations"
			if how == "write" && what != writes[name] && (!attests || writes[name] == "") {
				t.Errorf("the job %s may write %s", name, what)
			}
		}
	}
}

// TestDeployedImage: deploy/ and the recipes start the image that the release of the newest version publishes.
func TestDeployedImage(t *testing.T) {
	version := regexp.MustCompile(`(?m)^## (\d+\.\d+\.\d+)`).FindStringSubmatch(readDoc(t, "CHANGELOG.md"))
	if version == nil {
		t.Fatal("CHANGELOG.md names no version")
	}
	want := strings.TrimPrefix(modulePath, "github.com/") + ":" + version[1]
	for _, name := range append(deployFiles(t), "docs/recipes.md", "docs/install.md") {
		for _, m := range regexp.MustCompile(`[\w./:-]*/caddy-zoho:\d[\w.-]*`).FindAllString(readDoc(t, name), -1) {
			if strings.TrimPrefix(m, "oci://") != "ghcr.io/"+want && !strings.HasPrefix(m, "http") {
				t.Errorf("%s has the image %s, want ghcr.io/%s", name, m, want)
			}
		}
	}
	for _, name := range []string{"deploy/compose.yaml", "deploy/kubernetes-sidecar.yaml", "deploy/kubernetes-fleet.yaml"} {
		if !strings.Contains(readDoc(t, name), "image: ghcr.io/"+want+"\n") {
			t.Errorf("%s does not start ghcr.io/%s", name, want)
		}
	}
	workflow := readDoc(t, ".github/workflows/release.yml")
	if !strings.Contains(workflow, `--tag "ghcr.io/$GITHUB_REPOSITORY:${GITHUB_REF_NAME#v}"`) || !strings.Contains(workflow, "--platform linux/amd64,linux/arm64") {
		t.Error("the workflow publishes another image")
	}
}
