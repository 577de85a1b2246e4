package version

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestModuleOf(t *testing.T) {
	module := func(version string, replace *debug.Module) *debug.Module {
		return &debug.Module{Path: modulePath, Version: version, Replace: replace}
	}
	other := &debug.Module{Path: "go.etcd.io/bbolt", Version: "v1.4.3"}
	for name, test := range map[string]struct {
		info debug.BuildInfo
		want string
	}{
		"go build of a tag":        {debug.BuildInfo{Main: *module("v0.1.0", nil), Deps: []*debug.Module{other}}, "v0.1.0"},
		"go run":                   {debug.BuildInfo{Main: *module("(devel)", nil)}, "(devel)"},
		"xcaddy":                   {debug.BuildInfo{Main: debug.Module{Path: "caddy"}, Deps: []*debug.Module{other, module("v0.1.0", nil)}}, "v0.1.0"},
		"xcaddy with a directory":  {debug.BuildInfo{Deps: []*debug.Module{module("v0.0.0-00010101000000-000000000000", &debug.Module{Path: "/src"})}}, "(devel)"},
		"xcaddy with another fork": {debug.BuildInfo{Deps: []*debug.Module{module("v0.1.0", &debug.Module{Path: "example.com/fork", Version: "v0.1.1"})}}, "v0.1.1"},
		"without this module":      {debug.BuildInfo{Main: *other}, "(unknown)"},
	} {
		if got := moduleOf(&test.info); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestLinked(t *testing.T) {
	if linked := Linked(); linked.Module == "(unknown)" || linked.Caddy == "" || linked.Go != runtime.Version() {
		t.Errorf("%+v", linked)
	}
}
