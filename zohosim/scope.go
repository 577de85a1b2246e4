package zohosim

import (
	"slices"
	"strings"
)

// operations of a scope's last part, and what each allows. ALL allows everything.
var operations = map[string]string{
	"ALL":           "READ CREATE UPDATE DELETE",
	"READ":          "READ",
	"CREATE":        "CREATE",
	"UPDATE":        "UPDATE",
	"DELETE":        "DELETE",
	"WRITE":         "CREATE UPDATE DELETE",
	"CREATE-UPDATE": "CREATE UPDATE",
}

// admits reports whether a grant's scopes allow an operation at a service. No scopes at all are a
// grant made by hand for everything. Letter case does not count.
func admits(scopes []string, p *product, operation, module string) bool {
	for _, scope := range scopes {
		parts := strings.Split(scope, ".")
		if named(parts[0], p.scopes) && allows(parts[1:], operation, module) {
			return true
		}
	}
	return len(scopes) == 0
}

// named reports whether a scope's first part is one of a product's.
func named(service string, services []string) bool {
	return slices.ContainsFunc(services, func(s string) bool { return strings.EqualFold(s, service) })
}

// allows judges what follows the service: "modules.leads.READ". Without an operation at its end
// (PhoneBridge.call.log) a scope allows every one.
func allows(parts []string, operation, module string) bool {
	if len(parts) == 0 {
		return false
	}
	last := strings.ToUpper(parts[len(parts)-1])
	if allowed, ok := operations[last]; ok {
		if !strings.Contains(" "+allowed+" ", " "+operation+" ") {
			return false
		}
		parts = parts[:len(parts)-1]
	}
	if len(parts) == 2 && strings.EqualFold(parts[0], "modules") && module != "" {
		return strings.EqualFold(parts[1], module)
	}
	return true
}
