package zoho

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/caddy-zoho/caddy-zoho/internal/nearest"
)

// Scope is a scope in its parts: ZohoCRM.modules.leads.READ has the service
// ZohoCRM, the name modules.leads and the operation READ. Letter case varies
// between products, and even between Zoho's own pages, so nothing is rewritten.
type Scope struct {
	Service   string
	Name      string // may hold dots; "" for scopes of one part, such as zohobookings
	Operation string // as written; "" if the last part is none, as in PhoneBridge.call.log

	raw string
}

// operations are those that Zoho's pages use; CREATE-UPDATE is Campaigns' own.
var operations = []string{"ALL", "READ", "CREATE", "UPDATE", "DELETE", "WRITE", "CREATE-UPDATE"}

// ParseScope takes a scope apart. There is no closed list of valid scopes, as
// Zoho's own tables are incomplete, so nothing is refused.
func ParseScope(s string) Scope {
	scope := Scope{raw: s}
	parts := strings.Split(s, ".")
	scope.Service, parts = parts[0], parts[1:]
	if n := len(parts); n > 0 && isOperation(parts[n-1]) {
		scope.Operation, parts = parts[n-1], parts[:n-1]
	}
	scope.Name = strings.Join(parts, ".")
	return scope
}

// String gives exactly what ParseScope was given.
func (s Scope) String() string { return s.raw }

func isOperation(s string) bool {
	return slices.ContainsFunc(operations, func(op string) bool { return strings.EqualFold(op, s) })
}

// SplitScopes splits a list as operators write it and servers echo it: by
// commas and blanks of any kind.
func SplitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// ScopeWarnings returns what looks wrong in a list of scopes. They are warnings
// only: a scope that Zoho does not know stops consent with a page of its own.
func ScopeWarnings(scopes []string) []string {
	var warnings []string
	seen := make(map[string]bool, len(scopes))
	for _, s := range scopes {
		if w := scopeWarning(s); w != "" {
			warnings = append(warnings, fmt.Sprintf("scope %s: %s", show(s), w))
		}
		folded := strings.ToLower(s)
		if seen[folded] {
			warnings = append(warnings, fmt.Sprintf("scope %s: listed twice", show(s)))
		}
		seen[folded] = true
	}
	return warnings
}

func scopeWarning(s string) string {
	switch {
	case strings.ContainsFunc(s, isForeignToScopes):
		return "has a character that no scope has; separate scopes with blanks or commas"
	case slices.Contains(strings.Split(s, "."), ""):
		return "has an empty part; the form is Service.scope.OPERATION"
	}
	parsed := ParseScope(s)
	if isOperation(parsed.Service) {
		return "begins with an operation; the form is Service.scope.OPERATION"
	}
	if parsed.Operation != "" || !strings.Contains(parsed.Name, ".") {
		return ""
	}
	last := parsed.Name[strings.LastIndexByte(parsed.Name, '.')+1:]
	if meant := nearestOperation(last); meant != "" {
		return fmt.Sprintf("there is no operation %s; did you mean %s?", show(last), meant)
	}
	return ""
}

// isForeignToScopes reports whether no scope of Zoho's has the character: blanks, quotes,
// slashes and what else separates or encloses in a configuration.
func isForeignToScopes(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`"'<>;|:/\`, r)
}

// nearestOperation finds slips of one letter. ALL is too short for that (call,
// mail); of it only doubled letters are taken.
func nearestOperation(s string) string {
	s = strings.ToUpper(s)
	if s == "ALLL" || s == "AALL" {
		return "ALL"
	}
	for _, op := range operations[1:] {
		if len(s) < 32 && nearest.Distance(s, op) == 1 {
			return op
		}
	}
	return ""
}

// Covers reports whether one of the granted scopes allows what a scope allows: the same
// one, a wider one, or one for all of the service, in any letter case.
func Covers(granted []string, scope string) bool {
	wanted := ParseScope(scope)
	return slices.ContainsFunc(granted, func(text string) bool {
		g := ParseScope(text)
		return strings.EqualFold(g.Service, wanted.Service) && isPartOf(wanted.Name, g.Name) &&
			(strings.EqualFold(g.Operation, wanted.Operation) || strings.EqualFold(g.Operation, "ALL") || g.Operation == "")
	})
}

// MissingScopes are those that are wanted and not covered by any that are granted.
func MissingScopes(granted, wanted []string) (missing []string) {
	for _, scope := range wanted {
		same := func(g string) bool { return strings.EqualFold(g, scope) } // mostly, and quickly
		if !slices.ContainsFunc(granted, same) && !Covers(granted, scope) && !slices.Contains(missing, scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// isPartOf reports whether a scope's name is another's, or part of it: modules.leads of
// modules, and everything of Books' fullaccess.
func isPartOf(name, whole string) bool {
	if strings.EqualFold(whole, "fullaccess") {
		return true
	}
	name, whole = strings.ToLower(name), strings.TrimSuffix(strings.ToLower(whole), ".all")
	return name == whole || strings.HasPrefix(name, whole+".") || name == whole+".all"
}

// scopeServices are the services by what their scopes begin with, in small letters.
var scopeServices = func() map[string]string {
	index := make(map[string]string)
	for _, s := range services {
		for _, scope := range s.Scopes() {
			index[strings.ToLower(scope)] = s.Name
		}
	}
	return index
}()

// ServiceOfScope is the service that a scope is for, "" if that is not known, or if it is none with
// an API here, as that of Zoho Accounts.
func ServiceOfScope(scope string) string {
	name := strings.ToLower(ParseScope(scope).Service)
	if service, ok := scopeServices[name]; ok {
		return service
	}
	name = strings.TrimPrefix(name, "zoho") // by pattern
	if _, ok := LookupService(name); ok {
		return name
	}
	return ""
}
