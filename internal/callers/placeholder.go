package callers

import (
	"slices"
	"strings"
)

// Source is who can write the value of a placeholder.
type Source int

// A placeholder's sources, the worse the higher.
const (
	ByOperator Source = iota // the configuration, or what Caddy has found out of the caller
	ByUnknown                // whatever sets it, as `vars` and `map` do, from whatever they like
	ByHeader                 // a header: by callers, unless something before takes it out
	ByCaller
)

// SourceOf is the worst source of the placeholders in a value.
func SourceOf(value string) (worst Source) {
	for _, name := range Placeholders(value) {
		worst = max(worst, sourceOf(name))
	}
	return worst
}

// Placeholders lists those in a value, without their braces.
func Placeholders(value string) (names []string) {
	for _, part := range strings.Split(value, "{")[1:] {
		if name, _, ok := strings.Cut(part, "}"); ok {
			names = append(names, name)
		}
	}
	return names
}

// headerPlaceholder begins the placeholder of a header.
const headerPlaceholder = "http.request.header."

// Headers are those that a value is taken from.
func Headers(value string) (names []string) {
	for _, name := range Placeholders(value) {
		if header, ok := strings.CutPrefix(name, headerPlaceholder); ok {
			names = append(names, header)
		}
	}
	return names
}

// known begin the placeholders that callers cannot write.
var known = []string{
	"http.auth.", "http.zoho.", "http.request.tls.client.", "http.request.remote", "http.request.local",
	"http.vars.client_ip", "env.", "file.", "system.", "time.",
}

func sourceOf(name string) Source {
	switch {
	case strings.HasPrefix(name, headerPlaceholder):
		return ByHeader
	case slices.ContainsFunc(known, func(prefix string) bool { return strings.HasPrefix(name, prefix) }):
		return ByOperator
	case strings.HasPrefix(name, "http.request."), strings.HasPrefix(name, "http.regexp."), strings.HasPrefix(name, "re."):
		return ByCaller
	}
	return ByUnknown
}
