// Package version says which versions a binary was built from.
package version

import (
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
)

const modulePath = "github.com/caddy-zoho/caddy-zoho"

// Versions are those that somebody who reports a fault is asked for.
type Versions struct {
	Module string `json:"caddy-zoho"`
	Caddy  string `json:"caddy"`
	Go     string `json:"go"`
}

// Linked are the versions in this binary.
func Linked() Versions {
	linked := Versions{Module: "(unknown)"}
	linked.Caddy, _ = caddy.Version()
	if info, ok := debug.ReadBuildInfo(); ok {
		linked.Module, linked.Go = moduleOf(info), info.GoVersion
	}
	return linked
}

// moduleOf finds this module where the build has it: it is the main one of `go build`, and a
// dependency of what xcaddy builds.
func moduleOf(info *debug.BuildInfo) string {
	for _, module := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if module.Path != modulePath {
			continue
		}
		if module.Replace != nil { // what was asked for is not what was built
			module = module.Replace
		}
		if module.Version == "" { // a directory
			return "(devel)"
		}
		return module.Version
	}
	return "(unknown)"
}
