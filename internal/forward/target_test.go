package forward

import (
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-zoho/caddy-zoho/internal/spelling"
)

func TestMisreadTargets(t *testing.T) {
	for _, target := range []string{
		"/books/v3/contacts#/../../../crm/v8/Leads", "/crm#", "/crm?a#b", "http://localhost/crm#x", "/crm/v8 HTTP/1.1", "/crm?a b",
		"/crm/..;/books", "/crm/.;x/Leads", "/crm/..;a=1/books", `/crm/..\books`, `/crm/v8\..\..\books`, "/crm/..%5cbooks", "/crm/..%2Fbooks", "/crm/a%2f..%2f..%2fbooks", "/crm%2f..%2fbooks",
		"/crm/%252e%252e/books", "/crm/%25252e./books", "/crm/%2e%252E/books", "/crm/..%252fbooks", "/crm/..%3b/books", "/crm/..%00/books",
		"/crm/%c0%ae%C0%AE/books", "/crm/..%c0%afbooks", "/crm/..%c1%9cbooks", "/crm/%e0%80%ae./books", "/crm/%f0%80%80%ae./books", "/crm/\xc0\xae\xc0\xae/books",
		"/crm//../books", "/crm/a//b/../../c", "/crm/;x/../books", "/crm/a%2fb%2fc/../../../books", `/crm/a\b/../books`, "//..",
		"http://localhost/crm/..;/books",
	} {
		if Misread(target) == "" {
			t.Errorf("%q is served", target)
		}
	}
	for _, target := range []string{
		"/", "//", "/crm", "/crm/a%23b?c=%23", "/crm/a//b", "/crm///", "//x//y?z=//w", "/crm/a%2fb%2Fc", "/crm/a,b,(c)?fields=a,b,(c)", "/crm/%27'%27", "/crm/a+b?q=a+b%20c+",
		"/crm/a;b=c;d?x;y=z;", `/crm/{a}|"<>^` + "`" + `\?q=\..\`, "/crm/./a/../b/./..", "/crm/%2e%2e/a/%2E", "/crm/%00%0d%0a", "/crm/é/日本", "/crm/\xe9", "/crm/%E9%ae", "/crm/file.txt", "/crm/.hidden/..a/a../...",
		"/crm/v2.1/a.b;c", "/crm/100%25/x", "/crm/%2525", "/crm/1.%2F2", "/crm?u=http://a/../..;/%252e%252e//../", "http://localhost/crm/v8?x=..;/",
	} {
		if why := Misread(target); why != "" {
			t.Errorf("%q is refused: %s", target, why)
		}
	}
}

func TestClimbs(t *testing.T) {
	for target, want := range map[string]bool{
		"": false, "/": false, "/..": true, "/../crm": true, "/%2e%2E/crm": true, "/api/../..": true, "/api/..": false, "/./..": true, "/api/./x/../../v1": false, "//../crm": true, "/...": false,
	} {
		if got := Climbs(target); got != want {
			t.Errorf("%q: %v", target, got)
		}
	}
}

// readings are paths as servers read them. Their dot segments are not resolved yet.
var readings = map[string]func(path string) string{
	"Caddy":              spelling.Unescape,
	"not decoded":        func(p string) string { return plainDots.Replace(p) },
	"decoded twice":      func(p string) string { return spelling.Unescape(spelling.Unescape(p)) },
	"backslash":          func(p string) string { return strings.ReplaceAll(spelling.Unescape(p), `\`, "/") },
	"careless UTF-8":     func(p string) string { return carelessUTF8.Replace(spelling.Unescape(p)) },
	"parameters":         func(p string) string { return spelling.Unescape(withoutParameters(p)) },
	"decoded parameters": func(p string) string { return withoutParameters(spelling.Unescape(p)) },
}

var (
	plainDots    = strings.NewReplacer("%2e", ".", "%2E", ".")
	carelessUTF8 = strings.NewReplacer("\xc0\xae", ".", "\xc0\xaf", "/", "\xe0\x80\xae", ".")
)

func withoutParameters(p string) string {
	segments := strings.Split(p, "/")
	for i := range segments {
		segments[i], _, _ = strings.Cut(segments[i], ";")
	}
	return strings.Join(segments, "/")
}

// unmerged resolves dot segments where empty segments count (RFC 3986, 5.2.4).
func unmerged(p string) string {
	var kept []string
	for segment := range strings.SplitSeq(strings.TrimPrefix(p, "/"), "/") {
		switch segment {
		case ".":
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		default:
			kept = append(kept, segment)
		}
	}
	return "/" + strings.Join(kept, "/")
}

// TestDotSegmentsAreReadAlike: where a path is served it makes no difference to any way of
// reading it when, and by whom, its dot segments are resolved.
func TestDotSegmentsAreReadAlike(t *testing.T) {
	pieces := []string{
		"/", "/", "/", "//", "crm", "books", "a", ".", "..", "/..", "/../..", "/.", "%2e", "%2E%2e", "%2f", "%5c", `\`, ";", ";x", "%3b",
		"%252e", "%252f", "%25", "%c0%ae", "%c0%af", "\xc0\xae", "%e0%80%ae", "%00", "é", "%zz",
	}
	random := rand.New(rand.NewPCG(66, 7))
	served := 0
	for range 300_000 {
		p := "/"
		for range random.IntN(10) {
			p += pieces[random.IntN(len(pieces))]
		}
		if Misread(p) != "" {
			continue
		}
		served++
		first := path.Clean(plainDots.Replace(p)) // as who only resolves
		for name, read := range readings {
			want := path.Clean(read(first))
			if got := path.Clean(read(p)); got != want {
				t.Fatalf("%q: %s reads %q, and %q if the segments are resolved before", p, name, got, want)
			}
			if got := path.Clean(unmerged(read(p))); got != want {
				t.Fatalf("%q: %s without merging slashes reads %q, want %q", p, name, got, want)
			}
		}
		if got := strings.TrimSuffix(caddyhttp.CleanPath(spelling.Unescape(p), true), "/"); "/"+strings.TrimPrefix(
			got,
			"/",
		) != path.Clean(
			spelling.Unescape(first),
		) {
			t.Fatalf("%q: Caddy reads %q", p, got)
		}
	}
	if served < 50_000 {
		t.Errorf("only %d paths were served", served)
	}
}
